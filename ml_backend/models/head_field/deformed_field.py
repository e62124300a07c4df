"""A field over space about a head, in the head's own axes: signed distance, normal, colour and features.

Points go back to where they are on the mean head, by a displacement whose basis over space is learned and
whose amounts depend on shape, expression and hair; what is there depends on the codes through amounts too.
So a code costs a point nothing: it counts once a head.

Sources: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", Eq. 1 (codes
to density and feature of a point); Mildenhall et al. 2020, "NeRF", Eq. 4 (encoding of a point).
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..face_codes import FaceCodes

CENTRE = (0.0, -0.015, -0.02)
"""Of the head, metres in its own axes."""
UNIT = 0.15
"""Metres that coordinates count as one."""
GEOMETRY = ("shape", "expression", "hair")
"""Codes that move places; the hair's volume does."""
APPEARANCE = (*GEOMETRY, "texture")
_EXPRESSION_SCALE = 2.0


@dataclass(frozen=True)
class FieldConfig:
    """Sizes of the field and the up-sampler.

    Attributes:
        shape, expression, hair, texture: numbers of the codes.
        warp_bands, bands: octaves of the encodings of a point, for its displacement and for what is there.
        width: of the perceptrons over points.
        basis: displacements over space that a head's is mixed of.
        modes: of distance, and of features, that a head's are mixed of.
        hidden: width of the perceptron over codes.
        features: of a ray, beside its normal and colour.
        rays: along a side.
        coarse, fine: samples on a ray that find the surface, and about it.
        channels: of the up-sampler at 1, 2, 4, 8 times the rays.
    """

    shape: int = 128
    expression: int = 52
    hair: int = 16
    texture: int = 48
    warp_bands: int = 6
    bands: int = 7
    width: int = 128
    basis: int = 64
    modes: int = 64
    hidden: int = 160
    features: int = 26
    rays: int = 32
    coarse: int = 16
    fine: int = 8
    channels: tuple[int, ...] = (96, 64, 48, 16)

    @property
    def geometry_size(self) -> int:
        """Numbers of the codes that move places."""
        return self.shape + self.expression + self.hair

    @property
    def asked_level(self) -> int:
        """Doublings of the rays' side at which the field is asked again: half the picture's size."""
        return max(len(self.channels) - 2, 0)

    @property
    def size(self) -> int:
        """Picture's side, pixels."""
        return self.rays * 2 ** (len(self.channels) - 1)


def encode_points(points: Tensor, bands: int, first: int = 0) -> Tensor:
    """Returns points (..., 3) and sines and cosines of them in octaves: (..., 3 + 6 bands).

    Args:
        points: in units.
        bands: octaves; first: the number of the first; octave k repeats after 2 / 2^k units.
    """
    turns = math.pi * 2.0 ** torch.arange(first, first + bands, device=points.device)
    angles = (points[..., None] * turns).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], -1)


def code_inputs(codes: list[FaceCodes]) -> tuple[Tensor, Tensor]:
    """Returns what the field takes of codes: (B, 196) that move places, (B, 244) all."""

    def together(names: tuple[str, ...]) -> Tensor:
        rows = []
        for one in codes:
            parts = [
                torch.as_tensor(getattr(one, name)) * (_EXPRESSION_SCALE if name == "expression" else 1.0)
                for name in names
            ]
            rows.append(torch.cat([part.float() for part in parts]))
        return torch.stack(rows)

    return together(GEOMETRY), together(APPEARANCE)


def _perceptron(*widths: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts)


class Amounts(nn.Module):
    """Amounts (B, rows, modes) of modes, from codes: a linear part and a small perceptron.

    Args:
        inputs: numbers of the codes; rows, modes: of the amounts; hidden: width of the perceptron.
    """

    def __init__(self, inputs: int, rows: int, modes: int, hidden: int):
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(inputs, rows * modes)
        last = nn.Linear(hidden, rows * modes)
        self.bent = nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), last)
        nn.init.normal_(self.linear.weight, 0, 0.05 / math.sqrt(inputs))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, codes: Tensor) -> Tensor:
        return (self.linear(codes) + self.bent(codes)).view(len(codes), self.rows, -1)


