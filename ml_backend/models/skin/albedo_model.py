"""The coarse part of the albedo model UVAPM: skin colour from 300 coefficients, in numpy alone.

Each channel of a map of sRGB values has a mean and 100 principal components of its own; the three of a person
go together, which the covariance of the coefficients says. The detail model adds to the value (HSV) of the
coarse map what it lacks.

Source: Dai et al. 2025, "High-quality facial albedo generation for 3D face reconstruction from a single image
using a coarse-to-fine approach", sections 3.3 and 3.4.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.tensor_file import read_tensors, write_tensors
from ...geometry.linear_models import PrincipalComponents, strongest_eigenvectors
from ...geometry.map_resampling import resample

ALBEDO_FILE = "albedo.safetensors"
FORMAT = "detailed3dmm-albedo-1"
LEAST_VALUE = 1 / 255
"""Value (HSV) under which a texel has no hue to keep."""
_LARGEST_INT8 = 127
_REMEDY = "Reinstall the extension, or make the file again with `train albedo`."
_SHAPES = {"mean": 4, "axes": 5, "offset": 3, "step": 3, "mixing": 2, "mask": 2}


@dataclass(frozen=True)
class AlbedoModel:
    """Mean and components of skin colour; C channels are G groups that share their coefficients.

    UVAPM has three groups of one channel; joint components, the baseline, are one group of three.

    Attributes:
        mean: (G, C, R, R) float32, sRGB in 0..1, row 0 at v = 0; G C = 3.
        axes: (G, K, C, R, R) int8.
        offset, step: (G, K, C) float32: step times axes plus offset is sRGB per unit of a coefficient.
        mixing: (G K, F) float32: people's coefficients are mixing @ F normal numbers.
        mask: (R, R) bool, the face.
    """

    mean: np.ndarray
    axes: np.ndarray
    offset: np.ndarray
    step: np.ndarray
    mixing: np.ndarray
    mask: np.ndarray

    @classmethod
    def fit(
        cls, groups: Sequence[PrincipalComponents], coordinates: Sequence[np.ndarray], mask: np.ndarray
    ) -> "AlbedoModel":
        """Stores principal components as int8, and how people's coefficients go together.

        Args:
            groups: components of maps (C R R,), channel by channel.
            coordinates: (N, K) of the same people in each group.
            mask: (R, R) bool.
        """
        size = mask.shape[0]
        mean = np.stack([group.mean.reshape(-1, size, size) for group in groups]).astype(np.float32)
        deviations = np.stack([np.maximum(group.deviations, 1e-12) for group in groups])
        axes = np.stack([group.axes.reshape(len(group.axes), -1, size, size) for group in groups])
        axes = axes * deviations[..., None, None, None]
        low, high = axes.min((-2, -1)), axes.max((-2, -1))
        offset = ((low + high) / 2).astype(np.float32)
        step = (np.maximum(high - low, 1e-9) / (2 * _LARGEST_INT8)).astype(np.float32)
        stored = np.round((axes - offset[..., None, None]) / step[..., None, None])
        units = [found / scale for found, scale in zip(coordinates, deviations, strict=True)]
        whole = np.concatenate(units, 1).astype(np.float64)
        powers, vectors = strongest_eigenvectors(whole.T @ whole / len(whole))
        kept = powers > 1e-6 * powers[0]
        mixing = (vectors[:, kept] * np.sqrt(powers[kept])).astype(np.float32)
        return cls(mean, stored.astype(np.int8), offset, step, mixing, mask)

    @property
    def resolution(self) -> int:
        """Texels along a side, R."""
        return self.mask.shape[0]

    @property
    def coefficient_count(self) -> int:
        """All coefficients of a person, G K: 300."""
        return self.axes.shape[0] * self.axes.shape[1]

    @cached_property
    def basis(self) -> np.ndarray:
        """(G, K, C R R) float32: sRGB per unit of a coefficient, one deviation of people."""
        whole = self.step[..., None, None] * self.axes + self.offset[..., None, None]
        return whole.reshape(*self.axes.shape[:2], -1)

    def colours(self, coefficients: np.ndarray) -> np.ndarray:
        """Makes the coarse map.

        Args:
            coefficients: (G K,) in deviations of people, group by group.

        Returns:
            (3, R, R) float32 sRGB, not clipped.

        Raises:
            ValueError: another number of coefficients.
        """
        groups, count = self.axes.shape[:2]
        if np.shape(coefficients) != (groups * count,):
            raise ValueError(f"{np.shape(coefficients)} coefficients: expected ({groups * count},)")
        split = np.asarray(coefficients, np.float32).reshape(groups, 1, count)
        moved = (split @ self.basis)[:, 0].reshape(self.mean.shape)
        return (self.mean + moved).reshape(3, self.resolution, self.resolution)

    def random_coefficients(self, seed: int, spread: float = 1.0) -> np.ndarray:
        """Draws a person's coefficients (G K,) float32, the same for the same seed.

        Args:
            seed: any integer, at least 0.
            spread: factor on the deviation from the mean person.
        """
        normal = np.random.default_rng([seed, 0xA1B]).standard_normal(self.mixing.shape[1])
        return (spread * (self.mixing @ normal)).astype(np.float32)

    def project(
        self, colours: np.ndarray, weights: np.ndarray | None = None, noise: float = 0.0
    ) -> np.ndarray:
        """Finds the coefficients of a map.

        Args:
            colours: (3, S, S) sRGB, S a multiple of R; finer maps are low-passed first.
            weights: (S, S) at least 0, how much each texel counts; all the same by default.
            noise: deviation of a texel from the model, sRGB. Above 0 the coefficients are the likeliest
                under people's covariance, which fills in what the weights leave out; 0 is least squares.

        Returns:
            (G K,) float32.

        Raises:
            ValueError: a shape disagrees, a value is not finite, or no weight is above 0.
        """
        colours = np.asarray(colours, np.float32)
        size = colours.shape[-1]
        if colours.shape != (3, size, size) or size % self.resolution or not np.isfinite(colours).all():
            raise ValueError(
                f"map {colours.shape}: expected finite (3, S, S), S a multiple of {self.resolution}"
            )
        if weights is None:
            low = resample(colours, self.resolution)
            counted = np.ones(self.mask.shape, np.float32)
        else:
            weights = np.asarray(weights, np.float32)
            if weights.shape != (size, size) or not (weights >= 0).all() or not weights.any():
                raise ValueError(
                    f"weights {weights.shape}: expected ({size}, {size}), at least 0, some above"
                )
            blocks = (self.resolution, size // self.resolution) * 2
            counted = weights.reshape(blocks).mean((1, 3))
            low = (colours * weights).reshape(3, *blocks).mean((2, 4)) / np.maximum(counted, 1e-6)
        groups, count = self.axes.shape[:2]
        left = low.reshape(self.mean.shape) - self.mean
        gram = np.zeros((self.coefficient_count,) * 2)
        moment = np.zeros(self.coefficient_count)
        repeated = np.tile(counted.ravel(), self.mean.shape[1])
        for group in range(groups):
            rows = slice(group * count, (group + 1) * count)
            if weights is None:
                gram[rows, rows] = self._grams[group]
            else:
                gram[rows, rows] = (self.basis[group] * repeated) @ self.basis[group].T
            moment[rows] = self.basis[group] @ (repeated * left[group].ravel())
        if noise > 0:
            whole = noise**2 * np.eye(self.mixing.shape[1]) + self.mixing.T @ gram @ self.mixing
            return (self.mixing @ np.linalg.solve(whole, self.mixing.T @ moment)).astype(np.float32)
        gram.flat[:: len(gram) + 1] += 1e-6 * np.trace(gram) / len(gram)
        return np.linalg.solve(gram, moment).astype(np.float32)

    @cached_property
    def _grams(self) -> np.ndarray:
        return self.basis @ self.basis.transpose(0, 2, 1)

    def write(self, path: Path, made_by: Mapping[str, str] | None = None) -> None:
        """Writes the model; float arrays as float16, those of the scale as float32.

        Args:
            path: the file.
            made_by: strings for the file's metadata.

        Raises:
            OSError: the file cannot be written.
        """
        write_tensors(
            path,
            {
                "mean": self.mean.astype(np.float16),
                "axes": self.axes,
                "offset": self.offset,
                "step": self.step,
                "mixing": self.mixing.astype(np.float16),
                "mask": self.mask,
            },
            {"format": FORMAT, "shape": json.dumps(self.axes.shape), **(made_by or {})},
        )

    @classmethod
    def read(cls, path: Path) -> "AlbedoModel":
        """Reads a model that `write` wrote.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        arrays, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT or any(
            name not in arrays or arrays[name].ndim != rank for name, rank in _SHAPES.items()
        ):
            raise UserError(f"{path}: holds no albedo model.", _REMEDY)
        exact = {name: arrays[name].astype(np.float32) for name in ("mean", "offset", "step", "mixing")}
        model = cls(axes=arrays["axes"], mask=arrays["mask"].astype(bool), **exact)
        groups, count, channels, size, _ = model.axes.shape
        agree = (
            groups * channels == 3
            and model.axes.dtype == np.int8
            and model.axes.shape[3:] == model.mask.shape == (size, size)
            and model.mean.shape == (groups, channels, size, size)
            and model.offset.shape == model.step.shape == (groups, count, channels)
            and len(model.mixing) == groups * count
        )
        if not agree:
            raise UserError(f"{path}: arrays of the albedo model disagree.", _REMEDY)
        return model

    @classmethod
    def default(cls) -> "AlbedoModel":
        """Reads the model of the package.

        Raises:
            UserError: it is missing or broken.
        """
        return cls.read(ASSETS / ALBEDO_FILE)


def add_to_value(colours: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Adds to the value of a map (HSV) and keeps its hue and saturation.

    With both kept, the three channels keep their proportions: each is multiplied by new over old value.

    Args:
        colours: (3, R, R) sRGB.
        detail: (R, R), added to the value, the largest channel.

    Returns:
        (3, R, R).

    Source: Dai et al. 2025, A = A_c^(H,S) + (A_c^(V) + D(alpha_d)).
    """
    value = np.maximum(colours.max(0), LEAST_VALUE)
    return colours * (np.maximum(value + detail, LEAST_VALUE) / value)


def add_chroma(colours: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Adds what value alone cannot carry, such as redness.

    Args:
        colours: (3, R, R) sRGB.
        chroma: (2, R, R), added to green and blue. Red is the largest channel of skin, so the value stays.

    Returns:
        (3, R, R).
    """
    return np.concatenate([colours[:1], colours[1:] + chroma])
