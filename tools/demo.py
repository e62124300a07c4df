"""The demo, without a window: a face, its sliders, a recording, baked detail and pictures.

    python -m tools.demo --audio recording.wav --out build/demo

Writes face.blend, still.png (with detail), still_smooth.png (the same, detail off), sheet.png (frames of the
clip) and report.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .cycles_render import render_fine
from .extension_session import installed_extension

ROOT = Path(__file__).resolve().parent.parent
IDENTITY_SEED, SKIN_TONE, AGE_CHANGE, AGE_OFFSET = 1, 0.3, 0.5, 1.6
CLOSER = 1.15
"""Times the lens of the studio: the head fills the picture, crown and chin inside."""
STILL_EXPRESSION = {
    "browInnerUp": 0.95, "browOuterUpLeft": 1.0, "browOuterUpRight": 0.9, "mouthSmileLeft": 0.8,
    "mouthSmileRight": 0.72,
    "cheekSquintLeft": 0.75, "cheekSquintRight": 0.7, "eyeSquintLeft": 0.4, "eyeSquintRight": 0.35,
    "mouthDimpleLeft": 0.2,
    "mouthDimpleRight": 0.2,
}  # fmt: skip
STILL_SIZE, SHEET_SIZE = 640, 240
SHEET_COLUMNS, SHEET_ROWS = 6, 2


class Stages:
    """Seconds by stage, printed as they pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 2)
        print(f"{name}: {self.seconds[name]:.1f} s", flush=True)


