"""Trains the baseline of the speech networks, a perceptron over 14 visemes, on the same data with the same augmentation.

examples:
  python -m ml_backend train viseme-perceptron --data build/speech-data --out build/viseme-perceptron
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn

from ..datasets.speech_dataset import SpeechSampler, read_streams
from ..files.tensor_file import write_tensors
from ..models.speech.viseme_perceptron import VISEME_OF, VISEMES, VisemePerceptron
from .training_run import RunLog, Schedule, choose_device, read_configuration, set_rate


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
    log = RunLog(args.out, False)
    model = VisemePerceptron().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = Schedule(args.steps)
    table = torch.from_numpy(VISEME_OF).to(device)

    def loss_and_accuracy(which: SpeechSampler) -> tuple[torch.Tensor, float]:
        batch = which.batch(16, 25.0)
        logits, labels = model(batch.mel.to(device)), batch.labels.to(device)
        wanted = torch.where(labels >= 0, table[labels.clamp(min=0)], -100)
        right = (logits.argmax(2) == wanted)[wanted >= 0].float().mean()
        return nn.functional.cross_entropy(logits.transpose(1, 2), wanted, label_smoothing=0.05), float(right)

    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(2e-3))
        loss, accuracy = loss_and_accuracy(sampler)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.done += 1
        if schedule.done % 100 == 0 or schedule.progress >= 1:
            with torch.no_grad():
                held_loss, held_accuracy = loss_and_accuracy(validation)
            log.write(
                "viseme-perceptron",
                step=schedule.done,
                train_loss=float(loss.detach()),
                train_accuracy=accuracy,
                held_loss=float(held_loss),
                held_accuracy=held_accuracy,
            )
    arrays = {name: value.detach().cpu().half().numpy() for name, value in model.state_dict().items()}
    facts = {
        "visemes": " ".join("/".join(members) for members in VISEMES),
        "data": ", ".join(stream.name for stream in streams),
    }
    write_tensors(args.out / "viseme_perceptron.safetensors", arrays, {**facts, "steps": str(schedule.done)})
    print(f"{args.out / 'viseme_perceptron.safetensors'}: written", file=sys.stderr)
    return 0
