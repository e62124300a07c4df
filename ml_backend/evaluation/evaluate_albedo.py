"""Measures the albedo model on people that no training saw, and the fit of skin colour to photographs.

Truth is a map of 512; coarse maps of 256 and less are enlarged by the cubic filter. PSNR, SSIM and MSE count
the face alone; MSE is in steps of 1/255. The Frechet distance is ours: features of L*, a* and b* made for
skin, learned from nothing, so its numbers cannot be compared with the paper's.

rows:
  coarse   principal components of each channel at 64, 128 and 256, as many as the model has
  detail   with the value that the decoder adds
  chroma   with value and chroma
  joint    principal components of the three channels together, as many numbers stored as in `coarse`
  mean     the mean map
  others   other held-out people: the Frechet distance that chance leaves

The models of 64 and 128 texels and the joint ones are those of ablation/ beside the weights, where there is
such a folder; else they are made from the model itself (`skin/ablation_models.py`).

fit: photographs of the same people under eight lights that no training saw, with shadows, gloss and a
camera's errors. CIEDE2000 over the skin that is seen; errors of the typology angle (ITA), by group of tones,
and their deviation over the groups (bias); deviation of one person's angle over the lights; the fitted map
lit by another light, PSNR. Beside it the mean skin, one painted colour, and the unwrapped photo over nine
harmonics.

real: with --photos, a folder with neutral/ and smiling/ photos of the same people.

examples:
  python -m ml_backend evaluate albedo --weights build/albedo --card
  python -m ml_backend evaluate albedo --people 120 --json
  python -m ml_backend evaluate albedo --photos photos/ --json
"""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..asset_files import ASSETS
from ..datasets.colour_set import held_out_colours, simulated_colours
from ..errors import UserError
from ..files.model_card import note_evaluation
from ..fitting.skin.fit_skin import SkinModel
from ..fitting.skin.skin_belief import SKIN_BELIEF_FILE
from ..geometry.cielab import cielab
from ..geometry.map_resampling import resample
from ..geometry.srgb import from_srgb
from ..layers.band_limits import enlarge
from ..models.bilinear_face import BilinearFace
from ..models.skin.albedo_detail import ALBEDO_DETAIL_FILE, AlbedoDetail, load_albedo_detail
from ..models.skin.albedo_model import ALBEDO_FILE, AlbedoModel
from ..models.skin.skin_sliders import SKIN_SLIDERS_FILE, SkinSliders
from ..simulation.pigment.pigment_simulation import PigmentSimulation
from ..simulation.pigment.pigment_traits import TONE_GROUPS
from ..simulation.relief.face_chart import build_chart
from .colour_fidelity import ColourFeatures, ColourTotals, TrueColours
from .frechet_distance import frechet_distance
from .skin.ablation_models import models_of
from .skin.real_photos import real_photo_figures
from .skin.simulated_photos import simulated_photo_figures

