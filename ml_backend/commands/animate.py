"""Turns recordings into animation curves: 52 ARKit coefficients (0 neutral, 1 full), head and eye rotations.

The mouth follows the sound. Blinks, brow accents, head, gaze, breath and a chosen emotion are procedural
layers with an amount and a seed each; they never open closed lips.
AUDIO is a recording (wav, flac, mp3, ogg, opus, aif, m4a, aac ...) or a film with sound (mp4, mov, mkv ...),
any number of channels, 4 to 384 kHz, any length, at any level; or a folder of them. The curves of a folder go
into the folder --out under the same names; where two recordings share a name, the endings stay in it
(take.wav.csv, take.mp3.csv). Curves that are there, made with the same options, are left as they are.

Examples:
  python -m ml_backend animate speech.wav --fps 30 --out curves.csv          Live Link Face CSV
  python -m ml_backend animate speech.mp3 --fps 24 --out curves.json --seed 7
  python -m ml_backend animate speech.wav --out curves.csv --transcript speech.txt
  python -m ml_backend animate rede.wav --out curves.csv --transcript rede.txt --language de
  python -m ml_backend animate speech.wav --out curves.json --no-blinks --no-head
  python -m ml_backend animate speech.wav --out curves.csv --start 12.5 --length 8
  python -m ml_backend animate speech.wav --out curves.csv --emotion 0:joy:0.6,3.5:anger:1 --gain jaw=1.2
  --amount blinks=0.5
  python -m ml_backend animate speech.wav --out curves.csv --emotion voice:joy
  python -m ml_backend animate speech.wav --out curves.csv --speech-encoder wav2vec2-phonemes/
  python -m ml_backend animate rede.wav --out curves.csv --speech-encoder whisper/
  python -m ml_backend animate speech.wav --out curves.csv --decoder autoregressive
  python -m ml_backend animate recordings/ --out curves/ --format csv
  python -m ml_backend animate recordings/ --out curves/ --cluster local       all processors, by Ray
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..farm.folder_job import add_farm_arguments, check_farm_arguments, run_folder_job
from ..farm.items import Item, Outcome
from ..farm.result_paths import result_paths
from ..phonetics.spelling.languages import ENGLISH, TRANSCRIPT_LANGUAGES
from .progress_line import print_progress

_LISTED = 8
_LAYERS = ("blinks", "brows", "head", "gaze", "breath", "emotion")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("audio", metavar="AUDIO", help="the recording, or a folder of recordings")
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="curves.csv (Live Link Face) or curves.json; for a folder, a folder",
    )
    parser.add_argument(
        "--format", choices=("csv", "json"), default="csv", help="of a folder's curves (default csv)"
    )
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second, 1 to 240 (default 30)")
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="seconds to leave out before (default 0)"
    )
    parser.add_argument(
        "--length",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds to animate (default 0: all that is left)",
    )
    parser.add_argument(
        "--transcript",
        type=Path,
        metavar="FILE",
        help="what is said, as text, SRT, WebVTT or TextGrid: forced alignment (needs pocketsphinx)",
    )
    parser.add_argument(
        "--language",
        choices=TRANSCRIPT_LANGUAGES,
        default=ENGLISH,
        help="of the transcript (default en); the others are read by their spelling",
    )
    parser.add_argument(
        "--channel",
        type=int,
        default=0,
        metavar="N",
        help="the only channel to listen to, from 1 on (default 0: those with speech, without time codes)",
    )
    parser.add_argument("--weights", default="", metavar="FILE", help="other weights than the shipped ones")
    parser.add_argument(
        "--speech-encoder",
        default="",
        metavar="PATH",
        help="a network to listen with: Whisper base in CTranslate2's layout (folder or model.bin; several "
        "languages), or the folder of a phoneme-CTC wav2vec 2.0 checkpoint (transformers' layout)",
    )
    parser.add_argument(
        "--decoder",
        choices=("parallel", "autoregressive"),
        default="parallel",
        help="all frames of a window at once, or each frame from those before it (default parallel)",
    )
    layers = parser.add_argument_group("procedural layers", f"NAME is {', '.join(_LAYERS)}.")
    layers.add_argument(
        "--seed", type=int, default=0, help="of all layers that --layer-seed does not name (default 0)"
    )
    layers.add_argument(
        "--layer-seed",
        action="append",
        default=[],
        metavar="NAME=N",
        help="seed of one layer; may be repeated",
    )
    layers.add_argument(
        "--amount",
        action="append",
        default=[],
        metavar="NAME=X",
        help="how much of a layer, 0 to 3; may be repeated",
    )
    layers.add_argument(
        "--emotion",
        default="",
        metavar="KEYS",
        help="SECONDS:EMOTION:INTENSITY,... as 0:joy:0.6,3.5:neutral:0; or voice: a guess of how lively the "
        "voice is, shown as surprise or sadness; voice:EMOTION shows that emotion instead",
    )
    for layer, what in (
        ("blinks", "no blinks"),
        ("brows", "no brow accents"),
        ("head", "no head motion"),
        ("gaze", "no gaze shifts"),
    ):
        layers.add_argument(f"--no-{layer}", action="store_true", help=what)
    edits = parser.add_argument_group("edits", "None of them opens lips that are closed.")
    edits.add_argument(
        "--gain",
        action="append",
        default=[],
        metavar="GROUP=X",
        help="factor on jaw, lips, tongue, cheeks, brows, eyes or head, 0 to 3",
    )
    edits.add_argument(
        "--smoothing",
        type=float,
        default=0.0,
        metavar="MS",
        help="width of the smoothing in milliseconds, 0 to 500",
    )
    edits.add_argument(
        "--offset", type=float, default=0.0, metavar="MS", help="milliseconds by which the motion comes later"
    )
    add_farm_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Animates one recording, or a folder of them, and writes the curves."""
    from ..animation.curve_editing import CurveEdit
    from ..animation.emotion import parse_emotions
    from ..animation.voice_emotion import GUESS, check_voice_emotion
    from ..files.curve_file import check_extension
    from ..files.transcript_file import read_transcript
    from ..pipelines.animate_from_audio import AnimateFromAudioRequest

    amounts: dict[str, Any] = dict.fromkeys(_LAYERS, 1.0) | {
        layer: 0.0 for layer in _LAYERS if getattr(args, f"no_{layer}", False)
    }
    for name, value in _pairs(args.amount, float).items():
        if name not in amounts:
            raise UserError(f"{name}: no such layer.", f"Choose of {', '.join(_LAYERS)}.")
        amounts[name] = value
    edit = CurveEdit(_pairs(args.gain, float), args.smoothing / 1000, args.offset / 1000)
    edit = None if edit == CurveEdit() else edit
    source, _, shown = args.emotion.strip().partition(":")
    of_voice = source == "voice"
    request = AnimateFromAudioRequest(
        args.audio,
        args.fps,
        args.seed,
        weights=args.weights,
        start=args.start,
        length=args.length,
        seeds=_pairs(args.layer_seed, int),
        emotions=() if of_voice else parse_emotions(args.emotion),
        voice_emotion=check_voice_emotion(shown or GUESS) if of_voice else "",
        speech_encoder=args.speech_encoder,
        decoder=args.decoder,
        channel=args.channel,
        language=args.language,
        **amounts,
    )
    if Path(args.audio).is_dir():
        if args.transcript:
            raise UserError(
                "A transcript belongs to one recording, not to a folder.", "Animate that recording by itself."
            )
        return _animate_folder(Path(args.audio), Path(args.out), request, edit, args)
    check_extension(args.out)
    request = dataclasses.replace(
        request,
        transcript=read_transcript(args.transcript, args.start, args.length) if args.transcript else "",
    )
    animation, notes = _animate(request, edit, args.out)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(
        f"{args.out}: {len(animation.frames)} frames at {animation.fps:g} a second "
        f"({animation.seconds:.2f} s)"
    )
    return 0


