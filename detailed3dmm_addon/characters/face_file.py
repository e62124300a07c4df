"""A face as a file: the values of its sliders as JSON, read into another face."""

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.files.face_file import FaceParameters, read_face, write_face
from ...ml_backend.models.earlier_face import carry_face, earlier_face
from ..appearance import skin_follow
from ..appearance.eye_material import IRIS_NODE
from ..appearance.eyes import eye_modifier, get_eye, set_eye
from ..appearance.skin_material import HAIR_NODE
from ..detail import follow as live_update
from ..detail import live as live_detail
from ..hair.hair_values import HairValues, apply_hair_values, hair_fault, hair_values
from ..model.face_model import (
    check_current,
    direction_step,
    earlier_identity_of,
    expression_of,
    face_model,
    identity_of,
    is_of_earlier,
    made_with,
    skin_of,
)
from ..model.registry import is_face
from ..nodes.detail_groups import REGIONS
from ..nodes.eye_groups import IRIS_INPUT, SECOND_INPUT
from .skin_values import SkinValues, apply_skin_values, read_skin_values, skin_values

_NUMBERS = ("skin_tone", "hair", "age_offset", "skin_tendency", "skin_thickness", "detail_strength", "pores")
_EYES = ("pupil", "eye_veins", "eye_yellowing", "eye_wetness")
_EYE_COLOURS = {"iris": IRIS_INPUT, "iris_second": SECOND_INPUT}
_SEEDS = ("identity_seed", "wrinkle_seed", "iris_seed")
_RESOLUTIONS = ("256", "512", "1024")
_COLOURS = {"hair": HAIR_NODE, "iris": IRIS_NODE}
_REMEDY = "Save the face again: Face > Save."


@dataclass(frozen=True)
class FacePreset:
    """A face that was read from a file.

    Attributes:
        parameters: identity, skin and expression, as the shell reads them.
        directions: amounts of the named directions, a part of the identity.
        numbers: values of the face's properties by name, seeds included; empty for a file of the shell.
        regions: strength of the displacement by region.
        colours: linear RGB of hair and iris.
        resolution, show_detail: as the face's properties, or None.
        imported_map: name and latent (18, 512) of an imported detail map, or None.
        skin: numbers and colours of the skin's colour; empty for files without them.
        strands: sliders of its hair by part, or None where the file says nothing of hair.
        note: how the person was carried over from an earlier face model; empty where it was not.
    """

    parameters: FaceParameters
    directions: dict[str, float]
    numbers: dict[str, float]
    regions: dict[str, float]
    colours: dict[str, list[float]]
    resolution: str | None
    show_detail: bool | None
    imported_map: tuple[str, np.ndarray] | None
    skin: SkinValues
    strands: HairValues | None
    note: str


def save_preset(face: bpy.types.Object, path: Path) -> None:
    """Writes a face; `python -m ml_backend generate` reads the same file.

    A face of the earlier model is written as it is: it is carried over where the file is read.

    Raises:
        UserError: the file cannot be written, or the face is of a model that is not known.
    """
    settings = face.d3dmm
    model = made_with(face)
    identity = earlier_identity_of(face) if is_of_earlier(face) else identity_of(face)
    sliders = {
        "directions": {item.name: round(item.value, 6) for item in settings.directions if item.value},
        **{name: round(float(getattr(settings, name)), 6) for name in _NUMBERS + _EYES},
        **{name: int(getattr(settings, name)) for name in _SEEDS},
        "regions": {
            name: round(float(value), 6)
            for name, value in zip(REGIONS, settings.region_strengths, strict=True)
        },
        "colours": {
            name: [round(part, 6) for part in socket.default_value[:3]]
            for name, socket in _colour_sockets(face).items()
        }
        | {
            name: [round(part, 6) for part in get_eye(face, label)[:3]]
            for name, label in _EYE_COLOURS.items()
            if eye_modifier(face) is not None
        },
        "resolution": settings.resolution,
        "show_detail": settings.show_detail,
        "skin": skin_values(face),
        "strands": hair_values(face),
    }
    latent = live_detail.latent_arrays(face).get("latent_offset")
    if latent is not None:
        sliders["imported_map"] = {
            "name": settings.imported_map,
            "latent": np.round(latent.astype(float), 5).ravel().tolist(),
        }
    try:
        write_face(path, FaceParameters(identity, skin_of(face), expression_of(face), model), sliders)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).", "Choose another folder.") from error


def save_expression(face: bpy.types.Object, path: Path) -> None:
    """Writes a face's expression, for any face: `read_preset` leaves the person alone.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        write_face(path, FaceParameters(None, None, expression_of(face)))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).", "Choose another folder.") from error


def _colour_sockets(face: bpy.types.Object) -> dict[str, bpy.types.NodeSocket]:
    """Returns the sockets of colours that a face's materials take from one node each, where present."""
    trees = [
        material.node_tree
        for material in face.data.materials
        if material is not None and material.node_tree is not None
    ]
    found = {
        name: next((tree.nodes[node] for tree in trees if node in tree.nodes), None)
        for name, node in _COLOURS.items()
    }
    return {name: node.outputs[0] for name, node in found.items() if node is not None}


