"""Turns a linear face model from elsewhere into a `BilinearFace` with a mesh of its own."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..expression_names import EXPRESSION_NAMES
from ..geometry.similarity import fit_similarity
from ..models.bilinear_face import BilinearFace
from .anny import PARTS


@dataclass(frozen=True)
class ExternalModel:
    """A linear face model in metres, Blender axes.

    Attributes:
        mean: (V, 3) the mean face at rest.
        core: (1 + K, 1 + 52, B), basis: (B, 3 V): see `BilinearFace`.
        polygons, uv, uv_polygons, vertex_part, polygon_part: see `BilinearFace`; parts as in `anny.PARTS`.
        anchors: by landmark name of the embedded model, (3,) where it is on this mean face; at least three,
            not on a line.
    """

    mean: np.ndarray
    core: np.ndarray
    basis: np.ndarray
    polygons: np.ndarray
    uv: np.ndarray
    uv_polygons: np.ndarray
    vertex_part: np.ndarray
    polygon_part: np.ndarray
    anchors: dict[str, np.ndarray]


def to_bilinear_face(model: ExternalModel) -> BilinearFace:
    """Completes a model with regions and landmarks of the embedded face.

    They are taken from the nearest skin of the embedded face laid over it.

    It has no named directions: what its people were is not known.
    """
    size = model.core.shape[0] - 1
    regions, landmarks = _borrowed(model)
    return BilinearFace(
        mean=model.mean.astype(np.float32),
        core=model.core.astype(np.float32),
        basis=model.basis.astype(np.float32),
        direction_names=(),
        direction_units=(),
        directions=np.zeros((0, size), np.float32),
        direction_ranges=np.zeros((0, 2), np.float32),
        attributes=np.zeros((0, 1 + size), np.float32),
        attribute_ranges=np.zeros((0, 2), np.float32),
        people=np.zeros((0, size), np.float32),
        polygons=model.polygons.astype(np.int32),
        uv=model.uv.astype(np.float32),
        uv_polygons=model.uv_polygons.astype(np.int32),
        part_names=PARTS,
        vertex_part=model.vertex_part.astype(np.uint8),
        polygon_part=model.polygon_part.astype(np.uint8),
        regions=regions,
        landmarks=landmarks,
    )


def separate_core(identity_size: int, moved: list[int]) -> np.ndarray:
    """Returns the core of a model whose expressions are the same for everybody.

    Basis rows are K identity modes, then one row an expression.

    Args:
        identity_size: K.
        moved: by basis row after the modes, the index of its expression in EXPRESSION_NAMES.
    """
    core = np.zeros((1 + identity_size, 1 + len(EXPRESSION_NAMES), identity_size + len(moved)), np.float32)
    for mode in range(identity_size):
        core[1 + mode, 0, mode] = 1
    for row, expression in enumerate(moved):
        core[0, 1 + expression, identity_size + row] = 1
    return core


def _borrowed(model: ExternalModel) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Regions and landmarks of the embedded face, at the nearest vertices of the same part."""
    known = BilinearFace.default()
    face = known.neutral(np.zeros(known.identity_size, np.float32)).astype(np.float64)
    names = sorted(model.anchors)
    source = np.stack([face[known.landmarks[name]].mean(axis=0) for name in names])
    target = np.stack([model.anchors[name] for name in names])
    laid = fit_similarity(source, target)(face)
    regions = {name: np.zeros(len(model.mean), np.float32) for name in known.regions}
    nearest = np.zeros(len(face), np.int64)
    for part in range(len(PARTS)):
        mine = np.flatnonzero(model.vertex_part == part)
        theirs = np.flatnonzero(known.vertex_part == part)
        if not len(mine):
            mine = np.flatnonzero(model.vertex_part == 0)
        nearest[theirs] = mine[KDTree(model.mean[mine]).query(laid[theirs])[1]]
        if part == 0:
            back = theirs[KDTree(laid[theirs]).query(model.mean[mine])[1]]
            for name, weights in known.regions.items():
                regions[name][mine] = weights[back]
    return regions, {name: nearest[indices].astype(np.int32) for name, indices in known.landmarks.items()}
