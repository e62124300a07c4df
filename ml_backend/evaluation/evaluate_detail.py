"""Measures Detailed3DMM beside its baselines on simulated people that no training saw.

The training people of --config are simulated into --data unless they are there already (minutes); the
baselines are fitted to them in this process. Figures: see the keys of --json. PSNR's peak is the 0.1 to 99.9
percentile span of the held-out truth inside the face; SSIM counts active texels only; the spectrum compares
power per octave of wavelength from 0.5 to 16 mm, worst octave.

rows:
  ours            detail encoder + DNPM
  zero            no detail
  mean            the training people's mean map
  ridge           ridge regression from (1, w_id, w_exp) to principal components of maps
  ridge_products  the same with all products w_id x w_exp, in dual form; w_id is identity and skin
  mlp_pca         a multilayer perceptron from (w_id, w_exp) to 200 principal components
  vertices_1700, vertices_5000  encoders from vertices of the coarse face into the same generator (Table I of
  the paper)
  distilled       the numpy form that Blender carries
  truth_pca       the truth through the same 200 components: the bound of the ridge rows and of mlp_pca
  inversion       the generator's nearest maps to the truth, fitted to a few of them: its upper bound

examples:
  python -m ml_backend evaluate detail --json
  python -m ml_backend evaluate detail --identities 8 --expressions 6 --resolution 256
  python -m ml_backend evaluate detail --weights build/dnpm --card
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..asset_files import ASSETS
from ..datasets.map_set import HELD_OUT_SEED
from ..datasets.sampled_expressions import FACES, named_face
from ..errors import UserError
from ..files.model_card import note_evaluation
from ..files.relief_sheet import write_sample_sheet
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, Detailed3DMM
from ..models.skin_vector import sample_skin
from ..simulation.relief.skin_simulation import SkinSimulation
from ..training.training_run import open_maps, read_configuration
from . import detail_behaviour as behaviour
from .compare_baselines import Baselines, fit_baselines
from .detail_fidelity import FidelityTotals
from .detail_forms import BASIS_RESOLUTION, INVERTED_PEOPLE, basis_figures, distilled_speed, inverted
from .held_out_people import VARIETY_FACES, BehaviourRows, HeldOutPeople

BEHAVIOUR_PEOPLE = 12
SHOWN_PEOPLE = 8
PAPER = {"psnr_db": 24.083, "ssim": 0.591, "data": "the paper, on FaceScape"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--identities", type=int, default=40, help="held-out people (default: 40)")
    parser.add_argument("--expressions", type=int, default=20, help="expressions of each (default: 20)")
    parser.add_argument(
        "--resolution",
        type=int,
        default=1024,
        choices=(256, 512, 1024),
        help="texels along a side (default: 1024)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of dnpm.safetensors and detail_encoder.safetensors (default: the package's)",
    )
    parser.add_argument(
        "--config",
        default="2core",
        help="training people of this configuration: 2core, gpu or a TOML file (default: 2core)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("build/maps"),
        help="folder of their simulated maps (default: %(default)s)",
    )
    parser.add_argument(
        "--baseline-minutes",
        "--rival-minutes",
        type=float,
        default=2.5,
        help="training time of mlp_pca and of each vertex encoder (default: 2.5)",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument("--sheet", type=Path, help="write a PNG of truth, ours and mlp_pca as shaded relief")
    parser.add_argument(
        "--card", action="store_true", help="note the figures in the model cards beside the weights"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    if args.identities < 2 or args.expressions < 2:
        raise UserError("At least 2 identities and 2 expressions are needed.")
    if args.threads:
        torch.set_num_threads(args.threads)
    began = time.monotonic()
    sets = open_maps(args.data, read_configuration(args.config, "dnpm")["sets"], torch.device("cpu"))
    if max(maps.maps.shape[-1] for maps in sets.values()) < args.resolution:
        raise UserError(
            f"The training maps of {args.config} are coarser than {args.resolution}.",
            "Choose a lower --resolution.",
        )
    model = Detailed3DMM.load(args.weights)
    baselines = fit_baselines(
        model,
        BilinearFace.default(),
        sets,
        args.resolution,
        args.baseline_minutes,
        lambda text: _say(began, text),
    )
    figures = measure(model, baselines, args, began)
    figures["seconds"] = round(time.monotonic() - began)
    if args.card:
        for file in (GENERATOR_FILE, ENCODER_FILE):
            note_evaluation((args.weights / file).with_suffix(".md"), card_text(figures))
    print(json.dumps(figures) if args.json else card_text(figures))
    return 0


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:7.0f} s  {text}", file=sys.stderr, flush=True)


def measure(model: Detailed3DMM, baselines: Baselines, args: argparse.Namespace, began: float) -> dict:
    """Measures all rows on the held-out people; returns the figures by the keys of --json."""
    held_out = HeldOutPeople(args.identities, args.expressions, args.resolution)
    mask = held_out.mask
    totals: dict[str, FidelityTotals] = {}
    rows = BehaviourRows(held_out)
    changes = []
    sheet: list[list[np.ndarray]] = [[], [], []]
    for number, (identity, skin) in enumerate(held_out.people):
        truth, strain = held_out.truth(identity, skin, held_out.with_rest)
        truth = truth * mask
        made = make_maps(model, baselines, held_out, (identity, skin), truth)
        compared = held_out.compared(truth[1:])
        for name, maps in made.items():
            totals.setdefault(name, held_out.totals()).add(maps[1:], compared)
        shown = 1 + number % len(held_out.expressions)
        if number < INVERTED_PEOPLE:
            nearest = inverted(model, identity, skin, held_out.with_rest[shown], truth[shown]) * mask
            totals.setdefault("inversion", held_out.totals()).add(
                nearest[None], held_out.compared(truth[shown][None])
            )
        if number < BEHAVIOUR_PEOPLE:
            rows.add(made["ours"], truth, strain)
        if number < SHOWN_PEOPLE:
            changes.append((truth[1:] - truth[:1])[:VARIETY_FACES, ::2, ::2])
            for column, maps in zip(sheet, (truth, made["ours"], made["mlp_pca"]), strict=True):
                column.append(maps[shown].numpy())
        _say(began, f"{number + 1} of {len(held_out.people)} held-out people measured")
    if args.sheet:
        write_sample_sheet(args.sheet, [np.stack(row) for row in sheet], tile=512)
    table = {name: total.figures() for name, total in totals.items()}
    return {
        **table.pop("ours"),
        **rows.figures(),
        **behaviour_at_256(model, held_out.simulation, held_out.people[:6]),
        "variety": round(behaviour.variety(changes, mask[::2, ::2]), 4),
        "variety_seeds": round(seeds_correlation(held_out), 4),
        "basis": basis_figures(model, *held_out.people[0], held_out.expressions, _basis_mask(mask)),
        "distilled": {**table.pop("distilled"), **distilled_speed(baselines.distilled)},
        "parameters": {
            "ours": sum(parameter.numel() for parameter in model.encoder.parameters()),
            **{name: encoder.parameters for name, encoder in baselines.vertices.items()},
        },
        "n_inversion": min(INVERTED_PEOPLE, args.identities),
        "peak_mm": round(held_out.peak, 4),
        "deviation_mm": round(held_out.deviation, 5),
        "baselines": table,
        "n_identities": args.identities,
        "n_expressions": args.expressions,
        "resolution": args.resolution,
        "n_behaviour": min(BEHAVIOUR_PEOPLE, args.identities),
        "paper": PAPER,
    }


def make_maps(
    model: Detailed3DMM,
    baselines: Baselines,
    held_out: HeldOutPeople,
    one: tuple[np.ndarray, np.ndarray],
    truth: Tensor,
) -> dict[str, Tensor]:
    """Makes one person's maps (1 + E, R, R) by row, 0 outside the mask; the truth for its projection."""
    identity, skin = one
    count = len(held_out.with_rest)
    ours = model.displacement(
        np.repeat(identity[None], count, 0),
        np.repeat(skin[None], count, 0),
        held_out.with_rest,
        truth.shape[-1],
    )
    made = {
        "ours": torch.from_numpy(ours),
        **baselines.make(identity, skin, held_out.with_rest, truth),
    }
    return {name: maps * held_out.mask for name, maps in made.items()}


