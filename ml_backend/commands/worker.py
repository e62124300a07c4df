"""Serves requests over standard input and output. Blender starts this; people use the other commands."""

import argparse
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: everything comes over the pipe."""


def run(args: argparse.Namespace) -> None:
    """Serves until the pipe closes."""
    from ..process.handlers import HANDLERS, describe_backend
    from ..process.worker import Worker, private_standard_output

    sink = private_standard_output()
    Worker(os.fdopen(0, "rb", buffering=0), sink, HANDLERS).run(describe_backend)
