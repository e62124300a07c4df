"""Trains the radiance field of heads, the second decoder: seven codes to a picture without a mesh.

Stages:
  points    the field alone, on places about drawn heads: where they are on the mean head, how far from the
            surface, the surface's normal and colour
  pictures  field and up-sampler on drawn views with their truth: lit picture, colour under even light,
            normal, cover; places about heads stay in the batch
Views and places are an endless stream of people drawn from the face, skin and hair models; nothing is stored.

Writes to --out: attribute_field.safetensors (float16), attribute_field.md (model card), log.jsonl,
checkpoint.safetensors, sheet.png (held-out people from five sides, each row exact, the one below by the
field).

examples:
  python -m ml_backend train attribute-field --config 2core --out build/attribute-field --install
"""

import argparse
import copy
import json
from typing import Any

import numpy as np
import torch

from ...files.image_writers import write_png
from ...files.model_card import ModelCard, install
from ...files.network_file import write_network_file
from ...layers.processes import own_share
from ...models.head_field.deformed_field import FieldConfig
from ...models.head_field.face_field import FILE, FaceField
from ..checkpoints import WeightAverage
from ..steps import TrainingRun
from ..training_run import add_run_arguments, read_configuration
from .field_figures import HELD_SEED, YAWS, baseline_figures, milliseconds, sheet_rows, view_figures
from .field_losses import (
    FIRST_SEED,
    LAST_SEED,
    PointBatch,
    ViewBatch,
    ViewStream,
    point_losses,
    view_losses,
)

_SHEET_PEOPLE, _MEASURED = 3, 2
_PEOPLE = (LAST_SEED - FIRST_SEED) // 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/attribute-field", "build/attribute-field", "nothing: all is drawn anew")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "attribute-field")
    training = TrainingRun.begin(args, ("points", "pictures"))
    torch.manual_seed(0)
    table = settings["network"]
    config = FieldConfig(**{**table, "channels": tuple(table["channels"])} if "channels" in table else table)
    network = FaceField(config).to(training.device)
    average = copy.deepcopy(network)
    keeper = training.keep({"network": network, "average": average}, args.resume)
    if not keeper.finished("points"):
        train_points(network, average, settings["points"], training)
        network.load_state_dict(average.state_dict())
        keeper.finish("points")
    if not keeper.finished("pictures"):
        train_pictures(network, average, settings, training)
        keeper.finish("pictures")
    finish(average.cpu().eval(), settings, training, args)
    return 0


