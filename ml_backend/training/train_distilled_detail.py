"""Distils the full model into a small network and principal fields for numpy in Blender.

The full model's maps of random people are generated into --data on first use. Their principal components at
256 become the fields of the low band, those of what maps of 512 and 1024 hold beyond it the fields of two
finer bands. The fields' coefficients are almost linear in the full model's latents, which cost no map: that
labels many more people. A multilayer perceptron learns the coefficients of all (squared error, each component
by its power); the last tenth of the people with maps is held out, and the network that is best on them is
kept.

Writes to --out: distilled_detail.safetensors, distilled_detail.md (model card), log.jsonl, a sheet of the
full model's and the distilled maps, checkpoint.safetensors.

examples:
  python -m ml_backend train distilled-detail --config 2core --out build/distilled --install
  python -m ml_backend train distilled-detail --weights build/dnpm --out build/distilled --resume
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..asset_files import ASSETS
from ..datasets.map_set import MapSet
from ..datasets.teacher_maps import make_teacher_maps
from ..files.model_card import ModelCard, install
from ..files.relief_sheet import write_sample_sheet
from ..layers.blur_resampling import double_size
from ..layers.processes import own_share
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.distilled_detail import DistilledDetail, FieldBand, InputScaling
from ..models.saved_latent import weights_fingerprint
from .checkpoints import BestWeights, WeightAverage
from .input_statistics import identity_influence, input_scaling
from .latent_labels import LatentLabels, draw_faces, latents_of_faces
from .principal_start import full_rows, principal_components
from .steps import TrainingRun
from .training_run import add_run_arguments, read_configuration

STAGE = "network"
FILE = "distilled_detail.safetensors"
TRAINING_SHARE = 0.9
FIRST_DRAWN = 600_000  # seed of the people of whom only the latents are asked
_ROWS_AT_ONCE, _LABELS_AT_ONCE = 256, 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/distilled")
    parser.set_defaults(data=Path("build/teacher-maps"))
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of the full model's weights (default: the package's)",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished file and card where the package looks for them",
    )


class CoefficientNetwork(nn.Module):
    """Fully connected ReLU layers from scaled inputs to coefficients.

    The expression enters again after the first layer.
    """

    def __init__(self, condition: int, expression: int, hidden: list[int], outputs: int):
        super().__init__()
        inputs = [condition + expression, hidden[0] + expression, *hidden[1:]]
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in zip(inputs, [*hidden, outputs], strict=True))

    def forward(self, condition: Tensor, expression: Tensor) -> Tensor:
        """(B, K + 17) and (B, 52), scaled -> (B, C)."""
        x = torch.cat([condition, expression], 1)
        for number, layer in enumerate(self.layers):
            if number == 1:
                x = torch.cat([x, expression], 1)
            x = layer(x)
            if number + 1 < len(self.layers):
                x = nn.functional.relu(x)
        return x


def fit_low_band(maps: MapSet, components: int) -> tuple[FieldBand, Tensor]:
    """Fits principal fields to the maps.

    Returns:
        The fields, and the maps' coefficients (N, C) in them, whose errors weigh like errors of maps.
    """
    rows = full_rows(maps.maps, maps.maps.shape[-1])
    inside = maps.mask > 0
    mean, fields, values = principal_components(
        rows, inside.ravel().astype(np.float32), min(components, len(rows) - 1)
    )
    norm = fields.norm(dim=1).clamp_min(1e-9)
    counted = torch.from_numpy(inside.ravel())
    band = FieldBand.quantise(inside, mean[counted].numpy(), (fields[:, counted] / norm[:, None]).numpy())
    return band, values * norm


def project(band: FieldBand, maps: np.ndarray) -> np.ndarray:
    """Returns the coefficients (N, C) of maps (N, R, R) in a band with orthonormal fields."""
    fields = band.fields.astype(np.float32) * band.scale[:, None]
    parts = [
        np.asarray(maps[s : s + _ROWS_AT_ONCE], np.float32)[:, band.inside] - band.mean
        for s in range(0, len(maps), _ROWS_AT_ONCE)
    ]
    return np.concatenate([part @ fields.T for part in parts])


def fit_band_above(sets: dict[int, MapSet], resolution: int, components: int) -> tuple[FieldBand, Tensor]:
    """Fits fields to the part of maps of `resolution` beyond the doubled coarser ones.

    Returns:
        The fields, and the coefficients (N, F).
    """
    fine, coarse = sets[resolution], sets[resolution // 2]
    rows = np.empty((len(fine), resolution * resolution), np.float16)
    for start in range(0, len(fine), 16):
        part = slice(start, start + 16)
        below = double_size(torch.from_numpy(np.asarray(coarse.maps[part], np.float32))[:, None])[:, 0]
        rows[part] = (torch.from_numpy(np.asarray(fine.maps[part], np.float32)) - below).flatten(1).numpy()
    counted = fine.mask.ravel() > 0
    mean, fields, values = principal_components(
        rows, counted.astype(np.float32), min(components, len(rows) - 1)
    )
    norm = fields.norm(dim=1).clamp_min(1e-9)
    flat = (fields[:, torch.from_numpy(counted)] / norm[:, None]).numpy()
    return FieldBand.quantise(fine.mask > 0, mean.numpy()[counted], flat), values * norm


def widen(low: FieldBand, above: list[FieldBand]) -> tuple[FieldBand, list[tuple[FieldBand, np.ndarray]]]:
    """Gives all bands one vector of coefficients: the low band's, then each finer band's.

    The finer bands' fields at the low band are zero.
    """
    counts = [len(band.scale) for band in (low, *above)]
    total, ends = sum(counts), np.cumsum(counts)
    fields = np.concatenate([low.fields, np.zeros((total - counts[0], low.fields.shape[1]), np.int8)])
    scale = np.concatenate([low.scale, np.zeros(total - counts[0], np.float32)])
    slopes = [np.eye(total, dtype=np.float32)[ends[n] : ends[n + 1]] for n in range(len(above))]
    return FieldBand(low.inside, low.mean, fields, scale), list(zip(above, slopes, strict=True))


def train_network(
    network: CoefficientNetwork,
    given: tuple[Tensor, Tensor],
    targets: Tensor,
    training: int,
    settings: dict,
    run: TrainingRun,
) -> float:
    """Trains on the first rows; the weight average that is best on the rest is kept.

    Args:
        network: trained in place.
        given: scaled condition (N, K + 17) and expression (N, 52).
        targets: (N, C).
        training: how many rows to train on.
        settings: those of `TrainingRun.steps`; batch, decay, average_steps.
        run: its log receives the errors relative to the targets' power.

    Returns:
        The least error of unseen people, relative.
    """
    power = (targets - targets[:training].mean(0)).square().sum(1).mean()
    average = copy.deepcopy(network)
    averages = [WeightAverage(network, average, settings["average_steps"])]
    best = BestWeights(average)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings["rate"], betas=(0.9, 0.99), weight_decay=settings["decay"]
    )
    random = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def measure() -> dict[str, float]:
        coefficients = average(*(values[training:] for values in given))
        unseen = float((coefficients - targets[training:]).square().sum(1).mean() / power)
        best.update(unseen, average)
        return {"unseen": unseen}

    kept = {"average": average, "best": best}
    for step in run.steps(
        STAGE, {"network": optimiser}, averages, settings, measure=measure, kept=kept, random=[random]
    ):
        rows = own_share(torch.randint(training, (settings["batch"],), generator=random)).to(targets.device)
        loss = (network(*(values[rows] for values in given)) - targets[rows]).square().sum(1).mean() / power
        step.descend(loss, loss=loss)
    network.load_state_dict(best.weights)
    return best.error


def fit_bands(
    teacher: Detailed3DMM, maps: MapSet, fine: dict[int, MapSet], components: int, above: dict[int, int]
) -> tuple[FieldBand, list[FieldBand], list[LatentLabels], Tensor]:
    """Fits the fields of all bands, and the linear maps from latents to their coefficients.

    Args:
        teacher: the full model.
        maps: of many people, at the low band's resolution.
        fine: maps of fewer people by resolution.
        components: fields of the low band.
        above: fields of each finer band, by resolution.

    Returns:
        The low band, the finer bands, labels of all bands, and the coefficients (N, C) of `maps`.
    """
    resolution = maps.maps.shape[-1]
    low, values = fit_low_band(maps, components)
    labels = [LatentLabels.fit(resolution, *latents_of_faces(teacher, *inputs(maps)), values.numpy())]
    bands = []
    for finer, count in above.items():
        band, coefficients = fit_band_above(fine, finer, count)
        bands.append(band)
        latents = latents_of_faces(teacher, *inputs(fine[finer]))
        labels.append(LatentLabels.fit(finer, *latents, coefficients.numpy()))
    return low, bands, labels, values


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "distilled-detail")
    training = TrainingRun.begin(args, (STAGE,))
    device = training.device
    teacher = Detailed3DMM.load(args.weights, device)
    weights = weights_fingerprint(args.weights)
    table = settings["fields"]
    low_resolution = table["resolution"]
    above = {int(resolution): count for resolution, count in table.get("above", {}).items()}
    maps = make_teacher_maps(
        args.data / "coarse",
        teacher,
        weights,
        resolutions=(low_resolution,),
        **_people(settings["teacher"]),
    )[low_resolution]
    fine = make_teacher_maps(
        args.data / "fine",
        teacher,
        weights,
        resolutions=(low_resolution, *above),
        **_people(settings["teacher_fine"]),
    )
    training.write("fields", maps=len(maps), fine_maps=len(next(iter(fine.values()))))
    low, bands, labels, values = fit_bands(teacher, maps, fine, table["components"], above)
    for label in labels:
        components = label.model.slopes.shape[1]
        training.write("labels", style=label.style, components=components, unexplained=label.unexplained)
    face = BilinearFace.default()
    scaling = input_scaling(maps, identity_influence(face))
    drawn = draw_faces(face, settings["training"]["drawn"], FIRST_DRAWN)
    targets = torch.from_numpy(
        np.concatenate([label_faces(teacher, labels, *faces) for faces in (drawn, inputs(maps))])
    )
    targets[len(drawn[0]) :, : values.shape[1]] = values  # the maps' own coefficients are exact
    given = tuple(
        torch.from_numpy(part).to(device)
        for part in scaling(*(np.concatenate(both) for both in zip(drawn, inputs(maps), strict=True)))
    )
    torch.manual_seed(0)
    network = CoefficientNetwork(
        given[0].shape[1], given[1].shape[1], settings["network"]["hidden"], targets.shape[1]
    ).to(device)
    training.keep({"network": network}, args.resume)
    rows = len(drawn[0]) + int(len(maps) * TRAINING_SHARE)
    unseen = train_network(
        network, (given[0], given[1]), targets.to(device), rows, settings["training"], training
    )
    model = export(network, scaling, *widen(low, bands))
    facts = training.facts(f"python -m ml_backend train distilled-detail --config {args.config}", (STAGE,))
    facts["teacher"] = weights
    facts["maps"] = (
        f"{settings['teacher']['people']} people x {settings['teacher']['expressions']} expressions"
    )
    facts["unseen"] = f"{unseen:.4f}"
    facts |= closeness(model, maps, args.out / "distilled.png")
    model.save(args.out / FILE, facts)
    distilled_card(model, sum(p.numel() for p in network.parameters()), facts).write(args.out / FILE)
    training.write("done", **facts)
    if args.install:
        install(args.out, (FILE,))
    return 0


def distilled_card(model: DistilledDetail, parameters: int, facts: dict[str, str]) -> ModelCard:
    """Returns the model card.

    Args:
        model: what the file holds.
        parameters: numbers of the network.
        facts: of `TrainingRun.facts`, with teacher, maps, psnr_db, fields_psnr_db, held_out.
    """
    above = ", ".join(f"{len(band.scale)} at {band.resolution}" for band, _ in model.above)
    resolution = model.low.resolution
    return ModelCard(
        "Distilled detail",
        "Wrinkles in Blender with no backend installed: a multilayer perceptron from identity, skin "
        "vector and ARKit\n"
        "expression to the coefficients of principal fields, evaluated by numpy\n"
        "(`ml_backend/models/distilled_detail.py`). Output: millimetres.",
        source=f"maps of DNPM and the detail encoder ({facts['maps']}; their weights {facts['teacher']}), "
        "which\n"
        "  learned from simulated skin, not from scans of people",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with the full model's maps",
        evaluation="`python -m ml_backend evaluate detail --json` compares it with simulated truth.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=parameters,
        notes=(
            f"Fields, stored as int8: {model.component_count} at {resolution}, {above}.",
            f"Against the full model on people that training did not see ({facts['held_out']} maps at "
            f"{resolution}):\n"
            f"  {facts['psnr_db']} dB; the nearest maps that the fields hold {facts['fields_psnr_db']} dB.",
        ),
    )


def inputs(maps: MapSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns identity, skin and expression of a set's maps."""
    return maps.identity, maps.skin, maps.expression


