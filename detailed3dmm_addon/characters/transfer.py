"""Gives a face in the scene attributes of another face, of a face file or of a photo.

Nothing is touched before everything was read, and the state before stays at hand: `swap` shows it again.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler

from ...ml_backend.errors import UserError
from ...ml_backend.models.face_attributes import FaceAttributes, transferred
from ...ml_backend.models.skin.seeded_tone import tone_angle
from ...ml_backend.models.skin_vector import sample_skin
from ...ml_backend.process.client import Event
from ..appearance import skin_follow
from ..appearance.photo_light import build_photo_light, stored_light
from ..appearance.skin_material import tone_of
from ..detail import follow as live_update
from ..hair.hair_values import HairValues, apply_hair_values, hair_values
from ..hair.looks import HairLook, apply_hair_look, photo_look
from ..model.face_model import check_current, direction_step, expression_of, face_model, identity_of, skin_of
from ..model.registry import is_face
from .face_file import read_preset
from .photo import middle_colour

BEFORE = "d3dmm_before_transfer"
"""Name on the object: the state before the last transfer, as JSON."""
_SKIN = ("wrinkle_seed", "age_offset", "skin_tendency", "skin_thickness", "skin_tone")
_TONE = "tone"
"""Name in the state of the tone that the Skin panel shows, degrees; Skin Tone sets it too, and not the other
way round."""
_MOST_OFFSET = 4.0
_HALF = 0.5
"""From this amount on the places of the creases are the source's: they cannot be half-way."""


@dataclass(frozen=True)
class Source:
    """A face that gives.

    Attributes:
        attributes: as numbers.
        skin_tone: its slider Skin Tone, or None.
        tone: its tone in the Skin panel, degrees, or None where it follows from Skin Tone.
        hair: its hair, or None where it is not known.
        said: a sentence for the user.
    """

    attributes: FaceAttributes
    skin_tone: float | None = None
    hair: HairValues | HairLook | None = None
    said: str = ""
    tone: float | None = None


def source_of_face(face: bpy.types.Object) -> Source:
    """Takes a face in the scene as the source.

    Raises:
        UserError: the object is no face, or one of another face model.
    """
    settings = face.d3dmm
    return Source(
        attributes_of_face(face), settings.skin_tone, hair_values(face), tone=float(settings.skin.tone)
    )


def attributes_of_face(face: bpy.types.Object) -> FaceAttributes:
    """Returns the attributes of a face in the scene; light where it came from a photo.

    Raises:
        UserError: the object is no face, or one of another face model.
    """
    if not is_face(face):
        raise UserError("The source is no face.", "Choose a face that this extension made.")
    check_current(face)
    turned = np.degrees(np.array(face.rotation_euler, np.float32))
    pose = np.array([turned[2], -turned[0], turned[1]], np.float32)
    return FaceAttributes(identity_of(face), expression_of(face), skin_of(face), stored_light(face), pose)


def source_of_file(path: Path) -> Source:
    """Takes a face file as the source.

    Raises:
        UserError: the file is missing or broken.
    """
    preset = read_preset(path)
    stored = preset.parameters
    found = FaceAttributes(stored.identity, stored.expression, stored.skin, stored.light, stored.pose)
    tone = preset.skin.get(_TONE)
    return Source(
        found, preset.numbers.get("skin_tone"), preset.strands, preset.note,
        float(tone) if isinstance(tone, int | float) else None,
    )  # fmt: skip


def source_of_code(answer: Event) -> Source:
    """Takes what the worker read of a photo in one pass as the source.

    Raises:
        UserError: a number is not finite.
    """
    arrays = _finite(answer, "the photo")
    found = FaceAttributes(
        arrays["identity"], arrays["expression"], arrays["skin"], arrays["light"], arrays["pose"]
    )
    said = f"Read in {answer.parameters['milliseconds']:.0f} ms."
    return Source(found, said=said)


