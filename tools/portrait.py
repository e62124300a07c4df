"""A person in the studio: shape, skin, wrinkles, hair and eyes, ready to render."""

import importlib
from dataclasses import dataclass

import numpy as np

from ml_backend.geometry.cielab import typology_angle
from ml_backend.models.bilinear_face import BilinearFace

NEUTRAL = "neutral"
_AT_EASE = {"eyeSquint": 0.25, "cheekSquint": 0.08}
"""Lids of somebody who sits for a portrait: the sliders' zero opens them as before a scanner's lights."""
_PUPIL_TO_LID, _BLINK_LOWERS, _MOST_BLINK = 3.7, 10.0, 0.3
"""Millimetres from the pupil to the upper lid at ease, and by how much a whole blink lowers it."""
_NOISE = 0.03
"""Noise up to which Cycles takes samples; the wall needs few."""


@dataclass(frozen=True)
class Person:
    """A person to portray.

    Attributes:
        seed: of identity, skin and hair.
        age: -1 the youngest that the slider makes, 1 the oldest.
        tone: Skin Tone, 0 lightest to 1 darkest.
        expression: a preset of the extension, or "neutral": at ease.
    """

    seed: int
    age: float
    tone: float
    expression: str = NEUTRAL


def create_person(person: Person, set_up: str):
    """Empties the scene and creates a person in the studio, with hair and full detail.

    Args:
        person: who.
        set_up: of the studio's lights.

    Returns:
        The face.
    """
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.d3dmm.create_face(
        identity_seed=person.seed,
        skin_tone=person.tone,
        scene_setup=True,
        light=set_up,
        update_detail=False,
    )
    face, scene = bpy.context.view_layer.objects.active, bpy.context.scene
    assert face is not None and scene is not None
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = _NOISE
    face.d3dmm.directions["age"].value = person.age
    face.d3dmm.age_offset = 1.5 * person.age
    if person.expression != NEUTRAL:
        bpy.ops.d3dmm.set_expression_preset(preset=person.expression)
    else:
        _relax_lids(face)
    bpy.ops.d3dmm.update_detail()
    bpy.ops.d3dmm.random_hair(seed=person.seed)
    bpy.ops.d3dmm.build_studio(set_up=set_up)  # its camera leaves room for the hair
    bpy.ops.d3dmm.add_gaze_target()
    target = bpy.data.objects[f"{face.name} Gaze"]
    target.location = scene.camera.matrix_world.translation
    bpy.context.view_layer.objects.active = face
    return face


def step_closer(scale: float) -> None:
    """Lets the head fill the picture: the shoulders' cut is left out, the crown stays in.

    Args:
        scale: times the lens.
    """
    import bpy

    scene = bpy.context.scene
    assert scene is not None and scene.camera is not None
    lens = scene.camera.data
    lens.lens *= scale
    lens.shift_y += 0.45 * (scale - 1)


def _relax_lids(face) -> None:
    """Lowers the lids to where they rest at ease, whatever the person's eyes."""
    blocks, positions = face.data.shape_keys.key_blocks, np.empty((len(face.data.vertices), 3), np.float32)
    on_eye = np.empty_like(positions)
    blocks[0].data.foreach_get("co", positions.ravel())
    face.data.attributes["d3dmm_eye"].data.foreach_get("vector", on_eye.ravel())
    is_eye, landmarks = (on_eye**2).sum(1) > 0.25, BilinearFace.default().landmarks
    for side, sign in (("Left", 1), ("Right", -1)):
        lid = positions[landmarks[f"lid_upper_{side.lower()}"]]
        lid = lid[lid[:, 0].argsort()]
        pupil = positions[is_eye & (sign * positions[:, 0] > 0)].mean(0)
        gap = 1000 * (np.interp(pupil[0], lid[:, 0], lid[:, 2]) - pupil[2])
        blocks[f"eyeBlink{side}"].value = np.clip((gap - _PUPIL_TO_LID) / _BLINK_LOWERS, 0, _MOST_BLINK)
        for name, value in _AT_EASE.items():
            blocks[f"{name}{side}"].value = value


def tone_angle(extension: str, face) -> float:
    """Returns the typology angle, degrees, of a face's skin as its sliders say."""
    skin = importlib.import_module(".detailed3dmm_addon.appearance.skin_material", extension)
    colour = skin.base_skin_colour(face.data.materials[0])
    return float(typology_angle(np.array(colour[:3], np.float32)))
