"""Trains DNPM, the generator over displacement maps, on simulated skin.

Stages, each switched by its table in the configuration:
  principal    positional constants from principal components, the encoder from their coefficients
  coarse       generator and encoder together on pairs, at the coarse set's resolution
  bands        the encoder's last layers for the finer blocks' components, after the coarse stage moved their
  inputs
  fine         the finest blocks on pairs, at the fine set's resolution
  prior        the mapping network from z ~ N(0, 1) to the latents of random people
  adversarial  StyleGAN2 with adaptive augmentation, R1 and path length regularisation

Writes to --out: dnpm.safetensors and detail_encoder.safetensors (weight averages, float16), dnpm.md (model
card), log.jsonl,
sheets of truth and generated maps as PNG, checkpoint.safetensors. The maps are simulated into --data on first
use.

examples:
  python -m ml_backend train dnpm --config 2core --out build/dnpm
  python -m ml_backend train dnpm --config gpu --device cuda --out build/dnpm
  python -m ml_backend train dnpm --config 2core --out build/dnpm --resume
  python -m ml_backend train dnpm --config gpu --maps scans --layout folder --data build/scans --out build/own
"""

import argparse
import copy
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.map_set import MapSet, MapSetSpec, make_map_set
from ..datasets.own_scans import add_scan_arguments, open_scans
from ..errors import UserError
from ..layers.device import device_name
from ..models.bilinear_face import BilinearFace
from ..models.detail_encoder import DetailEncoder, EncoderConfig
from ..models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, write_network
from ..models.displacement_discriminator import DisplacementDiscriminator
from ..models.displacement_generator import DisplacementGenerator, GeneratorConfig
from .adversarial_training import fit_prior, train_adversarially
from .checkpoints import load_checkpoint, save_checkpoint
from .model_card import SIMULATED, install, write_card
from .pair_training import Pair, recentre, train_pair
from .principal_start import (
    CoefficientTargets,
    band_rows,
    fit_coefficients,
    full_rows,
    latents_of,
    project_on_block,
    start_block,
    style_of,
)
from .restore_power import restore_octaves
from .training_run import RunLog, Schedule, add_run_arguments, choose_device, read_configuration
from .unit_activity import unit_activity

IDENTITY_SHARE = 0.6  # of the coefficient that moves the face most
BAND_MAPS = 1500  # maps that the components of the finer bands are taken from
EXPRESSION_SHARE = 0.6
STAGES = ("principal", "coarse", "bands", "fine", "prior", "adversarial")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/dnpm")
    add_scan_arguments(parser)
    parser.add_argument(
        "--until", choices=STAGES, default=STAGES[-1], help="last stage to run (default: %(default)s)"
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and cards where the package looks for them",
    )


def generator_config(table: dict) -> GeneratorConfig:
    """The [generator] table as a configuration; TOML writes resolutions as strings."""
    by_resolution = {
        name: {int(r): n for r, n in table.get(name, {}).items()} for name in ("constants", "channel_table")
    }
    return GeneratorConfig(**{**table, **by_resolution})


def open_maps(data: Path, sets: dict[str, dict], device: torch.device) -> dict[str, MapSet]:
    """Makes or opens the map sets of the [sets.*] tables, by name."""
    found = {}
    for name, table in sets.items():
        spec = MapSetSpec(**table)
        print(
            f"maps {name}: {spec.people} people x {spec.expressions} expressions at {spec.resolution}",
            file=sys.stderr,
            flush=True,
        )

        def tell(done: int, total: int, name: str = name) -> None:
            print(f"  {name}: {done} of {total} people simulated", file=sys.stderr, flush=True)

        found[name] = make_map_set(data / name, spec, str(device), tell)
    return found


