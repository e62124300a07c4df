"""Measures the restoration of down-sampled maps on simulated people that no training saw.

Maps are brought to 1/4 and 1/8 by the bicubic filter widened against aliasing (layers/band_limits.py). PSNR's
peak, SSIM over active texels and the spectrum are those of `evaluate detail`.

rows:
  ours          E_deg + DNPM above the input's band, the input below it, refined
  bicubic       bicubic interpolation
  psp           E_deg and DNPM alone, the role of pSp: one pass into W+, nothing kept of the input
  optimisation  descent in W+ until the generated map, made as coarse, is the input, the role of PULSE; a few
  maps only

examples:
  python -m ml_backend evaluate restoration --json
  python -m ml_backend evaluate restoration --people 3 --weights build/restoration --card
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ..asset_files import ASSETS
from ..datasets.map_set import HELD_OUT_SEED, person
from ..datasets.sampled_expressions import sample_expressions
from ..errors import UserError
from ..files.model_card import note_evaluation
from ..layers.band_limits import enlarge, shrink
from ..losses.map_reconstruction import percentile_span
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.restoration_encoder import RESTORATION_FILE, Restoration
from ..pipelines.invert_map import latent_spread
from ..simulation.relief.skin_simulation import SkinSimulation
from .detail_fidelity import FidelityTotals, SpectrumBins, TrueMaps

FACTORS = (4, 8)
PAPER = {
    "data": "the paper, on FaceScape",
    "1/4": {"psnr_db": 24.524, "ssim": 0.611},
    "1/8": {"psnr_db": 24.551, "ssim": 0.605},
}
_STEPS = 80
_RATE = 0.15
_DELTA = 1e-3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--people", type=int, default=10, help="held-out people (default: 10)")
    parser.add_argument(
        "--expressions", type=int, default=3, help="maps of each, the first at rest (default: 3)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of the restoration, the generator and the encoder (default: the package's)",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument(
        "--card", action="store_true", help="note the figures in the model card beside the weights"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measures; returns the exit status."""
    if args.people < 1 or args.expressions < 1:
        raise UserError("At least 1 person and 1 expression are needed.")
    if args.threads:
        torch.set_num_threads(args.threads)
    began = time.monotonic()
    model = Detailed3DMM.load(args.weights)
    restoration = Restoration.load(model.generator, args.weights)
    figures = restoration_table(
        args.people,
        args.expressions,
        model.generator.config.resolution,
        model=model,
        restoration=restoration,
        progress=lambda text: print(
            f"{time.monotonic() - began:7.0f} s  {text}", file=sys.stderr, flush=True
        ),
    )
    if args.card:
        note_evaluation((args.weights / RESTORATION_FILE).with_suffix(".md"), card_text(figures))
    print(json.dumps(figures) if args.json else card_text(figures))
    return 0


def card_text(figures: dict) -> str:
    """Returns the figures of `restoration_table` as the evaluation section of a model card."""
    counts = figures["n"]
    lines = [
        f"{counts['ours']} maps of simulated people that no training saw; the row `optimisation`: "
        f"{counts['optimisation']} of them. Peak {figures['peak_mm']} mm.",
        "",
        "| down-sampled to | method | PSNR dB | SSIM, active texels | spectrum, worst octave dB |",
        "|---|---|---|---|---|",
    ]
    for factor in (f"1/{factor}" for factor in FACTORS):
        for name, row in figures[factor].items():
            lines.append(
                f"| {factor} | {name} | {row['psnr_db']:.2f} | {row['ssim']:.3f} | "
                f"{row['spectrum_worst_octave_db']:+.2f} |"
            )
    return "\n".join(lines) + "\n"


def optimised_map(model: Detailed3DMM, degraded: Tensor, spread: Tensor, steps: int = _STEPS) -> Tensor:
    """Descends from the mean latent to one whose map, made as coarse, is the input.

    Args:
        model: its generator.
        degraded: (r, r) millimetres.
        spread: (S, 1) unit of the descent per style, see `latent_spread`.
        steps: of Adam.

    Returns:
        (R, R) millimetres.

    Source: the role of Menon et al. 2020, "PULSE", with W+ and a pull to the mean in place of its sphere.
    """
    generator = model.generator
    unit = float(generator.millimetres)
    wanted = degraded.to(model.device)[None, None]
    size = min(r for r in generator.config.resolutions if r >= degraded.shape[-1])
    moved = torch.zeros_like(generator.mean_latent).requires_grad_(True)
    optimiser = torch.optim.Adam([moved], lr=_RATE)
    rate = LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 10) * (0.02 + 0.98 * 0.5 * (1 + cos(pi * step / steps)))
    )
    for _ in range(steps):
        found = generator.maps((generator.mean_latent + spread * moved)[None], size)[size]
        loss = (
            shrink(found, degraded.shape[-1]) - wanted / unit
        ).square().mean() + _DELTA * moved.square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rate.step()
    with torch.no_grad():
        return generator((generator.mean_latent + spread * moved)[None])[0].cpu()


