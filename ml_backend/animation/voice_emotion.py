"""Keys of the emotion layer that follow how lively a voice is: a guess."""

from typing import TYPE_CHECKING

from ..errors import UserError
from .emotion import EMOTIONS, NEUTRAL, EmotionKey

if TYPE_CHECKING:
    from ..audio.voice_arousal import Arousal

GUESS = "guess"
VOICE_EMOTIONS = (GUESS, *(emotion for emotion in EMOTIONS if emotion != NEUTRAL))
"""`GUESS` shows surprise's brows and lids on a lively voice and a little sadness on a subdued one; the name
of an emotion shows that emotion, as strongly as the voice is lively."""
STRENGTH = 0.6
"""Intensity at the liveliest."""
_LIVELY, _SUBDUED = "surprise", "sadness"
_SUBDUED_SHARE = 0.5
_STILL = 0.15
"""Arousal about 0 that shows nothing."""


def check_voice_emotion(name: str) -> str:
    """Returns a name of `VOICE_EMOTIONS`, or "" for none.

    Raises:
        UserError: there is no such name.
    """
    if name and name not in VOICE_EMOTIONS:
        raise UserError(
            f"{name}: no emotion that a voice can show.", f"Choose of {', '.join(VOICE_EMOTIONS)}."
        )
    return name


def keys_of_voice(arousal: "Arousal", name: str) -> tuple[EmotionKey, ...]:
    """Returns keys that show a voice's liveliness.

    Args:
        arousal: of the recording, seconds from its start.
        name: of `VOICE_EMOTIONS`.
    """
    keys = []
    for second, value in zip(arousal.seconds.tolist(), arousal.values.tolist(), strict=True):
        size = max(0.0, abs(value) - _STILL) / (1 - _STILL)
        if name != GUESS:
            keys.append(EmotionKey(second, name, STRENGTH * (1 + value) / 2))
        elif value >= 0:
            keys.append(EmotionKey(second, _LIVELY, STRENGTH * size))
        else:
            keys.append(EmotionKey(second, _SUBDUED, STRENGTH * _SUBDUED_SHARE * size))
    return tuple(keys)
