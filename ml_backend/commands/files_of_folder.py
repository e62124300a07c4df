"""Many files of a folder, one result each: their names, and work that one bad file cannot stop."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UserError
from ..files.atomic_write import make_folder


def result_paths(files: Sequence[Path], out: Path, suffix: str) -> list[Path]:
    """Returns a place for each file's result; files of one name keep their endings, to differ.

    Args:
        files: paths relative to their folder.
        out: folder of the results.
        suffix: ".csv" or ".json".
    """
    plain = [out / path.with_suffix(suffix) for path in files]
    lower = [str(path).lower() for path in plain]
    full = [out / path.with_name(path.name + suffix) for path in files]
    mixed = [
        target if lower.count(name) == 1 else whole
        for target, whole, name in zip(plain, full, lower, strict=True)
    ]
    return mixed if len(set(mixed)) == len(mixed) else full


def each_file(
    files: Sequence[Path],
    targets: Sequence[Path],
    work: Callable[[Path, Path], str],
    keep: bool = False,
) -> dict[Path, UserError]:
    """Works on file after file; one that cannot be used is named, and the others go on.

    Args:
        files: what to work on.
        targets: the result of each; their folders are made.
        work: takes a file and its target, returns a line for people ("" for none).
        keep: leave out a file whose result is there already.

    Returns:
        The errors of the files that could not be used.

    Raises:
        UserError: the results' folder cannot be written.
    """
    failed = {}
    for number, (path, target) in enumerate(zip(files, targets, strict=True), 1):
        counted = f"{number} of {len(files)}"
        if keep and target.exists():
            print(f"{counted}  {target}: there already", file=sys.stderr, flush=True)
            continue
        make_folder(target.parent)
        try:
            said = work(path, target)
        except UserError as error:
            failed[path] = error
            print(f"{counted}  error: {error}", file=sys.stderr, flush=True)
        else:
            if said:
                print(f"{counted}  {said}", flush=True)
    return failed
