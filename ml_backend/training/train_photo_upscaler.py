"""Trains the network that makes small, blurred pictures of faces clear enough for landmarks.

Painted heads of random people before all sorts of grounds, and pictures of no faces, are shrunk, blurred,
made noisy and compressed; the
network learns what they were: first by robust absolute differences of colours and of their slopes
(Charbonnier), then also by how
differently the landmark network sees the two (`landmark_features.py`). No photograph of anybody is used.

Writes to --out: photo_upscaler.safetensors (float16), photo_upscaler.md (model card), log.jsonl, samples.png
(poor, bicubic, made clear,
truth), checkpoint.safetensors. The pictures are painted into --data on first use.

examples:
  python -m ml_backend build-landmarks --network-out build/landmark_network.safetensors
  python -m ml_backend train photo-upscaler --config 2core --out build/upscaler --install
  python -m ml_backend train photo-upscaler --config gpu --device cuda --out build/upscaler
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..datasets.degraded_portraits import looked_at, small_and_clear, vary
from ..datasets.simulated_portraits import face_frames, make_portrait_set
from ..errors import UserError
from ..files.network_file import write_network_file
from ..layers.device import device_name
from ..models.landmark_network import LandmarkNetwork, read_landmark_network
from ..models.photo_upscaler import UPSCALER_FILE, PhotoUpscaler, enlarged, upscaler_config
from .checkpoints import WeightAverage
from .landmark_features import landmark_losses
from .model_card import install
from .photo_cards import write_photo_card
from .train_dnpm import StageKeeper
from .training_run import RunLog, Schedule, add_run_arguments, choose_device, read_configuration, set_rate

STAGES = "clear", "landmarks"
HELD_OUT_SHARE, FEWEST = 0.06, 16
SHOWN = 8
_SMOOTH = 1e-4
_FAR = 0.1  # eye distances between two meshes, beyond which more of it counts less
_SAVE_STEPS = 400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/upscaler", data="build/portraits", holds="painted portraits")
    parser.add_argument(
        "--landmark-network",
        type=Path,
        default=Path("build/landmark_network.safetensors"),
        metavar="FILE",
        help="what build-landmarks --network-out wrote (default: %(default)s)",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "photo-upscaler")
    device = choose_device(args)
    if not args.landmark_network.is_file():
        raise UserError(
            f"{args.landmark_network}: the landmark network is missing.",
            f"Make it with: python -m ml_backend build-landmarks --network-out {args.landmark_network}",
        )
    seen = read_landmark_network(args.landmark_network).to(device)
    seen.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    log = RunLog(args.out, args.resume)
    pictures = make_portrait_set(
        args.data, settings["pictures"], lambda done, of: log.write("portraits", done=done, of=of)
    )
    if len(pictures) < FEWEST:
        raise UserError(
            f"{len(pictures)} pictures are too few to learn from.", f"Raise `pictures` to {FEWEST} at least."
        )
    unseen = held_out_count(pictures)
    torch.manual_seed(0)
    config = upscaler_config(settings["network"])
    network = PhotoUpscaler(config).to(device)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = PhotoUpscaler(config).to(device)
    keeper = StageKeeper(
        args.out / "checkpoint.safetensors", {"network": network, "average": average}, args.resume
    )
    frames = face_frames(args.data, pictures)
    stages = [stage for stage in STAGES if stage in settings]
    for stage in stages:
        if not keeper.finished(stage):
            train(stage, network, average, seen, pictures, frames, settings[stage], log, device, keeper)
            keeper.finish(stage)
    average.eval()
    figures = measure(average, seen, pictures, frames, device)
    log.write("measured", **figures)
    write_sheet(args.out / "samples.png", average, pictures, device)
    facts = {
        "command": f"python -m ml_backend train photo-upscaler --config {args.config}",
        "stages": ", ".join(
            f"{stage} ({settings[stage].get('minutes', 'no')} minutes at most)" for stage in stages
        ),
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "maps": f"{len(pictures) - unseen} pictures, each degraded anew every time",
        "source": "painted heads of the default face model and pictures of simulated shapes, "
        "not from photographs of people",
        "measured": f"On {unseen} pictures that training left out, at 128 x 128 pixels: "
        f"{figures['clear_db']:.1f} dB; bicubic interpolation {figures['bicubic_db']:.1f} dB. "
        f"The landmark network's mesh in the cleared picture lies {figures['clear_mesh']:.3f} eye distances "
        "from its mesh in the picture itself (median picture); with bicubic interpolation "
        f"{figures['bicubic_mesh']:.3f}. `python -m ml_backend evaluate photo` measures photographs.",
    }
    sha256 = write_network_file(args.out / UPSCALER_FILE, average, config, facts)
    count = sum(parameter.numel() for parameter in average.parameters())
    write_photo_card(args.out / UPSCALER_FILE, dataclasses.asdict(config), count, facts, sha256)
    if args.install:
        if figures["clear_db"] <= figures["bicubic_db"]:
            raise UserError(
                f"Not installed: {figures['clear_db']:.2f} dB is not above bicubic interpolation's "
                f"{figures['bicubic_db']:.2f}.",
                "Train longer.",
            )
        install(args.out, (UPSCALER_FILE,))
    return 0


def clearness_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Charbonnier differences of colours and of their slopes, of (B, 3, H, W).

    Source: Lai et al. 2017, "Deep Laplacian pyramid networks for fast and accurate super-resolution", Eq. 2.
    """
    error = found - truth
    parts = error, error.diff(dim=-1), error.diff(dim=-2)
    return sum(
        ((part.square() + _SMOOTH).sqrt().mean() for part in parts), torch.zeros((), device=found.device)
    )


