"""Draws the displacement that a face shows as maps, with its fine band and the artist's scales."""

from dataclasses import dataclass
from functools import cached_property

import bpy
import numpy as np

from ...ml_backend.geometry.map_bands import enlarge
from ...ml_backend.geometry.normal_map import TexelMetric, carry_outwards, measure_texels, smooth_inside
from ...ml_backend.geometry.texture_space import TexelLookup, rasterise
from ..appearance.skin_surface import PLATEAUS_NODE, plateaus_of
from ..detail import distilled, live
from ..nodes.detail_groups import GAIN_ATTRIBUTE, HEIGHT_ATTRIBUTE, WEIGHTS_ATTRIBUTE, group_images
from ..nodes.detail_modifier import fine_image, fine_node, is_baked
from ..nodes.map_images import read_channels, read_map
from ..nodes.materials import first_material, named_node
from ..nodes.vertex_attributes import read_attribute, read_corner_uv
from .stage import Stage

_EDGE = 6  # texels by which a map extends beyond the skin
_TEXELS_A_VERTEX = 256.0
"""In a map of this size a dense vertex has about one texel; larger maps are smoothed between vertices."""


@dataclass
class SkinMaps:
    """The skin of a face, laid out over its texture.

    Attributes:
        mesh: of the face; its first material is the skin.
        resolution: texels along a side.
    """

    mesh: bpy.types.Mesh
    resolution: int

    @cached_property
    def _triangles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns texture coordinates (L, 2) by corner, and the skin's triangles by corner and by vertex."""
        mesh = self.mesh
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        corners = np.empty((count, 3), np.int32)
        vertices = np.empty((count, 3), np.int32)
        material = np.empty(count, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners.ravel())
        mesh.loop_triangles.foreach_get("vertices", vertices.ravel())
        mesh.loop_triangles.foreach_get("material_index", material)
        return read_corner_uv(mesh.uv_layers[0]), corners[material == 0], vertices[material == 0]

    @cached_property
    def lookup(self) -> TexelLookup:
        """Returns the triangle of each texel."""
        uv, corners, vertices = self._triangles
        return rasterise(uv, corners, vertices, self.resolution)

    def metric(self, positions: np.ndarray) -> TexelMetric:
        """Returns lengths on the skin, from its undisplaced positions (N, 3), metres."""
        uv, corners, _ = self._triangles
        return measure_texels(positions, uv, corners, self.lookup)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Draws vertex values (N,) as (R, R) float32, smoothed between vertices; 0 off the skin."""
        mask = self.lookup.mask
        steps = round(self.resolution / _TEXELS_A_VERTEX)
        return np.where(mask, smooth_inside(self.lookup.spread(values), mask, steps if steps > 1 else 0), 0)

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Returns a map (R, R) that extends a little beyond the skin."""
        return carry_outwards(values, self.lookup.mask, _EDGE)


def shown_heights(
    stage: Stage, maps: SkinMaps, fine_only: bool = False, as_shaded: bool = False
) -> np.ndarray:
    """Returns the displacement that the staged face shows now.

    Args:
        stage: at the frame.
        maps: of the copy's mesh.
        fine_only: without the displacement of the vertices.
        as_shaded: the fine band as the skin's material shades it.

    Returns:
        (R, R) float32, millimetres along the normal, row 0 at the bottom.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    mesh = stage.face.evaluated_get(stage.depsgraph).data
    height = read_attribute(mesh, HEIGHT_ATTRIBUTE)
    gain = read_attribute(mesh, GAIN_ATTRIBUTE)
    if height is None or gain is None or len(mesh.vertices) != len(maps.mesh.vertices):
        return np.zeros((maps.resolution, maps.resolution), np.float32)
    fine = _baked_fine(stage.face, mesh) if is_baked(stage.face) else _live_fine(stage)
    total = np.zeros((maps.resolution, maps.resolution), np.float32) if fine_only else maps.spread(height)
    if fine is not None:
        fine = resized(fine, maps.resolution) * maps.spread(gain)
        if as_shaded and named_node(first_material(stage.face), PLATEAUS_NODE) is not None:
            fine = plateaus_of(fine)
        total = total + fine
    return maps.carry(total)


def shown_gain(stage: Stage, maps: SkinMaps) -> np.ndarray:
    """Returns (R, R) float32: the scale of what is finer than the vertices; 0 where detail is off."""
    mesh = stage.face.evaluated_get(stage.depsgraph).data
    gain = read_attribute(mesh, GAIN_ATTRIBUTE)
    if gain is None or len(mesh.vertices) != len(maps.mesh.vertices):
        return np.zeros((maps.resolution, maps.resolution), np.float32)
    return maps.spread(gain)


def resized(values: np.ndarray, resolution: int) -> np.ndarray:
    """Returns a square map at another resolution: averaged if smaller by a whole factor, or interpolated."""
    size = len(values)
    if size > resolution and size % resolution == 0:
        step = size // resolution
        return values.reshape(resolution, step, resolution, step).mean((1, 3))
    return values if size == resolution else enlarge(values, resolution)


def _live_fine(stage: Stage) -> np.ndarray | None:
    """Returns the full map's fine band if it belongs to these sliders, else the distilled one."""
    face = stage.face
    inputs = stage.inputs_now()
    image = fine_image(face)
    if image is not None and live.shown_full(face) == live.full_name(face, inputs):
        return read_map(image)
    return distilled.fine_map(inputs, int(face.d3dmm.resolution))


def _baked_fine(face: bpy.types.Object, mesh: bpy.types.Mesh) -> np.ndarray | None:
    node = fine_node(face)
    total = None
    for index, image in enumerate(group_images(node.node_tree) if node is not None else []):
        weights = np.array(mesh.attributes[WEIGHTS_ATTRIBUTE.format(index)].data[0].vector, np.float32)
        term = read_channels(image) @ weights
        total = term if total is None else total + term
    return total
