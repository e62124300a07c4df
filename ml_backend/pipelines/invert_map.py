"""Fits a W+ latent of DNPM to any displacement map, so that a scan or a sculpt becomes editable.

The loss has the parts of Choe 2023, "One-Shot Landmark-Based Face Reenactment", Eq. 3.1-3.5: pixels
(squared error, weighted to the wrinkles of the map), perception (octave bands as lines and as texture,
which suit relief better than features of photographs), and delta regularisation. The thesis keeps a latent
near one style for all layers. The styles of DNPM differ by layer: the offsets from the start are kept
small, in units of the standard deviation of the encoder's latents. There is no identity loss: the map is
the identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from ..datasets.sampled_expressions import sample_expressions
from ..datasets.teacher_maps import face_mask
from ..errors import UserError
from ..files.displacement_file import read_displacement
from ..layers.blur_resampling import resize_by_halving
from ..losses.map_reconstruction import activity_weights, band_losses, percentile_span, weighted_square
from ..losses.relief_identity import identity_loss
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.saved_latent import SavedLatent, weights_fingerprint
from ..models.strain_gate import through_gate
from .generate_detail import check_vector, detail_model

RESOLUTIONS = (256, 512)
STEPS = 600
LARGEST_MM = 50.0
_COARSE_SHARE = 0.7  # of the steps, at half the resolution
_RATE = 0.1
_LINES = 0.3
_TEXTURE = 0.1
_DELTA = 2e-4
_OCTAVES = 3
_FLOOR = 0.05
_SPREAD_PEOPLE = 256


@dataclass(frozen=True)
class InversionTerms:
    """Weights of the loss beside the squared error of the pixels.

    Attributes:
        lines, texture: of the octave bands.
        delta: of the latent's distance from the start, in deviations of the encoder's latents.
        identity: of the amplitudes of octaves by place.
    """

    lines: float = _LINES
    texture: float = _TEXTURE
    delta: float = _DELTA
    identity: float = 0.0


@dataclass(frozen=True)
class InvertMapRequest:
    """A map to fit, and the state of the sliders.

    Attributes:
        path: the map's file (.exr, .png, .npy); empty where `map` is given.
        map: (H, W) float32 millimetres, row 0 at the bottom, or None.
        identity, skin, expression: the sliders of this map; None for the average person, neutral
            skin, neutral face.
        start: "encoder" begins at the encoder's latent of the sliders, "mean" at the mean latent.
        steps: of the optimiser, 10 to 10,000.
        resolution: 256 or 512, the finest at which the map is compared.
    """

    path: str = ""
    map: np.ndarray | None = None
    identity: np.ndarray | None = None
    skin: np.ndarray | None = None
    expression: np.ndarray | None = None
    start: str = "encoder"
    steps: int = STEPS
    resolution: int = 512


@dataclass(frozen=True)
class Inversion:
    """A fitted latent and its fidelity.

    Attributes:
        saved: the latent and the sliders.
        offset: (18, 512) float32, the difference to the latent of the encoder, for `GenerateDetailRequest`.
        target, fitted: (R, R) float32 millimetres, the map as it was compared, and the generated one.
        psnr_db: inside the face; the peak is the target's 0.1 to 99.9 percentile span.
        start_psnr_db: of the start.
    """

    saved: SavedLatent
    offset: np.ndarray
    target: np.ndarray
    fitted: np.ndarray
    psnr_db: float
    start_psnr_db: float


def resample_map(values: np.ndarray, resolution: int) -> np.ndarray:
    """Brings a map (H, W) of any size to (R, R), low-passed where it shrinks."""
    image = torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None]
    if image.shape[-2:] == (resolution, resolution):
        return image[0, 0].numpy()
    return functional.interpolate(
        image, size=(resolution, resolution), mode="bilinear", antialias=True, align_corners=False
    )[0, 0].numpy()


def latent_spread(model: Detailed3DMM) -> Tensor:
    """Returns the standard deviation (S, 1) of the encoder's latents of random people, for each style."""
    random = np.random.default_rng(0)
    identity, skin = (
        random.standard_normal((_SPREAD_PEOPLE, size)) for size in (model.identity_size, model.skin_size)
    )
    latents = model.latent(identity, skin, sample_expressions(_SPREAD_PEOPLE, random))
    return latents.std(0).square().mean(1, keepdim=True).sqrt().clamp_min(1e-4).clone()


