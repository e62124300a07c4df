"""Recordings with the times of their phones, for measuring lips: real ones, or synthesised voices."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..audio.formats import AUDIO_SUFFIXES
from ..audio.log_mel import SAMPLE_RATE, log_mel, loudness
from ..audio.read_audio import read_audio
from ..datasets.whisper_features import read_voice_sound
from ..errors import UserError
from ..files.text_file import read_text
from ..models.speech.speech_networks import load_speech_networks
from ..phonetics.align_transcript import align_transcript, check_alignment
from ..phonetics.phones import PAUSE, PHONE_INDEX
from ..phonetics.spelling.languages import ENGLISH
from ..pipelines.speech_windows import recognised_phones

_VOICE_SECONDS = 10.0
"""Least length of a clip of a synthesised voice."""


@dataclass(frozen=True)
class Clip:
    """A recording with its phones.

    Attributes:
        path: of the sound.
        text: what is said; empty where it is not known.
        seconds: its length.
        phones: (P,) indices into PHONES; UNKNOWN ones count nowhere.
        ends: (P,) seconds at which they end.
        energy: loudness (T,) at 100 a second.
        language: of the text.
    """

    path: Path
    text: str
    seconds: float
    phones: np.ndarray
    ends: np.ndarray
    energy: np.ndarray
    language: str = ENGLISH


def read_clips(folder: Path, language: str = ENGLISH) -> tuple[list[Clip], list[str]]:
    """Reads and aligns every recording of a folder that has a transcript.

    A recording that cannot be read, or whose transcript does not fit, is named on stderr and left out.

    Args:
        folder: of the recordings.
        language: of the transcripts.

    Returns:
        The clips, and the names of the recordings that were left out.

    Raises:
        UserError: there is none, or none can be used.
    """
    paths = [
        path
        for path in sorted(folder.glob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES and path.with_suffix(".txt").exists()
    ]
    if not paths:
        raise UserError(
            f"{folder}: holds no recording with a transcript beside it.",
            "Put NAME.wav and NAME.txt into one folder.",
        )
    clips = []
    misfits = []
    for path in paths:
        try:
            samples, text = read_audio(path), read_text(path.with_suffix(".txt"))
            phones, ends = align_transcript(samples, text, str(path), language)
            check_alignment(*recognised_phones(load_speech_networks(), samples), phones, ends, str(path))
        except UserError as error:
            misfits.append(path.name)
            print(f"left out: {error}", file=sys.stderr, flush=True)
            continue
        energy = loudness(log_mel(samples))
        clips.append(Clip(path, text, len(samples) / SAMPLE_RATE, phones, ends, energy, language))
    if not clips:
        raise UserError(f"{folder}: none of its {len(paths)} recordings can be used.", "See the lines above.")
    return clips, misfits


def read_voice_clips(folder: Path, scratch: Path) -> list[Clip]:
    """Cuts the voices of `build-speech-data --keep-sound` into clips of about ten seconds, at pauses.

    Args:
        folder: of the voices, one file each; "negatives" is left out.
        scratch: where the sounds are written.

    Returns:
        The clips, without texts; none where the folder holds no voices.

    Raises:
        UserError: a file holds no sound.
    """
    clips = []
    for path in sorted(folder.glob("*.safetensors")):
        if path.stem == "negatives":
            continue
        voice = read_voice_sound(path)
        begin = 0.0
        first = 0
        for index, (phone, end) in enumerate(zip(voice.phones, voice.ends, strict=True)):
            last = index + 1 == len(voice.phones)
            if not last and (phone != PHONE_INDEX[PAUSE] or end - begin < _VOICE_SECONDS):
                continue
            samples = voice.sound[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
            target = scratch / f"{path.stem}-{len(clips):04d}.wav"
            soundfile.write(target, samples, SAMPLE_RATE, subtype="PCM_16")
            energy = loudness(log_mel(samples.astype(np.float32) / 32768))
            phones, ends = voice.phones[first : index + 1], voice.ends[first : index + 1] - begin
            clips.append(Clip(target, "", len(samples) / SAMPLE_RATE, phones, ends, energy))
            begin, first = float(end), index + 1
    return clips