def sheet_of(paths: list[Path], labels: list[str], out: Path) -> None:
    """Puts small pictures side by side, row by row, each with its label."""
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (SHEET_SIZE * SHEET_COLUMNS, SHEET_SIZE * SHEET_ROWS))
    draw = ImageDraw.Draw(sheet)
    for index, (path, label) in enumerate(zip(paths, labels, strict=True)):
        corner = (index % SHEET_COLUMNS * SHEET_SIZE, index // SHEET_COLUMNS * SHEET_SIZE)
        with Image.open(path) as picture:
            sheet.paste(picture.convert("RGB"), corner)
        draw.text((corner[0] + 8, corner[1] + 6), label, fill=(40, 40, 40))
    sheet.save(out)


def make_face(seed: int):
    """Creates the demo's person with the operators: an older adult, whose skin wrinkles, seen from near."""
    import bpy

    bpy.ops.d3dmm.create_face(identity_seed=seed, skin_tone=SKIN_TONE, update_detail=False)
    face = bpy.context.view_layer.objects.active
    face.d3dmm.directions["age"].value = AGE_CHANGE
    face.d3dmm.age_offset = AGE_OFFSET
    bpy.ops.d3dmm.random_hair(seed=seed)
    bpy.ops.d3dmm.build_studio()  # its camera leaves room for the hair
    bpy.context.view_layer.objects.active = face
    bpy.context.scene.camera.data.lens *= CLOSER
    return face


def show_expression(face, values: dict[str, float]) -> None:
    """Sets the sliders and brings the detail up to date."""
    import bpy

    for name, value in values.items():
        face.data.shape_keys.key_blocks[name].value = value
    bpy.ops.d3dmm.update_detail()


def shown_map(face):
    """Returns the displacement of the face's vertices, (N,) float32, millimetres."""
    import numpy as np

    values = np.empty(len(face.data.vertices), np.float32)
    face.data.attributes["d3dmm_live"].data.foreach_get("value", values)
    return values


def evaluated_vertices(face) -> int:
    """Returns the number of vertices with the modifiers applied."""
    import bpy

    evaluated = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    count = len(mesh.vertices)
    evaluated.to_mesh_clear()
    return count


def speaking_frames(start: int, end: int, face, count: int) -> list[int]:
    """Returns frames spread over the clip, each moved to the nearest extreme of the lips."""
    import bpy
    import numpy as np

    scene = bpy.context.scene
    assert scene is not None
    keys = face.data.shape_keys.key_blocks
    opening = []
    for frame in range(start, end + 1):
        scene.frame_set(frame)
        opening.append(keys["jawOpen"].value - keys["mouthClose"].value)
    opening = np.array(opening)
    chosen = []
    for index, centre in enumerate(np.linspace(0, len(opening) - 1, count + 2)[1:-1]):
        reach = max(2, len(opening) // (3 * count))
        low, high = max(0, int(centre) - reach), min(len(opening), int(centre) + reach + 1)
        window = opening[low:high]
        chosen.append(start + low + int(window.argmax() if index % 2 else window.argmin()))
    return chosen


def demonstrate(audio: Path, out: Path, still_samples: int, sheet_samples: int) -> dict:
    """Does the main job and writes everything to a folder.

    Args:
        audio: a recording.
        out: the folder; made if it is missing.
        still_samples: Cycles samples of the two stills.
        sheet_samples: Cycles samples of the sheet's frames.

    Returns:
        The report.
    """
    import bpy

    stages = Stages()
    began = time.perf_counter()
    with stages.stage("create face"):
        face = make_face(IDENTITY_SEED)
    with stages.stage("sliders and detail"):
        show_expression(face, STILL_EXPRESSION)
        displacement = shown_map(face)
    with stages.stage("still"):
        render_fine(out / "still.png", STILL_SIZE, still_samples)
    with stages.stage("still without detail"):
        face.d3dmm.show_detail = False
        render_fine(out / "still_smooth.png", STILL_SIZE, still_samples)
        face.d3dmm.show_detail = True
    bpy.ops.d3dmm.reset_expression()
    with stages.stage("speech and baked detail"):
        bpy.ops.d3dmm.import_audio(filepath=str(audio), seed=1)
    scene = bpy.context.scene
    assert scene is not None
    start, end = (round(value) for value in face.data.shape_keys.animation_data.action.frame_range)
    frames = speaking_frames(start, end, face, SHEET_COLUMNS * SHEET_ROWS)
    with stages.stage("sheet"):
        pictures = [out / f"frame_{frame:04d}.png" for frame in frames]
        for frame, picture in zip(frames, pictures, strict=True):
            scene.frame_set(frame)
            render_fine(picture, SHEET_SIZE, sheet_samples)
        rate = scene.render.fps / scene.render.fps_base
        sheet_of(pictures, [f"{(frame - start) / rate:.2f} s" for frame in frames], out / "sheet.png")
        for picture in pictures:
            picture.unlink()
    vertices = evaluated_vertices(face)
    with stages.stage("save"):
        scene.frame_set(start)
        bpy.ops.wm.save_as_mainfile(filepath=str(out / "face.blend"), compress=True)
    import soundfile

    return {
        "stages": stages.seconds,
        "seconds": round(time.perf_counter() - began, 1),
        "audio": audio.name,
        "audio_seconds": round(soundfile.info(str(audio)).duration, 3),
        "frames": end - start + 1,
        "fps": rate,
        "vertices": vertices,
        "map_mm_min": round(float(displacement.min()), 4),
        "map_mm_max": round(float(displacement.max()), 4),
        "blend_mb": round((out / "face.blend").stat().st_size / 2**20, 1),
        "blender": bpy.app.version_string,
    }


def main() -> int:
    """Parses the arguments, checks the recording, runs the demo."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--audio",
        type=Path,
        default=ROOT / "ml_backend/assets/demo_speech.wav",
        help="a recording: wav, flac, mp3 or ogg",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build/demo", help="where the results go (default: build/demo)"
    )
    parser.add_argument(
        "--still-samples", type=int, default=20, help="Cycles samples of the stills (default: 20)"
    )
    parser.add_argument(
        "--sheet-samples", type=int, default=8, help="Cycles samples of the sheet's frames (default: 8)"
    )
    args = parser.parse_args()
    if not args.audio.is_file():
        print(
            f"error: {args.audio}: there is no such recording. Give one with `make demo AUDIO=file.wav`.",
            file=sys.stderr,
        )
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    audio = args.audio.resolve()
    with installed_extension():
        try:
            report = demonstrate(audio, out, args.still_samples, args.sheet_samples)
        except RuntimeError as error:  # what an operator reported: already a message for people
            print(f"error: {error}", file=sys.stderr)
            return 1
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
