"""Scalp hair: hairline, flow over the skull, weight, and collision with the head."""

from dataclasses import dataclass

import numpy as np

from .head import AXIS_Y, HairHead, axis_point, azimuth
from .scalp_styles import SCALP_STYLES, ScalpStyle
from .shaping import clump, clump_guides, curl, frizz, lengths_along, trim
from .strands import Roots, Strands, along_skin, carried_strands, sample_roots, unit
from .tied_hair import tied_course

CROWN = (0.008, 0.047, 0.132)
"""The whorl, from which short hair flows."""
_HAIRLINE = (
    (0, 0.098), (12, 0.099), (22, 0.100), (30, 0.096), (37, 0.087), (44, 0.072), (50, 0.060), (55, 0.050),
    (60, 0.038), (64, 0.028), (70, 0.018), (78, 0.020), (88, 0.045), (98, 0.043), (107, 0.020), (115, -0.004),
    (128, -0.034), (150, -0.053), (180, -0.057),
)  # fmt: skip
"""Stations of the hairline: azimuth in degrees, height in metres."""
_BELOW, _SOFT = 0.003, 0.019
"""Where the first hair of the hairline grows, and over how much height it grows dense; metres."""
_FINE, _FULL = 0.55, 0.012
"""Thickness of hair at the edge as a share of the style's, and the height at which it reaches it; metres."""
_MARGIN = 0.0011
_SHOULDER, _LOW = 0.004, -0.08
"""Hair ends on the shoulders: where a step is pushed aside by so much, below this height; metres."""
_LOCKS, _WAVE_FRONT = (0.055, 0.028, 0.014), (0.16, 0.07)
"""Wavelengths of what locks, and what the waves of neighbours share; metres."""
_MOST_STRAY = 0.12
"""Share of its length by which a strand strays at most."""
_OVER_FOREHEAD, _BARE_SHARE = 0.008, 0.65
"""Metres below the hairline, and share of the azimuth that hair leaves free, within which none crosses."""
_CLING_BELOW = 0.12
"""Share of a cut's cling that is left below the ears."""


@dataclass(frozen=True)
class GroomSliders:
    """The sliders of a part; 1 is the style's own for the first three, 0.5 for the last three.

    Attributes:
        length, density, thickness: scales.
        clump, frizz, curl: 0 none, 1 twice the style's.
        seed: of all that is random.
        draft: share of the strands that are grown; locks have as many fewer.
    """

    length: float = 1.0
    density: float = 1.0
    thickness: float = 1.0
    clump: float = 0.5
    frizz: float = 0.5
    curl: float = 0.5
    seed: int = 0
    draft: float = 1.0


def hairline_height(points: np.ndarray, style: ScalpStyle) -> np.ndarray:
    """Returns (N,): the height of points (N, 3) above a style's hairline, metres."""
    turn = azimuth(points)
    height = np.interp(turn, *np.array(_HAIRLINE).T)
    height = height + style.recede * np.exp(-(((turn - 27) / 17) ** 2))
    height = height + 0.45 * style.recede * np.exp(-((turn / 16) ** 2))
    if not style.sideburns:
        height = height + 0.024 * np.exp(-(((turn - 70) / 9) ** 2))
    uneven = 0.0016 * np.sin(points[:, 0] * 230 + 1) + 0.0012 * np.sin(points[:, 0] * 517)
    return points[:, 2] - height + uneven


def scalp_cover(points: np.ndarray, style: ScalpStyle) -> np.ndarray:
    """Returns (N,): how densely hair grows at points (N, 3), 0 to 1; ears do not count."""
    cover = _smooth((hairline_height(points, style) + _BELOW) / _SOFT)
    if style.bald:
        bare = np.linalg.norm((points - (0.0, 0.012, 0.128)) / (1.0, 1.25, 1.0), axis=1)
        cover = cover * (0.03 + 0.97 * _smooth((bare - 0.8 * style.bald) / (0.35 * style.bald)))
    elif style.recede:
        thin = np.exp(-((np.linalg.norm(points - CROWN, axis=1) / 0.045) ** 2))
        front = np.exp(-(((azimuth(points) - 0) / 30) ** 2)) * (points[:, 2] < 0.135)
        cover = cover * (1 - 0.45 * thin) * (1 - 0.45 * front)
    return cover


