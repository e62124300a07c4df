"""Distilled detail: identity, skin and expression to displacement, in numpy alone, for Blender.

A small multilayer perceptron gives the coefficients of principal fields that all people share. The fields of
the low band (maps of 256) are what vertices see; two short bands above it, for maps of 512 and 1024, are
linear in the same coefficients.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.tensor_file import read_tensors, write_tensors
from ..geometry.map_bands import enlarge
from ..geometry.texture_space import bilinear_corners

DEFAULT_FILE = ASSETS / "distilled_detail.safetensors"
FORMAT = "detailed3dmm-distilled-detail-1"
_FINEST = 4096
_LARGEST_INT8 = 127
_RING = 2  # texels beyond the mask that repeat its edge
_POINTS_AT_ONCE = 8192
_REMEDY = "Reinstall the extension, or make the file again with `train distilled-detail`."


@dataclass(frozen=True)
class DetailFields:
    """Mean and fields of the low band at given points.

    Attributes:
        mean: (V,) float32, millimetres.
        fields: (V, C) float32, C-contiguous.
    """

    mean: np.ndarray
    fields: np.ndarray

    def at(self, coefficients: np.ndarray) -> np.ndarray:
        """Displacement (V,) float32, millimetres along the normal, from coefficients (C,)."""
        return self.mean + self.fields @ coefficients


@dataclass(frozen=True)
class FieldBand:
    """A mean and fields over the texels of a mask, stored as int8.

    Attributes:
        inside: (R, R) bool, the texels, in row-major order.
        mean: (M,) float32, millimetres.
        fields: (C, M) int8.
        scale: (C,) float32: scale times fields is in millimetres per unit of a coefficient.
    """

    inside: np.ndarray
    mean: np.ndarray
    fields: np.ndarray
    scale: np.ndarray

    @classmethod
    def quantise(cls, inside: np.ndarray, mean: np.ndarray, fields: np.ndarray) -> "FieldBand":
        """From float fields (C, M) in millimetres."""
        scale = np.maximum(np.abs(fields).max(1), 1e-12).astype(np.float32) / _LARGEST_INT8
        return cls(inside, mean.astype(np.float32), np.round(fields / scale[:, None]).astype(np.int8), scale)

    @property
    def resolution(self) -> int:
        """Texels along a side."""
        return self.inside.shape[0]

    def texel_index(self) -> np.ndarray:
        """Returns the place of each texel's value in the flat arrays: (R, R) int32.

        The mask's edge is repeated outwards a little, -1 beyond.
        """
        index = np.full(self.inside.shape, -1, np.int32)
        index[self.inside] = np.arange(self.mean.size, dtype=np.int32)
        for _ in range(_RING):
            padded = np.pad(index, 1, constant_values=-1)
            for near in (padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]):
                index = np.where(index < 0, near, index)
        return index

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """(C,) -> (M,) float32, millimetres."""
        found = self.mean.copy()
        weights = (coefficients * self.scale).astype(np.float32)
        for start in range(0, found.size, _POINTS_AT_ONCE):
            part = slice(start, start + _POINTS_AT_ONCE)
            found[part] += weights @ self.fields[:, part].astype(np.float32)
        return found

    def spread(self, values: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Values (M,) -> a map (R, R) float32, 0 beyond the mask's ring; `index` is `texel_index()`."""
        return np.append(values, np.float32(0))[index]


