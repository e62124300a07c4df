"""Turns a recording into animation curves: 52 ARKit coefficients (0 neutral, 1 full) a frame, and rotations of head and eyes.

The mouth follows the sound; blinks, brow accents, head and gaze are procedural, seeded, and never open closed lips.
AUDIO is wav, flac, mp3 or ogg, any number of channels, 4 to 384 kHz, any length.

Examples:
  python -m ml_backend animate speech.wav --fps 30 --out curves.csv          Live Link Face CSV
  python -m ml_backend animate speech.mp3 --fps 24 --out curves.json --seed 7
  python -m ml_backend animate speech.wav --out curves.csv --transcript speech.txt
  python -m ml_backend animate speech.wav --out curves.json --no-blinks --no-head
"""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("audio", metavar="AUDIO", help="the recording")
    parser.add_argument("--out", required=True, metavar="FILE", help="curves.csv (Live Link Face) or curves.json")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second, 1 to 240 (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the procedural layers (default 0)")
    parser.add_argument("--transcript", type=Path, metavar="TXT", help="what is said, in English: forced alignment (needs pocketsphinx)")
    parser.add_argument("--weights", default="", metavar="FILE", help="other weights than the shipped ones")
    for layer, what in (("blinks", "no blinks"), ("brows", "no brow accents"), ("head", "no head motion"), ("gaze", "no gaze shifts")):
        parser.add_argument(f"--no-{layer}", action="store_true", help=what)


def run(args: argparse.Namespace) -> int:
    """Animates and writes the curves."""
    from ..curves import check_extension, write_curves
    from ..errors import UserError
    from ..pipelines.animate_from_audio import AnimateFromAudioRequest, animate_from_audio

    check_extension(args.out)
    transcript = ""
    if args.transcript:
        try:
            transcript = args.transcript.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{args.transcript}: cannot be read as text.", "Check the path.") from error
        if not transcript.strip():
            raise UserError(f"{args.transcript}: the transcript is empty.", "Write what is said, or leave it out.")
    layers = {layer: 0.0 if getattr(args, f"no_{layer}") else 1.0 for layer in ("blinks", "brows", "head", "gaze")}
    request = AnimateFromAudioRequest(args.audio, args.fps, args.seed, transcript=transcript, weights=args.weights, **layers)
    animation = animate_from_audio(request, _report, lambda: False)
    write_curves(args.out, animation)
    print(f"{args.out}: {len(animation.frames)} frames at {animation.fps:g} a second ({animation.seconds:.2f} s)")
    return 0


def _report(share: float, text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{100 * share:3.0f} % {text:24s}", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)
