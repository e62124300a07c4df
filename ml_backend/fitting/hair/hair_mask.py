"""Tells hair from skin and from what is behind, in a small picture of a fitted head.

Nothing was trained: cheeks and nose tell the colour of skin, the crown the colour of hair, the rim of the
picture that of the ground. A pixel belongs to the class whose colours are nearest, hair only near the head.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_erosion,
    distance_transform_edt,
    gaussian_filter,
    label,
)
from scipy.spatial import KDTree

from ...geometry.camera_view import Camera, rasterise_view
from ...geometry.cielab import cielab
from ...geometry.hair_regions import HAIRLINE, brow_cover, scalp_cover
from ...geometry.srgb import from_srgb
from ...geometry.texture_space import triangles_of
from ...hair.head import azimuth
from ...models.bilinear_face import BilinearFace
from ..face_preview import crop_photo, project_into
from ..unwrap_photo import TextureDomain

SIZE = 208
_ABOVE, _SIDE = 0.45, 2.1
"""Room above the head, and side of the picture, in heights of the head."""
_WEIGHTS = np.array([0.7, 1.0, 1.0])
"""Of lightness, red-green and yellow-blue in a distance of colours: shading changes lightness."""
_NEIGHBOURS, _MOST_SEEDS = 8, 700
_NOSE, _SHADED = 0.03, 22.0
"""Metres from the middle where cheeks and nose are bare, and distance from their colour of skin in shade:
hair may hang before the cheeks."""
_APART = 7.0
"""Distance of colours from which a seed of hair is neither skin nor ground."""
_SOFTNESS, _FAR = 3.0, 60.0
_GLOSS, _GAP = 4, 5
"""Pixels of a shining place within hair, and half of a gap between two pieces of it."""
_BROWS = 0.010
"""Metres above the glabella up to which the face's own hair is brows and beard."""
_FRONT = 52.0
"""Degrees from the middle up to which skin below the brows is the face."""
_REACH = 0.75
"""Heights of the head up to which hair may lie from it."""


@dataclass(frozen=True)
class HairPicture:
    """A head in a square picture, with what belongs to hair.

    Attributes:
        colours: (S, S, 3) linear.
        inside: (S, S) bool, inside the photo.
        head: (S, S) bool, covered by the bald head, neck included.
        place: (S, S, 3) metres, what is seen of the head, on the mean face; zero elsewhere.
        scalp: (S, S) 0..1, within the usual hairline.
        hair: (S, S) 0..1.
        crown: 0..1, the share of the scalp's seeds that is neither skin nor ground.
        scale: pixels a metre at the head.
        chin, top: rows of the bald head.
        window: (left, top, side) in pixels of the photo.
    """

    colours: np.ndarray
    inside: np.ndarray
    head: np.ndarray
    place: np.ndarray
    scalp: np.ndarray
    hair: np.ndarray
    crown: float
    scale: float
    chin: float
    top: float
    window: tuple[float, float, float]


