"""Procedural motion: blinks, brow accents, head, gaze, breath and an emotion.

Each layer has its own amount and seed, and its own random numbers: changing one leaves the others as they
were. Only the emotion touches the mouth, and `emotion` and `curve_editing.keep_lips_closed` see to it that no
layer opens closed lips.
"""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES
from .curve_editing import keep_lips_closed, open_share
from .emotion import EmotionKey, emotion_curves

LAYERS = ("blinks", "brows", "head", "gaze", "breath", "emotion")
_DEGREE = np.pi / 180
_BREATH_PAUSE = 0.35  # seconds of silence from which a speaker is given time to breathe in


@dataclass(frozen=True)
class Prosody:
    """The voice that the layers follow, at 50 frames a second.

    loudness (S,) nepers of power / 4 under the loud frames, voicing (S,) 0..1, pitch (S,) octaves
    around the median, pause (S,) 0..1.
    """

    loudness: np.ndarray
    voicing: np.ndarray
    pitch: np.ndarray
    pause: np.ndarray


class Layer(NamedTuple):
    """The amount of a layer (1 as tabulated, 0 none, at most 3) and its seed."""

    amount: float = 1.0
    seed: int = 0


class Motion(NamedTuple):
    """Motion to be added: (T, 52) float32 expressions, (T, 9) float32 radians as `HEAD_NAMES`."""

    curves: np.ndarray
    head: np.ndarray


def check_layers(layers: Mapping[str, Layer]) -> None:
    """Raises UserError where an amount or a seed is out of its range."""
    for name, layer in layers.items():
        if name not in LAYERS:
            raise UserError(f"{name}: no such layer.", f"Choose of {', '.join(LAYERS)}.")
        if not 0 <= layer.amount <= 3:
            raise UserError(f"{layer.amount} of {name}.", "Choose 0 to 3.")
        if layer.seed < 0:
            raise UserError(f"A seed of {layer.seed}.", "Choose 0 or more.")


def procedural_layers(
    prosody: Prosody,
    times: np.ndarray,
    layers: Mapping[str, Layer],
    mouth: np.ndarray,
    emotions: Sequence[EmotionKey] = (),
) -> dict[str, Motion]:
    """Makes every layer that is wanted.

    Args:
        prosody: of the recording, from second 0.
        times: (T,) rising seconds of the wanted frames.
        layers: by name of LAYERS; those that are missing or have no amount are left out of the answer.
        mouth: (T, 52) curves of the speech that they will be added to.
        emotions: sorted keys of the emotion layer.

    Returns:
        By name, what to add to the speech; alone or together, it opens no lips that are closed in `mouth`.
    """
    streams = {
        name: np.random.default_rng([layers.get(name, Layer()).seed, index])
        for index, name in enumerate(LAYERS)
    }
    wanted = {name for name, layer in layers.items() if layer.amount > 0}
    accents = _accents(prosody) if len(times) and wanted & {"brows", "head"} else []
    gaze, shifts = _gaze(times, streams["gaze"]) if wanted & {"gaze", "blinks"} else (_nothing(times), [])
    made = {}
    if "blinks" in wanted:
        made["blinks"] = _blinks(times, prosody, shifts, streams["blinks"])
    if "brows" in wanted:
        made["brows"] = _brows(times, accents, streams["brows"])
    if "head" in wanted:
        made["head"] = _head(times, accents, streams["head"])
    if "gaze" in wanted:
        made["gaze"] = gaze
    if "breath" in wanted:
        made["breath"] = _breath(times, prosody, streams["breath"])
    if emotions and "emotion" in wanted:
        opening = open_share(mouth)
        sway = 1 + 0.12 * np.clip(_slow_noise(times, 0.15, streams["emotion"]), -1, 1)[:, None]
        shown = emotion_curves(emotions, times, mouth, opening) * sway
        amount = layers["emotion"].amount
        shown = (keep_lips_closed(mouth + amount * shown, mouth) - mouth) / amount
        made["emotion"] = Motion(
            shown.astype(np.float32), np.zeros((len(times), len(HEAD_NAMES)), np.float32)
        )
    for name, motion in made.items():
        for part in motion:
            part *= np.float32(layers[name].amount)
    return made


def _column(name: str) -> int:
    return EXPRESSION_NAMES.index(name)


def _nothing(times: np.ndarray) -> Motion:
    return Motion(
        np.zeros((len(times), len(EXPRESSION_NAMES)), np.float32),
        np.zeros((len(times), len(HEAD_NAMES)), np.float32),
    )


def _near(times: np.ndarray, begin: float, end: float) -> slice:
    """Returns the frames between two seconds.

    A long recording costs no more than its own frames.
    """
    return slice(int(np.searchsorted(times, begin)), int(np.searchsorted(times, end, side="right")))