def _basis_mask(mask: Tensor) -> np.ndarray:
    """Returns the mask (R, R) at the basis' resolution, bool."""
    size = (BASIS_RESOLUTION, BASIS_RESOLUTION)
    return (functional.interpolate(mask[None, None].float(), size=size, mode="area")[0, 0] > 0.5).numpy()


def seeds_correlation(held_out: HeldOutPeople) -> float:
    """Returns the mean correlation of the first person's true wrinkles under four wrinkle seeds."""
    identity, _ = held_out.people[0]
    faces = held_out.with_rest[: 1 + VARIETY_FACES]
    changes = []
    for seed in range(4):
        maps, _ = held_out.truth(identity, sample_skin(HELD_OUT_SEED + 500 + seed), faces)
        changes.append((maps[1:] - maps[:1])[:, ::2, ::2])
    return behaviour.variety(changes, held_out.mask[::2, ::2])


def behaviour_at_256(
    model: Detailed3DMM, large: SkinSimulation, people: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Measures locality and smoothness on maps of 256.

    Locality is the largest over units and regions, pooled over people; smoothness the largest over paths.
    """
    simulation = SkinSimulation(large.face, resolution=256, mean_skin=large.mean_skin)
    mask = simulation.mask.cpu()
    regions = {name: weight * mask for name, weight in behaviour.region_weights(large.face, 256).items()}
    units = behaviour.single_units()
    moved = []
    jumps = []
    for identity, skin in people:
        state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])

        def make(faces: np.ndarray, identity: np.ndarray = identity, skin: np.ndarray = skin) -> Tensor:
            count = len(faces)
            return (
                torch.from_numpy(
                    model.displacement(
                        np.repeat(identity[None], count, 0), np.repeat(skin[None], count, 0), faces, 256
                    )
                )
                * mask
            )

        moved += behaviour.locality(make(units), behaviour.person_strain(state, units), regions)
        jumps += [behaviour.smoothness(make, named_face(name)) for name in list(FACES)[:8]]
    return {
        "locality_mm": round(float(np.max(moved)), 4) if moved else 0.0,
        "smoothness": round(float(np.max(jumps)), 3),
    }


def card_text(figures: dict) -> str:
    """Returns the figures as a Markdown table."""
    basis = figures["basis"]
    distilled = figures["distilled"]
    lines = [
        f"{figures['n_identities']} held-out people x {figures['n_expressions']} expressions "
        f"at {figures['resolution']}; "
        f"peak {figures['peak_mm']} mm, standard deviation of the truth {figures['deviation_mm']} mm.",
        "",
        "| row | PSNR dB | SSIM, active texels | spectrum, worst octave dB |",
        "|---|---|---|---|",
    ]
    for name, row in {
        "detail encoder + DNPM": figures,
        "distilled": distilled,
        **figures["baselines"],
    }.items():
        lines.append(
            f"| {name} | {row['psnr_db']:.2f} | {row['ssim']:.3f} | {row['spectrum_worst_octave_db']:+.2f} |"
        )
    place = ", ".join(
        f"{name} {value:.2f} (truth {figures['placement_truth'][name]:.2f})"
        for name, value in figures["placement"].items()
    )
    lines += [
        f"| {PAPER['data']} | {PAPER['psnr_db']} | {PAPER['ssim']} | |",
        "",
        "- Octaves up to 16 mm, shortest first, generated over true power, dB: "
        f"{figures['spectrum_octaves_db']}.",
        f"- The lines below are of the first {min(BEHAVIOUR_PEOPLE, figures['n_identities'])} people.",
        f"- Placement, correlation of wrinkle energy with compression over expressions: {place}.",
        f"- Direction against compression {figures['direction_deg']} degrees "
        f"(truth {figures['direction_deg_truth']}); locality {figures['locality_mm']} mm; "
        f"persistence {figures['persistence']}; smoothness {figures['smoothness']}.",
        f"- Detail basis of a clip of {basis['frames']} frames: K {basis['k']}, "
        f"{basis['psnr_db']} dB against the generator, "
        f"{basis['mb_per_minute']} MB a minute (image sequence {basis['mb_per_minute_image_sequence']}).",
        f"- Distilled detail: {distilled['ms']} ms an update of 72,000 vertices, {distilled['mb']} MB.",
        f"- Parameters of the encoders: {figures['parameters']}. "
        f"`inversion` is of {figures['n_inversion']} maps; the vertex",
        "  encoders were taught the encoder's latents, which bounds them by it.",
        f"- Variety of the truth: people {figures['variety']}, wrinkle seeds {figures['variety_seeds']}.",
        "",
    ]
    return "\n".join(lines)
