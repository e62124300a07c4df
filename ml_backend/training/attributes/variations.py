"""Variations of levelled faces: mirror images, the detector's errors on other portraits."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...expression_names import EXPRESSION_NAMES, mirrored_name
from ...fitting.mesh_layout import MIRRORED
from ...fitting.mirror_image import identity_mirror
from ...models.bilinear_face import BilinearFace

_WHITE = 0.004


@dataclass(frozen=True)
class Variations:
    """Variations of faces.

    Attributes:
        errors: (N, 956) of the detector on portraits, inter-ocular distances, less their mean.
        identities: (128, 128), turns shapes into those of mirrored faces.
        amount: largest factor on the errors that are added.
    """

    errors: Tensor
    identities: Tensor
    amount: float

    @classmethod
    def of(cls, face: BilinearFace, errors: np.ndarray, amount: float) -> "Variations":
        """Prepares variations.

        Args:
            face: the model; amount: as the attribute.
            errors: (N, 478, 2), of the detector, inter-ocular distances.
        """
        flat = errors.reshape(len(errors), -1).astype(np.float32)
        mirror = torch.from_numpy(identity_mirror(face).astype(np.float32))
        return cls(torch.from_numpy(flat - flat.mean(0)), mirror, amount)

    def points(self, points: Tensor, random: np.random.Generator) -> Tensor:
        """Adds errors to levelled points (B, 960)."""
        count, width = len(points), self.errors.shape[1]
        rows = torch.from_numpy(random.integers(0, len(self.errors), count))
        amount = torch.from_numpy((self.amount * random.random((count, 1))).astype(np.float32))
        changed = points.clone()
        changed[:, :width] += amount * self.errors[rows] + _WHITE * torch.randn(count, width)
        return changed

    def mirrored(
        self, points: Tensor, crops: Tensor, codes: dict[str, Tensor], random: np.random.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Mirrors about half of the faces: points (B, 960), crops (B, 3, S, S) and codes of geometry (B,
        n)."""
        chosen = torch.from_numpy(random.random(len(points)) < 0.5)[:, None]
        image, more = mirrored_points(points)
        flat = torch.cat([image, more], 1)
        turned = {
            "shape": codes["shape"] @ self.identities.T,
            "expression": codes["expression"][:, _OTHER_SIDE],
            "rotation": codes["rotation"] * torch.tensor([-1.0, 1, -1]),
            "translation": codes["translation"] * torch.tensor([-1.0, 1, 1]),
        }
        return (
            torch.where(chosen, flat, points),
            torch.where(chosen[:, :, None, None], crops.flip(3), crops),
            {name: torch.where(chosen, turned[name], codes[name]) for name in turned},
        )


_OTHER_SIDE = [EXPRESSION_NAMES.index(mirrored_name(name)) for name in EXPRESSION_NAMES]


def mirrored_points(points: Tensor) -> tuple[Tensor, Tensor]:
    """Returns levelled landmarks (B, 956) and the further numbers (B, 4) of mirrored faces."""
    places = points[:, :-4].view(len(points), -1, 2)[:, np.asarray(MIRRORED)]
    return (places * torch.tensor([-1.0, 1])).flatten(1), points[:, -4:] * torch.tensor([1.0, -1, 1, -1])
