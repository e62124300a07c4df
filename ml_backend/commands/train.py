"""Trains a model of the default set, or one from your own data, with the same command."""

import argparse

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
    "speech": ("..training.train_speech", "recordings to ARKit curves"),
    "speech-autoregressive": (
        "..training.train_speech_autoregressive",
        "phone posteriors to ARKit curves, each frame from those before it",
    ),
    "viseme-perceptron": ("..training.train_viseme_perceptron", "the baseline of the speech networks"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares one subcommand for each model."""
    add_model_subcommands(parser, "train", MODULES)


def run(args: argparse.Namespace) -> int | None:
    """Runs the model's training."""
    return args.run_model(args)
