"""Catmull-Clark subdivision as fixed linear stencils.

A dense face follows its base mesh by one weighted sum a vertex.

Source: Catmull and Clark 1978, "Recursively generated B-spline surfaces on arbitrary topological meshes";
boundary edges follow the cubic B-spline rule of DeRose et al. 1998.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stencils:
    """Rows of a sparse matrix, grouped by the number of their entries.

    Attributes:
        row_count: how many dense vertices there are.
        groups: one (rows (n,), columns (n, k), weights (n, k)) per entry count k.
    """

    row_count: int
    groups: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Evaluates every row.

        Args:
            values: (V, ...) float32, one entry per coarse vertex.

        Returns:
            (row_count, ...) float32.
        """
        flat = np.ascontiguousarray(values, np.float32).reshape(len(values), -1)  # [VD]
        dense = np.empty((self.row_count, flat.shape[1]), np.float32)
        for rows, columns, weights in self.groups:
            total = flat[columns[:, 0]] * weights[:, :1]
            for k in range(1, columns.shape[1]):
                total += flat[columns[:, k]] * weights[:, k, None]
            dense[rows] = total
        return dense.reshape(self.row_count, *values.shape[1:])


@dataclass(frozen=True)
class SubdivisionLevel:
    """One refinement: where each new vertex comes from, and the new quads.

    Attributes:
        stencils: from the coarse vertices; old vertices come first, in their order, then edges, then faces.
        quads: (4F or so, 4) int32.
        parent: (len(quads),) int32, the coarse polygon that each quad lies in.
    """

    stencils: Stencils
    quads: np.ndarray
    parent: np.ndarray


