"""Measures Detailed3DMM on simulated people that training never saw, beside simpler ways of making the same maps.

The training people of --config are simulated into --data unless they are there already (minutes); the
baselines are fitted
to them in this process. Figures: see the keys of --json. PSNR's peak is the 0.1 to 99.9 percentile span of
the held-out truth inside
the face; SSIM counts active texels only; the spectrum compares power per octave of wavelength from 0.5 to 16
mm, worst octave.

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
from ..datasets.map_set import HELD_OUT_SEED, person
from ..datasets.sampled_expressions import FACES, named_face, sample_expressions
from ..errors import UserError
from ..files.model_card import note_evaluation
from ..files.relief_sheet import write_sample_sheet
from ..losses.map_reconstruction import percentile_span
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, Detailed3DMM
from ..models.skin_vector import sample_skin
from ..simulation.relief.skin_simulation import SkinSimulation
from ..training.training_run import open_maps, read_configuration
from . import detail_behaviour as behaviour
from .compare_baselines import Rivals, fit_rivals
from .detail_fidelity import FidelityTotals, SpectrumBins, TrueMaps
from .detail_forms import BASIS_RESOLUTION, INVERTED_PEOPLE, basis_figures, distilled_speed, inverted

BEHAVIOUR_PEOPLE = 12
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


def held_out_expressions(count: int) -> np.ndarray:
    """(count, 52): the named faces first, then drawn ones, the same for everybody."""
    named = np.stack([named_face(name) for name in FACES])[:count]
    drawn = sample_expressions(max(0, count - len(named)), np.random.default_rng(HELD_OUT_SEED))
    return np.concatenate([named, drawn]).astype(np.float32)


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
    rivals = fit_rivals(
        model,
        BilinearFace.default(),
        sets,
        args.resolution,
        args.rival_minutes,
        lambda text: _say(began, text),
    )
    figures = measure(model, rivals, args, began)
    figures["seconds"] = round(time.monotonic() - began)
    if args.card:
        for file in (GENERATOR_FILE, ENCODER_FILE):
            note_evaluation((args.weights / file).with_suffix(".md"), card_text(figures))
    print(json.dumps(figures) if args.json else card_text(figures))
    return 0


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:7.0f} s  {text}", file=sys.stderr, flush=True)


def measure(model: Detailed3DMM, rivals: Rivals, args: argparse.Namespace, began: float) -> dict:
    """All figures of the held-out people."""
    face = BilinearFace.default()
    simulation = SkinSimulation(face, resolution=args.resolution)
    mask = simulation.mask.cpu()
    chart = simulation.mean_skin.chart
    expressions = held_out_expressions(args.expressions)
    everything = np.concatenate([np.zeros((1, expressions.shape[1]), np.float32), expressions])
    people = [person(face, HELD_OUT_SEED + number) for number in range(args.identities)]
    window = max(3, round(2.0 / (sum(chart.scale) / 2) * args.resolution))
    bins = SpectrumBins(args.resolution, chart.scale, mask)
    regions = behaviour.region_weights(face, args.resolution)
    regions = {name: weight * mask for name, weight in regions.items()}

    def simulate(identity: np.ndarray, skin: np.ndarray, faces: np.ndarray) -> tuple[Tensor, Tensor]:
        state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
        return simulation.displacement(state, torch.from_numpy(faces)[None])[0], behaviour.person_strain(
            state, faces
        )

    with torch.inference_mode():
        sampled = [people[n] for n in np.linspace(0, len(people) - 1, min(8, len(people))).astype(int)]
        some = torch.cat([simulate(identity, skin, expressions)[0] for identity, skin in sampled])
    peak, deviation = percentile_span(some.numpy(), mask.numpy()), float(some[:, mask].std())
    del some
    totals: dict[str, FidelityTotals] = {}
    kept: dict[str, list] = {
        "place": [],
        "place_truth": [],
        "angle": [],
        "angle_truth": [],
        "persistence": [],
        "variety": [],
    }
    sheet: list[list[np.ndarray]] = [[], [], []]
    for number, (identity, skin) in enumerate(people):
        with torch.inference_mode():
            truth, strain = simulate(identity, skin, everything)
        truth = truth * mask
        people_of = np.repeat(identity[None], len(everything), 0), np.repeat(skin[None], len(everything), 0)
        ours = torch.from_numpy(model.displacement(*people_of, everything, args.resolution))
        made = {
            name: maps * mask
            for name, maps in {"ours": ours, **rivals.make(identity, skin, everything, truth)}.items()
        }
        compared = TrueMaps(truth[1:], mask, deviation, bins, window)
        for name, maps in made.items():
            totals.setdefault(name, FidelityTotals(peak, bins)).add(maps[1:], compared)
        if number < INVERTED_PEOPLE:
            face_shown = 1 + number % len(expressions)
            own = inverted(model, identity, skin, everything[face_shown], truth[face_shown])
            one = TrueMaps(truth[face_shown][None], mask, deviation, bins, window)
            totals.setdefault("inversion", FidelityTotals(peak, bins)).add((own * mask)[None], one)
        own_change, true_change = made["ours"][1:] - made["ours"][:1], truth[1:] - truth[:1]
        if number < BEHAVIOUR_PEOPLE:
            kept["place"].append(behaviour.placement(own_change, strain[1:], regions))
            kept["place_truth"].append(behaviour.placement(true_change, strain[1:], regions))
            kept["angle"].append(behaviour.line_angles(made["ours"][1:], made["ours"][0], strain[1:], chart))
            kept["angle_truth"].append(behaviour.line_angles(truth[1:], truth[0], strain[1:], chart))
            kept["persistence"] += behaviour.persistence(made["ours"][1:], made["ours"][0], true_change, mask)
        if number < 8:
            kept["variety"].append(true_change[:6, ::2, ::2])
            for place, maps in enumerate((truth, made["ours"], made["mlp_pca"])):
                sheet[place].append(maps[1 + number % len(expressions)].numpy())
        _say(began, f"{number + 1} of {len(people)} held-out people measured")
    if args.sheet:
        write_sample_sheet(args.sheet, [np.stack(row) for row in sheet], tile=512)
    table = {name: total.figures() for name, total in totals.items()}
    ours, distilled = table.pop("ours"), table.pop("distilled")
    small = behaviour_at_256(model, simulation, people[:6])
    face_mask = (
        functional.interpolate(
            mask[None, None].float(), size=(BASIS_RESOLUTION, BASIS_RESOLUTION), mode="area"
        )[0, 0]
        > 0.5
    )
    basis = basis_figures(model, *people[0], expressions, face_mask.numpy())
    same = seeds_correlation(simulation, people[0], expressions[:6], mask)
    return {
        **ours,
        "placement": _mean_of(kept["place"]), "placement_truth": _mean_of(kept["place_truth"]),
        "direction_deg": round(float(torch.cat(kept["angle"]).median()), 2),
        "direction_deg_truth": round(float(torch.cat(kept["angle_truth"]).median()), 2),
        "locality_mm": small["locality_mm"],
        "persistence": round(float(np.mean(kept["persistence"])), 4),
        "smoothness": small["smoothness"],
        "variety": round(behaviour.variety(kept["variety"], mask[::2, ::2]), 4),
        "variety_seeds": round(same, 4),
        "basis": basis,
        "distilled": {**distilled, **distilled_speed(rivals.distilled)},
        "parameters": {
            "ours": sum(p.numel() for p in model.encoder.parameters()),
            **{name: encoder.parameters for name, encoder in rivals.vertices.items()},
        },
        "n_inversion": min(INVERTED_PEOPLE, args.identities),
        "peak_mm": round(peak, 4), "deviation_mm": round(deviation, 5),
        "baselines": table,
        "n_identities": args.identities, "n_expressions": args.expressions, "resolution": args.resolution,
        "n_behaviour": min(BEHAVIOUR_PEOPLE, args.identities),
        "paper": PAPER,
    }  # fmt: skip


def _mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


def seeds_correlation(
    simulation: SkinSimulation, one: tuple[np.ndarray, np.ndarray], expressions: np.ndarray, mask: Tensor
) -> float:
    """Mean correlation of one person's true wrinkles under four wrinkle seeds."""
    faces = np.concatenate([np.zeros((1, expressions.shape[1]), np.float32), expressions])
    changes = []
    with torch.inference_mode():
        for seed in range(4):
            state = simulation.prepare(
                torch.from_numpy(one[0])[None],
                torch.from_numpy(sample_skin(HELD_OUT_SEED + 500 + seed))[None],
            )
            maps = simulation.displacement(state, torch.from_numpy(faces)[None])[0]
            changes.append((maps[1:] - maps[:1])[:, ::2, ::2])
    return behaviour.variety(changes, mask[::2, ::2])


