"""The muscles of expression: which units drive them, where their creases lie, how wide and deep they are."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...expression_names import both_sides
from .face_chart import FaceChart


@dataclass(frozen=True)
class CreaseLevel:
    """One family of parallel creases.

    Attributes:
        wavelength: mean distance between neighbours, millimetres.
        depth: valley below the shoulders at full contraction and the age of 60, millimetres.
        sharpness: kappa of `wrinkle_profile`.
        onset, span: of `depth_response`, in units of full contraction.
        youth: share of the depth that skin of 20 years already shows.
        breaks: how unevenly deep its lines are along themselves; beyond 2 they break.
    """

    wavelength: float
    depth: float
    sharpness: float = 3.0
    onset: float = 0.12
    span: float = 0.6
    youth: float = 0.35
    breaks: float = 1.8


@dataclass(frozen=True)
class MuscleGroup:
    """Creases that one muscle makes.

    Attributes:
        name: of the group.
        contractions: expressions (unit -> weight) that together show where and across which lines it
            compresses the skin.
        region: FaceChart -> (G, G) 0..1, where its creases may lie.
        levels: coarse to fine.
        anisotropy: D of the Swift-Hohenberg equation; 0 = dimples and a labyrinth instead of lines.
        guide: FaceChart -> (G, G) anatomical angle of the creases from tangent 1, radians; None = the strain
            alone decides.
        guide_weight: 0..1 against the strain's own direction.
        spread: (across, up) millimetres over which the muscle's pull spreads along it.
        paired: left and right have patterns of their own.
        resting: share of full contraction that is left in the skin at rest at the age of 70.
        drive: contraction (unit -> share) that bunches the skin itself though the mesh does not show it.
        acts: units, without their side, that contract the muscle; whatever else compresses the skin makes
            none of its creases. Empty = all compression counts.
    """

    name: str
    contractions: tuple[dict[str, float], ...]
    region: Callable[[FaceChart], Tensor]
    levels: tuple[CreaseLevel, ...]
    anisotropy: float = 0.7
    guide: Callable[[FaceChart], Tensor] | None = None
    guide_weight: float = 0.5
    spread: tuple[float, float] = (3.0, 3.0)
    paired: bool = True
    resting: float = 0.35
    drive: dict[str, float] = field(default_factory=dict)
    acts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fold:
    """One dominant fold along a line that everybody has.

    Attributes:
        name: of the fold.
        contractions: as for a group.
        points: (across, up) of the line on the left half, anatomical millimetres, in the order that puts the
            bulge on its left; or FaceChart -> such points.
        depth: millimetres at full contraction and the age of 60.
        width, bulge, bulge_width: of `fold_profile`.
        fade: millimetres over which it runs out at its first and at its last end.
        flare: how much wider it is at its last end, 0 = not at all.
        behind: millimetres behind the nose's root from which on it does not run.
        acts: as for a group.
    """

    name: str
    contractions: tuple[dict[str, float], ...]
    points: tuple[tuple[float, float], ...] | Callable[[FaceChart], tuple[tuple[float, float], ...]]
    depth: float
    width: float
    bulge: float
    bulge_width: float
    fade: tuple[float, float] = (6.0, 6.0)
    onset: float = 0.1
    span: float = 0.6
    youth: float = 0.45
    resting: float = 0.4
    paired: bool = True
    spread: tuple[float, float] = field(default=(4.0, 4.0))
    flare: float = 0.0
    behind: float = 58.0
    acts: dict[str, float] = field(default_factory=dict)


def _band(value: Tensor, low: float, high: float, soft: float) -> Tensor:
    return torch.sigmoid((value - low) / soft * 2) * torch.sigmoid((high - value) / soft * 2)


def front_of_face(chart: FaceChart) -> Tensor:
    """1 on the face, 0 on ears, scalp's back and nape."""
    return torch.sigmoid((58 - chart.behind) / 4)


def _from_point(chart: FaceChart, across: float, up: float) -> tuple[Tensor, Tensor]:
    """Returns lateral and vertical millimetres from a point given on the left half.

    Lateral is measured along the skin, outwards.
    """
    side = chart.across.abs()
    at = ((side - across) ** 2 + (chart.up - up) ** 2 + 4 * (chart.behind > 40)).argmin()
    lateral = side - across
    behind = chart.behind - chart.behind.flatten()[at]
    return torch.sign(lateral) * torch.sqrt(
        lateral**2 + behind.clamp_min(0) ** 2 * (lateral > 0) + 1e-6
    ), chart.up - up