def identity_influence(face: BilinearFace) -> tuple[np.ndarray, np.ndarray, float]:
    """How far each identity coefficient moves the face, relative to the one that moves it most, (K,); and age in decades from 45
    as weights (K,) and an offset."""
    size = face.identity_size
    middle, units = face.neutral(np.zeros(size, np.float32)), np.eye(size, dtype=np.float32) * 0.5
    moved = np.array([np.sqrt(np.mean((face.neutral(unit) - middle) ** 2)) for unit in units])
    age = face.age_years(np.zeros(size, np.float32))
    weights = np.array([(face.age_years(unit) - age) / 0.5 for unit in units]) / 10
    return moved / moved.max(), weights, (age - 45) / 10


@torch.no_grad()
def set_input_statistics(
    encoder: DetailEncoder, maps: MapSet, influence: tuple[np.ndarray, np.ndarray, float]
) -> None:
    """Centres and scales the encoder's inputs; `influence` from `identity_influence`."""
    moved, weights, offset = influence
    encoder.age_weights.copy_(torch.from_numpy(weights))
    encoder.age_offset.fill_(offset)
    age = (maps.identity @ weights + offset)[:, None]
    inputs = np.concatenate([maps.identity, age, maps.skin], 1).astype(np.float32)
    scale = np.concatenate(
        [np.clip(IDENTITY_SHARE * moved, 0.05, None), np.ones(1 + maps.skin.shape[1])]
    ).astype(np.float32)
    encoder.condition_mean.copy_(torch.from_numpy(inputs.mean(0)))
    encoder.condition_deviation.copy_(torch.from_numpy(inputs.std(0).clip(0.05) / scale))
    encoder.expression_mean.copy_(torch.from_numpy(maps.expression.mean(0)))
    encoder.expression_deviation.copy_(torch.from_numpy(maps.expression.std(0).clip(0.05) / EXPRESSION_SHARE))


def build_pair(
    generator: GeneratorConfig,
    encoder: EncoderConfig,
    maps: MapSet,
    influence: tuple[np.ndarray, np.ndarray, float],
    activity: Tensor,
    device: torch.device,
    seed: int = 0,
) -> Pair:
    """Fresh networks whose units and input statistics come from the maps; `influence` and `activity` as the functions of those names.

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


def block_rows(pair: Pair, sets: dict[str, MapSet]) -> Iterator[tuple[int, MapSet, np.ndarray]]:
    """What each block with positional constants is to hold: the coarsest the maps, finer ones their own band.

    Yields:
        The block's index, the maps (of the coarsest set that is fine enough), their rows (N, R * R)
        millimetres.
    """
    ascending = sorted(sets.values(), key=lambda maps: maps.maps.shape[-1])
    coarsest = True
    for index, block in enumerate(pair.generator.synthesis_blocks):
        maps = next((maps for maps in ascending if maps.maps.shape[-1] >= block.resolution), None)
        if block.count and maps is not None:
            maps = maps if coarsest else maps.thinned(BAND_MAPS)
            yield (
                index,
                maps,
                full_rows(maps.maps, block.resolution)
                if coarsest
                else band_rows(maps.maps, block.resolution),
            )
            coarsest = False


def principal_stage(
    pair: Pair, sets: dict[str, MapSet], settings: dict, log: RunLog, device: torch.device
) -> None:
    """Positional constants from the sets' principal components, and the encoder from their coefficients."""
    unit = float(pair.generator.millimetres)
    groups: dict[tuple[int, int], tuple[MapSet, list[CoefficientTargets]]] = {}
    with torch.no_grad():
        for block in pair.generator.synthesis_blocks:
            block.to_map.weight.zero_()  # the map begins as the components alone
    for index, maps, rows in block_rows(pair, sets):
        block = pair.generator.synthesis_blocks[index]
        size = (block.resolution, block.resolution)
        mask = nn.functional.interpolate(torch.from_numpy(maps.mask)[None, None], size=size, mode="area")[
            0, 0
        ].numpy()
        found = start_block(block, index, rows, (mask > 0).astype(np.float32), unit)
        groups.setdefault((maps.maps.shape[-1], len(maps)), (maps, []))[1].append(found)
        log.write(
            "principal",
            resolution=block.resolution,
            components=block.count - 1,
            power=float(found.power.sum()),
        )
    fit_coefficients(pair.encoder, pair.generator, list(groups.values()), settings, log, device)
    pair.restart_average()


