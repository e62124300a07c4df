"""Hair of the face: eyebrows, lashes, beard and vellus. Angles and lengths are those of groomed strands."""

from dataclasses import dataclass

import numpy as np

from ..geometry.hair_regions import BROW
from .head import HairHead, azimuth
from .scalp import GroomSliders
from .shaping import clump, clump_guides, curl, frizz
from .strands import Roots, Strands, along_skin, sample_roots, skin_strands, unit

SIDES = (("left", 1.0), ("right", -1.0))


@dataclass(frozen=True)
class BrowStyle:
    """An eyebrow beside the natural one.

    Attributes:
        thickness: scale of its height; `fullness` of its number of hairs.
        arch: height of the outer third above the natural line, in half widths of the eye.
        lift: height of the whole brow, in the same unit.
        inner: how far the inner end reaches towards the nose, in the same unit.
    """

    thickness: float = 1.0
    fullness: float = 1.0
    arch: float = 0.0
    lift: float = 0.0
    inner: float = 0.0


BROW_STYLES = {
    "NATURAL": BrowStyle(),
    "STRAIGHT": BrowStyle(thickness=1.05, arch=-0.10),
    "ARCHED": BrowStyle(thickness=0.92, fullness=0.95, arch=0.10),
    "THICK": BrowStyle(thickness=1.4, fullness=1.7, lift=-0.03, inner=0.10),
    "THIN": BrowStyle(thickness=0.5, fullness=0.55, arch=0.06, inner=-0.05),
}
_RISE = ((-1.15, 0.25), (0.9, 0.27), (1.85, 0.17))
"""The rise of hair over `BROW`, which simulated portraits keep, in half widths of the eye: so that
a detector of landmarks finds brows of renders where it finds those of photographs."""
_BROW_PAIR = 1250
_BROW_RADIUS = 3.4e-5
_BROW_ANGLE = ((0.0, 82), (0.08, 68), (0.2, 44), (0.4, 22), (0.65, 2), (0.85, -12), (1.0, -24))
_BROW_LENGTH = ((0.0, 0.0050), (0.1, 0.0072), (0.3, 0.0092), (0.55, 0.0090), (0.8, 0.0078), (1.0, 0.0055))


def brow_hair(head: HairHead, name: str, sliders: GroomSliders) -> Strands:
    """Grows a pair of eyebrows; hairs of the lower edge point up, those of the upper edge down.

    The angles are those of groomed brows, 82 degrees at the inner end to -24 at the outer one.
    """
    style = BROW_STYLES[name]
    random = np.random.default_rng([sliders.seed, 0xB205])
    wanted = max(2, int(_BROW_PAIR * style.fullness * sliders.density))
    cover = np.maximum(*(_brow_place(head, head.centres, style, side)[2] for side, _ in SIDES))
    facing = head.normals[head.triangles].mean(1)[:, 1] < -0.25
    roots = sample_roots(head, cover**1.3 * _bare(head) * facing, wanted, random)
    left = roots.place[:, 0] > 0
    along = np.where(left, *(_brow_place(head, roots.place, style, side)[0] for side, _ in SIDES))
    height = np.where(left, *(_brow_place(head, roots.place, style, side)[1] for side, _ in SIDES))
    outward = np.where(left, 1.0, -1.0)[:, None] * np.array([1.0, 0, 0])
    lateral = along_skin(outward, roots.normal)
    upward = unit(np.cross(roots.normal, lateral) * np.where(left, 1.0, -1.0)[:, None])
    upward *= np.sign(upward[:, 2:])
    angle = np.interp(along, *np.array(_BROW_ANGLE).T) - 15 * height.clip(-1, 1)
    angle = np.radians(angle + 9 * random.standard_normal(len(along)))[:, None]
    tangent = np.cos(angle) * lateral + np.sin(angle) * upward
    length = np.interp(along, *np.array(_BROW_LENGTH).T) * random.uniform(0.55, 1.1, len(along))
    length *= sliders.length
    points = grow(roots, tangent, length, (0.5, 0.14), 6, 0.10, random)
    points = _groomed(points, roots, 7, 0.36, 0.0007, sliders, random)
    radius = _BROW_RADIUS * sliders.thickness * random.uniform(0.75, 1.15, len(points))
    return skin_strands(head, roots, points, radius, random.random(len(points)))


