"""Sets eyes into a face: a modifier with eyeballs, caruncles, wet lines and a gaze target."""

from collections.abc import Sequence
from typing import cast

import bpy
import numpy as np

from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.detail_groups import input_identifiers
from ..nodes.eye_groups import (
    DEFAULTS,
    EYE_ATTRIBUTE,
    FLESH_ATTRIBUTE,
    GROUP_NAME,
    IRIS_INPUT,
    LASHES_ATTRIBUTE,
    LID_ATTRIBUTE,
    LOWER_ATTRIBUTE,
    OWN_EYE_ATTRIBUTE,
    PIGMENT_INPUT,
    PLACE_ATTRIBUTE,
    SECOND_INPUT,
    SEED_INPUT,
    SIDE_ATTRIBUTE,
    UPPER_ATTRIBUTE,
    VEINS_INPUT,
    YELLOWING_INPUT,
    EyeAnchors,
    EyeParts,
    fill_eye_group,
)
from ..nodes.modifier_inputs import get_input, set_input
from ..nodes.vertex_attributes import write_attribute
from .eye_material import IRIS_NODE
from .eye_shapes import EYE_RADIUS, eyeball_shape, has_lids, lid_shape
from .eyeball_material import make_cornea, make_eyeball, make_iris, make_lids, make_unseen
from .skin_material import shown_tone

MODIFIER = "D3DMM Eyes"
_IRISES = (
    ((0.022, 0.011, 0.007), (0.036, 0.017, 0.009)),
    ((0.040, 0.018, 0.009), (0.070, 0.030, 0.012)),
    ((0.070, 0.030, 0.012), (0.110, 0.050, 0.018)),
    ((0.082, 0.052, 0.026), (0.115, 0.066, 0.028)),
    ((0.100, 0.116, 0.120), (0.120, 0.120, 0.105)),
    ((0.105, 0.114, 0.100), (0.135, 0.108, 0.072)),
    ((0.085, 0.080, 0.047), (0.120, 0.076, 0.038)),
)
"""Linear colours of irises and of the part around their pupils; light ones are nearly grey in photographs."""
_EARLIER = (
    (0.110, 0.070, 0.026), (0.105, 0.155, 0.195), (0.130, 0.150, 0.142), (0.095, 0.098, 0.042),
)  # fmt: skip
"""Irises that seeds drew in versions before this one."""
_SAME_COLOUR = 1e-3
_FIBRES = 997
"""Seeds of the fibres."""
_BROWN = 2
"""The first of them are dark brown, this many: dark skin has one of these."""
_GREYER, _COOLER = 1.42, 0.256
"""Slope and offset from the warmth of irises in photographs to that of the colours above."""
_DARK_SKIN = 0.5
_PIGMENTED = 0.45
"""Yellowing of the white of the eyes that the darkest skin adds."""
_BARE_TONE, _FULL_TONE = 20.0, -50.0
"""Typology angles, degrees: from the first the edges of the lids are darker, from the second darkest."""
_POCKET = 0.0128
"""Metres from an eye's centre up to which skin is hidden between lid and eyeball."""
_ANCHORS = 6
"""Vertices that tell where an eye is."""
_AROUND_EYE = 0.019
"""Metres from an eye's centre within which skin belongs to its lids."""


def add_eyes(face: bpy.types.Object, seed: int, metre: float) -> bpy.types.NodesModifier | None:
    """Gives a face eyes; one that has them keeps them.

    A face of a model whose lids cannot be followed keeps the model's own eyes.

    Args:
        face: with the present model's vertices.
        seed: chooses the colours of the iris.
        metre: its length in the scene's units.

    Returns:
        The modifier, or None for such a model.
    """
    present = eye_modifier(face)
    if present is not None or not has_lids():
        return present
    write_attribute(face.data, LID_ATTRIBUTE, _lid_mask())
    _mark_own_eyes(face.data)
    modifier = cast(bpy.types.NodesModifier, face.modifiers.new(MODIFIER, "NODES"))
    modifier.show_in_editmode = True
    modifier.node_group = _eye_group(metre)
    _set_colours(face, modifier, seed)
    return modifier


def _set_colours(face: bpy.types.Object, modifier: bpy.types.NodesModifier, seed: int) -> None:
    _set_irises(face, modifier, seed)
    tone = shown_tone(face)
    age = float(np.clip(face.d3dmm.age_offset / 4 + 0.15, 0, 1))
    pigment = _PIGMENTED * float(np.clip(2 * tone - 1, 0, 1))
    set_input(modifier, YELLOWING_INPUT, min(age + pigment, 1.0))
    set_input(modifier, VEINS_INPUT, 0.3 + 0.4 * age)
    suit_skin(face)
    colour_own_eyes(face)


