"""Measures how far rendered portraits are from photographs: the kernel distance of network features.

    python -m benchmarks.portrait_distance build/portraits --photos FOLDER --networks FOLDER

Every picture is turned and scaled so that its eyes lie at the same places; AlexNet's features are compared
over the oval of the face and over the whole head. 0: they cannot be told apart. Beside it stands the distance
of half of the photographs from the other half, which is what chance leaves, and the distance from photographs
made as coarse as the portraits: a face of few pixels is far from a sharp one, whoever it shows. Neither
photographs nor network ship: see `ml_backend/evaluation/skin/photo_networks.py` for the network's file.

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
_AS_COARSE = ", photographs as coarse"


def eyes_in(pixels: np.ndarray) -> np.ndarray | None:
    """Returns the places of the right and the left eye, (2, 2) pixels; None without a face.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
    """
    faces = find_faces(pixels)
    if not faces:
        return None
    return np.stack([faces[0].points[list(corners), :2].mean(0) for corners in (_RIGHT_EYE, _LEFT_EYE)])


def aligned(pixels: np.ndarray, eyes: np.ndarray, apart: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Returns the whole head and the oval of the face, (S, S, 3) in 0..1 sRGB each.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        eyes: as `eyes_in`.
        apart: the picture is made so coarse that its eyes are at most this many pixels apart.
    """
    image = Image.fromarray(pixels)
    coarser = min(1.0, apart / float(np.linalg.norm(eyes[1] - eyes[0])))
    if coarser < 1:
        size = round(image.width * coarser), round(image.height * coarser)
        image = image.resize(size, Image.Resampling.LANCZOS)
        eyes = eyes * (np.array(size) / (pixels.shape[1], pixels.shape[0]))
    right, left = eyes
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


def faces_in(paths: Sequence[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the pixels and the eyes, as `eyes_in`, of the pictures that show a face.

    Raises:
        UserError: fewer than four do.
    """
    found = []
    for path in paths:
        pixels = read_photo(path).pixels
        eyes = eyes_in(pixels)
        if eyes is None:
            print(f"{path.name}: no face was found; it is left out", file=sys.stderr)
        else:
            found.append((pixels, eyes))
    if len(found) < 4:
        raise UserError(
            f"{paths[0].parent if paths else 'The folder'}: {len(found)} pictures show a face.",
            "At least four are needed to compare.",
        )
    return found


def gathered(
    faces: Sequence[tuple[np.ndarray, np.ndarray]], network: PerceptualDistance, apart: float = np.inf
) -> dict[str, np.ndarray]:
    """Returns the features `head` and `face`, (N, D) each, of `faces_in`; `apart` as in `aligned`."""
    pairs = [aligned(pixels, eyes, apart) for pixels, eyes in faces]
    names = ("head", "face")
    return {
        name: np.array([described(network, picture) for picture in pictures])
        for name, pictures in zip(names, zip(*pairs, strict=True), strict=True)
    }


def median_apart(faces: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns the median distance of the eyes of `faces_in`, pixels."""
    return float(np.median([np.linalg.norm(eyes[1] - eyes[0]) for _, eyes in faces]))


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
        people = faces_in(pictures_in(args.photos))
        photos = gathered(people, network)
        rows = {"half of the photographs": {name: halves(values) for name, values in photos.items()}}
        for folder in args.portraits:
            faces = faces_in(pictures_in(folder))
            found, apart = gathered(faces, network), median_apart(faces)
            for label, other in (("", photos), (_AS_COARSE, gathered(people, network, apart))):
                rows[f"{folder}{label}"] = {
                    name: kernel_distance(values, other[name]) for name, values in found.items()
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
