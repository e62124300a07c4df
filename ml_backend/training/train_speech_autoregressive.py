"""Trains the autoregressive decoder on the posteriors of the trained speech encoder.

A decoder that only ever sees the true past (teacher forcing) never learns to come back from its own errors.
So a share of the past in training, which rises over the first half, is the decoder's own output of a first
pass over the sequence (scheduled sampling, Bengio et al. 2015, in two parallel passes as in Mihaylova and
Martins 2019), and all of it is noisy. Losses as `train speech`.

examples:
  python -m ml_backend build-speech-data --out build/speech-data
  python -m ml_backend train speech-autoregressive --config 2core --data build/speech-data --out
  build/speech-autoregressive
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.speech_dataset import SpeechBatch, SpeechSampler, read_streams
from ..files.network_file import write_network_file
from ..layers.processes import own_share
from ..models.bilinear_face import BilinearFace
from ..models.speech.autoregressive_decoder import (
    FRAME_RATE,
    AutoregressiveDecoder,
    AutoregressiveDecoderConfig,
)
from ..models.speech.speech_networks import DEFAULT_FILE, PHONES_FACT, load_speech_networks
from .checkpoints import WeightAverage
from .steps import TrainingRun
from .train_speech import (
    SpeechLoss,
    hours_of,
    label_times,
    mix_true_phones,
    move_to,
    share_of_batch,
    speech_card,
)
from .training_run import add_run_arguments, read_configuration

STAGE = "speech-autoregressive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(
        parser, "build/speech-autoregressive", "build/speech-data", "what build-speech-data wrote"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help="whose encoder listens (default: the shipped one)",
    )


@dataclass(frozen=True)
class ListenedBatch:
    """A batch and the encoder's posteriors of it: (B, S, 40)."""

    batch: SpeechBatch
    posteriors: Tensor


class ListenedPool:
    """Batches with the encoder's posteriors, which are the expensive part.

    Every `fresh`-th draw is new, the others are one of the last `pool`.
    """

    def __init__(self, encoder: nn.Module, sampler: SpeechSampler, settings: dict, device: torch.device):
        self.encoder = encoder
        self.sampler = sampler
        self.settings = settings
        self.device = device
        self.batches: list[ListenedBatch] = []
        self.draws = 0

    def draw(self) -> ListenedBatch:
        """Returns a batch, its posteriors partly replaced by the true phones."""
        self.draws += 1
        if self.batches and self.draws % self.settings["fresh"]:
            return self.batches[int(self.sampler.rng.integers(len(self.batches)))]
        listened = listen(
            self.encoder, self.sampler, self.settings["batch"], self.settings["given_phones"], self.device
        )
        self.batches = [*self.batches, listened][-self.settings["pool"] :]
        return listened

    def state_dict(self) -> dict[str, Any]:
        """The batches and the number of draws, as tensors."""
        state: dict[str, Any] = {"draws": torch.tensor(self.draws)}
        for number, listened in enumerate(self.batches):
            state[f"{number}.posteriors"] = listened.posteriors
            state |= {f"{number}.{name}": value for name, value in vars(listened.batch).items()}
        return state

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restores what `state_dict` returned."""
        self.draws = int(state_dict["draws"])
        batches: dict[int, dict[str, Tensor]] = {}
        for key, value in state_dict.items():
            number, separator, name = key.partition(".")
            if separator:
                batches.setdefault(int(number), {})[name] = value.to(self.device)
        self.batches = [
            ListenedBatch(posteriors=parts.pop("posteriors"), batch=SpeechBatch(**parts))
            for _, parts in sorted(batches.items())
        ]


@torch.no_grad()
def listen(
    encoder: nn.Module, sampler: SpeechSampler, size: int, given: float, device: torch.device
) -> ListenedBatch:
    """Draws `size` sequences at the decoder's frame rate and runs the encoder on them.

    Args:
        encoder: the speech encoder.
        sampler: of the voices.
        size: sequences.
        given: share of the sequences whose posteriors are the true phones.
        device: where the encoder is.
    """
    batch = move_to(sampler.batch(size, FRAME_RATE), device)
    return ListenedBatch(batch, mix_true_phones(encoder(batch.mel).softmax(2), batch.labels, given))


def run(args: argparse.Namespace) -> int:
    """Trains, then writes speech_autoregressive.safetensors and its card into --out."""
    config = read_configuration(args.config, "speech-autoregressive")
    training = TrainingRun.begin(args, (STAGE,))
    device = training.device
    settings = config["training"]
    torch.manual_seed(settings["seed"])
    streams, held = read_streams(args.data, tuple(settings["leave_out"]))
    encoder = load_speech_networks(args.weights).encoder.to(device)
    sampler = SpeechSampler(streams, settings["seconds"], settings["seed"])
    pool = ListenedPool(encoder, sampler, settings, device)
    validation = SpeechSampler(held or streams, settings["seconds"], 1, augmented=False)
    checks = [listen(encoder, validation, 8, 0.0, device) for _ in range(2)]
    model, average = (
        AutoregressiveDecoder(AutoregressiveDecoderConfig(**config["decoder"])).to(device) for _ in range(2)
    )
    loss = SpeechLoss(config["loss"], BilinearFace.default()).to(device)
    resume = args.resume and (args.out / "checkpoint.safetensors").exists()
    training.keep({"model": model, "average": average}, resume)
    figures = train_decoder(model, average, loss, pool, checks, settings, training)
    command = f"python -m ml_backend train speech-autoregressive --config {args.config} --data DIR --out DIR"
    facts = training.facts(command, (STAGE,))
    facts["data"] = f"{hours_of(streams):.1f} h of synthesised speech, {len(streams)} files"
    path = args.out / "speech_autoregressive.safetensors"
    made_by = {**PHONES_FACT, "configuration": json.dumps(config), **facts}
    write_network_file(path, average, average.config, made_by)
    speech_card(
        "The autoregressive decoder of speech",
        "Phone posteriors of the speech encoder to 52 ARKit curves, 25 frames a second, each frame from "
        "the frames\n"
        "before it (`ml_backend/models/speech/autoregressive_decoder.py`, after FaceFormer, Fan et al. "
        "2022).",
        average,
        asdict(average.config),
        facts,
        json.dumps({name: round(value, 4) for name, value in figures.items()}),
    ).write(path)
    print(f"{path}: written", file=sys.stderr)
    return 0


def train_decoder(
    model: AutoregressiveDecoder,
    average: AutoregressiveDecoder,
    loss: SpeechLoss,
    pool: ListenedPool,
    checks: list[ListenedBatch],
    settings: dict,
    run: TrainingRun,
) -> dict[str, float]:
    """Trains the decoder.

    Args:
        model: trained in place.
        average: receives the average of its weights.
        loss: of the curves.
        pool: batches with the encoder's posteriors.
        checks: batches of held-out voices.
        settings: those of `TrainingRun.steps`, but log_every for log_steps; decay, half_life, bfloat16,
            own_past (share of its own frames in the past in the end), noise.
        run: log, checkpoint and device.

    Returns:
        The losses of the held-out voices.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=settings["decay"]
    )
    averages = [WeightAverage(model, average, settings["half_life"])]
    random = [pool.sampler.rng, pool.sampler.generator]
    settings = {**settings, "log_steps": settings["log_every"]}

    def measure() -> dict[str, float]:
        return _validate(average, loss, checks)

    for step in run.steps(
        STAGE, {"adam": optimiser}, averages, settings, measure=measure, kept={"pool": pool}, random=random
    ):
        drawn = pool.draw()
        listened = ListenedBatch(share_of_batch(drawn.batch), own_share(drawn.posteriors))
        own_past = settings["own_past"] * min(1.0, 2 * step.progress)
        times = label_times(listened.posteriors.shape[1], run.device)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            past = mixed_past(model, listened, own_past, settings["noise"])
            curves = model(listened.posteriors, listened.batch.prosody, times, past).float()
        total = loss.motion(listened.batch, curves)
        step.note(**{f"train_{name}": value for name, value in loss.figures.items()})
        step.descend(total, clip=1.0, own_past=own_past)
    return measure()


