"""Power by octave of wavelength, in millimetres, of simulated skin beside a real scan's displacement.

    python -m benchmarks.skin_spectrum --scan FOLDER
    python -m benchmarks.skin_spectrum --scan FOLDER --years 60 --people 8 --json

FOLDER holds the head scan of Lee Perry-Smith (Infinite-Realities, CC BY 3.0):
Infinite-Level_02_Disp_NoSmoothUV-4096.jpg, 8 bit, 20 mm over its 256 levels, and head_of_lambertian.obj, the
mesh in whose texture coordinates it is painted (LeePerrySmith.obj beside it has the same vertices and
texture coordinates). Nothing of the scan is written.

The millimetres come from the meshes, not from the maps. The scan's mesh is in metres: its nasion-menton is
128 mm and its eyes are 68 mm apart, both within one deviation of Farkas's men (124.7 +- 5.7) and Dodgson's
(64.7 +- 3.7). Over a patch the surface metric J^T J, J = d(millimetres) / d(texture coordinates), is averaged
over the triangles by area; a frequency (fu, fv) of the map's Fourier transform then is
sqrt(f (J^T J)^-1 f^T) cycles a millimetre whatever the chart's stretch and shear are. Nothing is resampled.
Ours is measured the same way on the mean face's chart. A quadratic surface is subtracted and a Hann window
laid over each patch.

The scan's 8-bit noise is white, level^2 / 12 a texel: beyond 2.8 texels the measured floor is .95 to 1.7 of
that. The measured floor is subtracted. An octave counts where the map holds it: from two texels of our map,
and four of the scan's (a few per cent less is allowed), up to 4 mm, beyond which the scan's displacement is
the shape that its coarse mesh lacks. Levels are decibels of the variance, ours over the scan's.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.skin_vector import YEARS_PER_SKIN_AGE, sample_skin
from ml_backend.simulation.relief.face_chart import GRID, FaceChart
from ml_backend.simulation.relief.skin_simulation import SkinSimulation

DISPLACEMENT = "Infinite-Level_02_Disp_NoSmoothUV-4096.jpg"
MESH = "head_of_lambertian.obj"
MM_PER_LEVEL = 20 / 256
OCTAVES = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0))
"""Wavelengths, millimetres."""
LARGEST_MM = 4.0
PATCH_MM = {"cheek": 20.0, "forehead": 20.0, "nose": 12.0}
SCAN_CENTRES = {
    "cheek": ((0.36, 0.41), (0.64, 0.41), (0.35, 0.43), (0.65, 0.43)),
    "forehead": ((0.45, 0.12), (0.55, 0.12)),
    "nose": ((0.5, 0.365), (0.5, 0.35)),
}
"""Texture coordinates of the scan, from its top left corner, free of brows, stubble and moles."""
OUR_CENTRES = {
    "cheek": ((33.0, -35.0), (-33.0, -35.0)),
    "forehead": ((12.0, 46.0), (-12.0, 46.0)),
    "nose": ((0.0, -28.0), (0.0, -34.0)),
}
"""(across, up) millimetres in the anatomical frame."""


@dataclass(frozen=True)
class Patch:
    """A piece of a map on a nearly flat piece of skin.

    Attributes:
        heights: (H, W) millimetres, rows along v.
        metric: (2, 2) square millimetres of a step of one texel in (u, v).
    """

    heights: np.ndarray
    metric: np.ndarray

    @property
    def texels(self) -> tuple[float, float]:
        """Millimetres of a texel along u and v."""
        return float(np.sqrt(self.metric[0, 0])), float(np.sqrt(self.metric[1, 1]))


def spectrum(patch: Patch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance of each frequency of a patch.

    Returns:
        (H, W) square millimetres, whose sum is the patch's variance; (H, W) cycles a millimetre; (H, W) the
        larger of the cycles a texel along u and v.
    """
    height, width = patch.heights.shape
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    shape = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], -1).reshape(-1, 6)
    flat = patch.heights.reshape(-1).astype(np.float64)
    flat = flat - shape @ np.linalg.lstsq(shape, flat, rcond=None)[0]
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.fft2(flat.reshape(height, width) * window)) ** 2
    power /= (window**2).sum() * power.size
    fv, fu = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    inverse = np.linalg.inv(patch.metric)
    cycles = np.sqrt(inverse[0, 0] * fu**2 + 2 * inverse[0, 1] * fu * fv + inverse[1, 1] * fv**2)
    return power, cycles, np.maximum(np.abs(fu), np.abs(fv))


