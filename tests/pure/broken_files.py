"""Breaks good files in many ways and gives them to the product's readers, one after another, in this process.

    python tests/pure/broken_files.py READER [--count 1000] [--seed 0]      READER: a name of READERS, or all

A reader may refuse a file with a UserError that names it and says what to do, or read it and give finite
values. Anything else is a fault: it is printed as a line of JSON, the broken file is kept beside, and the
exit status is 1.
"""

import argparse
import contextlib
import functools
import json
import random
import struct
import sys
import tempfile
import wave
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.ctranslate2_file import read_ctranslate2
from ml_backend.files.curve_file import Animation, read_curves, write_curves
from ml_backend.files.displacement_file import read_displacement, write_displacement
from ml_backend.files.face_file import FaceParameters, read_face, write_face
from ml_backend.files.take_file import Take, read_take, write_take
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.files.transcript_file import read_transcript
from ml_backend.files.wavefront import read_obj_vertices
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.earlier_face import carry_face, earlier_face
from ml_backend.models.face_attributes import REGION_PREFIXES, FaceAttributes, transferred
from ml_backend.video.formats import sequence_pattern

EARLIER = Path(__file__).resolve().parents[1] / "blender" / "earlier"
KEPT = Path(__file__).resolve().parents[2] / "build" / "broken"
MODEL = Path(__file__).resolve().parents[2] / "ml_backend" / "assets" / "latent_directions.safetensors"
OTHER_TYPES = (
    b"\x89PNG\r\n\x1a\n" + bytes(40),
    b"RIFF\x24\0\0\0WAVE",
    b"{}",
    b"PK\x03\x04",
    b"%PDF-1.7\n",
    b"[1, 2, 3]\n",
)
NUMBERS = (
    "NaN",
    "1e400",
    "-1e39",
    "9" * 400,
    "null",
    "true",
    '"text"',
    "[]",
    "{}",
    "[[[1]]]",
    "-0",
    "Infinity",
    '"\\ud800"',
    "",
)


def make_animation(path: Path) -> None:
    """A short animation."""
    values = np.linspace(0, 1, 12 * 52, dtype=np.float32).reshape(12, 52)
    write_curves(path, Animation(30.0, EXPRESSION_NAMES, values, np.zeros((12, 9), np.float32)))


def make_map(path: Path) -> None:
    """A small displacement map."""
    write_displacement(path, np.random.default_rng(0).normal(0, 0.3, (32, 32)).astype(np.float32))


def make_face(path: Path) -> None:
    """A face with a few sliders."""
    expression = np.zeros(52, np.float32)
    expression[::9] = 0.5
    write_face(
        path, FaceParameters(np.linspace(-1, 1, 128, dtype=np.float32), np.zeros(16, np.float32), expression)
    )


def make_earlier_face(path: Path) -> None:
    """A face file of the first release, which names no face model, with Blender's sliders beside it."""
    content = {
        "identity": [0.5] * earlier_face().identity_size,
        "skin": [0.1] * 16,
        "expression": {"jawOpen": 0.4},
        "sliders": {"age": 40},
    }
    path.write_text(json.dumps(content, indent=1))


def make_fitted_face(path: Path) -> None:
    """A face file as `fit` writes it: with the model, the photo's light and the head's pose."""
    light, pose = np.linspace(-0.2, 0.8, 27).reshape(9, 3), np.array([10.0, -5.0, 2.0])
    face = FaceParameters(
        np.linspace(-1, 1, 128, dtype=np.float32), np.zeros(16, np.float32),
        np.full(52, 0.1, np.float32), present_face().fingerprint(), light, pose,
    )  # fmt: skip
    write_face(path, face)


def make_earlier_character(path: Path) -> None:
    """A character that Blender saved with the face model of the first release."""
    path.write_bytes((EARLIER / "preset_character.json").read_bytes())


def make_expression(path: Path) -> None:
    """An expression alone, as Blender's presets of expressions are."""
    path.write_bytes((EARLIER / "preset_expression.json").read_bytes())


def make_latent(path: Path) -> None:
    """A latent that `invert` found."""
    from ml_backend.models.saved_latent import SavedLatent  # Blender has no PyTorch

    draw = np.random.default_rng(0)
    SavedLatent(
        draw.normal(size=(4, 8)), np.zeros(128), np.zeros(16), np.zeros(52), 31.5, "the weights"
    ).write(path)


