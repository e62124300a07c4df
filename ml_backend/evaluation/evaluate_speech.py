"""Measures lips against phones on real recordings that were not used in training, with baselines.

--set DIR holds recordings, each with what is said in a .txt of the same name, in English or --language.
Phones come from forced alignment (pocketsphinx). Or it holds voices of `build-speech-data --keep-sound` that
training never heard: their phones are the synthesiser's own.
The lips are measured on the mean face, in mm (`animation/lip_measures.py`); for the areas under the curve
over the middle half of each phone:

  closure_bilabial   share of p b m whose smallest gap within 40 ms of the phone is at most 15 % of the clip's
  95th percentile
  closure_pause      share of pauses of 200 ms and more whose median gap (60 ms off either end) is at most
  that
  auc_bilabial       p b m against other phones by the mean gap, pressed lips below zero (small is right)
  auc_labiodental    f v against other phones by the lower lip's distance from the edges of the upper incisors
  (small is right)
  auc_open           aa ae ao aw ay against other phones by the largest gap in the whole phone (large is
  right; aw and ay end closed)
  auc_rounded        uw uh ow oy w against other phones by protrusion less half the mouth's width (large is
  right)
  lag_ms             at which the jaw correlates best with the speech energy, all clips together; positive:
  the jaw is late
  jitter_share       share of the jaw's velocity power above 10 Hz
  labelled_closures  closure_bilabial again, against lip closures that were read off waveform and spectrogram
  instead of an aligner's
                     (`assets/labelled_closures.json`; n_labelled of them, in the clips of those names)
  n_clips, misfits   clips that were used; names of those whose transcript does not fit or that cannot be read
  real_time_factor   processor seconds, all threads together, for a second of sound, networks loaded
  wall_time_factor   the same by the clock on the wall, which other programs on the machine delay

Rows beside ours, which is the parallel decoder: the autoregressive decoder, a still face, our curves 0.4 s
late (chance), a plain perceptron over 14 visemes trained on the same data
(`models/speech/viseme_perceptron.py`), our curves with the transcript given, or for synthesised voices with
their exact phones (the most that better listening could reach), and with --speech-encoder our decoder after
that network.

examples:
  python -m ml_backend evaluate speech --set recordings/ --json
  python -m ml_backend evaluate speech --set recordings/ --speech-encoder whisper/
  python -m ml_backend evaluate speech --set build/german-voices --speech-encoder whisper/
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from ..animation.lip_contacts import secure_contacts
from ..animation.lip_measures import LipRuler
from ..asset_files import ASSETS
from ..audio.log_mel import HOP, log_mel, normalise
from ..audio.read_audio import read_audio
from ..expression_names import EXPRESSION_NAMES
from ..models.bilinear_face import BilinearFace
from ..models.speech.speech_networks import DEFAULT_FILE, load_speech_networks
from ..models.speech.viseme_perceptron import VISEME_OF, load_viseme_perceptron
from ..phonetics.coarticulation import pose
from ..phonetics.phones import BILABIAL, LABIODENTAL, OPEN_VOWELS, PHONE_INDEX, PHONES, ROUNDED, UNKNOWN
from ..phonetics.spelling.languages import ENGLISH, TRANSCRIPT_LANGUAGES
from ..phonetics.visemes import DIPHTHONGS, VISEMES
from ..pipelines.animate_from_audio import AnimateFromAudioRequest, animate_from_audio
from ..pipelines.speech_windows import decode, extract_features
from .speech_clips import Clip, read_clips, read_voice_clips

_CLASSES = {"bilabial": BILABIAL, "labiodental": LABIODENTAL, "open": OPEN_VOWELS, "rounded": ROUNDED}
_RATE = 100  # measures a second
_SHIFT = 0.4  # seconds by which the chance row is late
_JAW = EXPRESSION_NAMES.index("jawOpen")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--set",
        type=Path,
        required=True,
        metavar="DIR",
        help="recordings with transcripts (.txt of the same name)",
    )
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second of the curves (default 30)")
    parser.add_argument("--weights", default="", metavar="FILE", help="other weights than the shipped ones")
    parser.add_argument(
        "--speech-encoder",
        default="",
        metavar="PATH",
        help="a network of yours to measure beside ours: Whisper base or a wav2vec 2.0 checkpoint, as for "
        "`animate`",
    )
    parser.add_argument(
        "--language",
        choices=TRANSCRIPT_LANGUAGES,
        default=ENGLISH,
        help="of the transcripts (default en)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints."""
    with tempfile.TemporaryDirectory() as scratch:
        voices = read_voice_clips(args.set, Path(scratch))
        clips, misfits = (voices, []) if voices else read_clips(args.set, args.language)
        figures = evaluate_speech(clips, args.fps, args.weights, args.speech_encoder)
    figures["misfits"] = misfits
    if args.json:
        print(json.dumps(figures))
        return 0
    rows = {"ours": figures, **figures["baselines"]}
    keys = [key for key in figures if key not in ("baselines", "misfits")]
    print(f"{'':18s}" + "".join(f"{name:>18s}" for name in rows))
    for key in keys:
        print(f"{key:18s}" + "".join(f"{row.get(key, ''):>18}" for row in rows.values()))
    return 0


