"""Trains a model of the default set, or one from your own data, with the same command.

torchrun shares any training over processes, GPUs and machines (docs/farm.md):
  torchrun --nproc-per-node 4 -m ml_backend train dnpm --config gpu --out build/dnpm
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from .model_subcommands import add_model_subcommands

MODULES = {
    "dnpm": ("..training.train_dnpm", "the generator over displacement maps"),
    "detail-encoder": (
        "..training.train_detail_encoder",
        "identity and expression into the generator's W+ space",
    ),
    "distilled-detail": (
        "..training.train_distilled_detail",
        "the full model into numpy's small one, for Blender alone",
    ),
    "latent-directions": (
        "..training.train_latent_directions",
        "directions in W+ named age, tendency, thickness, pores",
    ),
    "restoration": ("..training.train_restoration", "degraded displacement maps into W+ and clean ones"),
    "image-to-displacement": (
        "..training.train_image_to_displacement",
        "unwrapped photographs to displacement, on simulated skin",
    ),
    "albedo": (
        "..training.albedo.train_albedo",
        "skin colour: 300 coefficients and the detail above them",
    ),
    "skin-belief": (
        "..training.albedo.train_skin_belief",
        "how light skin is, from what photographs show",
    ),
    "photo-upscaler": (
        "..training.train_photo_upscaler",
        "small, blurred photographs to clear ones, for landmarks",
    ),
    "reenactment": (
        "..training.reenactment.train_reenactment",
        "displacement of landmarks to displacement in W+, for wrinkles that follow a video",
    ),
    "attributes": (
        "..training.attributes.train_attributes",
        "one photo to seven codes of its face, in one pass",
    ),
    "render-residual": (
        "..training.residual.train_residual",
        "hair, eyes, mouth and outline on the exact decoder's drawing",
    ),
    "attribute-field": (
        "..training.attributes.train_attribute_field",
        "codes of a face and a camera to a picture, by a radiance field",
    ),
    "speech": ("..training.train_speech", "recordings to ARKit curves"),
    "speech-autoregressive": (
        "..training.train_speech_autoregressive",
        "phone posteriors to ARKit curves, each frame from those before it",
    ),
    "whisper-phones": (
        "..training.train_whisper_phones",
        "features of Whisper's encoder to phone posteriors, in several languages",
    ),
    "viseme-perceptron": ("..training.train_viseme_perceptron", "the baseline of the speech networks"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares one subcommand for each model."""
    add_model_subcommands(parser, "train", MODULES)


def run(args: argparse.Namespace) -> int | None:
    """Runs the model's training, in one process or as one of several that torchrun started."""
    from ..layers.processes import started_by_torchrun

    if not started_by_torchrun():
        return args.run_model(args)
    return _run_together(args)


def _run_together(args: argparse.Namespace) -> int | None:
    """Runs a training as one of several processes: the first writes into --out, the others nowhere.

    The others work in folders of their own, which begin with a copy of the checkpoint and are thrown away.
    """
    import torch

    from ..layers.processes import join_processes, leave_processes, process_rank, wait_for_all

    graphics = torch.cuda.is_available() and args.device in ("", "cuda")
    join_processes(graphics)
    if graphics:
        args.device = f"cuda:{torch.cuda.current_device()}"
    with tempfile.TemporaryDirectory(prefix="d3dmm-train-") as folder:
        if process_rank():
            if getattr(args, "resume", False) and args.out.is_dir():
                for path in args.out.rglob("*"):
                    if path.is_file() and path.suffix in (".safetensors", ".jsonl"):
                        copy = Path(folder) / path.relative_to(args.out)
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(path, copy)
            args.out = Path(folder)
            if getattr(args, "install", False):
                args.install = False
        wait_for_all()
        status = args.run_model(args)
        leave_processes()
    return status
