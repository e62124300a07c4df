"""Directions in W+ named after the skin simulation's parameters: age, tendency to wrinkle, pores, ..."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.tensor_file import read_tensors, write_tensors

DEFAULT_FILE = ASSETS / "latent_directions.safetensors"
FORMAT = "detailed3dmm-latent-directions-1"


@dataclass(frozen=True)
class LatentDirections:
    """Named directions.

    Attributes:
        names: in the order of the vectors.
        units: what an amount of 1 is, by name.
        vectors: (D, 18, 512) float32, W+ per unit.
        weights: `weights_fingerprint` of the networks whose latents they were fitted to.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    vectors: np.ndarray
    weights: str

    @classmethod
    def load(cls, weights: str, path: str | Path = DEFAULT_FILE) -> "LatentDirections":
        """Reads directions.

        Args:
            weights: `weights_fingerprint` of the networks that are to use them.
            path: the file; the package's own by default.

        Raises:
            UserError: the file is missing, broken, or made for other networks.
        """
        remedy = "Make the file again with `python -m ml_backend train latent-directions --install`."
        arrays, metadata = read_tensors(path)
        try:
            named = json.loads(metadata["directions"])
            found = cls(
                tuple(named), tuple(named.values()), arrays["vectors"].astype(np.float32), metadata["weights"]
            )
        except (KeyError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: holds no latent directions.", remedy) from error
        if metadata.get("format") != FORMAT or found.vectors.ndim != 3 or len(found.vectors) != len(named):
            raise UserError(f"{path}: holds no latent directions.", remedy)
        if found.weights != weights:
            raise UserError(f"{path}: the directions belong to other weights of the generator.", remedy)
        return found

    def save(self, path: str | Path, made_by: dict[str, str]) -> None:
        """Writes the directions; `made_by` goes into the metadata."""
        named = json.dumps(dict(zip(self.names, self.units, strict=True)))
        write_tensors(
            path,
            {"vectors": self.vectors.astype(np.float16)},
            {"format": FORMAT, "directions": named, "weights": self.weights, **made_by},
        )

    def offset(self, amounts: dict[str, float]) -> np.ndarray:
        """(18, 512) float32: the sum of directions times amounts.

        Raises:
            UserError: a name is unknown, or an amount no finite number.
        """
        total = np.zeros(self.vectors.shape[1:], np.float32)
        for name, amount in amounts.items():
            if name not in self.names:
                raise UserError(
                    f"There is no latent direction {name!r}.", f"There are {', '.join(self.names)}."
                )
            if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not np.isfinite(amount):
                raise UserError(
                    f"The latent direction {name} has the amount {amount!r}.", "Give a finite number."
                )
            total += np.float32(amount) * self.vectors[self.names.index(name)]
        return total