def subdivide(polygons: np.ndarray, vertex_count: int) -> SubdivisionLevel:
    """Builds one Catmull-Clark refinement of a mesh.

    Args:
        polygons: (F, 4) int32; the last corner is -1 in a triangle. Edges may border at most two polygons.
        vertex_count: V.

    Returns:
        The refinement, with V + E + F vertices.

    Raises:
        ValueError: a corner lies outside 0..V-1, or an edge borders more than two polygons.
    """
    polygons = np.asarray(polygons, np.int64)
    present = polygons >= 0  # [F4]
    if polygons.max(initial=-1) >= vertex_count or not present[:, :3].all():
        raise ValueError("a polygon's corner lies outside the vertices")
    face_count = len(polygons)
    sizes = present.sum(1)
    face_of, corner_of = np.nonzero(present)
    start = polygons[face_of, corner_of]
    end = polygons[face_of, (corner_of + 1) % sizes[face_of]]
    keys = np.minimum(start, end) * vertex_count + np.maximum(start, end)
    edges, edge_of, edge_uses = np.unique(keys, return_inverse=True, return_counts=True)
    if edge_uses.max(initial=0) > 2:
        raise ValueError("an edge borders more than two polygons")
    edge_ends = np.stack([edges // vertex_count, edges % vertex_count], 1)  # [E2]
    rows = _refinement_rows(vertex_count, face_of, start, edge_of, edge_ends, edge_uses, sizes)
    edge_index = np.full(polygons.shape, -1)
    edge_index[face_of, corner_of] = vertex_count + edge_of
    previous_edge = edge_index[face_of, (corner_of - 1) % sizes[face_of]]
    face_point = vertex_count + len(edges) + face_of
    quads = np.stack([start, edge_index[face_of, corner_of], face_point, previous_edge], 1)
    return SubdivisionLevel(
        _group(rows, vertex_count + len(edges) + face_count), quads.astype(np.int32), face_of.astype(np.int32)
    )


def _refinement_rows(vertex_count, face_of, start, edge_of, edge_ends, edge_uses, sizes):
    """Sparse entries (row, column, weight) of every new vertex, duplicates still to be added up."""
    edge_count = len(edge_ends)
    entries = []

    def face_points(rows, faces, weights):
        """weights x the mean of each face's corners, added to rows."""
        order = np.argsort(face_of, kind="stable")
        first = np.concatenate([[0], np.cumsum(sizes)])
        counts = sizes[faces]
        offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        corners = start[order][np.repeat(first[faces], counts) + offset]
        entries.append((np.repeat(rows, counts), corners, np.repeat(weights / counts, counts)))

    faces = np.arange(len(sizes))
    face_points(vertex_count + edge_count + faces, faces, np.ones(len(sizes)))

    edge_rows = vertex_count + np.arange(edge_count)
    interior_edge = edge_uses == 2
    for side in (0, 1):
        entries.append((edge_rows, edge_ends[:, side], np.where(interior_edge, 0.25, 0.5)))
    inside = interior_edge[edge_of]
    face_points(vertex_count + edge_of[inside], face_of[inside], np.full(inside.sum(), 0.25))

    boundary_vertex = np.zeros(vertex_count, bool)
    boundary_vertex[edge_ends[~interior_edge]] = True
    valence = np.maximum(np.bincount(edge_ends.ravel(), minlength=vertex_count), 1).astype(float)
    used = np.zeros(vertex_count, bool)
    used[start] = True
    smooth = used & ~boundary_vertex
    vertices = np.arange(vertex_count)
    entries.append(
        (vertices, vertices, np.select([smooth, boundary_vertex], [(valence - 2) / valence, 0.75], 1.0))
    )
    for side in (0, 1):
        here = edge_ends[:, side]
        there = edge_ends[:, 1 - side]
        keep = smooth[here]
        entries.append((here[keep], there[keep], 1 / valence[here[keep]] ** 2))
        rim = ~interior_edge
        entries.append((here[rim], there[rim], np.full(rim.sum(), 0.125)))
    keep = smooth[start]
    face_points(start[keep], face_of[keep], 1 / valence[start[keep]] ** 2)
    return tuple(np.concatenate(column) for column in zip(*entries, strict=True))


def _group(entries, row_count) -> Stencils:
    rows, columns, weights = entries
    width = int(columns.max()) + 1
    keys, index = np.unique(rows * width + columns, return_inverse=True)
    weights = np.bincount(index, weights)
    rows = keys // width
    columns = keys % width
    counts = np.bincount(rows, minlength=row_count)
    first = np.concatenate([[0], np.cumsum(counts)])
    groups = []
    for count in np.unique(counts):
        chosen = np.nonzero(counts == count)[0]
        entry = first[chosen][:, None] + np.arange(count)
        groups.append((chosen, columns[entry], weights[entry].astype(np.float32)))
    return Stencils(row_count, tuple(groups))


@dataclass(frozen=True)
class DenseMesh:
    """A mesh refined once, at creation, that follows the base mesh linearly.

    Attributes:
        polygons: (G, 4) int32; the last corner is -1 in a triangle.
        base_polygon: (G,) int32, the base polygon that each lies in.
        uv: (W, 2) float32 and uv_polygons: (G, 4) int32, texture coordinates by corner.
        vertex_count: N.
    """

    polygons: np.ndarray
    base_polygon: np.ndarray
    uv: np.ndarray
    uv_polygons: np.ndarray
    vertex_count: int
    _pieces: tuple[tuple[np.ndarray, tuple[Stencils, ...]], ...]

    def refine(self, values: np.ndarray) -> np.ndarray:
        """Carries values from base vertices to dense ones.

        Args:
            values: (V, ...) float32 at the base vertices: positions, weights or shape deltas.

        Returns:
            (N, ...) float32.
        """
        parts = []
        for vertices, levels in self._pieces:
            part = np.asarray(values, np.float32)[vertices]
            for stencils in levels:
                part = stencils.apply(part)
            parts.append(part)
        return np.concatenate(parts)

    def vertex_uv(self) -> np.ndarray:
        """One texture coordinate per vertex, (N, 2) float32; at a seam, that of the last corner."""
        uv = np.zeros((self.vertex_count, 2), np.float32)
        present = self.polygons >= 0
        uv[self.polygons[present]] = self.uv[self.uv_polygons[present]]
        return uv


def build_dense_mesh(polygons, polygon_part, uv, uv_polygons, levels) -> DenseMesh:
    """Refines each part of a mesh to its own level.

    Args:
        polygons: (F, 4) int32; the last corner is -1 in a triangle.
        polygon_part: (F,) integers; parts share no vertex.
        uv: (U, 2) float32; smoothed like the positions, its seams kept.
        uv_polygons: (F, 4) int32.
        levels: refinements for each part, by its number.

    Returns:
        The dense mesh; its vertices are ordered by part.
    """
    polygons = np.asarray(polygons)
    uv_polygons = np.asarray(uv_polygons)
    pieces = []
    quads = []
    parents = []
    uvs = []
    uv_quads = []
    vertex_total = uv_total = 0
    for part, level_count in enumerate(levels):
        chosen = np.nonzero(polygon_part == part)[0]
        if not len(chosen):
            continue
        vertices, refined, parent, stencils = _refine_piece(polygons[chosen], level_count)
        pieces.append((vertices, stencils))
        uv_vertices, uv_refined, _, uv_stencils = _refine_piece(uv_polygons[chosen], level_count)
        part_uv = np.asarray(uv, np.float32)[uv_vertices]
        for stencil in uv_stencils:
            part_uv = stencil.apply(part_uv)
        quads.append(np.where(refined < 0, -1, refined + vertex_total))
        uv_quads.append(np.where(uv_refined < 0, -1, uv_refined + uv_total))
        uvs.append(part_uv)
        parents.append(chosen[parent])
        vertex_total += stencils[-1].row_count if stencils else len(vertices)
        uv_total += len(part_uv)
    return DenseMesh(
        np.concatenate(quads).astype(np.int32),
        np.concatenate(parents).astype(np.int32),
        np.concatenate(uvs),
        np.concatenate(uv_quads).astype(np.int32),
        vertex_total,
        tuple(pieces),
    )


def _refine_piece(polygons: np.ndarray, level_count: int):
    present = polygons >= 0
    vertices, local = np.unique(polygons[present], return_inverse=True)
    current = np.full(polygons.shape, -1)
    current[present] = local
    parent = np.arange(len(polygons))
    stencils = []
    count = len(vertices)
    for _ in range(level_count):
        level = subdivide(current, count)
        stencils.append(level.stencils)
        parent = parent[level.parent]
        current = level.quads
        count = level.stencils.row_count
    return vertices, current, parent, tuple(stencils)
