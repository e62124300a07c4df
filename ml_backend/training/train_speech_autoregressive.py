"""Trains the autoregressive decoder on what the trained speech encoder hears of synthesised speech.

A decoder that only ever sees the true past (teacher forcing) never learns to come back from its own errors.
So the past it is given in
training is, for a share of the frames that rises over the first half, what it said itself in a first pass
over the sequence (scheduled
sampling, Bengio et al. 2015, in two parallel passes as in Mihaylova and Martins 2019), and all of it is
noisy. Losses as `train speech`.

examples:
  python -m ml_backend build-speech-data --out build/speech-data
  python -m ml_backend train speech-autoregressive --config 2core --data build/speech-data --out
  build/speech-autoregressive
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.speech_dataset import SpeechBatch, SpeechSampler, read_streams
from ..files.tensor_file import write_tensors
from ..models.bilinear_face import BilinearFace
from ..models.speech.autoregressive_decoder import (
    FRAME_RATE,
    AutoregressiveDecoder,
    AutoregressiveDecoderConfig,
)
from ..models.speech.speech_networks import DEFAULT_FILE, load_speech_networks
from ..phonetics.phones import PHONES
from .checkpoints import WeightAverage, load_checkpoint, save_checkpoint
from .train_speech import SpeechLoss, label_times, mix_true_phones, move_to
from .training_run import RunLog, Schedule, choose_device, read_configuration, set_rate


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
        default=Path("build/speech-autoregressive"),
        help="checkpoint, log.jsonl, weights (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help="whose encoder listens (default: the shipped one)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", default="", help="cpu, cuda or mps (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")


@dataclass(frozen=True)
class HeardBatch:
    """A batch and what the encoder heard of it: posteriors (B, S, 40)."""

    batch: SpeechBatch
    posteriors: Tensor


class HeardPool:
    """Batches with what the encoder heard, which is the dear part: every `fresh`-th draw is new, the others are one of the last `pool`."""

    def __init__(self, encoder: nn.Module, sampler: SpeechSampler, settings: dict, device: torch.device):
        self.encoder, self.sampler, self.settings, self.device = encoder, sampler, settings, device
        self.kept: list[HeardBatch] = []
        self.draws = 0

    def draw(self) -> HeardBatch:
        """A batch, its posteriors partly replaced by the true phones."""
        self.draws += 1
        if self.kept and self.draws % self.settings["fresh"]:
            return self.kept[int(self.sampler.rng.integers(len(self.kept)))]
        heard = listen(
            self.encoder, self.sampler, self.settings["batch"], self.settings["given_phones"], self.device
        )
        self.kept = [*self.kept, heard][-self.settings["pool"] :]
        return heard


@torch.no_grad()
def listen(
    encoder: nn.Module, sampler: SpeechSampler, size: int, given: float, device: torch.device
) -> HeardBatch:
    """Draws `size` sequences at the decoder's frame rate and has the encoder hear them."""
    batch = move_to(sampler.batch(size, FRAME_RATE), device)
    return HeardBatch(batch, mix_true_phones(encoder(batch.mel).softmax(2), batch.labels, given))


