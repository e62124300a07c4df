"""Reads a head of another maker as arrays: at rest, upright, whole, its doubled vertices known as one."""

import bpy
import numpy as np

from ...ml_backend.expression_names import mirrored_name
from ..model.arkit_keys import expression_keys
from ..nodes.vertex_attributes import read_corner_uv, read_shape
from .parts import sewn_vertices

_UNEVEN = 1.02
"""Ratio of an object's largest scale to its smallest from which its shape counts as seen in the scene."""
_ONE_PLACE = 1e-5
"""Share of the mesh's size below which two vertices lie at one place."""


class TargetShape:
    """A mesh at rest with its expressions, as arrays.

    The shape is the one that is seen: an object's uneven or negative scale is applied, shape keys that are no
    expressions count with their values, vertices that a Mask modifier hides have no triangles, and the other
    half of a Mirror modifier is there. The first N vertices are the mesh's own.

    Attributes:
        name: of the object.
        mesh: its data.
        count: N.
        positions: (M, 3) float64, units of the mesh.
        triangles: (T, 3), indices of vertices, counter-clockwise seen from outside.
        corners: (T, 3), the mesh's corner of each, -1 in the mirrored half.
        linear: (3, 3), from the mesh's own space to the positions' space; of determinant 1 or -1.
        one_place: (M,) the first vertex at each vertex's place that every expression moves alike.
        keys: names of shape keys by ARKit's name, those of the mirrored half included.
        shown: (N,) bool, the vertices that no Mask modifier hides.
        half: the reflection (3, 3) and offset (3,) in the mesh's own space that make the other half;
            None of a whole head.
        seam: (N,) bool, the vertices that a Mirror modifier merges with their own copies.
    """

    def __init__(self, item: bpy.types.Object):
        self.name = item.name
        self.mesh = item.data
        mesh = self.mesh
        self.count = len(mesh.vertices)
        self.linear = _seen(item)
        self.half = _mirrored(item)
        self._own_keys = expression_keys(mesh)
        self.keys = dict(self._own_keys)
        if self.half is not None:
            for name, keys in self._own_keys.items():
                self.keys.setdefault(mirrored_name(name), keys)
        at_rest = _at_rest(mesh, self._own_keys)
        self.positions = self._both(at_rest, True)
        self.seam = _on_seam(item, self.half, at_rest)
        triangles, corners = _triangles(mesh)
        self.shown = _shown(item)
        shown = self.shown[triangles].all(1)
        self.triangles, self.corners = triangles[shown], corners[shown]
        if np.linalg.det(self.linear) < 0:
            self.triangles, self.corners = self.triangles[:, ::-1], self.corners[:, ::-1]
        if self.half is not None:
            self.triangles = np.concatenate([self.triangles, self.triangles[:, ::-1] + self.count])
            self.corners = np.concatenate([self.corners, np.full_like(self.corners, -1)])
        self.one_place = self._one_place()

    def _both(self, values: np.ndarray, places: bool, other: np.ndarray | None = None) -> np.ndarray:
        """Applies the scale, and appends the mirrored half: of `other` (N, 3), or of the values."""
        upright = values @ self.linear.T
        if self.half is None:
            return upright
        turn, offset = self.half
        mirrored = (values if other is None else other) @ turn.T + (offset if places else 0)
        return np.concatenate([upright, mirrored @ self.linear.T])

    def deltas(self, name: str, basis: bool = False) -> np.ndarray:
        """Returns (M, 3): the movement of each vertex under an expression.

        Args:
            name: ARKit's, one of `keys`.
            basis: measure from the basis, not from the key that each is relative to.
        """
        own = self._sum(self._own_keys.get(name, ()), basis)
        if self.half is None:
            return self._both(own, False)
        return self._both(own, False, self._sum(self._own_keys.get(mirrored_name(name), ()), basis))

    def _sum(self, names, basis: bool) -> np.ndarray:
        keys = self.mesh.shape_keys.key_blocks
        start = read_shape(keys[0]) if basis else None
        total = np.zeros((self.count, 3))
        for name in names:
            total += read_shape(keys[name]).astype(np.float64) - (
                read_shape(keys[name].relative_key) if start is None else start
            )
        return total

    def has_relatives(self) -> bool:
        """Returns True if a shape key is relative to another one than the basis."""
        keys = self.mesh.shape_keys.key_blocks
        return any(key.relative_key != keys[0] for key in keys)

    def areas(self) -> np.ndarray:
        """Returns (M,): a third of the area of the triangles around each vertex."""
        return areas_at(self.positions, self.triangles)

    def normals(self) -> np.ndarray:
        """Returns (M, 3): unit normals; vertices at one place share theirs."""
        a, b, c = (self.positions[self.triangles[:, corner]] for corner in range(3))
        face = np.cross(b - a, c - a)
        joined = self.one_place[self.triangles].ravel()
        total = np.stack(
            [np.bincount(joined, np.repeat(face[:, axis], 3), len(self.positions)) for axis in range(3)], 1
        )[self.one_place]
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)

    def stretch(self) -> np.ndarray:
        """Returns (N,): the way along the mesh's own normal that moves the seen surface by 1 outwards."""
        own = np.empty((self.count, 3), np.float32)
        self.mesh.vertex_normals.foreach_get("vector", own.ravel())
        group = self.one_place[: self.count]
        common = np.stack([np.bincount(group, axis, self.count) for axis in own.T], 1)[group]
        common /= np.maximum(np.linalg.norm(common, axis=1, keepdims=True), 1e-30)
        return np.maximum(np.linalg.norm(common @ np.linalg.inv(self.linear), axis=1), 1e-6)

    def seam_normals(self) -> np.ndarray:
        """Returns (N, 3): the unit normal of the mirror's plane at the seam, 0 elsewhere."""
        normals = np.zeros((self.count, 3))
        if self.half is not None:
            turn, _ = self.half
            axis = np.linalg.svd(np.eye(3) - turn)[0][:, 0]
            normals[self.seam] = axis
        return normals

    def vertex_uv(self) -> np.ndarray | None:
        """Returns (M, 2): the texture coordinate of one corner of each vertex, or None without a layer."""
        if not self.mesh.uv_layers:
            return None
        corner = read_corner_uv(self.mesh.uv_layers.active or self.mesh.uv_layers[0])
        uv = np.full((len(self.positions), 2), -1, np.float32)
        own = self.corners[:, 0] >= 0
        uv[self.triangles[own]] = corner[self.corners[own]]
        return uv

    def _one_place(self) -> np.ndarray:
        """Finds vertices at one place that move alike: imports and scans double them along seams."""
        unit = _ONE_PLACE * max(float(np.ptp(self.positions, axis=0).max()), 1e-30)
        mix = np.random.default_rng(0).uniform(0.5, 1.5, len(self._own_keys))
        moved = sum(
            (share * self.deltas(name) for share, name in zip(mix, self._own_keys, strict=True)),
            np.zeros_like(self.positions),
        )
        digits = np.round(np.concatenate([self.positions, moved], 1) / unit).astype(np.int64)
        _, first, group = np.unique(digits, axis=0, return_index=True, return_inverse=True)
        one = first[group.ravel()]
        return sewn_vertices(self.triangles, one)