def _accents(prosody: Prosody) -> list[tuple[float, float]]:
    """Returns seconds and strengths 0..1 of stressed syllables, at least 0.7 s apart.

    Pitch and loudness peak together there.
    """
    voiced = prosody.voicing > 0.6
    strength = gaussian_filter1d(
        np.where(
            voiced, np.clip(prosody.pitch, -0.5, 0.8) + 0.6 * np.clip(prosody.loudness + 0.4, -1, 0.5), -0.4
        ),
        3,
    )
    middle = strength[1:-1]
    peaks = 1 + np.flatnonzero((strength[:-2] < middle) & (middle >= strength[2:]) & (middle > 0.05))
    taken: list[float] = []
    for index in peaks[np.argsort(-strength[peaks], kind="stable")]:
        time = float(index) / 50
        place = bisect(taken, time)
        if all(abs(time - other) > 0.7 for other in taken[max(0, place - 1) : place + 1]):
            taken.insert(place, time)
    return [(time, float(np.clip(strength[round(time * 50)] * 1.6, 0.2, 1))) for time in taken]


def _bump(times: np.ndarray, centre: float, rise: float, fall: float) -> np.ndarray:
    width = np.where(times < centre, rise, fall)
    return np.exp(-(((times - centre) / width) ** 2))


def _brows(times: np.ndarray, accents: list[tuple[float, float]], rng: np.random.Generator) -> Motion:
    """Raises the brows with accents.

    Three in four rises of the fundamental frequency go with them (Cave et al. 1996).
    """
    motion = _nothing(times)
    lift, lean = np.zeros(len(times)), np.zeros(len(times))
    for time, strength in accents:
        height, side = strength * rng.uniform(0.22, 0.6), rng.normal(0, 0.15)
        if rng.random() < 0.8:
            here = _near(times, time - 0.7, time + 1.4)
            bump = _bump(times[here], time - 0.04, 0.14, rng.uniform(0.2, 0.4))
            lift[here] = np.maximum(lift[here], height * bump)
            lean[here] += side * height * bump
    frown = 0.05 * np.clip(_slow_noise(times, 0.12, rng), 0, 1)
    motion.curves[:, _column("browInnerUp")] += lift
    motion.curves[:, _column("browOuterUpLeft")] += np.clip(0.7 * lift + lean, 0, 1)
    motion.curves[:, _column("browOuterUpRight")] += np.clip(0.7 * lift - lean, 0, 1)
    for side in ("Left", "Right"):
        motion.curves[:, _column(f"browDown{side}")] += frown
        motion.curves[:, _column(f"eyeWide{side}")] += 0.22 * lift
    return motion


def _head(times: np.ndarray, accents: list[tuple[float, float]], rng: np.random.Generator) -> Motion:
    """Returns a slow sway, and a nod at each accent that comes back with a small overshoot."""
    motion = _nothing(times)
    for column, degrees, hertz in ((0, 2.0, 0.22), (1, 1.2, 0.3), (2, 1.1, 0.18)):
        motion.head[:, column] += (
            degrees * _DEGREE * (_slow_noise(times, hertz, rng) + 0.25 * _slow_noise(times, 3 * hertz, rng))
        )
    for time, strength in accents:
        nod = rng.uniform(0.8, 2.2) * strength * (1 if rng.random() < 0.8 else -0.7)
        here = _near(times, time - 0.7, time + 1.5)
        down = _bump(times[here], time + 0.03, 0.13, 0.22) - 0.35 * _bump(times[here], time + 0.4, 0.2, 0.3)
        motion.head[here, 1] -= nod * _DEGREE * down
    return motion


def _gaze(times: np.ndarray, rng: np.random.Generator) -> tuple[Motion, list[float]]:
    """Returns fixations of 0.6 to 3 s around the viewer with jumps of about 50 ms, and wide jumps.

    People blink with the wide ones, whose times are returned.
    """
    motion, wide = _nothing(times), []
    yaw, pitch = np.zeros(len(times)), np.zeros(len(times))
    clock, last = rng.uniform(0.3, 1.5), (0.0, 0.0)
    while len(times) and clock < times[-1] + 0.1:
        away = rng.random() < 0.18
        aim = (rng.normal(0, 9 if away else 1.8), rng.normal(-2 if away else 0, 5 if away else 1.2))
        fixed = rng.uniform(0.4, 1.0) if away else rng.gamma(3.0, 0.55) + 0.4
        here = _near(times, clock, clock + fixed)
        step = np.clip((times[here] - clock) / 0.05, 0, 1)
        step = step * step * (3 - 2 * step)
        yaw[here] = last[0] + (aim[0] - last[0]) * step
        pitch[here] = last[1] + (aim[1] - last[1]) * step
        if abs(aim[0] - last[0]) + abs(aim[1] - last[1]) > 9:
            wide.append(float(clock))
        last, clock = aim, clock + fixed
    yaw, pitch = np.clip(yaw, -16, 16), np.clip(pitch, -10, 10)
    for eye in (3, 6):  # Live Link Face turns the eyes against the head: right and down are positive
        motion.head[:, eye] -= yaw * _DEGREE
        motion.head[:, eye + 1] -= pitch * _DEGREE
    for name, angle in (
        ("Left", yaw),
        ("Right", -yaw),
    ):  # yaw to the person's left turns the left eye outward, the right eye inward
        motion.curves[:, _column(f"eyeLookOut{name}")] += np.clip(angle / 35, 0, 1)
        motion.curves[:, _column(f"eyeLookIn{name}")] += np.clip(-angle / 35, 0, 1)
        motion.curves[:, _column(f"eyeLookUp{name}")] += np.clip(pitch / 28, 0, 1)
        motion.curves[:, _column(f"eyeLookDown{name}")] += np.clip(-pitch / 28, 0, 1)
    return motion, wide