@lru_cache(maxsize=1)
def _fields() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns by dense vertex places on the mean face, fields (N, 4) and the triangles (T, 3) without lashes.

    The fields are scalp, bare skin of cheeks and nose, brows and ears.
    """
    face = BilinearFace.default()
    mesh = TextureDomain.default().mesh
    place = mesh.refine(face.mean)
    ear, forehead = (face.mean[face.landmarks[name]].mean(0) for name in ("ear_left", "forehead_top"))
    scalp = scalp_cover(place, ear, forehead, HAIRLINE)
    lid = face.mean[face.landmarks["lid_upper_left"]]
    brows = np.maximum(*(brow_cover(place * (side, 1, 1), lid) for side in (1, -1)))
    bare = np.clip(mesh.refine(np.maximum(face.regions["cheeks"], face.regions["nose"])), 0, 1)
    triangles, owner = triangles_of(mesh.polygons)
    lashes = face.part_names.index("lashes")
    kept = triangles[face.polygon_part[mesh.base_polygon][owner] != lashes]
    return place, np.stack([scalp, bare, brows], 1).astype(np.float32), kept


def find_hair_pixels(pixels: np.ndarray, camera: Camera, positions: np.ndarray) -> HairPicture:
    """Tells hair from skin and ground.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
    """
    place, fields, triangles = _fields()
    face = BilinearFace.default()
    lowest, brow = (face.mean[face.landmarks[name]].mean(0) for name in ("chin_bottom", "glabella"))
    chin = int(np.argmin(np.linalg.norm(place - lowest, axis=1)))
    seen, _ = camera.project(positions)
    above = place[:, 2] > place[chin, 2]
    low, high = seen[above].min(0), seen[above].max(0)
    height = float(seen[chin, 1] - low[1])
    side = _SIDE * height
    window = (float((low[0] + high[0] - side) / 2), float(low[1] - _ABOVE * height), side)
    picture = crop_photo(pixels, window, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    across, down = columns * side / SIZE + window[0], rows * side / SIZE + window[1]
    inside = (across >= 0) & (across < pixels.shape[1]) & (down >= 0) & (down < pixels.shape[0])
    view = rasterise_view(*project_into(camera, window, SIZE, positions), triangles, SIZE, SIZE)
    head = view.mask
    shown = view.spread(np.concatenate([place, fields], 1).astype(np.float32))
    scalp, bare, brows = np.moveaxis(shown[..., 3:], 2, 0)
    scalp = scalp * head
    colours = from_srgb(picture / np.float32(255))
    lab = np.moveaxis(cielab(colours.reshape(-1, 3).T.clip(0, 1)), 0, -1).reshape(SIZE, SIZE, 3) * _WEIGHTS
    unit = height * SIZE / side
    chin_row, top_row = (float(value - window[1]) * SIZE / side for value in (seen[chin, 1], low[1]))
    away = np.asarray(distance_transform_edt(~head))
    skin_seeds = head & inside & (bare > 0.7) & (brows < 0.05)
    middle = skin_seeds & (np.abs(shown[..., 0]) < _NOSE)
    if middle.any():
        skin_seeds &= np.linalg.norm(lab - np.median(lab[middle], axis=0), axis=2) < _SHADED
    beside = (away > 0.45 * unit) & (rows < chin_row)
    ground_seeds = inside & ~head & (beside | (rows < top_row - 0.35 * unit))
    below = inside & ~head & (rows > chin_row + 0.35 * unit) & (away > 0.30 * unit)
    near_top = ~head & (away < 0.05 * unit) & (rows < top_row + 0.45 * unit)
    inner = binary_erosion(scalp > 0.95, iterations=2)
    hair_seeds = inside & (inner | near_top)
    hair, crown = _nearest(lab, hair_seeds, skin_seeds, ground_seeds, below, away < _REACH * unit)
    front = azimuth(shown[..., :3]) < _FRONT
    face_below_brows = head & front & (scalp < 0.02) & (shown[..., 2] < brow[2] + _BROWS)
    hair = hair * inside
    hair[face_below_brows] = 0
    hair = np.clip(gaussian_filter(hair, 0.8), 0, 1)
    glossy = binary_closing(hair > 0.5, iterations=_GLOSS) & ~face_below_brows & inside & (scalp > 0.5)
    hair = np.maximum(hair, glossy)
    hair *= _joined(hair > 0.5, scalp > 0.5)
    return HairPicture(
        colours, inside, head, shown[..., :3] * head[..., None], scalp, hair.astype(np.float32), crown,
        _pixels_a_metre(camera, positions, above) * SIZE / side, chin_row, top_row, window,
    )  # fmt: skip


def _nearest(lab, hair_seeds, skin_seeds, ground_seeds, below, near) -> tuple[np.ndarray, float]:
    """Returns the chance (S, S) of hair, 0 off `near`, and the share of its seeds that can be hair."""
    random = np.random.default_rng(0)
    asked = lab[near]

    def distance(seeds: np.ndarray) -> np.ndarray:
        chosen = lab[seeds]
        if len(chosen) < _NEIGHBOURS:
            return np.full(len(asked), _FAR)
        chosen = chosen[random.permutation(len(chosen))[:_MOST_SEEDS]]
        return np.asarray(KDTree(chosen).query(asked, _NEIGHBOURS)[0]).mean(1)

    hair = np.zeros(lab.shape[:2])
    others = np.minimum(np.minimum(distance(skin_seeds), distance(ground_seeds)), distance(below))
    apart = np.zeros(lab.shape[:2], bool)
    apart[near] = others > _APART
    usable = hair_seeds & apart
    crown = float(usable.sum() / max(hair_seeds.sum(), 1))
    if usable.sum() >= 3 * _NEIGHBOURS:
        hair[near] = 1 / (1 + np.exp(np.clip((distance(usable) - others) / _SOFTNESS, -30, 30)))
    return hair, crown


def _joined(hair: np.ndarray, scalp: np.ndarray) -> np.ndarray:
    """Returns (S, S) bool: hair that reaches the scalp, over gaps such as an ear."""
    pieces = np.zeros(hair.shape, np.int32)
    label(np.asarray(binary_dilation(hair, iterations=_GAP)), output=pieces)
    kept = np.unique(pieces[scalp & hair])
    return np.isin(pieces, kept[kept > 0])


def _pixels_a_metre(camera: Camera, positions: np.ndarray, chosen: np.ndarray) -> float:
    """Returns how many pixels of the photo a metre is at the head."""
    return float(camera.focal / np.median(camera.project(positions[chosen])[1]))