def evaluate_speech(
    clips: list[Clip], fps: float = 30.0, weights: str = "", speech_encoder: str = ""
) -> dict:
    """Returns the figures of the module's docstring, with `n_clips`, `seconds` and `baselines`.

    Args:
        clips: the recordings.
        fps: frames a second of the curves.
        weights: other ones than the shipped ones.
        speech_encoder: a network to measure beside ours, see `AnimateFromAudioRequest`.
    """
    ruler = LipRuler(BilinearFace.default())
    animate_from_audio(_request(clips[0], fps, weights), _quiet)  # loads the networks
    began, began_work = time.perf_counter(), time.process_time()
    ours = [animate_from_audio(_request(clip, fps, weights), _quiet).frames for clip in clips]
    spent, worked = time.perf_counter() - began, time.process_time() - began_work
    seconds = sum(clip.seconds for clip in clips)
    print(f"{len(clips)} clips, {seconds:.0f} s, {worked:.1f} s of work in {spent:.1f} s", file=sys.stderr)
    past, past_work = _timed(clips, fps, weights, decoder="autoregressive")
    others = {}
    if speech_encoder:
        heard, work = _timed(clips, fps, weights, speech_encoder=speech_encoder)
        others["speech_encoder"] = {
            **measure(clips, heard, fps, ruler),
            "real_time_factor": round(work / seconds, 4),
        }
    if all(clip.text for clip in clips):
        told = [
            animate_from_audio(
                replace(_request(clip, fps, weights), transcript=clip.text, language=clip.language), _quiet
            ).frames
            for clip in clips
        ]
        others["transcript"] = measure(clips, told, fps, ruler)
    else:
        exact = [_exact_curves(clip, fps, weights) for clip in clips]
        others["exact_phones"] = measure(clips, exact, fps, ruler)
    late = [np.roll(frames, round(_SHIFT * fps), axis=0) for frames in ours]
    still = [np.zeros_like(frames) for frames in ours]
    return {
        **measure(clips, ours, fps, ruler),
        "real_time_factor": round(worked / seconds, 4),
        "wall_time_factor": round(spent / seconds, 4),
        "n_clips": len(clips),
        "seconds": round(seconds, 1),
        "baselines": {
            "autoregressive": {
                **measure(clips, past, fps, ruler),
                "real_time_factor": round(past_work / seconds, 4),
            },
            **others,
            "perceptron_14_visemes": measure(
                clips, [perceptron_curves(clip, fps) for clip in clips], fps, ruler
            ),
            "shifted_0.4s": measure(clips, late, fps, ruler),
            "still": measure(clips, still, fps, ruler),
        },
    }