def _blinks(times: np.ndarray, prosody: Prosody, shifts: list[float], rng: np.random.Generator) -> Motion:
    """Returns about 20 blinks a minute, drawn to pauses and gaze shifts.

    People blink 26 times in conversation, 17 at rest (Bentivoglio et al. 1997); closing is faster than
    opening.
    """
    motion = _nothing(times)
    boundaries = np.flatnonzero((prosody.pause[1:] > 0.5) & (prosody.pause[:-1] <= 0.5)) / 50
    attractors = np.sort(np.concatenate([boundaries + 0.08, np.array(shifts)]))
    clock = rng.uniform(0.4, 2.0)
    while len(times) and clock < times[-1]:
        near = attractors[_near(attractors, clock - 0.7, clock + 0.7)]
        at = float(near[np.abs(near - clock).argmin()]) if len(near) else float(clock)
        close, hold, reopen = rng.uniform(0.06, 0.09), rng.uniform(0.015, 0.05), rng.uniform(0.13, 0.22)
        depth = 1.0 if rng.random() < 0.85 else rng.uniform(0.55, 0.85)
        here = _near(times, at - 0.2, at + 0.4)
        for side, delay in (("Left", 0.0), ("Right", rng.normal(0, 0.006))):
            down = np.clip((times[here] - at - delay + close) / close, 0, 1)
            up = np.clip((times[here] - at - delay - hold) / reopen, 0, 1)
            lid = depth * (down * down * (3 - 2 * down)) * (1 - up * up * (3 - 2 * up))
            blink = motion.curves[here, _column(f"eyeBlink{side}")]
            np.maximum(blink, lid, out=blink)
            motion.curves[here, _column(f"browDown{side}")] += 0.04 * lid
            motion.curves[here, _column(f"cheekSquint{side}")] += 0.03 * lid
        clock = max(at, clock) + float(np.clip(rng.lognormal(np.log(2.6), 0.5), 0.8, 8))
        if rng.random() < 0.07:
            clock = at + rng.uniform(0.35, 0.5)  # a double blink
    return motion


def _breath(times: np.ndarray, prosody: Prosody, rng: np.random.Generator) -> Motion:
    """Breathes in where a pause leaves time for it.

    Nostrils widen, head and brows rise a little; the lips stay as they are.

    In long silences a breath comes every 3 to 5 s, as of a person at rest (12 to 20 a minute).
    """
    motion = _nothing(times)
    silent = np.concatenate([[False], prosody.pause > 0.5, [False]])
    begins, ends = (
        np.flatnonzero(~silent[:-1] & silent[1:]) / 50,
        np.flatnonzero(silent[:-1] & ~silent[1:]) / 50,
    )
    last = -9.0
    for begin, end in zip(begins, ends, strict=True):
        clock = max(float(begin), last + 1.6)
        while end - clock >= _BREATH_PAUSE:
            intake = float(np.clip(end - clock, _BREATH_PAUSE, rng.uniform(0.6, 1.1)))
            depth, last = rng.uniform(0.6, 1.0) * min(1.0, intake / 0.7), clock
            here = _near(times, clock - 0.3, clock + intake + 3.0)
            rise = np.clip((times[here] - clock) / intake, 0, 1)
            breath = (
                depth
                * rise
                * rise
                * (3 - 2 * rise)
                * np.exp(-np.maximum(0, times[here] - clock - intake) / 0.6)
            )
            for side in ("Left", "Right"):
                motion.curves[here, _column(f"noseSneer{side}")] += 0.12 * breath
            motion.curves[here, _column("browInnerUp")] += 0.06 * breath
            motion.head[here, 1] += 0.9 * _DEGREE * breath
            clock += rng.uniform(3.0, 5.0)
    return motion


def _slow_noise(times: np.ndarray, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a smooth random function of about unit spread: seven sines around a frequency."""
    frequencies = hertz * np.exp(rng.uniform(-0.7, 0.7, 7))
    phases = rng.uniform(0, 2 * np.pi, 7)
    total = np.zeros(len(times))
    for frequency, phase in zip(frequencies, phases, strict=True):
        total += np.sin(2 * np.pi * times * frequency + phase)
    return total * (2 / 7) ** 0.5
