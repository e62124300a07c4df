"""A picture sheet of a spoken clip: the mouth at each phone, with phone, second and lip distance below.

    python -m benchmarks.clip_sheet                                       # the shipped recording
    python -m benchmarks.clip_sheet --audio voice.wav --text voice.txt --start 2 --length 6
    python -m benchmarks.clip_sheet --engine cycles --wide

The phones are those of a forced alignment where the text is given (or lies beside the recording as .txt),
else those that the speech network hears. Labels are coloured by what the lips should do: closed on p b m, lip
on teeth on f v, round on w oo, open on ah.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.cycles_render import quiet_output
from tools.demo import make_face
from tools.extension_session import installed_extension

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "ml_backend/assets/demo_speech.wav"
DEMO_TEXT = (
    "Hello! Maybe you have a moment? Far above the sea, five big purple boats move by. "
    "Wow, what a beautiful morning!"
)
SEED, LABEL = 9, 34
COLOURS = {
    "bilabial": (255, 120, 110),
    "labiodental": (255, 190, 90),
    "rounded": (120, 180, 255),
    "open": (130, 225, 130),
}
MOUTH_CLOSER, MOUTH_SHIFT, FACE_CLOSER, FACE_SHIFT = 3.2, -0.72, 1.15, 0.0
"""Times the lens of the studio, and shifts of the picture."""


@dataclass(frozen=True)
class Label:
    """One tile: the phone, its second in the clip, the distance of the lips there in millimetres."""

    phone: str
    seconds: float
    gap: float

    @property
    def colour(self) -> tuple[int, int, int]:
        """Returns the colour of a phone, by the task of the lips."""
        from ml_backend.phonetics.phones import BILABIAL, LABIODENTAL, OPEN_VOWELS, ROUNDED

        classes = {"bilabial": BILABIAL, "labiodental": LABIODENTAL, "rounded": ROUNDED, "open": OPEN_VOWELS}
        return next(
            (COLOURS[name] for name, members in classes.items() if self.phone in members), (200, 200, 200)
        )


def phones_of(samples: np.ndarray, text: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns phones (P,) and their ends in seconds (P,), aligned to the text or recognised without one."""
    from ml_backend.models.speech.speech_networks import load_speech_networks
    from ml_backend.phonetics.align_transcript import align_transcript
    from ml_backend.pipelines.speech_windows import extract_features

    if text.strip():
        return align_transcript(samples, text, name)[:2]
    features = extract_features(load_speech_networks(), samples, 0.0)
    best = features.posteriors.argmax(1)
    last = np.flatnonzero(np.append(best[1:] != best[:-1], True))
    return best[last], features.times[last] + 0.01


def labels_of(phones: np.ndarray, ends: np.ndarray, gaps: np.ndarray, fps: float, most: int) -> list[Label]:
    """One label for each phone, at its middle; a stop of the lips at the frame where they are nearest.

    Args:
        phones: (P,) indices into PHONES.
        ends: (P,) seconds.
        gaps: (T,) millimetres between the lips, frame by frame.
        fps: of `gaps`.
        most: labels at most; pauses of less than 0.2 s have none.
    """
    from ml_backend.phonetics.phones import BILABIAL, PHONES

    found, begin = [], 0.0
    for phone, end in zip(phones, ends, strict=True):
        name = PHONES[phone] if phone < len(PHONES) else "?"
        if name != "PAU" or end - begin >= 0.2:
            frames = np.arange(np.ceil(begin * fps), np.floor(end * fps) + 1).astype(int)
            frames = frames[frames < len(gaps)]
            frame = round((begin + end) / 2 * fps)
            if name in BILABIAL and len(frames):
                frame = int(frames[gaps[frames].argmin()])
            if frame < len(gaps):
                found.append(Label(name, frame / fps, float(gaps[frame])))
        begin = float(end)
    return found[:most]


def render_frames(audio: Path, labels: list[Label], folder: Path, args: argparse.Namespace) -> list[Path]:
    """Makes a face speak the clip and renders it at each label."""
    import bpy

    scene = bpy.context.scene
    assert scene is not None
    scene.render.fps = round(args.fps)
    face = make_face(SEED)
    camera = scene.camera.data
    closer, camera.shift_y = (FACE_CLOSER, FACE_SHIFT) if args.wide else (MOUTH_CLOSER, MOUTH_SHIFT)
    camera.lens *= closer
    bpy.ops.d3dmm.import_audio(
        filepath=str(audio),
        seed=1,
        bake_detail=args.detail,
        sound_strip=False,
        head_motion=False,
        start=args.start,
        length=args.length,
    )
    face.d3dmm.show_detail = args.detail
    scene.render.resolution_x = scene.render.resolution_y = args.size
    scene.render.engine = "CYCLES" if args.engine == "cycles" else "BLENDER_WORKBENCH"
    if args.engine == "cycles":
        scene.cycles.samples, scene.cycles.use_denoising = args.samples, True
    else:
        scene.display.shading.light, scene.display.shading.show_cavity = "STUDIO", True
        scene.display.shading.color_type = "MATERIAL"
    paths, began = [], time.monotonic()
    for number, label in enumerate(labels):
        scene.frame_set(scene.frame_start + round(label.seconds * args.fps))
        paths.append(folder / f"{number:03d}.png")
        scene.render.filepath = str(paths[-1])
        with quiet_output():
            bpy.ops.render.render(write_still=True)
        if number % 12 == 11:
            left = (time.monotonic() - began) / (number + 1) * (len(labels) - number - 1)
            print(f"{number + 1} of {len(labels)} frames, {left:.0f} s left", flush=True)
    return paths


