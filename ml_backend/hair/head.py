"""The mean face as hair grows on it: triangles of the skin, frames, anchors, and the room outside the head.

Positions are metres in the model's axes: Z up, the face looks along -Y, its left side at positive X.
"""

from dataclasses import dataclass

import numpy as np

from ..geometry.dense_face import coarse_corners
from ..geometry.subdivision import DenseMesh

AXIS_Y = 0.005
"""The vertical axis through the head, between the ears: azimuths turn about it, 0 in front, 180 behind."""
DOME_Z = 0.055
"""Above this height directions spread from a point on the axis, below it they are level."""
_COLUMNS, _ROWS = 120, 90
_LOWEST, _SPAN = -0.25, 0.305
_ANCHORS = 260


@dataclass(frozen=True)
class HairHead:
    """The mean face at display density, in the terms that hair needs.

    Attributes:
        positions: (N, 3) float32, every vertex of a face object at rest.
        normals: (N, 3) float32, of the skin.
        triangles: (T, 3) int32, of the skin.
        wide: (T, 3) int32, the vertices of the model's polygon around each triangle: a steadier frame.
        areas: (T,) float32.
        centres: (T, 3) float32.
        uv: (T, 2) float32, texture coordinates of the triangles' centres.
        ears: (N,) float32, 1 on the ears.
        lips: (N,) float32, 1 on the lips.
        pocket: (N,) float32, 1 inside the mouth, the nostrils and the eye sockets.
        anchors: (A,) int32, vertices spread over the outer skin, which carry long hair.
        landmarks: by name (n, 3) float32.
        landmark_vertices: by name (n,) int32, their vertices.
        reach: (rows, columns) float32, the head's outer radius by height and azimuth (`outer_radius`).
        ear_rise: (rows, columns) float32, by how much the ears stand out from that of a head without them.
    """

    positions: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    wide: np.ndarray
    areas: np.ndarray
    centres: np.ndarray
    uv: np.ndarray
    ears: np.ndarray
    lips: np.ndarray
    pocket: np.ndarray
    anchors: np.ndarray
    landmarks: dict[str, np.ndarray]
    landmark_vertices: dict[str, np.ndarray]
    reach: np.ndarray
    ear_rise: np.ndarray

    def outer_radius(self, points: np.ndarray) -> np.ndarray:
        """Returns (...,): the radius of the head's outer skin in the direction of points (..., 3), metres."""
        column, row, _ = _dome_coordinates(points)
        return _bilinear(self.reach, row, column)

    def ear_reach(self, points: np.ndarray) -> np.ndarray:
        """Returns (...,): how far the ears stand out in the direction of points (..., 3), metres."""
        column, row, _ = _dome_coordinates(points)
        return _bilinear(self.ear_rise, row, column)


def axis_point(points: np.ndarray) -> np.ndarray:
    """Returns (..., 3): the place on the axis from which each point's radius is measured."""
    centre = np.zeros_like(points)
    centre[..., 1] = AXIS_Y
    centre[..., 2] = np.minimum(points[..., 2], DOME_Z)
    return centre


def azimuth(points: np.ndarray) -> np.ndarray:
    """Returns (...,): degrees about the axis, 0 in front, 180 behind, the same on both sides."""
    return np.degrees(np.arctan2(np.abs(points[..., 0]), AXIS_Y - points[..., 1]))


def _dome_coordinates(points):
    """Returns columns (azimuth), rows (height, then elevation) and radii of points."""
    flat = np.hypot(points[..., 0], points[..., 1] - AXIS_Y)
    rise = np.maximum(points[..., 2] - DOME_Z, 0)
    turn = np.arctan2(points[..., 0], AXIS_Y - points[..., 1])
    column = (turn / (2 * np.pi) + 0.5) * _COLUMNS
    dome = np.arctan2(rise, np.maximum(flat, 1e-6)) / (np.pi / 2)
    wall = np.clip((np.minimum(points[..., 2], DOME_Z) - _LOWEST) / _SPAN, 0, 1)
    split = _ROWS * 0.6
    row = wall * split + dome * (_ROWS - 1 - split)
    return column, row, np.hypot(flat, rise)


def _bilinear(table, row, column):
    rows, columns = table.shape
    row = np.clip(row, 0, rows - 1.001)
    low = row.astype(np.int32)
    high_share = row - low
    left = np.floor(column).astype(np.int32)
    right_share = column - left
    right = (left + 1) % columns
    left = left % columns
    below = table[low, left] * (1 - right_share) + table[low, right] * right_share
    above = table[low + 1, left] * (1 - right_share) + table[low + 1, right] * right_share
    return below * (1 - high_share) + above * high_share


