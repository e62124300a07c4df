"""A fringe over the forehead is told from skin in the dark, and left out of the second look."""

import dataclasses

import numpy as np
import pytest

from ml_backend.fitting.attributes import encode_face
from ml_backend.fitting.attributes.covered_forehead import contradicted, without_fringe
from ml_backend.fitting.attributes.encode_face import encode_points, place_pixels, sampled_colours
from ml_backend.fitting.attributes.head_places import HeadPlaces
from ml_backend.fitting.landmark_map import LandmarkMap
from ml_backend.models.attribute_encoder import default_encoder
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.portraits.coded_portrait import CodedPortrait, coded_portrait

_UNIT = 90.0
_HAIR = (24, 17, 14)


@pytest.fixture(scope="module")
def shown() -> CodedPortrait:
    return coded_portrait(1_700_000, 5)


def fringed(shown: CodedPortrait) -> tuple[np.ndarray, np.ndarray]:
    """Returns the picture with dark hair down to the brows, and the covered places."""
    places = HeadPlaces.default()
    at, _ = place_pixels(shown.codes, shown.camera)
    covered = places.skin & (places.mean[:, 2] > 0.03)
    lowest = at[covered, 1].max()
    pixels = shown.pixels.copy()
    pixels[:lowest, at[places.skin, 0].min() : at[places.skin, 0].max()] = _HAIR
    return pixels, covered


def test_true_codes_agree_with_the_picture_and_a_light_that_is_too_weak_does_not(shown):
    sampled = sampled_colours(shown.pixels, shown.codes, shown.camera, _UNIT)
    assert not contradicted(shown.codes, sampled.colours, sampled.seen)
    dark = shown.codes.illumination.copy()
    dark[:3] -= 1.2
    weak = dataclasses.replace(shown.codes, illumination=dark)
    assert contradicted(weak, sampled.colours, sampled.seen)
    assert not contradicted(weak, sampled.colours, np.zeros_like(sampled.seen))


def test_dark_places_of_the_forehead_are_left_out_and_no_others(shown):
    places = HeadPlaces.default()
    pixels, covered = fringed(shown)
    sampled = sampled_colours(pixels, shown.codes, shown.camera, _UNIT)
    seen = without_fringe(sampled.colours, sampled.seen)
    there = covered & (sampled.seen > 0)
    assert there.sum() > 20 and (seen[there] == 0).mean() > 0.9
    below = places.mean[:, 2] < 0.02
    assert np.array_equal(seen[below], sampled.seen[below])


def test_the_second_look_reads_other_colours_and_the_same_form(shown, monkeypatch):
    pixels, _ = fringed(shown)
    vertices = BilinearFace.default().evaluate(shown.codes.shape, shown.codes.expression)
    points = LandmarkMap.default().gather(shown.camera.project(vertices)[0])
    looks = []
    own = encode_face.without_fringe

    def counted(colours, seen):
        looks.append(own(colours, seen))
        return looks[-1]

    monkeypatch.setattr(encode_face, "without_fringe", counted)
    monkeypatch.setattr(encode_face, "contradicted", lambda *_: True)
    covered, _ = encode_points(default_encoder(), pixels, points, shown.focal)
    monkeypatch.setattr(encode_face, "contradicted", lambda *_: False)
    first, _ = encode_points(default_encoder(), pixels, points, shown.focal)
    assert len(looks) == 1 and (looks[0] == 0).any()
    assert not np.allclose(covered.texture, first.texture)
    assert np.allclose(covered.shape, first.shape)
