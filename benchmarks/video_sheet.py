"""A sheet of a tracked video: frames, the solved face under their cameras, and that face with wrinkles.

python -m benchmarks.video_sheet actor.mp4 take.json --out sheet.png
python -m benchmarks.video_sheet actor.mp4 take.json --frames 8 --size 320
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from ml_backend.files.take_file import read_take
from ml_backend.pipelines.preview_take import preview_take


def main() -> None:
    """Draws and writes the sheet: a column a frame."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", help="the video")
    parser.add_argument("take", help="its take.json")
    parser.add_argument("--out", default="build/video_sheet.png", help="the picture (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=6, help="columns (default: 6)")
    parser.add_argument("--size", type=int, default=288, help="pixels of a tile (default: 288)")
    args = parser.parse_args()
    take = read_take(args.take)
    rows = np.linspace(0, len(take.seconds) - 1, args.frames).astype(int)
    columns = [
        np.concatenate(np.split(picture, 3, axis=1), 0)
        for picture in preview_take(take, args.video, rows, args.size)
    ]
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(columns, 1)).save(args.out)


if __name__ == "__main__":
    main()
