"""Simple ways of making displacement maps, fitted to the same people as the networks: what a model has to beat."""

import dataclasses
import itertools

import numpy as np
import torch
from torch import Tensor, nn

from ..layers.blur_resampling import resize_by_halving
from ..training.principal_start import full_rows, principal_components
from ..training.simulated_maps import MapSet
from ..training.training_run import Schedule, set_rate


@dataclasses.dataclass
class PrincipalMaps:
    """An affine space of maps at full resolution, and the coefficients of the training maps in it.

    Attributes:
        mean: (R, R) millimetres.
        components: (n, R, R), each of unit norm over the small maps, so that errors of coefficients weigh alike.
        coefficients: (N, n) of the coarse set.
    """

    mean: Tensor
    components: Tensor
    coefficients: Tensor

    def project(self, maps: Tensor) -> Tensor:
        """(B, R, R) millimetres -> (B, n): the nearest maps of the space; components are orthogonal."""
        flat = self.components.flatten(1)
        return (maps - self.mean).flatten(1) @ flat.T / flat.square().sum(1).clamp_min(1e-12)

    def draw(self, coefficients: Tensor) -> Tensor:
        """(B, n) -> (B, R, R) millimetres."""
        flat = coefficients @ self.components.flatten(1)
        return self.mean + flat.view(-1, *self.mean.shape)


def fit_principal_maps(coarse: MapSet, fine: MapSet, resolution: int, count: int = 200) -> PrincipalMaps:
    """Principal components of the fine set; the coarse set's many maps are projected on them at its own resolution.

    Args:
        coarse: many people; R_coarse <= R_fine.
        fine: fewer people at full resolution.
        resolution: R of the result, at most that of the fine set.
        count: components.
    """
    size = coarse.maps.shape[-1]
    rows = full_rows(fine.maps, resolution)
    mean, components, _ = principal_components(rows, np.ones(rows.shape[1], np.float32), min(count, len(rows) - 1))
    components = components.view(-1, 1, resolution, resolution)
    small = torch.cat([resize_by_halving(part, min(size, resolution)) for part in components.split(16)]).flatten(1)
    norm = small.norm(dim=1).clamp_min(1e-9)
    small, components = small / norm[:, None], components / norm[:, None, None, None]
    small_mean = resize_by_halving(mean.view(1, 1, resolution, resolution), min(size, resolution)).flatten()
    inverse = torch.linalg.pinv(small @ small.T) @ small  # (n, texels)
    wanted = full_rows(coarse.maps, min(size, resolution))
    coefficients = torch.cat(
        [(torch.from_numpy(np.asarray(wanted[s : s + 256], np.float32)) - small_mean) @ inverse.T for s in range(0, len(wanted), 256)]
    )
    return PrincipalMaps(mean.view(resolution, resolution), components[:, 0], coefficients)


@dataclasses.dataclass
class KernelRidge:
    """Ridge regression in its dual form; the kernel decides which products of the inputs it may use.

    Attributes:
        products: False: (1, w_id, w_exp). True: (1, w_id, w_exp, w_id x w_exp), all products, by the kernel (1 + k_id)(1 + k_exp).
    """

    products: bool
    condition: Tensor
    expression: Tensor
    weights: Tensor
    statistics: tuple[Tensor, Tensor, Tensor, Tensor]

    @classmethod
    def fit(cls, maps: MapSet, targets: Tensor, products: bool) -> "KernelRidge":
        """Fits targets (N, n); the strength of the ridge is chosen on the last tenth of the people."""
        condition = torch.from_numpy(np.concatenate([maps.identity, maps.skin], 1)).double()
        expression = torch.from_numpy(maps.expression).double()
        statistics = (condition.mean(0), condition.std(0).clamp_min(0.05), expression.mean(0), expression.std(0).clamp_min(0.05))
        model = cls(products, condition, expression, targets.double(), statistics)
        kernel = model._kernel(condition, expression, condition, expression)
        training = int(len(maps) * 0.9)
        known, unseen = targets[:training].double(), targets[training:].double()
        errors = {}
        for strength in 10.0 ** np.arange(-3, 3):
            factor = torch.linalg.cholesky(kernel[:training, :training] + strength * torch.eye(training, dtype=torch.double))
            found = kernel[training:, :training] @ torch.cholesky_solve(known, factor)
            errors[strength] = float((found - unseen).square().mean())
        best = min(errors, key=lambda strength: errors[strength])
        factor = torch.linalg.cholesky(kernel + best * torch.eye(len(maps), dtype=torch.double))
        model.weights = torch.cholesky_solve(targets.double(), factor)
        return model

    def _kernel(self, condition: Tensor, expression: Tensor, other: Tensor, other_expression: Tensor) -> Tensor:
        mean, deviation, face_mean, face_deviation = self.statistics
        first = ((condition - mean) / deviation) @ ((other - mean) / deviation).T / mean.numel()
        second = ((expression - face_mean) / face_deviation) @ ((other_expression - face_mean) / face_deviation).T / face_mean.numel()
        return (1 + first) * (1 + second) if self.products else 1 + first + second

    def __call__(self, condition: Tensor, expression: Tensor) -> Tensor:
        """(B, K + 16) and (B, 52) -> (B, n) float32."""
        return (self._kernel(condition.double(), expression.double(), self.condition, self.expression) @ self.weights).float()


def fit_multilayer(maps: MapSet, targets: Tensor, minutes: float, hidden: int = 512, seed: int = 0) -> nn.Module:
    """An MLP from (w_id, w_exp) to principal coefficients, the honest rival; the best state on held-out people is kept.

    Args:
        maps: the inputs.
        targets: (N, n).
        minutes: time to train.
        hidden: width of its three layers.
        seed: of the start.

    Returns:
        A module (B, K + 16 + 52) -> (B, n).
    """
    torch.manual_seed(seed)
    given = torch.from_numpy(np.concatenate([maps.identity, maps.skin, maps.expression], 1))
    normalise = Standardise(given.mean(0), given.std(0).clamp_min(0.05))
    widths = (given.shape[1], hidden, hidden, hidden)
    layers = [part for one, after in itertools.pairwise(widths) for part in (nn.Linear(one, after), nn.ReLU())]
    network = nn.Sequential(normalise, *layers, nn.Linear(hidden, targets.shape[1]))
    power = targets.var(0).sum()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = Schedule(1_000_000, minutes)
    training = int(len(maps) * 0.9)
    best, kept = float("inf"), {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.Generator().manual_seed(seed)
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(1e-3))
        rows = torch.randint(training, (256,), generator=random)
        loss = (network(given[rows]) - targets[rows]).square().sum(1).mean() / power
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.done += 1
        if schedule.done % 100 == 0 or schedule.progress >= 1:
            with torch.no_grad():
                error = float((network(given[training:]) - targets[training:]).square().mean())
            if error < best:
                best, kept = error, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network.eval()


class Standardise(nn.Module):
    """(x - mean) / deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation
