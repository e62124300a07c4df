"""The guess of hair from a picture: pigments, bald and cropped heads, hair that hangs, beards."""

from functools import cache

import numpy as np
import pytest

from ml_backend.fitting.hair.hair_mask import find_hair_pixels
from ml_backend.fitting.hair.photo_hair import HairPhoto, PhotoHair, guess_hair
from ml_backend.fitting.skin.fit_skin import FittedSkin
from ml_backend.fitting.unwrap_photo import TextureDomain, project_photo
from ml_backend.geometry.displacement import vertex_normals
from ml_backend.hair.pigments import pigments_of
from ml_backend.hair.scalp_styles import SCALP_STYLES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.head_field.framing import view_camera
from ml_backend.simulation.portraits.painted_face import draw_head, prepare_paint

SIZE, SKIN = 512, np.array([0.45, 0.27, 0.19], np.float32)
LIGHT = np.zeros((9, 3), np.float32)
LIGHT[:4] = np.array([[0.9], [-0.2], [0.1], [0.0]])


@cache
def paint():
    return prepare_paint(BilinearFace.default())


def photo_of(hair=None, beard=0.0, hanging=False) -> tuple[HairPhoto, FittedSkin]:
    """A head at rest before a grey wall; `hair` (3,) linear colours scalp and, if asked, two curtains."""
    face, colours = BilinearFace.default(), np.repeat(SKIN[None], len(paint().skin), 0)
    if hair is not None:
        colours += (np.array(hair, np.float32) - colours) * (paint().scalp > 0.3)[:, None]
    colours += (np.array([0.03, 0.02, 0.015]) - colours) * (0.8 * paint().brows)[:, None]
    place = paint().mesh.refine(face.mean)
    chin = face.mean[face.landmarks["chin_tip"]].mean(0)
    near = np.exp(-((np.linalg.norm(place - chin, axis=1) / 0.03) ** 2)) * paint().skin
    colours += (np.array([0.03, 0.02, 0.015]) - colours) * (beard * near)[:, None]
    positions = place.astype(np.float32)
    camera = view_camera(face, 0, 0, SIZE)
    picture = draw_head(paint(), positions, colours.astype(np.float32), LIGHT, camera, 0.35, 0.0, 1.0)
    if hanging:
        from ml_backend.geometry.srgb import to_srgb

        ear = camera.project(face.mean[face.landmarks["ear_left"]])[0][0]
        middle = camera.project(chin[None])[0][0, 0]
        away = abs(ear[0] - middle)
        columns = np.abs(np.arange(SIZE) - middle)
        curtain = (columns > 0.72 * away) & (columns < 1.35 * away)
        rows = (np.arange(SIZE) > ear[1] - 0.4 * away) & (np.arange(SIZE) < SIZE - 30)
        picture = picture.copy()
        picture[np.ix_(rows, curtain)] = np.round(255 * to_srgb(np.array(hair)))
    domain = TextureDomain.default()
    texture, confidence = project_photo(
        domain, picture, camera, positions, vertex_normals(positions, domain.mesh.polygons)
    )
    flat = np.broadcast_to(SKIN, texture.shape)
    seen = np.where(confidence[..., None] > 0, texture, flat)
    skin = FittedSkin(flat, seen, seen, None, np.zeros(300), {}, LIGHT, 40.0, 30.0, 50.0, 1.0, "")
    return HairPhoto(picture, camera, positions, texture, confidence), skin


def guess(gender=1.0, **how) -> PhotoHair:
    face = BilinearFace.default()
    identity = np.zeros(face.identity_size, np.float32)
    row = face.attributes[1, 1:]
    identity += row * ((gender - face.attributes[1, 0]) / (row @ row))
    photo, skin = photo_of(**how)
    return guess_hair(photo, skin, identity)


def test_pigments_follow_brightness_and_warmth_and_grey_is_bright_without_warmth():
    colours = (0.01, 0.008, 0.007), (0.06, 0.035, 0.02), (0.3, 0.2, 0.1)
    black, brown, blond = (pigments_of(np.array(colour)) for colour in colours)
    assert black[0] > brown[0] > blond[0] and max(black[2], brown[2]) < 0.05 and blond[2] < 0.3
    assert pigments_of(np.array([0.14, 0.05, 0.02]))[1] > 0.8 > brown[1]
    assert pigments_of(np.array([0.3, 0.3, 0.31]))[2] > 0.7


def test_a_bald_head_gets_no_cut_and_cropped_hair_a_short_one():
    bald = guess()
    assert bald.scalp == "" and bald.cover < 0.2 and "none on the scalp" in bald.sentence
    cropped = guess(hair=(0.02, 0.014, 0.01))
    assert cropped.cover > 0.6 and cropped.hanging == 0 and cropped.melanin > 0.8
    assert cropped.scalp in ("SHAVED", "CROPPED", "FADE", "SIDE_PART", "RECEDING")
    described = cropped.described()
    assert len([value for value in described.values() if isinstance(value, float)]) <= 16
    assert all(np.isfinite(value) for value in described.values() if isinstance(value, float))
    assert guess(-1.0, hair=(0.02, 0.014, 0.01)).scalp == "SLICKED", "tied back, as long hair mostly is"


def test_hair_that_hangs_is_seen_and_its_colour_too():
    dark, fair = (
        guess(-1.0, hair=colour, hanging=True) for colour in ((0.02, 0.014, 0.01), (0.32, 0.2, 0.09))
    )
    assert dark.scalp in ("BOB", "LONG", "WAVY") and dark.hanging > 0.05
    assert dark.melanin > fair.melanin + 0.25
    assert {dark.scalp, fair.scalp} <= set(SCALP_STYLES)


def test_a_beard_is_seen_where_it_is():
    shaven, bearded = guess(), guess(beard=0.95)
    assert shaven.beard == "" and bearded.chin > shaven.chin + 0.2 and bearded.beard != ""
    assert guess(-1.0, beard=0.95).beard == "", "a woman's chin in shade is no beard"


def test_a_head_that_the_photo_cuts_is_read_as_far_as_it_is_seen():
    photo, _ = photo_of(hair=(0.02, 0.014, 0.01))
    seen = find_hair_pixels(photo.pixels, photo.camera, photo.positions)
    assert seen.inside.any() and not seen.inside.all() and (seen.hair[~seen.inside] == 0).all()
    assert seen.hair[seen.scalp > 0.9].mean() > 0.6
    nose = BilinearFace.default().landmarks["nose_tip"]
    column, row = photo.camera.project(BilinearFace.default().mean[nose])[0][0]
    at = (np.array([row, column]) - (seen.window[1], seen.window[0])) * len(seen.hair) / seen.window[2]
    assert seen.hair[tuple(at.astype(int))] == pytest.approx(0, abs=1e-6)