def _brow_place(head: HairHead, points, style: BrowStyle, side: str):
    """Returns place along a brow (0 inner, 1 outer), height in it (-1 to 1) and cover (0 to 1) of points."""
    lid = head.landmarks[f"lid_upper_{side}"]
    inner, outer = lid[0], lid[-1]
    centre = (inner + outer) / 2
    half = np.linalg.norm(outer - inner) / 2
    across = (points[:, 0] - centre[0]) / (outer[0] - centre[0])
    up = (points[:, 2] - centre[2]) / half
    stations, heights, thicknesses = np.array(BROW).T
    stations = stations - style.inner * (stations < 0)
    lifted = (
        heights
        + np.interp(stations, *np.array(_RISE).T)
        + style.lift
        + style.arch * np.exp(-(((stations - 1.0) / 0.8) ** 2))
    )
    middle = np.interp(across, stations, lifted)
    thickness = np.interp(across, stations, thicknesses) * 1.15 * style.thickness
    height = (up - middle) / thickness
    begin, end = stations[0], stations[-1]
    taper = ((across - begin + 0.1) / 0.5).clip(0.0, 1) * ((end - across) / 0.5).clip(0, 1)
    cover = (1.35 - np.abs(height)).clip(0, 1) * taper * (0.55 + 0.45 * ((across - begin) / 0.9).clip(0, 1))
    cover = np.where(points[:, 1] < centre[1] + 2.5 * half, cover, 0)
    return (across - begin) / (end - begin), height, cover


LASH_STYLES = {"NATURAL": (1.0, 1.0), "LONG": (1.25, 1.15), "SPARSE": (0.85, 0.55)}
"""Length and number beside the natural ones."""
_LASHES = {"upper": 125, "lower": 75}
"""Of an eye; people have 90 to 160 and 75 to 80."""
_LASH_LENGTH = {
    "upper": ((0.0, 0.0032), (0.15, 0.0047), (0.45, 0.0060), (0.8, 0.0069), (1.0, 0.0052)),
    "lower": ((0.0, 0.0026), (0.4, 0.0038), (0.85, 0.0045), (1.0, 0.0036)),
}
"""Metres, by the place along the lid from the nose."""
_LASH_ANGLES = {"upper": (-14.0, 62.0), "lower": (-12.0, -74.0)}
_LASH_RADIUS = {"upper": 4.8e-5, "lower": 3.8e-5}


def lash_hair(head: HairHead, name: str, sliders: GroomSliders) -> Strands:
    """Grows the lashes of both eyes from the rims of their lids."""
    length_scale, number = LASH_STYLES[name]
    random = np.random.default_rng([sliders.seed, 0x1A54])
    parts = [
        _lid_lashes(
            head, lid, side, sign, number * sliders.density, length_scale * sliders.length, sliders, random
        )
        for side, sign in SIDES
        for lid in ("upper", "lower")
    ]
    columns = zip(*parts, strict=True)
    points, corners, weights, wide, radius = (np.concatenate(column) for column in columns)
    order = random.permutation(len(points))
    return Strands(
        points[order].astype(np.float32),
        corners[order].astype(np.int32),
        weights[order].astype(np.float32),
        wide[order].astype(np.int32),
        (radius[order] * sliders.thickness).astype(np.float32),
        random.random(len(points)).astype(np.float32),
    )


