"""The records of a training, a JSON object a line: log.jsonl of a run, NAME.log.jsonl beside a card."""

import json
from collections.abc import Sequence
from pathlib import Path

from .atomic_write import write_text_whole

MOST_LINES = 300
MOST_BYTES = 60_000
_FIGURES = 5  # significant digits


def read_records(path: Path) -> list[dict]:
    """Reads the records; a last line that a killed process left half-written is left out.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line before the last one is no JSON object.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    records = [json.loads(line) for line in lines]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("a line holds no object")
    return records


def write_records(path: Path, records: Sequence[dict]) -> None:
    """Writes the records, complete or not at all."""
    write_text_whole(path, "".join(json.dumps(record) + "\n" for record in records))


def thin_records(records: Sequence[dict], most: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> list[dict]:
    """Thins a log evenly out, so that its curves can still be drawn.

    Steps that a resumed run did once more count once, with their last record. The first and the last record
    of each stage, and records without a step, are kept as long as there is room for them; measured values
    stay with their step. Numbers are rounded to five digits.

    Args:
        records: in order, with "stage", and "step" where a training logged one.
        most: lines at most.
        most_bytes: size of the written file at most.

    Returns:
        The records that are kept, in order.
    """
    kept = [_rounded(record) for record in _without_repeated(records)]
    while len(kept) > most or sum(len(json.dumps(record)) + 1 for record in kept) > most_bytes:
        fewer = _halved(kept)
        if len(fewer) == len(kept):
            fewer = kept[1:]
        kept = fewer
    return kept


def thin_log(source: Path, target: Path) -> None:
    """Writes a run's log thinned out, small enough to stay beside a model card.

    Args:
        source: log.jsonl.
        target: NAME.log.jsonl.
    """
    write_records(target, thin_records(read_records(source)))


def _without_repeated(records: Sequence[dict]) -> list[dict]:
    kept: list[dict] = []
    reached: dict[str, int] = {}
    for record in records:
        stage, step = record.get("stage", ""), record.get("step")
        if step is not None:
            if step <= reached.get(stage, -1):
                kept = [
                    earlier
                    for earlier in kept
                    if earlier.get("stage", "") != stage or earlier.get("step", -1) < step
                ]
            reached[stage] = step
        kept.append(record)
    return kept


def _halved(records: list[dict]) -> list[dict]:
    """Every second record of the longest stage, its first and last among them."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.get("stage", "")] = counts.get(record.get("stage", ""), 0) + 1
    longest = max(counts, key=lambda stage: counts[stage])
    kept, place = [], 0
    for record in records:
        if record.get("stage", "") == longest:
            place += 1
            if place % 2 == 0 and place < counts[longest]:
                continue
        kept.append(record)
    return kept


def _rounded(record: dict) -> dict:
    return {
        name: float(f"{value:.{_FIGURES}g}") if isinstance(value, float) and name != "seconds" else value
        for name, value in record.items()
    }