def power_by_octave(patch: Patch, noisy: bool = False) -> np.ndarray:
    """Returns (octaves,) variance in square millimetres.

    Args:
        patch: a piece of a map.
        noisy: subtracts the white noise that the frequencies beyond 2.8 texels show.
    """
    power, cycles, per_texel = spectrum(patch)
    floor = power[per_texel > 0.36].mean() if noisy else 0.0
    bands = [(cycles >= 1 / high) & (cycles < 1 / low) for low, high in OCTAVES]
    return np.array([max(float(power[band].sum() - floor * band.sum()), 1e-12) for band in bands])


def read_quads(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the quads of a Wavefront OBJ: (F, 4, 3) positions and (F, 4, 2) texture coordinates.

    Raises:
        UserError: the file is missing or not such a mesh.
    """
    positions, texture, corners = [], [], []
    try:
        for line in path.read_text("utf-8", errors="replace").splitlines():
            kind, *words = line.split() or [""]
            if kind == "v":
                positions.append([float(word) for word in words[:3]])
            elif kind == "vt":
                texture.append([float(word) for word in words[:2]])
            elif kind == "f" and len(words) == 4:
                corners.append([[int(number) - 1 for number in word.split("/")[:2]] for word in words])
        index = np.array(corners).reshape(-1, 4, 2)
        return np.array(positions)[index[..., 0]], np.array(texture)[index[..., 1]]
    except (OSError, ValueError, IndexError) as error:
        raise UserError(
            f"{path}: not a mesh that can be read ({error}).", "Give the scan's folder."
        ) from error


def mesh_metric(positions: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Mean surface metric of quads, by area: (2, 2) square units of length per square of texture space.

    Args:
        positions: (F, 4, 3).
        texture: (F, 4, 2).
    """
    total, area = np.zeros((2, 2)), 0.0
    for one, two in ((1, 2), (2, 3)):
        edges = np.stack([positions[:, k] - positions[:, 0] for k in (one, two)], 2)
        steps = np.stack([texture[:, k] - texture[:, 0] for k in (one, two)], 2)
        sound = np.abs(np.linalg.det(steps)) > 1e-12
        slopes = edges[sound] @ np.linalg.inv(steps[sound])
        weight = np.linalg.norm(np.cross(edges[sound, :, 0], edges[sound, :, 1]), axis=1)
        total += np.einsum("fki,fkj,f->ij", slopes, slopes, weight)
        area += weight.sum()
    return total / area


def cut(relief: np.ndarray, centre: tuple[float, float], metric: np.ndarray, size_mm: float) -> Patch:
    """Cuts a patch out of a map.

    Args:
        relief: (R, R) millimetres, row 0 at v = 0.
        centre: (u, v).
        metric: (2, 2) square millimetres per square of texture space.
        size_mm: its width and height.
    """
    resolution = relief.shape[0]
    per_texel = metric / resolution**2
    half = [round(size_mm / 2 / np.sqrt(per_texel[axis, axis])) for axis in (0, 1)]
    column, row = round(centre[0] * resolution), round(centre[1] * resolution)
    piece = relief[row - half[1] : row + half[1], column - half[0] : column + half[0]]
    return Patch(np.asarray(piece, np.float64), per_texel)


def scan_patches(folder: Path) -> dict[str, list[Patch]]:
    """Patches of the real scan by region.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    positions, texture = read_quads(folder / MESH)
    try:
        with Image.open(folder / DISPLACEMENT) as picture:
            relief = np.asarray(picture.convert("L"), np.float32)[::-1] * MM_PER_LEVEL
    except OSError as error:
        raise UserError(
            f"{folder / DISPLACEMENT}: no picture that can be read ({error}).", "Give the scan's folder."
        ) from error
    found = {}
    for region, centres in SCAN_CENTRES.items():
        found[region] = []
        for u, down in centres:
            near = np.abs(texture.mean(1) - (u, 1 - down)).max(1) < 0.02
            metric = mesh_metric(positions[near] * 1000, texture[near])
            found[region].append(cut(relief, (u, 1 - down), metric, PATCH_MM[region]))
    return found


def our_patches(relief: np.ndarray, chart: FaceChart) -> dict[str, list[Patch]]:
    """Patches of a simulated map (R, R), millimetres, by region."""
    found = {}
    for region, centres in OUR_CENTRES.items():
        found[region] = []
        for across, up in centres:
            away = (chart.across - across) ** 2 + (chart.up - up) ** 2
            away = away + 1e6 * ((chart.behind > 58) | (chart.raster.covered == 0))
            row, column = divmod(int(away.argmin()), GRID)
            jacobian = chart.jacobian[:, :, row - 2 : row + 3, column - 2 : column + 3].double()
            metric = torch.einsum("kiyx,kjyx->ij", jacobian, jacobian).numpy() / 25
            centre = ((column + 0.5) / GRID, (row + 0.5) / GRID)
            found[region].append(cut(relief, centre, metric, PATCH_MM[region]))
    return found


def neutral_maps(simulation: SkinSimulation, years: float, people: int) -> np.ndarray:
    """Returns (people, R, R) maps at rest, of as many people whose skin is so old."""
    face = simulation.face
    maps = []
    for seed in range(people):
        identity = face.sample_identity(seed)
        skin = sample_skin(seed)
        skin[0] = (years - face.age_years(identity)) / YEARS_PER_SKIN_AGE
        state = simulation.prepare(torch.from_numpy(identity[None]), torch.from_numpy(skin[None]))
        maps.append(simulation.displacement(state, torch.zeros(1, 1, 52))[0, 0].cpu().numpy())
    return np.stack(maps)


def compare(scan: dict[str, list[Patch]], ours: list[dict[str, list[Patch]]]) -> dict[str, list[dict]]:
    """Sets the octaves of both beside each other.

    Args:
        scan: from `scan_patches`.
        ours: from `our_patches`, one for each person.

    Returns:
        By region, for each octave: "octave_mm", "scan_um" and "ours_um" (root mean square, micrometres),
        "difference_db", "counts".
    """
    rows = {}
    for region in PATCH_MM:
        mine = [patch for person in ours for patch in person[region]]
        real = np.mean([power_by_octave(patch, noisy=True) for patch in scan[region]], 0)
        made = np.mean([power_by_octave(patch) for patch in mine], 0)
        shortest = max(2 * max(mine[0].texels), 0.95 * 4 * min(scan[region][0].texels))
        rows[region] = [
            {
                "octave_mm": list(octave),
                "scan_um": round(1000 * float(np.sqrt(theirs)), 1),
                "ours_um": round(1000 * float(np.sqrt(own)), 1),
                "difference_db": round(10 * float(np.log10(own / theirs)), 2),
                "counts": bool(octave[0] >= shortest and octave[1] <= LARGEST_MM),
            }
            for octave, theirs, own in zip(OCTAVES, real, made, strict=True)
        ]
    return rows


def main() -> int:
    """Measures and prints a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scan", type=Path, required=True, help="folder of the real scan")
    parser.add_argument("--people", type=int, default=6, help="simulated people (default: 6)")
    parser.add_argument("--years", type=float, default=35.0, help="age of their skin (default: 35)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if args.people < 1:
        print("error: at least one person", file=sys.stderr)
        return 2
    try:
        scan = scan_patches(args.scan)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    simulation = SkinSimulation(BilinearFace.default(), resolution=1024)
    chart = simulation.mean_skin.chart
    maps = neutral_maps(simulation, args.years, args.people)
    rows = compare(scan, [our_patches(relief, chart) for relief in maps])
    worst = max(abs(row["difference_db"]) for region in rows.values() for row in region if row["counts"])
    if args.json:
        print(json.dumps({"regions": rows, "worst_db": worst, "years": args.years, "n_people": args.people}))
        return 0
    for region, lines in rows.items():
        for row in lines:
            low, high = row["octave_mm"]
            note = "" if row["counts"] else "  (does not count)"
            print(
                f"{region:9} {low:g}-{high:g} mm  scan {row['scan_um']:5.1f}  ours {row['ours_um']:5.1f} um  "
                f"{row['difference_db']:+6.2f} dB{note}"
            )
    print(f"worst octave that counts: {worst:.2f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
