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

from broken_files import EARLIER, broken_bytes, make_fitted_face

COUNT = int(os.environ.get("D3DMM_BROKEN_INPUTS", "60"))


def saved_today(face, path, _module):
    face.data.shape_keys.key_blocks["jawOpen"].value = 0.4
    assert bpy.ops.d3dmm.save_face(filepath=str(path)) == {"FINISHED"}


def saved_first(_face, path, _module):
    shutil.copyfile(EARLIER / "ada.json", path)


def first_character(_face, path, _module):
    shutil.copyfile(EARLIER / "preset_character.json", path)


def first_expression(_face, path, _module):
    shutil.copyfile(EARLIER / "preset_expression.json", path)


def fitted_by_the_shell(_face, path, _module):
    make_fitted_face(path)


def map_imported(face, path, module):
    latent = np.random.default_rng(0).normal(size=(18, 512)).astype(np.float32)
    module("detailed3dmm_addon.detail.live").set_latent(face, latent, "sculpt.exr")
    saved_today(face, path, module)


VERSIONS = (saved_today, saved_first, first_character, first_expression, fitted_by_the_shell, map_imported)


@pytest.mark.parametrize("saved", VERSIONS)
def test_a_broken_face_file_is_refused_by_name_or_read_as_sound_sliders(face, module, tmp_path, saved):
    transfer = module("detailed3dmm_addon.characters.transfer")
    files, error = module("detailed3dmm_addon.characters.face_file"), module("ml_backend.errors").UserError
    good, path = tmp_path / "good.json", tmp_path / "café 脸.json"
    saved(face, good, module)
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
            source = transfer.source_of_file(path)
            known = [name for name in source.attributes.known if name != "light"]
            if known:
                transfer.transfer(bpy.context, face, source, dict.fromkeys(known, 0.5), ("mouth", "brows"))
            positions = np.empty(3 * len(face.data.vertices), np.float32)
            face.data.vertices.foreach_get("co", positions)
            assert np.isfinite(positions).all(), f"{number} {way}"
    print(f"{saved.__name__}: {COUNT} broken files, {read} of them still read")
