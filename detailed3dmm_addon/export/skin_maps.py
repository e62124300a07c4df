"""The displacement that a face shows, as maps: what its vertices are moved by and what its skin shades beyond, with the artist's scales."""

from dataclasses import dataclass
from functools import cached_property

import bpy
import numpy as np

from ...ml_backend.geometry.map_bands import enlarge
from ...ml_backend.geometry.normal_map import TexelMetric, carry_outwards, measure_texels, smooth_inside
from ...ml_backend.geometry.texture_space import TexelLookup, rasterise
from ..detail import distilled as fast_detail
from ..detail import live as live_detail
from ..nodes import detail_modifier as detail_modifiers
from ..nodes.detail_groups import GAIN_ATTRIBUTE, HEIGHT_ATTRIBUTE, WEIGHTS_ATTRIBUTE, group_images
from ..nodes.map_images import read_channels, read_map
from ..nodes.vertex_attributes import read_attribute, read_corner_uv
from .stage import Stage

_EDGE = 6  # texels that a map goes on beyond the skin
_TEXELS_A_VERTEX = 256.0
"""Of a map this large a vertex of the dense skin has about one texel; larger maps are rounded between vertices."""


@dataclass
class SkinMaps:
    """Draws a face's skin over its texture.

    Attributes:
        mesh: of the face; its first material is the skin.
        resolution: texels along a side.
    """

    mesh: bpy.types.Mesh
    resolution: int

    @cached_property
    def _triangles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Texture coordinates (L, 2) of the corners, and the skin's triangles into corners and vertices."""
        mesh = self.mesh
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        corners, vertices = np.empty((count, 3), np.int32), np.empty((count, 3), np.int32)
        material = np.empty(count, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners.ravel())
        mesh.loop_triangles.foreach_get("vertices", vertices.ravel())
        mesh.loop_triangles.foreach_get("material_index", material)
        return read_corner_uv(mesh.uv_layers[0]), corners[material == 0], vertices[material == 0]

    @cached_property
    def lookup(self) -> TexelLookup:
        """Which triangle each texel shows."""
        uv, corners, vertices = self._triangles
        return rasterise(uv, corners, vertices, self.resolution)

    def metric(self, positions: np.ndarray) -> TexelMetric:
        """Lengths on the skin, for its undisplaced positions (N, 3), metres."""
        uv, corners, _ = self._triangles
        return measure_texels(positions, uv, corners, self.lookup)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Vertex values (N,) -> (R, R) float32, rounded between vertices; 0 beyond the skin."""
        mask, steps = self.lookup.mask, round(self.resolution / _TEXELS_A_VERTEX)
        return np.where(mask, smooth_inside(self.lookup.spread(values), mask, steps if steps > 1 else 0), 0)

    def carry(self, values: np.ndarray) -> np.ndarray:
        """A map (R, R), carried a little beyond the skin."""
        return carry_outwards(values, self.lookup.mask, _EDGE)


def shown_heights(stage: Stage, maps: SkinMaps, fine_only: bool = False) -> np.ndarray:
    """What the staged face shows now: (R, R) float32, millimetres along the normal, row 0 at the bottom.

    Args:
        stage: at the frame.
        maps: of the copy's mesh.
        fine_only: without what moves the vertices.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    mesh = stage.face.evaluated_get(stage.depsgraph).data
    height = read_attribute(mesh, HEIGHT_ATTRIBUTE)
    gain = read_attribute(mesh, GAIN_ATTRIBUTE)
    if height is None or gain is None or len(mesh.vertices) != len(maps.mesh.vertices):
        return np.zeros((maps.resolution, maps.resolution), np.float32)
    fine = _baked_fine(stage.face, mesh) if detail_modifiers.is_baked(stage.face) else _live_fine(stage)
    total = np.zeros((maps.resolution, maps.resolution), np.float32) if fine_only else maps.spread(height)
    if fine is not None:
        total = total + resized(fine, maps.resolution) * maps.spread(gain)
    return maps.carry(total)


def resized(values: np.ndarray, resolution: int) -> np.ndarray:
    """A square map at another resolution: averaged where smaller by a whole number, else between texels."""
    size = len(values)
    if size > resolution and size % resolution == 0:
        step = size // resolution
        return values.reshape(resolution, step, resolution, step).mean((1, 3))
    return values if size == resolution else enlarge(values, resolution)


def _live_fine(stage: Stage) -> np.ndarray | None:
    """The full map's fine band where it is of these sliders, else the distilled one."""
    face, inputs = stage.face, stage.inputs_now()
    image = detail_modifiers.fine_image(face)
    if image is not None and live_detail.shown_full(face) == live_detail.full_name(face, inputs):
        return read_map(image)
    return fast_detail.fine_map(inputs, int(face.d3dmm.resolution))


def _baked_fine(face: bpy.types.Object, mesh: bpy.types.Mesh) -> np.ndarray | None:
    node = detail_modifiers.fine_node(face)
    total = None
    for index, image in enumerate(group_images(node.node_tree) if node is not None else []):
        weights = np.array(mesh.attributes[WEIGHTS_ATTRIBUTE.format(index)].data[0].vector, np.float32)
        term = read_channels(image) @ weights
        total = term if total is None else total + term
    return total