def _timed(clips: list[Clip], fps: float, weights: str, **settings: Any) -> tuple[list[np.ndarray], float]:
    """Returns the curves with other settings of the request, and the processor seconds they took."""
    requests = [replace(_request(clip, fps, weights), **settings) for clip in clips]
    animate_from_audio(requests[0], _quiet)  # loads the networks
    began = time.process_time()
    return [animate_from_audio(request, _quiet).frames for request in requests], time.process_time() - began


def _exact_curves(clip: Clip, fps: float, weights: str) -> np.ndarray:
    """Returns our decoder's curves (T, 52) of a short clip with the phones that it has."""
    networks = load_speech_networks(Path(weights) if weights else DEFAULT_FILE)
    features = extract_features(networks, read_audio(clip.path), 0.0, (clip.phones, clip.ends))
    return decode(networks, features, np.arange(round(clip.seconds * fps)) / fps, fps)


def measure(clips: list[Clip], curves: list[np.ndarray], fps: float, ruler: LipRuler) -> dict[str, float]:
    """Returns all figures but the real-time factor, for one set of curves.

    Args:
        clips: the recordings.
        curves: of each clip, (T, 52) at `fps`.
        fps: frames a second.
        ruler: measures lips.
    """
    scores: dict[str, list[float]] = {name: [] for name in _CLASSES}
    spoken: list[int] = []
    closed_lips = []
    closed_pauses = []
    closed_labels = []
    labels = labelled_closures()
    for clip, frames in zip(clips, curves, strict=True):
        times = np.arange(round(clip.seconds * _RATE)) / _RATE
        sampled = np.stack([np.interp(times, np.arange(len(frames)) / fps, column) for column in frames.T], 1)
        lips = ruler.measure(sampled)
        bound = 0.15 * np.percentile(lips.gap, 95) + 1e-6
        for begin, end in labels.get(clip.path.stem, ()):
            closed_labels.append(float(lips.gap[_between(times, begin - 0.04, end + 0.04)].min() <= bound))
        for phone, begin, end in zip(
            clip.phones, np.concatenate([[0], clip.ends[:-1]]), clip.ends, strict=True
        ):
            quarter = (end - begin) / 4
            inside = _between(times, begin + quarter, end - quarter)
            if phone == 0:
                if end - begin >= 0.2:
                    closed_pauses.append(
                        float(np.median(lips.gap[_between(times, begin + 0.06, end - 0.06)]) <= bound)
                    )
                continue
            if phone == UNKNOWN or not inside.any():
                continue
            if phone in [PHONE_INDEX[name] for name in BILABIAL]:
                closed_lips.append(float(lips.gap[_between(times, begin - 0.04, end + 0.04)].min() <= bound))
            spoken.append(int(phone))
            scores["bilabial"].append(-float(lips.pressed_gap[inside].mean()))
            scores["labiodental"].append(-float(lips.lower_lip_to_teeth[inside].mean()))
            scores["open"].append(float(lips.gap[_between(times, begin, end)].max()))
            scores["rounded"].append(float((lips.protrusion - lips.width / 2)[inside].mean()))
    figures = {
        "closure_bilabial": float(np.mean(closed_lips)) if closed_lips else 0.0,
        "closure_pause": float(np.mean(closed_pauses)) if closed_pauses else 0.0,
    }
    for name, members in _CLASSES.items():
        positive = np.isin(spoken, [PHONE_INDEX[member] for member in members])
        figures[f"auc_{name}"] = area_under_curve(np.array(scores[name]), positive)
    figures["lag_ms"] = jaw_lag(clips, curves, fps)
    figures["jitter_share"] = jitter_share(curves, fps)
    if closed_labels:
        figures["labelled_closures"] = float(np.mean(closed_labels))
    counts = {
        "n_labelled": len(closed_labels),
        "n_bilabial": len(closed_lips),
        "n_pauses": len(closed_pauses),
        "n_phones": len(spoken),
    }
    return {name: round(value, 4) for name, value in figures.items()} | counts


