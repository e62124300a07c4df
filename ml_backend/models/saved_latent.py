"""A W+ latent on disk: what an inversion found, and the face under which it was found."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.tensor_file import read_tensors, write_tensors
from .detailed_3dmm import ENCODER_FILE, GENERATOR_FILE

FORMAT = "detailed3dmm-latent-1"
STANDS_FOR = "stands_for"
"""Metadata of a generator: the sha256 of its encoder's file, and the fingerprint that the pair had before."""


@lru_cache(maxsize=4)
def weights_fingerprint(folder: Path = ASSETS) -> str:
    """Returns a fingerprint that differs between pairs of generator and encoder.

    A generator that only is stored in another way names the fingerprint that it had with its encoder, so that
    latents and directions stay valid.

    Raises:
        UserError: one of the two cannot be read.
    """
    digest, contents = hashlib.sha256(), {}
    for name in (GENERATOR_FILE, ENCODER_FILE):
        try:
            contents[name] = (folder / name).read_bytes()
            digest.update(contents[name])
        except OSError as error:
            raise UserError(
                f"{folder / name}: cannot be read ({error.strerror}).",
                "Train the generator and the encoder first.",
            ) from error
    encoder, _, former = read_tensors(folder / GENERATOR_FILE)[1].get(STANDS_FOR, "").partition(" ")
    if former and encoder == hashlib.sha256(contents[ENCODER_FILE]).hexdigest():
        return former
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SavedLatent:
    """A latent of DNPM, and where the sliders stood when it was fitted: other positions then edit it.

    Attributes:
        latent: (18, 512) float32, W+.
        identity: (K,) float32, standard deviations.
        skin: (16,) float32.
        expression: (52,) float32, ARKit coefficients of the map that was fitted.
        psnr_db: of the generated map against the one fitted, inside the face.
        weights: `weights_fingerprint` of the networks.
    """

    latent: np.ndarray
    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    psnr_db: float
    weights: str

    def write(self, path: str | Path) -> None:
        """Writes the latent as safetensors.

        Raises:
            UserError: the file cannot be written.
        """
        arrays = {
            name: np.asarray(getattr(self, name), np.float32)
            for name in ("latent", "identity", "skin", "expression")
        }
        try:
            write_tensors(
                path, arrays, {"format": FORMAT, "psnr_db": f"{self.psnr_db:.3f}", "weights": self.weights}
            )
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written ({error.strerror}).", "Check the folder and the free space."
            ) from error


def read_latent(path: str | Path, weights: str) -> SavedLatent:
    """Reads a latent.

    Args:
        path: the file.
        weights: `weights_fingerprint` of the networks that are to use it.

    Raises:
        UserError: the file is missing, broken, of another kind, or made for other networks.
    """
    arrays, metadata = read_tensors(path)
    remedy = "Make it with `python -m ml_backend invert`."
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path}: not a latent of this program.", remedy)
    try:
        found = SavedLatent(
            *(arrays[name].astype(np.float32) for name in ("latent", "identity", "skin", "expression")),
            psnr_db=float(metadata["psnr_db"]), weights=metadata["weights"],
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: the latent is incomplete.", remedy) from error
    if found.latent.ndim != 2 or any(
        values.ndim != 1 for values in (found.identity, found.skin, found.expression)
    ):
        raise UserError(f"{path}: the latent's arrays have the wrong shapes.", remedy)
    if found.weights != weights:
        raise UserError(
            f"{path}: the latent belongs to other weights of the generator.",
            "Invert the map again with these.",
        )
    return found