def areas_at(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (N,): a third of the area of the triangles (T, 3) around each vertex (N, 3)."""
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(area, 3), len(positions))


def _seen(item: bpy.types.Object) -> np.ndarray:
    """Returns (3, 3): the object's scale where it is uneven or negative, of unit size, else none."""
    linear = np.array(item.matrix_world.to_3x3(), float)
    sizes = np.linalg.svd(linear, compute_uv=False)
    volume = np.linalg.det(linear)
    if sizes[-1] < 1e-9 * sizes[0] or (sizes[0] < _UNEVEN * sizes[-1] and volume > 0):
        return np.eye(3)
    return linear / np.cbrt(abs(volume))


def _mirror_modifier(item: bpy.types.Object) -> bpy.types.Modifier | None:
    """Returns the first Mirror modifier of one axis, or None."""
    for modifier in item.modifiers:
        if modifier.type == "MIRROR" and modifier.show_viewport and sum(modifier.use_axis) == 1:
            return modifier
    return None


def _mirrored(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the reflection (3, 3) and offset (3,) of the first Mirror modifier of one axis, or None."""
    modifier = _mirror_modifier(item)
    if modifier is None:
        return None
    place = np.eye(4)
    if modifier.mirror_object is not None:
        place = np.array(item.matrix_world.inverted() @ modifier.mirror_object.matrix_world)
    flip = place @ np.diag([*np.where(np.array(modifier.use_axis), -1.0, 1.0), 1.0]) @ np.linalg.inv(place)
    return flip[:3, :3], flip[:3, 3]


def _on_seam(item: bpy.types.Object, half, positions: np.ndarray) -> np.ndarray:
    """Returns (N,) bool: the vertices (N, 3) that the Mirror modifier merges with their own copies."""
    modifier = _mirror_modifier(item)
    if half is None or modifier is None or not modifier.use_mirror_merge:
        return np.zeros(len(positions), bool)
    turn, offset = half
    apart = np.linalg.norm(positions @ turn.T + offset - positions, axis=1)
    return apart <= modifier.merge_threshold


def _at_rest(mesh: bpy.types.Mesh, expressions: dict[str, list[str]]) -> np.ndarray:
    """Returns (N, 3): the basis and those of the other keys that are on, such as a person's shape."""
    keys = mesh.shape_keys.key_blocks
    names = {name for group in expressions.values() for name in group}
    positions = read_shape(keys[0]).astype(np.float64)
    if not mesh.shape_keys.use_relative:
        return positions
    for key in keys[1:]:
        if key.name not in names and not key.mute and key.value and not key.vertex_group:
            positions += key.value * (read_shape(key).astype(np.float64) - read_shape(key.relative_key))
    return positions


def _triangles(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray]:
    mesh.calc_loop_triangles()
    vertices = np.empty((len(mesh.loop_triangles), 3), np.int32)
    corners = np.empty_like(vertices)
    mesh.loop_triangles.foreach_get("vertices", vertices.ravel())
    mesh.loop_triangles.foreach_get("loops", corners.ravel())
    return vertices, corners


def _shown(item: bpy.types.Object) -> np.ndarray:
    """Returns (N,) bool: the vertices that no Mask modifier hides."""
    shown = np.ones(len(item.data.vertices), bool)
    for modifier in item.modifiers:
        if modifier.type != "MASK" or modifier.mode != "VERTEX_GROUP" or not modifier.show_viewport:
            continue
        group = item.vertex_groups.get(modifier.vertex_group)
        if group is None:
            continue
        inside = np.zeros(len(shown), bool)
        for vertex in item.data.vertices:
            inside[vertex.index] = any(
                entry.group == group.index and entry.weight > modifier.threshold for entry in vertex.groups
            )
        shown &= ~inside if modifier.invert_vertex_group else inside
    return shown
