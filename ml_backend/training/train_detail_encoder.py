"""Trains the detail encoder - identity, skin and expression into DNPM's W+ space - with the generator as it is.

The loss is the paper's shape (absolute difference + a perceptual term, Cao et al. 2024, Eq. 5-7), weighted to
texels where
the truth has wrinkles; the perceptual term compares octave bands as lines and as texture, which suits relief
better than
features of photographs. --start goes on from an encoder that was trained together with the generator by
`train dnpm`.

Writes to --out: detail_encoder.safetensors (weight average, float16), detail_encoder.md (model card),
log.jsonl, a sheet of
truth and generated maps, checkpoint.safetensors. The maps are simulated into --data on first use.

examples:
  python -m ml_backend train detail-encoder --config 2core --generator build/dnpm/dnpm.safetensors --out
  build/encoder
  python -m ml_backend train detail-encoder --generator build/dnpm/dnpm.safetensors --start
  build/dnpm/detail_encoder.safetensors
"""

import argparse
import copy
import dataclasses
from pathlib import Path

import torch

from ..asset_files import ASSETS
from ..datasets.own_scans import add_scan_arguments, open_scans
from ..layers.device import device_name
from ..models.bilinear_face import BilinearFace
from ..models.detail_encoder import EncoderConfig
from ..models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, read_encoder, read_generator, write_network
from .model_card import SIMULATED, install, write_card
from .pair_training import Pair, train_pair
from .train_dnpm import StageKeeper, build_pair, identity_influence, open_maps
from .training_run import RunLog, add_run_arguments, choose_device, read_configuration
from .unit_activity import unit_activity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/encoder")
    add_scan_arguments(parser)
    parser.add_argument(
        "--generator",
        type=Path,
        default=ASSETS / GENERATOR_FILE,
        help="the trained generator (default: the package's)",
    )
    parser.add_argument("--start", type=Path, help="encoder weights to go on from (default: random)")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "detail-encoder")
    device = choose_device(args)
    log = RunLog(args.out, args.resume)
    generator = read_generator(args.generator).to(device)
    sets = (
        open_scans(args.maps, args.layout, args.data, settings)
        if args.maps
        else open_maps(args.data, settings["sets"], device)
    )
    maps = sets["coarse"].seen_at(settings["encoder_training"]["resolution"])
    fresh = EncoderConfig(identity_size=maps.identity.shape[1], **settings["encoder"])
    face = BilinearFace.default()
    pair = build_pair(generator.config, fresh, maps, identity_influence(face), unit_activity(face), device)
    if args.start:
        started = read_encoder(args.start).to(device).requires_grad_(True)
        pair = Pair(pair.generator, started, pair.generator_average, copy.deepcopy(started))
    pair.generator.load_state_dict(generator.state_dict())
    pair.generator_average.load_state_dict(generator.state_dict())
    keeper = StageKeeper(args.out / "checkpoint.safetensors", dict(pair.modules), args.resume)
    if not keeper.finished("encoder"):
        stage = {**settings["encoder_training"], "generator_scale": 0.0, "basis_scale": 0.0}
        train_pair("encoder", pair, maps, stage, log, device, *keeper.hooks("encoder"))
        keeper.finish("encoder")
    table = settings["sets"]["coarse"]
    facts = {
        "command": f"python -m ml_backend train detail-encoder --config {args.config}"
        + (" --start (the encoder of train dnpm)" if args.start else ""),
        "stages": f"encoder ({settings['encoder_training'].get('minutes', 'no')} minutes at most)",
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "maps": f"{table['people']} people x {table['expressions']} expressions at {table['resolution']}",
        "source": settings.get("source", SIMULATED),
    }
    encoder = pair.encoder_average
    sha256 = write_network(args.out / ENCODER_FILE, encoder, encoder.config, facts)
    write_card(
        args.out / ENCODER_FILE,
        dataclasses.asdict(encoder.config),
        sum(p.numel() for p in encoder.parameters()),
        facts,
        sha256,
    )
    if args.install:
        install(args.out, (ENCODER_FILE,))
    return 0