def _radial(chart: FaceChart, across: float, up: float) -> Tensor:
    """Angle of rays from a point on each half of the face."""
    lateral, vertical = _from_point(chart, across, up)
    return torch.atan2(vertical, lateral * torch.sign(chart.across))


def _forehead(chart: FaceChart) -> Tensor:
    brow = 25 - 0.004 * (chart.across.abs() - 22).clamp_min(0) ** 2
    top = 70 - 0.006 * chart.across**2
    return (
        torch.sigmoid((chart.up - brow) / 2)
        * torch.sigmoid((top - chart.up) / 4)
        * torch.sigmoid((50 - chart.across.abs()) / 4)
    )


def _glabella(chart: FaceChart) -> Tensor:
    return torch.exp(-(((chart.across / 17) ** 2 + ((chart.up - 24) / 17) ** 2) ** 2))


def _nose_root(chart: FaceChart) -> Tensor:
    return torch.exp(-(((chart.across / 11) ** 2 + ((chart.up - 2) / 9) ** 2) ** 2))


def _crows_feet(chart: FaceChart) -> Tensor:
    lateral, vertical = _from_point(chart, 43, 1)
    reach = torch.sqrt(lateral**2 + vertical**2)
    angle = torch.atan2(vertical, lateral)
    return _band(reach, 4, 31, 4) * _band(angle, -0.95, 0.8, 0.22)


def _under_eye(chart: FaceChart) -> Tensor:
    across = (chart.across.abs() - 28) / 22
    up = chart.up / 15
    return _band(torch.sqrt(across**2 + up**2), 0.62, 1.35, 0.12) * torch.sigmoid((-5 - chart.up) / 1.5)


def _under_eye_arcs(chart: FaceChart) -> Tensor:
    across = (chart.across.abs() - 28) / 22**2
    up = chart.up / 15**2
    return torch.atan2(across * torch.sign(chart.across), -up)


def _bunny(chart: FaceChart) -> Tensor:
    return _band(chart.across.abs(), 4, 17, 2) * _band(chart.up, -27, -4, 3)


def _bunny_lines(chart: FaceChart) -> Tensor:
    return -0.6 * torch.sign(chart.across)


def _cheek(chart: FaceChart) -> Tensor:
    return _band(chart.across.abs(), 37, 52, 5) * _band(chart.up, -86, -44, 7)


def _cheek_arcs(chart: FaceChart) -> Tensor:
    return torch.atan2(-torch.ones_like(chart.up), 0.45 * torch.sign(chart.across))


def _mouth_ring(chart: FaceChart) -> Tensor:
    ring = torch.sqrt((chart.across / 31) ** 2 + ((chart.up + 67) / 21) ** 2)
    ring_skin = _band(ring, 0.3, 0.98, 0.12) * torch.sigmoid((19 - chart.across.abs()) / 2)
    return ring_skin * (1 - chart.lips).clamp(0, 1) ** 2 * torch.sigmoid((-46 - chart.up) / 1.5)


def _mouth_rays(chart: FaceChart) -> Tensor:
    return torch.atan2((chart.up + 67) * 1.6, chart.across)


def _below_corner(chart: FaceChart) -> Tensor:
    return _band(chart.across.abs(), 22, 42, 5) * _band(chart.up, -98, -70, 5)


def _chin(chart: FaceChart) -> Tensor:
    return torch.exp(-(((chart.across / 17) ** 2 + ((chart.up + 95) / 11) ** 2) ** 2))


def _neck(chart: FaceChart) -> Tensor:
    return torch.sigmoid((-118 - chart.up) / 3) * torch.sigmoid((75 - chart.behind) / 8)


def _level_lines(chart: FaceChart) -> Tensor:
    return torch.zeros_like(chart.up)


def _lips(chart: FaceChart) -> Tensor:
    return chart.lips * torch.sigmoid((21 - chart.across.abs()) / 1.5)


def _upright_lines(chart: FaceChart) -> Tensor:
    return torch.full_like(chart.up, torch.pi / 2) - 0.012 * chart.across * torch.sign(chart.up + 66)


def _nasolabial_line(chart: FaceChart) -> tuple[tuple[float, float], ...]:
    """From the wing's upper rim, around the corner of the mouth."""
    (wing, wing_up), (corner, corner_up) = chart.wing, chart.mouth_corner
    middle = 0.42 * wing + 0.58 * (corner + 12)
    return (
        (wing + 0.8, wing_up + 2.5), (wing + 3.2, wing_up - 5.5), (middle, 0.45 * wing_up + 0.55 * corner_up),
        (corner + 12, corner_up), (corner + 13.5, corner_up - 10), (corner + 13, corner_up - 17),
    )  # fmt: skip


