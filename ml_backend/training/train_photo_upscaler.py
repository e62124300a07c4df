"""Trains the network that makes small, blurred pictures of faces clear enough for landmarks.

Painted heads of random people before all sorts of grounds, and pictures of no faces, are shrunk, blurred,
made noisy and compressed; the network learns what they were: first by robust absolute differences of colours
and of their slopes (Charbonnier), then also by how differently the landmark network sees the two
(`landmark_features.py`). No photograph of anybody is used.

Writes to --out: photo_upscaler.safetensors (float16), photo_upscaler.md (model card), log.jsonl, samples.png
(poor, bicubic, made clear, truth), checkpoint.safetensors. The pictures are painted into --data on first use.

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
from ..files.model_card import ModelCard, install
from ..files.network_file import write_network_file
from ..layers.processes import own_share
from ..models.landmark_network import LandmarkNetwork, read_landmark_network
from ..models.photo_upscaler import UPSCALER_FILE, PhotoUpscaler, enlarged, upscaler_config
from .checkpoints import WeightAverage
from .landmark_features import landmark_losses
from .steps import TrainingRun
from .training_run import add_run_arguments, read_configuration

STAGES = ("clear", "landmarks")
SOURCE = (
    "painted heads of the default face model and pictures of simulated shapes, not from photographs of people"
)
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


@dataclasses.dataclass(frozen=True)
class Portraits:
    """The painted pictures, and the network that looks for landmarks in them.

    Attributes:
        pictures: (N, S, S, 3) uint8; the first `held_out` are left out of the training.
        frames: (N, 2, 3) squares of the faces, not finite where there is no face.
        seen: features and mesh of the landmark network.
    """

    pictures: np.ndarray
    frames: np.ndarray
    seen: LandmarkNetwork

    @property
    def held_out(self) -> int:
        """Number of the set's first pictures, which training leaves out."""
        return max(4, int(HELD_OUT_SHARE * len(self.pictures)))

    def held_out_pairs(self) -> tuple[Tensor, Tensor]:
        """Degraded and clear pictures that training leaves out: (B, 3, H, W) and (B, 3, 2 H, 2 W), 0..1."""
        pictures = list(np.asarray(self.pictures[: self.held_out]))
        return small_and_clear(pictures, np.random.default_rng(2))


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "photo-upscaler")
    if not args.landmark_network.is_file():
        raise UserError(
            f"{args.landmark_network}: the landmark network is missing.",
            f"Make it with: python -m ml_backend build-landmarks --network-out {args.landmark_network}",
        )
    stages = [stage for stage in STAGES if stage in settings]
    training = TrainingRun.begin(args, stages)
    device = training.device
    pictures = make_portrait_set(
        args.data, settings["pictures"], lambda done, of: training.write("portraits", done=done, of=of)
    )
    if len(pictures) < FEWEST:
        raise UserError(
            f"{len(pictures)} pictures are too few to learn from.", f"Raise `pictures` to {FEWEST} at least."
        )
    torch.manual_seed(0)
    config = upscaler_config(settings["network"])
    network = PhotoUpscaler(config).to(device)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = PhotoUpscaler(config).to(device)
    keeper = training.keep({"network": network, "average": average}, args.resume)
    seen = read_landmark_network(args.landmark_network).to(device)
    seen.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    portraits = Portraits(pictures, face_frames(args.data, pictures), seen)
    for stage in stages:
        if not keeper.finished(stage):
            train(stage, network, average, portraits, settings[stage], training)
            keeper.finish(stage)
    average.eval()
    figures = measure(average, portraits, device)
    training.write("measured", **figures)
    write_sheet(args.out / "samples.png", average, portraits, device)
    facts = training.facts(f"python -m ml_backend train photo-upscaler --config {args.config}", stages)
    facts["maps"] = f"{len(pictures) - portraits.held_out} pictures, each degraded anew every time"
    facts["source"] = SOURCE
    facts["measured"] = figures_text(figures, portraits.held_out)
    write_network_file(args.out / UPSCALER_FILE, average, config, facts)
    upscaler_card(average, facts).write(args.out / UPSCALER_FILE)
    if args.install:
        if figures["clear_db"] <= figures["bicubic_db"]:
            raise UserError(
                f"Not installed: {figures['clear_db']:.2f} dB is not above the "
                f"{figures['bicubic_db']:.2f} dB of "
                "bicubic interpolation.",
                "Train longer.",
            )
        install(args.out, (UPSCALER_FILE,))
    return 0


def figures_text(figures: dict[str, float], count: int) -> str:
    """Returns the figures of `measure` over `count` pictures as a paragraph."""
    return (
        f"On {count} pictures that training left out, at 128 x 128 pixels: {figures['clear_db']:.1f} dB; "
        "bicubic "
        f"interpolation {figures['bicubic_db']:.1f} dB. The landmark network's mesh in what is made clear "
        "lies "
        f"{figures['clear_mesh']:.3f} eye distances from its mesh in the picture itself (median picture); "
        "with "
        f"bicubic interpolation {figures['bicubic_mesh']:.3f}. `python -m ml_backend evaluate photo` "
        "prints what it "
        "does for photographs."
    )


