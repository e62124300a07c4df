"""The modifiers that show a face's detail, and the switches that they follow."""

import bpy

from .detail_maps import COARSE_RESOLUTION, make_map_image

LIVE_MODIFIER = "D3DMM Live Detail"
BAKED_MODIFIER = "D3DMM Baked Detail"
SKIN_GROUP = "skin"
METRES_PER_MILLIMETRE = 1e-3
STRENGTH_NODE, BAKED_NODE = "D3DMM Detail Strength", "D3DMM Baked Detail"
FINE_NODE, COARSE_NODE = "D3DMM Fine Detail", "D3DMM Coarse Detail"


def add_live_detail(face: bpy.types.Object, resolution: int) -> None:
    """Gives a new face its two map images and the Displace modifier that the coarse one drives."""
    texture = bpy.data.textures.new(f"{face.name} Detail", "IMAGE")
    texture.image = make_map_image(f"{face.name} Detail Coarse", COARSE_RESOLUTION)
    texture.extension = "EXTEND"
    texture.use_alpha = False
    modifier = face.modifiers.new(LIVE_MODIFIER, "DISPLACE")
    modifier.texture = texture
    modifier.texture_coords = "UV"
    modifier.uv_layer = face.data.uv_layers[0].name
    modifier.direction = "NORMAL"
    modifier.mid_level = 0.0
    modifier.vertex_group = SKIN_GROUP
    modifier.show_in_editmode = True
    nodes = face.data.materials[0].node_tree.nodes
    nodes[FINE_NODE].image = make_map_image(f"{face.name} Detail Fine", resolution)
    nodes[COARSE_NODE].image = texture.image
    apply_detail_settings(face)


def coarse_image(face: bpy.types.Object) -> bpy.types.Image | None:
    """The image that displaces a face, or None when the artist removed it."""
    modifier = face.modifiers.get(LIVE_MODIFIER)
    return modifier.texture.image if modifier is not None and modifier.texture is not None else None


def fine_image(face: bpy.types.Object) -> bpy.types.Image | None:
    """The image that shades a face's pores, or None when the artist removed it."""
    material = face.data.materials[0] if face.data.materials else None
    node = material.node_tree.nodes.get(FINE_NODE) if material is not None and material.node_tree is not None else None
    return node.image if node is not None else None


def make_detail_single_user(face: bpy.types.Object) -> None:
    """Gives a duplicated face its own maps, texture and skin, so that it does not wrinkle its original."""
    modifier = face.modifiers.get(LIVE_MODIFIER)
    if modifier is not None and modifier.texture is not None:
        modifier.texture = modifier.texture.copy()
        if modifier.texture.image is not None:
            modifier.texture.image = modifier.texture.image.copy()
    if face.data.materials and face.data.materials[0] is not None:
        face.data.materials[0] = face.data.materials[0].copy()
        nodes = face.data.materials[0].node_tree.nodes
        fine, coarse = nodes.get(FINE_NODE), nodes.get(COARSE_NODE)
        if fine is not None and fine.image is not None:
            fine.image = fine.image.copy()
        if coarse is not None:
            coarse.image = coarse_image(face)


def apply_detail_settings(face: bpy.types.Object) -> None:
    """Makes modifiers and skin material follow the switches: shown or not, live or baked, strength."""
    settings = face.d3dmm
    baked = settings.detail_source == "BAKED" and settings.has_baked_detail
    strength = settings.detail_strength if settings.show_detail else 0.0
    live_modifier, baked_modifier = face.modifiers.get(LIVE_MODIFIER), face.modifiers.get(BAKED_MODIFIER)
    if live_modifier is not None:
        live_modifier.strength = settings.detail_strength * METRES_PER_MILLIMETRE
        live_modifier.show_viewport = live_modifier.show_render = settings.show_detail and not baked
    if baked_modifier is not None:
        from .baked_detail import set_baked_strength

        set_baked_strength(baked_modifier, settings.detail_strength)
        baked_modifier.show_viewport = baked_modifier.show_render = settings.show_detail and baked
    material = face.data.materials[0] if face.data.materials else None
    nodes = material.node_tree.nodes if material is not None and material.node_tree is not None else {}
    for name, value in ((STRENGTH_NODE, strength), (BAKED_NODE, float(baked))):
        node = nodes.get(name)
        if node is not None:
            node.outputs[0].default_value = value
