"""Training on pairs: identity, skin and expression against the simulated map."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.map_set import MapSet
from ..errors import UserError
from ..files.model_card import ModelCard, licence_of
from ..files.relief_sheet import write_sample_sheet
from ..layers.blur_resampling import resize_by_halving
from ..layers.processes import own_share
from ..losses.map_reconstruction import activity_weights, band_losses, power_loss, weighted_square
from ..models.detail_encoder import DetailEncoder, EncoderConfig
from ..models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ..models.strain_gate import through_gate
from .checkpoints import WeightAverage
from .input_statistics import set_input_statistics
from .steps import TrainingRun

GENERATOR_CARD = (
    "DNPM, the generator of displacement maps",
    "A StyleGAN2 generator with the skip architecture (Karras et al. 2020), one output channel, 18 W+ "
    "styles of\n"
    "512, written from the papers; positional constants at fine resolutions are an addition. Output: "
    "millimetres,\n"
    "row 0 at the bottom.",
)
ENCODER_CARD = (
    "The detail encoder of Detailed3DMM",
    "An MLP from identity, skin vector and ARKit expression to W+ offsets of DNPM (Cao et al. 2024, Fig. "
    "2 b).",
)
"""Title and purpose of the cards."""


def detail_card(
    network: DisplacementGenerator | DetailEncoder, heading: tuple[str, str], facts: dict[str, str]
) -> ModelCard:
    """Returns the model card of a generator or an encoder.

    Args:
        network: the network that is stored.
        heading: title and purpose.
        facts: of `TrainingRun.facts`, with "maps" and "source".
    """
    return ModelCard(
        *heading,
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes after the maps were there",
        evaluation="`python -m ml_backend evaluate detail --json` prints the figures; the last ones "
        "measured are "
        "noted by `--card`.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
        licence=licence_of(facts["source"]),
    )


@dataclasses.dataclass
class Pair:
    """Generator and encoder in training with their weight averages, which are what is kept.

    Attributes:
        generator, encoder: in training.
        generator_average, encoder_average: their moving means.
    """

    generator: DisplacementGenerator
    encoder: DetailEncoder
    generator_average: DisplacementGenerator
    encoder_average: DetailEncoder

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All four by name, for checkpoints."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def keep_average(self) -> None:
        """Puts the averages in place of the weights in training, as the start of the next stage."""
        self.generator.load_state_dict(self.generator_average.state_dict())
        self.encoder.load_state_dict(self.encoder_average.state_dict())

    def restart_average(self) -> None:
        """Puts the weights in training in place of the averages."""
        self.generator_average.load_state_dict(self.generator.state_dict())
        self.encoder_average.load_state_dict(self.encoder.state_dict())


def build_pair(
    generator: GeneratorConfig,
    encoder: EncoderConfig,
    maps: MapSet,
    influence: tuple[np.ndarray, np.ndarray, float],
    activity: Tensor,
    device: torch.device,
    seed: int = 0,
) -> Pair:
    """Builds fresh networks whose units and input statistics come from the maps.

    Args:
        generator, encoder: sizes.
        maps: people and expressions.
        influence: from `identity_influence`.
        activity: from `unit_activity`.
        device: where the networks go.
        seed: of the start.

    Raises:
        UserError: the maps are blank.
    """
    torch.manual_seed(seed)
    built = DisplacementGenerator(generator)
    rows = np.linspace(0, len(maps) - 1, min(256, len(maps))).astype(int)
    unit = float(np.asarray(maps.maps[rows], np.float32).std())
    if not unit > 0:
        raise UserError("The maps are blank; there is nothing to learn.")
    built.millimetres.fill_(unit)
    network = DetailEncoder(encoder)
    set_input_statistics(network, maps, influence)
    network.gate.activity.copy_(activity)
    pair = Pair(built, network, copy.deepcopy(built), copy.deepcopy(network))
    for module in pair.modules.values():
        module.to(device)
    pair.generator.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    pair.generator_average.eval().requires_grad_(False)
    pair.encoder_average.eval().requires_grad_(False)
    return pair


@torch.no_grad()
def recentre(pair: Pair, maps: MapSet, device: torch.device) -> None:
    """Moves the mean of the encoder's W+ offsets over the set into the generator's mean latent.

    No map changes.
    """
    rows = np.linspace(0, len(maps) - 1, min(2048, len(maps))).astype(int)
    given = [
        torch.from_numpy(values[rows]).to(device) for values in (maps.identity, maps.skin, maps.expression)
    ]
    pair.encoder.eval()
    mean, first = pair.encoder(*given).mean(0), 0
    pair.generator.mean_latent += mean
    for head, count in zip(pair.encoder.heads, pair.encoder.config.styles, strict=True):
        head.bias -= mean[first : first + count].flatten()
        first += count


def maps_through_gate(
    generator: DisplacementGenerator, encoder: DetailEncoder, given: list[Tensor], resolution: int
) -> Tensor:
    """Returns maps of people under expressions as `Detailed3DMM` makes them.

    Args:
        generator, encoder: the networks.
        given: identity (B, K), skin (B, 16), expression (B, 52); people that come several times are put to
            rest once.
        resolution: R.

    Returns:
        (B, 1, R, R) in the generator's units.
    """
    identity, skin, expression = given
    people, owner = torch.unique(torch.cat([identity, skin], 1), dim=0, return_inverse=True)
    resting = [
        people[:, : identity.shape[1]],
        people[:, identity.shape[1] :],
        expression.new_zeros(len(people), expression.shape[1]),
    ]
    latents = (
        encoder(*(torch.cat(parts) for parts in zip(resting, given, strict=True))) + generator.mean_latent
    )
    maps = generator.maps(latents, resolution)[resolution]
    return through_gate(
        maps[: len(people)][owner], maps[len(people) :], encoder.gate(expression, resolution).to(maps.dtype)
    )


def reconstruction_loss(
    generator: DisplacementGenerator, generated: Tensor, truth: Tensor, mask: Tensor, settings: dict
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the weighted sum of square, absolute, line, texture and power terms.

    Args:
        generator: for its unit.
        generated: (B, 1, R, R) in the generator's units.
        truth: (B, 1, R, R) millimetres.
        mask: (R, R).
        settings: weights `square`, `absolute`, `lines`, `texture`, `power`; `octaves` compared.

    Returns:
        The loss, and its terms before weighting.
    """
    generated = generated.float() * mask
    target = truth / generator.millimetres * mask
    weights = activity_weights(target, mask, window=max(9, truth.shape[-1] // 28 | 1))
    lines, texture = band_losses(generated, target, mask, settings["octaves"])
    terms = {
        "square": weighted_square(generated, target, weights),
        "absolute": (weights * (generated - target).abs()).mean(),
        "lines": lines,
        "texture": texture,
        "power": power_loss(generated, target),
    }
    loss = sum(
        (settings.get(name, 0.0) * term for name, term in terms.items()),
        torch.zeros((), device=generated.device),
    )
    return loss, terms


def parameter_groups(pair: Pair, settings: dict) -> list[dict]:
    """Optimiser groups of a stage; what it does not train is frozen.

    Args:
        pair: the networks.
        settings: `from_resolution`: generator blocks below it stay as they are, and of the encoder only the
            layer of the finest styles; absent = everything. `generator_scale`, `encoder_scale`,
            `basis_scale`: factors on the rate, 0 = frozen.
    """
    least = settings.get("from_resolution", 0)
    pair.generator.requires_grad_(False)
    pair.encoder.requires_grad_(False)
    blocks = [block for block in pair.generator.synthesis_blocks if block.resolution >= least]
    bases = [block.basis.tiles for block in blocks if block.count]
    basis_ids = {id(p) for p in bases}
    others = [p for block in blocks for p in block.parameters() if id(p) not in basis_ids]
    encoder = (
        [pair.encoder] if not least else [pair.encoder.heads[-1]]
    )  # what is before feeds blocks that are not trained, too
    groups = [
        {"params": others, "scale": settings.get("generator_scale", 1.0)},
        {"params": bases, "scale": settings.get("basis_scale", 0.2)},
        {
            "params": [p for part in encoder for p in part.parameters()],
            "scale": settings.get("encoder_scale", 0.3),
        },
    ]
    groups = [{**group, "weight_decay": 0.0} for group in groups if group["scale"] > 0 and group["params"]]
    groups[-1]["weight_decay"] = settings.get("decay", 0.0)
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def train_pair(name: str, pair: Pair, maps: MapSet, settings: dict, run: TrainingRun) -> None:
    """Trains one stage on pairs; the last tenth of the people is held out for the log.

    Args:
        name: of the stage, for log and sheets.
        pair: trained in place.
        maps: the pairs.
        settings: see `reconstruction_loss`, `parameter_groups`, `TrainingRun.steps`; `batch`, `together`
            (neighbouring rows, which are mostly one person's, that are drawn together), `average_steps`.
        run: log, checkpoint and device.

    Raises:
        UserError: the set has too few maps.
    """
    device = run.device
    training = int(len(maps) * 0.9)
    if training < 1 or len(maps) == training:
        raise UserError(f"{len(maps)} maps are too few to train on.", "Raise `people` in the configuration.")
    random = np.random.default_rng(2)
    optimiser = torch.optim.AdamW(parameter_groups(pair, settings), lr=settings["rate"], betas=(0.9, 0.99))
    half_life = settings.get("average_steps", 200)
    averages = [
        WeightAverage(pair.generator, pair.generator_average, half_life),
        WeightAverage(pair.encoder, pair.encoder_average, half_life),
    ]
    mask = torch.from_numpy(maps.mask).to(device)
    together = min(settings.get("together", 3), training)
    clip = settings.get("clip", 1.0)

    def measure() -> dict[str, float]:
        return held_out_error(pair.generator_average, pair.encoder_average, maps, training, mask, device)

    for step in run.steps(name, {"pair": optimiser}, averages, settings, measure=measure, random=[random]):
        pair.encoder.train()
        count = max(1, settings["batch"] // together)
        first = own_share(np.sort(random.integers(0, training - together + 1, count)))
        truth, *given = maps.batch((first[:, None] + np.arange(together)).ravel(), device)
        with torch.autocast(device.type, enabled=device.type == "cuda", dtype=torch.bfloat16):
            generated = maps_through_gate(pair.generator, pair.encoder, given, truth.shape[-1])
        loss, terms = reconstruction_loss(pair.generator, generated, truth, mask, settings)
        step.descend(loss, clip=clip, **terms)
    pair.keep_average()
    if run.log:
        write_pair_sheet(run.folder / f"{name}.png", pair, maps, training, device)


@torch.inference_mode()
def held_out_error(
    generator: DisplacementGenerator,
    encoder: DetailEncoder,
    maps: MapSet,
    training: int,
    mask: Tensor,
    device: torch.device,
    count: int = 32,
) -> dict[str, float]:
    """Measures the error on people that training does not see.

    Returns:
        `unseen`: mean square over the truth's; `unseen_fine_db`: power of the finest three octaves over the
        truth's, dB.
    """
    encoder.eval()
    missed, power, fine = 0.0, 0.0, [0.0, 0.0]
    for row in np.linspace(training, len(maps) - 1, min(count, len(maps) - training)).astype(int):
        truth, *given = maps.batch(np.array([row]), device)
        generated = (
            maps_through_gate(generator, encoder, given, truth.shape[-1]) * generator.millimetres * mask
        )
        truth = truth * mask
        missed += float((generated - truth).square().sum())
        power += float(truth.square().sum())
        for index, image in enumerate((generated, truth)):
            low = resize_by_halving(image, image.shape[-1] // 8)
            fine[index] += float(image.square().sum() - 64 * low.square().sum())
    return {
        "unseen": missed / max(power, 1e-12),
        "unseen_fine_db": 10 * float(np.log10(max(fine[0], 1e-12) / max(fine[1], 1e-12))),
    }


@torch.inference_mode()
def write_pair_sheet(
    path: Path, pair: Pair, maps: MapSet, training: int, device: torch.device, count: int = 6
) -> None:
    """Writes truth above generated maps of held-out people."""
    pair.encoder.eval()
    rows = np.linspace(training, len(maps) - 1, min(count, len(maps) - training)).astype(int)
    truth, *given = maps.batch(rows, device)
    generated = (
        maps_through_gate(pair.generator, pair.encoder, given, truth.shape[-1])[:, 0]
        * pair.generator.millimetres
    )
    write_sample_sheet(path, [(truth[:, 0].cpu().numpy() * maps.mask), generated.cpu().numpy() * maps.mask])
