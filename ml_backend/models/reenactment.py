"""The mapping network of landmark-driven reenactment: landmark displacement to W+ displacement.

Landmarks are those of the head from the front, without its pose, in inter-ocular distances; so neither the
head's turn nor the size of the picture enters. The displacement in W+ is a ridge regression of that of the
landmarks and, on top of it, a perceptron that also sees the source's latent: a young face folds less.

Source: Choe 2023, "One-Shot Landmark-Based Face Reenactment", section 3.3; there two pictures of landmarks
enter a convolutional network of 19 million parameters, and the source's latent is only added at the end.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.network_file import read_network_file
from ..files.tensor_file import read_tensors
from .detailed_3dmm import ENCODER_FILE

FILE = "reenactment.safetensors"


@dataclass(frozen=True)
class MappingConfig:
    """Sizes of the network.

    Attributes:
        points: landmarks.
        components: of W+ displacements that it makes.
        source_components: of the source's latent that it sees; 0 sees none, as in the thesis.
        hidden: width of the two hidden layers.
        dropout: share of the hidden activations that training drops.
        styles, latent_width: of W+.
    """

    points: int = 478
    components: int = 96
    source_components: int = 24
    hidden: int = 448
    dropout: float = 0.1
    styles: int = 18
    latent_width: int = 512


class ReenactmentMapping(nn.Module):
    """Ridge regression and perceptron from landmark displacement to coefficients of W+ displacement.

    Args:
        config: sizes.
    """

    displacement_mean: Tensor
    displacement_deviation: Tensor
    ridge: Tensor
    basis: Tensor
    source_mean: Tensor
    source_basis: Tensor

    def __init__(self, config: MappingConfig):
        super().__init__()
        self.config = config
        width, flat = 2 * config.points, config.styles * config.latent_width
        self.register_buffer("displacement_mean", torch.zeros(width))
        self.register_buffer("displacement_deviation", torch.ones(width))
        self.register_buffer("ridge", torch.zeros(width, config.components))
        self.register_buffer("basis", torch.zeros(config.components, flat))
        self.register_buffer("source_mean", torch.zeros(flat))
        self.register_buffer("source_basis", torch.zeros(config.source_components, flat))
        self.first = nn.Linear(width + config.source_components, config.hidden)
        self.second = nn.Linear(config.hidden, config.hidden)
        self.last = nn.Linear(config.hidden, config.components)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, displacement: Tensor, source: Tensor) -> Tensor:
        """Displacement (B, L, 2) and source (B, S, W), W+ less the mean latent -> W+ displacement (B, S, W).

        Raises:
            ValueError: the number of landmarks disagrees.
        """
        if displacement.shape[-2:] != (self.config.points, 2):
            raise ValueError(
                f"{tuple(displacement.shape)} are no displacements of {self.config.points} points"
            )
        coefficients = self.coefficients(displacement.flatten(1), self.codes(source))
        return self.expand(coefficients)

    def coefficients(self, displacement: Tensor, codes: Tensor) -> Tensor:
        """Returns (B, C) of displacements (B, 2 L) and codes (B, source_components)."""
        scaled = self.scaled(displacement)
        x = functional.relu(self.first(torch.cat([scaled, codes], 1)))
        x = functional.dropout(x, self.config.dropout, self.training)
        x = functional.relu(self.second(x))
        return scaled @ self.ridge + self.last(x)

    def scaled(self, displacement: Tensor) -> Tensor:
        """Returns displacements (B, 2 L) in standard deviations."""
        return (displacement - self.displacement_mean) / self.displacement_deviation

    def codes(self, source: Tensor) -> Tensor:
        """Returns (B, source_components) of the source's latents (B, S, W), standard deviations."""
        return (source.flatten(1) - self.source_mean) @ self.source_basis.T

    def expand(self, coefficients: Tensor) -> Tensor:
        """Returns W+ displacements (B, S, W) of coefficients (B, C)."""
        return (coefficients @ self.basis).unflatten(1, (self.config.styles, self.config.latent_width))

    def by_ridge(self, displacement: Tensor) -> Tensor:
        """Returns the W+ displacement (B, S, W) of the regression alone, the network's baseline."""
        return self.expand(self.scaled(displacement.flatten(1)) @ self.ridge)


def encoder_fingerprint() -> str:
    """Returns a fingerprint of the detail encoder whose latents the network learns.

    Raises:
        UserError: it cannot be read.
    """
    path = ASSETS / ENCODER_FILE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}).", "Train the generator and the encoder first."
        ) from error


def read_mapping(path: Path) -> ReenactmentMapping:
    """Reads a mapping network.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """

    def build(config: dict[str, Any]) -> ReenactmentMapping:
        return ReenactmentMapping(MappingConfig(**config))

    return read_network_file(path, build, "mapping network of reenactment")


@lru_cache(maxsize=1)
def default_mapping() -> ReenactmentMapping:
    """Returns the network that the repository carries.

    Raises:
        UserError: the file is missing, broken, or made for another detail encoder.
    """
    path = ASSETS / FILE
    if read_tensors(path)[1].get("encoder") != encoder_fingerprint():
        raise UserError(
            f"{path}: the mapping network belongs to other weights of the detail encoder.",
            "Make it again: python -m ml_backend train reenactment --install.",
        )
    return read_mapping(path)
