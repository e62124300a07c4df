"""The modifier that shows a face's detail, its scales, and the switch between live and baked detail.

Strength, pores and regions are inputs of the modifier: the artist keys and drives them there, on live and
baked detail alike, and they play without the extension.
"""

from typing import cast

import bpy
import numpy as np

from .detail_groups import (
    BAKED_INPUT,
    PORES_INPUT,
    REGION_INPUTS,
    REGIONS,
    STRENGTH_INPUT,
    detail_group,
    group_images,
    input_identifiers,
)
from .materials import first_material, named_node
from .modifier_inputs import get_input, input_values, set_input

MODIFIER = "D3DMM Detail"
SKIN_GROUP = "skin"
FINE_NODE = "D3DMM Fine Detail"
OTHER_FINE = "d3dmm_other_fine"
"""Property of the skin's material: the fine group that is not shown, baked or live."""
SCALES = (STRENGTH_INPUT, PORES_INPUT, *REGION_INPUTS.values())


def add_modifier(face: bpy.types.Object) -> bpy.types.NodesModifier:
    """Adds the modifier as the first, right after the shape keys."""
    modifier = cast(bpy.types.NodesModifier, face.modifiers.new(MODIFIER, "NODES"))
    modifier.show_in_editmode = True
    set_group(modifier, detail_group(0))
    face.modifiers.move(len(face.modifiers) - 1, 0)
    apply_detail_settings(face)
    return modifier


def set_group(modifier: bpy.types.NodesModifier, group: bpy.types.NodeTree) -> None:
    """Changes a modifier's node group; inputs of the same name keep their values."""
    before = modifier.node_group
    values = input_values(modifier)
    modifier.node_group = group
    for name in input_identifiers(group):
        if name in values:
            set_input(modifier, name, values[name])
    if before is not None and before != group and before.users == 0:
        bpy.data.node_groups.remove(before)


def detail_modifier(face: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """Returns a face's modifier, or None where the artist removed it."""
    modifier = face.modifiers.get(MODIFIER)
    if modifier is None or modifier.type != "NODES" or modifier.node_group is None:
        return None
    return modifier


def get_scale(face: bpy.types.Object, name: str) -> float:
    """Returns the value of a scale, one of `SCALES`; 1 without the modifier."""
    modifier = detail_modifier(face)
    return float(get_input(modifier, name)) if modifier is not None else 1.0


def set_scale(face: bpy.types.Object, name: str, value: float) -> None:
    """Sets a scale, one of `SCALES`; 1 is natural."""
    modifier = detail_modifier(face)
    if modifier is not None:
        set_input(modifier, name, float(value))
        face.update_tag()


def get_region_scales(face: bpy.types.Object) -> tuple[float, ...]:
    """Returns the scales of the model's regions, in the order of `REGIONS`."""
    return tuple(get_scale(face, REGION_INPUTS[name]) for name in REGIONS)


def set_region_scales(face: bpy.types.Object, values) -> None:
    """Sets the scales of the model's regions, in the order of `REGIONS`."""
    for name, value in zip(REGIONS, np.asarray(values), strict=True):
        set_scale(face, REGION_INPUTS[name], value)


def fine_node(face: bpy.types.Object) -> bpy.types.Node | None:
    """Returns the node of the skin's material that holds the fine group, or None if it was removed."""
    return named_node(first_material(face), FINE_NODE)


def fine_image(face: bpy.types.Object) -> bpy.types.Image | None:
    """Returns the image of a face's live fine band, or None where the artist removed it."""
    images = group_images(_fine_groups(face)[0])
    return images[0] if images else None


def face_images(face: bpy.types.Object) -> list[bpy.types.Image]:
    """Returns every image of a face's detail, live and baked."""
    return [image for group in _fine_groups(face) for image in group_images(group)]


def _fine_groups(face: bpy.types.Object) -> tuple[bpy.types.NodeTree | None, bpy.types.NodeTree | None]:
    """Returns the live and the baked fine group."""
    node = fine_node(face)
    if node is None:
        return None, None
    other = face.data.materials[0].get(OTHER_FINE)
    return (other, node.node_tree) if is_baked(face) else (node.node_tree, other)


def is_baked(face: bpy.types.Object) -> bool:
    """Returns True if the modifier and the skin show the baked detail."""
    modifier = detail_modifier(face)
    return modifier is not None and bool(get_input(modifier, BAKED_INPUT))


def make_detail_single_user(face: bpy.types.Object) -> None:
    """Gives a duplicated face a skin and images of its own: it must not wrinkle its original."""
    material = first_material(face)
    if material is None:
        return
    face.data.materials[0] = own = material.copy()
    if own.node_tree is not None:
        for node in own.node_tree.nodes:
            if node.bl_idname == "ShaderNodeTexImage" and node.image is not None:
                node.image = node.image.copy()
    live = _fine_groups(face)[0]
    node = fine_node(face)
    if live is None or node is None:
        return
    copied = live.copy()
    for texture in copied.nodes:
        if texture.bl_idname == "ShaderNodeTexImage" and texture.image is not None:
            texture.image = texture.image.copy()
    if is_baked(face):
        face.data.materials[0][OTHER_FINE] = copied
    else:
        node.node_tree = copied


def apply_detail_settings(face: bpy.types.Object) -> None:
    """Applies the switches - shown or not, live or baked - to the modifier and the skin's material."""
    settings = face.d3dmm
    modifier = detail_modifier(face)
    if modifier is None:
        return
    modifier.show_viewport = modifier.show_render = settings.show_detail
    baked = settings.detail_source == "BAKED" and settings.has_baked_detail
    if baked != is_baked(face):
        set_input(modifier, BAKED_INPUT, baked)
        material = first_material(face)
        node = fine_node(face)
        if material is not None and node is not None and material.get(OTHER_FINE) is not None:
            shown = node.node_tree
            node.node_tree = material[OTHER_FINE]
            material[OTHER_FINE] = shown
    face.update_tag()