def restoration_table(
    people: int = 10,
    expressions: int = 3,
    resolution: int = 1024,
    optimised: int = 3,
    model: Detailed3DMM | None = None,
    restoration: Restoration | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Returns the table of restoration over simulated people from HELD_OUT_SEED on.

    Args:
        people: held-out people.
        expressions: maps of each, the first at rest.
        resolution: of the truth; that of the generator.
        optimised: maps of the row `optimisation`, of different people.
        model, restoration: other networks than the package's.
        progress: told what was done.

    Returns:
        As `restoration_rows`.

    Raises:
        UserError: weights are missing or broken.
        ValueError: counts are below 1.
    """
    if min(people, expressions, optimised) < 1:
        raise ValueError("at least one of people, expressions and optimised maps is needed")
    model = model or Detailed3DMM.default()
    restoration = restoration or Restoration.load(model.generator)
    face = BilinearFace.default()
    simulation = SkinSimulation(face, resolution=resolution)
    progress("skin solved on the mean face")
    mask = simulation.mask.cpu()
    truths = []
    with torch.inference_mode():
        for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + people):
            identity, skin = (torch.from_numpy(values)[None] for values in person(face, seed))
            faces = sample_expressions(expressions, np.random.default_rng([seed, 0xE]))
            faces[0] = 0
            truths.append(
                simulation.displacement(simulation.prepare(identity, skin), torch.from_numpy(faces)[None])[
                    0
                ].cpu()
                * mask
            )
    return restoration_rows(
        truths, mask, simulation.mean_skin.chart.scale, optimised, model, restoration, progress
    )


def restoration_rows(
    truths: list[Tensor],
    mask: Tensor,
    scale: tuple[float, float],
    optimised: int,
    model: Detailed3DMM,
    restoration: Restoration,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Restores down-sampled maps in every way and compares them with the truth.

    Args:
        truths: (E, R, R) millimetres of each person, 0 outside the mask.
        mask: (R, R) bool.
        scale: millimetres per unit of u and of v.
        optimised: how many people give a map to the row `optimisation`.
        model, restoration: the networks.
        progress: told what was done.

    Returns:
        Rows of figures by method, by factor "1/4" and "1/8"; `n` maps by method; `peak_mm`; `paper`.
    """
    resolution = mask.shape[-1]
    count = sum(len(truth) for truth in truths)
    everything = torch.cat(truths).numpy()
    peak = percentile_span(everything, mask.numpy())
    deviation = float(everything[:, mask.numpy()].std())
    window = max(3, round(2.0 / (sum(scale) / 2) * resolution))
    bins = SpectrumBins(resolution, scale, mask)
    spread = latent_spread(model)
    totals = {
        factor: {name: FidelityTotals(peak, bins) for name in ("ours", "bicubic", "psp", "optimisation")}
        for factor in FACTORS
    }
    for number, truth in enumerate(truths):
        compared = TrueMaps(truth, mask, deviation, bins, window)
        for factor in FACTORS:
            low = shrink(truth[:, None], resolution // factor)[:, 0]
            given = low.to(model.device)
            made = {
                "ours": restoration.restore(given)[0].cpu(),
                "bicubic": enlarge(low[:, None], resolution)[:, 0],
                "psp": restoration.generated(given).cpu(),
            }
            for name, maps in made.items():
                totals[factor][name].add(maps * mask, compared)
            if number < optimised:
                place = number % len(truth)
                one = TrueMaps(truth[place : place + 1], mask, deviation, bins, window)
                totals[factor]["optimisation"].add(optimised_map(model, low[place], spread)[None] * mask, one)
        progress(f"{number + 1} of {len(truths)} people restored")
    return {
        **{
            f"1/{factor}": {name: total.figures() for name, total in rows.items()}
            for factor, rows in totals.items()
        },
        "n": {"ours": count, "bicubic": count, "psp": count, "optimisation": min(optimised, len(truths))},
        "peak_mm": round(peak, 4),
        "paper": PAPER,
    }
