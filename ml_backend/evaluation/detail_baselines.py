"""Simple ways of making displacement maps, fitted to the same people as the networks."""

import dataclasses
import itertools

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.map_set import MapSet
from ..geometry.linear_models import fit_ridge, solve_ridge
from ..layers.blur_resampling import resize_by_doubling, resize_by_halving
from ..training.checkpoints import BestWeights
from ..training.principal_start import full_rows, principal_components
from ..training.steps import TrainingRun

_DETAIL_PENALTY = 0.02
"""Ridge penalty of the part above the low band, in mean sums of squares of a coefficient."""


@dataclasses.dataclass
class PrincipalMaps:
    """An affine space of maps, and the coefficients of the training maps in it.

    Attributes:
        mean: (R, R) millimetres.
        components: (n, R, R).
        low_mean, low: (S, S) and (n, S, S), their low band, orthonormal: the resolution at which they were
            fitted.
        coefficients: (N, n) of the coarse set; errors of coefficients weigh like errors of maps.
    """

    mean: Tensor
    components: Tensor
    low_mean: Tensor
    low: Tensor
    coefficients: Tensor

    def project(self, maps: Tensor) -> Tensor:
        """(B, R, R) millimetres -> (B, n): the nearest maps of the space in the low band."""
        low = resize_by_halving(maps[:, None], self.low.shape[-1])[:, 0]
        return (low - self.low_mean).flatten(1) @ self.low.flatten(1).T

    def draw(self, coefficients: Tensor) -> Tensor:
        """(B, n) -> (B, R, R) millimetres."""
        flat = coefficients @ self.components.flatten(1)
        return self.mean + flat.view(-1, *self.mean.shape)


def fit_principal_maps(coarse: MapSet, fine: MapSet, resolution: int, count: int = 200) -> PrincipalMaps:
    """Fits principal components of the coarse set's many maps.

    What lies above its resolution follows them by ridge regression on the fine set.

    Args:
        coarse: many people.
        fine: fewer people, at `resolution` or finer; read only where the coarse set's resolution is lower.
        resolution: R of the result.
        count: components.
    """
    size = min(coarse.maps.shape[-1], resolution)
    rows = full_rows(coarse.maps, size)
    inside = torch.from_numpy(coarse.mask)[None, None]
    inside = (resize_by_halving(inside, size) > 0).float().flatten().numpy()
    mean, components, values = principal_components(rows, inside, min(count, len(rows) - 1))
    norm = components.norm(dim=1).clamp_min(1e-9)
    low_mean = mean.view(size, size)
    low = (components / norm[:, None]).view(-1, size, size)
    space = PrincipalMaps(low_mean, low, low_mean, low, values * norm)
    if resolution == size:
        return space
    known = space.project(
        torch.from_numpy(full_rows(fine.maps, size).astype(np.float32)).view(-1, size, size)
    )
    own = torch.from_numpy(
        np.concatenate(
            [full_rows(fine.maps[s : s + 16], resolution) for s in range(0, len(fine), 16)]
        ).astype(np.float32)
    )
    own = own.view(-1, 1, resolution, resolution)
    for s in range(0, len(own), 16):  # what the low band does not hold
        part = own[s : s + 16]
        own[s : s + 16] = part - resize_by_doubling(resize_by_halving(part, size), resolution)
    above = own.flatten(1)
    above_mean = above.mean(0)
    missing = (above - above_mean).numpy()
    slopes = torch.from_numpy(fit_ridge(known.numpy(), missing, _DETAIL_PENALTY, relative=True).slopes)
    raised = torch.cat([resize_by_doubling(part[:, None], resolution)[:, 0] for part in low.split(16)])
    space.components = raised.add_(slopes.view_as(raised))
    space.mean = resize_by_doubling(low_mean[None, None], resolution)[0, 0] + above_mean.view(
        resolution, resolution
    )
    return space