def scalp_hair(head: HairHead, name: str, sliders: GroomSliders) -> Strands:
    """Grows a cut.

    Args:
        head: the mean face.
        name: of `SCALP_STYLES`.
        sliders: the artist's.

    Returns:
        Strands in random order: any first part of them covers the scalp evenly.
    """
    style = SCALP_STYLES[name]
    random = np.random.default_rng([sliders.seed, 0x5CA1])
    wanted = max(2, int(style.strands * sliders.density * sliders.draft))
    on_ears = head.ears[head.triangles].max(1) > 0.02
    cover = np.where(on_ears, 0, scalp_cover(head.centres, style))
    roots = sample_roots(head, cover, wanted, random)
    points = _course(head, roots, style, sliders, random)
    points = _shape(roots, points, style, sliders, random)
    points = _outside(head, points, style, random)
    crossing = _across_forehead(points, style)
    if crossing.any() and not crossing.all():  # others stand in for them
        order = np.arange(len(points))
        order[crossing] = random.choice(order[~crossing], crossing.sum())
        roots, points = roots.chosen(order), points[order]
    radius = style.radius * sliders.thickness * random.uniform(0.85, 1.15, len(points))
    radius *= _FINE + (1 - _FINE) * _smooth(hairline_height(roots.place, style) / _FULL)
    return carried_strands(head, roots, points, radius, random.random(len(points)))


def _smooth(values):
    inside = values.clip(0, 1)
    return inside * inside * (3 - 2 * inside)


def _natural_length(roots: Roots, style: ScalpStyle, random) -> np.ndarray:
    """Returns (N,): the length of each strand, metres, longer strands of a blunt cut included."""
    place = roots.place
    top = _smooth((place[:, 2] - 0.075) / 0.05)
    behind = _smooth((azimuth(place) - 100) / 50)
    around = style.sides + (style.back - style.sides) * behind
    length = around + (style.top - around) * top
    above = hairline_height(place, style)
    if style.fade:
        low = np.where(azimuth(place) < 60, 0.02, 0.0)
        grown = _smooth((above + low) / style.fade)
        length = 0.0016 + (length - 0.0016) * grown * (top + (1 - top) * grown)
    if style.cut is None:
        length = length * (0.45 + above / 0.022).clip(0.45, 1) * random.uniform(0.78, 1.06, len(place))
    return length


def _flow(roots: Roots, style: ScalpStyle, random) -> tuple[np.ndarray, np.ndarray]:
    """Returns (N, 3) directions along the scalp, and (N,) the side of the parting, -1 or 1."""
    place = roots.place
    down = np.array([0, 0, -1.0])
    away = along_skin(place - np.array(CROWN), roots.normal)
    top = _smooth((place[:, 2] - 0.07) / 0.05)[:, None]
    side = np.where(place[:, 0] + 0.002 * random.standard_normal(len(place)) > style.part, 1.0, -1.0)
    if style.flow == "forward":
        aim = away * 0.8 + np.array([-0.35, -0.9, 0]) * top + down * (1 - top) * 0.8
    elif style.flow == "back":
        aim = np.array([0, 1.0, 0.22]) * (0.35 + 0.65 * top) + down * (1 - top) * 0.35
    elif style.flow == "part":
        before = (1 - _smooth((place[:, 1] - 0.02) / 0.05))[:, None]
        level = np.stack([side, 0.28 + 0 * side, 0 * side], 1)
        inside = (hairline_height(place, style) / 0.025).clip(0, 1)[:, None]
        aim = level * before + away * (1 - before) + down * (0.6 * inside - 0.35)
    elif style.flow == "up":
        aim = roots.normal * 0.2 + away * 0.25 + random.standard_normal(place.shape) * 0.35
    else:
        aim = away + down * 0.35 * (1 - top)
    spread = random.standard_normal(place.shape) * (0.10 if style.flow != "up" else 0.3)
    return along_skin(aim + spread, roots.normal), side


