"""Tone after a photo's fit: the skin in the photo and the photo's light change against each other.

A photo does not tell light skin in dim light from dark skin in bright light. When an artist corrects the
tone, the photo's colour is multiplied by what the skin changes, and the lights of *Light From Photo* are
divided by it: the render stays like the photo.
"""

from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.models.skin.live_skin import SkinLook
from ...ml_backend.models.skin.skin_sliders import DARKEST, LIGHTEST
from ..nodes.materials import first_material, named_node
from . import skin_colour
from .photo_colour import TONE_NODE

FITTED_TONE = "d3dmm_photo_tone"
"""Name on the object: the tone, degrees, that the fit found."""
_APPLIED = "d3dmm_tone_ratio"
"""Name on the lights' collection: (3,) the change of skin by which its lights are divided."""
_OWNER = "d3dmm_face"
"""Name on the lights' collection: the identifier of the face that they light."""
_STEP = 5.0
"""Degrees between tones of which the mean skin is painted."""


def skin_change(face: bpy.types.Object) -> np.ndarray:
    """Returns (3,): the skin's linear colour at the present tone over that at the fitted one; 1 without."""
    fitted = face.get(FITTED_TONE)
    if fitted is None or skin_colour.missing_reason():
        return np.ones(3)
    return _mean_skin(float(face.d3dmm.skin.tone)) / _mean_skin(float(fitted))


def show_change(face: bpy.types.Object) -> None:
    """Multiplies the photo's colour on a face by the change of its skin."""
    node = named_node(first_material(face), TONE_NODE)
    if node is not None:
        node.outputs[0].default_value = (*skin_change(face).tolist(), 1.0)


def own_lights(face: bpy.types.Object, collection: bpy.types.Collection, world: bpy.types.World) -> None:
    """Notes that a collection's lights and a world light a face as in its photo at the fitted tone."""
    for item in (collection, world):
        item[_OWNER] = face.d3dmm.uid
        item[_APPLIED] = (1.0, 1.0, 1.0)
    scale_lights(face)


def scale_lights(face: bpy.types.Object) -> None:
    """Divides the lights of a face's photo by what its skin changed since; an artist's edits stay."""
    change = skin_change(face)
    for collection in bpy.data.collections:
        factor = _due_factor(collection, face, change)
        if factor is None:
            continue
        for item in collection.objects:
            if item.type == "LIGHT":
                light = item.data
                strength = light.energy * np.array(light.color) * factor
                light.energy = float(strength.max())
                light.color = (strength / max(float(strength.max()), 1e-12)).tolist()
    for world in bpy.data.worlds:
        factor = _due_factor(world, face, change)
        if factor is None or world.node_tree is None:
            continue
        for node in world.node_tree.nodes:
            if node.bl_idname == "ShaderNodeBackground":
                colour = node.inputs["Color"]
                colour.default_value = (*(np.array(colour.default_value[:3]) * factor).tolist(), 1.0)


def _due_factor(item: bpy.types.ID, face: bpy.types.Object, change: np.ndarray) -> np.ndarray | None:
    """Returns (3,) by which lights are to be multiplied now, or None if they are not a face's, or stand."""
    if item.get(_OWNER) != face.d3dmm.uid or item.library:
        return None
    factor = np.array(item[_APPLIED]) / change
    if np.abs(factor - 1).max() < 1e-6:
        return None
    item[_APPLIED] = change.tolist()
    return factor


def _mean_skin(tone: float) -> np.ndarray:
    """Returns (3,): the linear colour of cheeks and forehead of mean people of a tone."""
    place = (np.clip(tone, DARKEST, LIGHTEST) - DARKEST) / _STEP
    low = int(place)
    first, second = (np.log(_painted_mean(DARKEST + _STEP * step)) for step in (low, low + 1))
    return np.exp(first + (second - first) * (place - low))


@lru_cache(maxsize=64)
def _painted_mean(tone: float) -> np.ndarray:
    painter = skin_colour.painter()
    return painter.mean_colour(painter.paint(SkinLook(min(tone, LIGHTEST)), skin_colour.DRAFT))