def _set_irises(face: bpy.types.Object, modifier: bpy.types.NodesModifier, seed: int) -> None:
    iris, second = _IRISES[seed % (_BROWN if shown_tone(face) > _DARK_SKIN else len(_IRISES))]
    set_input(modifier, IRIS_INPUT, (*iris, 1.0))
    set_input(modifier, SECOND_INPUT, (*second, 1.0))
    set_input(modifier, SEED_INPUT, seed % _FIBRES)


def redraw_irises(face: bpy.types.Object, former: int, seed: int) -> None:
    """Draws the irises of another seed, where they are those that the former seed drew."""
    modifier = eye_modifier(face)
    if modifier is None or get_input(modifier, SEED_INPUT) != former % _FIBRES:
        return
    now = np.array(get_input(modifier, IRIS_INPUT)[:3])
    drawn = (*(iris for iris, _ in _IRISES), *_EARLIER)
    if min(np.abs(now - iris).max() for iris in drawn) < _SAME_COLOUR:
        _set_irises(face, modifier, seed)
        colour_own_eyes(face)


def suit_skin(face: bpy.types.Object) -> None:
    """Gives the edges of the lids the pigment of a face's skin; eyes of earlier versions have no such
    input."""
    modifier = eye_modifier(face)
    if modifier is None or PIGMENT_INPUT not in input_identifiers(modifier.node_group):
        return
    share = (_BARE_TONE - face.d3dmm.skin.tone) / (_BARE_TONE - _FULL_TONE)
    pigment = float(np.clip(share, 0, 1))
    if abs(get_input(modifier, PIGMENT_INPUT) - pigment) > 1e-3:
        set_input(modifier, PIGMENT_INPUT, pigment)
        face.update_tag()


def set_iris_like(face: bpy.types.Object, seen: Sequence[float]) -> None:
    """Gives a face's eyes the usual irises that are nearest to a photo's.

    Args:
        face: with eyes; without it stays as it is.
        seen: (3,) linear colour in a photo, reflections included, which make it greyer.
    """
    modifier = eye_modifier(face)
    if modifier is None:
        return
    red, green, blue = np.maximum(np.asarray(seen, float), 1e-3)
    warmth = _GREYER * np.log(red / blue) - _COOLER
    bright = np.log(0.3 * red + 0.6 * green + 0.1 * blue)

    def away(irises: tuple) -> float:
        r, g, b = irises[0]
        return (np.log(r / b) - warmth) ** 2 + (0.7 * (np.log(0.3 * r + 0.6 * g + 0.1 * b) - bright)) ** 2

    iris, second = min(_IRISES, key=away)
    set_input(modifier, IRIS_INPUT, (*iris, 1.0))
    set_input(modifier, SECOND_INPUT, (*second, 1.0))
    colour_own_eyes(face)


def colour_own_eyes(face: bpy.types.Object) -> None:
    """Paints the model's own eyes, which other programs receive, like those that are shown."""
    modifier = eye_modifier(face)
    for material in face.data.materials:
        node = (
            material.node_tree.nodes.get(IRIS_NODE) if material is not None and material.node_tree else None
        )
        if node is not None and modifier is not None:
            node.outputs[0].default_value = tuple(get_input(modifier, IRIS_INPUT))


