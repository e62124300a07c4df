"""Trains the residual on the exact decoder's drawing: hair, eyes, mouth and the head's outline.

The truth are portraits that Cycles rendered of this extension's own people, with strands, eyes and teeth:
  python -m tools.rendered_portraits --count 240 --out build/rendered-portraits
Each eighth person is held out. The network sees what the exact decoder draws of the same codes and learns
the picture and the mask: absolute differences at three scales, of slopes, and of how rough small
neighbourhoods are, so that hair stays hair.

Writes to --out: render_residual.safetensors (float16), render_residual.md (model card), log.jsonl,
checkpoint.safetensors, sheet.png (held-out people: drawing, with residual, Cycles).

examples:
  python -m ml_backend train render-residual --data build/rendered-portraits --config 2core --install
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...asset_files import ASSETS, SHIPPED_ASSETS
from ...errors import UserError
from ...files.image_writers import write_png
from ...files.model_card import ModelCard, copy_whole, install
from ...files.network_file import write_network_file
from ...layers.processes import own_share
from ...models.residual.render_residual import (
    RESIDUAL_FILE,
    FinishedDrawing,
    RenderResidual,
    residual_config,
)
from ..checkpoints import WeightAverage
from ..steps import TrainingRun
from ..training_run import add_run_arguments, read_configuration
from .rendered_pictures import HELD_OUT_EVERY, RenderedPortrait, ResidualPairs, attention, read_rendered
from .residual_figures import mean_picture, milliseconds, on_ground, residual_figures

STAGE = "residual"
_SHOWN, _MEASURED = 8, 8
_ROUGH = 5
"""Pixels of a neighbourhood whose roughness counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(
        parser, "build/render-residual", "build/rendered-portraits", "portraits of tools.rendered_portraits"
    )
    parser.add_argument(
        "--or-keep", action="store_true", help="without pictures in --data keep the shipped weights"
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def keep_shipped() -> None:
    """Copies the shipped weights, card and log into the models' folder, if that is another one."""
    for name in (RESIDUAL_FILE, *(f"{Path(RESIDUAL_FILE).stem}.{ending}" for ending in ("md", "log.jsonl"))):
        if ASSETS != SHIPPED_ASSETS:
            copy_whole(SHIPPED_ASSETS / name, ASSETS / name)


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status.

    Raises:
        UserError: the pictures are missing, broken or too few.
    """
    if args.or_keep and not any(args.data.glob("*.npz")):
        keep_shipped()
        print(f"{args.data}: no rendered portraits, so the shipped residual stays.", file=sys.stderr)
        return 0
    settings = read_configuration(args.config, "render-residual")
    training = TrainingRun.begin(args, (STAGE,))
    portraits = read_rendered(args.data)
    held, learned = parted(portraits)
    pairs, aside = ResidualPairs.of(learned), ResidualPairs.of(held)
    torch.manual_seed(0)
    config = residual_config(settings["network"])
    network, average = (RenderResidual(config).to(training.device) for _ in range(2))
    average.load_state_dict(network.state_dict())
    keeper = training.keep({"network": network, "average": average}, args.resume)
    if not keeper.finished(STAGE):
        train(network, average, pairs, (held, aside), settings[STAGE], training)
        keeper.finish(STAGE)
    average.eval().cpu()
    figures = residual_figures(average, held, aside, mean_picture(pairs)) | milliseconds(average, held[0])
    training.write("measured", **figures)
    sheet(args.out / "sheet.png", average, aside)
    facts = training.facts(f"python -m ml_backend train render-residual --config {args.config}", (STAGE,))
    facts["measured"] = json.dumps(figures)
    people = [len({portrait.person for portrait in part}) for part in (held, learned)]
    facts["held_out"] = (
        f"{len(held)} pictures of {people[0]} people that no training saw; it learned from {len(learned)} of "
        f"{people[1]}"
    )
    write_network_file(args.out / RESIDUAL_FILE, average, config, facts)
    residual_card(average, facts, figures).write(args.out / RESIDUAL_FILE)
    if args.install:
        install(args.out, (RESIDUAL_FILE,))
    return 0


def parted(portraits: list[RenderedPortrait]) -> tuple[list[RenderedPortrait], list[RenderedPortrait]]:
    """Returns the portraits of people who are held out, and those of the others.

    Raises:
        UserError: one of the two is empty.
    """
    held = [one for one in portraits if one.person % HELD_OUT_EVERY == 0]
    learned = [one for one in portraits if one.person % HELD_OUT_EVERY]
    if not held or not learned:
        raise UserError(
            f"{len(portraits)} rendered portraits are too few: somebody is to be held out.",
            f"Render {HELD_OUT_EVERY + 1} people or more, from number 0 on.",
        )
    return held, learned


def train(
    network: RenderResidual,
    average: RenderResidual,
    pairs: ResidualPairs,
    held: tuple[list[RenderedPortrait], ResidualPairs],
    settings: Mapping[str, Any],
    training: TrainingRun,
) -> None:
    """Trains the network.

    Args:
        network: in training; average: receives the mean of its weights.
        pairs: drawings and pictures; held: people that are held out, for the log.
        settings: those of `TrainingRun.steps`; `batch`, `side` of the cut pictures, `decay`, `half_life`, and
            the weights `cover`, `slopes`, `roughness`.
        training: log, checkpoint and device.
    """
    random = np.random.default_rng(5)
    optimisers = {
        STAGE: torch.optim.AdamW(network.parameters(), settings["rate"], weight_decay=settings["decay"])
    }
    averages = [WeightAverage(network, average, settings["half_life"])]
    people, aside = held[0][:_MEASURED], held[1]
    few = ResidualPairs(*(getattr(aside, item.name)[:_MEASURED] for item in dataclasses.fields(aside)))

    def measured() -> dict[str, float]:
        average.eval()
        copy = average if training.device.type == "cpu" else _on_cpu(average)
        found = residual_figures(copy, people, few, None)
        return {f"unseen_{name}": value for name, value in found.items() if name.startswith("residual_")}

    for step in training.steps(STAGE, optimisers, averages, settings, measure=measured, random=[random]):
        network.train()
        rows = own_share(random.integers(0, len(pairs), settings["batch"]))
        batch = [part.to(training.device) for part in pairs.batch(rows, random, settings["side"])]
        channels, condition, colour, cover = batch
        grounds = torch.from_numpy(random.uniform(0, 1, (len(rows), 3, 1, 1)).astype(np.float32))
        found = network(channels, condition)
        terms = residual_losses(found, colour, cover, attention(channels), grounds.to(training.device))
        weighted = {name: settings.get(name, 1.0) * value for name, value in terms.items()}
        loss = torch.stack(list(weighted.values())).sum()
        step.descend(loss, clip=1.0, loss=loss, **terms)


def _on_cpu(network: RenderResidual) -> RenderResidual:
    copy = RenderResidual(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.eval()


def residual_losses(
    found: FinishedDrawing, colour: Tensor, cover: Tensor, weights: Tensor, grounds: Tensor
) -> dict[str, Tensor]:
    """Returns the losses of finished drawings.

    Args:
        found: of the network.
        colour: (B, 3, H, W) sRGB; cover: (B, H, W): the truth.
        weights: (B, H, W) how much a pixel counts.
        grounds: (B, 3, 1, 1) colours behind the heads.

    Returns:
        `colour`: absolute differences of the head's colour; `scales`: of the pictures on their grounds, at
        three scales; `slopes`; `roughness`: of the deviations within 5 x 5 pixels; `cover`: cross entropy.
    """
    share, own = cover[:, None], found.cover[:, None]
    counted = weights[:, None] * share
    true = share * colour + (1 - share) * grounds
    made = own * found.colour + (1 - own) * grounds
    error = (made - true) * weights[:, None].sqrt()
    scales = error.abs().mean()
    for _ in range(2):
        error = functional.avg_pool2d(error, 2)
        scales = scales + error.abs().mean()
    apart = [made.diff(dim=axis) - true.diff(dim=axis) for axis in (-1, -2)]
    return {
        "colour": ((found.colour - colour).abs() * counted).sum() / (3 * counted.sum().clamp_min(1)),
        "scales": scales,
        "slopes": torch.stack([part.abs().mean() for part in apart]).sum(),
        "roughness": (_roughness(made) - _roughness(true)).abs().mean(),
        "cover": functional.binary_cross_entropy_with_logits(found.logits, cover),
    }


def _roughness(pictures: Tensor) -> Tensor:
    """Returns (B, 1, H, W): the deviation of brightness in each pixel's neighbourhood."""
    grey = pictures.mean(1, keepdim=True)
    mean = functional.avg_pool2d(grey, _ROUGH, 1, _ROUGH // 2)
    square = functional.avg_pool2d(grey.square(), _ROUGH, 1, _ROUGH // 2)
    return ((square - mean.square()).clamp_min(0) + 1e-5).sqrt()


def sheet(path: Path, network: RenderResidual, pairs: ResidualPairs) -> None:
    """Writes held-out people: the exact drawing, with the residual, and Cycles, from top to bottom."""
    columns = []
    for index in range(min(_SHOWN, len(pairs))):
        channels, condition, colour, cover = pairs.batch(np.array([index]))
        with torch.inference_mode():
            found = network(channels, condition)
        shown = ((channels[:, :3], channels[:, 3]), (found.colour, found.cover), (colour, cover))
        rows = [on_ground(part[0].permute(1, 2, 0).numpy(), over[0].numpy()) for part, over in shown]
        columns.append(np.concatenate(rows))
    write_png(path, (np.concatenate(columns, 1)[::-1] * 255 + 0.5).astype(np.uint8))


def residual_card(network: RenderResidual, facts: dict[str, str], figures: dict[str, float]) -> ModelCard:
    """Returns the card of a run."""
    rows = [
        f"- {label}: {figures[f'{name}_db']:.2f} dB, SSIM {figures[f'{name}_ssim']:.3f}, "
        f"mask {figures[f'{name}_iou']:.3f} (intersection over union)"
        for name, label in (
            ("exact", "the exact drawing alone"),
            ("residual", "with the residual"),
            ("mean", "the mean picture of the others"),
        )
    ]
    hair = ", ".join(
        f"{part} {figures[f'exact_{part}_db']:.1f} to {figures[f'residual_{part}_db']:.1f} dB"
        for part in ("hair", "eyes")
        if f"exact_{part}_db" in figures
    )
    return ModelCard(
        "The residual on the exact decoder's drawing",
        "What the exact decoder draws of seven codes at 256 pixels, with its fields, to hair, eyes, mouth\n"
        "and outline (`ml_backend/models/residual/`; Zhang et al., zero-shot attribute separation, 3.1).",
        source="portraits of this extension's own people by Cycles (`tools/rendered_portraits.py`). No "
        "pictures or scans of people",
        command=facts["command"],
        device=f"{facts['device']}, {facts['training_minutes']} minutes",
        evaluation=f"Against Cycles inside the head's box, {facts['held_out']}:\n\n"
        + "\n".join(rows)
        + f"\n\nIn parts: {hair}. {figures['exact_ms']:.0f} ms for the drawing of 256 pixels, "
        f"{figures['residual_ms']:.0f} ms for the residual.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(value.numel() for value in network.parameters()),
        config=vars(network.config),
    )
