"""A face on disk: identity, skin and expression as JSON, shared by the shell and Blender."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_matching import named_expression
from ..expression_names import EXPRESSION_NAMES
from .atomic_write import atomic_path

_SKIN_SIZE = 16
_LARGEST = float(np.finfo(np.float32).max)
_REMEDY = 'A face file looks like {"identity": [...], "skin": [...], "expression": {"jawOpen": 0.5}}.'


@dataclass(frozen=True)
class FaceParameters:
    """The parameters of a face: identity, skin and expression.

    Attributes:
        identity: (K,) float32 coefficients in standard deviations, or None where the file has none.
        skin: (16,) float32, or None.
        expression: (52,) float32.
        model: fingerprint of the face model that the identity belongs to; empty where the file names none.
        light: (9, 3) float32 spherical harmonics of the light that a photo showed, or None.
        pose: (3,) float32 yaw, pitch, roll of the head in degrees, or None.
    """

    identity: np.ndarray | None
    skin: np.ndarray | None
    expression: np.ndarray
    model: str = ""
    light: np.ndarray | None = None
    pose: np.ndarray | None = None


def expression_vector(values: dict[str, float], source: str) -> np.ndarray:
    """Turns named coefficients into a vector.

    Args:
        values: coefficients by ARKit name, in any spelling that `named_expression` reads; missing ones are 0.
        source: named in errors.

    Returns:
        (52,) float32.

    Raises:
        UserError: a name is not ARKit's or a value is no finite number.
    """
    vector = np.zeros(len(EXPRESSION_NAMES), np.float32)
    for name, value in values.items():
        expression = named_expression(name)
        if expression is None:
            near = [other for other in EXPRESSION_NAMES if other.lower().startswith(name.lower()[:4])]
            raise UserError(
                f"{source}: {name!r} is not an expression.",
                f"Perhaps {', '.join(near)}." if near else "`info` lists all 52.",
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
            raise UserError(
                f"{source}: {name} is {repr(value)[:40]}, not a finite number.", "0 is neutral, 1 full."
            )
        vector[EXPRESSION_NAMES.index(expression)] = value
    return vector


def read_face(path: str | Path) -> FaceParameters:
    """Reads a face file.

    Raises:
        UserError: the file is missing, not JSON, or a value is of the wrong kind.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}).", _REMEDY) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a face file.", _REMEDY)
    expression = content.get("expression", {} if "identity" in content else content)
    if not isinstance(expression, dict):
        raise UserError(f"{path}: 'expression' is not a set of named numbers.", _REMEDY)
    model = content.get("face_model", "") if "identity" in content else ""
    if not isinstance(model, str):
        raise UserError(f"{path}: 'face_model' is not a name.", _REMEDY)
    return FaceParameters(
        _vector(path, content, "identity"),
        _array(path, content, "skin", (_SKIN_SIZE,)),
        expression_vector(expression, str(path)),
        model,
        _array(path, content, "light", (9, 3)),
        _array(path, content, "pose", (3,)),
    )


def _array(path: Path, content: dict, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if key not in content:
        return None
    try:
        array = np.array(content[key], np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: {key!r} is not a list of numbers.", _REMEDY) from error
    if array.shape != shape or not np.isfinite(array).all():
        size = " x ".join(str(count) for count in shape)
        raise UserError(f"{path}: {key!r} is not {size} of finite numbers.", _REMEDY)
    return array


def _vector(path: Path, content: dict, key: str) -> np.ndarray | None:
    if key not in content:
        return None
    try:
        vector = np.array(content[key], np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: {key!r} is not a list of numbers.", _REMEDY) from error
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise UserError(f"{path}: {key!r} is not a list of finite numbers.", _REMEDY)
    return vector


def write_face(path: str | Path, face: FaceParameters, sliders: Mapping | None = None) -> None:
    """Writes a face file, complete or not at all; expressions at 0 are left out.

    Args:
        path: of the file.
        face: its parameters.
        sliders: JSON values that Blender keeps beside them, or None.

    Raises:
        OSError: the file cannot be written.
    """
    content: dict = {
        name: np.asarray(value, float).round(6).tolist()
        for name, value in (
            ("identity", face.identity),
            ("skin", face.skin),
            ("light", face.light),
            ("pose", face.pose),
        )
        if value is not None
    }
    if face.identity is not None and face.model:
        content = {"face_model": face.model} | content
    content["expression"] = {
        name: round(float(value), 6)
        for name, value in zip(EXPRESSION_NAMES, face.expression, strict=True)
        if value
    }
    if sliders is not None:
        content["sliders"] = dict(sliders)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    with atomic_path(path) as partial:
        partial.write_text(text, "utf-8")