def train_points(
    network: FaceField, average: FaceField, settings: dict[str, Any], training: TrainingRun
) -> None:
    """Trains the field on places about heads.

    Args:
        network: in training; average: receives the mean of the weights.
        settings: `heads`, `near`, `free` (places of each), `bfloat16`, `rate`, `steps`, `average_steps`.
        training: log and checkpoint.
    """
    random = np.random.default_rng(41)
    optimisers = {"field": torch.optim.Adam(network.field.parameters(), settings["rate"])}
    averages = [WeightAverage(network, average, settings["average_steps"])]
    for step in training.steps("points", optimisers, averages, settings, random=[random]):
        numbers = own_share(random.integers(0, _PEOPLE, settings["heads"]))
        batch = PointBatch.drawn(numbers, settings["near"], settings["free"], training.device)
        with torch.autocast(training.device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            losses = point_losses(network.field, batch)
        loss = losses.pop("all") + losses["colour"]
        step.descend(loss, clip=1.0, loss=loss, **losses)


def train_pictures(
    network: FaceField, average: FaceField, settings: dict[str, Any], training: TrainingRun
) -> None:
    """Trains field and up-sampler on drawn views.

    Args:
        network: in training; average: receives the mean of the weights.
        settings: the whole configuration; of [pictures] `batch`, `drawn` and `kept` (see `ViewStream`),
            `heads` (about which places stay in the batch), `places` (weight of their loss), `bfloat16`,
            `rate`, `field_rate` (of the field, over it), `steps`, `average_steps`.
        training: log and checkpoint.
    """
    table, points, device = settings["pictures"], settings["points"], training.device
    random, shifts = np.random.default_rng(42), torch.Generator().manual_seed(43)
    groups: list[dict[str, Any]] = [
        {"params": list(network.up.parameters())},
        {"params": [*network.field.parameters(), network.log_sharpness], "scale": table["field_rate"]},
    ]
    optimisers = {"network": torch.optim.Adam(groups, table["rate"])}
    averages = [WeightAverage(network, average, table["average_steps"])]
    stream: ViewStream | None = None

    def measure() -> dict[str, float]:
        measured = copy.deepcopy(average).cpu().eval()
        write_sheet(measured, training)
        figures = view_figures(measured, min(_MEASURED, settings["figures"]["people"]))
        return {name: figures[name] for name in ("front_psnr", "front_ssim", "novel_psnr", "novel_ssim")}

    for step in training.steps(
        "pictures", optimisers, averages, table, measure=measure, random=[random, shifts]
    ):
        stream = stream or ViewStream(network.config.size, table["drawn"], table["kept"], step.number)
        views = stream.take(table["batch"], random)
        chosen = [views[row] for row in own_share(np.arange(len(views)))]
        pictures = ViewBatch.of(chosen, network.config.rays, device)
        losses = view_losses(network, pictures, shifts, table["bfloat16"])
        numbers = own_share(random.integers(0, _PEOPLE, table["heads"]))
        batch = PointBatch.drawn(numbers, points["near"], points["free"], device)
        with torch.autocast(device.type, torch.bfloat16, enabled=table["bfloat16"]):
            held = point_losses(network.field, batch)["all"]
        loss = losses.pop("all") + table["places"] * held
        step.descend(loss, clip=1.0, loss=loss, **losses, places=held)


def write_sheet(field: FaceField, training: TrainingRun) -> None:
    """Writes sheet.png into the run's folder, if it has one."""
    if training.log is not None:
        write_png(training.folder / "sheet.png", sheet_rows(field, _SHEET_PEOPLE)[::-1])


def finish(
    field: FaceField, settings: dict[str, Any], training: TrainingRun, args: argparse.Namespace
) -> None:
    """Writes weights, sheet, figures and card, and installs them where asked."""
    people = settings["figures"]["people"]
    facts = training.facts(
        f"python -m ml_backend train attribute-field --config {args.config}", ("points", "pictures")
    )
    write_network_file(args.out / FILE, field, field.config, facts)
    field = FaceField.load(args.out / FILE)  # as it is stored, in float16
    rows = {"field": view_figures(field, people)} | baseline_figures(people, field.config.size)
    times = milliseconds(field)
    training.write("figures", **times, **rows["field"])
    facts["measured"] = json.dumps({"people": people, **times, **rows})
    write_network_file(args.out / FILE, field, field.config, facts)
    write_sheet(field, training)
    field_card(field, facts, rows, times, people).write(args.out / FILE)
    if args.install:
        install(args.out, (FILE,))


def field_card(
    field: FaceField,
    facts: dict[str, str],
    rows: dict[str, dict[str, float]],
    times: dict[str, float],
    people: int,
) -> ModelCard:
    """Returns the card of a run."""
    names = {"field": "this field", "mean_picture": "mean picture", "mean_face": "mean face, true light"}
    table = ["| | front PSNR, dB | front SSIM | novel PSNR, dB | novel SSIM |", "|---|---|---|---|---|"]
    table += [
        f"| {names[name]} | {row['front_psnr']:.2f} | {row['front_ssim']:.3f} | {row['novel_psnr']:.2f} | "
        f"{row['novel_ssim']:.3f} |"
        for name, row in rows.items()
    ]
    own = rows["field"]
    return ModelCard(
        "The radiance field of heads",
        "Codes of shape, expression, texture, illumination and hair, and a camera, to a picture of\n"
        f"{field.config.size} pixels: a field over space about the head, {field.config.rays} x "
        f"{field.config.rays} rays, a convolutional up-sampler,\nnine harmonics "
        "(`ml_backend/models/head_field/face_field.py`; the decoder's role in Zhang et\n"
        "al., zero-shot attribute separation).",
        source="views of drawn people by the exact decoder (`ml_backend/models/face_renderer.py`), of the "
        "face and skin models of the set. No pictures or scans of people",
        command=facts["command"],
        device=f"{facts['device']}, {facts['training_minutes']} minutes",
        evaluation=f"Against the exact decoder's drawings of {people} people that no training saw, from seed "
        f"{HELD_SEED} (the truth is that decoder, not photographs). Novel: yaw "
        f"{', '.join(str(yaw) for yaw in YAWS if yaw)} degrees. PSNR in sRGB and SSIM inside both heads.\n\n"
        + "\n".join(table)
        + f"\n\nThe whole picture, ground included: {own['front_psnr_whole']:.2f} dB at the front, "
        f"{own['novel_psnr_whole']:.2f} dB at novel views. Outlines overlap by {own['front_overlap']:.3f} "
        f"and {own['novel_overlap']:.3f}.\nOne view: {times['field_ms']:.0f} ms, the exact decoder "
        f"{times['exact_ms']:.0f} ms, on the device above.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(value.numel() for value in field.parameters()),
        config={**vars(field.config)},
    )
