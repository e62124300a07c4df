"""Reads relief off an unwrapped photograph: image to displacement, then restoration into W+."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..layers.band_limits import shrink
from ..models.bilinear_face import BilinearFace
from ..models.image_to_displacement import ImageToDisplacement, image_features, read_image_to_displacement
from ..models.restoration_encoder import Restoration
from ..simulation.portraits.skin_shading import SkinSurface, harmonics, skin_surface, smooth_shading
from .generate_detail import detail_model

TRUST = 0.7
"""Weight of the estimate against the generator's map where the photograph is sure."""


@lru_cache(maxsize=1)
def photo_networks() -> tuple[ImageToDisplacement, Restoration, SkinSurface]:
    """Returns the carried networks and the surface that they work on, read once.

    Raises:
        UserError: a file is missing or broken.
    """
    network = read_image_to_displacement()
    model = detail_model()
    surface = skin_surface(BilinearFace.default(), network.config.resolution)
    return network.to(model.device), Restoration.load(model.generator), surface.to(model.device)


@torch.inference_mode()
def detail_from_texture(
    texture: np.ndarray, confidence: np.ndarray, lighting: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the relief of the skin off an unwrapped photograph.

    Args:
        texture: (1024, 1024, 3) float32, linear 0..1, as photographed (its light still in it), row 0 at v =
            0.
        confidence: (1024, 1024) float32 0..1, how well each texel is seen.
        lighting: (9, 3) spherical-harmonics coefficients in the face's axes, see
            `simulation.skin_shading.harmonics`.
        expected: (1024, 1024) millimetres, what the detail encoder makes of the fitted identity and
            expression.

    Returns:
        (1024, 1024) float32 millimetres, and (18, 512) float32, its W+ latent: the map without the
        photograph's own traces.

    Raises:
        UserError: weights are missing or broken.
        ValueError: a shape disagrees, or a value is not finite.
    """
    texture, confidence, lighting, expected = (
        np.asarray(values, np.float32) for values in (texture, confidence, lighting, expected)
    )
    if texture.ndim != 3 or texture.shape[2] != 3 or texture.shape[0] != texture.shape[1]:
        raise ValueError(f"texture {texture.shape}: must be (R, R, 3)")
    if confidence.shape != texture.shape[:2] or expected.shape != texture.shape[:2]:
        raise ValueError(
            f"confidence {confidence.shape} and expected map {expected.shape}: must be {texture.shape[:2]}"
        )
    if lighting.shape != (9, 3):
        raise ValueError(f"lighting {lighting.shape}: expected (9, 3)")
    if not all(np.isfinite(values).all() for values in (texture, confidence, lighting, expected)):
        raise ValueError("texture, confidence, lighting or expected map hold values that are not finite")
    estimate, known = estimate_from_texture(texture, confidence, lighting, expected)
    _, restoration, _ = photo_networks()
    found, latent = restoration.blend(estimate, TRUST * known)
    return found[0].cpu().numpy(), latent[0].cpu().numpy()


@torch.inference_mode()
def estimate_from_texture(
    texture: np.ndarray,
    confidence: np.ndarray,
    lighting: np.ndarray,
    expected: np.ndarray,
    network: ImageToDisplacement | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the network's own estimate, before the generator makes a clean map of it.

    Args:
        texture, confidence, lighting, expected: as `detail_from_texture` takes them, checked.
        network: in place of the installed one, of the same resolution.

    Returns:
        (1, r, r) millimetres and (1, r, r) 0..1, how well each texel is seen; r is the network's resolution.
    """
    installed, _, surface = photo_networks()
    network = network or installed
    size, device = network.config.resolution, surface.mask.device
    colour = torch.from_numpy(np.ascontiguousarray(texture.transpose(2, 0, 1)))[None].to(device)
    sure = torch.from_numpy(np.ascontiguousarray(confidence))[None, None].to(device)
    known = (functional.interpolate(sure, size=(size, size), mode="area").clamp(0, 1)) * surface.mask
    features = image_features(
        shrink(colour, size).clamp(0, 1),
        known,
        *smooth_shading(surface, torch.from_numpy(lighting)[None].to(device)),
    )
    before = shrink(torch.from_numpy(expected)[None, None].to(device), size) * surface.mask
    estimate = network.millimetres(features, before) * surface.mask
    return estimate[:, 0], known[:, 0]


@torch.inference_mode()
def relief_shading(detail: np.ndarray, lighting: np.ndarray) -> np.ndarray:
    """Returns by how much relief shades each texel in a light: 1 where the skin is smooth.

    Args:
        detail: (1024, 1024) millimetres.
        lighting: (9, 3), see `detail_from_texture`.

    Returns:
        (1024, 1024) float32.
    """
    _, _, surface = photo_networks()
    size, device = surface.mask.shape[-1], surface.mask.device
    heights = shrink(torch.from_numpy(np.asarray(detail, np.float32))[None, None].to(device), size)
    grey = torch.from_numpy(np.asarray(lighting, np.float32).mean(1)).to(device)

    def shading(normals: torch.Tensor) -> torch.Tensor:
        return torch.einsum("byxk,k->byx", harmonics(normals).permute(0, 2, 3, 1), grey).clamp_min(0.15)

    ratio = shading(surface.tilted(*surface.slopes(heights))) / shading(surface.normal[None])
    ratio = torch.where(surface.mask[None] > 0.5, ratio, torch.ones_like(ratio))[:, None]
    ratio = functional.interpolate(ratio, size=detail.shape, mode="bicubic", align_corners=False)
    return ratio[0, 0].cpu().numpy()