def _marionette_line(chart: FaceChart) -> tuple[tuple[float, float], ...]:
    corner, up = chart.mouth_corner
    return (corner + 4, up - 2), (corner + 6.5, up - 8), (corner + 9, up - 20), (corner + 9.5, up - 30)


# Depths: forehead 0.3-0.8, crow's feet 0.2-0.6, glabella up to 1 mm in older skin, a third of it or less
# below 30: Lemperle et al. 2001
# (Plast. Reconstr. Surg. 108), Akazaki & Imokawa 2001 (J. Dermatol. Sci. 27), Fujimura et al. 2007 (Skin Res.
# Technol. 13).
# Wavelengths: counted on photographs, 3-5 forehead lines over 45 mm, 3-4 crow's feet over a fan of 25 mm,
# with finer lines between.
GROUPS: tuple[MuscleGroup, ...] = (
    MuscleGroup(
        "frontalis", (both_sides(browInnerUp=1.0, browOuterUp=1.0),), _forehead,
        (CreaseLevel(10.5, 0.7, 2.4, onset=0.14, breaks=3.4),
            CreaseLevel(4.6, 0.18, 1.8, onset=0.08, span=0.4, breaks=2.2)),
        guide=_level_lines, guide_weight=0.35, spread=(5, 15), paired=False, resting=0.4,
    ),
    MuscleGroup(
        "corrugator", (both_sides(browDown=1.0),), _glabella, (CreaseLevel(5.5, 0.2, 2.6),),
        guide=_upright_lines, guide_weight=0.5, spread=(3, 5), paired=False,
    ),
    MuscleGroup(
        "procerus", (both_sides(browDown=1.0), both_sides(noseSneer=1.0)), _nose_root,
        (CreaseLevel(5.5, 0.34, 2.8), CreaseLevel(2.6, 0.1, 2.0)),
        guide=_level_lines, guide_weight=0.5, paired=False,
    ),
    MuscleGroup(
        "orbicularis_lateral",
        (both_sides(eyeSquint=1.0), both_sides(cheekSquint=1.0), both_sides(mouthSmile=1.0)), _crows_feet,
        (CreaseLevel(5.6, 0.46, 1.7, breaks=2.6),
            CreaseLevel(2.7, 0.13, 1.4, onset=0.08, span=0.4, breaks=2.4)),
        guide=lambda chart: _radial(chart, 34, 2), guide_weight=0.75, resting=0.42,
        acts={"eyeSquint": 1.0, "cheekSquint": 1.0},
    ),
    MuscleGroup(
        "orbicularis_lower", (both_sides(eyeSquint=1.0), both_sides(cheekSquint=1.0)), _under_eye,
        (CreaseLevel(3.8, 0.15, 1.8, onset=0.08, breaks=2.2),
            CreaseLevel(2.2, 0.07, 1.4, onset=0.08, span=0.4, breaks=2.2)),
        guide=_under_eye_arcs, guide_weight=0.6, resting=0.5,
    ),
    MuscleGroup(
        "nasalis", (both_sides(noseSneer=1.0),), _bunny,
        (CreaseLevel(4.4, 0.4, 2.8), CreaseLevel(2.4, 0.12, 1.8)),
        guide=_bunny_lines, guide_weight=0.35, resting=0.2,
    ),
    MuscleGroup(
        "zygomatic", (both_sides(mouthSmile=1.0), both_sides(mouthDimple=1.0)), _cheek,
        (CreaseLevel(8.5, 0.32, 1.8, onset=0.22, youth=0.05, breaks=2.2),),
        guide=_cheek_arcs, guide_weight=0.25, spread=(5, 6), resting=0.5,
    ),
    MuscleGroup(
        "depressors", (both_sides(mouthFrown=1.0), both_sides(mouthStretch=1.0)), _below_corner,
        (CreaseLevel(6.5, 0.24, 2.4, onset=0.2, youth=0.2),),
        guide=None, spread=(4, 5),
    ),
    MuscleGroup(
        "orbicularis_oris", ({"mouthPucker": 1}, {"mouthFunnel": 1}), _mouth_ring,
        (CreaseLevel(4.4, 0.3, 2.2, onset=0.15, youth=0.25, breaks=2.2),
            CreaseLevel(2.4, 0.12, 1.6, onset=0.08, youth=0.2, breaks=2.4)),
        guide=_mouth_rays, guide_weight=0.93, paired=False, resting=0.3,
    ),
    MuscleGroup(
        "lips", ({"mouthPucker": 1}, {"mouthFunnel": 1}), _lips,
        (CreaseLevel(2.0, 0.22, 1.3, onset=-0.3, span=0.8, youth=0.9, breaks=2.2),),
        guide=_upright_lines, guide_weight=1.0, paired=False, resting=0.2,
    ),
    MuscleGroup(
        "mentalis", ({"mouthShrugLower": 1},), _chin,
        (CreaseLevel(5.0, 0.4, 1.8, youth=0.6), CreaseLevel(2.6, 0.1, 1.4, youth=0.6)),
        anisotropy=0.0, spread=(8, 8), paired=False, resting=0.1,
        drive=both_sides(mouthShrugLower=0.9, mouthPucker=0.3, mouthFrown=0.12),
    ),
    MuscleGroup(
        "platysma", ({"jawOpen": 1},), _neck,
        (CreaseLevel(18.0, 0.45, 2.6, onset=0.15, youth=0.15),
            CreaseLevel(6.0, 0.1, 1.6, onset=0.15, youth=0.05)),
        guide=_level_lines, guide_weight=1.0, spread=(12, 8), paired=False, resting=0.8,
    ),
)  # fmt: skip