def hair_head(face, dense: DenseMesh) -> HairHead:
    """Prepares a face model for hair.

    Args:
        face: a `BilinearFace`; its first part is the skin.
        dense: what `dense_face_mesh` made of it.
    """
    positions = dense.refine(face.mean)
    skin = face.polygon_part[dense.base_polygon] == face.part_names.index("skin")
    quads = dense.polygons[skin]
    parents = dense.base_polygon[skin]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    parents = np.concatenate([parents, parents])
    uv_quads = dense.uv_polygons[skin]
    uv = np.concatenate([dense.uv[uv_quads[:, [0, 1, 2]]].mean(1), dense.uv[uv_quads[:, [0, 2, 3]]].mean(1)])
    dense_of = _dense_of_coarse(face, dense)
    corners = face.polygons[parents]
    last = np.where(corners[:, 3] >= 0, corners[:, 3], corners[:, 2])
    wide = dense_of[np.stack([corners[:, 0], corners[:, 1], last], 1)]
    first, second, third = (positions[triangles[:, k]] for k in range(3))
    cross = np.cross(second - first, third - first)
    normals = np.zeros_like(positions)
    for k in range(3):
        np.add.at(normals, triangles[:, k], cross)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    ears = dense.refine(_indicator(face, "ear_rim_left", "ear_rim_right")).clip(0, 1)
    outer = np.unique(triangles)
    reach = _reach(positions[outer])
    names = {name: np.atleast_1d(vertices) for name, vertices in face.landmarks.items()}
    return HairHead(
        positions=positions,
        normals=normals,
        triangles=triangles.astype(np.int32),
        wide=wide.astype(np.int32),
        areas=(np.linalg.norm(cross, axis=1) / 2).astype(np.float32),
        centres=positions[triangles].mean(1),
        uv=uv.astype(np.float32),
        ears=ears,
        lips=dense.refine(face.regions["lips"]).clip(0, 1),
        pocket=dense.refine(_indicator(face, "pocket")).clip(0, 1),
        anchors=_spread_anchors(face, dense_of),
        landmarks={name: face.mean[vertices] for name, vertices in names.items()},
        landmark_vertices={name: dense_of[vertices] for name, vertices in names.items()},
        reach=reach,
        ear_rise=np.maximum(reach - _reach(positions[outer[ears[outer] < 0.02]]), 0),
    )


def _dense_of_coarse(face, dense: DenseMesh) -> np.ndarray:
    """Returns (V,) int32: the dense vertex of each of the model's vertices, -1 where none belongs to it."""
    dense_of = np.full(face.vertex_count, -1, np.int32)
    present = face.polygons >= 0
    dense_of[face.polygons[present]] = coarse_corners(face, dense).vertex
    return dense_of


def _indicator(face, *landmarks: str) -> np.ndarray:
    """Returns (V,) float32: 1 on the vertices of some landmarks."""
    cover = np.zeros(face.vertex_count, np.float32)
    for name in landmarks:
        cover[face.landmarks[name]] = 1.0
    return cover


def _spread_anchors(face, dense_of: np.ndarray) -> np.ndarray:
    """Returns dense vertices spread evenly over the skin, without ears, by farthest points."""
    skin = np.zeros(face.vertex_count, bool)
    polygons = face.polygons[face.polygon_part == face.part_names.index("skin")]
    skin[polygons[polygons >= 0]] = True
    skin &= _indicator(face, "pocket", "ear_rim_left", "ear_rim_right") == 0
    candidates = np.flatnonzero(skin)
    places = face.mean[candidates]
    chosen = [int(places[:, 2].argmax())]
    distance = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < _ANCHORS:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return dense_of[candidates[chosen]]


def _reach(points: np.ndarray) -> np.ndarray:
    """Returns the table of outer radii; empty cells take their neighbours', below the neck the lowest."""
    column, row, radius = _dome_coordinates(points)
    table = np.zeros((_ROWS, _COLUMNS), np.float32)
    np.maximum.at(table, (np.round(row).astype(int), np.round(column).astype(int) % _COLUMNS), radius)
    for _ in range(60):
        empty = table == 0
        if not empty.any():
            break
        near = [np.roll(table, 1, 1), np.roll(table, -1, 1)]
        near += [np.concatenate([table[1:], table[-1:]]), np.concatenate([table[:1], table[:-1]])]
        table = np.where(empty, np.maximum.reduce(near), table)
    table[-1] = table[-2].mean()
    for _ in range(2):
        table = (np.roll(table, 1, 1) + 2 * table + np.roll(table, -1, 1)) / 4
        table[1:-1] = (table[:-2] + 2 * table[1:-1] + table[2:]) / 4
    return table
