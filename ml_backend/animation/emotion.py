"""A chosen emotion over time, as curves to add to speech; `voice_emotion` makes keys of a guess."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..expression_presets import EXPRESSION_PRESETS
from .curve_editing import lip_steps

NEUTRAL = "neutral"
EMOTIONS = (
    NEUTRAL,
    "joy",
    "anger",
    "surprise",
    "disgust",
    "fear",
    "sadness",
    "contempt",
    "skeptical",
    "thinking",
    "effort",
)
_LEFT_TO_SPEECH = ("jaw", "tongue", "mouthClose", "mouthPucker", "mouthFunnel", "eyeBlink", "eyeLook")
"""Channels that no emotion moves: those of words, lids and gaze."""
_PARTING_MM = 0.3  # a channel that parts the lips by more, at 1, is an opener
_PRESSING = ("mouthPress", "mouthRoll", "mouthShrug")
_WHILE_OPEN = 0.35  # share of pressing that is left while the mouth is open


class EmotionKey(NamedTuple):
    """An emotion and its intensity, 0 to 1.5, from `seconds` on; two keys fade into each other."""

    seconds: float
    emotion: str
    intensity: float


def parse_emotions(text: str) -> tuple[EmotionKey, ...]:
    """Reads keys such as "0:joy:0.6,3.5:anger:1" (seconds:emotion:intensity), as in the shell.

    Raises:
        UserError: a key is not of that form.
    """
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            seconds, emotion, *intensity = part.split(":")
            keys.append(EmotionKey(float(seconds), emotion.strip(), float(*intensity) if intensity else 1.0))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{part}: not an emotion over time.",
                "Write SECONDS:EMOTION:INTENSITY, as 0:joy:0.6,3.5:neutral:0.",
            ) from error
    return check_emotions(keys)


def check_emotions(keys: Sequence) -> tuple[EmotionKey, ...]:
    """Sorts keys given as triples.

    Raises:
        UserError: an emotion is unknown, or a number is out of its range.
    """
    checked = []
    for key in keys:
        try:
            seconds, emotion, intensity = float(key[0]), str(key[1]), float(key[2])
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise UserError(
                f"{key}: not an emotion over time.", "Give (seconds, emotion, intensity)."
            ) from error
        if emotion not in EMOTIONS:
            raise UserError(f"{emotion}: no such emotion.", f"Choose of {', '.join(EMOTIONS)}.")
        if not (np.isfinite(seconds) and 0 <= intensity <= 1.5):
            raise UserError(
                f"{emotion} at {seconds} s with an intensity of {intensity}.",
                "Choose an intensity of 0 to 1.5.",
            )
        checked.append(EmotionKey(seconds, emotion, intensity))
    return tuple(sorted(checked, key=lambda key: key.seconds))


def emotion_intensities(keys: Sequence[EmotionKey], times: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the intensity of each emotion, (T,) by name.

    The first and last keys hold to the ends; fades have no kink.
    """
    found: dict[str, np.ndarray] = {}
    if not keys:
        return found
    moments = np.array([key.seconds for key in keys])
    before = np.searchsorted(moments, times, side="right") - 1
    low, high = np.clip(before, 0, len(keys) - 1), np.clip(before + 1, 0, len(keys) - 1)
    share = np.clip((times - moments[low]) / np.maximum(moments[high] - moments[low], 1e-6), 0, 1)
    share = np.where(before < 0, 0.0, share * share * (3 - 2 * share))
    for emotion in {key.emotion for key in keys} - {NEUTRAL}:
        strength = np.array([key.intensity if key.emotion == emotion else 0.0 for key in keys])
        found[emotion] = strength[low] * (1 - share) + strength[high] * share
    return found


def emotion_curves(
    keys: Sequence[EmotionKey], times: np.ndarray, mouth: np.ndarray, opening: np.ndarray
) -> np.ndarray:
    """Returns the curves to add to the speech.

    Openers of the lips (upper lip up, lower lip down, ...) fade where the lips are closed, so a closure stays
    one; what presses the lips together fades where they are open, and smiles give way to rounding, so that
    the words stay readable.

    Args:
        keys: of the emotions, sorted.
        times: (T,) seconds.
        mouth: (T, 52) curves of the speech.
        opening: (T,) of `curve_editing.open_share(mouth)`.

    Returns:
        (T, 52) float32.
    """
    curves = np.zeros((len(times), len(EXPRESSION_NAMES)), np.float32)
    for emotion, strength in emotion_intensities(keys, times).items():
        for name, value in EXPRESSION_PRESETS[emotion][1].items():
            if not name.startswith(_LEFT_TO_SPEECH):
                curves[:, EXPRESSION_NAMES.index(name)] += strength * value
    steps, pucker = lip_steps(), np.clip(mouth[:, EXPRESSION_NAMES.index("mouthPucker")], 0, 1)
    for index, name in enumerate(EXPRESSION_NAMES):
        if steps[index] > _PARTING_MM:
            curves[:, index] *= opening
        elif name.startswith(_PRESSING):
            curves[:, index] *= 1 - (1 - _WHILE_OPEN) * opening
        elif name.startswith(("mouthSmile", "mouthStretch", "mouthDimple")):
            curves[:, index] *= 1 - 0.6 * pucker
    return curves
