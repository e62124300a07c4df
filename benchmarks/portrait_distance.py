"""Measures how far rendered portraits are from photographs: the kernel distance of network features.

    python -m benchmarks.portrait_distance build/portraits --photos FOLDER --networks FOLDER

Every picture is turned and scaled so that its eyes lie at the same places; AlexNet's features are compared
over the oval of the face and over the whole head. 0: they cannot be told apart. Beside it stands the distance
of half of the photographs from the other half, which is what chance leaves. Neither photographs nor network
ship: see `ml_backend/evaluation/skin/photo_networks.py` for the network's file.

Source: Binkowski et al. 2018, "Demystifying MMD GANs": the unbiased estimate with a cubic kernel; features
have unit length in each layer.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ml_backend.commands.fit import PHOTO_SUFFIXES
from ml_backend.errors import UserError
from ml_backend.evaluation.skin.photo_networks import PerceptualDistance
from ml_backend.fitting.landmarks import find_faces
from ml_backend.fitting.photo_file import read_photo

SIDE = 224
_EYES = ((0.36, 0.48), (0.64, 0.48))
"""Places of the eyes on the person's right and left in the whole head's picture, shares of its side."""
_FACE_WIDER = 1.75
"""By which the picture of the face is a part of the head's."""
_RIGHT_EYE, _LEFT_EYE = (33, 133), (362, 263)
"""Corners of the eyes among the landmarks."""
_FIRST_LAYER, _LAYERS = 2, 3
_HALVINGS = 20


def aligned(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the whole head and the oval of the face, (S, S, 3) in 0..1 sRGB each; None without a face.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
    """
    faces = find_faces(pixels)
    if not faces:
        return None
    points = faces[0].points
    right, left = (points[list(corners), :2].mean(0) for corners in (_RIGHT_EYE, _LEFT_EYE))
    image = Image.fromarray(pixels)
    whole = _placed(image, right, left, np.array(_EYES))
    face = _placed(image, right, left, (np.array(_EYES) - (0.5, 0.55)) * _FACE_WIDER + (0.5, 0.5))
    across, down = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2)
    oval = np.clip((1 - np.hypot(across / 0.72, down / 0.98)) * 12, 0, 1)[..., None]
    return whole, face * oval + 0.5 * (1 - oval)


def _placed(image: Image.Image, right: np.ndarray, left: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Returns a picture (S, S, 3) in 0..1 of which the eyes lie at `eyes` (2, 2), shares of its side."""
    wanted, seen = (eyes[1] - eyes[0]) * SIDE, left - right
    turn = complex(*seen) / complex(*wanted)  # pixels of the photo for one of the result, as a rotation
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    offset = right - matrix @ (eyes[0] * SIDE)
    shrink = max(abs(turn), 1.0)
    small = image.reduce(int(shrink)) if shrink >= 2 else image
    scale = np.array([small.width / image.width, small.height / image.height])
    numbers = np.concatenate([matrix, offset[:, None]], 1) * scale[:, None]
    placed = small.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, tuple(numbers.ravel()), Image.Resampling.BICUBIC,
        fillcolor=(128, 128, 128),
    )  # fmt: skip
    return np.asarray(placed, np.float32) / 255


def described(network: PerceptualDistance, picture: np.ndarray) -> np.ndarray:
    """Returns the mean features of a picture (S, S, 3) in the deeper layers, one vector."""
    return np.concatenate(
        [layer[0].mean((1, 2)).numpy() for layer in network.features(picture)[_FIRST_LAYER:]]
    )


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the unbiased squared maximum mean discrepancy of two sets of vectors (N, D) and (M, D)."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / _LAYERS + 1) ** 3

    within = []
    for values in (one, other):
        table, count = kernel(values, values), len(values)
        within.append((table.sum() - np.trace(table)) / (count * (count - 1)))
    return float(within[0] + within[1] - 2 * kernel(one, other).mean())


def halves(values: np.ndarray) -> float:
    """Returns the mean distance of one half of a set (N, D) from the other, over random halvings."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(_HALVINGS):
        order = random.permutation(len(values))
        found.append(kernel_distance(values[order[::2]], values[order[1::2]]))
    return float(np.mean(found))


def gathered(paths: Sequence[Path], network: PerceptualDistance) -> dict[str, np.ndarray]:
    """Returns `head` and `face`, (N, D) each, of the pictures that show a face.

    Raises:
        UserError: fewer than four do.
    """
    rows: dict[str, list[np.ndarray]] = {"head": [], "face": []}
    for path in paths:
        pictures = aligned(read_photo(path).pixels)
        if pictures is None:
            print(f"{path.name}: no face was found; it is left out", file=sys.stderr)
            continue
        for name, picture in zip(rows, pictures, strict=True):
            rows[name].append(described(network, picture))
    if len(rows["head"]) < 4:
        raise UserError(
            f"{paths[0].parent if paths else 'The folder'}: {len(rows['head'])} pictures show a face.",
            "At least four are needed to compare.",
        )
    return {name: np.array(values) for name, values in rows.items()}


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures below a folder.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder.", "Name a folder of pictures.")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)


def main() -> int:
    """Parses the arguments and measures; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.portrait_distance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("portraits", type=Path, nargs="+", help="folders of rendered portraits")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs of people")
    parser.add_argument("--networks", type=Path, required=True, help="folder with lpips_alexnet.npz")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    try:
        network = PerceptualDistance(args.networks)
        photos = gathered(pictures_in(args.photos), network)
        rows = {"half of the photographs": {name: halves(values) for name, values in photos.items()}}
        for folder in args.portraits:
            found = gathered(pictures_in(folder), network)
            rows[str(folder)] = {
                name: kernel_distance(values, photos[name]) for name, values in found.items()
            }
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counted = {"photos": len(photos["head"]), "distance": rows}
    if args.json:
        print(json.dumps(counted, indent=1))
    else:
        print(f"{counted['photos']} photographs")
        for name, row in rows.items():
            print(f"{name}: face {row['face']:.4f}, head {row['head']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