FOLDS: tuple[Fold, ...] = (
    Fold(
        "nasolabial", (both_sides(mouthSmile=1.0), both_sides(noseSneer=1.0, mouthUpperUp=1.0)),
        _nasolabial_line, depth=1.0, width=1.7, bulge=0.3, bulge_width=6.0, fade=(4, 26), onset=0.12,
        span=0.4, youth=0.4, resting=0.3, spread=(8, 15), flare=0.5,
        acts={
            "mouthSmile": 1.0, "mouthUpperUp": 0.9, "noseSneer": 0.8, "cheekSquint": 0.6, "mouthDimple": 0.6,
            "mouthStretch": 0.5, "mouthPress": 0.25, "mouthFrown": 0.25,
        },
    ),
    Fold(
        "marionette", (both_sides(mouthFrown=1.0), both_sides(mouthSmile=1.0)),
        _marionette_line, depth=0.55, width=1.5, bulge=0.25, bulge_width=4.5, fade=(6, 16), youth=0.12,
        spread=(6, 6), flare=0.4,
    ),
    Fold(
        "eleven", (both_sides(browDown=1.0),), ((10.5, 38), (8.0, 28), (7.0, 18), (7.5, 8)),
        depth=0.75, width=1.3, bulge=0.25, bulge_width=3.2, fade=(14, 7), youth=0.35, resting=0.35,
    ),
    Fold(
        "mentolabial", ({"mouthShrugLower": 1}, both_sides(mouthFrown=1.0)),
        ((20, -87), (11, -83), (0, -81.5), (-11, -83), (-20, -87)),
        depth=0.4, width=1.8, bulge=0.25, bulge_width=5.0, fade=(10, 10), paired=False, spread=(5, 5),
    ),
    Fold(
        "tear_trough", (both_sides(cheekSquint=1.0), both_sides(eyeSquint=1.0)),
        ((14.5, -8), (17.5, -14), (23.5, -19.5), (31, -22.5), (39, -21)),
        depth=0.55, width=2.6, bulge=0.7, bulge_width=6.0, fade=(5, 16), onset=-0.15, span=1.0, youth=0.03,
        resting=0.9, spread=(6, 5), flare=0.5,
    ),
    Fold(
        "under_lid", (both_sides(eyeSquint=1.0), both_sides(cheekSquint=1.0)),
        ((16.5, -5.5), (21, -9.5), (28.5, -11.8), (36, -10), (41, -6)),
        depth=0.34, width=1.0, bulge=0.45, bulge_width=3.4, fade=(6, 8), onset=0.05, youth=0.3, resting=0.5,
        spread=(5, 4),
    ),
    Fold(
        "neck_ring_upper", ({"jawOpen": 1},), ((-44, -120), (-22, -126), (0, -129), (22, -126), (44, -120)),
        depth=0.45, width=1.5, bulge=0.25, bulge_width=6.0, fade=(14, 14), onset=-0.25, span=0.8, youth=0.3,
        resting=0.6, paired=False, spread=(14, 8), behind=85.0,
    ),
    Fold(
        "neck_ring_lower", ({"jawOpen": 1},), ((-46, -136), (-18, -143), (4, -145), (26, -142), (46, -137)),
        depth=0.5, width=1.7, bulge=0.25, bulge_width=7.0, fade=(18, 12), onset=-0.25, span=0.8, youth=0.3,
        resting=0.6, paired=False, spread=(14, 8), behind=85.0,
    ),
)  # fmt: skip
