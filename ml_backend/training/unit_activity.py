"""Measures where each expression unit strains the mean face."""

import numpy as np
from torch import Tensor
from torch.nn import functional

from ..models.bilinear_face import BilinearFace
from ..models.strain_gate import GATE_GRID
from ..simulation.relief.face_chart import build_chart
from ..simulation.relief.mean_skin import unit_gradients
from ..simulation.relief.strain import gaussian_blur, green_strain

SMOOTHING_MM = 6.0  # a muscle's creases reach a little beyond the skin that the mesh strains


def unit_activity(face: BilinearFace) -> Tensor:
    """(E, 64, 64) for `StrainGate.activity`: sum of the absolute Green strain components with each unit at 1; row 0 at the bottom."""
    chart = build_chart(face)
    strain = green_strain(unit_gradients(face, np.zeros(face.identity_size, np.float32), chart)).abs().sum(1)
    width, covered = chart.texels(SMOOTHING_MM), chart.raster.covered
    smooth = gaussian_blur(strain * covered, width) / gaussian_blur(covered[None], width).clamp_min(1e-3)
    return functional.adaptive_avg_pool2d(smooth[None], GATE_GRID)[0]
