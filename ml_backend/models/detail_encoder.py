"""The detail encoder: identity, skin and expression to offsets in DNPM's W+ space."""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from .strain_gate import StrainGate


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder.

    Attributes:
        identity_size: coefficients of the bilinear face.
        skin_size: width of the skin vector.
        expression_size: ARKit units.
        hidden: width of the five fully connected layers.
        latent_width: width of one style.
        styles: styles read from the 3rd, 4th and 5th layer.
        dropout: share of the hidden activations that training drops.
    """

    identity_size: int
    skin_size: int = 16
    expression_size: int = 52
    hidden: int = 768
    latent_width: int = 512
    styles: tuple[int, ...] = (9, 5, 4)
    dropout: float = 0.0


class DetailLayers(nn.Module):
    """Five fully connected ReLU layers.

    The expression enters again after the first; styles leave the last three.

    The condition w_id is the identity, its age and the skin vector. Buffers fix the inputs' scales: identity
    coefficients enter in proportion to how far they move the face, so that a few hundred people suffice to
    tell those that matter from chance, and age, a linear function of the identity, enters beside them because
    it rules how deep creases are.

    Source: Cao et al. 2024, "DNPM", section III-A and Fig. 2 b.
    """

    age_weights: Tensor
    age_offset: Tensor
    condition_mean: Tensor
    condition_deviation: Tensor
    expression_mean: Tensor
    expression_deviation: Tensor

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        condition, hidden = config.identity_size + 1 + config.skin_size, config.hidden
        self.first = nn.Linear(condition + config.expression_size, hidden)
        self.second = nn.Linear(hidden + config.expression_size, hidden)
        self.deep = nn.ModuleList(nn.Linear(hidden, hidden) for _ in config.styles)
        self.register_buffer("age_weights", torch.zeros(config.identity_size))
        self.register_buffer("age_offset", torch.zeros(()))
        self.register_buffer("condition_mean", torch.zeros(condition))
        self.register_buffer("condition_deviation", torch.ones(condition))
        self.register_buffer("expression_mean", torch.zeros(config.expression_size))
        self.register_buffer("expression_deviation", torch.ones(config.expression_size))

    def features(self, identity: Tensor, skin: Tensor, expression: Tensor) -> list[Tensor]:
        """identity (B, K), skin (B, 16), expression (B, 52) -> activations of the last three layers.

        Returns:
            (B, hidden) each.

        Raises:
            ValueError: a width disagrees with the configuration.
        """
        widths = (identity.shape[-1], skin.shape[-1], expression.shape[-1])
        wanted = (self.config.identity_size, self.config.skin_size, self.config.expression_size)
        if widths != wanted:
            raise ValueError(
                f"identity, skin and expression have widths {widths}, the encoder wants {wanted}"
            )
        age = (identity @ self.age_weights + self.age_offset)[..., None]  # decades from 45 years
        condition = (torch.cat([identity, age, skin], -1) - self.condition_mean) / self.condition_deviation
        expression = (expression - self.expression_mean) / self.expression_deviation
        x = functional.relu(self.first(torch.cat([condition, expression], -1)))
        x = functional.relu(self.second(torch.cat([self._drop(x), expression], -1)))
        found = []
        for layer in self.deep:
            x = functional.relu(layer(self._drop(x)))
            found.append(x)
        return found

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.config.dropout, self.training)


class DetailEncoder(DetailLayers):
    """The layers, a head for each of the last three, and `gate`: where an expression may change the map."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        self.heads = nn.ModuleList(
            nn.Linear(config.hidden, count * config.latent_width) for count in config.styles
        )
        self.gate = StrainGate(config.expression_size)

    def forward(self, identity: Tensor, skin: Tensor, expression: Tensor) -> Tensor:
        """identity (B, K), skin (B, 16), expression (B, 52) -> offsets from the mean latent (B, 18, 512).

        Raises:
            ValueError: a width disagrees with the configuration.
        """
        features = self.features(identity, skin, expression)
        offsets = [
            head(x).unflatten(-1, (-1, self.config.latent_width))
            for x, head in zip(features, self.heads, strict=True)
        ]
        return torch.cat(offsets, 1)