def source_of_fit(fit: Event) -> Source:
    """Takes the worker's fit to a photo as the source.

    Raises:
        UserError: the fit is not finite.
    """
    photo = fit.parameters["photos"][0]
    arrays = _finite(fit, photo["photo"])
    pose = np.array([photo["yaw"], photo["pitch"], photo["roll"]], np.float32)
    found = FaceAttributes(
        arrays["identity"], arrays["expressions"][0], arrays["skin"], arrays["light"], pose
    )
    tone = tone_of(middle_colour(arrays["albedo"]))
    return Source(found, tone, photo_look(fit.parameters["hair"]), photo["sentence"])


def _finite(answer: Event, name: str) -> Mapping[str, np.ndarray]:
    """Returns the arrays of an answer.

    Raises:
        UserError: one of them is not finite.
    """
    if not all(np.isfinite(values).all() for values in answer.arrays.values()):
        raise UserError(f"{name}: the fit failed: the result is not finite.", "Try another photo.")
    return answer.arrays


def transfer(
    context: bpy.types.Context,
    face: bpy.types.Object,
    source: Source,
    amounts: Mapping[str, float],
    regions: Collection[str],
    with_hair: bool = False,
) -> None:
    """Gives a face attributes of the source; the detail is left to the caller.

    Args:
        context: its scene receives the lights.
        face: the face that changes.
        source: what is known of the other one.
        amounts: by attribute, 0 to 2.
        regions: of an expression.
        with_hair: whether the face receives the hair too.

    Raises:
        UserError: the source does not know an attribute, or the face cannot change; nothing was touched.
    """
    if not amounts and not with_hair:
        raise UserError("No attribute is chosen.", "Switch some on.")
    missing = [name for name in amounts if name not in source.attributes.known]
    missing += ["hair"] if with_hair and source.hair is None else []
    if missing:
        raise UserError(
            f"The source shows no {' and no '.join(missing)}.",
            "Switch it off, or use a photo: light comes from photos, hair from photos and faces here.",
        )
    own = attributes_of_face(face)
    if "shape" in amounts and not live_update.can_change_identity(face):
        raise UserError(
            f"The mesh of {face.name} was edited: its shape stays.", "Switch Shape off: the rest can change."
        )
    changed = transferred(own, source.attributes, amounts, regions)
    before = _state(face)
    with live_update.suspended(), skin_follow.suspended():
        if "shape" in amounts:
            _set_identity(face, changed.shape)
        if "skin" in amounts:
            _set_skin(face, source.attributes.skin, amounts["skin"], changed.skin)
            _set_tone(face, source, min(amounts["skin"], 1.0))
        if "expression" in amounts:
            _set_expression(face, changed.expression)
        if "pose" in amounts and changed.pose is not None:
            yaw, pitch, roll = (float(angle) for angle in np.radians(changed.pose))
            face.rotation_euler = Euler((-pitch, roll, yaw))
    skin_follow.changed(face)
    if "shape" in amounts:
        live_update.refresh_shape(face)
        live_update.finish_shapes(face)
    if "light" in amounts:
        build_photo_light(context, face, changed.light)
    if isinstance(source.hair, HairLook) and with_hair:
        apply_hair_look(face, source.hair)
    elif source.hair is not None and with_hair:
        apply_hair_values(face, source.hair)
    face[BEFORE] = json.dumps(before)


def can_swap(face: bpy.types.Object) -> bool:
    """Tells whether a face has a state before a transfer."""
    return BEFORE in face


