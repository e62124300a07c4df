"""A person in the studio: shape, skin, wrinkles, hair and eyes, ready to render."""

import importlib
from dataclasses import dataclass

import numpy as np

from ml_backend.geometry.cielab import typology_angle
from ml_backend.models.bilinear_face import BilinearFace

NEUTRAL = "neutral"
_AT_EASE = {"eyeSquint": 0.25, "cheekSquint": 0.08}
"""Lids of somebody who sits for a portrait: the sliders' zero opens them as before a scanner's lights."""
_PUPIL_TO_LID, _BLINK_LOWERS, _MOST_BLINK = 4.7, 10.0, 0.3
"""Millimetres from the pupil to the upper lid, of which squint and gaze take half of one: people have 4 to 5;
and by how much a whole blink lowers it."""
_WIDE_RAISES, _MOST_WIDE = 2.8, 0.5
"""Millimetres by which eyes that are wide open raise the lid, and how far lids that hang are raised."""
_MIDDLE_YEARS, _HALF_RANGE = 49.0, 31.0
_DARK, _ORIGIN = 0.45, 0.6
"""Skin Tone from which a person's form goes towards West African people's, and how far with the darkest skin:
form and skin go together in people, while seeds draw them apart."""
_BELOW_EYES = 0.66
"""Share of a picture of the face that lies below its eyes."""
_NOISE = 0.03
"""Noise up to which Cycles takes samples; the wall needs few."""


@dataclass(frozen=True)
class Person:
    """A person to portray.

    Attributes:
        seed: of identity, skin and hair.
        age: -1 the youngest that people of the model are, 1 the oldest; see `years_of`.
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
    _set_years(face, years_of(person.age))
    face.d3dmm.directions["african"].value += _ORIGIN * max(0.0, person.tone - _DARK) / (1 - _DARK)
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


def years_of(age: float) -> float:
    """Returns the years of a portrait's age: 18 at -1, 49 at 0, 80 at 1."""
    return _MIDDLE_YEARS + _HALF_RANGE * age


def age_of(years: float) -> float:
    """Returns the portrait's age of so many years, see `years_of`."""
    return (years - _MIDDLE_YEARS) / _HALF_RANGE


def _set_years(face, years: float) -> None:
    """Sets the slider Age so that a face's form is of these years, whatever its seed drew."""
    model = BilinearFace.default()
    coefficients = np.empty(len(face.d3dmm.coefficients), np.float32)
    face.d3dmm.coefficients.foreach_get("value", coefficients)
    row, index = model.attributes[0], model.direction_names.index("age")
    low, high = model.direction_ranges[index]
    missing = (years - row[0] - row[1:] @ coefficients) / float(row[1:] @ model.directions[index])
    face.d3dmm.directions["age"].value += missing / abs(high if missing > 0 else low)


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


def frame_face(face, eye_distances: float, size: int) -> int:
    """Lets the render keep only the face, from brows to chin.

    Args:
        face: looks into the camera.
        eye_distances: side of the kept square, in distances of the eyes.
        size: its side in pixels, as near as whole pixels of the frame allow.

    Returns:
        The side of the whole frame in pixels, to render with.
    """
    import bpy
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene = bpy.context.scene
    assert scene is not None and scene.camera is not None
    render = scene.render
    render.resolution_y = render.resolution_x  # as `tools.demo.render` has it
    positions = _rest_positions(face)
    seen = []
    for side in ("left", "right"):
        lid = positions[BilinearFace.default().landmarks[f"lid_lower_{side}"]].mean(0)
        seen.append(world_to_camera_view(scene, scene.camera, face.matrix_world @ Vector(lid)))
    apart = (seen[0].xy - seen[1].xy).length
    side = apart * eye_distances
    left, low = ((seen[0] + seen[1]) / 2).xy - Vector((side / 2, side * _BELOW_EYES))
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = left, left + side
    render.border_min_y, render.border_max_y = low, low + side
    return round(size / side)


def _rest_positions(face) -> np.ndarray:
    """Returns (N, 3): the vertices of a face's identity at rest."""
    positions = np.empty((len(face.data.vertices), 3), np.float32)
    face.data.shape_keys.key_blocks[0].data.foreach_get("co", positions.ravel())
    return positions


def _relax_lids(face) -> None:
    """Lowers or raises the lids to where they rest at ease, whatever the person's eyes."""
    blocks, positions = face.data.shape_keys.key_blocks, _rest_positions(face)
    on_eye = np.empty_like(positions)
    face.data.attributes["d3dmm_eye"].data.foreach_get("vector", on_eye.ravel())
    is_eye, landmarks = (on_eye**2).sum(1) > 0.25, BilinearFace.default().landmarks
    for side, sign in (("Left", 1), ("Right", -1)):
        lid = positions[landmarks[f"lid_upper_{side.lower()}"]]
        lid = lid[lid[:, 0].argsort()]
        pupil = positions[is_eye & (sign * positions[:, 0] > 0)].mean(0)
        gap = 1000 * (np.interp(pupil[0], lid[:, 0], lid[:, 2]) - pupil[2])
        blocks[f"eyeBlink{side}"].value = np.clip((gap - _PUPIL_TO_LID) / _BLINK_LOWERS, 0, _MOST_BLINK)
        blocks[f"eyeWide{side}"].value = np.clip((_PUPIL_TO_LID - gap) / _WIDE_RAISES, 0, _MOST_WIDE)
        for name, value in _AT_EASE.items():
            blocks[f"{name}{side}"].value = value


def tone_angle(extension: str, face) -> float:
    """Returns the typology angle, degrees, of a face's skin as its sliders say."""
    skin = importlib.import_module(".detailed3dmm_addon.appearance.skin_material", extension)
    colour = skin.base_skin_colour(face.data.materials[0])
    return float(typology_angle(np.array(colour[:3], np.float32)))