def psnr(fitted: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """Returns the PSNR inside the mask, dB; the peak is the target's percentile span."""
    peak = percentile_span(target[None], mask)
    return float(20 * np.log10(peak / max(float(np.sqrt(np.mean((fitted - target)[mask > 0] ** 2))), 1e-9)))


@dataclass(frozen=True)
class Start:
    """The state of the sliders, as latents.

    Attributes:
        rest, face: (S, W) W+ of the face at rest and of its expression; the same object where there is no
            expression.
        expression: (52,), which opens the gate through which the expression changes the map at rest.
    """

    rest: Tensor
    face: Tensor
    expression: Tensor


def gated_map(model: Detailed3DMM, start: Start, offset: Tensor, resolution: int) -> Tensor:
    """Returns the map (1, 1, R, R), generator's units, of an offset (S, W) to the start; differentiable."""
    resting = model.generator.maps((start.rest + offset)[None], resolution)[resolution]
    if start.face is start.rest:
        return resting
    moved = model.generator.maps((start.face + offset)[None], resolution)[resolution]
    return through_gate(resting, moved, model.encoder.gate(start.expression[None], resolution))


def fit_offset(
    model: Detailed3DMM,
    target: np.ndarray,
    mask: np.ndarray,
    start: Start,
    first: Tensor,
    steps: int,
    progress: Callable[[float, str], None],
    terms: InversionTerms | None = None,
) -> Tensor:
    """Descends to an offset whose map is the target; the first steps compare at half the resolution.

    Args:
        model: its networks stay as they are.
        target: (R, R) millimetres.
        mask: (R, R), 1 where the map counts.
        start: the sliders' latents.
        first: (S, W), the offset to begin at.
        steps: of Adam.
        progress: called with (fraction done, text); may raise to cancel.
        terms: of the loss; None for the usual ones.

    Returns:
        (S, W).
    """
    terms = terms or InversionTerms()
    size = target.shape[-1]
    unit = float(model.generator.millimetres)
    fine = torch.from_numpy(np.ascontiguousarray(target, np.float32)).to(model.device)[None, None] / unit
    inside = torch.from_numpy(np.ascontiguousarray(mask, np.float32)).to(model.device)
    levels = {}
    for resolution in (size // 2, size):
        reference = resize_by_halving(fine, resolution)
        within = (resize_by_halving(inside[None, None], resolution)[0, 0] > 0.5).float()
        weights = activity_weights(reference * within, within, max(3, resolution // 28) | 1)
        levels[resolution] = (reference * within, within, weights)
    spread = latent_spread(model)
    moved = torch.zeros_like(first).requires_grad_(True)
    optimiser = torch.optim.Adam([moved], lr=_RATE)
    rate = LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 10) * (0.02 + 0.98 * 0.5 * (1 + cos(pi * step / steps)))
    )
    coarse = round(steps * _COARSE_SHARE)
    for step in range(steps):
        resolution = size // 2 if step < coarse else size
        reference, within, weights = levels[resolution]
        generated = gated_map(model, start, first + spread * moved, resolution) * within
        lines, texture = band_losses(generated, reference, within, _OCTAVES, floor=_FLOOR)[:2]
        loss = (
            weighted_square(generated, reference, weights)
            + terms.lines * lines
            + terms.texture * texture
            + terms.delta * moved.square().mean(1).sum()
        )
        if terms.identity:
            loss = loss + terms.identity * identity_loss(generated, reference)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rate.step()
        if step % 5 == 0:
            progress(
                0.02 + 0.96 * step / steps, f"Step {step + 1} of {steps}, loss {float(loss.detach()):.3f}"
            )
    return first + spread * moved.detach()


def invert_map(
    request: InvertMapRequest, progress: Callable[[float, str], None], model: Detailed3DMM | None = None
) -> Inversion:
    """Fits a latent to a map.

    Args:
        request: the map and the start.
        progress: called with (fraction done, text); may raise to cancel.
        model: other networks than the package's own, which then have no name in the latent.

    Returns:
        The latent and its fidelity.

    Raises:
        UserError: the map cannot be read, is blank or not in millimetres, or the request is out of range.
    """
    if request.resolution not in RESOLUTIONS:
        raise UserError(f"Resolution {request.resolution} is not one of 256 and 512.")
    if not 10 <= request.steps <= 10_000:
        raise UserError(f"{request.steps} steps.", "Choose 10 to 10000.")
    if request.start not in ("encoder", "mean"):
        raise UserError(f"The start {request.start!r} is neither encoder nor mean.")
    named = request.path or "The map"
    values = read_displacement(request.path) if request.map is None else np.asarray(request.map, np.float32)
    if values.ndim != 2 or min(values.shape) < 16 or not np.isfinite(values).all():
        raise UserError(
            f"{named}: shape {values.shape}, or values that are not finite.",
            "Give a map of at least 16 x 16 numbers.",
        )
    if np.abs(values).max() > LARGEST_MM:
        raise UserError(
            f"{named}: values up to {np.abs(values).max():.3g} mm.",
            "Displacement is in millimetres; scale the map.",
        )
    weights = weights_fingerprint() if model is None else "unnamed"
    model = model or detail_model()
    identity = _vector("identity", request.identity, model.identity_size)
    skin = _vector("skin vector", request.skin, model.skin_size)
    expression = _vector("expression", request.expression, model.expression_size)
    progress(0.01, "Preparing the map")
    target = resample_map(values, request.resolution)
    mask = face_mask(BilinearFace.default(), request.resolution).astype(np.float32)
    if percentile_span(target[None], mask) < 1e-4:
        raise UserError(
            f"{named}: blank inside the face.", "The map must fill the face's texture, forehead at the top."
        )
    rest, own = model.latent(
        np.stack([identity] * 2), np.stack([skin] * 2), np.stack([np.zeros_like(expression), expression])
    ).clone()
    start = Start(
        rest, own if expression.any() else rest, torch.from_numpy(np.float32(expression)).to(model.device)
    )
    first = torch.zeros_like(rest) if request.start == "encoder" else model.generator.mean_latent - own
    with torch.no_grad():
        begun = gated_map(model, start, first, request.resolution)[0, 0].cpu().numpy() * float(
            model.generator.millimetres
        )
    offset = fit_offset(model, target, mask, start, first, request.steps, progress)
    with torch.no_grad():
        fitted = gated_map(model, start, offset, request.resolution)[0, 0].cpu().numpy() * float(
            model.generator.millimetres
        )
    reached = psnr(fitted, target, mask)
    progress(1.0, f"{reached:.1f} dB")
    saved = SavedLatent((start.face + offset).cpu().numpy(), identity, skin, expression, reached, weights)
    return Inversion(
        saved, offset.cpu().numpy(), target * mask, fitted * mask, reached, psnr(begun, target, mask)
    )


def _vector(name: str, values: np.ndarray | None, size: int) -> np.ndarray:
    return np.zeros(size, np.float32) if values is None else check_vector(name, values, size)


def write_preview(path: Path, inversion: Inversion) -> None:
    """Writes the map, the generated one and their difference, shaded, as one PNG.

    Raises:
        UserError: the file cannot be written.
    """
    from ..files.relief_sheet import write_sample_sheet

    difference = inversion.target - inversion.fitted
    try:
        write_sample_sheet(path, [np.stack([inversion.target, inversion.fitted, difference])])
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be written ({error}).", "Give a .png in a folder that exists."
        ) from error
