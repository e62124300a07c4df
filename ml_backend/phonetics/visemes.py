"""The lip shape of each phone as ARKit coefficients, and how strongly it insists on it.

Shapes follow the viseme set of Edwards et al. 2016, "JALI" (jaw and lips as separate axes), written for
ARKit's units; the dominance of a phone over its neighbours follows Cohen and Massaro 1993, "Modeling
coarticulation in synthetic visual speech": consonants made with the lips and rounded vowels dominate the
lips, open vowels the jaw, the tongue's consonants give way to what surrounds them.
"""

from dataclasses import dataclass, field

from .phones import PAUSE


@dataclass(frozen=True)
class Viseme:
    """One lip shape.

    Attributes:
        shape: target by channel, 0..1; channels not named are 0. A name without Left/Right stands for both
            sides.
        jaw: dominance of the jaw group, 0..1.
        lips: dominance of the lip group, 0..1.
        anticipation: seconds over which the lips move into the shape before the phone begins.
        carry: seconds over which they leave it.
    """

    shape: dict[str, float] = field(default_factory=dict)
    jaw: float = 0.6
    lips: float = 0.5
    anticipation: float = 0.08
    carry: float = 0.08


REST = Viseme({}, jaw=1.0, lips=1.0, anticipation=0.09, carry=0.07)

# The lips touch (p b m) or the lower lip touches the upper teeth (f v): these poses are reached whatever
# surrounds them.
BILABIAL_POSE = {
    "jawOpen": 0.06,
    "mouthClose": 0.06,
    "mouthPress": 0.3,
    "mouthRollLower": 0.22,
    "mouthRollUpper": 0.16,
    "mouthShrugLower": 0.06,
}
# The incisors stand 3.5 mm behind the lips at rest. Rolling both lips in a little brings the lower one there;
# full rolls take it through them.
LABIODENTAL_POSE = {
    "jawOpen": 0.07,
    "mouthRollLower": 0.35,
    "mouthRollUpper": 0.4,
    "mouthUpperUp": 0.2,
    "mouthSmile": 0.16,
}

_SPREAD = {"mouthSmile": 0.16, "mouthStretch": 0.16, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06}
_SIBILANT = {
    "jawOpen": 0.05,
    "mouthLowerDown": 0.26,
    "mouthUpperUp": 0.1,
    "mouthStretch": 0.12,
    "mouthSmile": 0.06,
}
_PALATAL = {
    "jawOpen": 0.06,
    "mouthFunnel": 0.45,
    "mouthLowerDown": 0.2,
    "mouthUpperUp": 0.12,
    "jawForward": 0.1,
}
_TIP = {"jawOpen": 0.1, "mouthLowerDown": 0.14, "mouthUpperUp": 0.05}
_BACK = {"jawOpen": 0.13, "mouthLowerDown": 0.08, "mouthUpperUp": 0.04}

