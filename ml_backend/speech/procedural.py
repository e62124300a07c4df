"""Motion that no recording tells: blinks, brow accents, head and gaze. Seeded and additive; procedural, never inferred from the speaker.

Nothing here touches a jaw, mouth, cheek-puff or tongue channel, so no layer can open closed lips.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..expression_names import EXPRESSION_NAMES

_DEGREE = np.pi / 180


@dataclass(frozen=True)
class Prosody:
    """What the layers listen to, 50 frames a second: loudness (S,) nepers of power / 4 under the loud frames, voicing (S,) 0..1,
    pitch (S,) octaves around the median, pause (S,) 0..1."""

    loudness: np.ndarray
    voicing: np.ndarray
    pitch: np.ndarray
    pause: np.ndarray


@dataclass(frozen=True)
class LayerAmounts:
    """How much of each layer, 1 as tabulated, 0 none."""

    blinks: float = 1.0
    brows: float = 1.0
    head: float = 1.0
    gaze: float = 1.0


def procedural_layers(prosody: Prosody, times: np.ndarray, amounts: LayerAmounts, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Adds life.

    Args:
        prosody: of the recording.
        times: (T,) seconds of the wanted frames.
        amounts: of the layers; each layer's random numbers are its own, so switching one off leaves the others as they were.
        seed: decides when and how far.

    Returns:
        (T, 52) float32 to add to the speech curves, and (T, 9) float32 radians of head and eyes, as `curves.HEAD_NAMES`.
    """
    streams = [np.random.default_rng([seed, layer]) for layer in range(4)]
    curves = np.zeros((len(times), len(EXPRESSION_NAMES)), np.float32)
    head = np.zeros((len(times), 9), np.float32)
    if not len(times):
        return curves, head
    accents = _accents(prosody)
    _add_brows(curves, times, accents, amounts.brows, streams[1])
    _add_head(head, times, accents, amounts.head, streams[2])
    shifts = _add_gaze(curves, head, times, amounts.gaze, streams[3])
    _add_blinks(curves, times, prosody, shifts, amounts.blinks, streams[0])
    return curves, head


def _column(name: str) -> int:
    return EXPRESSION_NAMES.index(name)


def _accents(prosody: Prosody) -> list[tuple[float, float]]:
    """Stressed syllables, at least 0.7 s apart: seconds and strength 0..1, where pitch and loudness peak together."""
    voiced = prosody.voicing > 0.6
    strength = gaussian_filter1d(
        np.where(voiced, np.clip(prosody.pitch, -0.5, 0.8) + 0.6 * np.clip(prosody.loudness + 0.4, -1, 0.5), -0.4), 3
    )
    found: list[tuple[float, float]] = []
    peaks = [i for i in range(1, len(strength) - 1) if strength[i - 1] < strength[i] >= strength[i + 1] and strength[i] > 0.05]
    for index in sorted(peaks, key=lambda i: -strength[i]):
        if all(abs(index / 50 - time) > 0.7 for time, _ in found):
            found.append((index / 50, float(np.clip(strength[index] * 1.6, 0.2, 1))))
    return sorted(found)


def _bump(times: np.ndarray, centre: float, rise: float, fall: float) -> np.ndarray:
    width = np.where(times < centre, rise, fall)
    return np.exp(-(((times - centre) / width) ** 2))


def _add_brows(curves, times, accents, amount, rng) -> None:
    lift = np.zeros(len(times))
    lean = np.zeros(len(times))
    for time, strength in accents:
        height, side = strength * rng.uniform(0.22, 0.6), rng.normal(0, 0.15)
        if rng.random() < 0.8:
            bump = _bump(times, time - 0.04, 0.14, rng.uniform(0.2, 0.4))
            lift, lean = np.maximum(lift, height * bump), lean + side * height * bump
    frown = 0.05 * np.clip(_slow_noise(times, 0.12, rng), 0, 1)
    curves[:, _column("browInnerUp")] += amount * lift
    curves[:, _column("browOuterUpLeft")] += amount * np.clip(0.7 * lift + lean, 0, 1)
    curves[:, _column("browOuterUpRight")] += amount * np.clip(0.7 * lift - lean, 0, 1)
    for side in ("Left", "Right"):
        curves[:, _column(f"browDown{side}")] += amount * frown
        curves[:, _column(f"eyeWide{side}")] += amount * 0.22 * lift


