"""Trains the baseline of the speech networks, a perceptron over 14 visemes.

Data and augmentation are those of the speech networks.

examples:
  python -m ml_backend train viseme-perceptron --data build/speech-data --out build/viseme-perceptron
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn

from ..datasets.speech_dataset import SpeechSampler, read_streams
from ..files.network_file import write_network_file
from ..models.speech.viseme_perceptron import VISEME_OF, VISEMES, VisemePerceptron
from .steps import TrainingRun
from .train_speech import share_of_batch, speech_card
from .training_run import RunLog, choose_device, read_configuration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--config",
        default="2core",
        help="speech configuration whose left-out voices are left out (default: 2core)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("build/speech-data"),
        help="what build-speech-data wrote (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/viseme-perceptron"),
        help="log.jsonl, weights (default: %(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=1000, help="batches of 16 sequences of 4 s (default: %(default)s)"
    )
    parser.add_argument("--device", default="", help="cpu, cuda or mps (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")


def run(args: argparse.Namespace) -> int:
    """Trains, then writes viseme_perceptron.safetensors into --out."""
    device = choose_device(args)
    torch.manual_seed(0)
    streams, held = read_streams(
        args.data, tuple(read_configuration(args.config, "speech")["training"]["leave_out"])
    )
    sampler = SpeechSampler(streams, 4.0, 0)
    validation = SpeechSampler(held or streams, 4.0, 1, augmented=False)
    model = VisemePerceptron().to(device)
    optimisers = {"perceptron": torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)}
    table = torch.from_numpy(VISEME_OF).to(device)

    def loss_and_accuracy(chosen: SpeechSampler) -> tuple[torch.Tensor, float]:
        batch = chosen.batch(16, 25.0)
        if chosen is sampler:
            batch = share_of_batch(batch)
        logits = model(batch.mel.to(device))
        labels = batch.labels.to(device)
        visemes = torch.where(labels >= 0, table[labels.clamp(min=0)], -100)
        right = (logits.argmax(2) == visemes)[visemes >= 0].float().mean()
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), visemes, label_smoothing=0.05)
        return loss, float(right)

    @torch.no_grad()
    def measure() -> dict[str, float]:
        loss, accuracy = loss_and_accuracy(validation)
        return {"held_loss": float(loss), "held_accuracy": accuracy}

    training = TrainingRun(RunLog(args.out, False), device=device)
    settings = {"steps": args.steps, "rate": 2e-3}
    for step in training.steps("viseme-perceptron", optimisers, [], settings, measure=measure):
        loss, accuracy = loss_and_accuracy(sampler)
        step.descend(loss, train_loss=loss, train_accuracy=accuracy)
    command = "python -m ml_backend train viseme-perceptron --data DIR --out DIR"
    facts = training.facts(f"{command} --steps {args.steps}", ("viseme-perceptron",))
    del facts["steps"]
    facts["data"] = ", ".join(stream.name for stream in streams)
    path = args.out / "viseme_perceptron.safetensors"
    visemes = " ".join("/".join(members) for members in VISEMES)
    write_network_file(path, model, {}, {"visemes": visemes, **facts})
    speech_card(
        "The viseme perceptron",
        "A fifth of a second of log-mel to 14 visemes (`ml_backend/models/speech/viseme_perceptron.py`): "
        "the\n"
        "baseline that `evaluate speech` prints beside the speech networks.",
        model,
        {},
        facts,
        f"{measure()['held_accuracy']:.3f} of the frames right",
    ).write(path)
    print(f"{path}: written", file=sys.stderr)
    return 0