@dataclasses.dataclass
class Ridge:
    """Ridge regression to principal coefficients.

    Attributes:
        products: False: from (1, w_id, w_exp). True: from (1, w_id, w_exp, w_id x w_exp), all products.
        statistics: mean and deviation of condition and expression.
        weights: (features, n).
    """

    products: bool
    statistics: tuple[Tensor, Tensor, Tensor, Tensor]
    weights: Tensor

    @classmethod
    def fit(cls, maps: MapSet, targets: Tensor, products: bool) -> "Ridge":
        """Fits targets (N, n); the strength of the ridge is chosen on the last tenth of the people."""
        condition = torch.from_numpy(np.concatenate([maps.identity, maps.skin], 1))
        expression = torch.from_numpy(maps.expression)
        statistics = (
            condition.mean(0),
            condition.std(0).clamp_min(0.05),
            expression.mean(0),
            expression.std(0).clamp_min(0.05),
        )
        model = cls(products, statistics, torch.zeros(0))
        training = int(len(maps) * 0.9)

        def normal(start: int, stop: int) -> tuple[Tensor, Tensor]:
            gram = torch.zeros((), dtype=torch.double)
            sums = torch.zeros((), dtype=torch.double)
            for rows in torch.arange(start, stop).split(2048):
                features = model.features(condition[rows], expression[rows]).double()
                gram = gram + features.T @ features
                sums = sums + features.T @ targets[rows].double()
            return gram, sums

        def solved(gram: Tensor, sums: Tensor, strength: float) -> Tensor:
            return torch.from_numpy(solve_ridge(gram.numpy(), sums.numpy(), strength)).float()

        known = normal(0, training)
        held = normal(training, len(maps))
        errors = {}
        for strength in 10.0 ** np.arange(-3, 3):
            model.weights = solved(*known, strength)
            found = model(condition[training:], expression[training:])
            errors[strength] = float((found - targets[training:]).square().mean())
        best = min(errors, key=lambda strength: errors[strength])
        model.weights = solved(known[0] + held[0], known[1] + held[1], best)
        return model

    def features(self, condition: Tensor, expression: Tensor) -> Tensor:
        """(B, K + 16) and (B, 52) -> (B, features)."""
        mean, deviation, face_mean, face_deviation = self.statistics
        first = (condition - mean) / deviation / mean.numel() ** 0.5
        second = (expression - face_mean) / face_deviation / face_mean.numel() ** 0.5
        one = torch.ones(len(condition), 1)
        if not self.products:
            return torch.cat([one, first, second], 1)
        return torch.einsum("bi,bj->bij", torch.cat([one, first], 1), torch.cat([one, second], 1)).flatten(1)

    def __call__(self, condition: Tensor, expression: Tensor) -> Tensor:
        """(B, K + 16) and (B, 52) -> (B, n) float32."""
        return self.features(condition, expression) @ self.weights


def fit_multilayer(
    maps: MapSet, targets: Tensor, minutes: float, hidden: int = 512, seed: int = 0, steps: int = 1_000_000
) -> nn.Module:
    """Fits an MLP from (w_id, w_exp) to principal coefficients, the strongest baseline.

    The best state on held-out people is kept.

    Args:
        maps: the inputs.
        targets: (N, n).
        minutes: time to train.
        hidden: width of its three layers.
        seed: of the start.
        steps: of training at most.

    Returns:
        A module (B, K + 16 + 52) -> (B, n).
    """
    torch.manual_seed(seed)
    given = torch.from_numpy(np.concatenate([maps.identity, maps.skin, maps.expression], 1))
    normalise = Standardise(given.mean(0), given.std(0).clamp_min(0.05))
    widths = (given.shape[1], hidden, hidden, hidden)
    layers = [
        part for one, after in itertools.pairwise(widths) for part in (nn.Linear(one, after), nn.ReLU())
    ]
    network = nn.Sequential(normalise, *layers, nn.Linear(hidden, targets.shape[1]))
    power = targets.var(0).sum()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    training = int(len(maps) * 0.9)
    best = BestWeights(network)
    random = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def measure() -> dict[str, float]:
        error = float((network(given[training:]) - targets[training:]).square().mean())
        best.update(error, network)
        return {"unseen": error}

    settings = {"steps": steps, "minutes": minutes, "rate": 1e-3}
    for step in TrainingRun().steps("perceptron", {"adam": optimiser}, [], settings, measure=measure):
        rows = torch.randint(training, (256,), generator=random)
        step.descend((network(given[rows]) - targets[rows]).square().sum(1).mean() / power)
    network.load_state_dict(best.weights)
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