def bands_stage(
    pair: Pair, sets: dict[str, MapSet], settings: dict, log: RunLog, device: torch.device
) -> None:
    """The encoder's last layers again, for the blocks finer than those that pairs trained: their inputs have moved since the start,
    and here they see more people than the components were taken from (`maps` of each set)."""
    groups: dict[str, tuple[MapSet, list[CoefficientTargets]]] = {}
    ascending = sorted(sets, key=lambda name: sets[name].maps.shape[-1])
    for index, block in enumerate(pair.generator.synthesis_blocks):
        name = next((name for name in ascending if sets[name].maps.shape[-1] >= block.resolution), None)
        if not block.count or block.resolution < settings["from_resolution"] or name is None:
            continue
        maps = sets[name].thinned(settings.get("maps", 8000))
        found = project_on_block(block, index, maps.maps, float(pair.generator.millimetres))
        groups.setdefault(name, (maps, []))[1].append(found)
    fit_coefficients(
        pair.encoder, pair.generator, list(groups.values()), settings, log, device, last_only=True
    )
    for maps, targets in groups.values():
        for found in targets:
            gain = restore_power(pair, maps, found, device)
            log.write("bands", resolution=pair.generator.synthesis_blocks[found.block].resolution, gain=gain)
    pair.restart_average()


@torch.no_grad()
def restore_power(pair: Pair, maps: MapSet, found: CoefficientTargets, device: torch.device) -> float:
    """Scales a block's components so that people whom the fit did not see get the power that their own coefficients have.

    What cannot be told from the inputs, a regression leaves out; the octave would be faint.

    Returns:
        The factor, 1 to 1.7.
    """
    unseen = slice(int(len(maps) * 0.9), None)
    given = [
        torch.from_numpy(np.ascontiguousarray(v[unseen])).to(device)
        for v in (maps.identity, maps.skin, maps.expression)
    ]
    block = pair.generator.synthesis_blocks[found.block]
    pair.encoder.eval()
    latents = latents_of(pair.encoder, pair.generator, [style_of(found.block)], given)[:, 0]
    told = block.coefficient(latents)[:, 1 : 1 + found.values.shape[1]].cpu()
    power = [float((values.square() * found.power).sum()) for values in (found.values[unseen], told)]
    gain = min(1.7, max(1.0, (power[0] / max(power[1], 1e-12)) ** 0.5))
    block.basis.tiles[:, 1:] *= gain
    return gain


