"""Trains DNPM, the generator over displacement maps, on simulated skin.

Stages, each switched by its table in the configuration:
  principal    positional constants from principal components, the encoder from their coefficients
  coarse       generator and encoder together on pairs, at the coarse set's resolution
  bands        the encoder's last layers for the finer blocks' components, whose inputs the coarse stage moved
  fine         the finest blocks on pairs, at the fine set's resolution
  prior        the mapping network from z ~ N(0, 1) to the latents of random people, in a file of its own
  adversarial  StyleGAN2 with adaptive augmentation, R1 and path length regularisation

Writes to --out: dnpm.safetensors, detail_encoder.safetensors and dnpm_prior.safetensors (weight averages,
float16), their model cards, log.jsonl, sheets of truth and generated maps as PNG, checkpoint.safetensors. The
maps are simulated into --data on first use.

examples:
  python -m ml_backend train dnpm --config 2core --out build/dnpm
  python -m ml_backend train dnpm --config gpu --device cuda --out build/dnpm
  python -m ml_backend train dnpm --config 2core --out build/dnpm --resume
  python -m ml_backend train dnpm --config 2core --out build/dnpm --steps coarse=1400 fine=220
  python -m ml_backend train dnpm --only prior --out build/prior --install
  python -m ml_backend train dnpm --only adversarial --out build/adversarial --install
  python -m ml_backend train dnpm --config gpu --maps scans --layout folder --data build/scans --out build/own
"""

import argparse
import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..datasets.map_set import MapSet
from ..datasets.own_scans import add_scan_arguments, open_scans
from ..files.model_card import SIMULATED, install
from ..files.network_file import write_network_file
from ..models.bilinear_face import BilinearFace
from ..models.detail_encoder import DetailEncoder, EncoderConfig
from ..models.detailed_3dmm import (
    ENCODER_FILE,
    FULL_PRECISION,
    GENERATOR_FILE,
    PRIOR_FILE,
    read_encoder,
    read_generator,
    read_prior,
    whole_numbers,
)
from ..models.displacement_discriminator import DisplacementDiscriminator
from ..models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ..models.saved_latent import STANDS_FOR, weights_fingerprint
from .input_statistics import identity_influence, unit_activity
from .pair_training import ENCODER_CARD, GENERATOR_CARD, Pair, build_pair, detail_card, recentre, train_pair
from .principal_start import (
    CoefficientTargets,
    band_rows,
    fit_coefficients,
    full_rows,
    project_on_block,
    start_block,
)
from .prior.adversarial_training import train_adversarially
from .prior.fit_prior import PriorInTraining, export_prior, fit_prior
from .restore_power import restore_octaves, restore_power
from .steps import TrainingRun
from .training_run import add_run_arguments, open_maps, read_configuration

BAND_MAPS = 1500  # maps that the components of the finer bands are taken from
_SAME_MAPS_DB = 30.0
"""From here on, latents that were found with the former generator stay valid."""
_COMPARED, _RARELY = 8, 0.7
"""People whose maps are compared, and the share of sliders at rest."""
STAGES = ("principal", "coarse", "bands", "fine", "prior", "adversarial")
ALONE = ("prior", "adversarial")
"""Stages that finished networks can go through alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/dnpm")
    add_scan_arguments(parser)
    parser.add_argument(
        "--until", choices=STAGES, default=STAGES[-1], help="last stage to run (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        choices=ALONE,
        help="run this stage alone, for the finished networks of --start: the prior needs no maps, the "
        "adversarial stage those of the coarse set",
    )
    parser.add_argument(
        "--start",
        type=Path,
        default=ASSETS,
        help="folder of the networks that --only starts from (default: the package's)",
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


def block_rows(pair: Pair, sets: dict[str, MapSet]) -> Iterator[tuple[int, MapSet, np.ndarray]]:
    """Yields the rows that each block with positional constants is to hold.

    The coarsest block holds the maps, finer ones their own band.

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


