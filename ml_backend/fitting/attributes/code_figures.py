"""Errors of codes against true ones, and of pictures that were decoded from them against the pictures
themselves."""

from functools import lru_cache

import numpy as np
import torch

from ...geometry.cielab import ciede2000, cielab
from ...geometry.map_resampling import resample
from ...geometry.similarity import fit_similarity
from ...geometry.srgb import to_srgb
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import FaceCodes, main_direction, rotation_of_angles
from ...models.face_renderer import TEXELS, HeadFields, SkinColours

ERRORS = ("shape_mm", "shape_in_place_mm", "expression_rmse", "skin_ciede2000", "light_deg", "light_relative",
          "rotation_deg", "translation_mm", "hair_error")  # fmt: skip
_NO_NOISE = 1e-9


@lru_cache(maxsize=1)
def front_vertices() -> np.ndarray:
    """Returns the vertices of the face's front: without ears, neck and scalp."""
    face = BilinearFace.default()
    return np.flatnonzero((face.regions["face"] > 0.4) & (face.vertex_part == 0))


@lru_cache(maxsize=1)
def front_texels() -> np.ndarray:
    """Returns the texels of the skin's map (64 x 64, flat) on the face's front."""
    cells = (HeadFields.default().uv[front_vertices()].clip(0, 0.999) * TEXELS).astype(int)
    return np.unique(cells[:, 1] * TEXELS + cells[:, 0])


def skin_map(texture: np.ndarray) -> np.ndarray:
    """Returns (3, T) linear colours of the face's front of a code of texture (48,)."""
    with torch.no_grad():
        return SkinColours.default().linear(torch.from_numpy(texture)[None])[0].numpy()[:, front_texels()]


def nearest_texture(albedo: np.ndarray) -> np.ndarray:
    """Returns the code of texture (48,) nearest to a linear map (R, R, 3) on the face's front."""
    colours, places = SkinColours.default(), front_texels()
    low = resample(to_srgb(np.clip(albedo, 0, 1)).transpose(2, 0, 1).astype(np.float32), TEXELS).reshape(
        3, -1
    )
    rows = colours.spread[:, :, places].flatten(1).numpy().T
    away = (low - colours.mean.numpy())[:, places].ravel()
    gram = rows.T @ rows + 1e-3 * len(rows) / TEXELS**2 * np.eye(rows.shape[1])
    return np.linalg.solve(gram, rows.T @ away).astype(np.float32)


def aligned_form(shape: np.ndarray) -> np.ndarray:
    """Returns (P, 3) metres, the front of a neutral face (128,) brought to the mean face's by a
    similarity."""
    face, front = BilinearFace.default(), front_vertices()
    own = face.neutral(shape)[front]
    return fit_similarity(own, face.mean[front])(own)


def shape_error(found: np.ndarray, true: np.ndarray, aligned: bool = True) -> float:
    """Returns the mean distance, millimetres, of two neutral faces' fronts.

    Args:
        found, true: (128,).
        aligned: after the similarity that brings one nearest to the other: a picture does not tell a head's
            size. Source of the protocol: Sanyal et al. 2019, "Learning to regress 3D face shape and
            expression from an image without 3D supervision" (NoW).
    """
    face, front = BilinearFace.default(), front_vertices()
    one, other = face.neutral(found)[front], face.neutral(true)[front]
    if aligned:
        one = fit_similarity(one, other)(one)
    return 1000 * float(np.linalg.norm(one - other, axis=1).mean())


def code_errors(found: FaceCodes, true: FaceCodes, hair_scale: np.ndarray | float = 1.0) -> dict[str, float]:
    """Returns the errors of `ERRORS`.

    Args:
        found, true: codes.
        hair_scale: deviations of the hair code.
    """
    light, aim = found.light, true.light
    cosine = float(main_direction(light) @ main_direction(aim))
    turn = rotation_of_angles(found.rotation) @ rotation_of_angles(true.rotation).T
    relative = light / np.maximum(light[0].mean(), 1e-6) - aim / np.maximum(aim[0].mean(), 1e-6)
    return {
        "shape_mm": shape_error(found.shape, true.shape),
        "shape_in_place_mm": shape_error(found.shape, true.shape, aligned=False),
        "expression_rmse": float(np.sqrt(np.square(found.expression - true.expression).mean())),
        "skin_ciede2000": float(
            ciede2000(cielab(skin_map(true.texture)), cielab(skin_map(found.texture))).mean()
        ),
        "light_deg": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "light_relative": float(
            np.linalg.norm(relative) / np.linalg.norm(aim / max(float(aim[0].mean()), 1e-6))
        ),
        "rotation_deg": float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))),
        "translation_mm": 1000 * float(np.linalg.norm(found.translation - true.translation)),
        "hair_error": float(np.sqrt(np.square((found.hair - true.hair) / hair_scale).mean())),
    }


def code_distances(found: FaceCodes, true: FaceCodes) -> dict[str, float]:
    """Returns the paper's distances between what a picture and its rendering show, here between true and
    found codes.

    AED, ATD, AID, APD: one less the cosine of expression, texture, illumination (over its level), pose (yaw,
    pitch and roll). `identity_cosine`: of the faces' forms, less the mean face's, after a similarity.
    """
    mean = BilinearFace.default().mean[front_vertices()]
    forms = [aligned_form(codes.shape) - mean for codes in (found, true)]
    lights = [codes.illumination[3:] for codes in (found, true)]
    return {
        "aed": 1 - cosine(found.expression, true.expression),
        "atd": 1 - cosine(found.texture, true.texture),
        "aid": 1 - cosine(*lights),
        "apd": 1 - cosine(found.rotation, true.rotation),
        "identity_cosine": cosine(*forms),
    }


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the cosine of two arrays; 1 where both are nothing, 0 where one is."""
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(lengths) < _NO_NOISE:
        return float(max(lengths) < _NO_NOISE)
    return float((one * other).sum() / (lengths[0] * lengths[1]))


def picture_errors(made: np.ndarray, shown: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Returns `l1` and `ssim` of two pictures (H, W, 3) uint8 inside a mask (H, W).

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    from scipy.ndimage import gaussian_filter

    one, other = (picture.astype(np.float64) / 255 for picture in (made, shown))
    grey, beside = one.mean(2), other.mean(2)

    def smooth(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5)

    mean, far = smooth(grey), smooth(beside)
    spread, wide = smooth(grey**2) - mean**2, smooth(beside**2) - far**2
    both = smooth(grey * beside) - mean * far
    alike = (2 * mean * far + 1e-4) * (2 * both + 9e-4) / ((mean**2 + far**2 + 1e-4) * (spread + wide + 9e-4))
    return {"l1": float(np.abs(one - other)[mask].mean()), "ssim": float(alike[mask].mean())}
