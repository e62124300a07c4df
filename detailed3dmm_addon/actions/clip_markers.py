"""Marks the doubtful and the held frames of a clip on the timeline."""

from collections.abc import Sequence

import bpy
import numpy as np

SURE = "sure again"
_SEEN = "seen"
_NEAR = 0.2
"""Seconds: stretches of one kind that lie closer than this become one."""


def uncertain_moments(seconds: np.ndarray, marks: Sequence[str]) -> list[tuple[float, str]]:
    """Returns the moments at which frames stop to be sure, and at which sure ones follow.

    Args:
        seconds: (T,) rising time stamps.
        marks: (T,) "seen", "doubtful" or "held".

    Returns:
        (second, the mark that begins there or `SURE`), in order.
    """
    stretches: list[tuple[str, int, int]] = []
    for index, mark in enumerate(marks):
        if mark == _SEEN:
            continue
        if stretches and stretches[-1][0] == mark and seconds[index] - seconds[stretches[-1][2]] <= _NEAR:
            stretches[-1] = mark, stretches[-1][1], index
        else:
            stretches.append((mark, index, index))
    begins = {begin for _, begin, _ in stretches}
    moments = []
    for mark, begin, end in stretches:
        moments.append((float(seconds[begin]), mark))
        if end + 1 < len(seconds) and end + 1 not in begins:
            moments.append((float(seconds[end + 1]), SURE))
    return moments


def add_markers(
    scene: bpy.types.Scene, clip: str, moments: Sequence[tuple[float, str]], first: float, fps: float
) -> set[str]:
    """Adds a marker for each moment.

    Args:
        scene: receives the markers.
        clip: name of the video, which each marker begins with.
        moments: of `uncertain_moments`.
        first: scene frame of second 0.
        fps: of the scene.

    Returns:
        The names that the markers have.
    """
    names = set()
    for moment, word in moments:
        name = f"{clip}: {word}"
        scene.timeline_markers.new(name, frame=round(first + moment * fps))
        names.add(name)
    return names


def remove_markers(scene: bpy.types.Scene, names: Sequence[str]) -> None:
    """Removes the markers with some names."""
    for marker in [marker for marker in scene.timeline_markers if marker.name in names]:
        scene.timeline_markers.remove(marker)
