"""Distils the full model, DNPM and its encoder, into a small network and principal fields that numpy evaluates inside Blender.

The full model's maps of random people are generated into --data on first use. Their principal components at
256 become the fields
of the low band, those of what maps of 512 and 1024 hold beyond it the fields of two finer bands. The fields'
coefficients turn out to
be almost linear in the full model's latents, which cost no map: that labels many more people. A multilayer
perceptron learns the
coefficients of all (squared error, each component by its power); the last tenth of the people with maps is
held out, and the network
that is best on them is kept.

Writes to --out: distilled_detail.safetensors, distilled_detail.md (model card), log.jsonl, a sheet of the
full model's and the
distilled maps, checkpoint.safetensors.

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
from ..files.relief_sheet import write_sample_sheet
from ..layers.blur_resampling import double_size
from ..layers.device import device_name
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.distilled_detail import DistilledDetail, FieldBand, InputScaling
from ..models.saved_latent import print_of_weights
from .checkpoints import WeightAverage
from .latent_labels import LatentLabels, draw_faces, latents_of_faces
from .model_card import install, write_distilled_card
from .principal_start import full_rows, principal_components
from .train_dnpm import EXPRESSION_SHARE, IDENTITY_SHARE, StageKeeper, identity_influence
from .training_run import RunLog, Schedule, add_run_arguments, choose_device, read_configuration, set_rate

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
    """Fully connected ReLU layers from scaled inputs to coefficients; the expression enters again after the first."""

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


def input_scaling(maps: MapSet, influence: tuple[np.ndarray, np.ndarray, float]) -> InputScaling:
    """Centres and scales the inputs as the detail encoder's are: identity by how far each coefficient moves the face."""
    moved, weights, offset = influence
    condition = np.concatenate([maps.identity, (maps.identity @ weights + offset)[:, None], maps.skin], 1)
    share = np.concatenate([np.clip(IDENTITY_SHARE * moved, 0.05, None), np.ones(1 + maps.skin.shape[1])])
    values = (
        weights, np.asarray(offset), condition.mean(0), condition.std(0).clip(0.05) / share, maps.expression.mean(0),
        maps.expression.std(0).clip(0.05) / EXPRESSION_SHARE,
    )  # fmt: skip
    return InputScaling(*(np.asarray(value, np.float32) for value in values))


def fit_low_band(maps: MapSet, components: int) -> tuple[FieldBand, Tensor]:
    """Principal fields of the maps, and the maps' coefficients (N, C) in them; errors of coefficients weigh like errors of maps."""
    rows = full_rows(maps.maps, maps.maps.shape[-1])
    inside = maps.mask > 0
    mean, fields, values = principal_components(
        rows, inside.ravel().astype(np.float32), min(components, len(rows) - 1)
    )
    norm = fields.norm(dim=1).clamp_min(1e-9)
    own = torch.from_numpy(inside.ravel())
    band = FieldBand.quantise(inside, mean[own].numpy(), (fields[:, own] / norm[:, None]).numpy())
    return band, values * norm


def project(band: FieldBand, maps: np.ndarray) -> np.ndarray:
    """Coefficients (N, C) of maps (N, R, R) in a band with orthonormal fields."""
    fields = band.fields.astype(np.float32) * band.scale[:, None]
    parts = [
        np.asarray(maps[s : s + _ROWS_AT_ONCE], np.float32)[:, band.inside] - band.mean
        for s in range(0, len(maps), _ROWS_AT_ONCE)
    ]
    return np.concatenate([part @ fields.T for part in parts])