def make_settings(path: Path) -> None:
    """A training configuration."""
    rows = ["# Minutes: 3.", "[stage]", "steps = 40", "rates = [0.1, 0.01]", 'kind = "small"']
    path.write_text("\n".join(rows) + "\n")


def make_mesh(path: Path) -> None:
    """A mesh of four vertices."""
    rows = [f"v {0.1 * index} {0.2 - index} 0.3" for index in range(4)]
    path.write_text("\n".join(["# mesh", *rows, "f 1 2 3 4"]) + "\n")


def make_ctranslate2(path: Path) -> None:
    """A model of CTranslate2 with two variables."""

    def text(word: str) -> bytes:
        return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, 2)]
    for name, array in (("encoder/a", np.ones((3, 4), np.float32)), ("encoder/b", np.arange(5, dtype="<i2"))):
        parts += [text(name), struct.pack("<B", array.ndim), struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", 0 if array.dtype == np.float32 else 2, array.nbytes), array.tobytes()]
    path.write_bytes(b"".join([*parts, struct.pack("<I", 0)]))


def make_take(path: Path) -> None:
    """A take of five frames."""
    count = 5
    turns = np.zeros((count, 9), np.float32)
    curves = np.linspace(0, 1, count * 52, dtype=np.float32).reshape(count, 52)
    camera = {"focal": 900.0, "column": 320.0, "row": 240.0, "width": 640.0, "height": 480.0}
    take = Take(
        np.arange(count) / 30, curves, turns, np.ones((count, 52), np.float32),
        np.tile(np.eye(3), (count, 1, 1)), np.ones((count, 3)), ("seen",) * count, ("tongueOut",), camera,
        np.zeros(8, np.float32), "model", (0,), (), "a.mp4",
    )  # fmt: skip
    write_take(path, take, take.animation(), {"lips": 0.0})


def make_facecap(path: Path) -> None:
    """A recording of FaceCap."""
    rows = [f"k,{16 * index},0,0,0,1,2,3,1,2,1,2,0.1,0.2" for index in range(9)]
    path.write_text("\n".join(["info,FaceCap", "bs,jawOpen,mouthSmile_L", *rows]) + "\n")


def make_vmc(path: Path) -> None:
    """VMC messages as `oscdump` prints them."""
    rows = []
    for index in range(9):
        stamp = f"e8a1b2c3.{index * 2**27:08x}"
        rows.append(f'{stamp} /VMC/Ext/Blend/Val sf "JawOpen" 0.{index}00000')
        rows.append(f'{stamp} /VMC/Ext/Bone/Pos sfffffff "Head" 0.0 1.4 0.0 0.1 0.0 0.0 0.99')
        rows.append(f"{stamp} /VMC/Ext/Blend/Apply ")
    path.write_text("\n".join(rows) + "\n")


def make_mediapipe(path: Path) -> None:
    """Results of MediaPipe's face landmarker."""
    rows = [
        {
            "timestamp_ms": 40 * index,
            "face_blendshapes": [[{"index": 1, "score": 0.1 * index, "category_name": "jawOpen"}]],
            "facial_transformation_matrixes": [np.eye(4).tolist()],
        }
        for index in range(6)
    ]
    path.write_text(json.dumps({"frames": rows}))


def make_metahuman(path: Path) -> None:
    """A table of MetaHuman's controls."""
    rows = [f"{index / 24:.4f},0.{index},0.2" for index in range(9)]
    path.write_text("\n".join(["Time,CTRL_expressions_jawOpen,CTRL_expressions_mouthFunnelUL", *rows]))


def make_subtitles(path: Path) -> None:
    """Two cues."""
    path.write_text("1\n00:00:00,200 --> 00:00:01,900\nHello!\n\n2\n00:00:02,000 --> 00:00:04,500\nNow.\n")


def make_webvtt(path: Path) -> None:
    """One cue, with a style and a speaker."""
    path.write_text("WEBVTT\n\nNOTE by hand\n\n1\n00:00.200 --> 00:01.900 align:start\n<v Ada>Hello!\n")


def make_transcript(path: Path) -> None:
    """Words alone."""
    path.write_text("Hello, 12 worlds!\nIt is now 3 o'clock.\n")


def make_textgrid(path: Path) -> None:
    """One tier of two words."""
    rows = ['"IntervalTier"', '"words"', "0", "2", "2", "0", "1", '"hello"', "1", "2", '"now"']
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "2", "<exists>", "1"]
    path.write_text("\n".join([*head, *rows]) + "\n")


