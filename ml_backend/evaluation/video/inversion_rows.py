"""Inversions of displacement maps, term by term, and how far each latent can still be edited.

mean_pixels   from the mean latent, by pixels alone: the baseline of the thesis's table 4.2
perception    and octave bands, in the place of AlexNet
identity      pixels and the amplitudes of octaves by place, in the place of ArcFace
delta         pixels and the regularisation of Eq. 3.4
full          all four, Eq. 3.5
i2s_like      pixels and perception, no regularisation, as long as all others (Image2StyleGAN)
psp_like      one pass of the restoration encoder (pixel2style2pixel)
sliders       all terms from the detail encoder's latent: the product's `invert`

mse and psnr_db are of the map in the face, ssim where it has wrinkles; bands is the share of the octaves'
power that is missed; editability the cosine of what the named directions change on the fitted latent with
what they change on the latent of the person's sliders.

Source: Choe 2023, "One-Shot Landmark-Based Face Reenactment", tables 4.1 and 4.2.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from ...datasets.map_set import HELD_OUT_SEED, person
from ...datasets.sampled_expressions import named_face
from ...datasets.teacher_maps import face_mask
from ...losses.map_reconstruction import band_losses, percentile_span
from ...models.bilinear_face import BilinearFace
from ...models.detailed_3dmm import Detailed3DMM
from ...models.latent_directions import LatentDirections
from ...models.restoration_encoder import Restoration
from ...models.saved_latent import weights_fingerprint
from ...pipelines.generate_detail import detail_model
from ...pipelines.invert_map import InversionTerms, Start, fit_offset
from ...simulation.relief.skin_simulation import SkinSimulation
from ..detail_fidelity import active_texels
from .mapping_rows import similarity_map

_RESOLUTION, _SIMULATED = 256, 512
_EDITS = {"age": 2.0, "tendency": 1.5, "upper": 1.0}
_FACES = ("joy", "raised brows", "anger")
_PIXELS = InversionTerms(lines=0.0, texture=0.0, identity=0.0, delta=0.0)
_PERCEPTION = InversionTerms(identity=0.0, delta=0.0)
_IDENTITY = 0.05
TERMS = {
    "mean_pixels": _PIXELS,
    "perception": _PERCEPTION,
    "identity": dataclasses.replace(_PIXELS, identity=_IDENTITY),
    "delta": dataclasses.replace(_PIXELS, delta=InversionTerms().delta),
    "full": InversionTerms(identity=_IDENTITY),
    "sliders": InversionTerms(),
}
"""Rows that descend, all from the mean latent but the last."""
STEPS = 30


def inversion_figures(count: int, steps: int = STEPS) -> dict[str, dict[str, float]]:
    """Returns the figures by row.

    Args:
        count: maps, one held-out person each.
        steps: of each descent.
    """
    model, face = detail_model(), BilinearFace.default()
    mask = face_mask(face, _RESOLUTION)
    simulation = SkinSimulation(face, _SIMULATED)
    restoration = Restoration.load(model.generator)
    directions = LatentDirections.load(weights_fingerprint())
    rows: dict[str, list[dict[str, float]]] = {}
    for number in range(count):
        identity, skin = person(face, HELD_OUT_SEED + 3_000 + number)
        expression = named_face(_FACES[number % len(_FACES)])
        target = _true_map(simulation, identity, skin, expression) * mask
        own = model.latent(identity[None], skin[None], expression[None])[0].clone()
        mean = model.generator.mean_latent.expand_as(own)
        start = Start(own, own, torch.zeros(len(expression)))
        for name, terms in TERMS.items():
            first = torch.zeros_like(own) if name == "sliders" else mean - own
            offset = fit_offset(
                model, target, mask.astype(np.float32), start, first, steps, lambda share, text: None, terms
            )
            rows.setdefault(name, []).append(_measured(model, own + offset, own, target, mask, directions))
        rows.setdefault("i2s_like", []).append(rows["perception"][-1])
        with torch.inference_mode():
            passed = restoration.latents(torch.from_numpy(target)[None])[0]
        rows.setdefault("psp_like", []).append(_measured(model, passed, own, target, mask, directions))
    return {
        name: {key: round(float(np.mean([row[key] for row in found])), 5) for key in found[0]}
        for name, found in rows.items()
    }


def _true_map(
    simulation: SkinSimulation, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray
) -> np.ndarray:
    """Returns the simulated map (R, R) of a face, millimetres."""
    with torch.inference_mode():
        state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
        fine = simulation.displacement(state, torch.from_numpy(expression)[None, None])[0, 0]
        halved = torch.nn.functional.avg_pool2d(fine[None, None], _SIMULATED // _RESOLUTION)
    return halved[0, 0].numpy().copy()


def _measured(
    model: Detailed3DMM,
    latent: Tensor,
    own: Tensor,
    target: np.ndarray,
    mask: np.ndarray,
    directions: LatentDirections,
) -> dict[str, float]:
    """Returns the figures of one fitted latent (S, W) beside that of the sliders."""
    made = model.synthesize(latent[None], _RESOLUTION)[0] * mask
    peak = percentile_span(target[None], mask)
    square = float(((made - target)[mask] ** 2).mean())
    unit = float(model.generator.millimetres)
    pair = [torch.from_numpy(np.float32(values))[None, None] / unit for values in (made, target)]
    inside = torch.from_numpy(mask.astype(np.float32))
    active = active_texels(
        torch.from_numpy(target)[None], torch.from_numpy(mask), float(target[mask].std()), 3
    )[0].numpy()
    alike = similarity_map(torch.from_numpy(made), torch.from_numpy(target), peak)
    return {
        "mse": square,
        "psnr_db": float(10 * np.log10(peak**2 / max(square, 1e-20))),
        "ssim": float(alike[active].mean()),
        "bands": float(band_losses(pair[0], pair[1], inside, 3, floor=0.05)[0]),
        "editability": _editability(model, latent, own, mask, directions),
    }


def _editability(
    model: Detailed3DMM, latent: Tensor, own: Tensor, mask: np.ndarray, directions: LatentDirections
) -> float:
    """Returns the mean cosine of edits of a latent with the same edits of the sliders' latent."""
    alike = []
    plain = model.synthesize(torch.stack([latent, own]), _RESOLUTION)[:, mask]
    for name, amount in _EDITS.items():
        step = torch.from_numpy(directions.offset({name: amount})).to(latent.device)
        changed = model.synthesize(torch.stack([latent + step, own + step]), _RESOLUTION)[:, mask] - plain
        lengths = np.linalg.norm(changed, axis=1)
        alike.append(float(changed[0] @ changed[1] / max(float(lengths.prod()), 1e-12)))
    return float(np.mean(alike))
