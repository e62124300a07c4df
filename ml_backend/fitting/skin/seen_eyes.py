"""The colours of the eyes in a photograph: their white, a reference for the skin's, and the irises."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...geometry.camera_view import Camera, rasterise_view
from ...geometry.srgb import from_srgb
from ...geometry.subdivision import DenseMesh
from ...models.bilinear_face import BilinearFace
from ..unwrap_photo import TextureDomain

_WIDE, _SIDE = 2.0, 160
"""Width of the window around an eye, in widths of the eyeball, and its samples."""
_IRIS, _RIM = 0.56, 0.97
_RING = 0.24, 0.47
"""Shares of an eyeball's radius between which lies the iris without pupil and rim."""
_MARGIN = 2
_FEWEST = 30
_NEAR = 0.005  # metres from the lids
_IRIS_SHARES = (0.25, 0.7)
_BRIGHTER = (0.55, 0.92)
"""Shares of the samples, by their darkest channel, that are neither lid nor glint."""


@dataclass(frozen=True)
class EyeSamples:
    """Places on the eyes that a photo shows.

    Attributes:
        white: (N, 3) linear colours; `white_reached` (N, 9) the harmonics of the light that reaches them.
        iris: (M, 3); `iris_reached` (M, 9).
        white_directions, iris_directions: (N, 96) and (M, 96) like `SeenSkin.directions`; None: not known.
    """

    white: np.ndarray
    white_reached: np.ndarray
    iris: np.ndarray
    iris_reached: np.ndarray
    white_directions: np.ndarray | None = None
    iris_directions: np.ndarray | None = None


def sample_eyes(
    face: BilinearFace,
    mesh: DenseMesh,
    triangles: np.ndarray,
    pixels: np.ndarray,
    camera: Camera,
    positions: np.ndarray,
    reached: np.ndarray,
) -> EyeSamples | None:
    """Reads the eyes.

    Args:
        face, mesh, triangles: the model, its dense mesh and the triangles (T, 3) of all its parts.
        pixels: (H, W, 3) uint8 sRGB; or (H, W, 3 P), photos that one camera took without moving.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
        reached: (N, 105) the light that reaches them, `HeadLight`: its harmonics and its directions.

    Returns:
        The samples, in as many channels as the pixels; None where too little of the white is seen.
    """  # fmt: skip
    found: dict[str, list[np.ndarray]] = {"white": [], "iris": []}
    light: dict[str, list[np.ndarray]] = {"white": [], "iris": []}
    seen, depth = camera.project(positions)
    part = np.zeros(len(positions), np.uint8)
    part_of_polygon = face.polygon_part[mesh.base_polygon]
    part[mesh.polygons[:, :3].ravel()] = np.repeat(part_of_polygon, 3)
    drawn = triangles[part[triangles[:, 0]] != face.part_names.index("lashes")]
    for side in ("left", "right"):
        ball = part == face.part_names.index(f"eye_{side}")
        centre = (positions[ball].min(0) + positions[ball].max(0)) / 2
        offset = positions - centre
        radius = float(np.median(np.linalg.norm(offset[ball], axis=1)))
        front = offset[_front_vertex(offset, ball)]
        front = front / np.linalg.norm(front)
        along = offset @ front / radius
        aside = np.sqrt(np.clip((offset**2).sum(1) / radius**2 - along**2, 0, None))
        low, high = seen[ball].min(0), seen[ball].max(0)
        middle, half = (low + high) / 2, _WIDE / 2 * float((high - low).max())
        scale = _SIDE / (2 * half)
        near = (np.abs(seen - middle) < 1.3 * half).all(1)
        local = drawn[near[drawn].all(1)]
        raster = rasterise_view((seen - middle + half) * scale, depth, local, _SIDE, _SIDE)
        shown = raster.spread(np.concatenate([np.stack([ball, aside], 1), reached], 1).astype(np.float32))
        is_ball, away = shown[..., 0] > 0.99, shown[..., 1]
        for name, (inner, outer) in (("white", (_IRIS, _RIM)), ("iris", _RING)):
            row, column = np.nonzero(_within(is_ball & (away > inner) & (away < outer)))
            at = np.floor(np.stack([column + 0.5, row + 0.5], 1) / scale + middle - half).astype(int)
            inside = ((at >= 0) & (at < (pixels.shape[1], pixels.shape[0]))).all(1)
            found[name].append(from_srgb(pixels[at[inside, 1], at[inside, 0]] / np.float32(255)))
            light[name].append(shown[row, column, 2:][inside])
    white, iris = (np.concatenate(found[name]) for name in ("white", "iris"))
    if len(white) < _FEWEST:
        return None
    light_white, light_iris = (np.concatenate(light[name]) for name in ("white", "iris"))
    return EyeSamples(
        white, light_white[:, :9], iris, light_iris[:, :9], light_white[:, 9:], light_iris[:, 9:]
    )


