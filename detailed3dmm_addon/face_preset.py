"""A face as a file: what its sliders say, written to JSON and put into another face."""

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..ml_backend.errors import UserError
from ..ml_backend.face_file import FaceParameters, read_face, write_face
from . import is_face, live_update
from .detail_nodes import REGIONS
from .face_model import direction_step, expression_of, face_model, identity_of, skin_of

_NUMBERS = ("skin_tone", "hair", "age_offset", "skin_tendency", "skin_thickness", "detail_strength", "pores")
_SEEDS = ("identity_seed", "wrinkle_seed")
_REMEDY = "Save the face again with Save Face."


@dataclass(frozen=True)
class FacePreset:
    """A face that was read from a file.

    Attributes:
        parameters: identity, skin and expression, as the shell reads them.
        directions: amounts of the named directions, a part of the identity.
        numbers: values of the face's properties by name, seeds included; empty for a file of the shell.
        regions: strength of the displacement by region.
    """

    parameters: FaceParameters
    directions: dict[str, float]
    numbers: dict[str, float]
    regions: dict[str, float]


def save_preset(face: bpy.types.Object, path: Path) -> None:
    """Writes a face; `python -m ml_backend generate` reads the same file.

    Raises:
        UserError: the file cannot be written.
    """
    settings = face.d3dmm
    sliders = {
        "directions": {item.name: round(item.value, 6) for item in settings.directions if item.value},
        **{name: round(float(getattr(settings, name)), 6) for name in _NUMBERS},
        **{name: int(getattr(settings, name)) for name in _SEEDS},
        "regions": {name: round(float(value), 6) for name, value in zip(REGIONS, settings.region_strengths, strict=True)},
    }
    try:
        write_face(path, FaceParameters(identity_of(face), skin_of(face), expression_of(face)))
        content = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**content, "sliders": sliders}, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).", "Choose another folder.") from error


def read_preset(path: Path) -> FacePreset:
    """Reads a face file, with or without the sliders that Save Face adds.

    Raises:
        UserError: the file is missing, broken, or of another face model.
    """
    parameters = read_face(path)
    model = face_model()
    if parameters.identity is not None and len(parameters.identity) != model.identity_size:
        raise UserError(
            f"{path}: its identity has {len(parameters.identity)} coefficients, this face model {model.identity_size}.",
            "Save it again from a face of this model.",
        )
    sliders = json.loads(path.read_text("utf-8")).get("sliders", {})
    if not isinstance(sliders, dict):
        raise UserError(f"{path}: 'sliders' is not a set of named numbers.", _REMEDY)
    directions = _named_numbers(path, sliders.get("directions", {}), "directions", tuple(model.direction_names))
    regions = _named_numbers(path, sliders.get("regions", {}), "regions", REGIONS)
    plain = {name: value for name, value in sliders.items() if name not in ("directions", "regions")}
    return FacePreset(parameters, directions, _named_numbers(path, plain, "sliders", _NUMBERS + _SEEDS), regions)


def _named_numbers(path: Path, values: object, what: str, known: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(values, dict):
        raise UserError(f"{path}: {what!r} is not a set of named numbers.", _REMEDY)
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{path}: {name!r} is not one of this product's {what}.", _REMEDY)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**31 - 1:
            raise UserError(f"{path}: {name} is {repr(value)[:40]}, not a number that a slider takes.", _REMEDY)
    return values


def apply_preset(face: bpy.types.Object, preset: FacePreset) -> None:
    """Puts a read face into a face's sliders; its detail is left to the caller.

    Args:
        face: a face; where its mesh was edited, its identity stays.
        preset: what `read_preset` found.
    """
    if not is_face(face):
        raise UserError("No face is selected.", "Select one, or press Create Face.")
    settings, keys = face.d3dmm, face.data.shape_keys.key_blocks
    identity = preset.parameters.identity
    with live_update.suspended():
        for name, value in preset.numbers.items():
            setattr(settings, name, int(value) if name in _SEEDS else value)
        if preset.regions:
            own = dict(zip(REGIONS, settings.region_strengths, strict=True))
            settings.region_strengths = [preset.regions.get(name, own[name]) for name in REGIONS]
        if identity is not None and live_update.can_change_identity(face):
            base = identity.astype(np.float32)
            for item in settings.directions:
                item.value = preset.directions.get(item.name, 0.0)
                if item.value:
                    base = base - direction_step(item.name, item.value)
            settings.coefficients.foreach_set("value", base)
    if identity is not None and live_update.can_change_identity(face):
        live_update.refresh_shape(face)
    live_update.finish_shapes(face)
    for name, value in zip(face_model().expression_names, preset.parameters.expression, strict=True):
        if name in keys:
            keys[name].value = float(value)