def _lid_lashes(head, lid, side, sign, number, scale, sliders, random):
    """Returns points, corners, weights, frames and radii of the lashes of one lid."""
    vertices = head.landmark_vertices[f"lid_{lid}_{side}"]
    line = head.positions[vertices]
    count = max(2, int(_LASHES[lid] * number))
    begin = 0.10 if lid == "upper" else 0.22
    place = np.linspace(begin, 0.97, count) + 0.010 * random.standard_normal(count)
    place = place.clip(0.04, 0.985)
    reached = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    steps = np.interp(place * reached[-1], reached, np.arange(len(vertices)))
    first = steps.astype(int).clip(0, len(vertices) - 2)
    share = (steps - first)[:, None]
    root = line[first] * (1 - share) + line[first + 1] * share
    eye = head.landmarks[f"eye_{side}"].mean(0)
    outward = unit((root - eye) * (1.0, 1.0, 0.0))
    fan = np.radians(np.interp(place, [0, 0.25, 1], [-12, 0, 26]) + 4 * random.standard_normal(count)) * sign
    cosine, sine = np.cos(fan), np.sin(fan)
    ahead = np.stack(
        [
            outward[:, 0] * cosine - outward[:, 1] * sine,
            outward[:, 0] * sine + outward[:, 1] * cosine,
            0 * fan,
        ],
        1,
    )
    ahead = unit(ahead + (0, -0.55, 0))
    low, high = np.radians(_LASH_ANGLES[lid])
    length = np.interp(place, *np.array(_LASH_LENGTH[lid]).T) * scale * random.uniform(0.62, 1.05, count)
    points = [root]
    turn = 0.10 * random.standard_normal(count)
    for along in np.linspace(0, 1, 7)[:-1]:
        angle = (low + (high - low) * along**0.8 * 2 * sliders.curl + turn)[:, None]
        step = np.cos(angle) * ahead + np.sin(angle) * np.array([0, 0, 1.0])
        points.append(points[-1] + step * (length / 6)[:, None])
    points = np.stack(points, 1)
    leader = np.arange(count) // 3 * 3
    leader = np.where(random.random(count) < 0.6, leader, np.arange(count))
    points = clump(points, leader, np.full(count, 0.62 * 2 * sliders.clump).clip(0, 0.9), 1.3)
    corners = np.stack([vertices[first], vertices[first + 1], vertices[first]], 1)
    weights = np.concatenate([1 - share, share, 0 * share], 1)
    before = vertices[np.maximum(first - 1, 0)]
    after = vertices[np.minimum(first + 2, len(vertices) - 1)]
    wide = np.stack([before, after, _beyond_lid(head, root, eye, lid)], 1)
    return points, corners, weights, wide, np.full(count, _LASH_RADIUS[lid])


def _beyond_lid(head: HairHead, roots: np.ndarray, eye: np.ndarray, lid: str) -> np.ndarray:
    """Returns (N,) vertices of the lid's outer skin three to five millimetres from each root."""
    away = 1.0 if lid == "upper" else -1.0
    skin = np.unique(head.triangles)
    skin = skin[np.linalg.norm(head.positions[skin] - eye, axis=1) < 0.03]
    offset = head.positions[skin][None] - roots[:, None]
    distance = np.linalg.norm(offset, axis=2)
    score = offset[:, :, 2] * away - 1.2 * offset[:, :, 1] - 0.7 * np.abs(offset[:, :, 0])
    score = np.where((distance > 0.002) & (distance < 0.005), score, -1)
    return skin[score.argmax(1)]


@dataclass(frozen=True)
class BeardStyle:
    """A beard: which regions grow, and how.

    Attributes:
        moustache, chin, jaw, cheeks, sideburns: density of each region, 0 to 1.
        length: metres; the moustache is at most 11 mm long.
        strands, points: how many, and points in each.
        lift: angle over the skin at the root, radians.
        curl, pitch: of its waves, metres.
    """

    moustache: float = 1.0
    chin: float = 1.0
    jaw: float = 1.0
    cheeks: float = 1.0
    sideburns: float = 1.0
    length: float = 0.016
    strands: int = 15_000
    points: int = 9
    lift: float = 0.6
    curl: float = 0.0012
    pitch: float = 0.012


BEARD_STYLES = {
    "STUBBLE": BeardStyle(cheeks=0.55, length=0.0016, strands=11_000, points=3, lift=0.75, curl=0.0),
    "MOUSTACHE": BeardStyle(chin=0, jaw=0, cheeks=0, sideburns=0, length=0.010, strands=2_600, points=7),
    "GOATEE": BeardStyle(jaw=0, cheeks=0, sideburns=0, length=0.012, strands=5_200, points=8),
    "FULL": BeardStyle(cheeks=0.75, length=0.020),
    "SIDEBURNS": BeardStyle(moustache=0, chin=0, jaw=0, cheeks=0, length=0.008, strands=2_400, points=6),
}
_BEARD_RADIUS = 4.4e-5
_MOUSTACHE_TOP = ((0, -0.0172), (0.008, -0.0172), (0.018, -0.0190), (0.026, -0.0240), (0.036, -0.036))
_CHEEK_LINE = ((10, -0.030), (20, -0.034), (35, -0.040), (50, -0.030), (60, -0.010), (70, 0.020), (80, 0.030))
_NECK_LINE = ((0, -0.096), (20, -0.094), (40, -0.082), (60, -0.056), (75, -0.034))


