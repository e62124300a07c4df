"""Trains the speech encoder and the cross-modal decoder together on synthesised speech.

The encoder learns phones (cross-entropy), and once more by what they look like (classes of lip shapes); the
decoder learns the curves that the coarticulation model makes of the true phones, from the encoder's
posteriors; losses Eq. 8-10 of Cao et al. 2024, "DNPM" (vertices of the lips through the bilinear face, and
the expression), plus velocity and lip gap.

examples:
  python -m ml_backend build-speech-data --out build/speech-data
  python -m ml_backend train speech --config 2core --data build/speech-data --out build/speech
  python -m ml_backend train speech --config gpu --data build/speech-data --out build/speech --resume
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..animation.lip_measures import inner_lip_pairs
from ..datasets.speech_dataset import SpeechBatch, SpeechSampler, VoiceStream, read_streams
from ..errors import UserError
from ..files.model_card import ModelCard
from ..files.network_file import write_network_file
from ..layers.processes import own_share
from ..models.bilinear_face import BilinearFace
from ..models.speech.speech_decoder import SpeechDecoder
from ..models.speech.speech_encoder import FRAME_RATE, SpeechEncoder
from ..models.speech.speech_networks import PHONES_FACT, build_speech_networks, load_speech_networks
from ..phonetics.phones import BILABIAL, LABIODENTAL, PHONE_INDEX, PHONES
from .checkpoints import WeightAverage
from .phone_loss import PhoneLoss
from .steps import TrainingRun
from .training_run import add_run_arguments, read_configuration

STAGE = "speech"
MEL_RATE = 100  # rows of a voice's spectrum a second
FRAME_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/speech", "build/speech-data", "what build-speech-data wrote")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="weights to start from instead of random ones, e.g. the shipped ones",
    )


class LipVertices(nn.Module):
    """The lips of the mean face as a linear function of the curves.

    (..., 52) -> (..., L, 3) mm from neutral, and the lip gap.
    """

    def __init__(self, face: BilinearFace):
        super().__init__()
        _, deltas = face.shapes(np.zeros(face.identity_size, np.float32))
        upper, lower = inner_lip_pairs(face)
        chosen = np.unique(np.concatenate([np.flatnonzero(face.regions["lips"] > 0.3)[::4], upper, lower]))
        self.map: Tensor
        self.upper: Tensor
        self.lower: Tensor
        self.register_buffer("map", torch.from_numpy(deltas[:, chosen] * 1000).float())
        self.register_buffer("upper", torch.from_numpy(np.searchsorted(chosen, upper)))
        self.register_buffer("lower", torch.from_numpy(np.searchsorted(chosen, lower)))

    def forward(self, curves: Tensor) -> tuple[Tensor, Tensor]:
        moved = torch.einsum("btc,cvx->btvx", curves, self.map)
        return moved, (moved[:, :, self.upper, 2] - moved[:, :, self.lower, 2]).mean(2)


class SpeechLoss(nn.Module):
    """The weighted sum of the losses; `figures` holds its parts.

    Beside the absolute errors of Eq. 8 and 9 stands a squared one: where the ear is unsure, the absolute
    error is least at the commonest shape (no rounding at all), the squared one at the mean, which still tells
    a likely vowel from an unlikely one.
    """

    def __init__(self, weights: dict[str, float], face: BilinearFace):
        super().__init__()
        self.weights = weights
        self.lips = LipVertices(face)
        self.phones = PhoneLoss()
        self.figures: dict[str, float] = {}
        groups = torch.zeros(len(PHONES))
        groups[[PHONE_INDEX[p] for p in (*BILABIAL, *LABIODENTAL)]] = 1
        self.lip_consonants: Tensor
        self.register_buffer("lip_consonants", groups)

    def forward(self, batch: SpeechBatch, logits: Tensor, curves: Tensor) -> Tensor:
        """Returns the loss of phone logits (B, S, 40) and curves (B, T, 52)."""
        return self._sum({**self.phones(logits, batch.labels), **self._parts(batch, curves)})

    def motion(self, batch: SpeechBatch, curves: Tensor) -> Tensor:
        """Returns the loss of the curves (B, T, 52) alone."""
        return self._sum(self._parts(batch, curves))

    def _sum(self, parts: dict[str, Tensor]) -> Tensor:
        self.figures = {name: float(part.detach()) for name, part in parts.items()}
        return torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()

    def _parts(self, batch: SpeechBatch, curves: Tensor) -> dict[str, Tensor]:
        vertices, gap = self.lips(curves)
        true_vertices, true_gap = self.lips(batch.curves)
        closing = 1 + self.weights["closing"] * self.lip_consonants[batch.phones_at.clamp(min=0)] * (
            batch.phones_at >= 0
        )
        expression = ((curves - batch.curves).abs().sum(2) * closing).mean()  # Eq. 9
        vertex = ((vertices - true_vertices).abs().sum(3).mean(2) * closing).mean()  # Eq. 8
        square = ((curves - batch.curves).square().sum(2) * closing).mean()
        velocity = (vertices.diff(dim=1) - true_vertices.diff(dim=1)).abs().sum(3).mean()
        lip_gap = ((gap - true_gap).abs() * closing).mean()
        return {
            "vertex": vertex,
            "expression": expression,
            "square": square,
            "velocity": velocity,
            "gap": lip_gap,
        }


def run(args: argparse.Namespace) -> int:
    """Trains, then writes speech.safetensors and speech.md into --out."""
    config = read_configuration(args.config, "speech")
    training = TrainingRun.begin(args, (STAGE,))
    settings = config["training"]
    torch.manual_seed(settings["seed"])
    streams, held = read_streams(args.data, tuple(settings["leave_out"]))
    validation = SpeechSampler(held or streams, settings["seconds"], 1, augmented=False)
    model = build_speech_networks(config).to(training.device)
    if args.start:
        _start_from(model, args.start)
    average = build_speech_networks(config).to(training.device)
    loss = SpeechLoss(config["loss"], BilinearFace.default()).to(training.device)
    resume = args.resume and (args.out / "checkpoint.safetensors").exists()
    training.keep({"model": model, "average": average}, resume)
    train_networks(
        model,
        average,
        loss,
        SpeechSampler(streams, settings["seconds"], settings["seed"]),
        validation,
        settings,
        training,
    )
    figures = _validate(average, loss, validation, training.device, batches=12)
    training.write(STAGE, step=training.reached[STAGE], minutes_left=0.0, **figures)
    command = f"python -m ml_backend train speech --config {args.config} --data DIR --out DIR"
    facts = training.facts(command + (" --start FILE" if args.start else ""), (STAGE,))
    facts["data"] = f"{hours_of(streams):.1f} h of synthesised speech, {len(streams)} files: " + ", ".join(
        stream.name for stream in streams
    )
    rounded = {name: round(value, 4) for name, value in figures.items()}
    voices = ", ".join(stream.name for stream in held) or "the training voices"
    facts["validation"] = f"{json.dumps(rounded)} on {voices}"
    path = args.out / "speech.safetensors"
    sizes = speech_sizes(average)
    write_network_file(path, average, sizes, {**PHONES_FACT, "configuration": json.dumps(config), **facts})
    speech_card(
        "The speech encoder and decoder",
        "Log-mel of a recording to phone posteriors at 50 a second\n"
        "(`ml_backend/models/speech/speech_encoder.py`), and these to 52 ARKit curves at any frame rate\n"
        "(`ml_backend/models/speech/speech_decoder.py`).",
        average,
        sizes,
        facts,
        facts["validation"],
    ).write(path)
    print(f"{path}: written", file=sys.stderr)
    return 0


def train_networks(
    model: nn.ModuleDict,
    average: nn.ModuleDict,
    loss: SpeechLoss,
    sampler: SpeechSampler,
    validation: SpeechSampler,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains encoder and decoder together.

    Args:
        model: trained in place.
        average: receives the average of its weights.
        loss: of both networks.
        sampler, validation: of the training and of the held-out voices.
        settings: those of `TrainingRun.steps`, but log_every for log_steps; batch, decay, half_life,
            given_phones (share of the sequences that are decoded from the true phones), bfloat16.
        run: log, checkpoint and device.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=settings["decay"]
    )
    averages = [WeightAverage(model, average, settings["half_life"])]

    def measure() -> dict[str, float]:
        return _validate(average, loss, validation, run.device)

    random = [sampler.rng, sampler.generator]
    settings = {**settings, "log_steps": settings["log_every"]}
    for step in run.steps(STAGE, {"adam": optimiser}, averages, settings, measure=measure, random=random):
        fps = FRAME_RATES[int(sampler.rng.integers(len(FRAME_RATES)))]
        batch = move_to(share_of_batch(sampler.batch(settings["batch"], fps)), run.device)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            logits, curves = _forward(model, batch, settings["given_phones"])
        total = loss(batch, logits.float(), curves.float())
        step.descend(total, clip=1.0, **{f"train_{name}": value for name, value in loss.figures.items()})


def speech_sizes(pair: nn.ModuleDict) -> dict[str, Any]:
    """Returns the configurations of encoder and decoder by name, as `build_speech_networks` takes them."""
    encoder = pair["encoder"]
    decoder = pair["decoder"]
    assert isinstance(encoder, SpeechEncoder)
    assert isinstance(decoder, SpeechDecoder)
    return {"encoder": asdict(encoder.config), "decoder": asdict(decoder.config)}


def hours_of(streams: Sequence[VoiceStream]) -> float:
    """Returns the hours of sound of voices."""
    return sum(len(stream.mel) for stream in streams) / (3600 * MEL_RATE)


def speech_card(
    title: str, purpose: str, network: nn.Module, config: dict, facts: dict[str, str], evaluation: str
) -> ModelCard:
    """Returns the card of a speech network.

    Args:
        title, purpose: heading and first paragraph.
        network: whose numbers are counted.
        config: its sizes.
        facts: of `TrainingRun.facts`, with "data".
        evaluation: the figures on held-out voices.
    """
    return ModelCard(
        title,
        purpose,
        source=f"synthesised speech, no recording of a person: {facts['data']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes",
        evaluation=f"Held-out voices: {evaluation}.\n\n`python -m ml_backend evaluate speech` measures "
        "recordings.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=config,
    )


def _start_from(model: nn.ModuleDict, path: Path) -> None:
    """Copies the weights of a file that an earlier training wrote.

    Raises:
        UserError: the file cannot be read, or its networks have other sizes than the configuration's.
    """
    trained = load_speech_networks(path)
    try:
        model["encoder"].load_state_dict(trained.encoder.state_dict())
        model["decoder"].load_state_dict(trained.decoder.state_dict())
    except RuntimeError as error:
        raise UserError(
            f"{path}: networks of other sizes than the configuration's.",
            "Start from weights of that configuration.",
        ) from error


def move_to(batch: SpeechBatch, device: torch.device) -> SpeechBatch:
    """Returns the batch on another device."""
    return SpeechBatch(**{name: value.to(device) for name, value in vars(batch).items()})


def share_of_batch(batch: SpeechBatch) -> SpeechBatch:
    """Returns this process's sequences of a batch."""
    parts = {name: own_share(value) for name, value in vars(batch).items() if name != "times"}
    return SpeechBatch(times=batch.times, **parts)


