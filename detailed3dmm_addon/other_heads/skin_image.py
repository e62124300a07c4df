"""Paints our skin colour onto the texture coordinates of a head that has no skin image of its own."""

from typing import cast

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.texture_space import rasterise, sample_map
from ...ml_backend.models.skin.live_skin import SkinLook
from ..appearance.skin_colour import painter
from ..nodes.map_images import write_colours
from ..nodes.materials import new_material
from ..nodes.node_graph import NodeGraph
from ..nodes.vertex_attributes import read_attribute, read_corner_uv

PLACE_ATTRIBUTE = "d3dmm_place"
"""Of a mesh with our detail: texture coordinates on our skin, and trust, 0 to 1."""
FORMER = "d3dmm_former_material_{}"
"""Of the object: the material that a slot had before; slots that were added have none."""
PAINTED = "d3dmm_painted_slots"
"""Of the object: the numbers of the slots that show our skin, those that were added below 0: -1 - number."""
_MARGIN = 8
_LONGEST_IN_UV = 0.15
_SCATTER_METRES = 0.0032


def own_image(item: bpy.types.Object) -> str:
    """Returns the name of a material of a mesh that shows an image, or an empty string."""
    for slot in item.material_slots:
        tree = slot.material.node_tree if slot.material is not None else None
        for node in tree.nodes if tree is not None else ():
            if node.bl_idname == "ShaderNodeTexImage" and node.image is not None:
                return slot.material.name
    return ""


def is_painted(item: bpy.types.Object) -> bool:
    """Returns True if a mesh shows our skin colour."""
    return PAINTED in item


def paint_skin(item: bpy.types.Object, look: SkinLook, resolution: int, scale: float) -> bpy.types.Image:
    """Paints our skin into a new image on the mesh's own texture coordinates, and shows it.

    Faces without a place on our skin in a slot with skin - scalp, neck, body - get its mean colour.

    Args:
        item: a mesh with our detail.
        look: the sliders of skin colour.
        resolution: texels along a side.
        scale: length of a metre of our head in units of the scene.

    Returns:
        The image.

    Raises:
        UserError: the mesh has no texture coordinates, or a material of it shows an image.
    """
    mesh = cast(bpy.types.Mesh, item.data)
    if not mesh.uv_layers:
        raise UserError(
            f"{item.name}: it has no texture coordinates.", "Unwrap it: in Edit Mode, UV > Smart UV Project."
        )
    if own_image(item):
        raise UserError(
            f"{item.name}: its material {own_image(item)} shows an image already.",
            "Remove that image's node first.",
        )
    layer = mesh.uv_layers.active or mesh.uv_layers[0]
    colours = painter().paint(look, resolution)
    triangles, corners, slots = _triangles(mesh)
    place = cast(np.ndarray, read_attribute(mesh, PLACE_ATTRIBUTE))
    skin_slots = _slots_with_skin(place, triangles, slots)
    chosen = np.isin(slots, skin_slots)
    picture = _baked(colours, place, triangles[chosen], read_corner_uv(layer)[corners[chosen]], resolution)
    image = bpy.data.images.new(f"{item.name} Skin Colour", resolution, resolution, alpha=False)
    write_colours(image, picture)
    image.pack()
    _show(item, image, layer.name, skin_slots, scale, painter().mean_colour(colours))
    return image


def remove_skin(item: bpy.types.Object) -> None:
    """Gives a mesh its former materials back; does nothing where it was not painted."""
    numbers = item.pop(PAINTED, None)
    if numbers is None:
        return
    mesh = cast(bpy.types.Mesh, item.data)
    made = None
    for number in sorted(numbers, reverse=True):
        slot = -1 - number if number < 0 else number
        if slot < len(mesh.materials):
            made = mesh.materials[slot]
            former = item.pop(FORMER.format(slot), None)
            if number < 0:
                mesh.materials.pop(index=slot)
            else:
                mesh.materials[slot] = former
    if made is not None and made.users == 0:
        images = [node.image for node in made.node_tree.nodes if node.bl_idname == "ShaderNodeTexImage"]
        bpy.data.materials.remove(made)
        for image in images:
            if image is not None and image.users == 0:
                bpy.data.images.remove(image)


