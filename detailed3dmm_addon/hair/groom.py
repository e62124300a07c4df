"""Grows hair on a face: one object of hair curves for each part, a child of the face."""

from collections.abc import Iterable
from functools import lru_cache
from typing import cast

import bpy
import numpy as np

from ...ml_backend.hair.face_hair import beard_hair, brow_hair, lash_hair, vellus_hair
from ...ml_backend.hair.head import HairHead, hair_head
from ...ml_backend.hair.scalp import GroomSliders, scalp_hair
from ...ml_backend.hair.strands import Strands, skin_frames
from ..model.face_model import check_current, dense_mesh, face_model
from ..nodes.modifier_inputs import set_input
from . import painted
from .follow_group import (
    CARRIED_FROM,
    CARRIERS,
    CHANCE,
    CORNERS,
    FACE_INPUT,
    FRAME_ROWS,
    LAST_INPUT,
    ROOT,
    SHARE_INPUT,
    SHARES,
    THICKNESS_INPUT,
    WEIGHTS,
    WIDE,
    follow_group,
)
from .hair_material import make_hair_material, set_colour
from .parts import PARTS, SHAPE_SLIDERS

MODIFIER = "D3DMM Hair"
PART_KEY = "d3dmm_hair"
_GROWERS = {
    "brows": brow_hair,
    "lashes": lash_hair,
    "scalp": scalp_hair,
    "beard": beard_hair,
    "vellus": vellus_hair,
}
_TIP = 0.25
"""Radius at the tip beside that at the root."""
_POINTS_BETWEEN = 3
"""Points that Blender draws for each of a strand's: its usual twelve take half the time of a frame's hair."""
_USUAL_SHARE, _VIEWPORT_POINTS = 0.1, 16_000
"""The default share of strands in the viewport, and the points that it may be there."""


@lru_cache(maxsize=1)
def mean_head() -> HairHead:
    """Returns the mean face, prepared for hair."""
    return hair_head(face_model(), dense_mesh())


def hair_part(face: bpy.types.Object, part: str):
    """Returns the sliders of one of `PARTS`."""
    return getattr(face.d3dmm_hair, part)