def swap(face: bpy.types.Object) -> None:
    """Shows the state before the last transfer, and keeps the present one in its place; lights stay.

    Raises:
        UserError: there was no transfer, or the stored state is broken.
    """
    if not can_swap(face):
        raise UserError("Nothing was transferred to this face.", "Press Transfer first.")
    try:
        wanted = json.loads(face[BEFORE])
        coefficients = np.array(wanted["coefficients"], np.float32)
        expression = np.array(wanted["expression"], np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError("The state before the transfer cannot be read.", "Press Transfer again.") from error
    present = _state(face)
    with live_update.suspended(), skin_follow.suspended():
        face.d3dmm.coefficients.foreach_set("value", coefficients)
        for item in face.d3dmm.directions:
            item.value = wanted["directions"].get(item.name, 0.0)
        for name in _SKIN:
            setattr(face.d3dmm, name, wanted["skin"][name])
        if _TONE in wanted["skin"]:  # files before 1.1 did not keep it
            face.d3dmm.skin.tone = wanted["skin"][_TONE]
        _set_expression(face, expression)
        face.rotation_euler = wanted["rotation"]
    skin_follow.changed(face)
    if live_update.can_change_identity(face):
        live_update.refresh_shape(face)
        live_update.finish_shapes(face)
    hair = wanted.get("hair")  # files before 1.0 did not keep it
    if hair is not None and hair != present["hair"]:
        apply_hair_values(face, hair)
    face[BEFORE] = json.dumps(present)


def _state(face: bpy.types.Object) -> dict:
    settings = face.d3dmm
    coefficients = np.zeros(len(settings.coefficients), np.float32)
    settings.coefficients.foreach_get("value", coefficients)
    return {
        "coefficients": coefficients.astype(float).tolist(),
        "directions": {item.name: item.value for item in settings.directions if item.value},
        "skin": {name: getattr(settings, name) for name in _SKIN} | {_TONE: float(settings.skin.tone)},
        "expression": expression_of(face).astype(float).tolist(),
        "rotation": list(face.rotation_euler),
        "hair": hair_values(face),
    }


def _set_identity(face: bpy.types.Object, identity: np.ndarray) -> None:
    """Writes an identity (K,); the named directions keep their amounts."""
    base = np.array(identity, np.float32)
    for item in face.d3dmm.directions:
        if item.value and item.name in face_model().direction_names:
            base -= direction_step(item.name, item.value)
    face.d3dmm.coefficients.foreach_set("value", base)


def _set_skin(face: bpy.types.Object, source: np.ndarray, amount: float, mixed: np.ndarray) -> None:
    """Writes a skin (16,) into the sliders.

    Age, tendency and thickness are mixed. The places of the creases come from a seed: from half of the
    amount on the seed whose creases are most like the source's is taken.
    """
    settings = face.d3dmm
    if amount >= _HALF:
        settings.wrinkle_seed = _seed_like(source)
    offsets = np.clip(mixed[:3] - sample_skin(settings.wrinkle_seed)[:3], -_MOST_OFFSET, _MOST_OFFSET)
    settings.age_offset, settings.skin_tendency, settings.skin_thickness = (float(part) for part in offsets)


def _set_tone(face: bpy.types.Object, source: Source, share: float) -> None:
    """Moves both sliders of the tone by a share of the way to the source's, where it is known."""
    settings = face.d3dmm
    before = float(settings.skin.tone)
    aim = before if source.tone is None else source.tone
    if source.skin_tone is not None:
        if source.tone is None:
            aim = tone_angle(source.skin_tone)
        settings.skin_tone += share * (source.skin_tone - settings.skin_tone)  # sets the other slider too
    settings.skin.tone = before + share * (aim - before)


def _seed_like(skin: np.ndarray) -> int:
    """Returns the wrinkle seed, of the first thousand, whose creases lie most like those of a skin (16,)."""
    drawn = np.stack([sample_skin(seed)[3:] for seed in range(1000)])
    return int(np.argmin(np.linalg.norm(drawn - skin[3:], axis=1)))


def _set_expression(face: bpy.types.Object, expression: np.ndarray) -> None:
    keys = face.data.shape_keys.key_blocks
    for name, value in zip(face_model().expression_names, expression, strict=True):
        if name in keys:
            keys[name].value = float(value)