def mix_true_phones(posteriors: Tensor, labels: Tensor, share: float) -> Tensor:
    """Puts the true phones (B, S) into a share of the posteriors' (B, S, 40) sequences.

    The decoder then also serves transcripts and other encoders.
    """
    if not share:
        return posteriors
    exact = nn.functional.one_hot(labels.clamp(min=0), len(PHONES)).to(posteriors.dtype)
    use = (torch.arange(len(exact), device=exact.device) < share * len(exact))[:, None, None] & (labels >= 0)[
        ..., None
    ]
    return torch.where(use, exact, posteriors)


def label_times(count: int, device: torch.device) -> Tensor:
    """Returns the times of the encoder's rows in seconds: (count,)."""
    return torch.arange(count, device=device) / FRAME_RATE + 0.005


def _forward(model: nn.ModuleDict, batch: SpeechBatch, given: float) -> tuple[Tensor, Tensor]:
    """Logits and curves; a share `given` of the sequences is decoded from the true phones."""
    logits = model["encoder"](batch.mel)
    posteriors = mix_true_phones(logits.softmax(2), batch.labels, given)
    return logits, model["decoder"](
        posteriors, batch.prosody, label_times(logits.shape[1], logits.device), batch.times
    )


@torch.no_grad()
def _validate(
    model: nn.Module, loss: SpeechLoss, sampler: SpeechSampler, device: torch.device, batches: int = 3
) -> dict[str, float]:
    assert isinstance(model, nn.ModuleDict)
    sampler.rng = np.random.default_rng(1)
    rows = []
    for _ in range(batches):
        batch = move_to(sampler.batch(16, 30.0), device)
        logits, curves = _forward(model, batch, 0.0)
        loss(batch, logits, curves)
        labelled = batch.labels >= 0
        right = (logits.argmax(2) == batch.labels)[labelled].float().mean()
        rows.append({"phone_accuracy": float(right), **loss.figures})
    return {f"held_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
