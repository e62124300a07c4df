"""Controls of MetaHuman's face, as Unreal exports them, to ARKit's expressions.

numpy and the standard library only.
"""

import csv
import io
import re

import numpy as np

from ..errors import UserError
from .foreign_curves import ForeignTake
from .live_link import LONGEST
from .timecodes import at_constant_rate, capture_rate

_PREFIX = "CTRL_expressions_"
_BOTH = {
    "eyeBlink": "eyeBlink", "eyeSquintInner": "eyeSquint", "eyeWiden": "eyeWide", "eyeLookUp": "eyeLookUp",
    "eyeLookDown": "eyeLookDown", "browDown": "browDown", "browRaiseOuter": "browOuterUp",
    "eyeCheekRaise": "cheekSquint", "noseWrinkle": "noseSneer", "mouthCornerPull": "mouthSmile",
    "mouthCornerDepress": "mouthFrown", "mouthDimple": "mouthDimple", "mouthStretch": "mouthStretch",
    "mouthLowerLipDepress": "mouthLowerDown", "mouthUpperLipRaise": "mouthUpperUp",
}  # fmt: skip
"""Controls with L and R, and the expressions with Left and Right that they are."""
_QUARTERS = ("UL", "UR", "DL", "DR")
_MEANS = {
    "jawOpen": ("jawOpen",), "jawLeft": ("jawLeft",), "jawRight": ("jawRight",), "jawForward": ("jawFwd",),
    "mouthLeft": ("mouthLeft",), "mouthRight": ("mouthRight",), "tongueOut": ("tongueOut",),
    "browInnerUp": ("browRaiseInL", "browRaiseInR"),
    "mouthFunnel": tuple(f"mouthFunnel{place}" for place in _QUARTERS),
    "mouthPucker": tuple(f"mouthLipsPurse{place}" for place in _QUARTERS),
    "mouthClose": tuple(f"mouthLipsTogether{place}" for place in _QUARTERS),
    "mouthPressLeft": ("mouthPressUL", "mouthPressDL"), "mouthPressRight": ("mouthPressUR", "mouthPressDR"),
    "mouthRollUpper": ("mouthUpperLipRollInL", "mouthUpperLipRollInR"),
    "mouthRollLower": ("mouthLowerLipRollInL", "mouthLowerLipRollInR"),
    "mouthShrugLower": ("jawChinRaiseDL", "jawChinRaiseDR"),
    "mouthShrugUpper": ("jawChinRaiseUL", "jawChinRaiseUR"),
    "cheekPuff": ("mouthCheekBlowL", "mouthCheekBlowR"),
    "eyeLookOutLeft": ("eyeLookLeftL",), "eyeLookInLeft": ("eyeLookRightL",),
    "eyeLookOutRight": ("eyeLookRightR",), "eyeLookInRight": ("eyeLookLeftR",),
} | {
    f"{name}{side}": (f"{control}{side[0]}",) for control, name in _BOTH.items() for side in ("Left", "Right")
}  # fmt: skip
"""Controls by the expression whose mean they are."""
_TURNS = {"headyaw": 0, "headpitch": 1, "headroll": 2}


def read_metahuman(path: object, text: str) -> ForeignTake | None:
    """Returns the curves of a CSV with MetaHuman's controls; None for another file.

    A row a frame with seconds in the first column, or Unreal's curve table: a row a control, with the seconds
    as titles. Head curves HeadYaw, HeadPitch and HeadRoll are read in radians.

    Raises:
        UserError: a cell is no number, or a line is too short.
    """
    if _PREFIX.lower() not in text[:200_000].lower():
        return None
    broken = UserError(
        f"{path}: not curves of MetaHuman that can be read.",
        "Expected seconds in the first column or line, and numbers.",
    )
    try:
        rows = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text)) if any(line)]
    except csv.Error as error:
        raise broken from error
    if len(rows) > 1 and sum(_PREFIX.lower() in row[0].lower() for row in rows[1:]) > len(rows) // 2:
        rows = [list(column) for column in zip(*rows, strict=False)]
    titles = [re.split(r"[.:|]", title)[-1] for title in rows[0][1:]]
    try:
        table = np.array([[float(cell or 0) for cell in row] for row in rows[1:]], float)
        seconds, values = table[:, 0], table[:, 1:]
        if values.shape[1] != len(titles) or not np.isfinite(table).all() or (np.diff(seconds) <= 0).any():
            raise ValueError("a line is too short, or the times do not rise")
    except (ValueError, IndexError) as error:
        raise broken from error
    if len(seconds) > 1 and np.allclose(seconds, np.round(seconds)):
        seconds = seconds / 30.0  # whole numbers are frames
    by_name = {title.lower().removeprefix(_PREFIX.lower()): index for index, title in enumerate(titles)}
    names, columns = [], []
    for name, controls in _MEANS.items():
        here = [by_name[control.lower()] for control in controls if control.lower() in by_name]
        if here:
            names.append(name)
            columns.append(values[:, here].mean(1))
    head = np.zeros((len(values), 9))
    for title, index in by_name.items():
        if title in _TURNS:
            head[:, _TURNS[title]] = values[:, index]
    if not names:
        raise UserError(
            f"{path}: not curves of MetaHuman that can be read.", "Export the controls of the face board."
        )
    rate = capture_rate(seconds)
    if (seconds[-1] - seconds[0]) * rate > LONGEST:
        raise broken
    whole = np.concatenate([np.stack(columns, 1), head], 1).astype(np.float32)
    made = at_constant_rate(seconds, whole, rate, (float(seconds[0]), float(seconds[-1])))
    notes = (f"{len(names)} expressions are read from MetaHuman's controls; finer controls are passed over",)
    return ForeignTake(rate, tuple(names), made[:, : len(names)], made[:, len(names) :], notes)
