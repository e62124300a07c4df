"""Names of files that hold moving pictures, and of the pictures of a sequence; Blender loads this too."""

import re
from pathlib import Path

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp",
    ".ogv", ".ts", ".mxf", ".gif",
)  # fmt: skip
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_NUMBER = re.compile(r"#+|%0?\d*d")


def is_sequence(path: Path) -> bool:
    """Tells whether a path is a folder or a pattern of pictures (`#` or `%04d` for the number), no file."""
    return path.is_dir() or (not path.is_file() and _NUMBER.search(path.name) is not None)


def sequence_of(path: Path) -> list[Path]:
    """Returns the pictures of a folder or of a pattern, in the order of the numbers in their names."""
    if path.is_dir():
        files = [file for file in path.iterdir() if not file.name.startswith(".")]
    else:
        pattern = re.compile(r"(\d+)".join(re.escape(part) for part in _NUMBER.split(path.name)))
        folder = path.parent
        files = [file for file in folder.iterdir() if pattern.fullmatch(file.name)] if folder.is_dir() else []
    return sorted((file for file in files if file.suffix.lower() in PICTURE_SUFFIXES), key=_natural)


def sequence_pattern(path: Path) -> Path:
    """Returns the pattern of the sequence that a picture belongs to: shot_#.png for shot_0001.png.

    The last number of the name counts; other files, and pictures without a number, are returned as they are.
    """
    numbers = list(re.finditer(r"\d+", path.stem))
    if path.suffix.lower() not in PICTURE_SUFFIXES or not numbers:
        return path
    last = numbers[-1]
    return path.with_name(f"{path.stem[: last.start()]}#{path.stem[last.end() :]}{path.suffix}")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Returns a key that sorts shot_9 before shot_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
