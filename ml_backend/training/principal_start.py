"""Starts the generator's positional constants from principal components, the encoder from coefficients."""

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.map_set import MapSet
from ..geometry.linear_models import leading_row_space
from ..layers.blur_resampling import double_size, resize_by_halving
from ..layers.processes import own_share
from ..layers.windowed_basis import cut_tiles
from ..models.detail_encoder import DetailEncoder
from ..models.displacement_generator import DisplacementGenerator, SynthesisBlock
from .steps import TrainingRun

_ROWS_AT_ONCE = 256
_ROWS_TO_FIT = 1600


@dataclasses.dataclass
class CoefficientTargets:
    """The coefficients that the encoder is to give to one block's positional constants.

    Attributes:
        block: index of the block.
        values: (N, n) coefficients of the set's maps, unit deviation.
        power: (n,) each component's share of the block's mean square, in generator units.
    """

    block: int
    values: Tensor
    power: Tensor


def principal_components(
    rows: np.ndarray, weights: np.ndarray, count: int, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Fits the mean and the leading principal components to rows.

    The components come from at most 1,600 rows, the coefficients from all.

    Args:
        rows: (N, P) any float type; read a part at a time.
        weights: (P,) 0 or 1: texels that count.
        count: components.
        seed: of the random start.

    Returns:
        mean (P,), components (count, P) scaled to their standard deviation, coefficients (N, count) of unit
        deviation.
    """
    inside = torch.from_numpy(np.flatnonzero(weights))

    def part(start: int) -> Tensor:
        return torch.from_numpy(np.asarray(rows[start : start + _ROWS_AT_ONCE], np.float32))[:, inside]

    starts = range(0, len(rows), _ROWS_AT_ONCE)
    sample = torch.from_numpy(np.asarray(rows[:: -(-len(rows) // _ROWS_TO_FIT)], np.float32))[:, inside]
    mean = sample.mean(0)
    sample -= mean
    width = min(count + 16, len(rows))
    basis = torch.from_numpy(leading_row_space(sample.numpy(), width, steps=3, seed=seed))
    scores = torch.cat([(part(s) - mean) @ basis for s in starts])
    left, power, right = torch.linalg.svd(scores, full_matrices=False)
    count = min(count, width)
    deviation = power[:count] / len(rows) ** 0.5
    components = torch.zeros(count, rows.shape[1])
    components[:, inside] = (basis @ right[:count].T * deviation).T
    full_mean = torch.zeros(rows.shape[1])
    full_mean[inside] = mean
    return full_mean, components, left[:, :count] * len(rows) ** 0.5


def full_rows(maps: np.ndarray, resolution: int) -> np.ndarray:
    """Returns maps (N, R, R) at `resolution`, R >= resolution: (N, resolution ** 2) float16."""
    if maps.shape[-1] == resolution:
        return maps.reshape(len(maps), -1)
    rows = np.empty((len(maps), resolution * resolution), np.float16)
    for start in range(0, len(maps), 16):
        full = torch.from_numpy(np.asarray(maps[start : start + 16], np.float32))[:, None]
        rows[start : start + 16] = resize_by_halving(full, resolution).flatten(1).numpy()
    return rows


def band_rows(maps: np.ndarray, resolution: int) -> np.ndarray:
    """Returns the band of maps between half of `resolution` and `resolution`.

    Args:
        maps: (N, R, R), R >= resolution.
        resolution: of the band.

    Returns:
        (N, resolution ** 2) float16.
    """
    rows = np.empty((len(maps), resolution * resolution), np.float16)
    for start in range(0, len(maps), 16):
        full = resize_by_halving(
            torch.from_numpy(np.asarray(maps[start : start + 16], np.float32))[:, None], resolution
        )
        rows[start : start + 16] = (
            (full - double_size(resize_by_halving(full, resolution // 2))).flatten(1).numpy()
        )
    return rows


@torch.no_grad()
def start_block(
    block: SynthesisBlock, index: int, rows: np.ndarray, mask: np.ndarray, millimetres: float
) -> CoefficientTargets:
    """Fills a block's positional constants: the mean, then the leading components.

    Args:
        block: a block with positional constants.
        index: its index in the generator.
        rows: (N, R * R) millimetres.
        mask: (R, R).
        millimetres: the generator's unit.
    """
    mean, components, values = principal_components(rows, mask.ravel(), block.count - 1)
    size = (block.resolution, block.resolution)
    images = torch.zeros(block.count, *size)
    images[0] = mean.view(size) / millimetres
    images[1 : 1 + len(components)] = components.view(-1, *size) / millimetres
    block.basis.tiles.copy_(cut_tiles(images, block.basis.grid))
    block.coefficient.weight[0] = 0
    block.coefficient.bias[0] = 1
    power = (components / millimetres).square().sum(1) / mask.sum()
    return CoefficientTargets(index, values, power)


@torch.no_grad()
def project_on_block(
    block: SynthesisBlock, index: int, maps: np.ndarray, millimetres: float
) -> CoefficientTargets:
    """Returns the coefficients of maps in a block's components.

    `start_block` made the components, and nothing has trained them since.

    Args:
        block, index, millimetres: as `start_block` takes them.
        maps: (N, R, R) millimetres, at the block's resolution or finer; their own band is projected.
    """
    images = block.basis.images().flatten(1).cpu() * millimetres
    mean, components = images[0], images[1:]
    squares = components.square().sum(1)
    values = []
    for start in range(0, len(maps), _ROWS_AT_ONCE):
        rows = torch.from_numpy(
            band_rows(maps[start : start + _ROWS_AT_ONCE], block.resolution).astype(np.float32)
        )
        values.append((rows - mean) @ components.T / squares.clamp_min(1e-12))
    return CoefficientTargets(index, torch.cat(values), squares / millimetres**2 / images.shape[1])


def style_of(block: int) -> int:
    """Returns the W+ index that a block's map layer reads."""
    return 2 * block + 1


def latents_of(
    encoder: DetailEncoder, generator: DisplacementGenerator, styles: list[int], given: list[Tensor]
) -> Tensor:
    """Returns only these styles (B, len(styles), W) of the encoder's W+, without the cost of the others."""
    features = encoder.features(*given)
    parts, first = [], 0
    width = encoder.config.latent_width
    for x, head, count in zip(features, encoder.heads, encoder.config.styles, strict=True):
        weight, bias = head.get_parameter("weight"), head.get_parameter("bias")
        for style in styles:
            if first <= style < first + count:
                rows = slice((style - first) * width, (style - first + 1) * width)
                parts.append(torch.nn.functional.linear(x, weight[rows], bias[rows]))
        first += count
    return torch.stack(parts, 1) + generator.mean_latent[styles]


def fit_coefficients(
    stage: str,
    encoder: DetailEncoder,
    generator: DisplacementGenerator,
    groups: list[tuple[MapSet, list[CoefficientTargets]]],
    settings: dict,
    run: TrainingRun,
    last_only: bool = False,
) -> None:
    """Teaches the encoder, and the styles' affine maps, the coefficients of the components.

    Args:
        stage: its name, for log and checkpoint.
        encoder, generator: trained in place (of the generator only the coefficient layers).
        groups: map sets with the targets of the blocks that they started; the last tenth of the people is
            held out.
        settings: steps, minutes, batch, rate, decay.
        run: its log receives the error of held-out people relative to the components' power.
        last_only: of the encoder only the layers that feed the finest styles alone.
    """
    learning = nn.ModuleList([encoder.deep[-1], encoder.heads[-1]]) if last_only else encoder
    encoder.requires_grad_(not last_only)
    learning.requires_grad_(True)
    blocks = [generator.synthesis_blocks[t.block] for _, targets in groups for t in targets]
    parameters = [
        {"params": learning.parameters(), "weight_decay": settings.get("decay", 0.0)},
        {"params": [p for block in blocks for p in block.coefficient.parameters()], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(parameters, lr=settings["rate"], betas=(0.9, 0.99))
    random = np.random.default_rng(1)
    prepared = [CoefficientGroup.of(maps, targets, run.device) for maps, targets in groups]

    @torch.no_grad()
    def measure() -> dict[str, float]:
        encoder.eval()
        figures = {}
        for group in prepared:
            missed = group.missed_shares(encoder, generator, group.unseen_rows())
            for (block, _, _), share in zip(group.targets, missed, strict=True):
                figures[f"unseen_{generator.synthesis_blocks[block].resolution}"] = float(share)
        return figures

    settings = {"log_steps": 250, **settings}
    optimisers = {"coefficients": optimiser}
    for step in run.steps(stage, optimisers, [], settings, measure=measure, random=[random]):
        encoder.train()
        loss = torch.zeros((), device=run.device)
        for group in prepared:
            drawn = own_share(random.integers(0, group.training, settings["batch"]))
            rows = torch.from_numpy(drawn).to(run.device)
            loss = loss + group.missed_shares(encoder, generator, rows).sum()
        step.descend(loss, loss=loss)
    encoder.eval()


@dataclasses.dataclass(frozen=True)
class CoefficientGroup:
    """People of one map set on the device, with the coefficients that their blocks shall get.

    Attributes:
        count: people and expressions.
        training: how many of them are not held out.
        given: identity, skin, expression (N, .).
        targets: index, coefficients (N, n) and power (n,) of each block.
    """

    count: int
    training: int
    given: list[Tensor]
    targets: list[tuple[int, Tensor, Tensor]]

    @classmethod
    def of(cls, maps: MapSet, targets: list[CoefficientTargets], device: torch.device) -> "CoefficientGroup":
        """Moves a set's inputs and targets to the device."""
        given = [torch.from_numpy(v).to(device) for v in (maps.identity, maps.skin, maps.expression)]
        blocks = [(t.block, t.values.to(device), t.power.to(device)) for t in targets]
        return cls(len(maps), int(len(maps) * 0.9), given, blocks)

    def unseen_rows(self) -> Tensor:
        """Rows of the people that are held out."""
        return torch.arange(self.training, self.count, device=self.given[0].device)

    def missed_shares(self, encoder: DetailEncoder, generator: DisplacementGenerator, rows: Tensor) -> Tensor:
        """Returns the squared error of each block's coefficients, by power, over its power: (blocks,)."""
        styles = [style_of(block) for block, _, _ in self.targets]
        latents = latents_of(encoder, generator, styles, [v[rows] for v in self.given])
        missed = []
        for index, (block, values, power) in enumerate(self.targets):
            coefficients = generator.synthesis_blocks[block].coefficient(latents[:, index])
            error = coefficients[:, 1 : 1 + values.shape[1]] - values[rows]
            missed.append((error.square() * power).sum(1).mean() / power.sum())
        return torch.stack(missed)