def principal_stage(pair: Pair, sets: dict[str, MapSet], settings: dict, run: TrainingRun) -> None:
    """Starts positional constants from the sets' principal components, and the encoder from coefficients.

    Args:
        pair: trained in place.
        sets: map sets by name.
        settings: as `fit_coefficients` takes them.
        run: log, checkpoint and device.
    """
    unit = float(pair.generator.millimetres)
    groups: dict[tuple[int, int], tuple[MapSet, list[CoefficientTargets]]] = {}
    with torch.no_grad():
        for block in pair.generator.synthesis_blocks:
            block.to_map.weight.zero_()  # the map begins as the components alone
    for index, maps, rows in block_rows(pair, sets):
        block = pair.generator.synthesis_blocks[index]
        size = (block.resolution, block.resolution)
        mask = torch.from_numpy(maps.mask)[None, None]
        mask = functional.interpolate(mask, size=size, mode="area")[0, 0].numpy()
        targets = start_block(block, index, rows, (mask > 0).astype(np.float32), unit)
        groups.setdefault((maps.maps.shape[-1], len(maps)), (maps, []))[1].append(targets)
        power = float(targets.power.sum())
        run.write("principal", resolution=block.resolution, components=block.count - 1, power=power)
    fit_coefficients("principal", pair.encoder, pair.generator, list(groups.values()), settings, run)
    pair.restart_average()


def bands_stage(pair: Pair, sets: dict[str, MapSet], settings: dict, run: TrainingRun) -> None:
    """Trains the encoder's last layers again, for the blocks finer than those that pairs trained.

    Their inputs have moved since the start, and here they see more people than the components were taken
    from.

    Args:
        pair: trained in place.
        sets: map sets by name.
        settings: `from_resolution`, `maps` (of each set), and as `fit_coefficients` takes them.
        run: log, checkpoint and device.
    """
    groups: dict[str, tuple[MapSet, list[CoefficientTargets]]] = {}
    ascending = sorted(sets, key=lambda name: sets[name].maps.shape[-1])
    for index, block in enumerate(pair.generator.synthesis_blocks):
        name = next((name for name in ascending if sets[name].maps.shape[-1] >= block.resolution), None)
        if not block.count or block.resolution < settings["from_resolution"] or name is None:
            continue
        maps = sets[name].thinned(settings.get("maps", 8000))
        targets = project_on_block(block, index, maps.maps, float(pair.generator.millimetres))
        groups.setdefault(name, (maps, []))[1].append(targets)
    fit_coefficients(
        "bands", pair.encoder, pair.generator, list(groups.values()), settings, run, last_only=True
    )
    for maps, blocks in groups.values():
        for targets in blocks:
            gain = restore_power(pair, maps, targets, run.device)
            resolution = pair.generator.synthesis_blocks[targets.block].resolution
            run.write("bands", resolution=resolution, gain=gain)
    pair.restart_average()


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "dnpm")
    training = TrainingRun.begin(args, STAGES)
    if args.only == "prior":
        return run_prior_alone(args, settings, training)
    if args.only == "adversarial":
        return run_adversarial_alone(args, settings, training)
    device = training.device
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
    discriminator = None
    if "adversarial" in settings:
        finest = settings["adversarial"]["resolution"]
        discriminator = DisplacementDiscriminator(finest, **settings.get("discriminator", {})).to(device)
        modules["discriminator"] = discriminator
    prior = None
    if "prior" in settings or "adversarial" in settings:
        prior = PriorInTraining.build(pair.encoder, settings.get("prior", {}))
        modules |= prior.modules
    keeper = training.keep(modules, args.resume)
    exported = False
    for stage in STAGES[: STAGES.index(args.until) + 1]:
        if stage not in settings or keeper.finished(stage):
            continue
        train_stage(stage, pair, prior, discriminator, sets, settings[stage], training)
        keeper.finish(stage)
        export(args, pair, prior, settings, keeper.state["finished"], training)
        exported = True
    if (
        not exported and keeper.state["finished"]
    ):  # resumed after the last stage: the process may have ended before it had written
        export(args, pair, prior, settings, keeper.state["finished"], training)
    if args.install:
        files = [GENERATOR_FILE, ENCODER_FILE, PRIOR_FILE]
        install(args.out, [file for file in files if file != PRIOR_FILE or keeper.finished("prior")])
    return 0


