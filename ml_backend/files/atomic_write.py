"""Writes a file complete or not at all; makes the folder that results go to."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder that replaces the file once the `with` block has ended.

    The temporary name is unique: two processes that write the same file do not disturb each other, and the
    last one to end wins. If the block raises, the file stays as it was and nothing else is left behind.

    Args:
        path: of the file.

    Yields:
        The path to write to.

    Raises:
        OSError: the file cannot be replaced.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_whole(path: str | Path, text: str) -> None:
    """Writes a text as UTF-8, complete or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def make_folder(path: Path) -> None:
    """Makes a folder that results go to, with those above it; one that is there stays.

    Raises:
        UserError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made ({error.strerror}).", "Choose another folder, or make room."
        ) from error
