"""A start for the generator's positional constants from principal components, and for the encoder from their coefficients."""

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.map_set import MapSet
from ..layers.blur_resampling import double_size, resize_by_halving
from ..layers.windowed_basis import cut_tiles
from ..models.detail_encoder import DetailEncoder
from ..models.displacement_generator import DisplacementGenerator, SynthesisBlock
from .training_run import RunLog, Schedule, set_rate

_ROWS_AT_ONCE = 256
_ROWS_TO_FIT = 1600


@dataclasses.dataclass
class CoefficientTargets:
    """What the encoder is to give one block's positional constants.

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
    """Mean and leading principal components by randomised subspace iteration over at most 1,600 rows, and every row's coefficients.

    Args:
        rows: (N, P) any float type; read a part at a time.
        weights: (P,) 0 or 1: texels that count.
        count: components.
        seed: of the random start.

    Returns:
        mean (P,), components (count, P) scaled to their standard deviation, coefficients (N, count) of unit
        deviation.

    Source: Halko et al. 2011, "Finding structure with randomness", algorithm 4.4.
    """
    inside = torch.from_numpy(np.flatnonzero(weights))

    def part(start: int) -> Tensor:
        return torch.from_numpy(np.asarray(rows[start : start + _ROWS_AT_ONCE], np.float32))[:, inside]

    starts = range(0, len(rows), _ROWS_AT_ONCE)
    sample = torch.from_numpy(np.asarray(rows[:: -(-len(rows) // _ROWS_TO_FIT)], np.float32))[:, inside]
    mean = sample.mean(0)
    sample -= mean
    width = min(count + 16, len(rows))
    basis = torch.randn(len(inside), width, generator=torch.Generator().manual_seed(seed))
    for _ in range(3):
        basis = torch.linalg.qr(basis)[0]
        basis = sample.T @ (sample @ basis)
    basis = torch.linalg.qr(basis)[0]
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
    """Maps (N, R, R) at `resolution`, R >= resolution: (N, resolution ** 2) float16."""
    if maps.shape[-1] == resolution:
        return maps.reshape(len(maps), -1)
    found = np.empty((len(maps), resolution * resolution), np.float16)
    for start in range(0, len(maps), 16):
        full = torch.from_numpy(np.asarray(maps[start : start + 16], np.float32))[:, None]
        found[start : start + 16] = resize_by_halving(full, resolution).flatten(1).numpy()
    return found


def band_rows(maps: np.ndarray, resolution: int) -> np.ndarray:
    """What maps (N, R, R) hold at `resolution` beyond half of it: (N, resolution ** 2) float16; R >= resolution."""
    found = np.empty((len(maps), resolution * resolution), np.float16)
    for start in range(0, len(maps), 16):
        full = resize_by_halving(
            torch.from_numpy(np.asarray(maps[start : start + 16], np.float32))[:, None], resolution
        )
        found[start : start + 16] = (
            (full - double_size(resize_by_halving(full, resolution // 2))).flatten(1).numpy()
        )
    return found


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
    """The coefficients of maps in a block's components, which `start_block` made and nothing has trained since.

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
    """The W+ index that a block's map layer reads."""
    return 2 * block + 1


def latents_of(
    encoder: DetailEncoder, generator: DisplacementGenerator, styles: list[int], given: list[Tensor]
) -> Tensor:
    """Only these styles (B, len(styles), W) of the encoder's W+, without the cost of the others."""
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
    encoder: DetailEncoder,
    generator: DisplacementGenerator,
    groups: list[tuple[MapSet, list[CoefficientTargets]]],
    settings: dict,
    log: RunLog,
    device: torch.device,
    last_only: bool = False,
) -> None:
    """Teaches the encoder, and the styles' affine maps, the coefficients of the components.

    Args:
        encoder, generator: trained in place (of the generator only the coefficient layers).
        groups: map sets with the targets of the blocks that they started; the last tenth of the people is
            held out.
        settings: steps, minutes, batch, rate, decay.
        log: receives the error of held-out people relative to the components' power.
        device: where to train.
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
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    random = np.random.default_rng(1)
    prepared = []
    for maps, targets in groups:
        given = [torch.from_numpy(v).to(device) for v in (maps.identity, maps.skin, maps.expression)]
        prepared.append(
            (
                len(maps),
                int(len(maps) * 0.9),
                given,
                [(t.block, t.values.to(device), t.power.to(device)) for t in targets],
            )
        )

    def error(group: tuple, rows: Tensor) -> tuple[Tensor, Tensor]:
        _, _, given, targets = group
        latents = latents_of(
            encoder, generator, [style_of(b) for b, _, _ in targets], [v[rows] for v in given]
        )
        missed, total = [], []
        for index, (block, values, power) in enumerate(targets):
            found = generator.synthesis_blocks[block].coefficient(latents[:, index])[
                :, 1 : 1 + values.shape[1]
            ]
            missed.append(((found - values[rows]).square() * power).sum(1).mean() / power.sum())
            total.append(power.sum())
        return torch.stack(missed), torch.stack(total)

    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        encoder.train()
        loss = torch.zeros((), device=device)
        for group in prepared:
            rows = torch.from_numpy(random.integers(0, group[1], settings["batch"])).to(device)
            loss = loss + error(group, rows)[0].sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.done += 1
        if schedule.done % 250 == 0 or schedule.progress >= 1:
            encoder.eval()
            with torch.no_grad():
                figures = {}
                for group in prepared:
                    unseen = error(group, torch.arange(group[1], group[0], device=device))[0]
                    for (block, _, _), value in zip(group[3], unseen, strict=True):
                        figures[f"unseen_{generator.synthesis_blocks[block].resolution}"] = float(value)
            log.write(
                "coefficients",
                step=schedule.done,
                loss=float(loss.detach()),
                minutes_left=schedule.minutes_left,
                **figures,
            )
    encoder.eval()