def run_prior_alone(args: argparse.Namespace, settings: dict, training: TrainingRun) -> int:
    """Learns the prior of finished networks, which stay as they are; returns the exit status."""
    encoder = read_encoder(args.start / ENCODER_FILE).to(training.device)
    generator = read_generator(args.start / GENERATOR_FILE).to(training.device)
    torch.manual_seed(STAGES.index("prior"))
    prior = PriorInTraining.build(encoder, settings["prior"])
    keeper = training.keep(prior.modules, args.resume)
    if not keeper.finished("prior"):
        torch.manual_seed(STAGES.index("prior"))
        fit_prior(prior, encoder, generator, settings["prior"], training)
        keeper.finish("prior")
    command = f"python -m ml_backend train dnpm --config {args.config} --only prior"
    facts = training.facts(command, ("prior",))
    facts["source"] = settings.get("source", SIMULATED)
    export_prior(args.out, prior, facts)
    if args.install:
        install(args.out, (PRIOR_FILE,))
    return 0


def run_adversarial_alone(args: argparse.Namespace, settings: dict, training: TrainingRun) -> int:
    """Trains finished generator and prior against a discriminator; the encoder stays as it is.

    Returns:
        The exit status.
    """
    device, stage = training.device, "adversarial"
    table = dict(settings["sets"]["coarse"])
    table["people"] = min(table["people"], settings[stage].get("people", table["people"]))
    encoder = read_encoder(args.start / ENCODER_FILE).to(device)
    generator = read_generator(args.start / GENERATOR_FILE).to(device)
    pair = Pair(generator, encoder, copy.deepcopy(generator), copy.deepcopy(encoder))
    pair.generator.train().requires_grad_(True)
    network = read_prior(args.start / PRIOR_FILE).to(device)
    prior = PriorInTraining(network, copy.deepcopy(network).eval().requires_grad_(False))
    torch.manual_seed(STAGES.index(stage))
    discriminator = DisplacementDiscriminator(settings[stage]["resolution"], **settings["discriminator"])
    modules = {**pair.modules, **prior.modules, "discriminator": discriminator.to(device)}
    keeper = training.keep(modules, args.resume)
    if not keeper.finished(stage):
        sets = open_maps(args.data, {"coarse": table}, device)
        train_stage(stage, pair, prior, discriminator, sets, settings[stage], training)
        keeper.finish(stage)
    command = f"python -m ml_backend train dnpm --config {args.config} --only {stage}"
    facts = training.facts(command, (stage,))
    facts["maps"] = (
        f"coarse: {table['people']} people x {table['expressions']} expressions at {table['resolution']}; "
        f"the stages before it by `--until prior`"
    )
    facts["source"] = settings.get("source", SIMULATED)
    moved = change_db(
        read_generator(args.start / GENERATOR_FILE), pair.generator_average.cpu(), pair.encoder.cpu()
    )
    training.write(stage, latents_db=moved)
    same = {}
    if moved >= _SAME_MAPS_DB:
        encoder_print = hashlib.sha256((args.start / ENCODER_FILE).read_bytes()).hexdigest()
        same[STANDS_FOR] = f"{encoder_print} {weights_fingerprint(args.start)}"
    export_generator(args.out, pair.generator_average, facts, same)
    export_prior(args.out, prior, facts)
    if args.install:
        install(args.out, (GENERATOR_FILE, PRIOR_FILE))
    return 0