def _triangles(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    triangles, corners = np.empty((count, 3), np.int32), np.empty((count, 3), np.int32)
    slots = np.empty(count, np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
    mesh.loop_triangles.foreach_get("loops", corners.ravel())
    mesh.loop_triangles.foreach_get("material_index", slots)
    return triangles, corners, slots


def _slots_with_skin(place: np.ndarray, triangles: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Returns the numbers of the slots of which a visible part is our skin."""
    skin = (place[triangles, 2] > 0.5).all(1)
    return np.array([slot for slot in np.unique(slots) if skin[slots == slot].mean() > 0.02], int)


def _baked(
    colours: np.ndarray, place: np.ndarray, triangles: np.ndarray, corner_uv: np.ndarray, resolution: int
) -> np.ndarray:
    """Returns (3, R, R): our skin's colours (3, S, S) on other texture coordinates.

    Args:
        colours: (3, S, S) sRGB.
        place: (N, 3) of the vertices.
        triangles: (T, 3).
        corner_uv: (T, 3, 2) in any tile; the tiles lie over each other in the image.
        resolution: R.
    """
    local = corner_uv - np.floor(corner_uv.mean(1))[:, None]
    index = np.arange(triangles.size).reshape(-1, 3)
    lookup = rasterise(local.reshape(-1, 2), index, index, resolution)
    corners = place[triangles]
    torn = (np.ptp(corners[..., :2], axis=1) > _LONGEST_IN_UV).any(1)
    corners[torn] = corners[torn, :1]
    values = lookup.spread(corners.reshape(-1, 3))
    mean = np.array([channel[colours.shape[1] // 2 :: 7, ::7].mean() for channel in colours], np.float32)
    sampled = sample_map(np.moveaxis(colours, 0, -1), values[..., :2].reshape(-1, 2).clip(0, 1))
    trust = values[..., 2].clip(0, 1).reshape(-1, 1) * lookup.mask.reshape(-1, 1)
    picture = (trust * sampled + (1 - trust) * mean).reshape(resolution, resolution, 3)
    return np.moveaxis(_with_margin(picture, lookup.mask), -1, 0)


def _with_margin(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Continues the colours a few texels beyond the islands."""
    known = mask.copy()
    for _ in range(_MARGIN):
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            beside = np.roll(known, step, axis) & ~known
            picture[beside] = np.roll(picture, step, axis)[beside]
            known |= beside
    return picture


def _show(
    item: bpy.types.Object, image: bpy.types.Image, layer: str, slots: np.ndarray, scale: float, mean
) -> None:
    material = new_material(f"{item.name} Skin")
    material.diffuse_color = (*mean, 1.0)
    graph = NodeGraph(material.node_tree)
    uv = graph.node("UVMap", uv_map=layer).outputs[0]
    texture = graph.node("TexImage", {"Vector": uv}, image=image, extension="REPEAT", interpolation="Cubic")
    shader = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": texture.outputs["Color"],
            "Roughness": 0.48,
            "IOR": 1.4,
            "Subsurface Weight": 1.0,
            "Subsurface Radius": (1.0, 0.36, 0.18),
            "Subsurface Scale": _SCATTER_METRES * scale,
        },
    )
    graph.node("OutputMaterial", {"Surface": shader.outputs[0]})
    mesh = cast(bpy.types.Mesh, item.data)
    numbers = []
    for slot in slots.tolist():
        if slot < len(mesh.materials):
            item[FORMER.format(slot)] = mesh.materials[slot]
            mesh.materials[slot] = material
            numbers.append(slot)
        else:
            mesh.materials.append(material)
            numbers.append(-1 - (len(mesh.materials) - 1))
    item[PAINTED] = numbers
