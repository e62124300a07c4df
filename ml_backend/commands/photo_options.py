"""Options that commands on photographs and on videos share."""

import argparse


def add_landmark_model(parser: argparse.ArgumentParser) -> None:
    """Declares --landmark-model."""
    parser.add_argument(
        "--landmark-model",
        default="",
        metavar="FILE",
        help="a face_landmarker.task in place of the carried networks",
    )