@torch.inference_mode()
def change_db(before: DisplacementGenerator, after: DisplacementGenerator, encoder: DetailEncoder) -> float:
    """Returns how alike two generators' maps of the same latents are, dB below their own deviation.

    Args:
        before, after: of one size, on the CPU.
        encoder: gives the latents of random people and faces.
    """
    random = torch.Generator().manual_seed(0)
    sizes = encoder.config.identity_size, encoder.config.skin_size
    given = [torch.randn(_COMPARED, size, generator=random) for size in sizes]
    expressions = torch.rand(_COMPARED, encoder.config.expression_size, generator=random)
    latents = encoder.eval()(*given, expressions * (expressions > _RARELY)) + before.mean_latent
    maps = [network.eval()(latents, before.config.resolution) for network in (before, after)]
    wrong = (maps[0] - maps[1]).square().mean()
    return float(10 * torch.log10(maps[0].var() / wrong.clamp_min(1e-20)))


def train_stage(
    stage: str,
    pair: Pair,
    prior: PriorInTraining | None,
    discriminator: DisplacementDiscriminator | None,
    sets: dict[str, MapSet],
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains one stage.

    Args:
        stage: a name of `STAGES`.
        pair: trained in place.
        prior: needed by the last two stages, trained by them.
        discriminator: needed by the adversarial stage alone.
        sets: map sets by name.
        settings: the stage's table; `set` and `resolution` choose its maps.
        run: log, checkpoint and device.
    """
    torch.manual_seed(STAGES.index(stage))  # a run that is resumed between stages draws the same numbers
    maps = sets[settings.get("set", "coarse")]
    if "resolution" in settings:
        maps = maps.seen_at(settings["resolution"])
    if stage == "principal":
        principal_stage(pair, sets, settings, run)
    elif stage == "bands":
        bands_stage(pair, sets, settings, run)
    elif stage in ("coarse", "fine"):
        train_pair(stage, pair, maps, settings, run)
        if settings.get("restore_rounds", 0):
            octaves = restore_octaves(pair, maps, run.device, rounds=settings["restore_rounds"])
            run.write(stage, **{f"power_db_ring_{ring}": value for ring, value in enumerate(octaves)})
    elif stage == "prior":
        assert prior is not None
        if not run.is_inside("prior"):
            recentre(pair, sets["coarse"], run.device)
            pair.restart_average()
        fit_prior(prior, pair.encoder, pair.generator, settings, run)
    else:
        assert discriminator is not None and prior is not None
        train_adversarially(pair, prior, discriminator, maps, settings, run)


def export(
    args: argparse.Namespace,
    pair: Pair,
    prior: PriorInTraining | None,
    settings: dict,
    stages: list[str],
    run: TrainingRun,
) -> None:
    """Writes the averages as the files that are shipped, with their cards."""
    missing = [stage for stage in STAGES if stage in settings and stage not in stages]
    command = f"python -m ml_backend train dnpm --config {args.config}"
    facts = run.facts(command + (f" --until {stages[-1]}" if missing else ""), stages)
    if missing:
        facts["stages"] += f"; not yet through: {', '.join(missing)}"
    facts["maps"] = "; ".join(
        f"{name}: {t['people']} people x {t['expressions']} expressions at {t['resolution']}"
        for name, t in settings["sets"].items()
    )
    facts["source"] = settings.get("source", SIMULATED)
    export_generator(args.out, pair.generator_average, facts, {})
    path = args.out / ENCODER_FILE
    write_network_file(path, pair.encoder_average, pair.encoder.config, facts)
    detail_card(pair.encoder_average, ENCODER_CARD, facts).write(path)
    if prior is not None and "prior" in stages:
        export_prior(args.out, prior, facts)


def export_generator(
    folder: Path, generator: DisplacementGenerator, facts: dict[str, str], same: dict[str, str]
) -> None:
    """Writes the generator and its card.

    Args:
        folder: of the run.
        generator: its weight average.
        facts: of `TrainingRun.facts`, with "maps" and "source".
        same: `STANDS_FOR`, where latents of the networks before stay valid; else empty.
    """
    path = folder / GENERATOR_FILE
    large = whole_numbers(generator)
    write_network_file(path, generator, generator.config, {**facts, **same}, FULL_PRECISION, large)
    detail_card(generator, GENERATOR_CARD, facts).write(path)
