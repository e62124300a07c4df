"""Captured curves in a CSV of Live Link Face, and in tables that other programs make of it."""

import csv
import io
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..expression_matching import MatchedColumns, match_columns, named_expression
from ..expression_names import EXPRESSION_NAMES
from .timecodes import GAP_SECONDS, at_constant_rate, capture_rate, code_seconds, first_jump, gaps, parse_code

LONGEST = 10_000_000
"""Frames; more is not a face's animation but a broken file."""
_LISTED = 4


@dataclass(frozen=True)
class Take:
    """The rows of a capture at a constant rate.

    Attributes:
        fps: frames a second.
        names: of the columns of `values`, as the reader's `names` spell them.
        values: (T, C) float32.
        notes: sentences for the user: gaps, lost rows, columns that are passed over.
    """

    fps: float
    names: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """Lines of a file, split into cells.

    Attributes:
        titles: of the columns.
        rows: line numbers and cells.
        decimal_comma: whether numbers are written as 0,5.
    """

    titles: list[str]
    rows: list[tuple[int, list[str]]]
    decimal_comma: bool

    def column(self, title: str) -> int | None:
        """Returns the index of a column, or None."""
        plain = [plain_name(other) for other in self.titles]
        return plain.index(plain_name(title)) if plain_name(title) in plain else None

    def columns(self, names: Sequence[str], matched: MatchedColumns) -> dict[str, tuple[int, ...]]:
        """Returns by name the columns whose mean it is; names that the table lacks are left out."""
        here = {}
        for name in names:
            column = None if name in EXPRESSION_NAMES else self.column(name)
            group = matched.columns.get(name, ()) if column is None else (column,)
            if group:
                here[name] = group
        return here


def plain_name(name: str) -> str:
    """Returns a column's name in lower-case letters and digits: JawOpen, jawOpen and jaw_open agree."""
    title = named_expression(name) or re.split(r"[.:|]", name)[-1]
    return re.sub(r"[^a-z0-9]", "", title.lower())


def read_take(path: object, text: str, names: Sequence[str]) -> Take:
    """Reads a capture; every row stands at its time code.

    Columns are known by their name, in any order and spelling, as `match_columns` reads them: an expression
    of two columns, its sides, is their mean; a column without sides feeds both expressions of a pair. Of two
    columns the one with the plainer name counts. Others are passed over. Rows without a face
    (BlendShapeCount 0) and missing rows are gaps: the row before is held. A few lost rows are filled in by
    curves through their neighbours.

    Args:
        path: of the file, for messages.
        text: of the file.
        names: of the columns to read.

    Returns:
        The columns of `names` that the file has, in that order.

    Raises:
        UserError: the table has no time codes or none of the columns, or a cell is no number; the message
            names line and column.
    """
    table = _split(path, text)
    time_column, count_column = table.column("Timecode"), table.column("BlendShapeCount")
    matched = match_columns(table.titles)
    groups = table.columns(names, matched)
    here = {column: name for name, group in groups.items() for column in group}
    if time_column is None or not here or not table.rows or len(table.rows) > LONGEST:
        raise _no_take(path)
    _check_twice(path, table, matched, groups)
    notes: list[str] = []
    codes = []
    rows = []
    for place, (line, cells) in enumerate(table.rows):
        code = parse_code(cells[time_column]) if time_column < len(cells) else None
        if code is None:
            raise UserError(
                f"{path}: line {line}, column {table.titles[time_column]}: no time code.",
                "Write time codes as HH:MM:SS:FF.",
            )
        counted = cells[count_column] if count_column is not None and count_column < len(cells) else ""
        if counted in ("0", "0.0") and len(cells) <= max(here):
            cells = cells + [""] * len(table.titles)
        if len(cells) <= max(here):
            if place < len(table.rows) - 1 or not codes:
                raise UserError(
                    f"{path}: line {line} ends after {len(cells)} of {len(table.titles)} columns.",
                    "Export the curves again, or correct that line.",
                )
            notes.append(f"the last line breaks off and is left out (line {line})")
            continue
        numbers = _numbers(path, table, line, cells, here)
        empty = not np.nan_to_num(numbers).any() if counted in ("0", "0.0") else np.isnan(numbers).all()
        codes.append(code)
        rows.append(None if empty else numbers)
    times = code_seconds(codes)
    order = np.argsort(times, kind="stable")
    if (np.diff(order) != 1).any():
        notes.append("some rows were not in the order of their time codes and were sorted")
    times = times[order]
    keep = np.concatenate([[True], np.diff(times) > 1e-6])
    if not keep.all():
        notes.append(f"{int((~keep).sum())} rows repeat a time code and are left out")
    times = times[keep]
    order = order[keep]
    jump = first_jump(times)
    if jump is not None:
        line = table.rows[order[jump]][0]
        raise UserError(
            f"{path}: the time code jumps by {times[jump] - times[jump - 1]:.0f} s at line {line}.",
            "Split the file there: each take needs its own file.",
        )
    face = np.array([rows[index] is not None for index in order])
    if not face.any():
        raise UserError(f"{path}: no row holds a face (BlendShapeCount is 0).", "Record the take again.")
    values = np.array([rows[index] for index in order[face]], np.float32)
    _fill_empty(values, list(here.values()), notes)
    rate = capture_rate(times)
    span = (float(times[0]), float(times[-1]))
    made = at_constant_rate(times[face], values, rate, span)
    notes += _describe_time(times, face, rate)
    notes += describe_columns(table.titles, matched, {*here, time_column, count_column})
    place = {column: index for index, column in enumerate(here)}
    means = [made[:, [place[column] for column in group]].mean(1) for group in groups.values()]
    return Take(rate, tuple(groups), np.stack(means, 1), tuple(notes))