def beard_cover(points: np.ndarray, style: BeardStyle) -> np.ndarray:
    """Returns (N,): the density of a beard at points (N, 3) of the skin, 0 to 1."""
    across = np.abs(points[:, 0])
    height = points[:, 2]
    turn = azimuth(points)

    def soft(distance, width):
        return (0.5 + distance / width).clip(0, 1)

    front = soft(0.052 - np.abs(points[:, 1] + 0.112), 0.02)
    top = np.interp(across, *np.array(_MOUSTACHE_TOP).T)
    bottom = np.where(across < 0.025, -0.034, -0.052)
    lip = soft(top - height, 0.003) * soft(height - bottom, 0.003) * soft(0.036 - across, 0.008) * front
    lip = lip * (0.45 + 0.55 * soft(across - 0.003, 0.003))
    under = soft(-0.047 - height, 0.004) * soft(0.030 - across, 0.010) * soft(height + 0.088, 0.010) * front
    patch = 1 - 0.8 * soft(0.017 - np.abs(across - 0.016), 0.008) * soft(height + 0.0575, 0.006)
    ring = (
        soft(0.009 - np.abs(across - 0.031), 0.006)
        * soft(-0.028 - height, 0.008)
        * soft(height + 0.064, 0.01)
    )
    chin = np.maximum(under * patch, ring * front)
    line = np.interp(turn, *np.array(_CHEEK_LINE).T)
    neck = np.interp(turn, *np.array(_NECK_LINE).T)
    region = soft(height - neck, 0.018) * soft(79 - turn, 5) * soft(turn - 17, 8)
    low = soft(np.interp(turn, [0, 40, 60, 80], [-0.052, -0.046, -0.030, 0.0]) - height, 0.02)
    below = soft(line - height, 0.012)
    burn = soft(turn - 62, 7) * soft(79 - turn, 5) * soft(height + 0.016, 0.010) * soft(0.030 - height, 0.01)
    whole = np.maximum(style.jaw * region * below * low, style.cheeks * region * below * (1 - low))
    under_chin = style.jaw * soft(17 - turn, 8) * soft(-0.060 - height, 0.008) * soft(height - neck, 0.018)
    parts = (style.moustache * lip, style.chin * chin, whole, under_chin, style.sideburns * burn)
    return np.maximum.reduce(parts)


def beard_hair(head: HairHead, name: str, sliders: GroomSliders) -> Strands:
    """Grows a beard."""
    style = BEARD_STYLES[name]
    random = np.random.default_rng([sliders.seed, 0xBEA2])
    wanted = max(2, int(style.strands * sliders.density * sliders.draft))
    roots = sample_roots(head, beard_cover(head.centres, style) * _bare(head), wanted, random)
    across = np.abs(roots.place[:, 0])
    lip = (roots.place[:, 2] > -0.034) & (across < 0.036) & (roots.place[:, 1] < -0.085)
    sideways = (
        np.sign(roots.place[:, :1]) * np.where(lip, 0.9, 0.15)[:, None] * (across / 0.012).clip(0, 1)[:, None]
    )
    aim = np.concatenate([sideways, np.where(lip, 0, 0.2)[:, None], np.full((len(across), 1), -1.0)], 1)
    tangent = along_skin(aim + 0.18 * random.standard_normal(aim.shape), roots.normal)
    length = np.where(lip, min(style.length, 0.011), style.length) * sliders.length
    edge = np.interp(azimuth(roots.place), [30, 70], [1.0, 0.5]) if style.length > 0.01 else 1.0
    length = length * edge * random.uniform(0.55, 1.1, len(across))
    points = grow(roots, tangent, length, (style.lift, 0.25), style.points, 0.2, random)
    if style.points > 4:
        points[:, 1:] += (
            np.array([0, 0, -0.25]) * (np.linspace(0, 1, style.points)[1:, None] ** 2) * length[:, None, None]
        )
        if style.curl:
            phase = random.uniform(0, 6.3, len(points))
            pitch = style.pitch * (1 + 0.12 * random.standard_normal(len(points)).clip(-2, 2))
            points = curl(points, style.curl * 2 * sliders.curl, pitch, phase, False, random)
    points = _groomed(points, roots, 9, 0.4 if style.points > 4 else 0.0, 0.0012, sliders, random)
    radius = _BEARD_RADIUS * sliders.thickness * random.uniform(0.8, 1.2, len(points))
    return skin_strands(head, roots, points, radius, random.random(len(points)))


