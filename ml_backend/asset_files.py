"""The folder of the files that ship with the package: weights, their cards, the demo recording."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parent / "assets"