CODECS = {
    ".mp4": "mpeg4",
    ".mov": "libx264",
    ".mkv": "ffv1",
    ".avi": "mjpeg",
    ".webm": "libvpx",
    ".gif": "gif",
}


def make_video(path: Path) -> None:
    """Six frames of 64 x 48 pixels, in the codec of the file's ending."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=30)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {".avi": "yuvj420p", ".gif": "rgb8"}.get(path.suffix, "yuv420p")
        for index in range(6):
            pixels = np.full((48, 64, 3), 30 * index, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def make_photo(path: Path) -> None:
    """A picture of 64 x 48 pixels with EXIF's focal length."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112], exif[0xA405] = 6, 50
    picture.save(path, exif=exif)


def make_tensors(path: Path) -> None:
    """A weight file."""
    arrays = {
        "a.weight": np.ones((8, 8), np.float16),
        "b": np.arange(20, dtype=np.int32),
        "c": np.zeros((3, 0, 2), np.float32),
    }
    write_tensors(path, arrays, {"config": json.dumps({"size": 8})})


def make_sound(path: Path) -> None:
    """A fifth of a second of a tone."""
    samples = (0.4 * np.sin(np.arange(8820) / 8)).astype(np.float32)
    if path.suffix == ".wav":
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(44100)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        return
    if path.suffix == ".m4a":
        import av

        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = 44100
            for packet in [*stream.encode(frame), *stream.encode()]:
                container.mux(packet)
        return
    import soundfile

    rate = 48000 if path.suffix == ".opus" else 44100
    soundfile.write(path, samples, rate, format="OGG" if path.suffix == ".opus" else None)


def make_model(path: Path) -> None:
    """The smallest of the shipped models."""
    path.write_bytes(MODEL.read_bytes())


def read_sound(path: Path) -> np.ndarray:
    """Reads with the product's reader, which is imported late because it needs compiled libraries."""
    from ml_backend.audio.read_audio import read_audio

    return read_audio(path)


def read_directions(path: Path) -> list[np.ndarray]:
    """Reads a model."""
    from ml_backend.models.latent_directions import LatentDirections

    loaded = LatentDirections.load(read_tensors(MODEL)[1]["weights"], path)
    return [value for value in vars(loaded).values() if isinstance(value, np.ndarray)]


def take_values(path: Path) -> list[np.ndarray]:
    """Reads a take."""
    found = read_take(path)
    return [value for value in vars(found).values() if isinstance(value, np.ndarray)]


def transcript_values(path: Path) -> list[np.ndarray]:
    """Reads a transcript; its words are no numbers."""
    assert read_transcript(path)
    return []


def video_values(path: Path) -> list[np.ndarray]:
    """Reads every frame of a video."""
    from ml_backend.video.video_file import open_video

    frames = list(open_video(path).frames())
    return [frame.pixels for frame in frames] + [np.array([frame.seconds for frame in frames])]


def sequence_values(path: Path) -> list[np.ndarray]:
    """Reads a sequence of pictures that holds this one."""
    return video_values(sequence_pattern(path))


def photo_values(path: Path) -> list[np.ndarray]:
    """Reads a photo."""
    from ml_backend.fitting.photo_file import read_photo

    return [read_photo(path).pixels]


def curve_values(path: Path) -> list[np.ndarray]:
    """Reads curves."""
    found = read_curves(path)
    return [found.frames, found.head, np.array([found.fps])]


@functools.cache
def present_face() -> BilinearFace:
    """Returns the face model."""
    return BilinearFace.default()


def face_values(path: Path) -> list[np.ndarray]:
    """Reads a face and carries it over to the present face model, as every reader of face files does."""
    found, _ = carry_face(read_face(path), present_face(), str(path))
    return [value for value in vars(found).values() if isinstance(value, np.ndarray)]


def transferred_values(path: Path) -> list[np.ndarray]:
    """Gives a face all that a face file knows, as a transfer does."""
    from ml_backend.pipelines.transfer_attributes import attributes_of_file

    own = FaceAttributes(
        np.zeros(present_face().identity_size), np.zeros(52), np.zeros(16), np.ones((9, 3)), np.zeros(3)
    )
    source, _ = attributes_of_file(path)
    changed = transferred(own, source, dict.fromkeys(source.known, 0.5), tuple(REGION_PREFIXES))
    return [value for value in vars(changed).values() if isinstance(value, np.ndarray)]


def latent_values(path: Path) -> list[np.ndarray]:
    """Reads a latent."""
    from ml_backend.models.saved_latent import read_latent

    found = read_latent(path, "the weights")
    return [found.latent, found.identity, found.skin, found.expression, np.array([found.psnr_db])]


