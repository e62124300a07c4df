"""Portraits by Cycles with the codes that they show."""

from pathlib import Path

import bpy
import numpy as np
import pytest

EXTENSION = "bl_ext.user_default.detailed3dmm"
ROOT = Path(__file__).resolve().parents[2]


def test_a_rendered_portrait_shows_its_codes(module, tmp_path, monkeypatch):
    """The picture's mask is where the codes' camera sees the head; strands reach beyond it."""
    pytest.importorskip("torch")  # a Blender of its own Python has none
    monkeypatch.syspath_prepend(str(ROOT))
    from ml_backend.models.bilinear_face import BilinearFace
    from ml_backend.models.face_renderer import HeadFields, Nuisance, camera_of, see_surface
    from tools.rendered_portraits import Studio, draw_view

    size, model = 64, BilinearFace.default()
    view = draw_view(2, 0, model)
    assert view.surround.min() > 0 and np.isfinite(view.codes.illumination).all()
    studio = Studio(EXTENSION, 1, 1)
    face = studio.show(view.codes, 2, size)
    identity = module("detailed3dmm_addon.model.face_model").identity_of(face)
    np.testing.assert_allclose(identity, view.codes.shape, atol=1e-5)
    assert set(module("detailed3dmm_addon.hair.groom").hair_objects(face)) >= {"brows", "lashes", "scalp"}
    studio.render(view, tmp_path / "seen.png")
    image = bpy.data.images.load(str(tmp_path / "seen.png"))
    pixels = np.empty((size, size, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    pixels = pixels[::-1]
    cover = pixels[..., 3] > 0.5
    camera = camera_of(view.codes, view.focal, 256, 256).resized(size, size)
    mask = see_surface(HeadFields.default(), view.codes, camera, Nuisance()).mask
    assert (cover & mask).sum() > 0.93 * mask.sum()
    assert cover.mean() < 0.7 and cover.sum() > mask.sum()
    other = draw_view(2, 1, model)
    assert np.array_equal(other.codes.hair, view.codes.hair)
    assert not np.array_equal(other.codes.illumination, view.codes.illumination)
