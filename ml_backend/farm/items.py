"""One piece of work, its outcome, and the settings that all pieces of a folder share."""

import json
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files.atomic_write import make_folder, write_text_whole

RECORD = ".detailed3dmm.json"
"""Name of the file beside the results that holds the settings they were made with."""


@dataclass(frozen=True)
class Item:
    """One piece of work.

    Attributes:
        source: the file, or a name, for messages.
        target: the result; where it is there, the work is done, so it is written last and whole.
        reads: the file that it is made of, where that is not `source`.
    """

    source: str
    target: Path
    reads: str = ""


@dataclass(frozen=True)
class Outcome:
    """The end of one piece of work.

    Attributes:
        line: for people, "" for none.
        notes: for people, on what was read.
        facts: for --json.
        error: the message of a mistake of the user's, or the fault's traceback; "" where all went well.
    """

    line: str = ""
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


Work = Callable[[Item], Outcome]
"""Makes the result of one item, in any process: it must not change what it closes over."""


def do_item(work: Work, item: Item) -> Outcome:
    """Does one piece of work on one thread; the same bytes come out in every process and on any machine.

    Errors become part of the outcome: of a thousand files one may not stop the others. A fault of ours keeps
    its traceback.
    """
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            make_folder(item.target.parent)
            return work(item)
    except UserError as error:
        return Outcome(error=str(error))
    except Exception:
        return Outcome(error=traceback.format_exc())
    finally:
        torch.set_num_threads(threads)


def is_done(item: Item, record: Path) -> bool:
    """Returns whether an item's result is there, newer than its source and than the settings' record."""
    if not item.target.exists():
        return False
    made = item.target.stat().st_mtime_ns
    earlier = [path.stat().st_mtime_ns for path in (Path(item.reads or item.source), record) if path.exists()]
    return all(made >= time for time in earlier)


def is_recorded(out: Path, settings: dict[str, Any]) -> bool:
    """Returns whether the results in a folder belong to these settings."""
    path = out / RECORD
    return path.exists() and path.read_text("utf-8") == _settings_text(settings)


def _settings_text(settings: dict[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True, default=str) + "\n"


def record_settings(out: Path, settings: dict[str, Any]) -> Path:
    """Writes the settings of a job beside its results, unless they are there already.

    Results that are older than the record were made with other settings. Where there was no record, results
    of an earlier version count as made with these.

    Args:
        out: folder of the results, made if need be.
        settings: values that JSON holds.

    Returns:
        The record's path.

    Raises:
        UserError: the folder cannot be written.
    """
    make_folder(out)
    path = out / RECORD
    try:
        if not is_recorded(out, settings):
            first = not path.exists()
            write_text_whole(path, _settings_text(settings))
            if first:
                os.utime(path, (0, 0))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
    return path


def parse_shard(text: str) -> tuple[int, int]:
    """Reads `--shard`: "2/5" is the second of five pieces.

    Raises:
        UserError: not I/N with 1 <= I <= N.
    """
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UserError(f"--shard {text}: not a piece.", "Give I/N, as 2/5 for the second of five pieces.")
    return int(first), int(second)


def share_of(items: Sequence[Item], shard: str) -> list[Item]:
    """Returns the items of a piece, every N-th one; all of them where `shard` is empty.

    Raises:
        UserError: see `parse_shard`.
    """
    if not shard:
        return list(items)
    number, count = parse_shard(shard)
    return list(items[number - 1 :: count])