@dataclass(frozen=True)
class InputScaling:
    """The scaling of the network's inputs; age, linear in the identity, enters beside it.

    Attributes:
        age_weights, age_offset: (K,) and (), decades from 45 years.
        condition_mean, condition_deviation: (K + 1 + 16,) of identity, age and skin vector.
        expression_mean, expression_deviation: (52,).
    """

    age_weights: np.ndarray
    age_offset: np.ndarray
    condition_mean: np.ndarray
    condition_deviation: np.ndarray
    expression_mean: np.ndarray
    expression_deviation: np.ndarray

    def __call__(
        self, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(B, K), (B, 16), (B, 52) -> (B, K + 17) and (B, 52) float32."""
        age = (identity @ self.age_weights + self.age_offset)[:, None]
        condition = (
            np.concatenate([identity, age, skin], 1) - self.condition_mean
        ) / self.condition_deviation
        return condition.astype(np.float32), (
            (expression - self.expression_mean) / self.expression_deviation
        ).astype(np.float32)


class DistilledDetail:
    """The network and the fields.

    Args:
        scaling: of the inputs.
        layers: (weight (outputs, inputs), bias (outputs,)) float32; ReLU between them, and the expression
            enters again after the first.
        low: the band of 256.
        above: (band, slopes (F, C)) of 512, then of 1024: what these maps hold beyond the doubled coarser
            one; the band's coefficients are slopes times those of the low band.

    Attributes:
        identity_size, skin_size, expression_size: widths of the inputs.
        component_count: C.

    Source: after Cao et al. 2024, "DNPM", Fig. 2 b (the encoder's shape), and Blanz and Vetter 1999 (a linear
    space of all people).
    """

    def __init__(
        self,
        scaling: InputScaling,
        layers: list[tuple[np.ndarray, np.ndarray]],
        low: FieldBand,
        above: list[tuple[FieldBand, np.ndarray]],
    ):
        self.scaling, self.layers, self.low, self.above = scaling, layers, low, above
        self.identity_size = len(scaling.age_weights)
        self.expression_size = len(scaling.expression_mean)
        self.skin_size = len(scaling.condition_mean) - self.identity_size - 1
        self.component_count = len(low.scale)
        bands = [low, *(band for band, _ in above)]
        self._index = {band.resolution: band.texel_index() for band in bands}

    @classmethod
    def load(cls, path: str | Path | None = None) -> "DistilledDetail":
        """Reads a model.

        Args:
            path: the file; the package's own by default.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        path = Path(path or DEFAULT_FILE)
        arrays, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise UserError(f"{path}: not a distilled detail model.", _REMEDY)
        try:
            scaling = InputScaling(
                **{
                    name: arrays[f"input.{name}"].astype(np.float32)
                    for name in InputScaling.__dataclass_fields__
                }
            )
            count = sum(name.startswith("layer.") and name.endswith(".weight") for name in arrays)
            layers = [
                (arrays[f"layer.{n}.weight"].astype(np.float32), arrays[f"layer.{n}.bias"].astype(np.float32))
                for n in range(count)
            ]
            resolutions = sorted(
                int(name.split(".")[1])
                for name in arrays
                if name.startswith("band.") and name.endswith(".inside")
            )
            low, *above = (_read_band(arrays, resolution) for resolution in resolutions)
            slopes = [arrays[f"band.{band.resolution}.slopes"].astype(np.float32) for band in above]
            model = cls(scaling, layers, low, list(zip(above, slopes, strict=True)))
            model._check()
        except (KeyError, ValueError, IndexError) as error:
            raise UserError(f"{path}: its parts do not fit each other ({error}).", _REMEDY) from error
        return model

    def save(self, path: str | Path, made_by: dict[str, str]) -> None:
        """Writes the model; `made_by` goes into the file's metadata."""
        arrays = {f"input.{name}": getattr(self.scaling, name) for name in InputScaling.__dataclass_fields__}
        for number, (weight, bias) in enumerate(self.layers):
            arrays |= {
                f"layer.{number}.weight": weight.astype(np.float16),
                f"layer.{number}.bias": bias.astype(np.float32),
            }
        for band in (self.low, *(band for band, _ in self.above)):
            name = f"band.{band.resolution}"
            arrays |= {
                f"{name}.inside": np.packbits(band.inside),
                f"{name}.mean": band.mean.astype(np.float16),
                f"{name}.fields": band.fields,
                f"{name}.scale": band.scale,
            }
        arrays |= {f"band.{band.resolution}.slopes": slopes.astype(np.float32) for band, slopes in self.above}
        write_tensors(path, arrays, {"format": FORMAT, **made_by})

    def _check(self) -> None:
        widths = (self.identity_size, self.skin_size, self.expression_size)
        condition = sum(widths[:2]) + 1
        hidden = [len(bias) for _, bias in self.layers]
        inputs = [condition + widths[2], hidden[0] + widths[2], *hidden[1:-1]]
        bands = [(self.low, np.eye(self.component_count)), *self.above]
        fits = [
            min(widths) > 0 and len(self.layers) >= 3 and hidden[-1] == self.component_count,
            self.scaling.condition_deviation.shape == (condition,)
            and self.scaling.expression_deviation.shape == (widths[2],),
            all(
                weight.shape == (n, m) for (weight, _), n, m in zip(self.layers, hidden, inputs, strict=True)
            ),
            all(slopes.shape == (len(band.scale), self.component_count) for band, slopes in bands),
            all(band.fields.shape == (len(band.scale), len(band.mean)) for band, _ in bands),
            all(band.resolution == self.low.resolution << number for number, (band, _) in enumerate(bands)),
        ]
        if not all(fits):
            raise ValueError("sizes disagree")

    def coefficients(self, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Coefficients of the fields.

        Args:
            identity: (K,) or (B, K), standard deviations.
            skin: (16,) or (B, 16), skin vectors.
            expression: (52,) or (B, 52), ARKit coefficients.

        Returns:
            (C,) or (B, C) float32.

        Raises:
            ValueError: a width disagrees with the model's.
        """
        given = [np.asarray(values, np.float32) for values in (identity, skin, expression)]
        if tuple(values.shape[-1:] for values in given) != (
            (self.identity_size,),
            (self.skin_size,),
            (self.expression_size,),
        ):
            raise ValueError(
                f"identity, skin and expression have shapes {[values.shape for values in given]}"
            )
        rows = max(len(values) if values.ndim == 2 else 1 for values in given)
        condition, face = self.scaling(
            *(np.broadcast_to(values, (rows, values.shape[-1])) for values in given)
        )
        x = np.concatenate([condition, face], 1)
        for number, (weight, bias) in enumerate(self.layers):
            if number == 1:
                x = np.concatenate([x, face], 1)
            x = x @ weight.T + bias
            if number + 1 < len(self.layers):
                np.maximum(x, 0, out=x)
        return x if any(values.ndim == 2 for values in given) else x[0]

    def fields_at(self, uv: np.ndarray) -> DetailFields:
        """Samples the low band's mean and fields bilinearly; only texels inside the mask count.

        Args:
            uv: (V, 2) texture coordinates, origin bottom left; outside [0, 1], and off the mask, there is no
                detail.

        Returns:
            Mean and fields at the points.
        """
        band, size = self.low, self.low.resolution
        index = np.full(size * size, -1, np.int64)
        index[band.inside.ravel()] = np.arange(len(band.mean))
        texels, weights = bilinear_corners(np.asarray(uv, np.float32), size, size)
        corners = index[texels]  # (V, 4)
        weights *= (corners >= 0) & ((np.asarray(uv) >= 0) & (np.asarray(uv) <= 1)).all(1)[:, None]
        total = weights.sum(1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 1e-6).astype(np.float32)
        corners = np.maximum(corners, 0)
        by_texel = np.ascontiguousarray(band.fields.T)  # (M, C) int8: a point's fields lie together
        fields = np.empty((len(uv), self.component_count), np.float32)
        for start in range(0, len(uv), _POINTS_AT_ONCE):
            part = slice(start, start + _POINTS_AT_ONCE)
            fields[part] = (
                sum(by_texel[corners[part, k]] * weights[part, k, None] for k in range(4)) * band.scale
            )
        return DetailFields((band.mean[corners] * weights).sum(1).astype(np.float32), fields)

    def draw(self, coefficients: np.ndarray, resolution: int = 256) -> np.ndarray:
        """A map from coefficients.

        Args:
            coefficients: (C,).
            resolution: 256, 512 or 1024.

        Returns:
            (R, R) float32, millimetres, row 0 at the bottom; 0 off the face.

        Raises:
            ValueError: there is no such resolution.
        """
        if resolution not in self._index:
            raise ValueError(f"resolution {resolution} is not one of {sorted(self._index)}")
        found = self.low.spread(self.low.values(coefficients), self._index[self.low.resolution])
        for band, slopes in self.above:
            if band.resolution <= resolution:
                found = enlarge(found, band.resolution) + band.spread(
                    band.values(slopes @ coefficients), self._index[band.resolution]
                )
        return found

    def displacement(
        self, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray, resolution: int = 256
    ) -> np.ndarray:
        """Displacement maps.

        Args:
            identity, skin, expression: as `coefficients` takes them.
            resolution: 256, 512 or 1024.

        Returns:
            (R, R) or (B, R, R) float32, millimetres along the normal, row 0 at the bottom.

        Raises:
            ValueError: a width disagrees, or there is no such resolution.
        """
        found = self.coefficients(identity, skin, expression)
        return (
            self.draw(found, resolution)
            if found.ndim == 1
            else np.stack([self.draw(row, resolution) for row in found])
        )


def _read_band(arrays: dict[str, np.ndarray], resolution: int) -> FieldBand:
    name = f"band.{resolution}"
    if not 4 <= resolution <= _FINEST:
        raise ValueError(f"a band of {resolution}")
    inside = (
        np.unpackbits(arrays[f"{name}.inside"], count=resolution * resolution)
        .astype(bool)
        .reshape(resolution, resolution)
    )
    fields, scale = arrays[f"{name}.fields"], arrays[f"{name}.scale"].astype(np.float32)
    if fields.dtype != np.int8 or fields.ndim != 2:
        raise ValueError(f"{name}.fields is not a table of int8")
    mean = arrays[f"{name}.mean"].astype(np.float32)
    if mean.shape != (inside.sum(),):
        raise ValueError(f"{name}.mean does not fill the mask")
    return FieldBand(inside, mean, fields, scale)
