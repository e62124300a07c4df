"""Bakes a face's procedural colours into textures for other programs: one of the skin, one of the rest.

The skin fills its unit square of texture space; eyes, teeth, tongue and lashes lie in the next square to the
right, each at its place. Cycles bakes the inputs of the shaders as emitted light.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.srgb import to_srgb
from ..appearance.skin_surface import PORES_NODE
from ..nodes.materials import first_material, named_node, new_material, principled_shader
from ..nodes.node_graph import NodeGraph
from .mesh import ExportMesh
from .stage import Stage

_MARGIN = 8  # texels by which a colour extends beyond its part


@dataclass(frozen=True)
class Textures:
    """The baked textures, row 0 at the bottom.

    Attributes:
        skin: (R, R, 3) uint8, sRGB, without the shade of creases, which the normal map shows.
        roughness: (R, R) uint8, of the skin; 255 is 1.
        parts: (R, R, 4) uint8, sRGB and opacity, of everything else.
        see_through: slots of the materials that are not opaque everywhere.
    """

    skin: np.ndarray
    roughness: np.ndarray
    parts: np.ndarray
    see_through: tuple[int, ...]


def can_paint() -> bool:
    """Returns True if this Blender has Cycles."""
    return hasattr(bpy.types.Scene, "cycles")


def paint_textures(stage: Stage, resolution: int) -> Textures:
    """Bakes the materials of a staged face, texel by texel.

    Args:
        stage: its face does not change.
        resolution: texels along a side.

    Raises:
        UserError: Cycles failed.
    """
    _prepare(stage)
    was_hidden = stage.face.hide_render
    stage.face.hide_render = True
    with _piece(stage, skin=True) as skin, _piece(stage, skin=False) as parts:
        colours = _bytes(to_srgb(_bake_input(stage, skin, "Base Color", resolution)))
        roughness = _bake_input(stage, skin, "Roughness", resolution)[..., 0]
        others = _bytes(to_srgb(_bake_input(stage, parts, "Base Color", resolution)))
        opacity = _bake_input(stage, parts, "Alpha", resolution)[..., :1]
    stage.face.hide_render = was_hidden
    see_through = (
        index for index, material in enumerate(stage.face.data.materials) if not _is_opaque(material)
    )
    return Textures(
        colours, _bytes(roughness), np.concatenate([others, _bytes(opacity)], 2), tuple(see_through)
    )


def bake_pores(stage: Stage, resolution: int) -> np.ndarray | None:
    """Bakes the pores and lines that the skin's material draws.

    Args:
        stage: its face does not change.
        resolution: texels along a side.

    Returns:
        (R, R) float32, millimetres, at most 0; None where the material has none.

    Raises:
        UserError: Cycles failed.
    """
    if named_node(first_material(stage.face), PORES_NODE) is None:
        return None
    _prepare(stage)
    was_hidden = stage.face.hide_render
    stage.face.hide_render = True
    with _piece(stage, skin=True) as skin:
        depth = _bake(stage, skin, resolution, _pore_depth)[..., 0]
    stage.face.hide_render = was_hidden
    return -depth


def apply_textures(
    exported: ExportMesh,
    textures: Textures,
    skin: bpy.types.Image,
    roughness: bpy.types.Image,
    parts: bpy.types.Image,
    packed: bool,
) -> None:
    """Puts images into the plain materials of an export mesh.

    Args:
        exported: a mesh with `plain_material`s.
        textures: the textures that the images were made of.
        skin, roughness, parts: the images.
        packed: as in glTF, roughness is the green of its image, and half-opaque texels become opaque.
            Otherwise each image is used whole.
    """
    for index, material in enumerate(exported.object.data.materials):
        graph = NodeGraph(material.node_tree, keep=True)
        shader = principled_shader(material)
        colour = graph.node("TexImage", image=parts if index else skin)
        graph.feed(shader.inputs["Base Color"], colour.outputs["Color"])
        if index == 0:
            source = graph.node("TexImage", image=roughness).outputs["Color"]
            graph.feed(
                shader.inputs["Roughness"],
                graph.node("SeparateColor", {0: source}).outputs["Green"] if packed else source,
            )
        elif index in textures.see_through:
            opacity = colour.outputs["Alpha"]
            graph.feed(shader.inputs["Alpha"], graph.math("ROUND", opacity) if packed else opacity)


def _prepare(stage: Stage) -> None:
    stage.scene.render.engine = "CYCLES"
    stage.scene.cycles.samples = 1
    stage.scene.cycles.use_denoising = False


@contextmanager
def _piece(stage: Stage, skin: bool) -> Iterator[bpy.types.Object]:
    """Yields the skin, or all other parts in the same unit square of texture space, as an object at rest."""
    mesh = stage.track(stage.face.data.copy())
    piece = stage.track(bpy.data.objects.new("Painted", mesh))
    stage.scene.collection.objects.link(piece)
    piece.shape_key_clear()
    material, corners = (np.empty(len(mesh.polygons), np.int32) for _ in range(2))
    mesh.polygons.foreach_get("material_index", material)
    mesh.polygons.foreach_get("loop_total", corners)
    uv = np.empty((len(mesh.loops), 2), np.float32)
    layer = mesh.uv_layers[0].data  # before 5.2, writing to `.uv` writes to the mesh that was copied as well
    layer.foreach_get("uv", uv.ravel())
    uv[:, 0] -= 0 if skin else 1
    uv[np.repeat((material == 0) != skin, corners)] = -1  # outside the texture
    layer.foreach_set("uv", uv.ravel())
    try:
        yield piece
    finally:
        bpy.data.objects.remove(piece)
        bpy.data.meshes.remove(mesh)


def _bake_input(stage: Stage, piece: bpy.types.Object, name: str, resolution: int) -> np.ndarray:
    """Returns (R, R, 3) float32, linear: the baked values of an input of each material's shader."""
    return _bake(stage, piece, resolution, lambda graph, material: _shader_input(material, name))