VELLUS_STYLES = {"FINE": 1.0, "DOWNY": 1.6}
"""Length beside that of fine hair."""
_VELLUS = 20_000


def vellus_hair(head: HairHead, name: str, sliders: GroomSliders) -> Strands:
    """Grows the fine hair of cheeks, jaw and forehead, which rim light shows."""
    random = np.random.default_rng([sliders.seed, 0x7E11])
    wanted = max(2, int(_VELLUS * sliders.density * sliders.draft))
    centres = head.centres
    lids = np.concatenate(
        [head.landmarks[f"lid_{lid}_{side}"] for lid in ("upper", "lower") for side, _ in SIDES]
    )
    free = np.linalg.norm(centres[:, None] - lids[None, ::2], axis=2).min(1) > 0.009
    face = (azimuth(centres) < 86) & (centres[:, 2] < 0.098) & (centres[:, 2] > -0.10)
    cheeks = 0.5 + 0.5 * np.exp(-(((azimuth(centres) - 45) / 25) ** 2))
    roots = sample_roots(head, free * face * cheeks * _bare(head), wanted, random)
    aim = np.concatenate(
        [np.sign(roots.place[:, :1]) * 0.6, np.full((wanted, 1), 0.4), np.full((wanted, 1), -1.0)], 1
    )
    tangent = along_skin(aim + 0.3 * random.standard_normal(aim.shape), roots.normal)
    length = VELLUS_STYLES[name] * random.uniform(0.0007, 0.0019, wanted) * sliders.length
    points = grow(roots, tangent, length, (0.75, 0.15), 4, 0.3, random)
    radius = 0.9e-5 * sliders.thickness * random.uniform(0.8, 1.2, wanted)
    return skin_strands(head, roots, points, radius, random.random(wanted))


def _bare(head: HairHead) -> np.ndarray:
    """Returns (T,): 1 on skin, 0 on lips, on ears and inside mouth, nostrils and sockets."""
    covered = np.maximum.reduce([head.lips, head.pocket, head.ears])[head.triangles].max(1)
    return (covered < 0.3).astype(np.float64)


def grow(roots: Roots, tangent, length, lifts: tuple[float, float], count: int, jitter: float, random):
    """Grows strands whose angle over the skin changes evenly from root to tip.

    Args:
        roots: N of them.
        tangent: (N, 3) unit, along the skin.
        length: (N,) metres.
        lifts: angles at root and tip, radians.
        count: points of a strand.
        jitter: of the direction, radians.
        random: its state moves on.

    Returns:
        (N, count, 3).
    """
    number = len(tangent)
    side = np.cross(roots.normal, tangent)
    tangent = unit(tangent + side * jitter * random.standard_normal((number, 1)))
    begin = lifts[0] * (1 + 0.25 * random.standard_normal((number, 1))).clip(0.4, 1.6)
    points = [roots.place - roots.normal * 0.00015]
    for index in range(count - 1):
        along = index / max(count - 2, 1)
        angle = begin * (1 - along) + lifts[1] * along
        points.append(
            points[-1]
            + (np.cos(angle) * tangent + np.sin(angle) * roots.normal) * (length / (count - 1))[:, None]
        )
    return np.stack(points, 1)


def _groomed(points, roots: Roots, locks: int, clumps: float, stray: float, sliders: GroomSliders, random):
    """Returns strands with the clumps and frizz that the sliders ask for."""
    amount = (clumps * 2 * sliders.clump * random.uniform(0.5, 1.1, len(points))).clip(0, 0.95)
    points = clump(points, clump_guides(roots.place, locks, random), amount, 1.5)
    return frizz(points, stray * 2 * sliders.frizz * random.uniform(0.3, 1.2, len(points)), random)
