"""Trains the head that reads phones off Whisper's encoder.

The encoder is the user's (docs/audio.md tells where it is had from) and stays as it is. It listens to
stretches of synthesised speech, in several languages, once; the features are kept in --out/features, and an
interrupted run goes on from them.

examples:
  python -m ml_backend build-speech-data --out build/speech-sound --minutes 30 --keep-sound
  python -m ml_backend train whisper-phones --config 2core --data build/speech-sound --whisper whisper/
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ..datasets.whisper_features import (
    FeatureSampler,
    FeatureSettings,
    FeatureStretch,
    make_features,
    read_voice_sound,
    voice_paths,
)
from ..errors import UserError
from ..files.network_file import write_network_file
from ..layers.processes import own_share
from ..models.speech.speech_networks import PHONES_FACT
from ..models.speech.whisper_encoder import WhisperEncoder
from ..models.speech.whisper_phones import (
    FINGERPRINT,
    WhisperPhones,
    build_whisper_phones,
    encoder_fingerprint,
    load_whisper_encoder,
)
from .checkpoints import WeightAverage
from .phone_loss import PhoneLoss
from .steps import TrainingRun
from .train_speech import speech_card
from .training_run import add_run_arguments, read_configuration

STAGE = "whisper-phones"
_HELD_SEED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(
        parser, "build/whisper-phones", "build/speech-sound", "what build-speech-data --keep-sound wrote"
    )
    parser.add_argument(
        "--whisper",
        type=Path,
        required=True,
        metavar="PATH",
        help="Whisper base in CTranslate2's layout: folder, or model.bin",
    )


def run(args: argparse.Namespace) -> int:
    """Trains, then writes whisper_phones.safetensors and whisper_phones.md into --out."""
    config = read_configuration(args.config, "whisper-phones")
    training = TrainingRun.begin(args, (STAGE,))
    settings = config["training"]
    torch.manual_seed(settings["seed"])
    encoder = load_whisper_encoder(args.whisper)
    sizes = {"width": encoder.config.width, **config["head"]}
    if max(sizes["layers"]) > encoder.config.blocks:
        raise UserError(
            f"{args.whisper}: has {encoder.config.blocks} blocks, the configuration asks for more.",
            "Lower `layers` in a copy of the configuration.",
        )
    left_out = set(settings["leave_out"])
    paths = voice_paths(args.data)
    names = [path.stem for path in paths if path.stem not in left_out]
    learned = _listen(args, config, encoder, [path for path in paths if path.stem in names], changed=True)
    held_paths = [path for path in paths if path.stem in left_out]
    held = _listen(args, config, encoder, held_paths or paths, changed=False)
    head = build_whisper_phones(sizes).to(training.device)
    average = build_whisper_phones(sizes).to(training.device)
    loss = PhoneLoss().to(training.device)
    resume = args.resume and (args.out / "checkpoint.safetensors").exists()
    training.keep({"head": head, "average": average}, resume)
    train_head(
        head,
        average,
        loss,
        FeatureSampler(learned, settings["rows"], settings["seed"]),
        held,
        config,
        training,
    )
    figures = measure_head(average, loss, held, training.device)
    training.write(STAGE, step=training.reached[STAGE], minutes_left=0.0, **figures)
    command = (
        f"python -m ml_backend train whisper-phones --config {args.config} --data DIR --whisper DIR --out DIR"
    )
    facts = training.facts(command, (STAGE,))
    minutes = sum(len(item.labels) for item in learned) / 50 / 60
    facts["data"] = f"{minutes:.0f} minutes drawn from {len(names)} voices: " + ", ".join(names)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    voices = ", ".join(path.stem for path in held_paths) or "the training voices"
    facts["validation"] = f"{json.dumps(rounded)} on {voices}"
    path = args.out / "whisper_phones.safetensors"
    fingerprint = {FINGERPRINT: encoder_fingerprint(encoder)}
    write_network_file(
        path,
        average,
        asdict(average.config),
        {**PHONES_FACT, **fingerprint, "configuration": json.dumps(config), **facts},
    )
    speech_card(
        "The head on Whisper's encoder",
        "Features of Whisper base's encoder, which is not shipped, to phone posteriors at 50 a second\n"
        "(`ml_backend/models/speech/whisper_phones.py`).",
        average,
        asdict(average.config),
        facts,
        facts["validation"],
    ).write(path)
    print(f"{path}: written", file=sys.stderr)
    return 0


def _listen(
    args: argparse.Namespace, config: dict, encoder: WhisperEncoder, paths: Sequence[Path], changed: bool
) -> list[FeatureStretch]:
    """Returns the features of the training's voices, their sound changed, or of those left out."""
    table = config["features"]
    settings = FeatureSettings(
        60 * (table["hours"] if changed else table["held_hours"]),
        table["shortest"],
        table["longest"],
        table["seed"] if changed else _HELD_SEED,
        changed,
        config["shares"],
    )

    def report(minutes: float) -> None:
        print(f"  heard {minutes:.1f} of {settings.minutes:g} minutes", file=sys.stderr, flush=True)

    voices = [read_voice_sound(path) for path in paths]
    return make_features(args.out / "features", voices, encoder, config["head"]["layers"], settings, report)


def train_head(
    head: WhisperPhones,
    average: WhisperPhones,
    loss: PhoneLoss,
    sampler: FeatureSampler,
    held: Sequence[FeatureStretch],
    config: dict,
    run: TrainingRun,
) -> None:
    """Trains the head.

    Args:
        head: trained in place.
        average: receives the average of its weights.
        loss: of its logits.
        sampler: of the voices to learn from.
        held: stretches of other voices.
        config: tables "training" and "loss".
        run: log, checkpoint and device.
    """
    settings = config["training"]
    optimiser = torch.optim.AdamW(
        head.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=settings["decay"]
    )
    averages = [WeightAverage(head, average, settings["half_life"])]

    def measure() -> dict[str, float]:
        return measure_head(average, loss, held, run.device)

    steps = run.steps(STAGE, {"adam": optimiser}, averages, settings, measure=measure, random=[sampler.rng])
    for step in steps:
        features, labels = (own_share(part).to(run.device) for part in sampler.batch(settings["batch"]))
        parts = loss(head(features), labels)
        total = torch.stack([config["loss"][name] * part for name, part in parts.items()]).sum()
        step.descend(total, clip=1.0, **{f"train_{name}": part for name, part in parts.items()})


@torch.no_grad()
def measure_head(
    head: WhisperPhones, loss: PhoneLoss, held: Sequence[FeatureStretch], device: torch.device
) -> dict[str, float]:
    """Returns the losses and the share of phones and of lip shapes that are right on stretches of sound.

    Args:
        head: in any mode; it is measured in evaluation mode and left in the mode it was in.
        loss: whose classes of lip shapes count.
        held: the stretches.
        device: of head and loss.
    """
    mode = head.training
    head.eval()
    rows = []
    for item in held:
        labels = torch.tensor(item.labels)[None].to(device)
        logits = head(torch.tensor(item.features)[None].to(device))
        known = labels >= 0
        guessed = logits.argmax(2)[known]
        parts = {name: float(part) for name, part in loss(logits, labels).items()}
        right = {
            "phone_accuracy": float((guessed == labels[known]).float().mean()),
            "lip_accuracy": float((loss.classes[guessed] == loss.classes[labels[known]]).float().mean()),
        }
        rows.append({**right, **parts})
    head.train(mode)
    return {f"held_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
