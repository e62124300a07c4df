"""A picture sheet of photo fits: photo, mesh over it, detailed face, and the same of a degraded copy.

    python -m benchmarks.photo_sheet --set photos --out build/photo_sheet.png

The folder may have folders in it. The sheet shows real people: keep it out of repositories.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_photo import ENDINGS
from ml_backend.fitting.degraded_photo import degrade_photo, portrait_square
from ml_backend.fitting.face_preview import preview_sheet
from ml_backend.fitting.unwrap_photo import TextureDomain
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.pipelines.fit_from_image import FitFromImageRequest, FittedFace, fit_from_image


def _quiet(share: float, text: str) -> None:
    """Progress that nobody watches."""


def pictures_of(fitted: FittedFace, size: int) -> np.ndarray:
    """Photo, mesh over it, detailed clay, coloured: (S, 4 S, 3) uint8."""
    domain, first = TextureDomain.default(), fitted.photos[0]
    positions = domain.mesh.refine(BilinearFace.default().evaluate(fitted.identity, first.expression))
    colour = fitted.colour
    return preview_sheet(
        domain, first.photo.pixels, first.camera, positions, fitted.detail, colour.albedo,
        colour.light, size
    )  # fmt: skip


def row_of(path: Path, size: int, folder: Path) -> np.ndarray:
    """One photo's row, (S, 8 S, 3) uint8; the right half stays dark where the degraded copy shows no face."""
    fitted = fit_from_image(FitFromImageRequest((str(path),)), _quiet)
    first = fitted.photos[0]
    small = folder / "degraded.png"
    Image.fromarray(degrade_photo(first.photo.pixels, *portrait_square(first.points))).save(small)
    left = pictures_of(fitted, size)
    try:
        right = pictures_of(fit_from_image(FitFromImageRequest((str(small),)), _quiet), size)
    except UserError as error:
        print(f"{path.name}, degraded: {error}", file=sys.stderr)
        right = np.full_like(left, 20)
    return np.concatenate([left, right], 1)


def main() -> int:
    """Fits and writes the sheet, row by row, so that a broken-off run leaves what it did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a folder of photos")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/photo_sheet.png"),
        help="the sheet (default: build/photo_sheet.png)",
    )
    parser.add_argument(
        "--size", type=int, default=224, help="pixels along a side of each picture (default: 224)"
    )
    parser.add_argument("--every", type=int, default=1, help="only every so manyth photo (default: 1)")
    args = parser.parse_args()
    paths = [path for path in sorted(args.set.rglob("*")) if path.suffix.lower() in ENDINGS][
        :: max(args.every, 1)
    ]
    if not paths:
        print(f"error: {args.set}: no photos.", file=sys.stderr)
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            try:
                rows.append(row_of(path, args.size, Path(folder)))
            except UserError as error:
                print(error, file=sys.stderr)
                continue
            Image.fromarray(np.concatenate(rows)).save(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
