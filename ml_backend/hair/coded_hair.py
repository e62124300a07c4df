"""Strands for a hair code: the sixteen numbers of a face's hair as cuts, sliders and pigments. numpy only.

The order of the numbers is that of `HAIR_NAMES` in `models/face_codes.py`.
"""

from dataclasses import dataclass, field

import numpy as np

from .face_hair import BEARD_STYLES
from .pigments import pigments_of
from .scalp_styles import SCALP_STYLES

_CUTS = tuple(name for name in SCALP_STYLES if name != "TIED")
"""Cuts that a code can be; the shipped networks learned with these."""
DESCRIBED = len(_CUTS) + len(BEARD_STYLES) + 2
"""Numbers of `described_hair`."""
_BROWN = np.log([0.050, 0.031, 0.020])
_TINTS = np.array([[-0.9, -0.9, -0.9], [0.25, 0.0, -0.25], [0.10, 0.22, 0.36]])
_LONGEST = {"COILY": 0.75, "CURLY": 0.9, "WAVY": 1.1, "LONG": 1.1, "BOB": 1.1}
"""Lengths beside a cut's own: more of it would stand off the head."""
_LEAST_BEARD, _PLAIN_BEARD = 0.22, 0.42


@dataclass(frozen=True)
class CodedHair:
    """Hair that a code describes.

    Attributes:
        styles: by part; parts that are not named have no hair.
        pigments: melanin, redness and share of grey by part.
        numbers: other sliders by part.
    """

    styles: dict[str, str]
    pigments: dict[str, tuple[float, float, float]]
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


def code_colour(code: np.ndarray) -> np.ndarray:
    """Returns the linear colour (3,) of scalp hair of a code (16,), in even light of 1."""
    return np.exp(_BROWN + np.asarray(code, np.float64)[1:4] @ _TINTS)


def hair_of_code(code: np.ndarray) -> CodedHair:
    """Returns the hair that a code (16,) describes: the same code gives the same hair.

    Length at the sides chooses among short and hanging cuts, the strands' number among straight, curly and
    coily ones.
    """
    h = np.asarray(code, np.float64)
    styles = {"brows": "NATURAL", "lashes": "NATURAL", "scalp": _cut(h)}
    if h[11] > 1.2:
        styles["brows"] = "THICK"
    elif h[11] < -1.2:
        styles["brows"] = "THIN"
    beards = 1 / (1 + np.exp(-(2 * h[12:15] - 2.2)))
    beard = _beard(*(float(part) for part in beards))
    if beard:
        styles["beard"] = beard
    colour = code_colour(h)
    pigments = {
        "scalp": pigments_of(colour),
        "brows": pigments_of(0.7 * colour * np.exp(-0.4 * h[10])),
        "lashes": (0.95, 0.1, 0.0),
        "beard": pigments_of(colour * np.exp(-0.3 * h[15])),
    }
    numbers = {
        "scalp": {
            "length": float(np.clip(np.exp(0.25 * h[6]), 0.5, _LONGEST.get(styles["scalp"], 1.7))),
            "density": float(np.clip(np.exp(0.25 * h[0]), 0.4, 1.6)),
        },
        "brows": {"density": float(np.clip(np.exp(0.35 * h[9]), 0.35, 2.0))},
        "beard": {"density": float(np.clip(0.4 + beards.max(), 0.4, 1.4))},
    }
    return CodedHair(styles, pigments, numbers)


def described_hair(code: np.ndarray) -> np.ndarray:
    """Returns (19,) float32 what hair a code (16,) is: 1 at its cut, 1 at its beard, logarithms of the length
    and the density of its scalp hair."""
    hair = hair_of_code(code)
    scalp = hair.numbers["scalp"]
    chosen = [float(name == hair.styles["scalp"]) for name in _CUTS]
    chosen += [float(name == hair.styles.get("beard")) for name in BEARD_STYLES]
    return np.array([*chosen, np.log(scalp["length"]), np.log(scalp["density"])], np.float32)


def _cut(h: np.ndarray) -> str:
    """Returns the cut of scalp hair of a code (16,)."""
    density, hairline, sides = h[0], h[4], h[7]
    if density < -1.5:
        return "BALD_CROWN" if hairline > 0 else "SHAVED"
    if hairline > 1.3:
        return "RECEDING"
    if h[8] > 0.9:
        return "COILY" if sides < 0.4 else "CURLY"
    if sides > 1.2:
        return "WAVY" if h[8] > 0 else "LONG"
    if sides > 0.7:
        return "BOB"
    if sides > 0.2:
        return "SLICKED" if h[6] < 0.3 else "SIDE_PART"
    if sides > -1.1:
        return "FADE" if h[6] > 0.5 else "CROPPED"
    return "SHAVED"


def _beard(moustache: float, chin: float, jaw: float) -> str:
    """Returns the style of a beard of strengths 0 to 1, or no name without one."""
    most = max(moustache, chin, jaw)
    if most < _LEAST_BEARD:
        return ""
    if most < _PLAIN_BEARD:
        return "STUBBLE"
    if jaw > 0.6 * most:
        return "FULL" if max(moustache, chin) > 0.5 * most else "SIDEBURNS"
    return "GOATEE" if chin > 0.6 * most else "MOUSTACHE"