def _course(head: HairHead, roots: Roots, style: ScalpStyle, sliders: GroomSliders, random) -> np.ndarray:
    """Returns (N, points, 3): the course of each strand, without curls and clumps."""
    place = roots.place.astype(np.float32)
    count = len(place)
    if style.flow == "tied":
        hanging = style.back * sliders.length * random.uniform(0.7, 1.05, count)
        return tied_course(head, roots, style, hanging, random)
    length = _natural_length(roots, style, random)
    flow, side = _flow(roots, style, random)
    locks = _lock_noise(place, _LOCKS, random)
    gap = style.face_gap * (1 + 0.09 * locks + 0.06 * random.standard_normal(count).clip(-1.5, 2.5))
    cut = style.cut
    if cut is None:
        length = length * sliders.length
    steps = max(style.points if cut is not None else min(style.points, 16), 4)
    step = (length / (steps - 1)).astype(np.float32)[:, None]
    height = (
        style.volume
        * random.random(count) ** 0.8
        * (0.25 + hairline_height(place, style) / 0.05).clip(0.1, 1)
    )
    lift = (style.lift + 0.14 * random.standard_normal(count)).clip(0.05, 1.5)[:, None]
    direction = (np.cos(lift) * flow + np.sin(lift) * roots.normal).astype(np.float32)
    points = np.empty((count, steps, 3), np.float32)
    free = np.full(count, np.inf)
    points[:, 0] = place - roots.normal * 0.0004
    current = place
    for index in range(1, steps):
        gone = index / (steps - 1)
        travelled = (step[:, 0] * index)[:, None]
        bend = style.stiffness if index > 1 else 1.0
        sunk = np.minimum(travelled / 0.06, 1.0) if cut is not None else gone
        pull = np.array([0, 0, -1], np.float32) * (style.weight * sunk)
        along = flow * (1 - 0.8 * np.minimum(travelled / 0.12, 1))
        wanted = unit(direction * 0.6 + along * 0.55 + pull * 1.2)
        direction = unit(direction * bend + wanted * (1 - bend))
        moved = current + direction * step
        rise = height * np.minimum(travelled[:, 0] / 0.03, 1)
        if style.cling:
            rise = np.maximum(rise - head.ear_reach(moved), 0.15 * rise) + _MARGIN * min(1.0, index / 4)
            moved = _drawn_in(head, moved, _MARGIN + rise, style.cling)
        hanging = moved
        moved = _pushed_out(head, hanging, _MARGIN * min(1.0, index / 2) + rise)
        on_shoulder = (np.linalg.norm(moved - hanging, axis=1) > _SHOULDER) & (moved[:, 2] < _LOW)
        free = np.where(on_shoulder, np.minimum(free, travelled[:, 0]), free)
        if style.face_gap:
            moved = _pushed_out(head, _aside(moved, side, gap), _MARGIN + rise)
        direction = unit(moved - current)
        current = moved
        points[:, index] = current
    if cut is not None:
        length = np.minimum(_cut_length(points, cut, sliders.length, locks, random), free)
    points = trim(points, length, style.points)
    return _tucked(points, style) if cut is not None else points


def _pushed_out(head: HairHead, points: np.ndarray, margin) -> np.ndarray:
    """Returns points moved away from the axis until they lie a margin outside the head."""
    centre = axis_point(points)
    outward = points - centre
    radius = np.linalg.norm(outward, axis=-1)
    short = head.outer_radius(points) + margin - radius
    return points + outward * (np.maximum(short, 0) / np.maximum(radius, 1e-6))[..., None]


def _drawn_in(head: HairHead, points: np.ndarray, margin, cling: float) -> np.ndarray:
    """Returns points drawn towards the head where they lie farther from it than a margin.

    Hair lies on the skull and hangs from its widest place: below the ears little draws it in.

    Args:
        head: the mean face.
        points: (N, 3).
        margin: metres, one or (N,).
        cling: share of the way above the ears, 0 to 1.
    """
    outward = points - axis_point(points)
    radius = np.linalg.norm(outward, axis=-1)
    above = _smooth((points[:, 2] + 0.04) / 0.08)
    share = cling * (_CLING_BELOW + (1 - _CLING_BELOW) * above)
    surplus = np.maximum(radius - head.outer_radius(points) - margin, 0) * share
    return points - outward * (surplus / np.maximum(radius, 1e-6))[..., None]