def _add_head(head, times, accents, amount, rng) -> None:
    for column, degrees, hertz in ((0, 2.0, 0.22), (1, 1.2, 0.3), (2, 1.1, 0.18)):
        head[:, column] += amount * degrees * _DEGREE * (_slow_noise(times, hertz, rng) + 0.25 * _slow_noise(times, 3 * hertz, rng))
    for time, strength in accents:
        nod = rng.uniform(0.8, 2.2) * strength * (1 if rng.random() < 0.8 else -0.7)
        head[:, 1] -= amount * nod * _DEGREE * (_bump(times, time + 0.03, 0.13, 0.22) - 0.35 * _bump(times, time + 0.4, 0.2, 0.3))


def _add_gaze(curves, head, times, amount, rng) -> list[float]:
    """Fixations of 0.6 to 3 s around the viewer, jumps of about 50 ms; returns the times of the wide ones (people blink with them)."""
    yaw, pitch, wide = np.zeros(len(times)), np.zeros(len(times)), []
    clock, last = rng.uniform(0.3, 1.5), (0.0, 0.0)
    while clock < times[-1] + 0.1:
        away = rng.random() < 0.18
        aim = (rng.normal(0, 9 if away else 1.8), rng.normal(-2 if away else 0, 5 if away else 1.2))
        step = np.clip((times - clock) / 0.05, 0, 1)
        step = step * step * (3 - 2 * step)
        yaw += (aim[0] - last[0]) * step
        pitch += (aim[1] - last[1]) * step
        if abs(aim[0] - last[0]) + abs(aim[1] - last[1]) > 9:
            wide.append(float(clock))
        last, clock = aim, clock + (rng.uniform(0.4, 1.0) if away else rng.gamma(3.0, 0.55) + 0.4)
    yaw, pitch = np.clip(yaw, -16, 16) * amount, np.clip(pitch, -10, 10) * amount
    for eye in (3, 6):
        head[:, eye] += yaw * _DEGREE
        head[:, eye + 1] += pitch * _DEGREE
    for name, angle in (("Left", yaw), ("Right", -yaw)):  # yaw to the person's left turns the left eye outward, the right eye inward
        curves[:, _column(f"eyeLookOut{name}")] += np.clip(angle / 35, 0, 1)
        curves[:, _column(f"eyeLookIn{name}")] += np.clip(-angle / 35, 0, 1)
        curves[:, _column(f"eyeLookUp{name}")] += np.clip(pitch / 28, 0, 1)
        curves[:, _column(f"eyeLookDown{name}")] += np.clip(-pitch / 28, 0, 1)
    return wide


def _add_blinks(curves, times, prosody, shifts, amount, rng) -> None:
    """About 20 a minute (Bentivoglio et al. 1997: 26 in conversation, 17 at rest), drawn to pauses and gaze shifts; closing is faster than
    opening.
    """
    boundaries = np.flatnonzero((prosody.pause[1:] > 0.5) & (prosody.pause[:-1] <= 0.5)) / 50
    attractors = np.concatenate([boundaries + 0.08, np.array(shifts)])
    clock = rng.uniform(0.4, 2.0)
    while clock < times[-1]:
        near = attractors[np.abs(attractors - clock) < 0.7]
        at = float(near[np.abs(near - clock).argmin()]) if len(near) else float(clock)
        close, hold, reopen = rng.uniform(0.06, 0.09), rng.uniform(0.015, 0.05), rng.uniform(0.13, 0.22)
        depth = 1.0 if rng.random() < 0.85 else rng.uniform(0.55, 0.85)
        for side, delay in (("Left", 0.0), ("Right", rng.normal(0, 0.006))):
            down = np.clip((times - at - delay + close) / close, 0, 1)
            up = np.clip((times - at - delay - hold) / reopen, 0, 1)
            lid = depth * (down * down * (3 - 2 * down)) * (1 - up * up * (3 - 2 * up))
            blink = curves[:, _column(f"eyeBlink{side}")]
            np.maximum(blink, amount * lid, out=blink)
            curves[:, _column(f"browDown{side}")] += amount * 0.04 * lid
            curves[:, _column(f"cheekSquint{side}")] += amount * 0.03 * lid
        clock = max(at, clock) + float(np.clip(rng.lognormal(np.log(2.6), 0.5), 0.8, 8))
        if rng.random() < 0.07:
            clock = at + rng.uniform(0.35, 0.5)  # a double blink


def _slow_noise(times: np.ndarray, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random function of about unit spread: a sum of seven sines around a frequency."""
    frequencies = hertz * np.exp(rng.uniform(-0.7, 0.7, 7))
    phases = rng.uniform(0, 2 * np.pi, 7)
    return np.sin(2 * np.pi * times[:, None] * frequencies + phases).sum(1) * (2 / 7) ** 0.5