def fit_band_above(sets: dict[int, MapSet], resolution: int, components: int) -> tuple[FieldBand, Tensor]:
    """What maps of `resolution` hold beyond the doubled coarser ones, as fields, and the coefficients (N, F)."""
    fine, coarse = sets[resolution], sets[resolution // 2]
    rows = np.empty((len(fine), resolution * resolution), np.float16)
    for start in range(0, len(fine), 16):
        part = slice(start, start + 16)
        below = double_size(torch.from_numpy(np.asarray(coarse.maps[part], np.float32))[:, None])[:, 0]
        rows[part] = (torch.from_numpy(np.asarray(fine.maps[part], np.float32)) - below).flatten(1).numpy()
    own = fine.mask.ravel() > 0
    mean, fields, values = principal_components(rows, own.astype(np.float32), min(components, len(rows) - 1))
    norm = fields.norm(dim=1).clamp_min(1e-9)
    flat = (fields[:, torch.from_numpy(own)] / norm[:, None]).numpy()
    return FieldBand.quantise(fine.mask > 0, mean.numpy()[own], flat), values * norm


def widen(low: FieldBand, above: list[FieldBand]) -> tuple[FieldBand, list[tuple[FieldBand, np.ndarray]]]:
    """Gives all bands one vector of coefficients: the low band's, then each finer band's, whose fields at the low band are zero."""
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
    log: RunLog,
    keeper: StageKeeper,
) -> float:
    """Trains on the first rows; the moving average that is best on the rest is kept.

    Args:
        network: trained in place.
        given: scaled condition (N, K + 17) and expression (N, 52).
        targets: (N, C).
        training: how many rows to train on.
        settings: steps, minutes, batch, rate, decay, average_steps, log_steps.
        log: receives the errors relative to the targets' power.
        keeper: resumes.

    Returns:
        The least error of unseen people, relative.
    """
    device = targets.device
    power = (targets - targets[:training].mean(0)).square().sum(1).mean()
    average = copy.deepcopy(network)
    keeping = WeightAverage(network, average, settings["average_steps"])
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings["rate"], betas=(0.9, 0.99), weight_decay=settings["decay"]
    )
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    save, resume = keeper.hooks("network")
    resume({"network": optimiser}, schedule)
    random = torch.Generator().manual_seed(schedule.done)
    best, kept = float("inf"), copy.deepcopy(average.state_dict())
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        rows = torch.randint(training, (settings["batch"],), generator=random).to(device)
        loss = (network(*(values[rows] for values in given)) - targets[rows]).square().sum(1).mean() / power
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        keeping.update()
        schedule.done += 1
        if schedule.done % settings["log_steps"] == 0 or schedule.progress >= 1:
            with torch.no_grad():
                found = average(*(values[training:] for values in given))
                unseen = float((found - targets[training:]).square().sum(1).mean() / power)
            if unseen < best:
                best, kept = unseen, copy.deepcopy(average.state_dict())
            log.write(
                "network",
                step=schedule.done,
                loss=float(loss.detach()),
                unseen=unseen,
                minutes_left=schedule.minutes_left,
            )
            save({"network": optimiser}, schedule)
    network.load_state_dict(kept)
    return best


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "distilled-detail")
    device = choose_device(args)
    log = RunLog(args.out, args.resume)
    teacher, weights = Detailed3DMM.load(args.weights, device), print_of_weights(args.weights)
    own = settings["fields"]
    above = {int(resolution): count for resolution, count in own.get("above", {}).items()}
    coarse = make_teacher_maps(
        args.data / "coarse",
        teacher,
        weights,
        resolutions=(own["resolution"],),
        **_people(settings["teacher"]),
    )
    maps = coarse[own["resolution"]]
    fine = make_teacher_maps(
        args.data / "fine",
        teacher,
        weights,
        resolutions=(own["resolution"], *above),
        **_people(settings["teacher_fine"]),
    )
    log.write("fields", maps=len(maps), fine_maps=len(next(iter(fine.values()))))
    low, values = fit_low_band(maps, own["components"])
    labels = [LatentLabels.fit(own["resolution"], *latents_of_faces(teacher, *inputs(maps)), values.numpy())]
    bands = []
    for resolution, count in above.items():
        band, finer = fit_band_above(fine, resolution, count)
        bands.append(band)
        labels.append(
            LatentLabels.fit(resolution, *latents_of_faces(teacher, *inputs(fine[resolution])), finer.numpy())
        )
    for label in labels:
        log.write("labels", style=label.style, components=len(label.offset), unexplained=label.unexplained)
    face = BilinearFace.default()
    scaling = input_scaling(maps, identity_influence(face))
    known = int(len(maps) * TRAINING_SHARE)
    drawn = draw_faces(face, settings["training"]["drawn"], FIRST_DRAWN)
    targets = torch.from_numpy(
        np.concatenate([label_faces(teacher, labels, *given) for given in (drawn, inputs(maps))])
    )
    targets[len(drawn[0]) :, : values.shape[1]] = values  # what the maps themselves say is worth more
    condition, faces = scaling(
        *(np.concatenate([one, other]) for one, other in zip(drawn, inputs(maps), strict=True))
    )
    given = torch.from_numpy(condition).to(device), torch.from_numpy(faces).to(device)
    torch.manual_seed(0)
    network = CoefficientNetwork(
        given[0].shape[1], given[1].shape[1], settings["network"]["hidden"], targets.shape[1]
    ).to(device)
    keeper = StageKeeper(args.out / "checkpoint.safetensors", {"network": network}, args.resume)
    training = len(drawn[0]) + known
    unseen = train_network(network, given, targets.to(device), training, settings["training"], log, keeper)
    model = export(network, scaling, *widen(low, bands))
    facts = {
        "command": f"python -m ml_backend train distilled-detail --config {args.config}",
        "teacher": weights,
        "maps": f"{settings['teacher']['people']} people x {settings['teacher']['expressions']} expressions",
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "unseen": f"{unseen:.4f}",
        **closeness(model, maps, args.out / "distilled.png"),
    }
    model.save(args.out / FILE, facts)
    write_distilled_card(args.out / FILE, model, sum(p.numel() for p in network.parameters()), facts)
    log.write("done", **facts)
    if args.install:
        install(args.out, (FILE,))
    return 0


