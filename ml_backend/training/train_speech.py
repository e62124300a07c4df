"""Trains the speech encoder and the cross-modal decoder together on synthesised speech.

The encoder learns phones (cross-entropy), and once more by what they look like (classes of lip shapes); the
decoder learns the curves that
the coarticulation model makes of the true phones, from the encoder's posteriors; losses Eq. 8-10 of Cao et
al. 2024, "DNPM"
(vertices of the lips through the bilinear face, and the expression), plus velocity and lip gap.

examples:
  python -m ml_backend build-speech-data --out build/speech-data
  python -m ml_backend train speech --config 2core --data build/speech-data --out build/speech
  python -m ml_backend train speech --config gpu --data build/speech-data --out build/speech --resume
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..animation.lip_measures import inner_lip_pairs
from ..datasets.speech_dataset import SpeechBatch, SpeechSampler, read_streams
from ..errors import UserError
from ..files.tensor_file import write_tensors
from ..models.bilinear_face import BilinearFace
from ..models.speech.speech_decoder import SpeechDecoder, SpeechDecoderConfig
from ..models.speech.speech_encoder import FRAME_RATE, SpeechEncoder, SpeechEncoderConfig
from ..models.speech.speech_networks import load_speech_networks
from ..phonetics.phones import BILABIAL, LABIODENTAL, LIP_CLASSES, PHONE_INDEX, PHONES
from .checkpoints import WeightAverage, load_checkpoint, save_checkpoint
from .training_run import RunLog, Schedule, choose_device, read_configuration, set_rate

_CLASS_WEIGHTS = (
    2.0,
    2.5,
    3.0,
    1.0,
    1.5,
    1.5,
    0.5,
    0.7,
)  # by LIP_CLASSES, then all the rest: the rare and the visible count for more
FRAME_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--config", default="2core", help="2core, gpu, or a TOML file (default: 2core)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("build/speech-data"),
        help="what build-speech-data wrote (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/speech"),
        help="checkpoint, log.jsonl, weights (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="weights to start from instead of random ones, e.g. the shipped ones",
    )
    parser.add_argument("--device", default="", help="cpu, cuda or mps (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")


class LipVertices(nn.Module):
    """The lips of the mean face as a linear function of the curves: (..., 52) -> (..., L, 3) mm from neutral, and the lip gap."""

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
    error is least at the commonest
    shape (no rounding at all), the squared one at the mean, which still tells a likely vowel from an unlikely
    one.
    """

    def __init__(self, weights: dict[str, float], face: BilinearFace):
        super().__init__()
        self.weights = weights
        self.lips = LipVertices(face)
        self.figures: dict[str, float] = {}
        groups = torch.zeros(len(PHONES))
        groups[[PHONE_INDEX[p] for p in (*BILABIAL, *LABIODENTAL)]] = 1
        self.lip_consonants: Tensor
        self.register_buffer("lip_consonants", groups)
        classes = torch.full((len(PHONES),), len(LIP_CLASSES))
        for index, members in enumerate(LIP_CLASSES):
            classes[[PHONE_INDEX[p] for p in members]] = index
        self.classes: Tensor
        self.class_weights: Tensor
        self.register_buffer("classes", classes)
        self.register_buffer("class_weights", torch.tensor(_CLASS_WEIGHTS))

    def forward(self, batch: SpeechBatch, logits: Tensor, curves: Tensor) -> Tensor:
        """Of both networks: phone logits (B, S, 40) and curves (B, T, 52)."""
        phone = nn.functional.cross_entropy(logits.transpose(1, 2), batch.labels, label_smoothing=0.05)
        return self._sum(
            {"phone": phone, "lips": self._lip_classes(logits, batch.labels), **self._parts(batch, curves)}
        )

    def motion(self, batch: SpeechBatch, curves: Tensor) -> Tensor:
        """Of the curves (B, T, 52) alone."""
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

    def _lip_classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the classes of lip shapes, each as likely as its phones together: w taken for oo costs less than for b."""
        members = nn.functional.one_hot(self.classes, len(LIP_CLASSES) + 1).to(logits.dtype)  # (40, classes)
        likely = (logits.softmax(2) @ members).clamp(min=1e-4).log()
        wanted = torch.where(labels >= 0, self.classes[labels.clamp(min=0)], -100)
        return nn.functional.nll_loss(likely.transpose(1, 2), wanted, self.class_weights)


def run(args: argparse.Namespace) -> int:
    """Trains, then writes speech.safetensors and speech.md into --out."""
    config = read_configuration(args.config, "speech")
    device = choose_device(args)
    settings = config["training"]
    torch.manual_seed(settings["seed"])
    streams, held = read_streams(args.data, tuple(settings["leave_out"]))
    sampler = SpeechSampler(streams, settings["seconds"], settings["seed"])
    validation = SpeechSampler(held or streams, settings["seconds"], 1, augmented=False)
    log = RunLog(args.out, args.resume)

    def networks() -> nn.ModuleDict:
        encoder = SpeechEncoder(SpeechEncoderConfig(**config["encoder"]))
        return nn.ModuleDict(
            {"encoder": encoder, "decoder": SpeechDecoder(SpeechDecoderConfig(**config["decoder"]))}
        ).to(device)

    model = networks()
    if args.start:
        _start_from(model, args.start)
    average = WeightAverage(model, networks(), settings["half_life"])
    loss = SpeechLoss(config["loss"], BilinearFace.default()).to(device)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=settings["decay"]
    )
    schedule = Schedule(settings["steps"], settings["minutes"])
    checkpoint = args.out / "checkpoint.safetensors"
    if args.resume and checkpoint.exists():
        state = load_checkpoint(checkpoint, {"model": model, "average": average.average}, {"adam": optimiser})
        schedule.done, schedule.spent, average.steps = state["step"], state["minutes"], state["step"]
        sampler = SpeechSampler(streams, settings["seconds"], settings["seed"] + state["step"])
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        fps = FRAME_RATES[int(sampler.rng.integers(len(FRAME_RATES)))]
        batch = move_to(sampler.batch(settings["batch"], fps), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            logits, curves = _forward(model, batch, settings["given_phones"])
        logits, curves = logits.float(), curves.float()
        total = loss(batch, logits, curves)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update()
        schedule.done += 1
        if schedule.done % settings["log_every"] == 0:
            figures = {f"train_{name}": value for name, value in loss.figures.items()}
            log.write(
                "speech",
                step=schedule.done,
                minutes_left=schedule.minutes_left,
                **figures,
                **_validate(average.average, loss, validation, device),
            )
            state = {"step": schedule.done, "minutes": schedule.elapsed}
            save_checkpoint(
                checkpoint, {"model": model, "average": average.average}, {"adam": optimiser}, state
            )
    figures = _validate(average.average, loss, validation, device, batches=12)
    log.write("speech", step=schedule.done, minutes_left=0.0, **figures)
    hours = sum(len(s.mel) for s in streams) / 360000
    facts = {
        "command": f"python -m ml_backend train speech --config {args.config} --data DIR --out DIR"
        + (" --start FILE" if args.start else ""),
        "data": f"{hours:.1f} h of synthesised speech, {len(streams)} files: "
        + ", ".join(s.name for s in streams),
        "steps": str(schedule.done),
        "minutes": f"{schedule.elapsed:.0f}",
        "device": f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads",
        "validation": json.dumps({name: round(value, 4) for name, value in figures.items()})
        + f" on {[s.name for s in held] or 'the training voices'}",
    }
    write_speech_weights(args.out / "speech.safetensors", average.average, config, facts)
    print(f"{args.out / 'speech.safetensors'}: written", file=sys.stderr)
    return 0


def _start_from(model: nn.ModuleDict, path: Path) -> None:
    """Copies the weights of a file that `write_speech_weights` wrote.

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