def hair_objects(face: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """Returns the hair objects of a face by part; parts that were not added are missing."""
    found = {}
    for part in PARTS:
        item = hair_part(face, part).object
        if item is not None and item.parent == face and item.type == "CURVES":
            found[part] = item
    return found


def add_hair(face: bpy.types.Object, parts: Iterable[str]) -> dict[str, bpy.types.Object]:
    """Grows parts of a face's hair as its sliders say; parts that are there already grow anew.

    Args:
        face: of the present model.
        parts: of `PARTS`.

    Returns:
        The hair objects by part.

    Raises:
        UserError: the face was made with another model.
    """
    check_current(face)
    face.add_rest_position_attribute = True
    _draw_by_radius()
    for part in parts:
        if part not in hair_objects(face):
            _add_object(face, part)
        regrow(face, part)
    return hair_objects(face)


def _draw_by_radius() -> None:
    """Lets EEVEE draw hair as thick as it is: its own setting draws every strand a pixel wide, so that vellus
    is a rash and brows are bars."""
    scene = bpy.context.scene
    if scene is not None and scene.render.hair_type == "STRAND":
        scene.render.hair_type = "STRIP"


def remove_hair(face: bpy.types.Object, parts: Iterable[str]) -> None:
    """Removes parts of a face's hair; the sliders stay, and the skin is painted as before."""
    shown = hair_objects(face)
    for part in parts:
        item = shown.get(part)
        if item is not None:
            delete_curves(item)
        hair_part(face, part).object = None
    painted.paint_beneath(face, hair_objects(face))


def delete_curves(item: bpy.types.Object) -> None:
    """Deletes an object of hair curves, with the curves and materials that nothing else uses."""
    data = cast(bpy.types.Curves, item.data)
    materials = list(data.materials)
    bpy.data.objects.remove(item)
    if data.users == 0:
        bpy.data.hair_curves.remove(data)
    for material in materials:
        if material is not None and material.users == 0:
            bpy.data.materials.remove(material)


def regrow(face: bpy.types.Object, part: str) -> None:
    """Grows a part anew as its sliders say; does nothing where it was not added."""
    item = hair_objects(face).get(part)
    if item is None:
        return
    strands = _grown(part, hair_part(face, part))
    before = cast(bpy.types.Curves, item.data)
    made = make_curves(before.name, strands, mean_head().positions)
    for material in before.materials:
        made.materials.append(material)
    made.surface = face
    made.surface_uv_map = "UVMap"
    item.data = made
    name = before.name
    if before.users == 0:
        bpy.data.hair_curves.remove(before)
        made.name = name
    set_up_modifier(face, item, strands)
    apply_look(face, part)
    painted.paint_beneath(face, hair_objects(face))


def viewport_share(slider: float, points: int) -> float:
    """Returns the share of the strands that the viewport shows.

    All at 1 and none at 0; a tenth of a cut with few points, less of one with many, so that sliders keep
    their pace.

    Args:
        slider: In the Viewport, 0 to 1.
        points: of all strands of the part.
    """
    if not 0 < slider < 1:
        return slider
    usual = min(_USUAL_SHARE, _VIEWPORT_POINTS / max(points, 1))
    return float(slider ** (np.log(usual) / np.log(_USUAL_SHARE)))


def apply_look(face: bpy.types.Object, part: str) -> None:
    """Shows the sliders that need no new strands: colour, thickness, the viewport's share."""
    item = hair_objects(face).get(part)
    if item is None:
        return
    sliders = hair_part(face, part)
    modifier = item.modifiers.get(MODIFIER)
    if modifier is not None and modifier.node_group is not None:
        curves = cast(bpy.types.Curves, item.data)
        set_input(modifier, SHARE_INPUT, viewport_share(float(sliders.viewport), len(curves.points)))
        item.hide_viewport = sliders.viewport == 0
        set_input(modifier, THICKNESS_INPUT, float(sliders.thickness))
        item.update_tag()
    for material in item.data.materials:
        if material is not None:
            set_colour(material, sliders.melanin, sliders.redness, sliders.grey)
    if part == "scalp":
        painted.tint_painted_hair(face, sliders.melanin, sliders.redness, sliders.grey)


def _grown(part: str, sliders) -> Strands:
    shape = {name: getattr(sliders, name) for name in SHAPE_SLIDERS}
    return _GROWERS[part](mean_head(), sliders.style, GroomSliders(seed=sliders.seed, **shape))


def _add_object(face: bpy.types.Object, part: str) -> None:
    name = f"{face.name} {part.title()}"
    data = bpy.data.hair_curves.new(name)
    data.materials.append(make_hair_material(f"{name} Hair"))
    item = bpy.data.objects.new(name, data)
    item[PART_KEY] = part
    for collection in face.users_collection:
        collection.objects.link(item)
    item.parent = face
    item.hide_select = True
    hair_part(face, part).object = item


def make_curves(name: str, strands: Strands, positions: np.ndarray) -> bpy.types.Curves:
    """Returns hair curves of strands, with what the node groups read.

    Args:
        name: of the curves.
        strands: on a skin at rest.
        positions: (N, 3) of that skin's vertices.
    """
    count, steps = strands.points.shape[:2]
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([steps] * count)
    curves.attributes["position"].data.foreach_set("vector", _rounded(strands.points).ravel())
    along = np.linspace(0, 1, steps, dtype=np.float32)
    radius = strands.radius[:, None] * (1 - (1 - _TIP) * along**2)
    _write(curves, "radius", radius.ravel(), "POINT")
    finer = curves.attributes.new("resolution", "INT", "CURVE")
    finer.data.foreach_set("value", np.full(count, _POINTS_BETWEEN, np.int32))
    root = (positions[strands.corners] * strands.weights[..., None]).sum(1)
    _write(curves, CORNERS, strands.corners)
    _write(curves, WEIGHTS, strands.weights)
    _write(curves, ROOT, root)
    _write(curves, CHANCE, strands.chance)
    if strands.carriers is None or strands.shares is None:
        _write(curves, WIDE, strands.wide)
        inverse = np.linalg.inv(skin_frames(positions.astype(np.float64), strands.wide))
        for index, row in enumerate(FRAME_ROWS):
            _write(curves, row, inverse[:, index])
        return curves
    before = (positions[strands.carriers] * strands.shares[..., None]).sum(2)
    for end in (0, 1):
        _write(curves, CARRIERS[end], strands.carriers[:, end])
        _write(curves, SHARES[end], strands.shares[:, end])
        _write(curves, CARRIED_FROM[end], before[:, end])
    return curves


def _rounded(points: np.ndarray) -> np.ndarray:
    """Returns points to two micrometres: finer values would only make files larger."""
    return np.round(points * np.float32(2**19)) * np.float32(2**-19)


def _write(curves: bpy.types.Curves, name: str, values: np.ndarray, domain: str = "CURVE") -> None:
    kind, field = ("FLOAT", "value") if values.ndim == 1 else ("FLOAT_VECTOR", "vector")
    attribute = curves.attributes.get(name) or curves.attributes.new(name, kind, domain)
    attribute.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())


def set_up_modifier(face: bpy.types.Object, item: bpy.types.Object, strands: Strands) -> None:
    """Lets a hair object follow the evaluated mesh on which its strands grow."""
    group = follow_group(strands.carriers is not None)
    modifier = cast(
        bpy.types.NodesModifier, item.modifiers.get(MODIFIER) or item.modifiers.new(MODIFIER, "NODES")
    )
    modifier.node_group = group
    set_input(modifier, FACE_INPUT, face)
    set_input(modifier, LAST_INPUT, float(strands.points.shape[1] - 1))