def read_preset(path: Path) -> FacePreset:
    """Reads a face file, with or without the sliders that Save Face adds.

    Raises:
        UserError: the file is missing, broken, or of another face model.
    """
    model = face_model()
    parameters, note = carry_face(read_face(path), model, path.name)
    sliders = json.loads(path.read_text("utf-8")).get("sliders", {})
    if not isinstance(sliders, dict):
        raise UserError(f"{path}: 'sliders' is not a set of named numbers.", _REMEDY)
    known = model.direction_names + (earlier_face().direction_names if note else ())
    directions = _named_numbers(path, sliders.get("directions", {}), "directions", known)
    regions = _named_numbers(path, sliders.get("regions", {}), "regions", REGIONS)
    groups = (
        "directions",
        "regions",
        "colours",
        "resolution",
        "show_detail",
        "imported_map",
        "skin",
        "strands",
    )
    plain = _named_numbers(
        path,
        {name: value for name, value in sliders.items() if name not in groups},
        "sliders",
        _NUMBERS + _EYES + _SEEDS,
    )
    resolution = sliders.get("resolution")
    shown = sliders.get("show_detail")
    if resolution not in (None, *_RESOLUTIONS) or shown not in (None, True, False):
        raise UserError(
            f"{path}: resolution must be 256, 512 or 1024, and show_detail true or false.", _REMEDY
        )
    colours = _colours(path, sliders.get("colours", {}))
    imported_map = _imported_map(path, sliders.get("imported_map"))
    if note and imported_map is not None:
        imported_map = None  # its latent is of a generator for the earlier model
        note += " Import its detail map again."
    strands = sliders.get("strands")
    fault = hair_fault(strands) if strands is not None else ""
    if fault:
        raise UserError(f"{path}: the hair cannot be grown, {fault}.", _REMEDY)
    return FacePreset(
        parameters,
        directions,
        plain,
        regions,
        colours,
        resolution,
        shown,
        imported_map,
        read_skin_values(path, sliders.get("skin", {})),
        strands,
        note,
    )


def _colours(path: Path, values: object) -> dict[str, list[float]]:
    if not isinstance(values, dict):
        raise UserError(f"{path}: 'colours' is not a set of named colours.", _REMEDY)
    for name, colour in values.items():
        if not isinstance(colour, list) or len(colour) != 3:
            raise UserError(f"{path}: the colour {name!r} is not three numbers.", _REMEDY)
        for part in colour:
            _named_numbers(path, {name: part}, "colours", (*_COLOURS, *_EYE_COLOURS))
    return values


def _imported_map(path: Path, values: object) -> tuple[str, np.ndarray] | None:
    if values is None:
        return None
    latent = values.get("latent") if isinstance(values, dict) else None
    name = values.get("name") if isinstance(values, dict) else None
    count = int(np.prod(live_detail.LATENT_SHAPE))
    if not isinstance(name, str) or not isinstance(latent, list) or len(latent) != count:
        raise UserError(f"{path}: 'imported_map' is not a name and {count} numbers.", _REMEDY)
    try:
        offset = np.array(latent, np.float32).reshape(live_detail.LATENT_SHAPE)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: 'imported_map' holds something that is not a number.", _REMEDY) from error
    if not np.isfinite(offset).all():
        raise UserError(f"{path}: 'imported_map' holds values that are not finite.", _REMEDY)
    return name, offset


def _named_numbers(path: Path, values: object, what: str, allowed: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(values, dict):
        raise UserError(f"{path}: {what!r} is not a set of named numbers.", _REMEDY)
    for name, value in values.items():
        if name not in allowed:
            raise UserError(f"{path}: {name!r} is not one of this product's {what}.", _REMEDY)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**31 - 1:
            raise UserError(
                f"{path}: {name} is {repr(value)[:40]}, not a number that a slider takes.", _REMEDY
            )
    return values


def apply_preset(face: bpy.types.Object, preset: FacePreset) -> None:
    """Writes a preset into a face's sliders; its detail is left to the caller.

    Args:
        face: a face; where its mesh was edited, its identity stays.
        preset: from `read_preset`.

    Raises:
        UserError: the object is no face, or is one of another face model and the preset has an identity.
    """
    if not is_face(face):
        raise UserError("No face is selected.", "Select one, or press Create Face.")
    settings = face.d3dmm
    keys = face.data.shape_keys.key_blocks
    identity = preset.parameters.identity
    if identity is not None:
        check_current(face)
    with live_update.suspended(), skin_follow.suspended():
        for name, value in preset.numbers.items():
            setattr(settings, name, int(value) if name in _SEEDS else value)
        _apply_detail(face, preset)
        if preset.regions:
            present = dict(zip(REGIONS, settings.region_strengths, strict=True))
            settings.region_strengths = [preset.regions.get(name, present[name]) for name in REGIONS]
        if identity is not None and live_update.can_change_identity(face):
            base = identity.astype(np.float32)
            for item in settings.directions:
                item.value = preset.directions.get(item.name, 0.0)
                if item.value and item.name in face_model().direction_names:
                    base = base - direction_step(item.name, item.value)
            settings.coefficients.foreach_set("value", base)
        apply_skin_values(face, preset.skin)
    skin_follow.changed(face)
    if identity is not None and live_update.can_change_identity(face):
        live_update.refresh_shape(face)
    live_update.finish_shapes(face)
    for name, value in zip(face_model().expression_names, preset.parameters.expression, strict=True):
        if name in keys:
            keys[name].value = float(value)
    if preset.strands is not None:
        apply_hair_values(face, preset.strands)


def _apply_detail(face: bpy.types.Object, preset: FacePreset) -> None:
    """Writes colours, the map's size, its visibility and an imported map, as far as the file holds them."""
    for name, socket in _colour_sockets(face).items():
        if name in preset.colours:
            socket.default_value = (*preset.colours[name], 1.0)
    for name, label in _EYE_COLOURS.items():
        if name in preset.colours:
            set_eye(face, label, (*preset.colours[name], 1.0))
    if preset.resolution is not None:
        face.d3dmm.resolution = preset.resolution
    if preset.show_detail is not None:
        face.d3dmm.show_detail = preset.show_detail
    if preset.imported_map is not None:
        live_detail.set_latent(face, preset.imported_map[1], preset.imported_map[0])
    elif preset.numbers:
        live_detail.clear_latent(face)