def _animate(request, edit, out: str | Path):
    """Returns the animation that was written, and notes."""
    from ..files.curve_file import write_curves
    from ..pipelines.animate_from_audio import animate_in_layers

    layered = animate_in_layers(request, print_progress)
    animation = layered.mixed(edit)
    write_curves(out, animation)
    return animation, layered.notes


def _animate_folder(folder: Path, out: Path, request, edit, args: argparse.Namespace) -> int:
    """Animates every recording below a folder; one that cannot be used is named, and the others go on.

    Raises:
        UserError: there is none, or the folder cannot be written.
    """
    from ..audio.formats import AUDIO_SUFFIXES

    check_farm_arguments(args)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    paths = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    passed = [path for path in files if path not in set(paths)]
    if passed:
        names = ", ".join(str(path.relative_to(folder)) for path in passed[:_LISTED])
        more = f" and {len(passed) - _LISTED} more" if len(passed) > _LISTED else ""
        print(f"note: passed over, no recordings by their names: {names}{more}", file=sys.stderr)
    if not paths:
        raise UserError(f"{folder}: holds no recording.", f"Put {', '.join(AUDIO_SUFFIXES)} files into it.")
    targets = result_paths([path.relative_to(folder) for path in paths], out, f".{args.format}")

    def work(item: Item) -> Outcome:
        animation, notes = _animate(dataclasses.replace(request, path=item.source), edit, item.target)
        line = f"{item.target}: {len(animation.frames)} frames ({animation.seconds:.2f} s)"
        return Outcome(line, tuple(notes))

    items = [Item(str(path), target) for path, target in zip(paths, targets, strict=True)]
    settings = {
        "command": "animate",
        "options": dataclasses.asdict(dataclasses.replace(request, path="")),
        "edits": dataclasses.asdict(edit) if edit else None,
    }
    report = run_folder_job(items, work, settings, out, args)
    if report.failed:
        print(f"{len(report.failed)} of {len(paths)} recordings could not be used", file=sys.stderr)
    return 1 if report.failed else 0


def _pairs(texts: list[str], kind: type) -> dict:
    found = {}
    for text in texts:
        for pair in text.split(","):
            name, _, value = pair.partition("=")
            try:
                found[name.strip()] = kind(value)
            except ValueError as error:
                raise UserError(f"{pair}: not NAME=VALUE.", "Write it as jaw=1.2.") from error
    return found
