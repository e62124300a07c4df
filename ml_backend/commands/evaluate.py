"""Measures a model on what training never saw, with its baselines beside it.

examples:
  python -m ml_backend evaluate face-model --json
  python -m ml_backend evaluate detail --json
  python -m ml_backend evaluate speech --set recordings/ --json
  python -m ml_backend evaluate photo --set photos/ --json
"""

import argparse

from .model_subcommands import add_second_word

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
    "speech": ("..evaluation.evaluate_speech", "lips against phones on real recordings"),
    "photo": (
        "..evaluation.evaluate_photo",
        "fits to real photographs, clean and degraded; restoration of maps",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares one subcommand a model."""
    add_second_word(parser, "model", MODULES)


def run(args: argparse.Namespace) -> int | None:
    """Runs the model's evaluation."""
    return args.run_second(args)
