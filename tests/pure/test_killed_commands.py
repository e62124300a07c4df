"""Commands of the shell, killed at random moments: the result is whole or not there, the source stays.

One kill of each here; `make test-kills` does more (D3DMM_KILLS).
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml_backend.datasets.painted_clips import paint_clip
from ml_backend.files.face_file import FaceParameters, write_face
from ml_backend.models.bilinear_face import BilinearFace

ROOT = Path(__file__).resolve().parents[2]
KILLS = max(1, int(os.environ.get("D3DMM_KILLS", "7")) // 20)
pytestmark = [pytest.mark.slow, pytest.mark.photo]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """A photo, a short film of a painted actor, a face file."""
    import skimage.data
    from PIL import Image

    folder = tmp_path_factory.mktemp("killed")
    found = {name: folder / name for name in ("photo.png", "film.mp4", "face.json")}
    Image.fromarray(skimage.data.astronaut()).save(found["photo.png"])
    model = BilinearFace.default()
    paint_clip(found["film.mp4"], model, 610_000, 0, 8)
    face = FaceParameters(np.zeros(128, np.float32), None, np.zeros(52, np.float32), model.fingerprint())
    write_face(found["face.json"], face)
    return found


@pytest.mark.parametrize("command", ["encode", "transfer", "fit", "track"])
def test_a_killed_command_leaves_a_whole_result_or_none(sources, tmp_path, command):
    draw, out, face = random.Random(command), tmp_path / "result.json", sources["face.json"]
    photo, film, kept = str(sources["photo.png"]), str(sources["film.mp4"]), face.read_bytes()
    words = {
        "encode": [photo],
        "transfer": ["--from", photo, "--to", str(face), "--attributes", "expression"],
        "fit": [photo],
        "track": [film],
    }[command]
    line = [sys.executable, "-m", "ml_backend", command, *words, "--out", str(out)]
    began = time.monotonic()
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=600)
    usual, whole = time.monotonic() - began, json.loads(out.read_text("utf-8"))
    for _ in range(KILLS):
        out.unlink(missing_ok=True)
        with subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(draw.uniform(0.3, 1.1) * usual)
            process.kill()
        assert not out.exists() or json.loads(out.read_text("utf-8")) == whole
        assert face.read_bytes() == kept
    out.unlink(missing_ok=True)
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=600)
    assert json.loads(out.read_text("utf-8")) == whole