def perceptron_curves(clip: Clip, fps: float) -> np.ndarray:
    """Returns the curves (T, 52) of the baseline.

    Its visemes' mean lip shapes are weighted by their posteriors and smoothed over 30 ms; lips and
    teeth are then gripped as in ours.
    """
    samples = read_audio(clip.path)
    mel, _ = normalise(log_mel(np.pad(samples, (0, -len(samples) % (2 * HOP)))))
    with torch.inference_mode():
        posteriors = load_viseme_perceptron()(torch.from_numpy(mel)[None])[0].softmax(1).numpy()
    shapes = np.stack(
        [pose((DIPHTHONGS[name][1] if name in DIPHTHONGS else VISEMES[name]).shape) for name in PHONES]
    )
    phones = (
        posteriors[:, VISEME_OF] / np.bincount(VISEME_OF)[VISEME_OF]
    )  # a viseme's share is split evenly among its phones
    curves = gaussian_filter1d(phones @ shapes, 1.5, axis=0)
    times, feature_times = np.arange(round(clip.seconds * fps)) / fps, np.arange(len(curves)) / 50 + 0.005
    sampled = np.stack([np.interp(times, feature_times, column) for column in curves.T], 1)
    return secure_contacts(sampled, phones, feature_times, times, fps)


@functools.cache
def labelled_closures() -> dict[str, list[tuple[float, float]]]:
    """Returns lip closures by clip name, with the seconds at which each begins and ends.

    They were read off waveform and spectrogram.
    """
    document = json.loads((ASSETS / "labelled_closures.json").read_text())
    return {clip: [(begin, end) for begin, end in closures] for clip, closures in document["clips"].items()}


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Returns the chance that a positive scores above a negative, ties half; 0.5 without one kind."""
    if positive.all() or not positive.any():
        return 0.5
    order = np.sort(scores[~positive])
    below = np.searchsorted(order, scores[positive], "left")
    upto = np.searchsorted(order, scores[positive], "right")
    return float((below + upto).mean() / 2 / len(order))


def jaw_lag(clips: list[Clip], curves: list[np.ndarray], fps: float) -> float:
    """Returns the milliseconds by which the jaw follows the speech energy; 0 for a still jaw.

    They are the peak of the clips' summed correlation within 0.3 s.
    """
    lags = np.arange(-30, 31)
    total = np.zeros(len(lags))
    for clip, frames in zip(clips, curves, strict=True):
        energy = np.clip(clip.energy - clip.energy.max(), -9, 0)
        times = np.arange(len(energy)) / _RATE
        jaw = np.interp(times, np.arange(len(frames)) / fps, frames[:, _JAW])
        energy, jaw = energy - energy.mean(), jaw - jaw.mean()
        total += [float((np.roll(jaw, -lag) * energy).sum()) for lag in lags]
    best = int(total.argmax())
    if not total.any() or not 0 < best < len(lags) - 1:
        return 0.0 if not total.any() else float(lags[best] * 10)
    left, middle, right = total[best - 1 : best + 2]
    return float(10 * (lags[best] + 0.5 * (left - right) / (left - 2 * middle + right)))


def jitter_share(curves: list[np.ndarray], fps: float) -> float:
    """Returns the share of the jaw's velocity power above 10 Hz, over all clips; 0 for a still jaw."""
    high = everything = 0.0
    for frames in curves:
        velocity = np.diff(frames[:, _JAW])
        power = np.abs(np.fft.rfft(velocity * np.hanning(len(velocity)))) ** 2
        high += float(power[np.fft.rfftfreq(len(velocity), 1 / fps) > 10].sum())
        everything += float(power.sum())
    return high / everything if everything else 0.0


def _between(times: np.ndarray, begin: float, end: float) -> np.ndarray:
    return (times >= begin - 1e-6) & (times <= end + 1e-6)


def _request(clip: Clip, fps: float, weights: str) -> AnimateFromAudioRequest:
    return AnimateFromAudioRequest(str(clip.path), fps, weights=weights)


def _quiet(share: float, text: str) -> None:
    """Progress that nobody watches."""
