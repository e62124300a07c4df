"""Trains the detail encoder, identity and expression into DNPM's W+ space, for a finished generator.

The loss is the paper's shape (absolute difference + a perceptual term, Cao et al. 2024, Eq. 5-7), weighted to
texels where the truth has wrinkles; the perceptual term compares octave bands as lines and as texture, which
suits relief better than features of photographs. --start goes on from an encoder that was trained together
with the generator by `train dnpm`.

Writes to --out: detail_encoder.safetensors (weight average, float16), detail_encoder.md (model card),
log.jsonl, a sheet of truth and generated maps, checkpoint.safetensors. The maps are simulated into --data on
first use.

examples:
  python -m ml_backend train detail-encoder --config 2core --generator build/dnpm/dnpm.safetensors --out
  build/encoder
  python -m ml_backend train detail-encoder --generator build/dnpm/dnpm.safetensors --start
  build/dnpm/detail_encoder.safetensors
"""

import argparse
import copy
from pathlib import Path

from ..asset_files import ASSETS
from ..datasets.own_scans import add_scan_arguments, open_scans
from ..files.model_card import SIMULATED, install
from ..files.network_file import write_network_file
from ..models.bilinear_face import BilinearFace
from ..models.detail_encoder import EncoderConfig
from ..models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, read_encoder, read_generator
from .input_statistics import identity_influence, unit_activity
from .pair_training import ENCODER_CARD, Pair, build_pair, detail_card, train_pair
from .steps import TrainingRun
from .training_run import add_run_arguments, open_maps, read_configuration


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
    training = TrainingRun.begin(args, ("encoder",))
    device = training.device
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
    keeper = training.keep(pair.modules, args.resume)
    if not keeper.finished("encoder"):
        stage = {**settings["encoder_training"], "generator_scale": 0.0, "basis_scale": 0.0}
        train_pair("encoder", pair, maps, stage, training)
        keeper.finish("encoder")
    command = f"python -m ml_backend train detail-encoder --config {args.config}"
    facts = training.facts(
        command + (" --start (the encoder of train dnpm)" if args.start else ""), ("encoder",)
    )
    table = settings["sets"]["coarse"]
    facts["maps"] = f"{table['people']} people x {table['expressions']} expressions at {table['resolution']}"
    facts["source"] = settings.get("source", SIMULATED)
    encoder = pair.encoder_average
    write_network_file(args.out / ENCODER_FILE, encoder, encoder.config, facts)
    detail_card(encoder, ENCODER_CARD, facts).write(args.out / ENCODER_FILE)
    if args.install:
        install(args.out, (ENCODER_FILE,))
    return 0
