"""Trains the attribute encoder: seven codes of a face from one photo, in one pass.

Stages:
  pictures  portraits with known codes, crops of more of them and hidden portraits are made in --data, where
            they stay: some with strands, with things before the face, or of few pixels
  geometry  landmarks and crops to shape, expression, rotation, translation
  colour    colours at places of the head to texture, illumination, hair: an unlimited stream of drawn light,
            skin and hair on the portraits' surfaces
  rounds    the decoder's turn and the encoder's, by turns, on portraits whose codes are hidden (Eq. 3-11);
  then
            one round without each of its parts
Pictures are drawn from the face, skin and hair models; `--photos DIR` adds your own to the hidden ones.

Writes to --out: attribute_encoder.safetensors (float16, with the figures of each round),
attribute_encoder.md (model card), log.jsonl, checkpoint.safetensors, sheet.png (held-out portraits beside
what the decoder makes of their codes).

examples:
  python -m ml_backend train attributes --config 2core --out build/attributes --install
"""

import argparse
import copy
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...datasets.coded_crops import make_crop_set, read_crops
from ...datasets.coded_portraits import (
    FIRST_SEED,
    HIDDEN_SEED,
    StoredPortrait,
    make_portrait_set,
    read_portraits,
)
from ...datasets.map_set import HELD_OUT_SEED
from ...files.image_writers import write_png
from ...files.model_card import ModelCard, install
from ...files.network_file import write_network_file
from ...fitting.attributes.code_figures import code_distances, code_errors, picture_errors
from ...fitting.attributes.encode_face import encode_points
from ...fitting.landmark_map import LandmarkMap
from ...fitting.landmarks import level_frame
from ...layers.processes import first_alone
from ...models.attribute_encoder import FILE, AttributeEncoder, EncoderConfig
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import FaceCodes
from ...models.face_renderer import camera_of, draw_face, picture_of
from ...simulation.portraits.coded_portrait import SIZE, coded_portrait, linear_pixels
from ...simulation.portraits.varied_portrait import training_portrait
from ..steps import TrainingRun
from ..training_run import add_run_arguments, read_configuration
from .attribute_losses import CodeErrors
from .attribute_rounds import ABLATIONS, Known, prepare_round, train_round
from .colour_stream import ColourStream
from .encoder_stages import HeadBatch, train_colour, train_geometry, usual_colours, usual_points
from .hidden_faces import HiddenFace, faces_of_photos, pictured, without_hair
from .variations import Variations

