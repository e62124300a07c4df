"""The gate through which an expression changes the skin: the strain that its units put on the face."""

import torch
from torch import Tensor, nn
from torch.nn import functional

GATE_GRID = 64
HALF_OPEN = 0.014  # strain at which the gate is half open


class StrainGate(nn.Module):
    """A smooth map between 0, where an expression leaves the skin alone, and 1, where it strains it.

    Wrinkles form where the skin is strained, which the face model knows; a generator of whole maps only
    learns it nearly, and its maps of two expressions differ a little everywhere. With V_0 the map at rest and
    V_e the expression's, the detail is V_0 + g (V_e - V_0). The gate opens at a few per cent of the strain of
    a visible wrinkle: on simulated skin, true maps pass it at 60 dB.

    Args:
        expression_size: units of the face model.

    Attributes:
        activity: buffer (E, 64, 64): the sum of absolute Green strain components on the mean face when a unit
            is at 1, smoothed; row 0 at the bottom. Before it is filled it is infinite: everything is open.
    """

    activity: Tensor

    def __init__(self, expression_size: int):
        super().__init__()
        self.register_buffer("activity", torch.full((expression_size, GATE_GRID, GATE_GRID), 1e4))

    def forward(self, expression: Tensor, resolution: int) -> Tensor:
        """expression (B, E), any sign -> (B, 1, R, R) in 0..1; all 0 for the face at rest."""
        strain = torch.einsum("be,eyx->byx", expression.abs(), self.activity)[:, None]
        square = strain.square()
        gate = square / (square + HALF_OPEN**2)
        return functional.interpolate(
            gate, size=(resolution, resolution), mode="bilinear", align_corners=False
        )


def through_gate(resting: Tensor, maps: Tensor, gate: Tensor) -> Tensor:
    """V_0 + g (V_e - V_0), any shapes that broadcast."""
    return torch.lerp(resting, maps, gate)