def eye_modifier(face: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """Returns a face's modifier, or None without eyes."""
    modifier = face.modifiers.get(MODIFIER)
    if modifier is None or modifier.type != "NODES" or modifier.node_group is None:
        return None
    return modifier


def get_eye(face: bpy.types.Object, name: str):
    """Returns an input of a face's eyes, one of `DEFAULTS`; its default without eyes."""
    modifier = eye_modifier(face)
    return DEFAULTS[name] if modifier is None else get_input(modifier, name)


def set_eye(face: bpy.types.Object, name: str, value) -> None:
    """Sets an input of a face's eyes, one of `DEFAULTS`; nothing happens without eyes."""
    modifier = eye_modifier(face)
    if modifier is not None:
        set_input(modifier, name, value)
        if name == IRIS_INPUT:
            colour_own_eyes(face)
        face.update_tag()


def _mark_own_eyes(mesh: bpy.types.Mesh) -> None:
    model, dense = face_model(), dense_mesh()
    parts = [model.part_names.index(f"eye_{side}") for side in ("left", "right")]
    is_eye = np.isin(model.polygon_part[dense.base_polygon], parts)
    attribute = mesh.attributes.get(OWN_EYE_ATTRIBUTE) or mesh.attributes.new(
        OWN_EYE_ATTRIBUTE, "BOOLEAN", "FACE"
    )
    attribute.data.foreach_set("value", is_eye)


def _lid_mask() -> np.ndarray:
    """Returns (N,) float32: `LID_ATTRIBUTE`'s values."""
    model = face_model()
    positions = dense_mesh().refine(model.mean)
    skin = dense_parts() == model.part_names.index("skin")
    mask = np.zeros(len(positions), np.float32)
    for side in ("left", "right"):
        centre = model.mean[model.landmarks[f"eye_{side}"]].mean(0)
        offset = positions - centre
        length = np.linalg.norm(offset, axis=1)
        around = skin & (length < _AROUND_EYE) & (offset[:, 1] < 0.001)
        mask[around] = np.where(length[around] > _POCKET, 2, 1)
        mask[model.landmarks[f"lid_upper_{side}"]] = 3
    return mask


def _eye_group(metre: float) -> bpy.types.NodeTree:
    """Returns the node group that faces of scenes with the same unit share."""
    name = GROUP_NAME if metre == 1.0 else f"{GROUP_NAME} {metre:g}"
    for existing in bpy.data.node_groups:
        if existing.get("d3dmm") == name and not existing.library:
            return existing
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group["d3dmm"] = name
    eyeball = _make_eyeball(metre)
    anchors = _eye_anchors("left"), _eye_anchors("right")
    fill_eye_group(group, EyeParts(eyeball, _make_lids(metre), make_unseen(), EYE_RADIUS, anchors))
    return group


def _eye_anchors(side: str) -> EyeAnchors:
    model = face_model()
    positions = dense_mesh().refine(model.mean).astype(np.float64)
    own = np.flatnonzero(dense_parts() == model.part_names.index(f"eye_{side}"))
    places = positions[own]
    middle = places.mean(0)
    chosen = [int(np.linalg.norm(places - middle, axis=1).argmax())]
    while len(chosen) < _ANCHORS:
        away = np.linalg.norm(places[:, None] - places[chosen], axis=2).min(1)
        chosen.append(int(away.argmax()))
    forward = middle[1] - places[:, 1]
    ahead = ((places - middle) * forward[:, None]).mean(0)
    corners = np.concatenate([places[chosen].T, np.ones((1, _ANCHORS))])
    weights = np.linalg.lstsq(corners, np.stack([[*middle, 1.0], [*ahead, 0.0]], 1), rcond=None)[0]
    return EyeAnchors(
        tuple(own[chosen].tolist()),
        tuple(weights[:, 0].tolist()),
        tuple((weights[:, 1] / np.linalg.norm(ahead)).tolist()),
        tuple(model.landmarks[f"lid_upper_{side}"][1:-1:2].tolist()),
    )


def _make_eyeball(metre: float) -> bpy.types.Object:
    shape = eyeball_shape()
    mesh = _mesh("Eyeball", shape.positions, shape.polygons)
    sclera = make_eyeball(metre)
    for material in (sclera, make_iris(metre), make_cornea(sclera)):
        mesh.materials.append(material)
    slots = np.where(shape.is_iris, 1, np.where(shape.is_cornea, 2, 0))
    mesh.polygons.foreach_set("material_index", slots.astype(np.int32))
    right, up, forward = shape.positions[:, 0], shape.positions[:, 2], -shape.positions[:, 1]
    place = np.stack([right, up, forward], 1)
    outer = np.zeros(len(place), bool)
    outer[np.unique(shape.polygons[~shape.is_iris])] = True
    length = np.linalg.norm(place, axis=1, keepdims=True)
    place = np.where(outer[:, None], place / np.maximum(length, 1e-9), place)
    write_attribute(mesh, EYE_ATTRIBUTE, place)
    return bpy.data.objects.new("D3DMM Eyeball", mesh)


def _make_lids(metre: float) -> bpy.types.Object:
    shape = lid_shape()
    flat = np.stack([np.arange(len(shape.flesh)) * 1e-4, np.zeros(len(shape.flesh)), shape.flesh], 1)
    mesh = _mesh("Eye Corners and Tears", flat, shape.polygons)
    mesh.materials.append(make_lids(metre))
    for name, values in (
        (LOWER_ATTRIBUTE, shape.lower),
        (UPPER_ATTRIBUTE, shape.upper),
        (PLACE_ATTRIBUTE, shape.place),
        (FLESH_ATTRIBUTE, shape.flesh),
        (SIDE_ATTRIBUTE, shape.side),
        (LASHES_ATTRIBUTE, shape.lashes),
    ):
        write_attribute(mesh, name, values)
    return bpy.data.objects.new("D3DMM Eye Corners and Tears", mesh)


def _mesh(name: str, positions: np.ndarray, polygons: np.ndarray) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    faces = [[index for index in polygon if index >= 0] for polygon in polygons.tolist()]
    mesh.from_pydata(positions.tolist(), [], faces)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    return mesh