def _bake(
    stage: Stage,
    piece: bpy.types.Object,
    resolution: int,
    source: Callable[[NodeGraph, bpy.types.Material], Any],
) -> np.ndarray:
    """Returns (R, R, 3) float32: a socket or constant of each material, baked as emitted light."""
    picture = stage.track(bpy.data.images.new("Painted", resolution, resolution, float_buffer=True))
    made = [stage.track(_emission_copy(material, source, picture)) for material in stage.face.data.materials]
    for index, material in enumerate(made):
        piece.data.materials[index] = material
    layer = stage.scene.view_layers[0]
    layer.objects.active = piece
    layer.update()
    try:
        with bpy.context.temp_override(
            scene=stage.scene, view_layer=layer, object=piece, active_object=piece, selected_objects=[piece]
        ):
            bpy.ops.object.bake(type="EMIT", margin=_MARGIN, use_clear=True)
    except RuntimeError as error:
        raise UserError(
            f"The materials could not be painted ({error}).".replace("\n", " "), "Untick Textures."
        ) from error
    pixels = np.empty(resolution * resolution * 4, np.float32)
    picture.pixels.foreach_get(pixels)
    bpy.data.images.remove(picture)
    for material in made:
        bpy.data.materials.remove(material)
    return pixels.reshape(resolution, resolution, 4)[..., :3]


def _shader_input(material: bpy.types.Material, name: str):
    """Returns the socket that feeds an input of a material's shader, or its constant."""
    shader = principled_shader(material)
    if shader is None:
        return _as_colour(
            {"Base Color": material.diffuse_color, "Roughness": material.roughness}.get(name, 1.0)
        )
    found = shader.inputs[name]
    return found.links[0].from_socket if found.is_linked else _as_colour(found.default_value)


def _pore_depth(graph: NodeGraph, material: bpy.types.Material):
    """Adds the depth of pores, millimetres, at least 0; 0 for materials without."""
    node = named_node(material, PORES_NODE)
    if node is None:
        return (0.0, 0.0, 0.0, 1.0)
    depth = graph.math("MULTIPLY", node.outputs[0], -1.0)
    return graph.node("CombineColor", {0: depth, 1: depth, 2: depth}).outputs[0]


def _emission_copy(
    original: bpy.types.Material | None, source, picture: bpy.types.Image
) -> bpy.types.Material:
    """Returns a copy of a material that emits what `source` chooses; `picture` is the target of the bake."""
    made = original.copy() if original is not None else new_material("Painted")
    if made.node_tree is None:
        made.use_nodes = True
    graph = NodeGraph(made.node_tree, keep=True)
    light = graph.node("Emission")
    graph.feed(light.inputs["Color"], source(graph, made))
    outputs = [node for node in made.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial"]
    output = next((node for node in outputs if node.is_active_output), None) or graph.node("OutputMaterial")
    graph.feed(output.inputs["Surface"], light.outputs[0])
    made.node_tree.nodes.active = graph.node("TexImage", image=picture)
    return made


def _is_opaque(material: bpy.types.Material | None) -> bool:
    shader = principled_shader(material)
    return shader is None or not (
        shader.inputs["Alpha"].is_linked or shader.inputs["Alpha"].default_value < 1
    )


def _as_colour(value) -> tuple[float, float, float, float]:
    return (value, value, value, 1.0) if isinstance(value, float) else (*tuple(value)[:3], 1.0)


def _bytes(share: np.ndarray) -> np.ndarray:
    return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)