def mixed_past(model: nn.Module, listened: ListenedBatch, own_share: float, noise: float) -> Tensor:
    """Returns the past that a training pass gets: (B, T, 52), row i the frame before frame i.

    Args:
        model: the decoder, whose own frames, made from the true past, stand in for `own_share` of the true
            ones.
        listened: the sequences.
        own_share: 0..1.
        noise: standard deviation of what is added.
    """
    truth = listened.batch.curves
    past = torch.cat([torch.zeros_like(truth[:, :1]), truth[:, :-1]], 1)
    if own_share > 0:
        with torch.no_grad():
            made = model(
                listened.posteriors,
                listened.batch.prosody,
                label_times(listened.posteriors.shape[1], truth.device),
                _noisy(past, noise),
            )
        made = torch.cat([torch.zeros_like(truth[:, :1]), made.to(truth.dtype).clamp(0, 1)[:, :-1]], 1)
        past = torch.where(torch.rand(past.shape[:2], device=past.device)[..., None] < own_share, made, past)
    return _noisy(past, noise)


def _noisy(past: Tensor, noise: float) -> Tensor:
    return (past + noise * torch.randn_like(past)).clamp(0, 1)


@torch.no_grad()
def _validate(model: nn.Module, loss: SpeechLoss, checks: list[ListenedBatch]) -> dict[str, float]:
    """Returns the losses of sequences made from the decoder's own past, and their weighted sum."""
    assert isinstance(model, AutoregressiveDecoder)
    rows = []
    for listened in checks:
        batch = listened.batch
        times = label_times(listened.posteriors.shape[1], batch.curves.device)
        curves = torch.stack(
            [
                model.step(model.start(), posteriors, prosody, times, batch.curves.shape[1])
                for posteriors, prosody in zip(listened.posteriors, batch.prosody, strict=True)
            ]
        )
        rows.append({"motion": float(loss.motion(batch, curves)), **loss.figures})
    return {f"held_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
