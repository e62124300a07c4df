"""Names of the results of a folder's files."""

from collections.abc import Sequence
from pathlib import Path


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