def upscaler_card(network: PhotoUpscaler, facts: dict[str, str]) -> ModelCard:
    """Returns the model card; `facts` as `TrainingRun.facts` gives them, with maps, source and measured."""
    return ModelCard(
        "Small photographs made clear",
        "A U-Net that corrects bicubic interpolation of a small, blurred, compressed picture of a face to "
        "twice its\n"
        "size; landmarks are looked for in what it makes. It draws the mean of what may have been there, "
        "sharper\n"
        "where the landmark network looks, and invents no texture.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with what had to be painted",
        evaluation="Its figures on painted heads that training left out are in the last line of "
        f"`photo_upscaler.log.jsonl`.\n\n{facts['measured']}",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
    )


def clearness_loss(cleared: Tensor, truth: Tensor) -> Tensor:
    """Charbonnier differences of colours and of their slopes, of (B, 3, H, W).

    Source: Lai et al. 2017, "Deep Laplacian pyramid networks for fast and accurate super-resolution", Eq. 2.
    """
    error = cleared - truth
    parts = error, error.diff(dim=-1), error.diff(dim=-2)
    return sum(
        ((part.square() + _SMOOTH).sqrt().mean() for part in parts), torch.zeros((), device=cleared.device)
    )


def train(
    stage: str,
    network: PhotoUpscaler,
    average: PhotoUpscaler,
    portraits: Portraits,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains one stage.

    Args:
        stage: a name of `STAGES`.
        network: trained in place.
        average: receives the average of its weights.
        portraits: the pictures.
        settings: those of `TrainingRun.steps`; batch, half_life, clip, bfloat16, and, where the landmark
            network counts, the weights `features` and `mesh`.
        run: log, checkpoint and device.
    """
    device = run.device
    optimisers = {"network": torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))}
    averages = [WeightAverage(network, average, settings["half_life"])]
    settings = {"measure_steps": _SAVE_STEPS, "save_steps": _SAVE_STEPS, **settings}

    def measured() -> dict[str, float]:
        return {f"unseen_{name}": value for name, value in measure(average, portraits, device).items()}

    for step in run.steps(stage, optimisers, averages, settings, measure=measured):
        random = np.random.default_rng([1 + STAGES.index(stage), step.number])
        rows = own_share(random.integers(portraits.held_out, len(portraits.pictures), settings["batch"]))
        varied, squares = zip(
            *[vary(portraits.pictures[row], portraits.frames[row], random) for row in rows], strict=True
        )
        poor, clear = small_and_clear(list(varied), random)
        poor = poor.to(device, memory_format=torch.channels_last)
        clear = clear.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings["bfloat16"]):
            cleared = network(poor)
        cleared = cleared.float()
        loss = clearness_loss(cleared, clear)
        step.note(loss=loss)
        faces = np.flatnonzero(np.isfinite(portraits.frames[rows, 0, 0]))
        if "mesh" in settings and len(faces):
            sharp = _tensor(np.stack(varied)[faces]).to(device)
            looked = looked_at(np.stack(squares)[faces], random).to(device)
            features, mesh = landmark_losses(portraits.seen, cleared[faces], sharp, looked)
            loss = loss + settings["features"] * features + settings["mesh"] * (mesh / (mesh + _FAR)).mean()
            step.note(features=features, mesh=mesh.detach().median())
        step.descend(loss, clip=settings["clip"])


@torch.inference_mode()
def measure(network: PhotoUpscaler, portraits: Portraits, device: torch.device) -> dict[str, float]:
    """Measures the network on the pictures that training leaves out, beside bicubic interpolation.

    Returns:
        `clear_db`, `bicubic_db`: peak signal to noise in dB; `clear_mesh`, `bicubic_mesh`: how far the
        landmark network's mesh lies from its mesh in the undegraded picture, in distances between the eyes
        (median picture).
    """
    poor, clear = (values.to(device) for values in portraits.held_out_pairs())
    count = len(poor)
    faces = np.flatnonzero(np.isfinite(portraits.frames[:count, 0, 0]))
    squares = looked_at(portraits.frames[:count][faces], np.random.default_rng(3)).to(device)
    sharp = _tensor(np.asarray(portraits.pictures[:count])[faces]).to(device)
    figures = {}
    for name, enlargement in (("clear", network(poor)), ("bicubic", enlarged(poor))):
        error = (enlargement.clamp(0, 1) - clear).square().mean()
        figures[f"{name}_db"] = float(-10 * error.log10())
        mesh = landmark_losses(portraits.seen, enlargement.clamp(0, 1)[faces], sharp, squares)[1]
        figures[f"{name}_mesh"] = float(mesh.median())
    return figures


def _tensor(pictures: np.ndarray) -> Tensor:
    """(B, 3, H, W) float32 in 0..1 of (B, H, W, 3) uint8."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def write_sheet(path: Path, network: PhotoUpscaler, portraits: Portraits, device: torch.device) -> None:
    """Writes poor, bicubic, made clear and truth, a column for each picture that training left out."""
    poor, clear = (values[:SHOWN].to(device) for values in portraits.held_out_pairs())
    blocks = torch.nn.functional.interpolate(poor, size=clear.shape[-2:], mode="nearest")
    rows = [
        torch.cat(list(values.clamp(0, 1)), -1) for values in (blocks, enlarged(poor), network(poor), clear)
    ]
    pixels = torch.cat(rows, -2).permute(1, 2, 0).cpu().numpy()
    Image.fromarray((pixels * 255 + 0.5).astype(np.uint8)).save(path)
