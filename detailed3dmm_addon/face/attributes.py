"""Vertex attributes that the materials read: lips, redness, eyebrows, scalp, and coordinates for noise.

All are made on the mean face, so they stay with the skin whatever the identity.
"""

from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.geometry.hair_regions import HAIRLINE, away_from_ears, brow_cover, scalp_cover
from ...ml_backend.geometry.skin_chart import SkinPlaces, skin_places
from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.detail_groups import LIVE_ATTRIBUTE, REGION_ATTRIBUTE, REGIONS
from ..nodes.vertex_attributes import write_attribute
from .neighbours import write_neighbours

SURFACE_ATTRIBUTE = "d3dmm_surface"
"""Shine, moist lid margins and density of pores, each 0..1."""
BEARD_ATTRIBUTE = "d3dmm_beard"
_FLUSH = {"cheeks": 0.7, "nose": 0.75, "chin": 0.3, "under_eye": 0.25}


def add_attributes(mesh: bpy.types.Mesh) -> None:
    """Writes the attributes `d3dmm_*`.

    Of floats in 0..1: lips, redness, brows, scalp, beard, one for each region. Of vectors: rest (metres),
    eye, lash, surface.
    """
    model = face_model()
    dense = dense_mesh()
    positions = dense.refine(model.mean)
    redness = sum(
        weight * dense.refine(model.regions[name]) for name, weight in _FLUSH.items() if name in model.regions
    )
    write_attribute(mesh, "d3dmm_lips", np.clip(dense.refine(model.regions["lips"]), 0, 1))
    write_attribute(mesh, "d3dmm_redness", np.clip(redness, 0, 1))
    write_attribute(mesh, "d3dmm_brows", brow_paint(positions))
    write_attribute(mesh, "d3dmm_scalp", scalp_paint(positions))
    write_attribute(mesh, "d3dmm_rest", positions)
    write_attribute(mesh, "d3dmm_eye", _eye_places(positions))
    write_attribute(mesh, "d3dmm_lash", lash_places(positions))
    add_skin_attributes(mesh)
    write_attribute(mesh, LIVE_ATTRIBUTE, np.zeros(len(positions), np.float32))
    weights = np.stack([np.clip(dense.refine(model.regions[name]), 0, 1) for name in REGIONS])
    weights /= np.maximum(weights.sum(0), 1)  # where regions overlap they share the skin
    for name, weight in zip(REGIONS, weights, strict=True):
        write_attribute(mesh, REGION_ATTRIBUTE.format(name), weight)


@lru_cache(maxsize=1)
def mean_places() -> SkinPlaces:
    """Returns lips, lids and anatomical places at the dense mesh's vertices."""
    return skin_places(face_model(), dense_mesh())


def add_skin_attributes(mesh: bpy.types.Mesh) -> None:
    """Writes shine, moist margins, pores and beard, which the skin's material reads.

    Oil shines on forehead, nose and chin; pores are largest on the nose and beside it.
    """
    places = mean_places()
    bare = 1 - places.lips
    shine = (
        0.8 * places.blob(0, 44, 34, 15)
        + 1.0 * places.blob(0, -26, 11, 20)
        + 0.45 * places.blob(0, -96, 13, 9)
        + 0.4 * places.blob(42, -18, 12, 9)
    )
    lid = np.minimum(places.upper_lid, places.lower_lid)
    moist = np.exp(-((lid / 0.9) ** 2))
    pores = (
        0.22
        + 0.8 * places.blob(0, -34, 16, 15)
        + 0.6 * places.blob(33, -32, 15, 13)
        + 0.35 * places.blob(0, 44, 40, 16)
        + 0.4 * places.blob(0, -96, 15, 10)
    )
    surface = np.stack([np.clip(shine * bare, 0, 1), moist, np.clip(pores * bare * (1 - moist), 0, 1)], 1)
    write_attribute(mesh, SURFACE_ATTRIBUTE, surface)
    write_attribute(mesh, BEARD_ATTRIBUTE, places.beard() * (1 - places.scalp))
    write_neighbours(mesh)


def _eye_places(positions: np.ndarray) -> np.ndarray:
    """Returns (N, 3): the place on the eyeball in radii - right, up, forward -, zero off the eyes."""
    model = face_model()
    part = dense_parts()
    places = np.zeros_like(positions)
    for name in ("eye_left", "eye_right"):
        chosen = part == model.part_names.index(name)
        centre = model.mean[model.landmarks[name]].mean(0)
        offset = positions[chosen] - centre
        offset /= np.median(np.linalg.norm(offset, axis=1))
        places[chosen] = np.stack([offset[:, 0], offset[:, 2], -offset[:, 1]], 1)
    return places


def lash_places(positions: np.ndarray) -> np.ndarray:
    """Returns (N, 3): for lash vertices the place along the lid, from root to tip, and the lid.

    The first is 0 at the inner and 1 at the outer corner, the second 0 at the root and 1 at the tip; the
    third is 1 on the upper lid.
    """
    model = face_model()
    part = dense_parts()
    places = np.zeros_like(positions)
    lash = part == model.part_names.index("lashes")
    for side, sign in (("left", 1), ("right", -1)):
        lids = [model.mean[model.landmarks[f"lid_{lid}_{side}"]] for lid in ("lower", "upper")]
        here = np.flatnonzero(lash & (positions[:, 0] * sign > 0))
        distances = np.stack(
            [np.linalg.norm(positions[here, None] - lid[None], axis=2).min(1) for lid in map(_finer, lids)], 1
        )
        middle = (lids[0].mean(0)[2] + lids[1].mean(0)[2]) / 2
        upper = (positions[here, 2] > middle).astype(int)
        inner, outer = lids[1][0, 0], lids[1][-1, 0]
        places[here, 0] = (positions[here, 0] - inner) / (outer - inner)
        places[here, 2] = upper
        for lid in (0, 1):
            root = distances[upper == lid, lid]
            places[here[upper == lid], 1] = (root - root.min()) / max(np.ptp(root), 1e-9)
    return places


def _finer(line: np.ndarray) -> np.ndarray:
    """Returns a polyline (n, 3) with eight points for each of its segments."""
    steps = np.linspace(0, len(line) - 1, 8 * (len(line) - 1) + 1)
    return np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1)


def scalp_paint(positions: np.ndarray) -> np.ndarray:
    """Returns (N,): the hair cover of each skin vertex, 0 outside the hairline and on ears, 1 from six
    millimetres on."""
    model = face_model()
    ear, top = (model.mean[model.landmarks[name]].mean(0) for name in ("ear_left", "forehead_top"))
    cover = scalp_cover(positions, ear, top, HAIRLINE)
    for name in ("ear_rim_left", "ear_rim_right"):
        cover = cover * away_from_ears(positions, model.mean[model.landmarks.get(name, np.zeros(0, int))])
    return _on_skin(cover)


def brow_paint(positions: np.ndarray) -> np.ndarray:
    """Returns (N,): how much of an eyebrow lies at each skin vertex, 0 to 1."""
    model = face_model()
    lids = (model.mean[model.landmarks[f"lid_upper_{side}"]] for side in ("left", "right"))
    return _on_skin(np.maximum(*(brow_cover(positions, lid) for lid in lids)))


def _on_skin(cover: np.ndarray) -> np.ndarray:
    """Returns values (N,) as float32, 0 on vertices that are not skin."""
    return np.where(dense_parts() == face_model().part_names.index("skin"), cover, 0).astype(np.float32)
