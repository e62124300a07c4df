"""The surface that a face had before its mesh is made anew: what an artist added to it goes over by place."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.geometry.similarity import Similarity
from ..nodes.vertex_attributes import read_corner_uv, read_shape, write_shape

FORMER_LAYER = "Earlier UVMap"
"""The texture layer that holds the former mesh's coordinates, for pictures that were painted for it."""
_INWARD = 5e-4
"""Metres below the surface from which the former place is looked for: a lip never finds the other lip."""
_FAR = 0.01
"""Metres beyond which nothing is taken over."""
_LEAST_WEIGHT = 1e-3


@dataclass
class FormerSurface:
    """The former mesh at rest, and what an artist added to it.

    Attributes:
        tree: of its triangles.
        positions: (V, 3) float32, the former rest shape, metres.
        triangles: (T, 3) int32 vertices; `loops` (T, 3) int32 corners.
        uv: (L, 2) float32, the texture coordinates of its corners, or None without any.
        keys: offsets (V, 3) from rest of shape keys that are not the model's, by name.
        groups: weights (V,) of vertex groups that are not the model's, by name.
    """

    tree: BVHTree
    positions: np.ndarray
    triangles: np.ndarray
    loops: np.ndarray
    uv: np.ndarray | None
    keys: dict[str, np.ndarray]
    groups: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, face: bpy.types.Object, model_keys: tuple[str, ...], model_groups: tuple[str, ...]
    ) -> "FormerSurface":
        """Reads the surface of a face.

        Args:
            face: in Object Mode.
            model_keys: shape keys that the model makes anew.
            model_groups: vertex groups that the model makes anew.
        """
        mesh = face.data
        blocks = mesh.shape_keys.key_blocks
        positions = read_shape(blocks[0])
        mesh.calc_loop_triangles()
        triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
        loops = np.empty_like(triangles)
        mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
        mesh.loop_triangles.foreach_get("loops", loops.ravel())
        return cls(
            BVHTree.FromPolygons(positions.tolist(), triangles.tolist()),
            positions,
            triangles,
            loops,
            read_corner_uv(mesh.uv_layers[0]) if mesh.uv_layers else None,
            {
                key.name: read_shape(key) - read_shape(key.relative_key)
                for key in blocks[1:]
                if key.name not in model_keys
            },
            _group_weights(face, model_groups),
        )

    def places(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the former places closest to points (N, 3).

        Returns:
            (N,) int64 triangles, (N, 3) float64 barycentric weights, (N,) bool: near enough to count.
        """
        triangle = np.zeros(len(points), np.int64)
        places = np.zeros((len(points), 3))
        near = np.zeros(len(points), bool)
        for index, point in enumerate(points.tolist()):
            place, _, found, _ = self.tree.find_nearest(point, _FAR)
            if found is not None:
                triangle[index], places[index], near[index] = found, place, True
        corners = self.positions[self.triangles[triangle]].astype(np.float64)
        along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = np.cross(along, across)
        area = np.maximum((normal**2).sum(1), 1e-30)
        offset = places - corners[:, 0]
        second = (np.cross(offset, across) * normal).sum(1) / area
        third = (np.cross(along, offset) * normal).sum(1) / area
        weights = np.stack([1 - second - third, second, third], 1).clip(0, 1)
        return triangle, weights / weights.sum(1, keepdims=True), near

    def put_keys_and_groups(self, face: bpy.types.Object, placement: Similarity) -> None:
        """Writes the artist's shape keys and vertex groups to the face's new mesh.

        Args:
            face: with its new mesh and shape keys.
            placement: from the former mesh's space to the new one's.
        """
        if not (self.keys or self.groups):
            return
        mesh = face.data
        blocks = mesh.shape_keys.key_blocks
        rest = read_shape(blocks[0])
        normals = np.empty_like(rest)
        mesh.vertex_normals.foreach_get("vector", normals.ravel())
        triangle, weights, near = self.places(placement.inverse(rest - _INWARD * normals))
        corners = self.triangles[triangle]
        for name, offsets in self.keys.items():
            moved = (offsets[corners] * weights[..., None]).sum(1) * near[:, None] @ placement.rotation.T
            write_shape(blocks[name], read_shape(blocks[name].relative_key) + moved.astype(np.float32))
        for name, values in self.groups.items():
            spread = (values[corners] * weights).sum(1) * near
            group = face.vertex_groups[name]
            for index in np.flatnonzero(spread > _LEAST_WEIGHT).tolist():
                group.add([index], float(spread[index]), "REPLACE")

    def put_texture_layer(self, mesh: bpy.types.Mesh, placement: Similarity) -> None:
        """Adds the former texture coordinates to the new mesh as a layer of their own.

        Each corner takes its coordinates from a place a little inside its polygon, so that a polygon lies on
        one side of a former seam.

        Args:
            mesh: the new one, with its shape keys.
            placement: from the former mesh's space to the new one's.
        """
        if self.uv is None:
            return
        corner_vertex = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", corner_vertex)
        sizes = np.empty(len(mesh.polygons), np.int32)
        mesh.polygons.foreach_get("loop_total", sizes)
        owner = np.repeat(np.arange(len(sizes)), sizes)
        corners = read_shape(mesh.shape_keys.key_blocks[0])[corner_vertex]
        middles = np.stack([np.bincount(owner, corners[:, axis]) / sizes for axis in range(3)], 1)
        triangle, weights, near = self.places(placement.inverse(corners + 0.1 * (middles[owner] - corners)))
        uv = (self.uv[self.loops[triangle]] * weights[..., None]).sum(1)
        layer = mesh.uv_layers.get(FORMER_LAYER) or mesh.uv_layers.new(name=FORMER_LAYER)
        values = np.where(near[:, None], uv, -1.0).astype(np.float32)
        layer.uv.foreach_set("vector", np.ascontiguousarray(values).ravel())


def _group_weights(face: bpy.types.Object, model_groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns the weights (V,) of the vertex groups that are not the model's."""
    names = {group.index: group.name for group in face.vertex_groups if group.name not in model_groups}
    if not names:
        return {}
    found = {name: np.zeros(len(face.data.vertices), np.float32) for name in names.values()}
    for vertex in face.data.vertices:
        for member in vertex.groups:
            if member.group in names:
                found[names[member.group]][vertex.index] = member.weight
    return found