def inputs(maps: MapSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identity, skin and expression of a set's maps."""
    return maps.identity, maps.skin, maps.expression


def label_faces(
    model: Detailed3DMM,
    labels: list[LatentLabels],
    identity: np.ndarray,
    skin: np.ndarray,
    expression: np.ndarray,
) -> np.ndarray:
    """All bands' coefficients of faces, by way of their latents: (N, C) float32."""
    found = []
    for start in range(0, len(identity), _LABELS_AT_ONCE):
        part = slice(start, start + _LABELS_AT_ONCE)
        latents = latents_of_faces(model, identity[part], skin[part], expression[part])
        found.append(np.concatenate([label(*latents) for label in labels], 1))
    return np.concatenate(found)


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
    """The trained network and the fields as the numpy model."""
    state = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    layers = [(state[f"layers.{n}.weight"], state[f"layers.{n}.bias"]) for n in range(len(network.layers))]
    return DistilledDetail(scaling, layers, low, above)


def closeness(model: DistilledDetail, maps: MapSet, sheet: Path) -> dict[str, str]:
    """PSNR against the full model on held-out people, at the low band's resolution; writes a sheet of both.

    Returns:
        psnr_db of the distilled maps, fields_psnr_db of the nearest maps that the fields hold, held_out maps.
    """
    rows = np.linspace(int(len(maps) * TRAINING_SHARE), len(maps) - 1, min(400, len(maps) // 10)).astype(int)
    truth = np.asarray(maps.maps[rows], np.float32)
    inside = maps.mask > 0
    found = model.displacement(maps.identity[rows], maps.skin[rows], maps.expression[rows], truth.shape[-1])
    nearest = np.stack([model.draw(c, truth.shape[-1]) for c in project(model.low, truth)])
    peak = float(np.subtract(*np.percentile(truth[:, inside], [99.9, 0.1])))
    figures = {
        name: f"{20 * np.log10(peak / max(np.sqrt(np.mean((one - truth)[:, inside] ** 2)), 1e-9)):.2f}"
        for name, one in (("psnr_db", found), ("fields_psnr_db", nearest))
    }
    shown = np.linspace(0, len(rows) - 1, min(6, len(rows))).astype(int)
    write_sample_sheet(sheet, [truth[shown] * inside, found[shown] * inside])
    return {**figures, "held_out": str(len(rows))}