def _aside(points: np.ndarray, side: np.ndarray, gap: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Returns points (N, 3) turned about the axis until they leave the face free.

    Args:
        points: of N strands.
        side: (N,) -1 or 1, the side on which each hangs.
        gap: (N,) degrees of azimuth that each keeps from the face's middle below the hairline.
        share: of the way that is made.
    """
    turn = np.degrees(np.arctan2(points[:, 0], AXIS_Y - points[:, 1])) * side
    hanging = _smooth((0.108 - points[:, 2]) / 0.035) * (np.abs(turn) < 100)
    angle = np.radians(np.maximum(gap - turn, 0) * hanging * share) * side
    across, ahead = points[:, 0], points[:, 1] - axis_point(points)[:, 1]
    turned = points.copy()
    turned[:, 0] = across * np.cos(angle) - ahead * np.sin(angle)
    turned[:, 1] = across * np.sin(angle) + ahead * np.cos(angle) + axis_point(points)[:, 1]
    return turned


def _lock_noise(place: np.ndarray, waves: tuple[float, ...], random) -> np.ndarray:
    """Returns (N,) noise of deviation 1 that neighbours at roots (N, 3) share.

    Args:
        place: roots, metres.
        waves: its wavelengths, metres.
        random: its state moves on.
    """
    total = np.zeros(len(place))
    for wave in waves:
        for _ in range(3):
            across = place @ unit(random.standard_normal(3))
            total += np.sin(2 * np.pi / wave * across + 7 * random.random())
    return total / np.sqrt(1.5 * len(waves))


def _cut_length(points: np.ndarray, cut: float, scale: float, locks: np.ndarray, random) -> np.ndarray:
    """Returns (N,): the length at which each strand passes the height of a cut that locks make uneven."""
    level = 0.075 + (cut - 0.075) * scale + 0.004 * locks + 0.003 * random.standard_normal(len(points))
    below = points[:, :, 2] < level[:, None]
    first = np.where(below.any(1), below.argmax(1), points.shape[1] - 1)
    row = np.arange(len(points))
    high = points[row, np.maximum(first - 1, 0), 2]
    low = points[row, first, 2]
    share = ((high - level) / np.maximum(high - low, 1e-5)).clip(0, 1)
    along = lengths_along(points)
    before = along[row, np.maximum(first - 1, 0)]
    length = before + (along[row, first] - before) * share
    return length * (1 - 0.10 * random.random(len(points)) ** 3)


def _tucked(points: np.ndarray, style: ScalpStyle) -> np.ndarray:
    """Returns hanging strands whose lowest centimetres bend towards the neck."""
    low = _smooth(((style.cut or 0.0) + 0.045 - points[..., 2]) / 0.05)
    low = low * (np.arange(points.shape[1]) / 4).clip(0, 1)
    return points + (axis_point(points) - points) * (style.tuck * low)[..., None]


def _shape(roots: Roots, points, style: ScalpStyle, sliders: GroomSliders, random) -> np.ndarray:
    """Returns the strands with clumps, curls and frizz."""
    count = len(points)
    apart = np.sign(roots.place[:, :1] - style.part) * (0.03 if style.flow == "part" else 0.0)
    places = np.concatenate([roots.place, apart], 1)
    locks = max(3, int(style.locks * sliders.draft))
    guide = clump_guides(places, locks, random)
    free = random.random(count) < 0.05
    amount = np.where(free, 0.1, (style.clump * 2 * sliders.clump) * random.uniform(0.7, 1.1, count)).clip(
        0, 0.97
    )
    points = clump(points, guide, amount, 1.4)
    if style.curl and sliders.curl > 0:
        lock, own = random.standard_normal((2, count)).clip(-2, 2)
        if style.flat:  # waves run on from lock to lock
            phase = 1.2 * _lock_noise(roots.place, _WAVE_FRONT, random)
            varied = 0.05 * lock[guide] + 0.02 * own
        else:
            phase = random.uniform(0, 2 * np.pi, count)[guide]
            varied = 0.10 * lock[guide] + 0.06 * own
        phase = phase + 0.5 * (1.3 - style.clump) * random.standard_normal(count)
        scale = np.clip(2 * sliders.curl, 0, 2)
        points = curl(points, style.curl * scale, style.pitch * (1 + varied), phase, style.flat, random)
    small = clump_guides(places, max(3, locks // 7), random)
    points = clump(points, small, amount * 0.55, 2.0)
    stray = style.frizz * 2 * sliders.frizz * np.where(free, 3.0, 1.0) * random.uniform(0.4, 1.4, count)
    stray = np.minimum(stray, _MOST_STRAY * lengths_along(points)[:, -1])
    return frizz(points, stray, random)


def _across_forehead(points: np.ndarray, style: ScalpStyle) -> np.ndarray:
    """Returns (N,): True for strands of parted hair that cross the forehead on the way to their side."""
    if style.flow != "part":
        return np.zeros(len(points), bool)
    between = (points[:, 1:] + points[:, :-1]) / 2
    places = np.concatenate([points[:, 1:], between], 1)
    low = hairline_height(places.reshape(-1, 3), style).reshape(places.shape[:2]) < -_OVER_FOREHEAD
    return (low & (azimuth(places) < _BARE_SHARE * style.face_gap) & (places[..., 2] > 0)).any(1)


def _outside(head: HairHead, points: np.ndarray, style: ScalpStyle, random) -> np.ndarray:
    """Returns strands whose points beyond the first lie outside the head and leave the face free."""
    gap = style.face_gap * random.uniform(0.72, 0.95, len(points))
    side = np.sign(points[:, points.shape[1] // 2 :, 0].mean(1) + 1e-9)
    for index in range(1, points.shape[1]):
        here = points[:, index]
        if style.face_gap:
            here = _aside(here, side, gap, 1.0)
        margin = _MARGIN * min(index / 2, 2.0 if style.cling else 1.0)
        points[:, index] = _pushed_out(head, here, margin)
    return points