HELD_SEED = HELD_OUT_SEED + 5_000
_SHOWN = 8
_ARRIVES, _LARGEST_GAIN = {"shape": 0.9, "expression": 1.0, "hair": 0.9}, 1.5
"""The share of a code that is to arrive in a transfer. Gains make errors of reading greater too; dull
expressions are what is seen first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(
        parser, "build/attributes", "build/attribute-pictures", "drawn pictures, filled on first use"
    )
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos whose faces join the hidden ones of the rounds"
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "attributes")
    table = settings["rounds"]
    names = [f"round-{number + 1}" for number in range(table["count"])]
    training = TrainingRun.begin(args, ("geometry", "colour", *names))
    training.device = torch.device("cpu")
    torch.manual_seed(0)
    face = BilinearFace.default()
    photos = faces_of_photos(args.photos) if args.photos else []
    with first_alone():
        portraits, crops, hidden, held = prepare_pictures(args.data, settings["data"])
    config = EncoderConfig(**settings["network"])
    encoder, average = AttributeEncoder(config), AttributeEncoder(config)
    keeper = training.keep({"network": encoder, "average": average}, args.resume)
    errors = CodeErrors(face)
    variations = Variations.of(face, detector_errors(face, portraits), settings["geometry"]["varied"])
    if not keeper.finished("geometry"):
        if not training.is_inside("geometry"):
            usual_points(encoder, crops)
            average.load_state_dict(copy.deepcopy(encoder.state_dict()))
        aside = HeadBatch.of_portraits(held)
        train_geometry(encoder, average, crops, aside, errors, variations, settings["geometry"], training)
        encoder.load_state_dict(copy.deepcopy(average.state_dict()))
        keeper.finish("geometry")
    stream = ColourStream(average.eval(), portraits, np.random.default_rng(21))
    if not keeper.finished("colour"):
        if not training.is_inside("colour"):
            usual_colours(encoder, stream.batch(2000, np.random.default_rng(22)))
            average.load_state_dict(copy.deepcopy(encoder.state_dict()))
        seen = ColourStream(average, held, np.random.default_rng(23)).seen_as_stored
        train_colour(encoder, average, stream, seen, errors, settings["colour"], training)
        encoder.load_state_dict(copy.deepcopy(average.state_dict()))
        keeper.finish("colour")
    shown = [HiddenFace(portrait.pixels, portrait.points, portrait.focal) for portrait in hidden] + photos
    measured = held[: table["figures"]]
    rows = alternate(encoder, shown, (crops, stream, variations), errors, table, training, measured)
    facts = training.facts(
        f"python -m ml_backend train attributes --config {args.config}", ("geometry", "colour", *names)
    )
    encoder.config = config = arriving(encoder.eval(), held, errors)
    facts["measured"] = json.dumps(rows)
    facts["held_out"] = f"{len(measured)} portraits of people that no training saw, from seed {HELD_SEED}"
    write_network_file(args.out / FILE, encoder, config, facts)
    sheet(args.out / "sheet.png", encoder, held[:_SHOWN])
    encoder_card(encoder, facts, rows, bool(photos)).write(args.out / FILE)
    if args.install:
        install(args.out, (FILE,))
    return 0


def prepare_pictures(
    folder: Path, table: dict[str, Any]
) -> tuple[list[StoredPortrait], HeadBatch, list[StoredPortrait], list[StoredPortrait]]:
    """Makes or opens the pictures.

    Args:
        folder: of them.
        table: `portraits`, `crops` (chunks), `hidden`, `held_out`: how many.

    Returns:
        Portraits, crops, hidden portraits, held-out portraits; those in which no face is found are left out.
    """

    def tell(what: str):
        return lambda done, total: print(f"  {what}: {done} of {total}", file=sys.stderr, flush=True)

    portraits, hidden, held = (
        read_portraits(make_portrait_set(folder / kind, table[name], first, tell(name), made))
        for name, first, kind, made in (
            ("portraits", FIRST_SEED, "varied-portraits", training_portrait),
            ("hidden", HIDDEN_SEED, "varied-portraits", training_portrait),
            ("held_out", HELD_SEED, "portraits", coded_portrait),
        )
    )
    drawn = make_crop_set(
        folder / "varied-crops", table["crops"], FIRST_SEED, tell("chunks of crops"), training_portrait
    )
    return portraits, HeadBatch.of_crops(read_crops(drawn)), hidden, held


def detector_errors(face: BilinearFace, portraits: list[StoredPortrait]) -> np.ndarray:
    """Returns the errors (N, 478, 2) of the landmarks on portraits, level, inter-ocular distances."""
    landmarks, errors = LandmarkMap.default(), []
    for portrait in portraits:
        vertices = face.evaluate(portrait.codes.shape, portrait.codes.expression)
        camera = camera_of(portrait.codes, portrait.focal, SIZE, SIZE)
        truth = camera.project(landmarks.gather(vertices))[0]
        turn, unit = level_frame(truth)
        errors.append((portrait.points - truth) @ turn.T / unit)
    return np.array(errors, np.float32)


def arriving(encoder: AttributeEncoder, people: list[StoredPortrait], errors: CodeErrors) -> EncoderConfig:
    """Returns the configuration with the gains by which shape, expression and hair arrive in a transfer.

    Each person gets the code of the next one; the result is drawn and read again. The gain makes up for what
    is then missing of the difference that was read, along the true one.

    Args:
        encoder: in evaluation mode, without gains; people: that it did not learn from.
        errors: the measures; a shape counts by the forms that it makes.
    """
    faces = [HiddenFace(portrait.pixels, portrait.points, portrait.focal) for portrait in people]
    read = [encode_points(encoder, face.pixels, face.points, face.focal)[0] for face in faces]
    drawn = [pictured(codes, face, row) for row, (codes, face) in enumerate(zip(read, faces, strict=True))]
    again = [one and encode_points(encoder, one.pixels, one.points, one.focal)[0] for one in drawn]
    gains = {}
    for name, arrives in _ARRIVES.items():

        def scaled(codes: FaceCodes, name: str = name) -> np.ndarray:
            code = torch.from_numpy(getattr(codes, name))
            return (code @ errors.forms if name == "shape" else encoder.scaled(name, code[None])[0]).numpy()

        came = possible = 0.0
        for row, face in enumerate(faces):
            other = (row + 1) % len(faces)
            after = pictured(read[row].with_code(name, read[other]), face, row)
            own = again[row]
            if own is None or after is None:
                continue
            new = encode_points(encoder, after.pixels, after.points, after.focal)[0]
            along = scaled(people[other].codes) - scaled(people[row].codes)
            came += float((scaled(new) - scaled(own)) @ along)
            possible += float((scaled(read[other]) - scaled(read[row])) @ along)
        share = came / possible if possible > 0 else 1.0
        gains[f"{name}_gain"] = round(float(np.clip(arrives / max(share, 1e-3), 1.0, _LARGEST_GAIN)), 3)
    return dataclasses.replace(encoder.config, **gains)


def alternate(
    encoder: AttributeEncoder,
    hidden: list[HiddenFace],
    known: Known,
    errors: CodeErrors,
    table: dict[str, Any],
    training: TrainingRun,
    held: list[StoredPortrait],
) -> dict[str, Any]:
    """Runs the rounds, then one round without each part.

    Args:
        encoder: in training.
        hidden: faces whose codes are not known.
        known: portraits and the stream of their colours.
        errors: the measures of known codes.
        table: settings of the rounds.
        training: log and checkpoint.
        held: portraits for the figures.

    Returns:
        `before`: figures before the rounds; `rounds`: after each; `ablations`: after one round without each
        part, and `all`: with all.
    """
    keeper = training.keeper
    rows: dict[str, Any] = {"before": {}, "rounds": [], "ablations": {}}
    stored = training.folder / "rounds.json" if training.log else None
    if (
        stored
        and stored.exists()
        and keeper
        and any(keeper.finished(f"round-{n + 1}") for n in range(table["count"]))
    ):
        rows = json.loads(stored.read_text())
    for number in range(table["count"]):
        name = f"round-{number + 1}"
        if keeper and keeper.finished(name):
            continue
        if not number and not rows["before"]:
            rows["before"] = round_figures(encoder.eval(), held)
        random = np.random.default_rng([31, number])
        pictures = prepare_round(encoder.eval(), hidden, table, random)
        start = copy.deepcopy(encoder.state_dict())
        train_round(name, encoder, pictures, known, errors, table, training)
        rows["rounds"].append(round_figures(encoder.eval(), held))
        training.write(name, **rows["rounds"][-1])
        if not number:
            rows["ablations"]["all"] = rows["rounds"][0]
            for part in ABLATIONS:
                other = copy.deepcopy(encoder)
                other.load_state_dict(start)
                chosen = (
                    pictures
                    if part != "hair"
                    else prepare_round(other.eval(), hidden, table, random, hair=False)
                )
                train_round(
                    f"without-{part}", other, chosen, known, errors, table, TrainingRun(training.log), part
                )
                rows["ablations"][f"without_{part}"] = round_figures(other.eval(), held, hair=part != "hair")
                training.write(f"without-{part}", **rows["ablations"][f"without_{part}"])
        if stored:
            stored.write_text(json.dumps(rows))
        if keeper:
            keeper.finish(name)
    return rows


def round_figures(
    encoder: AttributeEncoder, held: list[StoredPortrait], hair: bool = True
) -> dict[str, float]:
    """Returns means over portraits: errors of codes, the paper's distances, and errors of what the decoder
    makes of the codes, beside the portrait."""
    found: dict[str, list[float]] = {}
    scale = encoder.output_scale[-22:-6].numpy()
    for portrait in held:
        codes, _ = encode_points(encoder, portrait.pixels, portrait.points, portrait.focal)
        codes = codes if hair else without_hair(codes)
        made, mask = decoded(codes, portrait)
        values = code_errors(codes, portrait.codes, scale) | code_distances(codes, portrait.codes)
        for name, value in (values | picture_errors(made, portrait.pixels, mask)).items():
            found.setdefault(name, []).append(value)
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def decoded(codes, portrait: StoredPortrait) -> tuple[np.ndarray, np.ndarray]:
    """Draws codes into a portrait; returns the picture (256, 256, 3) uint8 and the mask (256, 256) of either
    head."""
    camera = camera_of(codes, portrait.focal, SIZE, SIZE)
    linear, mask = draw_face(codes, camera, linear_pixels(portrait.pixels))
    return picture_of(linear), mask | (portrait.place >= 0)


def sheet(path: Path, encoder: AttributeEncoder, held: list[StoredPortrait]) -> None:
    """Writes portraits above what the decoder makes of their codes."""
    rows = []
    for portrait in held:
        codes, _ = encode_points(encoder, portrait.pixels, portrait.points, portrait.focal)
        rows.append(np.concatenate([portrait.pixels, decoded(codes, portrait)[0]]))
    write_png(path, np.concatenate(rows, 1)[::-1])


def encoder_card(
    encoder: AttributeEncoder, facts: dict[str, str], rows: dict[str, Any], photos: bool
) -> ModelCard:
    """Returns the card of a run."""
    last = rows["rounds"][-1]
    notes = ["With photos that the user gave among the hidden faces."] if photos else []
    return ModelCard(
        "The attribute encoder",
        "Landmarks, a crop of 192 pixels and colours at 400 places of a head to seven codes: shape,\n"
        "expression, texture, illumination, hair, rotation, translation\n"
        "(`ml_backend/models/attribute_encoder.py`; Zhang et al., zero-shot attribute separation).",
        source="portraits of drawn people (`ml_backend/simulation/portraits/varied_portrait.py`: three of "
        "five with strands of the render residual, one of five with a thing before the face, three of ten on "
        "few pixels), the face and skin models of the set, and the errors of the landmark detector on them. "
        "No pictures or scans of people",
        command=facts["command"],
        device=f"{facts['device']}, {facts['training_minutes']} minutes",
        evaluation=f"On {facts['held_out']}: shape {last['shape_mm']} mm after a similarity, expression "
        f"{last['expression_rmse']}, skin {last['skin_ciede2000']} (CIEDE2000), light {last['light_deg']} "
        f"degrees, rotation {last['rotation_deg']} degrees.\n"
        "More, with baselines: `python -m ml_backend evaluate attributes`.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(value.numel() for value in encoder.parameters()),
        config=vars(encoder.config),
        notes=notes,
    )