def settings_values(path: Path) -> list[np.ndarray]:
    """Reads a training configuration; its numbers are judged where they are used."""
    from ml_backend.training.training_run import read_configuration

    assert isinstance(read_configuration(str(path), "model"), dict)
    return []


def ctranslate2_values(path: Path) -> list[np.ndarray]:
    """Reads all variables; their numbers are judged by the network that takes them."""
    assert read_ctranslate2(path, "WhisperSpec", lambda _: True, "Give another file.") is not None
    return []


READERS: dict[str, tuple[str, Callable[[Path], None], Callable]] = {
    "wav": (".wav", make_sound, read_sound),
    "flac": (".flac", make_sound, read_sound),
    "ogg": (".ogg", make_sound, read_sound),
    "mp3": (".mp3", make_sound, read_sound),
    "opus": (".opus", make_sound, read_sound),
    "aiff": (".aiff", make_sound, read_sound),
    "m4a": (".m4a", make_sound, read_sound),
    "map-exr": (".exr", make_map, read_displacement),
    "map-png": (".png", make_map, read_displacement),
    "map-npy": (".npy", make_map, read_displacement),
    "curves-csv": (".csv", make_animation, curve_values),
    "curves-json": (".json", make_animation, curve_values),
    "face-json": (".json", make_face, face_values),
    "first-face-json": (".json", make_earlier_face, face_values),
    "fitted-face-json": (".json", make_fitted_face, face_values),
    "earlier-character": (".json", make_earlier_character, face_values),
    "expression-json": (".json", make_expression, face_values),
    "transfer-source": (".json", make_fitted_face, transferred_values),
    "transfer-first-face": (".json", make_earlier_face, transferred_values),
    "latent": (".safetensors", make_latent, latent_values),
    "take": (".json", make_take, take_values),
    "take-curves": (".json", make_take, curve_values),
    "facecap": (".txt", make_facecap, curve_values),
    "vmc": (".txt", make_vmc, curve_values),
    "mediapipe": (".json", make_mediapipe, curve_values),
    "metahuman": (".csv", make_metahuman, curve_values),
    "subtitles": (".srt", make_subtitles, transcript_values),
    "webvtt": (".vtt", make_webvtt, transcript_values),
    "transcript": (".txt", make_transcript, transcript_values),
    "textgrid": (".TextGrid", make_textgrid, transcript_values),
    "video": (".mp4", make_video, video_values),
    "video-mov": (".mov", make_video, video_values),
    "video-mkv": (".mkv", make_video, video_values),
    "video-avi": (".avi", make_video, video_values),
    "video-webm": (".webm", make_video, video_values),
    "video-gif": (".gif", make_video, video_values),
    "picture-sequence": ("_0001.png", make_photo, sequence_values),
    "photo-jpeg": (".jpg", make_photo, photo_values),
    "photo-png": (".png", make_photo, photo_values),
    "photo-tiff": (".tiff", make_photo, photo_values),
    "photo-webp": (".webp", make_photo, photo_values),
    "photo-bmp": (".bmp", make_photo, photo_values),
    "mesh-obj": (".obj", make_mesh, lambda path: [read_obj_vertices(path, 4)]),
    "settings": (".toml", make_settings, settings_values),
    "ctranslate2": (".bin", make_ctranslate2, ctranslate2_values),
    "weights": (".safetensors", make_tensors, lambda path: list(read_tensors(path)[0].values())),
    "model": (".safetensors", make_model, read_directions),
}


