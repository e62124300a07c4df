"""Repeated timings: medians and 95th percentiles."""

import time
from collections.abc import Callable


def repeat(work: Callable[[int], object], count: int, warm_up: int = 1) -> dict[str, float]:
    """Times a piece of work.

    Args:
        work: called with the repetition's number.
        count: how many timed repetitions.
        warm_up: repetitions before them that do not count.

    Returns:
        `median_ms`, `p95_ms` and `count`.
    """
    for number in range(warm_up):
        work(number)
    seconds = []
    for number in range(warm_up, warm_up + count):
        began = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    return {
        "median_ms": round(1e3 * seconds[len(seconds) // 2], 3),
        "p95_ms": round(1e3 * seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 3),
        "count": count,
    }
