"""The map from the detector's 478 points to the face model, and the detector's errors (`build-landmarks`)."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.tensor_file import read_tensors

DEFAULT_FILE = ASSETS / "landmarks.safetensors"
FORMAT = "detailed3dmm-landmarks-1"
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
    149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The points along the face's outline."""


@dataclass(frozen=True)
class LandmarkMap:
    """The detector's points on the model.

    Attributes:
        vertices: (L, S) int32, the model's vertices that carry each point; weights (L, S) float64, summing to
            1.
        mean: (2 L,) float64, the detector's mean error, in inter-ocular distances, with the eyes level; x and
            y of a point follow each other.
        factors: (2 L, F) float64, errors that the points of a face share, one standard deviation each.
        own: (2 L,) float64, the standard deviation of each coordinate's independent error.
    """

    vertices: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    factors: np.ndarray
    own: np.ndarray

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> "LandmarkMap":
        """Returns the embedded map, for the embedded face model."""
        return cls.load(DEFAULT_FILE)

    @classmethod
    def load(cls, path: str | Path) -> "LandmarkMap":
        """Reads a map.

        Raises:
            UserError: the file is missing, broken, or not such a map.
        """
        arrays, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT or not {"vertices", "weights", "mean", "factors", "own"} <= set(
            arrays
        ):
            raise UserError(
                f"{path}: not a landmark map of this version.",
                "Make it with: python -m ml_backend build-landmarks.",
            )
        weights, mean, factors, own = (
            arrays[name].astype(np.float64) for name in ("weights", "mean", "factors", "own")
        )
        return cls(
            arrays["vertices"].astype(np.int32), weights / weights.sum(1, keepdims=True), mean, factors, own
        )

    def tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Returns arrays and metadata for `tensor_file.write_tensors`."""
        arrays = {
            name: getattr(self, name).astype(np.float16) for name in ("weights", "mean", "factors", "own")
        }
        return {"vertices": self.vertices.astype(np.int32)} | arrays, {"format": FORMAT}

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Returns the values at the points, (..., L, 3), of vertex values (..., V, 3)."""
        return np.einsum("...lsc,ls->...lc", values[..., self.vertices, :], self.weights)