def broken_bytes(good: bytes, draw: random.Random) -> tuple[str, bytes]:
    """One way of breaking a file, and its result."""
    data, size = bytearray(good), len(good)
    ways = [
        "truncated",
        "bits",
        "bytes",
        "zeros",
        "header number",
        "noise",
        "inserted",
        "removed",
        "another type",
        "empty",
        "doubled",
    ]
    if is_text(good):
        ways += ["number", "number", "number", "number", "line", "deep", "letters", "long field"]
    way = draw.choice(ways)
    at = draw.randrange(size)
    if way == "truncated":
        del data[at:]
    elif way == "bits":
        for _ in range(draw.choice((1, 2, 8, 64))):
            place = draw.randrange(min(size, draw.choice((64, 512, size))))
            data[place] ^= 1 << draw.randrange(8)
    elif way == "bytes":
        data[at : at + draw.randrange(1, 16)] = draw.randbytes(8)
    elif way == "zeros":
        data[at : at + draw.randrange(4, 400)] = bytes(16)
    elif way == "header number":
        place = 4 * draw.randrange(max(1, min(size, 256) // 4))
        data[place : place + 4] = draw.choice(
            (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", bytes(4))
        )
    elif way == "noise":
        data[:] = draw.randbytes(draw.choice((1, 7, 100, 5000)))
    elif way == "inserted":
        data[at:at] = draw.randbytes(draw.choice((1, 4, 1000)))
    elif way == "removed":
        del data[at : at + draw.choice((1, 4, 100))]
    elif way == "another type":
        data[:] = draw.choice(
            (
                b"\x89PNG\r\n\x1a\n" + bytes(40),
                b"RIFF\x24\x00\x00\x00WAVE",
                b"{}",
                b"PK\x03\x04",
                b"%PDF-1.7\n",
                b"[1, 2, 3]\n",
            )
        )
    elif way == "empty":
        data[:] = draw.choice((b"", b"\n", b" " * 300, bytes(300)))
    elif way == "doubled":
        data *= 2
    else:
        data[:] = broken_text(good.decode(), way, draw).encode("utf-8", "surrogatepass")
    if good.startswith(b"\x89PNG") and draw.random() < 0.5:
        data = with_right_sums(data)
    return way, bytes(data)


def is_text(data: bytes) -> bool:
    """Returns true for a text file."""
    try:
        return "\0" not in data.decode() and bool(data)
    except UnicodeDecodeError:
        return False


def broken_text(text: str, way: str, draw: random.Random) -> str:
    """A text with one value, line or shape replaced."""
    import re

    numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
    if way == "number":
        found = draw.choice(numbers)
        return text[: found.start()] + draw.choice(NUMBERS) + text[found.end() :]
    if way == "line":
        lines = text.splitlines()
        lines[draw.randrange(len(lines))] = draw.choice(
            ("", ",,,,", '"', "}", "\x00", "Timecode,BlendShapeCount", "\ufeff")
        )
        return "\n".join(lines)
    if way == "deep":
        return draw.choice(("[" * 100_000, '{"a":' * 100_000, '{"fps": ' + "[" * 5000 + "]" * 5000 + "}"))
    if way == "long field":
        found = draw.choice(numbers)
        return text[: found.start()] + "1" * 200_000 + text[found.end() :]
    at = draw.randrange(len(text))
    return text[:at] + draw.choice(('"', "{", "]", ",", ":", "\\", "é", "\x00", "'")) + text[at + 1 :]


def with_right_sums(data: bytearray) -> bytearray:
    """A PNG whose chunks' check sums are right again, so that what is broken is met deeper inside."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return data


def fault_of(path: Path, read: Callable) -> str:
    """Returns the fault of a reader with a file, or an empty string."""
    try:
        values = read(path)
    except UserError as error:
        if path.name not in error.message:
            return f"the message does not name the file: {error.message}"
        return "" if error.remedy else f"no remedy: {error.message}"
    except Exception as error:  # every other kind of failure is what is looked for
        return f"{type(error).__name__}: {error}"[:300]
    arrays = values if isinstance(values, list) else [values]
    return (
        ""
        if all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")
        else "read values that are not finite"
    )


def run(name: str, count: int, seed: int) -> int:
    """Breaks and reads; the number of faults."""
    suffix, make, read = READERS[name]
    faults = 0
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        good, path = Path(folder, "good" + suffix), Path(folder, "café 脸" + suffix)
        make(good)
        content = good.read_bytes()
        if fault := fault_of(good, read):
            raise SystemExit(f"{name}: the good file is not read: {fault}")
        read(good)
        KEPT.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            way, data = broken_bytes(content, random.Random(f"{name} {seed} {number}"))
            path.write_bytes(data)
            kept = KEPT / f"{name}-{seed}-{number}{suffix}"
            kept.write_bytes(data)  # there already should the reader take this process down
            fault = fault_of(path, read)
            if fault:
                faults += 1
                print(
                    json.dumps(
                        {"reader": name, "number": number, "way": way, "fault": fault, "file": str(kept)}
                    ),
                    flush=True,
                )
            else:
                kept.unlink()
    print(f"{name}: {count} broken files, {faults} faults", flush=True)
    return faults


def main() -> int:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with contextlib.redirect_stderr(sys.stdout):
        faults = sum(
            run(name, args.count, args.seed) for name in (READERS if args.reader == "all" else [args.reader])
        )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
