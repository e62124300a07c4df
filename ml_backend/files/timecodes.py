"""Time codes of captured rows: the seconds they stand for, the rate of the capture, and its gaps."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CODE = re.compile(r"^\s*(\d{1,3})[:;.](\d{1,2})[:;.](\d{1,2})(?:([:;.,])(\d+(?:[.,]\d+)?))?\s*$")
_NOMINAL = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 120.0, 240.0)
COMMON_RATES = (23.976, *_NOMINAL[:3], 29.97, *_NOMINAL[3:6], 59.94, 120.0, 240.0)
_DROP_FACTOR = 1000 / 1001
_DAY = 86400.0
GAP_SECONDS = 0.2
"""Rows that are farther apart leave a gap; nearer ones only lost a few frames."""
_LONGEST_GAP = 600.0
_HIGHEST_RATE = 250.0


@dataclass(frozen=True)
class Code:
    """A time code as it is written.

    Attributes:
        seconds: whole seconds since midnight.
        part: what follows the seconds: a frame number, milliseconds, or a fraction of a second.
        digits: of the whole part of `part`.
        drop: whether the last separator marks drop-frame.
        fraction: whether `part` is a fraction of a second.
    """

    seconds: int
    part: float
    digits: int
    drop: bool
    fraction: bool


def parse_code(text: str) -> Code | None:
    """Returns the parts of HH:MM:SS:FF.fff, HH:MM:SS;FF, HH:MM:SS:mmm or HH:MM:SS.mmm; else None."""
    match = _CODE.match(text)
    if match is None:
        return None
    hours, minutes, whole = (int(match[index]) for index in (1, 2, 3))
    if minutes > 59 or whole > 59:
        return None
    seconds = hours * 3600 + minutes * 60 + whole
    digits = (match[5] or "0").replace(",", ".")
    width = len(digits.split(".")[0])
    if match[4] in (".", ",") and "." not in digits and width >= 3:
        return Code(seconds, float(f"0.{digits}"), 0, False, True)
    return Code(seconds, float(digits), width, match[4] == ";" and ":" in text, False)


def code_seconds(codes: Sequence[Code]) -> np.ndarray:
    """Returns the (N,) float64 seconds of time codes, which rise over midnight too.

    The number of codes in a second (the base) is seen in the steps over changes of the second, and in the
    largest frame number; it may be larger than the rate of the rows. Drop-frame codes are known by their
    separator, or by the frame numbers that are left out at a new minute.
    """
    part = np.array([code.part for code in codes])
    whole = np.array([code.seconds for code in codes], float)
    day = np.zeros(len(codes))
    day[1:] = np.cumsum((np.diff(whole) < -_DAY / 2).astype(int) - (np.diff(whole) > _DAY / 2).astype(int))
    whole += _DAY * day
    if all(code.fraction for code in codes):
        return whole + part
    if part.max(initial=0) >= 240 or min(code.digits for code in codes) >= 3:
        return whole + part / 1000
    base = _base(whole, part)
    nominal = round(base)
    left_out = _leaves_out_frames(whole, part, nominal) if nominal in (30, 60) else False
    if left_out or (left_out is None and all(code.drop for code in codes)):
        minutes = np.floor(whole / 60)
        dropped = nominal // 15 * (minutes - np.floor(minutes / 10))
        return (whole * nominal + part - dropped) / (nominal * _DROP_FACTOR)
    return whole + part / base


def _base(whole: np.ndarray, part: np.ndarray) -> float:
    """Returns the number of codes in a second."""
    largest = part.max()
    change = np.flatnonzero(np.diff(whole) == 1) + 1
    lowest = next((base for base in _NOMINAL if largest < base), largest + 1)
    if not len(change):  # less than a second: nothing shows the base; the app's own are 30 and 60
        return next((base for base in (30.0, 60.0, 120.0, 240.0) if largest < base), largest + 1)
    step = np.diff(part)
    within = np.diff(whole) == 0
    estimates = []
    for index in change:
        near = [step[i] for i in (index - 2, index) if 0 <= i < len(step) and within[i] and step[i] > 0]
        if near:
            estimates.append(part[index - 1] + min(near) - part[index])
    snapped = [_snapped(estimate) for estimate in estimates if estimate > largest]
    if not snapped:
        return lowest
    base, _ = Counter(snapped).most_common(1)[0]
    return base if base < 2 * lowest else lowest


def _snapped(rate: float) -> float:
    """Returns a common rate that is very near, else a whole number that is near, else the rate itself."""
    nearest = min(COMMON_RATES, key=lambda common: abs(common - rate))
    if abs(nearest - rate) < 0.015:
        return nearest
    return float(round(rate)) if abs(rate - round(rate)) < 0.2 else rate


def _leaves_out_frames(whole: np.ndarray, part: np.ndarray, nominal: int) -> bool | None:
    """Returns whether new minutes, but for every tenth, begin behind the codes that drop-frame leaves out.

    Returns:
        None where no such minute begins in an unbroken run of rows.
    """
    first = nominal // 15
    for index in np.flatnonzero(np.diff(np.floor(whole / 60)) == 1) + 1:
        step = max(part[index - 1] - part[index - 2], 1.0) if index > 1 else 1.0
        if whole[index] % 600 >= 60 and whole[index] % 60 == 0 and part[index - 1] + step >= nominal:
            return bool(first <= part[index] < first + step)
    return None


def capture_rate(times: np.ndarray) -> float:
    """Returns the rate of captured rows: a common rate where one is within 1 %.

    Rows that were lost, gaps, and a stretch at half the rate do not count: the shortest step that at least a
    tenth of the rows keep is taken.

    Args:
        times: (N,) float64 rising seconds.
    """
    steps = np.diff(times)
    if not len(steps):
        return 30.0
    unit = float(np.quantile(steps, 0.1))
    if unit < 1 / _HIGHEST_RATE:  # rows that came in bursts
        unit = max(float(np.median(steps)), 1 / _HIGHEST_RATE)
    for _ in range(4):  # to the middle of the steps of that size
        near = steps[np.abs(steps - unit) < 0.4 * unit]
        unit = float(near.mean()) if len(near) else unit
    rate = 1 / unit
    nearest = min(COMMON_RATES, key=lambda common: abs(common - rate))
    return nearest if abs(nearest - rate) < 0.01 * nearest else float(round(rate, 3))


def first_jump(times: np.ndarray) -> int | None:
    """Returns the index of the first row that comes ten minutes or more after the row before, or None."""
    jumps = np.flatnonzero(np.diff(times) > _LONGEST_GAP)
    return int(jumps[0]) + 1 if len(jumps) else None


def gaps(times: np.ndarray, rate: float) -> list[tuple[float, float]]:
    """Returns the beginnings and ends, in seconds, of the stretches without rows."""
    long = np.flatnonzero(np.diff(times) > max(GAP_SECONDS, 2.5 / rate))
    return [(float(times[index]), float(times[index + 1])) for index in long]


def at_constant_rate(
    times: np.ndarray, values: np.ndarray, rate: float, span: tuple[float, float]
) -> np.ndarray:
    """Samples captured rows at a constant rate.

    Rows that keep the rate within a quarter of a frame stay as they are. Otherwise cubic curves run through
    the rows (Catmull and Rom 1974), also through a few lost ones; in a gap the last row before it is held.

    Args:
        times: (N,) float64 rising seconds of the rows.
        values: (N, C) float32.
        rate: samples a second.
        span: seconds of the first and last sample.

    Returns:
        (T, C) float32; sample i is at span[0] + i / rate.
    """
    count = round((span[1] - span[0]) * rate) + 1
    grid = span[0] + np.arange(count) / rate
    if count == len(times) and np.abs(times - grid).max() < 0.25 / rate:
        return values
    low = np.clip(np.searchsorted(times, grid + 1e-9, side="right") - 1, 0, max(len(times) - 2, 0))
    if len(times) < 2:
        return np.repeat(values[:1], count, 0)
    length = np.diff(times)
    long = length > max(GAP_SECONDS, 2.5 / rate)
    share = np.clip((grid - times[low]) / length[low], 0, 1)
    share = np.where(long[low] & (share < 1 - 1e-6), 0, share)[:, None]
    slopes = np.zeros_like(values, float)
    across = (times[2:] - times[:-2])[:, None]
    slopes[1:-1] = (values[2:] - values[:-2]) / across
    slopes[1:-1][long[:-1] | long[1:]] = 0
    step = length[low][:, None]
    square, cube = share**2, share**3
    made = (2 * cube - 3 * square + 1) * values[low] + (3 * square - 2 * cube) * values[low + 1]
    made += step * ((cube - 2 * square + share) * slopes[low] + (cube - square) * slopes[low + 1])
    return np.clip(made, min(0.0, values.min()), max(1.0, values.max())).astype(np.float32)
