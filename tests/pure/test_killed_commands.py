"""Commands of the shell, killed at random moments: the result is whole or not there, the source stays.

One kill of each here; `make test-kills` does more (D3DMM_KILLS).
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml_backend.datasets.painted_clips import paint_clip
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import Animation, write_curves
from ml_backend.files.displacement_file import write_displacement
from ml_backend.files.face_file import FaceParameters, write_face
from ml_backend.models.bilinear_face import BilinearFace

ROOT = Path(__file__).resolve().parents[2]
KILLS = max(1, int(os.environ.get("D3DMM_KILLS", "7")) // 20)
pytestmark = [pytest.mark.slow, pytest.mark.photo]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """A photo, a short film of a painted actor, a second of a voice-like sound, six frames of curves, a map,
    a face file.
    """
    import skimage.data
    import soundfile
    from PIL import Image

    folder = tmp_path_factory.mktemp("killed")
    found = {
        Path(name).stem: folder / name
        for name in ("photo.png", "film.mp4", "sound.wav", "curves.csv", "map.npy", "face.json")
    }
    Image.fromarray(skimage.data.astronaut()).save(found["photo"])
    model = BilinearFace.default()
    paint_clip(found["film"], model, 610_000, 0, 8)
    seconds = np.arange(16000) / 16000
    loudness = 0.3 * np.maximum(0, np.sin(2 * np.pi * 3 * seconds))
    soundfile.write(found["sound"], loudness * np.sin(2 * np.pi * 240 * seconds), 16000)
    frames = np.linspace(0, 1, 6 * 52, dtype=np.float32).reshape(6, 52)
    write_curves(found["curves"], Animation(30.0, EXPRESSION_NAMES, frames, np.zeros((6, 9), np.float32)))
    write_displacement(found["map"], np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32))
    face = FaceParameters(np.zeros(128, np.float32), None, np.zeros(52, np.float32), model.fingerprint())
    write_face(found["face"], face)
    return found


COMMANDS = {
    "encode": ("result.json", "encode {photo}"),
    "transfer": ("result.json", "transfer --from {photo} --to {face} --attributes expression"),
    "transfer of a fit": ("result.json", "transfer --from {photo} --to {face} --attributes skin,light --fit"),
    "fit": ("result.json", "fit {photo}"),
    "track": ("result.json", "track {film}"),
    "animate": ("result.csv", "animate {sound}"),
    "generate": ("result.npy", "generate --identity {face} --expression jawOpen=1"),
    "invert": ("result.safetensors", "invert {map} --steps 10"),
    "render": ("views", "render {face} --yaw -20:20:20 --size 256"),
    "bake": ("maps", "bake {curves} --identity {face} --resolution 256"),
}
"""By the name of the command: its output, which `--out` names, and the words before it."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command_leaves_a_whole_result_or_none(sources, tmp_path, command):
    draw, (name, words) = random.Random(command), COMMANDS[command]
    out, kept = tmp_path / "made" / name, {path: path.read_bytes() for path in sources.values()}
    out.parent.mkdir()
    line = [sys.executable, "-m", "ml_backend", *words.format(**sources).split(), "--out", str(out)]
    began = time.monotonic()
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=600)
    usual, whole, early = time.monotonic() - began, files_of(out.parent), 0
    assert whole
    for _ in range(KILLS):
        shutil.rmtree(out.parent)
        out.parent.mkdir()
        with subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            began = time.monotonic()
            try:
                process.wait(draw.uniform(0.3, 1.0) * usual)
                usual = time.monotonic() - began  # the machine is less busy by now
            except subprocess.TimeoutExpired:
                early += 1
                process.kill()
        left = files_of(out.parent)
        assert left == {name: whole[name] for name in left if name in whole}
        assert all(path.read_bytes() == content for path, content in kept.items())
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=600)  # beside what was left
    assert files_of(out.parent) == whole
    print(f"{command}: {KILLS} kills, {early} before its end, {usual:.1f} s a run")


def files_of(folder: Path) -> dict[str, bytes]:
    """Returns the files below a folder, without those whose names hide them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