@dataclass
class HeadAmounts:
    """Amounts of displacement, distance and features of a batch of heads, (B, n, modes) each, made once."""

    moved: Tensor
    distance: Tensor
    features: Tensor

    def __getitem__(self, rows) -> "HeadAmounts":
        return HeadAmounts(self.moved[rows], self.distance[rows], self.features[rows])


class DeformedField(nn.Module):
    """The field.

    Args:
        config: sizes.
    """

    def __init__(self, config: FieldConfig):
        super().__init__()
        self.config = config
        wide, modes = config.width, config.modes
        self.warp = _perceptron(3 + 6 * config.warp_bands, wide, config.basis)
        self.warp.append(nn.Linear(config.basis, config.basis))
        self.body = _perceptron(3 + 6 * config.bands, wide, wide)
        self.distance = nn.Linear(wide, 1)
        self.modes = nn.Linear(wide, 2 * modes)
        self.features = nn.Linear(wide, 6 + config.features)
        self.moved = Amounts(config.geometry_size, 3, config.basis, config.hidden)
        self.distance_amounts = Amounts(config.geometry_size, 1, modes, config.hidden // 2)
        self.feature_amounts = Amounts(
            config.geometry_size + config.texture, 6 + config.features, modes, config.hidden
        )
        nn.init.normal_(self.distance.weight, 0, 0.01)

    def amounts(self, geometry: Tensor, appearance: Tensor) -> HeadAmounts:
        """Returns the amounts of heads (B, 196), (B, 244); see `code_inputs`."""
        return HeadAmounts(
            self.moved(geometry), self.distance_amounts(geometry), self.feature_amounts(appearance)
        )

    def rest_places(self, points: Tensor, amounts: HeadAmounts) -> Tensor:
        """Takes points back to the mean head: x_c = x - d(x_c), by two steps from x.

        Args:
            points: (B, N, 3) units.
            amounts: of the heads.

        Returns:
            (B, N, 3) units.
        """
        found = points
        for _ in range(2):
            basis = self.warp(encode_points(found, self.config.warp_bands))  # (B, N, K)
            found = points - torch.einsum("bnk,bck->bnc", basis, amounts.moved.to(basis.dtype)).float()
        return found

    def _body(self, places: Tensor, amounts: HeadAmounts) -> tuple[Tensor, Tensor, Tensor]:
        body = self.body(encode_points(places, self.config.bands))
        modes = self.modes(body)
        own = torch.einsum("bnk,bck->bnc", modes[..., : self.config.modes], amounts.distance.to(modes.dtype))
        # a ball of one unit to begin with
        distance = places.norm(dim=-1) * 0.7 - 0.55 + (self.distance(body) + 0.1 * own)[..., 0].float()
        return body, modes, distance

    def signed_distance(self, points: Tensor, amounts: HeadAmounts) -> Tensor:
        """Returns (B, N), units, positive outside, of points (B, N, 3)."""
        return self._body(self.rest_places(points, amounts), amounts)[2]

    def forward(self, points: Tensor, amounts: HeadAmounts) -> tuple[Tensor, Tensor, Tensor]:
        """Returns signed distance (B, N), places on the mean head (B, N, 3), features (B, N, 6 + F): a
        normal of no certain length, sRGB colour before the squash, and the others."""
        places = self.rest_places(points, amounts)
        body, modes, distance = self._body(places, amounts)
        return distance, places, self._features(body, modes[..., self.config.modes :], amounts)

    def features_at(self, places: Tensor, amounts: HeadAmounts) -> Tensor:
        """Returns the features (B, N, 6 + F) at places (B, N, 3) on the mean head, units."""
        body = self.body(encode_points(places, self.config.bands))
        return self._features(body, self.modes(body)[..., self.config.modes :], amounts)

    def _features(self, body: Tensor, modes: Tensor, amounts: HeadAmounts) -> Tensor:
        own = torch.einsum("bnk,bck->bnc", modes, amounts.features.to(modes.dtype))
        return (self.features(body) + own).float()


def in_units(metres: Tensor) -> Tensor:
    """Returns places in units of places (..., 3) in metres, head's axes."""
    return (metres - metres.new_tensor(CENTRE)) / UNIT


def normalised(vectors: Tensor) -> Tensor:
    """Returns vectors (..., 3) of unit length."""
    return functional.normalize(vectors, dim=-1, eps=1e-4)