PAPER = {
    "data": "the paper, 500 maps of FFHQ-UV",
    "64": {"coarse": {"psnr_db": 31.14, "ssim": 0.88, "mse": 50.28},
           "detail": {"psnr_db": 38.63, "ssim": 0.97, "mse": 9.36}},
    "128": {"coarse": {"psnr_db": 33.71, "ssim": 0.92, "mse": 27.97},
            "detail": {"psnr_db": 34.97, "ssim": 0.97, "mse": 21.17}},
    "256": {"coarse": {"psnr_db": 36.65, "ssim": 0.95, "mse": 14.35},
            "detail": {"psnr_db": 39.47, "ssim": 0.98, "mse": 7.82}},
}  # fmt: skip
ROWS = ("coarse", "detail", "chroma", "joint")
LEAST_PEOPLE = 6
COARSEST = 64
_TIMED = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--people", type=int, default=60, help="held-out people, flat over six groups of tone (default: 60)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of the albedo model and its detail (default: the package's)",
    )
    parser.add_argument(
        "--photographed", type=int, default=None, metavar="N",
        help="people of the fit to photographs; 0 leaves it out (default: as --people)",
    )  # fmt: skip
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="neutral/ and smiling/ photos of real people"
    )
    parser.add_argument(
        "--networks", type=Path, metavar="DIR",
        help="holds LPIPS's and a face network's files, for --photos; see skin/photo_networks.py",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument(
        "--card", action="store_true", help="note the figures in the model cards beside the weights"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measures; returns the exit status."""
    if args.people < LEAST_PEOPLE:
        raise UserError(f"At least {LEAST_PEOPLE} people are needed, one of each group of tone.")
    if args.threads:
        torch.set_num_threads(args.threads)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {text}", file=sys.stderr, flush=True)

    figures = albedo_table(args.weights, args.people, tell)
    photographed = args.people if args.photographed is None else args.photographed
    if photographed or args.photos:
        model = SkinModel.default(args.weights)
        if photographed:
            rows = simulated_photo_figures(photographed, model, tell)
            figures["fit"] = rows.pop("fit")
            figures["baselines"] |= rows
        if args.photos:
            figures["real"] = real_photo_figures(args.photos, model, args.networks, tell)
    text = card_text(figures)
    if args.card:
        for file in (ALBEDO_FILE, ALBEDO_DETAIL_FILE, SKIN_BELIEF_FILE):
            if (card := (args.weights / file).with_suffix(".md")).exists() or file != SKIN_BELIEF_FILE:
                note_evaluation(card, text)
    print(json.dumps(figures) if args.json else text)
    return 0


def card_text(figures: dict) -> str:
    """Returns the figures of `albedo_table` as the evaluation section of a model card."""
    lines = [
        f"{figures['n_people']} simulated people that no training saw, flat over six groups of tone; truth "
        f"at {figures['resolution']} texels. MSE in steps of 1/255.",
        "",
        "| size | row | PSNR dB | SSIM | MSE | Frechet |",
        "|---|---|---|---|---|---|",
    ]

    def line(size: str, name: str, row: dict) -> str:
        frechet = f"{row['frechet']:.4f}" if "frechet" in row else ""
        return (
            f"| {size} | {name} | {row['psnr_db']:.2f} | {row['ssim']:.4f} | {row['mse']:.2f} | {frechet} |"
        )

    for size, rows in figures["table"].items():
        lines += [line(size, name, row) for name, row in rows.items()]
    lines.append(line("", "mean map", figures["baselines"]["mean_map"]))
    lines.append(f"| | other people | | | | {figures['baselines']['others']['frechet']:.4f} |")
    paper = figures["paper"]
    for size in ("64", "128", "256"):
        lines += [line(size, f"{paper['data']}, {name}", row) for name, row in paper[size].items()]
    lines += [
        "",
        f"A coarse map at {figures['resolution']} texels takes {figures['ms']:.0f} ms with numpy; in a zip "
        f"the model takes {figures['mb']:.1f} MB with its detail.",
    ]
    if moves := figures.get("tone_moves"):
        lines.append(
            "Tone moved to another group: detail before and after correlates by "
            f"{figures['tone_keeps_detail']:.3f} (least {moves['least']:.3f}), the new tone is "
            f"{moves['error_deg']:.1f} degrees off."
        )
    if "fit" in figures:
        lines += ["", *photo_lines(figures)]
    return "\n".join(lines) + "\n"


def photo_lines(figures: dict) -> list[str]:
    """Returns the figures of the fit to photographs as lines of a model card."""
    lines = [
        "Fit to one photograph: the same people under eight lights that no training saw. Angles (ITA) in "
        "degrees.",
        "",
        "| row | CIEDE2000 | ITA error | by group, light to dark | bias | over lights | relit, dB |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = {"fit": figures["fit"]} | {
        name: figures["baselines"][name] for name in ("mean_skin", "painted_skin", "unwrapped")
    }
    for name, row in rows.items():
        groups = ", ".join(f"{value:.1f}" for value in row["ita_by_group"].values())
        lines.append(
            f"| {name.replace('_', ' ')} | {row['ciede2000']:.2f} | {row['ita_error_deg']:.2f} | {groups} | "
            f"{row['ita_bias_deg']:.2f} | {row['light_deviation_deg']:.2f} | {row['relit_psnr_db']:.2f} |"
        )
    lines += ["", f"The interval of 80 % holds the tone in {figures['fit']['interval_holds']:.0%}."]
    if "real" in figures:
        real = figures["real"]
        lines.append(
            f"{real['n_photos']} real photos: render against photo {real['psnr_db']:.1f} dB; one person's "
            f"two photos against two people's, area under the curve {real['same_person_auc']:.3f} (CIEDE2000 "
            f"{real['same_person_ciede2000']:.1f} and {real['two_people_ciede2000']:.1f})."
        )
    return lines


def albedo_table(weights: Path, people: int, progress: Callable[[str], None] = lambda text: None) -> dict:
    """Returns the table over held-out people.

    Args:
        weights: folder of the models.
        people: how many.
        progress: told what was done.

    Returns:
        `table` by size and row, `baselines` (`mean_map`, and `others` with its Frechet distance alone),
        `paper`, `ms`, `mb`, `resolution`, `n_people`; and, where the folder has sliders, `tone_keeps_detail`
        and `tone_moves`, see `kept_detail`.

    Raises:
        UserError: weights are missing or broken.
    """
    models = models_of(weights)
    detail = load_albedo_detail(weights)
    resolution = detail.config.resolution
    face = BilinearFace.default()
    chart = build_chart(face)
    simulation = PigmentSimulation(face, resolution, chart=chart)
    mask = simulation.mask.cpu()
    features = ColourFeatures(chart.scale, mask)
    totals = {
        str(size): {name: ColourTotals() for name in ROWS if name != "joint" or size in models["joint"]}
        for size in models["coarse"]
    }
    mean = ColourTotals()
    true_features: list[np.ndarray] = []
    sliders = (
        SkinSliders.read(weights / SKIN_SLIDERS_FILE) if (weights / SKIN_SLIDERS_FILE).exists() else None
    )
    kept: list[tuple[float, float]] = []
    main = max(models["coarse"])
    mean_map = torch.from_numpy(resample(models["coarse"][main].mean[:, 0], resolution))
    for number, person in enumerate(held_out_colours(people)):
        colours = simulated_colours(simulation, [person])[0]
        truth = TrueColours(torch.from_numpy(colours), mask)
        true_features.append(features(truth.colours))
        mean.add(mean_map, truth, features)
        if sliders is not None:
            kept.append(detail_kept_by_tone(colours, sliders, models["coarse"][main], mask.numpy(), number))
        for size, rows in totals.items():
            for name, made in made_maps(colours, models, detail, int(size)).items():
                rows[name].add(made, truth, features)
        progress(f"{number + 1} of {people} people measured")
    true = np.stack(true_features)
    others = [
        features(torch.from_numpy(simulated_colours(simulation, [person])[0]))
        for person in held_out_colours(people, people)
    ]
    return {
        "table": {
            size: {name: total.figures(true) for name, total in rows.items()} for size, rows in totals.items()
        },
        "baselines": {
            "mean_map": mean.figures(true),
            "others": {"frechet": round(frechet_distance(np.stack(others), true), 4)},
        },
        "paper": PAPER,
        **kept_detail(kept),
        "ms": round(milliseconds(models["coarse"][main], resolution), 2),
        "mb": round(packed_megabytes(weights / ALBEDO_FILE, weights / ALBEDO_DETAIL_FILE), 2),
        "resolution": resolution,
        "n_people": people,
    }


def made_maps(
    colours: np.ndarray, models: dict[str, dict[int, AlbedoModel]], detail: AlbedoDetail, size: int
) -> dict[str, Tensor]:
    """Makes a person's map in every way of one size.

    Args:
        colours: (3, R, R) sRGB, the truth that is projected and encoded.
        models: by kind and resolution.
        detail: the decoders.
        size: resolution of the coarse map.

    Returns:
        (3, R, R) sRGB by row.
    """
    resolution = colours.shape[-1]
    truth = torch.from_numpy(colours)[None]

    def coarse_map(model: AlbedoModel) -> Tensor:
        low = model.colours(model.project(colours))
        return enlarge(torch.from_numpy(low)[None], resolution)

    coarse = coarse_map(models["coarse"][size])
    value, chroma = detail.latents(truth, coarse)
    detailed = detail.detailed(coarse, value)
    made = {
        "coarse": coarse,
        "detail": detailed,
        "chroma": detail.detailed(detailed, None, chroma),
    }
    if size in models["joint"]:
        made["joint"] = coarse_map(models["joint"][size])
    return {name: maps[0] for name, maps in made.items()}


def detail_kept_by_tone(
    colours: np.ndarray, sliders: SkinSliders, model: AlbedoModel, mask: np.ndarray, number: int
) -> tuple[float, float]:
    """Moves a map to the tone of another group and compares what is finer than a map of 64.

    Args:
        colours: (3, R, R) sRGB.
        sliders, model: what moves it.
        mask: (R, R) bool, the face.
        number: of the person; the new group is the third from the person's own.

    Returns:
        The correlation of the detail in L* and a* before and after, the less of the two, and how far the new
        tone is from the wanted one, degrees.
    """
    low, high = TONE_GROUPS[(number + len(TONE_GROUPS) // 2) % len(TONE_GROUPS)]
    wanted = (low + high) / 2
    moved = sliders.with_tone(colours, wanted, model)

    def detail(maps: np.ndarray) -> np.ndarray:
        lab = cielab(from_srgb(np.clip(maps, 0, 1)))[:2]
        return (lab - resample(resample(lab, COARSEST), maps.shape[-1]))[:, mask]

    before, after = detail(colours), detail(moved)
    same = min(float(np.corrcoef(one, other)[0, 1]) for one, other in zip(before, after, strict=True))
    return same, abs(sliders.tone_of(moved) - wanted)


def kept_detail(rows: list[tuple[float, float]]) -> dict:
    """Returns the figures of moved tones: nothing without rows.

    Args:
        rows: from `detail_kept_by_tone`.

    Returns:
        `tone_keeps_detail`, the mean correlation, and `tone_moves` with the `least` one and `error_deg`, how
        far new tones are off.
    """
    if not rows:
        return {}
    same, missed = np.array(rows).T
    return {
        "tone_keeps_detail": round(float(same.mean()), 4),
        "tone_moves": {
            "least": round(float(same.min()), 4),
            "error_deg": round(float(missed.mean()), 2),
        },
    }


def milliseconds(model: AlbedoModel, resolution: int) -> float:
    """Returns the time of a coarse map from coefficients, enlarged, with numpy: the least of some, so that
    other programs on the machine do not count."""
    spent = []
    for seed in range(_TIMED):
        coefficients = model.random_coefficients(seed)
        began = time.perf_counter()
        resample(model.colours(coefficients), resolution)
        spent.append(time.perf_counter() - began)
    return 1000 * min(spent)


def packed_megabytes(*files: Path) -> float:
    """Returns what files take in a zip, millions of bytes."""
    return sum(len(zlib.compress(file.read_bytes(), 6)) for file in files) / 1e6
