"""The cuts of scalp hair as numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScalpStyle:
    """One cut, at natural length. Lengths are metres.

    Attributes:
        top, sides, back: length on the crown, above the ears and behind.
        fade: height over which the sides grow from stubble to their length; 0 for none.
        flow: direction along the scalp: `crown` away from the whorl, `part`, `back`, `forward`, `up`, or
            `tied` to a knot behind the head; then `back` is the length of what hangs from it.
        part: place of the parting from the middle, towards the person's left.
        lift: angle over the skin at the root, radians.
        stiffness: 0 follows flow and weight at once, 1 keeps the direction of the root.
        weight: pull downwards, 1 for long straight hair; below 0 springy hair rises.
        volume: height of the outer strands above the scalp.
        cut: height of a blunt cut below the axis' origin, or None for the lengths above.
        tuck: share of the way to the head's axis that the ends of hanging hair bend.
        cling: share by which a step of hanging hair is drawn to the head, 0 to 1.
        curl: radius of a curl; `pitch` its length along the strand; `flat` for waves in a plane.
        clump: 0 strands are free, 1 they meet at the tips; `locks` strands meet in one clump.
        frizz: how far strands stray at their tips.
        recede: the hairline's height at temples beyond the usual; `bald` the radius of a bare crown.
        sideburns: hair before the ears.
        face_gap: degrees of azimuth that hanging hair keeps away from the face's middle.
        strands, points: how many, and points in each.
        radius: of a strand.
    """

    top: float
    sides: float
    back: float
    fade: float = 0.0
    flow: str = "crown"
    part: float = 0.0
    lift: float = 0.5
    stiffness: float = 0.6
    weight: float = 0.2
    volume: float = 0.004
    cut: float | None = None
    tuck: float = 0.0
    cling: float = 0.0
    curl: float = 0.0
    pitch: float = 0.03
    flat: bool = False
    clump: float = 0.4
    locks: int = 40
    frizz: float = 0.0015
    recede: float = 0.0
    bald: float = 0.0
    sideburns: bool = True
    face_gap: float = 0.0
    strands: int = 45_000
    points: int = 8
    radius: float = 4.2e-5


SCALP_STYLES: dict[str, ScalpStyle] = {
    "SHAVED": ScalpStyle(0.0016, 0.0014, 0.0014, lift=0.7, clump=0.0, frizz=0.0002, points=3, strands=60_000),
    "CROPPED": ScalpStyle(
        0.014, 0.007, 0.007, fade=0.03, flow="forward", lift=0.75, stiffness=0.75, clump=0.35, locks=22,
        frizz=0.0016, points=6, strands=60_000,
    ),
    "FADE": ScalpStyle(
        0.030, 0.004, 0.004, fade=0.055, flow="forward", part=0.02, lift=0.95, stiffness=0.7, weight=0.25,
        volume=0.016, clump=0.55, locks=30, frizz=0.002, points=9, strands=60_000,
    ),
    "SIDE_PART": ScalpStyle(
        0.062, 0.020, 0.018, fade=0.035, flow="part", part=0.028, lift=0.6, stiffness=0.38, weight=0.40,
        volume=0.012, cling=0.6, clump=0.55, locks=60, frizz=0.002, face_gap=36.0, points=12,
    ),
    "SLICKED": ScalpStyle(
        0.12, 0.055, 0.045, flow="back", lift=0.4, stiffness=0.25, weight=0.45, volume=0.011,
        cling=0.5, clump=0.55, locks=70, frizz=0.0012, points=14,
    ),
    "TIED": ScalpStyle(
        0.0, 0.0, 0.20, flow="tied", volume=0.010, clump=0.55, locks=240, frizz=0.0022, points=18,
    ),
    "CURLY": ScalpStyle(
        0.11, 0.07, 0.08, flow="crown", lift=1.0, stiffness=0.5, weight=0.4, volume=0.028, curl=0.0055,
        pitch=0.024, clump=0.93, locks=46, frizz=0.0016, face_gap=30.0, points=36, strands=26_000,
    ),
    "COILY": ScalpStyle(
        0.055, 0.046, 0.046, fade=0.045, flow="up", lift=1.45, stiffness=0.9, weight=-0.2, volume=0.0,
        curl=0.0026, pitch=0.0085, clump=0.45, locks=14, frizz=0.006, points=36, strands=34_000,
        radius=4.4e-5,
    ),
    "BOB": ScalpStyle(
        0.30, 0.30, 0.30, flow="part", part=0.022, lift=0.55, stiffness=0.2, weight=1.0, volume=0.017,
        cut=-0.062, tuck=0.10, cling=0.5, clump=0.45, locks=110, frizz=0.0016, sideburns=False,
        face_gap=52.0, points=18,
    ),
    "LONG": ScalpStyle(
        0.46, 0.46, 0.46, flow="part", lift=0.5, stiffness=0.2, weight=1.0, volume=0.017, cut=-0.128,
        cling=0.5, clump=0.5, locks=130, frizz=0.002, sideburns=False, face_gap=53.0, points=22,
    ),
    "WAVY": ScalpStyle(
        0.46, 0.46, 0.46, flow="part", part=0.018, lift=0.7, stiffness=0.25, weight=0.95, volume=0.020,
        cut=-0.118, cling=0.45, curl=0.009, pitch=0.075, flat=True, clump=0.75, locks=140, frizz=0.0025,
        sideburns=False, face_gap=52.0, points=30, strands=36_000,
    ),
    "RECEDING": ScalpStyle(
        0.024, 0.014, 0.014, flow="forward", lift=0.55, stiffness=0.5, weight=0.3, volume=0.006, clump=0.4,
        locks=24, frizz=0.0024, recede=0.024, points=8, strands=38_000, radius=3.8e-5,
    ),
    "BALD_CROWN": ScalpStyle(
        0.010, 0.014, 0.014, flow="crown", lift=0.5, stiffness=0.5, weight=0.35, volume=0.004, clump=0.35,
        locks=20, frizz=0.0022, recede=0.030, bald=0.072, points=7, strands=32_000, radius=3.8e-5,
    ),
}  # fmt: skip
"""Cuts by name."""