def _no_take(path: object) -> UserError:
    return UserError(
        f"{path}: not a Live Link Face CSV.",
        "Expected Timecode, BlendShapeCount and the ARKit names in the first line.",
    )


def _split(path: object, text: str) -> _Table:
    """Returns the table; its first line tells what separates the cells."""
    head = text.lstrip("\r\n ").split("\n", 1)[0]
    separator = next((mark for mark in ",;\t" if re.search(f'[A-Za-z0-9"]\\s*{mark}', head)), ",")
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise _no_take(path) from error
    lines = [(line, cells) for line, cells in lines if any(cells)]
    if len(lines) < 2 or "timecode" not in [plain_name(title) for title in lines[0][1]]:
        raise _no_take(path)
    return _Table(lines[0][1], lines[1:], separator != ",")


def _check_twice(
    path: object, table: _Table, matched: MatchedColumns, groups: dict[str, tuple[int, ...]]
) -> None:
    plain = [plain_name(title) for title in table.titles]
    others = [name for name in groups if name not in matched.columns and plain.count(plain_name(name)) > 1]
    check_twice(path, (*matched.twice, *others))


def check_twice(path: object, twice: Sequence[str]) -> None:
    """Raises UserError if there is a name of which a table has two columns."""
    if twice:
        raise UserError(f"{path}: the column {twice[0]} is there twice.", "Remove one of them.")


def _numbers(path: object, table: _Table, line: int, cells: list[str], here: Iterable[int]) -> list[float]:
    """Returns the numbers of a line; NaN for an empty cell."""
    values = []
    for column in here:
        cell = cells[column]
        try:
            value = float(cell.replace(",", ".") if table.decimal_comma else cell) if cell else None
        except ValueError as error:
            raise UserError(
                f"{path}: line {line}, column {table.titles[column]}: {cell[:40]!r} is not a number.",
                "Correct that cell, or leave it empty.",
            ) from error
        if value is not None and not np.isfinite(value):
            raise UserError(
                f"{path}: line {line}, column {table.titles[column]}: holds values that are not finite.",
                "Export the curves again.",
            )
        values.append(np.nan if value is None else value)
    return values


def _fill_empty(values: np.ndarray, names: list[str], notes: list[str]) -> None:
    """Fills empty cells by straight lines between the rows around them; a column that is empty stays 0."""
    empty = np.isnan(values)
    if not empty.any():
        return
    for index in np.flatnonzero(empty.any(0)):
        missing = empty[:, index]
        rows = np.arange(len(values))
        values[missing, index] = (
            0.0 if missing.all() else np.interp(rows[missing], rows[~missing], values[~missing, index])
        )
    touched = [names[index] for index in np.flatnonzero(empty.any(0))]
    notes.append(f"{int(empty.sum())} empty cells are filled from the rows around them ({_listed(touched)})")


def _describe_time(times: np.ndarray, face: np.ndarray, rate: float) -> list[str]:
    """Returns notes on gaps and lost rows."""
    notes = []
    holes = gaps(times[face], rate)
    ends = [(times[0], times[face][0]), (times[face][-1], times[-1])]
    holes += [(begin, end) for begin, end in ends if end - begin > GAP_SECONDS]
    if holes:
        places = [f"{end - begin:.1f} s from {begin - times[0]:.1f} s on" for begin, end in sorted(holes)]
        notes.append(f"gaps without a face are held: {_listed(places)}")
    steps = np.diff(times[face])
    halved = (steps > 1.7 / rate) & (steps <= 2.3 / rate)
    halved[1:] &= halved[:-1]  # a lost row leaves one long step, a slower phone many
    slow = float(steps[halved].sum())
    lost = round(sum(step * rate - 1 for step in steps if 1.5 / rate < step <= max(GAP_SECONDS, 2.5 / rate)))
    if slow > 0.1 * (times[-1] - times[0]):
        notes.append(f"{slow:.1f} s have rows at half the rate of {rate:g} a second")
    elif lost:
        notes.append(f"{lost} rows were lost and are filled from the rows around them")
    return notes


def describe_columns(
    titles: Sequence[str], matched: MatchedColumns, read: Container[int | None]
) -> list[str]:
    """Returns notes on columns that are not read: of the indices in `read` nothing is said."""
    strange = [
        index
        for index, title in enumerate(titles)
        if title and index not in read and index not in matched.known
    ]
    kinds = (
        (matched.halves, "columns of one side alone"),
        (matched.beside, "columns beside plainer names of the same expressions"),
        (strange, "columns that are no expressions"),
    )
    return [
        f"{kind} are passed over: {_listed([titles[index] for index in columns])}"
        for columns, kind in kinds
        if columns
    ]


def _listed(words: list[str]) -> str:
    """Returns the first few words of a list, and how many there are more."""
    more = len(words) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {more} more" if more > 0 else "")
