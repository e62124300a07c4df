"""Face files of every version, broken: refused by name with a remedy, or read into sliders that are sound.

60 of each here; `make test-broken-inputs` breaks a thousand (D3DMM_BROKEN_INPUTS).
"""

import os
import random
import shutil
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pure"))

from broken_files import EARLIER, broken_bytes

COUNT = int(os.environ.get("D3DMM_BROKEN_INPUTS", "60"))


def saved_today(face, path):
    face.data.shape_keys.key_blocks["jawOpen"].value = 0.4
    assert bpy.ops.d3dmm.save_face(filepath=str(path)) == {"FINISHED"}


def saved_first(_face, path):
    shutil.copyfile(EARLIER / "ada.json", path)


def first_character(_face, path):
    shutil.copyfile(EARLIER / "preset_character.json", path)


@pytest.mark.parametrize("saved", [saved_today, saved_first, first_character])
def test_a_broken_face_file_is_refused_by_name_or_read_as_sound_sliders(face, module, tmp_path, saved):
    files, error = module("detailed3dmm_addon.characters.face_file"), module("ml_backend.errors").UserError
    good, path = tmp_path / "good.json", tmp_path / "café 脸.json"
    saved(face, good)
    files.read_preset(good)
    content, read = good.read_bytes(), 0
    for number in range(COUNT):
        way, data = broken_bytes(content, random.Random(f"{saved.__name__} {number}"))
        path.write_bytes(data)
        try:
            preset = files.read_preset(path)
        except error as refused:
            assert path.name in refused.message and refused.remedy, f"{number} {way}: {refused.message}"
            continue
        read += 1
        for group in (preset.directions, preset.numbers, preset.regions):
            assert np.isfinite(list(group.values()) or [0.0]).all(), f"{number} {way}"
        if read % 20 == 1:
            files.apply_preset(face, preset)
            positions = np.empty(3 * len(face.data.vertices), np.float32)
            face.data.vertices.foreach_get("co", positions)
            assert np.isfinite(positions).all(), f"{number} {way}"
    print(f"{saved.__name__}: {COUNT} broken files, {read} of them still read")