def train(
    stage: str,
    network: PhotoUpscaler,
    average: PhotoUpscaler,
    seen: LandmarkNetwork,
    pictures: np.ndarray,
    frames: np.ndarray,
    settings: dict,
    log: RunLog,
    device: torch.device,
    keeper: StageKeeper,
) -> None:
    """Trains one stage; resumes where `keeper` says.

    With the weights `features` and `mesh` in its settings the loss also compares what the landmark network
    sees.
    """
    save, resume = keeper.hooks(stage)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    resume({"network": optimiser}, schedule)
    kept = average.state_dict() if schedule.done else None
    follower = WeightAverage(network, average, settings["half_life"])
    if kept is not None:
        average.load_state_dict(kept)
        follower.steps = schedule.done
    while schedule.progress < 1:
        random = np.random.default_rng([1 + STAGES.index(stage), schedule.done])
        set_rate(optimiser, schedule.rate(settings["rate"]))
        rows = random.integers(held_out_count(pictures), len(pictures), settings["batch"])
        varied, squares = zip(*[vary(pictures[row], frames[row], random) for row in rows], strict=True)
        poor, clear = small_and_clear(list(varied), random)
        poor, clear = poor.to(device, memory_format=torch.channels_last), clear.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            found = network(poor)
        loss = clearness_loss(found.float(), clear)
        shown = {"loss": float(loss.detach())}
        if "mesh" in settings and len(faces := np.flatnonzero(np.isfinite(frames[rows, 0, 0]))):
            sharp, squares = np.stack(varied)[faces], np.stack(squares)[faces]
            squares = looked_at(squares, random).to(device)
            features, mesh = landmark_losses(seen, found.float()[faces], _tensor(sharp).to(device), squares)
            loss = loss + settings["features"] * features + settings["mesh"] * (mesh / (mesh + _FAR)).mean()
            shown |= {"features": float(features.detach()), "mesh": float(mesh.detach().median())}
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings["clip"])
        optimiser.step()
        follower.update()
        schedule.done += 1
        if schedule.done % settings["log_steps"] == 0 or schedule.progress >= 1:
            log.write(stage, step=schedule.done, **shown, minutes_left=schedule.minutes_left)
        if schedule.done % _SAVE_STEPS == 0:
            log.write("unseen", step=schedule.done, **measure(average, seen, pictures, frames, device))
            save({"network": optimiser}, schedule)


def held_out_count(pictures: np.ndarray) -> int:
    """How many of the set's first pictures training leaves out."""
    return max(4, int(HELD_OUT_SHARE * len(pictures)))


def _held_out(pictures: np.ndarray) -> tuple[Tensor, Tensor]:
    return small_and_clear(list(np.asarray(pictures[: held_out_count(pictures)])), np.random.default_rng(2))


@torch.inference_mode()
def measure(
    network: PhotoUpscaler,
    seen: LandmarkNetwork,
    pictures: np.ndarray,
    frames: np.ndarray,
    device: torch.device,
) -> dict[str, float]:
    """What the network does to the pictures that training leaves out, beside bicubic interpolation.

    Returns:
        `clear_db`, `bicubic_db`: peak signal to noise in dB; `clear_mesh`, `bicubic_mesh`: how far the
            landmark network's mesh lies from
        its mesh in the undegraded picture, in distances between the eyes (median picture).
    """
    poor, clear = (values.to(device) for values in _held_out(pictures))
    count = len(poor)
    faces = np.flatnonzero(np.isfinite(frames[:count, 0, 0]))
    squares = looked_at(frames[:count][faces], np.random.default_rng(3)).to(device)
    sharp = _tensor(np.asarray(pictures[:count])[faces]).to(device)
    figures = {}
    for name, found in (("clear", network(poor)), ("bicubic", enlarged(poor))):
        figures[f"{name}_db"] = float(-10 * (found.clamp(0, 1) - clear).square().mean().log10())
        figures[f"{name}_mesh"] = float(
            landmark_losses(seen, found.clamp(0, 1)[faces], sharp, squares)[1].median()
        )
    return figures


def _tensor(pictures: np.ndarray) -> Tensor:
    """(B, 3, H, W) float32 in 0..1 of (B, H, W, 3) uint8."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def write_sheet(path: Path, network: PhotoUpscaler, pictures: np.ndarray, device: torch.device) -> None:
    """Poor, bicubic, made clear and truth, a column a picture that training left out."""
    poor, clear = (values[:SHOWN].to(device) for values in _held_out(pictures))
    blocks = torch.nn.functional.interpolate(poor, size=clear.shape[-2:], mode="nearest")
    rows = [
        torch.cat(list(values.clamp(0, 1)), -1) for values in (blocks, enlarged(poor), network(poor), clear)
    ]
    Image.fromarray((torch.cat(rows, -2).permute(1, 2, 0).cpu().numpy() * 255 + 0.5).astype(np.uint8)).save(
        path
    )