def write_speech_weights(path: Path, model: nn.Module, config: dict, facts: dict[str, str]) -> None:
    """Writes the two networks as float16 with their configurations, and what is known of them, in the metadata."""
    arrays = {name: value.detach().cpu().half().numpy() for name, value in model.state_dict().items()}
    assert isinstance(model, nn.ModuleDict)
    encoder, decoder = model["encoder"], model["decoder"]
    assert isinstance(encoder, SpeechEncoder) and isinstance(decoder, SpeechDecoder)
    metadata = {
        "encoder": json.dumps(asdict(encoder.config)),
        "decoder": json.dumps(asdict(decoder.config)),
        "phones": " ".join(PHONES),
    }
    write_tensors(path, arrays, {**metadata, "configuration": json.dumps(config), **facts})


def move_to(batch: SpeechBatch, device: torch.device) -> SpeechBatch:
    """The batch on another device."""
    return SpeechBatch(**{name: value.to(device) for name, value in vars(batch).items()})


def mix_true_phones(posteriors: Tensor, labels: Tensor, share: float) -> Tensor:
    """Puts the true phones (B, S) into a share of the posteriors' (B, S, 40) sequences, for transcripts and other encoders."""
    if not share:
        return posteriors
    exact = nn.functional.one_hot(labels.clamp(min=0), len(PHONES)).to(posteriors.dtype)
    use = (torch.arange(len(exact), device=exact.device) < share * len(exact))[:, None, None] & (labels >= 0)[
        ..., None
    ]
    return torch.where(use, exact, posteriors)


def label_times(count: int, device: torch.device) -> Tensor:
    """Seconds of the encoder's rows: (count,)."""
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
        known = batch.labels >= 0
        right = (logits.argmax(2) == batch.labels)[known].float().mean()
        rows.append({"phone_accuracy": float(right), **loss.figures})
    return {f"held_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