def behaviour_at_256(
    model: Detailed3DMM, large: SkinSimulation, people: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Locality (largest over units and regions, pooled over people) and smoothness (largest over paths), on 256 maps."""
    simulation = SkinSimulation(large.face, resolution=256, mean_skin=large.mean_skin)
    mask = simulation.mask.cpu()
    regions = {name: weight * mask for name, weight in behaviour.region_weights(large.face, 256).items()}
    units = behaviour.single_units()
    moved, jumps = [], []
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
    """The figures as a Markdown table."""
    basis, distilled = figures["basis"], figures["distilled"]
    lines = [
        f"{figures['n_identities']} held-out people x {figures['n_expressions']} expressions at {figures['resolution']}; "
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
        f"| {PAPER['data']} | {PAPER['psnr_db']} | {PAPER['ssim']} | |", "",
        f"- Octaves up to 16 mm, shortest first, generated over true power, dB: {figures['spectrum_octaves_db']}.",
        f"- The lines below are of the first {min(BEHAVIOUR_PEOPLE, figures['n_identities'])} people.",
        f"- Placement, correlation of wrinkle energy with compression over expressions: {place}.",
        f"- Direction against compression {figures['direction_deg']} degrees (truth {figures['direction_deg_truth']}); "
        f"locality {figures['locality_mm']} mm; persistence {figures['persistence']}; smoothness {figures['smoothness']}.",
        f"- Detail basis of a clip of {basis['frames']} frames: K {basis['k']}, {basis['psnr_db']} dB against the generator, "
        f"{basis['mb_per_minute']} MB a minute (image sequence {basis['mb_per_minute_image_sequence']}).",
        f"- Distilled detail: {distilled['ms']} ms an update of 72,000 vertices, {distilled['mb']} MB.",
        f"- Parameters of the encoders: {figures['parameters']}. `inversion` is of {figures['n_inversion']} maps; the vertex",
        "  encoders were taught the encoder's latents, which bounds them by it.",
        f"- Variety of the truth: people {figures['variety']}, wrinkle seeds {figures['variety_seeds']}.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)
