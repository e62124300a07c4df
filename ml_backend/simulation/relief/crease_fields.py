"""Patterns of creases: an anisotropic Swift-Hohenberg equation, a stiff film on a soft foundation."""

import math

import torch
from torch import Tensor


def solve_creases(
    start: Tensor,
    direction: Tensor,
    wavelength: float,
    anisotropy: float = 0.7,
    growth: float = 0.35,
    steps: int = 160,
) -> Tensor:
    """Lets stripes grow from a starting field until they are creases of one wavelength along given lines.

    u_t = r u - u^3 - (1 + lap / k0^2)^2 u + div(D t t^T grad u) / k0^2 on a periodic grid, t along the
    creases. The stiff linear part is implicit in Fourier space, the rest explicit with a time step of 0.35.
    Mirrored inputs give the mirrored field.

    Args:
        start: (N, H, W) starting field, of the order of 0.1 to 1.
        direction: (N, 2, H, W) unit vectors along the creases, (column, row) components, either sign; shorter
            vectors guide less.
        wavelength: distance between neighbouring creases, grid cells; 6 to 16 resolve the pattern well.
        anisotropy: D, 0 for a labyrinth, 0.7 for long lines. Beyond about 1 the explicit term is unstable and
            turns the stripes.
        growth: r, distance above the buckling threshold.
        steps: time steps.

    Returns:
        (N, H, W), stripes of amplitude about 2 sqrt(r / 3).

    Raises:
        ValueError: anisotropy out of [0, 1] or wavelength below 4 cells.

    Source: Stoop et al. 2015, "Curvature-induced symmetry breaking determines elastic surface patterns",
    Nature Materials 14.
    """
    if not 0 <= anisotropy <= 1:
        raise ValueError(f"anisotropy {anisotropy} is outside [0, 1], where the solver is stable")
    if wavelength < 4:
        raise ValueError(f"a wavelength of {wavelength} cells is not resolved; use at least 4")
    height, width = start.shape[-2:]
    k0 = 2 * math.pi / wavelength
    dt = 0.35
    rows = torch.fft.fftfreq(height, device=start.device, dtype=start.dtype)[:, None] * (2 * math.pi / k0)
    columns = torch.fft.rfftfreq(width, device=start.device, dtype=start.dtype)[None] * (2 * math.pi / k0)
    square = rows**2 + columns**2
    implicit = 1 / (1 + dt * (1 - square) ** 2)
    across, up = direction.unbind(1)
    strength = anisotropy / k0**2
    u = 0.8 * torch.tanh(start / 0.8)  # the explicit cube bears no outliers
    for _ in range(steps):
        slope_across = 0.5 * (torch.roll(u, -1, 2) - torch.roll(u, 1, 2))
        slope_up = 0.5 * (torch.roll(u, -1, 1) - torch.roll(u, 1, 1))
        along = strength * (across * slope_across + up * slope_up)
        flux_across = across * along
        flux_up = up * along
        change = 0.5 * (torch.roll(flux_across, -1, 2) - torch.roll(flux_across, 1, 2))
        change = change + 0.5 * (torch.roll(flux_up, -1, 1) - torch.roll(flux_up, 1, 1))
        change = change + growth * u - u**3
        u = torch.fft.irfft2(torch.fft.rfft2(u + dt * change) * implicit, s=(height, width))
    return u


def noise_field(
    seed: int, shape: tuple[int, int, int], correlation: tuple[float, float] = (0.0, 0.0)
) -> Tensor:
    """Smooth periodic Gaussian noise, the same on every machine.

    Args:
        seed: any integer.
        shape: (N, H, W).
        correlation: standard deviation of the smoothing along rows (H) and columns (W), grid cells.

    Returns:
        (N, H, W) float32, mean 0, standard deviation 1.
    """
    field = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    rows = torch.fft.fftfreq(shape[1])[:, None] * correlation[0]
    columns = torch.fft.rfftfreq(shape[2])[None] * correlation[1]
    taper = torch.exp(-2 * math.pi**2 * (rows**2 + columns**2))
    field = torch.fft.irfft2(torch.fft.rfft2(field) * taper, s=shape[1:])
    field = field - field.mean((1, 2), keepdim=True)
    return field / field.std((1, 2), keepdim=True).clamp_min(1e-6)


def smooth_along(fields: Tensor, direction: Tensor, length: float) -> Tensor:
    """Diffuses fields along given lines only, so that their features become long.

    Args:
        fields: (N, H, W), periodic.
        direction: (N, 2, H, W) unit vectors along the lines, (column, row).
        length: standard deviation of the smoothing, grid cells.

    Returns:
        (N, H, W), mean 0, standard deviation 1.
    """
    steps = max(1, math.ceil(length**2 / (2 * 0.2)))
    rate = length**2 / (2 * steps)
    across, up = direction.unbind(1)
    u = fields
    for _ in range(steps):
        along = across * 0.5 * (torch.roll(u, -1, 2) - torch.roll(u, 1, 2)) + up * 0.5 * (
            torch.roll(u, -1, 1) - torch.roll(u, 1, 1)
        )
        flux_across = across * along
        flux_up = up * along
        u = u + rate * 0.5 * (
            torch.roll(flux_across, -1, 2)
            - torch.roll(flux_across, 1, 2)
            + torch.roll(flux_up, -1, 1)
            - torch.roll(flux_up, 1, 1)
        )
    u = u - u.mean((1, 2), keepdim=True)
    return u / u.std((1, 2), keepdim=True).clamp_min(1e-6)