VISEMES: dict[str, Viseme] = {
    PAUSE: REST,
    **dict.fromkeys(("P", "B", "M"), Viseme(BILABIAL_POSE, jaw=0.9, lips=1.0, anticipation=0.06, carry=0.06)),
    **dict.fromkeys(("F", "V"), Viseme(LABIODENTAL_POSE, jaw=0.85, lips=1.0, anticipation=0.07, carry=0.06)),
    **dict.fromkeys(("T", "D", "N", "L"), Viseme(_TIP, jaw=0.45, lips=0.25, anticipation=0.05, carry=0.05)),
    **dict.fromkeys(("K", "G", "NG"), Viseme(_BACK, jaw=0.35, lips=0.15, anticipation=0.05, carry=0.05)),
    "HH": Viseme({"jawOpen": 0.15, "mouthLowerDown": 0.06}, jaw=0.2, lips=0.08),
    **dict.fromkeys(("S", "Z"), Viseme(_SIBILANT, jaw=0.8, lips=0.5, anticipation=0.06, carry=0.06)),
    **dict.fromkeys(
        ("SH", "ZH", "CH", "JH"), Viseme(_PALATAL, jaw=0.8, lips=0.75, anticipation=0.1, carry=0.08)
    ),
    **dict.fromkeys(
        ("TH", "DH"),
        Viseme(
            {"jawOpen": 0.11, "mouthLowerDown": 0.2, "mouthUpperUp": 0.08, "tongueOut": 0.14},
            jaw=0.55,
            lips=0.35,
        ),
    ),
    "R": Viseme({"jawOpen": 0.09, "mouthFunnel": 0.32, "mouthPucker": 0.14}, jaw=0.5, lips=0.5),
    "Y": Viseme({"jawOpen": 0.08, **_SPREAD}, jaw=0.5, lips=0.4),
    "W": Viseme(
        {"jawOpen": 0.05, "mouthPucker": 0.75, "mouthFunnel": 0.22},
        jaw=0.75,
        lips=0.95,
        anticipation=0.13,
        carry=0.1,
    ),
    "IY": Viseme({"jawOpen": 0.09, **_SPREAD, "mouthSmile": 0.26}, jaw=0.65, lips=0.6),
    "IH": Viseme({"jawOpen": 0.15, **_SPREAD}, jaw=0.6, lips=0.45),
    "EY": Viseme({"jawOpen": 0.2, **_SPREAD, "mouthSmile": 0.22}, jaw=0.7, lips=0.55),
    "EH": Viseme(
        {
            "jawOpen": 0.26,
            "mouthStretch": 0.12,
            "mouthLowerDown": 0.16,
            "mouthUpperUp": 0.08,
            "mouthSmile": 0.08,
        },
        jaw=0.75,
        lips=0.5,
    ),
    "AE": Viseme(
        {
            "jawOpen": 0.38,
            "mouthStretch": 0.16,
            "mouthLowerDown": 0.2,
            "mouthUpperUp": 0.12,
            "mouthSmile": 0.1,
        },
        jaw=0.9,
        lips=0.6,
    ),
    "AA": Viseme({"jawOpen": 0.47, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06}, jaw=1.0, lips=0.6),
    "AH": Viseme({"jawOpen": 0.27, "mouthLowerDown": 0.1, "mouthUpperUp": 0.05}, jaw=0.7, lips=0.4),
    "AO": Viseme(
        {"jawOpen": 0.38, "mouthFunnel": 0.42, "mouthPucker": 0.08}, jaw=0.9, lips=0.75, anticipation=0.1
    ),
    "ER": Viseme({"jawOpen": 0.15, "mouthFunnel": 0.34, "mouthPucker": 0.1}, jaw=0.65, lips=0.6),
    "UH": Viseme(
        {"jawOpen": 0.14, "mouthFunnel": 0.36, "mouthPucker": 0.3}, jaw=0.65, lips=0.75, anticipation=0.11
    ),
    "UW": Viseme(
        {"jawOpen": 0.08, "mouthPucker": 0.7, "mouthFunnel": 0.3},
        jaw=0.75,
        lips=0.95,
        anticipation=0.14,
        carry=0.12,
    ),
}

# Diphthongs move: a first and a second target, and the share of the phone's time at which the second takes
# over.
DIPHTHONGS: dict[str, tuple[Viseme, Viseme, float]] = {
    "AY": (VISEMES["AA"], Viseme({"jawOpen": 0.14, **_SPREAD}, jaw=0.6, lips=0.5), 0.62),
    "AW": (
        VISEMES["AA"],
        Viseme({"jawOpen": 0.12, "mouthPucker": 0.5, "mouthFunnel": 0.3}, jaw=0.65, lips=0.8),
        0.62,
    ),
    "OW": (
        Viseme(
            {"jawOpen": 0.21, "mouthFunnel": 0.42, "mouthPucker": 0.24}, jaw=0.8, lips=0.8, anticipation=0.1
        ),
        VISEMES["UW"],
        0.5,
    ),
    "OY": (
        Viseme(
            {"jawOpen": 0.3, "mouthFunnel": 0.45, "mouthPucker": 0.3}, jaw=0.85, lips=0.9, anticipation=0.11
        ),
        VISEMES["IY"],
        0.6,
    ),
}