def label_faces(
    model: Detailed3DMM,
    labels: list[LatentLabels],
    identity: np.ndarray,
    skin: np.ndarray,
    expression: np.ndarray,
) -> np.ndarray:
    """Returns all bands' coefficients of faces, by way of their latents: (N, C) float32."""
    coefficients = []
    for start in range(0, len(identity), _LABELS_AT_ONCE):
        part = slice(start, start + _LABELS_AT_ONCE)
        latents = latents_of_faces(model, identity[part], skin[part], expression[part])
        coefficients.append(np.concatenate([label(*latents) for label in labels], 1))
    return np.concatenate(coefficients)


def _people(table: dict) -> dict[str, int]:
    return {
        "people": table["people"],
        "expressions": table["expressions"],
        "first_seed": table.get("first_seed", 0),
    }


def export(
    network: CoefficientNetwork,
    scaling: InputScaling,
    low: FieldBand,
    above: list[tuple[FieldBand, np.ndarray]],
) -> DistilledDetail:
    """Returns the trained network and the fields as the numpy model."""
    state = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    layers = [(state[f"layers.{n}.weight"], state[f"layers.{n}.bias"]) for n in range(len(network.layers))]
    return DistilledDetail(scaling, layers, low, above)


def closeness(model: DistilledDetail, maps: MapSet, sheet: Path) -> dict[str, str]:
    """Measures PSNR against the full model on held-out people, at the low band; writes a sheet of both.

    Returns:
        psnr_db of the distilled maps, fields_psnr_db of the nearest maps that the fields hold, held_out maps.
    """
    rows = np.linspace(int(len(maps) * TRAINING_SHARE), len(maps) - 1, min(400, len(maps) // 10)).astype(int)
    truth = np.asarray(maps.maps[rows], np.float32)
    inside = maps.mask > 0
    distilled = model.displacement(
        maps.identity[rows], maps.skin[rows], maps.expression[rows], truth.shape[-1]
    )
    nearest = np.stack([model.draw(c, truth.shape[-1]) for c in project(model.low, truth)])
    peak = float(np.subtract(*np.percentile(truth[:, inside], [99.9, 0.1])))
    figures = {
        name: f"{20 * np.log10(peak / max(np.sqrt(np.mean((maps_shown - truth)[:, inside] ** 2)), 1e-9)):.2f}"
        for name, maps_shown in (("psnr_db", distilled), ("fields_psnr_db", nearest))
    }
    shown = np.linspace(0, len(rows) - 1, min(6, len(rows))).astype(int)
    write_sample_sheet(sheet, [truth[shown] * inside, distilled[shown] * inside])
    return {**figures, "held_out": str(len(rows))}
