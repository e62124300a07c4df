"""Measures a model on data that training never saw, with its baselines beside it."""

import argparse

from .model_subcommands import add_model_subcommands

MODULES = {
    "face-model": (
        "..evaluation.evaluate_face_model",
        "vertex errors on unseen people, lids, lips, named directions",
    ),
    "detail": ("..evaluation.evaluate_detail", "displacement maps against simulated truth"),
    "dnpm": (
        "..evaluation.evaluate_dnpm",
        "the generator: distance of its maps to true ones as a set, memorising",
    ),
    "restoration": (
        "..evaluation.evaluate_restoration",
        "down-sampled displacement maps brought back, beside bicubic and others",
    ),
    "albedo": (
        "..evaluation.evaluate_albedo",
        "maps of skin colour, coarse and with detail, beside joint components and the paper",
    ),
    "speech": ("..evaluation.evaluate_speech", "lips against phones on real recordings"),
    "voice": (
        "..evaluation.evaluate_voice",
        "the guess of a voice's liveliness on recordings that are made livelier or calmer",
    ),
    "photo": (
        "..evaluation.evaluate_photo",
        "fits to real photographs, clean and degraded; restoration of maps",
    ),
    "attributes": (
        "..evaluation.attributes.evaluate_attributes",
        "one photo to seven codes: errors, transfers, rounds of the training, beside the iteration",
    ),
    "video": (
        "..evaluation.video.evaluate_video",
        "curves, head, blinks and lips of simulated clips against known ones",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares one subcommand for each model."""
    add_model_subcommands(parser, "evaluate", MODULES)


def run(args: argparse.Namespace) -> int | None:
    """Runs the model's evaluation."""
    return args.run_model(args)