def compose(paths: list[Path], labels: list[Label], columns: int, size: int) -> Image.Image:
    """Puts the frames into rows, each with its label under it."""
    rows = -(-len(paths) // columns)
    sheet = Image.new("RGB", (columns * size, rows * (size + LABEL)), (24, 24, 26))
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(16), ImageFont.load_default(11)
    for index, (path, label) in enumerate(zip(paths, labels, strict=True)):
        x, y = index % columns * size, index // columns * (size + LABEL)
        with Image.open(path) as picture:
            sheet.paste(picture.convert("RGB"), (x, y))
        draw.text((x + 6, y + size + LABEL / 2), label.phone, fill=label.colour, font=large, anchor="lm")
        said = f"{label.seconds:.2f} s\n{label.gap:.1f} mm"
        draw.multiline_text(
            (x + size - 4, y + size + LABEL / 2),
            said,
            fill=(150, 150, 150),
            font=small,
            anchor="rm",
            spacing=1,
            align="right",
        )
    return sheet


def main() -> int:
    """Parses, hears, renders, puts the sheet together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, default=DEMO, help="a recording (default: the shipped one)")
    parser.add_argument(
        "--text",
        type=Path,
        help="a text file of what is said (default: AUDIO's name with .txt, where there is one)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "build/clip_sheet",
        help="where the sheet goes (default: build/clip_sheet)",
    )
    parser.add_argument("--start", type=float, default=0.0, help="seconds to leave out before (default: 0)")
    parser.add_argument(
        "--length", type=float, default=0.0, help="seconds to show (default: all, at most 60)"
    )
    parser.add_argument(
        "--fps", type=float, default=60.0, help="frames a second of the clip, a whole number (default: 60)"
    )
    parser.add_argument("--columns", type=int, default=12, help="tiles in a row (default: 12)")
    parser.add_argument("--tiles", type=int, default=60, help="tiles at most (default: 60)")
    parser.add_argument("--size", type=int, default=130, help="pixels along a tile's side (default: 130)")
    parser.add_argument(
        "--engine",
        choices=("workbench", "cycles"),
        default="workbench",
        help="what renders (default: workbench)",
    )
    parser.add_argument("--samples", type=int, default=8, help="Cycles samples, denoised (default: 8)")
    parser.add_argument("--wide", action="store_true", help="show the whole face, not the mouth")
    parser.add_argument("--detail", action="store_true", help="bake the wrinkles too")
    args = parser.parse_args()
    from ml_backend.animation.curve_editing import lip_gap
    from ml_backend.audio.read_audio import AudioFile
    from ml_backend.errors import UserError
    from ml_backend.pipelines.animate_from_audio import AnimateFromAudioRequest, animate_from_audio

    try:
        file = AudioFile(args.audio)
        args.length = min(args.length or 60.0, 60.0, file.range_seconds(args.start))
        samples = np.concatenate(list(file.blocks(start=args.start, length=args.length)))
        beside = args.text or args.audio.with_suffix(".txt")
        whole = args.start == 0 and args.length >= file.seconds - 0.01
        text = (
            beside.read_text("utf-8")
            if (args.text or whole) and beside.is_file()
            else DEMO_TEXT
            if args.audio == DEMO and whole
            else ""
        )
        phones, ends = phones_of(samples, text, str(args.audio))
        request = AnimateFromAudioRequest(str(args.audio), args.fps, 1, start=args.start, length=args.length)
        frames = animate_from_audio(request, lambda *_: None).frames
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    labels = labels_of(phones, ends, np.maximum(lip_gap(frames), 0), args.fps, args.tiles)
    folder = args.out.resolve() / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    audio = args.audio.resolve()
    with installed_extension():
        paths = render_frames(audio, labels, folder, args)
    name = f"{audio.stem}.png"
    compose(paths, labels, args.columns, args.size).save(args.out / name)
    lines = [f"{label.phone:4s} {label.seconds:6.2f} s {label.gap:5.1f} mm" for label in labels]
    (args.out / f"{audio.stem}.txt").write_text("\n".join(lines) + "\n")
    print(args.out / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