class StageKeeper:
    """Checkpoints between and inside stages.

    Args:
        path: the checkpoint.
        modules: networks to keep.
        resume: whether to restore from the path.
    """

    def __init__(self, path: Path, modules: dict[str, nn.Module], resume: bool):
        self.path, self.modules = path, modules
        self.state: dict = {"finished": [], "stage": "", "done": 0, "spent": 0.0}
        if resume:
            self.state = load_checkpoint(path, modules, {})

    def finished(self, stage: str) -> bool:
        """Whether an earlier process finished this stage."""
        return stage in self.state["finished"]

    def finish(self, stage: str) -> None:
        """Notes that the stage is over."""
        self.state = {"finished": [*self.state["finished"], stage], "stage": "", "done": 0, "spent": 0.0}
        save_checkpoint(self.path, self.modules, {}, self.state)

    def hooks(self, stage: str) -> tuple[Callable[[dict, Schedule], None], Callable[[dict, Schedule], None]]:
        """`save` and `resume` for one stage."""

        def save(optimisers: dict[str, torch.optim.Optimizer], schedule: Schedule) -> None:
            self.state.update(stage=stage, done=schedule.done, spent=schedule.elapsed)
            save_checkpoint(self.path, self.modules, optimisers, self.state)

        def resume(optimisers: dict[str, torch.optim.Optimizer], schedule: Schedule) -> None:
            if self.state["stage"] == stage:
                load_checkpoint(self.path, {}, optimisers)
                schedule.done, schedule.spent = self.state["done"], self.state["spent"]

        return save, resume


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "dnpm")
    device = choose_device(args)
    log = RunLog(args.out, args.resume)
    sets = (
        open_scans(args.maps, args.layout, args.data, settings)
        if args.maps
        else open_maps(args.data, settings["sets"], device)
    )
    coarse = sets["coarse"]
    config = generator_config(settings["generator"])
    encoder = EncoderConfig(identity_size=coarse.identity.shape[1], **settings["encoder"])
    face = BilinearFace.default()
    pair = build_pair(config, encoder, coarse, identity_influence(face), unit_activity(face), device)
    modules: dict[str, nn.Module] = dict(pair.modules)
    if "adversarial" in settings:
        finest = settings["adversarial"]["resolution"]
        modules["discriminator"] = DisplacementDiscriminator(finest, **settings.get("discriminator", {})).to(
            device
        )
    keeper = StageKeeper(args.out / "checkpoint.safetensors", modules, args.resume)
    for stage in STAGES[: STAGES.index(args.until) + 1]:
        if stage not in settings or keeper.finished(stage):
            continue
        own, maps = settings[stage], sets[settings[stage].get("set", "coarse")]
        if "resolution" in own:
            maps = maps.seen_at(own["resolution"])
        if stage == "principal":
            principal_stage(pair, sets, own, log, device)
        elif stage == "bands":
            bands_stage(pair, sets, own, log, device)
        elif stage in ("coarse", "fine"):
            train_pair(stage, pair, maps, own, log, device, *keeper.hooks(stage))
            if own.get("restore_rounds", 0):
                octaves = restore_octaves(pair, maps, device, rounds=own["restore_rounds"])
                log.write(stage, **{f"power_db_ring_{ring}": value for ring, value in enumerate(octaves)})
        elif stage == "prior":
            recentre(pair, coarse, device)
            fit_prior(pair, own, log, device)
        else:
            discriminator = modules["discriminator"]
            assert isinstance(discriminator, DisplacementDiscriminator)
            train_adversarially(pair, discriminator, maps, own, log, device, *keeper.hooks(stage))
        keeper.finish(stage)
        export(args, pair, settings, keeper.state["finished"], log, device)
    if args.install:
        install(args.out, (GENERATOR_FILE, ENCODER_FILE))
    return 0


def export(
    args: argparse.Namespace, pair: Pair, settings: dict, stages: list[str], log: RunLog, device: torch.device
) -> None:
    """Writes the averages as the files that are shipped, with their cards."""
    missing = [stage for stage in STAGES if stage in settings and stage not in stages]
    facts = {
        "command": f"python -m ml_backend train dnpm --config {args.config}"
        + (f" --until {stages[-1]}" if missing else ""),
        "stages": ", ".join(
            f"{stage} ({settings[stage].get('minutes', 'no')} minutes at most)" for stage in stages
        )
        + (f"; not yet through: {', '.join(missing)}" if missing else ""),
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "maps": "; ".join(
            f"{name}: {t['people']} people x {t['expressions']} expressions at {t['resolution']}"
            for name, t in settings["sets"].items()
        ),
        "source": settings.get("source", SIMULATED),
    }
    sums = {
        GENERATOR_FILE: write_network(
            args.out / GENERATOR_FILE, pair.generator_average, pair.generator.config, facts
        ),
        ENCODER_FILE: write_network(
            args.out / ENCODER_FILE, pair.encoder_average, pair.encoder.config, facts
        ),
    }
    for file, network in ((GENERATOR_FILE, pair.generator_average), (ENCODER_FILE, pair.encoder_average)):
        config = dataclasses.asdict(network.config)
        write_card(args.out / file, config, sum(p.numel() for p in network.parameters()), facts, sums[file])
