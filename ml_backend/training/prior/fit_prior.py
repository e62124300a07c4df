"""The prior stage of DNPM: random normal numbers are to give the latents of random people."""

import copy
import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from ...datasets.sampled_expressions import (
    COMMON_SHARE,
    EXPRESSION_SIZE,
    OWN_SHARE,
    STRENGTH,
    normal_thresholds,
    shared_columns,
)
from ...files.model_card import ModelCard, licence_of
from ...files.network_file import write_network_file
from ...layers.processes import own_share
from ...models.detail_encoder import DetailEncoder
from ...models.detailed_3dmm import PRIOR_FILE
from ...models.displacement_generator import DisplacementGenerator, LatentPrior, PriorConfig
from ..steps import TrainingRun

_SAMPLES = 4096
_ROWS_AT_ONCE = 512
_HALVED_SKIN = 3
"""First entries of the skin vector, whose deviation is a half (`sample_skin`)."""


@dataclasses.dataclass
class PriorInTraining:
    """A prior and its weight average, which is what is kept.

    Attributes:
        network: in training.
        average: its moving mean.
    """

    network: LatentPrior
    average: LatentPrior

    @classmethod
    def build(cls, encoder: DetailEncoder, settings: dict) -> "PriorInTraining":
        """Builds a prior for an encoder; `rank` of the settings is the width of its bottlenecks."""
        network = build_prior(encoder, settings.get("rank", 128))
        return cls(network, copy.deepcopy(network).eval().requires_grad_(False))

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Both by name, for checkpoints."""
        return {"prior": self.network, "prior_average": self.average}


def map_styles(generator: DisplacementGenerator) -> list[int]:
    """Returns the styles of W+ that the positional constants follow: nearly all of a map."""
    blocks = enumerate(generator.synthesis_blocks)
    return [2 * index + 1 for index, block in blocks if block.count]


def build_prior(encoder: DetailEncoder, rank: int) -> LatentPrior:
    """Returns a prior of an encoder's sizes whose fixed layer draws people and faces; the rest is random.

    Raises:
        ValueError: the encoder's latents are too narrow to hold a person and a face.
    """
    prior = LatentPrior(PriorConfig(encoder.config, rank))
    weights = torch.zeros(EXPRESSION_SIZE, 2 * EXPRESSION_SIZE)
    units = torch.arange(EXPRESSION_SIZE)
    weights[units, units] = float(OWN_SHARE)
    weights[units, EXPRESSION_SIZE + torch.from_numpy(shared_columns())] = float(COMMON_SHARE)
    prior.unit_weights.copy_(STRENGTH * weights)
    prior.unit_offsets.copy_(torch.from_numpy(-STRENGTH * normal_thresholds()))
    prior.skin_scale[:_HALVED_SKIN] = 0.5
    return prior.to(next(encoder.parameters()).device)


@torch.no_grad()
def start_from_encoder(prior: LatentPrior, encoder: DetailEncoder, styles: Tensor) -> None:
    """Takes over the encoder's layers, and of its heads what matters most for random people.

    Args:
        prior: filled in place.
        encoder: of the prior's sizes.
        styles: (S,) weight of each style's squared error.
    """
    own = prior.layers.state_dict()
    prior.layers.load_state_dict({name: value for name, value in encoder.state_dict().items() if name in own})
    width = encoder.config.latent_width
    z = torch.randn(_SAMPLES, width, device=styles.device)
    features = encoder.features(*prior.people(z))
    first = 0
    for x, bottleneck, small, head, count in zip(
        features,
        _linear(prior.bottlenecks),
        _linear(prior.heads),
        _linear(encoder.heads),
        encoder.config.styles,
        strict=True,
    ):
        weight = styles[first : first + count].sqrt().repeat_interleave(width)[:, None]
        centre = x.mean(0)
        spread = torch.linalg.cholesky(
            torch.cov(x.T).double() + 1e-6 * torch.eye(x.shape[1], device=x.device)
        )
        left = torch.linalg.svd((weight * head.weight).double() @ spread, full_matrices=False)[0]
        basis = left[:, : bottleneck.out_features].float()
        bottleneck.weight.copy_(basis.T @ (weight * head.weight))
        small.weight.copy_(basis / weight)
        small.bias.copy_(head.bias + head.weight @ centre - small.weight @ (bottleneck.weight @ centre))
        first += count


def _linear(layers: nn.ModuleList) -> list[nn.Linear]:
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def style_weights(offsets: Tensor, generator: DisplacementGenerator, visible: float) -> Tensor:
    """Returns the weight of each style's squared error.

    Args:
        offsets: (N, S, W) of random people.
        generator: says which styles the maps follow.
        visible: how many times as much as another style such a style counts.

    Returns:
        (S,): 1 over the style's variance, more for visible ones; their relative errors then sum to 1 at most.
    """
    weights = torch.ones(offsets.shape[1], device=offsets.device)
    weights[map_styles(generator)] = visible
    return weights / weights.sum() / offsets.var(0).mean(1).clamp_min(1e-12)


def fit_prior(
    prior: PriorInTraining,
    encoder: DetailEncoder,
    generator: DisplacementGenerator,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Teaches the prior the encoder's latents of random people, from the encoder's own layers on.

    Args:
        prior: trained in place; its average starts anew.
        encoder, generator: as finished; both stay as they are.
        settings: steps, minutes, batch, rate; `visible`, see `style_weights`.
        run: its log receives the error as a share of the latents' variance, of all styles (weighted) and of
            those that the maps follow.
    """
    encoder.eval()
    network = prior.network
    width = encoder.config.latent_width
    shown = map_styles(generator) or list(range(generator.config.style_count))
    with torch.no_grad():
        z = torch.randn(_SAMPLES, width, device=run.device)
        offsets = torch.cat([encoder(*network.people(part)) for part in z.split(_ROWS_AT_ONCE)])
        weights = style_weights(offsets, generator, settings.get("visible", 10.0))
        variance = offsets[:, shown].var(0).sum()
    if not run.is_inside("prior"):
        start_from_encoder(network, encoder, weights)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    for step in run.steps("prior", {"prior": optimiser}, [], {"log_steps": 200, **settings}):
        z = own_share(torch.randn(settings["batch"], width, device=run.device))
        with torch.no_grad():
            target = encoder(*network.people(z))
        squares = (network(z) - target).square().mean(0)
        loss = (squares.mean(1) * weights).sum()
        step.descend(loss, missed=loss, missed_in_maps=squares[shown].sum() / variance)
    prior.average.load_state_dict(network.state_dict())


def export_prior(folder: Path, prior: PriorInTraining, facts: dict[str, str]) -> None:
    """Writes the prior's average and its card.

    Args:
        folder: of the run.
        prior: as finished.
        facts: of `TrainingRun.facts`, with "source".
    """
    path = folder / PRIOR_FILE
    network = prior.average
    write_network_file(path, network, network.config, facts)
    ModelCard(
        "The prior of DNPM",
        "The mapping network of DNPM: 512 normal numbers to the W+ latents of a random person's map, at any\n"
        "truncation. A fixed layer draws a person and a face; the layers after it start as the detail\n"
        "encoder's, its heads cut to a bottleneck before the styles, and learn on from its latents.",
        source=f"latents that the detail encoder gives random people. The encoder: {facts['source']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes",
        evaluation="`python -m ml_backend evaluate dnpm --json` prints the figures; the last ones measured "
        "are noted by `--card`.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
        licence=licence_of(facts["source"]),
    ).write(path)