def run(args: argparse.Namespace) -> int:
    """Trains, then writes speech_autoregressive.safetensors into --out."""
    config = read_configuration(args.config, "speech-autoregressive")
    device = choose_device(args)
    settings = config["training"]
    torch.manual_seed(settings["seed"])
    streams, held = read_streams(args.data, tuple(settings["leave_out"]))
    encoder = load_speech_networks(args.weights).encoder.to(device)
    pool = HeardPool(encoder, SpeechSampler(streams, settings["seconds"], settings["seed"]), settings, device)
    validation = SpeechSampler(held or streams, settings["seconds"], 1, augmented=False)
    checks = [listen(encoder, validation, 8, 0.0, device) for _ in range(2)]
    log = RunLog(args.out, args.resume)

    def network() -> AutoregressiveDecoder:
        return AutoregressiveDecoder(AutoregressiveDecoderConfig(**config["decoder"])).to(device)

    model = network()
    average = WeightAverage(model, network(), settings["half_life"])
    loss = SpeechLoss(config["loss"], BilinearFace.default()).to(device)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=settings["decay"]
    )
    schedule = Schedule(settings["steps"], settings["minutes"])
    checkpoint = args.out / "checkpoint.safetensors"
    if args.resume and checkpoint.exists():
        state = load_checkpoint(checkpoint, {"model": model, "average": average.average}, {"adam": optimiser})
        schedule.done, schedule.spent, average.steps = state["step"], state["minutes"], state["step"]
        pool.sampler = SpeechSampler(streams, settings["seconds"], settings["seed"] + state["step"])
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        heard = pool.draw()
        own = settings["own_past"] * min(1.0, 2 * schedule.progress)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            past = mixed_past(model, heard, own, settings["noise"])
            curves = model(
                heard.posteriors, heard.batch.prosody, label_times(heard.posteriors.shape[1], device), past
            ).float()
        total = loss.motion(heard.batch, curves)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update()
        schedule.done += 1
        if schedule.done % settings["log_every"] == 0 or schedule.progress >= 1:
            figures = {f"train_{name}": value for name, value in loss.figures.items()}
            figures |= {"own_past": own, **_validate(average.average, loss, checks)}
            log.write(
                "speech-autoregressive", step=schedule.done, minutes_left=schedule.minutes_left, **figures
            )
            state = {"step": schedule.done, "minutes": schedule.elapsed}
            save_checkpoint(
                checkpoint, {"model": model, "average": average.average}, {"adam": optimiser}, state
            )
    facts = {
        "command": f"python -m ml_backend train speech-autoregressive --config {args.config} --data DIR --out DIR",
        "data": f"{sum(len(s.mel) for s in streams) / 360000:.1f} h of synthesised speech, {len(streams)} files",
        "steps": str(schedule.done),
        "minutes": f"{schedule.elapsed:.0f}",
        "device": f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads",
    }
    path = args.out / "speech_autoregressive.safetensors"
    write_autoregressive_weights(path, average.average, {**facts, "configuration": json.dumps(config)})
    print(f"{path}: written", file=sys.stderr)
    return 0


def mixed_past(model: nn.Module, heard: HeardBatch, own: float, noise: float) -> Tensor:
    """The past that a training pass is given: (B, T, 52), row i the frame before frame i.

    Args:
        model: the decoder, whose own frames, made from the true past, stand in for a share `own` of the true
            ones.
        heard: the sequences.
        own: 0..1.
        noise: standard deviation of what is added.
    """
    truth = heard.batch.curves
    past = torch.cat([torch.zeros_like(truth[:, :1]), truth[:, :-1]], 1)
    if own > 0:
        with torch.no_grad():
            said = model(
                heard.posteriors,
                heard.batch.prosody,
                label_times(heard.posteriors.shape[1], truth.device),
                _noisy(past, noise),
            )
        said = torch.cat([torch.zeros_like(truth[:, :1]), said.to(truth.dtype).clamp(0, 1)[:, :-1]], 1)
        past = torch.where(torch.rand(past.shape[:2], device=past.device)[..., None] < own, said, past)
    return _noisy(past, noise)


def _noisy(past: Tensor, noise: float) -> Tensor:
    return (past + noise * torch.randn_like(past)).clamp(0, 1)


def write_autoregressive_weights(path: Path, model: nn.Module, facts: dict[str, str]) -> None:
    """Writes the decoder as float16 with its configuration, and what is known of it, in the metadata."""
    assert isinstance(model, AutoregressiveDecoder)
    arrays = {name: value.detach().cpu().half().numpy() for name, value in model.state_dict().items()}
    write_tensors(
        path,
        arrays,
        {"autoregressive_decoder": json.dumps(asdict(model.config)), "phones": " ".join(PHONES), **facts},
    )


@torch.no_grad()
def _validate(model: nn.Module, loss: SpeechLoss, checks: list[HeardBatch]) -> dict[str, float]:
    """The losses of sequences that the decoder makes from its own past alone, and their whole (weighted) sum."""
    assert isinstance(model, AutoregressiveDecoder)
    rows = []
    for heard in checks:
        batch = heard.batch
        times = label_times(heard.posteriors.shape[1], batch.curves.device)
        curves = torch.stack(
            [
                model.step(model.start(), posteriors, prosody, times, batch.curves.shape[1])
                for posteriors, prosody in zip(heard.posteriors, batch.prosody, strict=True)
            ]
        )
        rows.append({"motion": float(loss.motion(batch, curves)), **loss.figures})
    return {f"held_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