def _within(cover: np.ndarray) -> np.ndarray:
    """Returns a region (S, S) bool without its rim."""
    for _ in range(_MARGIN):
        inner = np.zeros_like(cover)
        inner[1:-1, 1:-1] = (
            cover[1:-1, 1:-1] & cover[:-2, 1:-1] & cover[2:, 1:-1] & cover[1:-1, :-2] & cover[1:-1, 2:]
        )
        cover = inner
    return cover


def iris_in_light(samples: EyeSamples, light: np.ndarray, least: float) -> np.ndarray | None:
    """Returns the linear colour (3,) of the irises in a light of 1; None where they are not seen.

    Reflections on the cornea are brighter, pupil and lashes darker than what is taken.

    Args:
        samples: from `sample_eyes`.
        light: (9, 3) harmonics.
        least: of the light that a sample is divided by.
    """
    if len(samples.iris) < _FEWEST:
        return None
    even = samples.iris / np.maximum(samples.iris_reached @ light, least)
    bright = even.mean(1)
    low, high = np.quantile(bright, _IRIS_SHARES)
    return np.median(even[(bright >= low) & (bright <= high)], axis=0)


def white_in_light(samples: EyeSamples, light: np.ndarray, least: float) -> np.ndarray:
    """Returns the linear colour (3,) that the white of the eyes would have in a light of 1.

    Each sample is divided by the light that reaches it past brow, nose and lids; of the results those are
    taken that are neither lid nor glint.

    Args:
        samples: from `sample_eyes`.
        light: (9, 3) harmonics.
        least: of the light that a sample is divided by.
    """
    even = samples.white / np.maximum(samples.white_reached @ light, least)
    darkest = even.min(1)
    low, high = np.quantile(darkest, _BRIGHTER)
    return even[(darkest >= low) & (darkest <= high)].mean(0)


def likely_white(shares: np.ndarray) -> float:
    """Returns the mean of samples of the white (N,) that are neither lid nor glint."""
    low, high = np.quantile(shares, _BRIGHTER)
    return float(shares[(shares >= low) & (shares <= high)].mean())


@lru_cache(maxsize=4)
def skin_around_eyes(resolution: int) -> np.ndarray:
    """Returns (2, R, R) float32 0..1 in texture space: skin just above and just below the eyes."""
    face = BilinearFace.default()
    domain = TextureDomain.default(4 * resolution)
    above, below = np.zeros(face.vertex_count), np.zeros(face.vertex_count)
    for side in ("left", "right"):
        for lid, cover in (("upper", above), ("lower", below)):
            line = face.mean[face.landmarks[f"lid_{lid}_{side}"]]
            away = np.linalg.norm(face.mean[:, None] - line[None], axis=2)
            over = face.mean[:, 2] - line[away.argmin(1), 2]
            outside = over > -0.001 if lid == "upper" else over < 0.001
            np.maximum(cover, np.clip(2 - away.min(1) / _NEAR, 0, 1) * outside, out=cover)
    fields = domain.lookup.spread(domain.mesh.refine(np.stack([above, below], 1).astype(np.float32)))
    return fields.reshape(resolution, 4, resolution, 4, 2).mean((1, 3)).transpose(2, 0, 1)


def _front_vertex(offset: np.ndarray, ball: np.ndarray) -> int:
    """Returns the vertex of an eyeball that lies farthest forward: the middle of the cornea."""
    chosen = np.flatnonzero(ball)
    return int(chosen[np.argmin(offset[chosen, 1])])
