"""A picture sheet of wrinkles read off photos: people at rest and smiling, the photo beside the relief.

    python -m benchmarks.wrinkle_sheet --set photos --out build/wrinkle_sheet.png

The folder holds neutral/ and smiling/ with photos of the same names. Photos are unwrapped, so that each
wrinkle lies at the same place in the photo and in the relief. The relief is what the network reads off the
picture where calm skin at rest is expected. The sheet shows real people: keep it out of repositories.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_photo import paired_photos
from ml_backend.evaluation.photo_wrinkles import PhotoSkin, wrinkle_band
from ml_backend.files.relief_sheet import shaded_relief
from ml_backend.geometry.srgb import to_srgb

FACE = (slice(0.25, 0.78), slice(0.16, 0.84))
"""Rows from the top and columns of the texture that are shown, shares of its side."""
LEVEL = 0.22


def photo_tile(photo: PhotoSkin, size: int) -> np.ndarray:
    """Returns the unwrapped face as (h, size, 3) uint8, at the usual brightness."""
    seen = photo.confidence > 0.5
    level = float(np.median(photo.texture[seen].mean(1))) if seen.any() else LEVEL
    encoded = to_srgb(np.clip(photo.texture * (LEVEL / max(level, 1e-3)), 0, 1))
    return _cut((np.clip(encoded, 0, 1) * 255).astype(np.uint8)[::-1], size)


def relief_tile(photo: PhotoSkin, expected: np.ndarray, size: int) -> np.ndarray:
    """Returns the wrinkles' band of the estimate, shaded, as (h, size, 3) uint8."""
    relief = wrinkle_band(photo.estimate(expected)[0])[0].cpu().numpy()
    return _cut(np.repeat(shaded_relief(relief, exaggeration=4)[..., None], 3, 2), size)


def row_of(paths: tuple[Path, Path], size: int) -> np.ndarray:
    """Returns one person's row: neutral photo and relief, smiling photo and relief."""
    photos = [PhotoSkin.of(path) for path in paths]
    expected = photos[0].expected(np.zeros_like(photos[0].expression), calm=True)
    tiles = [tile for one in photos for tile in (photo_tile(one, size), relief_tile(one, expected, size))]
    return np.concatenate(tiles, 1)


def _cut(picture: np.ndarray, size: int) -> np.ndarray:
    """Returns the face's part of a picture (R, R, 3) with row 0 at the top, `size` pixels wide."""
    rows, columns = (
        slice(round(part.start * len(picture)), round(part.stop * len(picture))) for part in FACE
    )
    cut = Image.fromarray(np.ascontiguousarray(picture[rows, columns]))
    height = round(size * (FACE[0].stop - FACE[0].start) / (FACE[1].stop - FACE[1].start))
    return np.asarray(cut.resize((size, height), Image.Resampling.LANCZOS))


def main() -> int:
    """Fits and writes the sheet, row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="holds neutral/ and smiling/")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/wrinkle_sheet.png"),
        help="the sheet (default: build/wrinkle_sheet.png)",
    )
    parser.add_argument("--size", type=int, default=420, help="width of each picture (default: 420)")
    parser.add_argument("--people", type=int, default=5, help="the first so many people (default: 5)")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    try:
        for paths in list(paired_photos(args.set).values())[: max(args.people, 1)]:
            rows.append(row_of(paths, args.size))
            Image.fromarray(np.concatenate(rows)).save(args.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
