"""The sheet's tiles: where they stand, when they are drawn again, how small the copy is."""

from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.detail_sheet import (
    EXPRESSIONS,
    LABEL,
    MARGIN,
    PEOPLE,
    SHOWN,
    SHOWN_PEOPLE,
    TONES,
    Tile,
    compose,
    write_small,
)
from ml_backend.models.bilinear_face import BilinearFace


def test_the_people_are_as_old_as_it_says():
    face = BilinearFace.default()
    for seed, years in PEOPLE.items():
        assert abs(face.age_years(face.sample_identity(seed)) - years) < 2.5, seed
    assert len(PEOPLE) == 8 and len(EXPRESSIONS) == 8 and sorted(PEOPLE.values()) == list(PEOPLE.values())
    assert len(TONES) == len(PEOPLE) and set(SHOWN_PEOPLE) < set(PEOPLE) and set(SHOWN) < set(EXPRESSIONS)


def test_a_tile_is_drawn_again_when_what_it_shows_changes():
    tile = Tile(32, "joy", True, 200, 8, "abc")
    others = [
        replace(tile, seed=87),
        replace(tile, expression="anger"),
        replace(tile, size=100),
        replace(tile, samples=4),
        replace(tile, weights="d"),
    ]
    assert len({tile.name, *(other.name for other in others)}) == 6
    smooth = replace(tile, detail=False)
    assert (
        smooth.name != tile.name and smooth.name == replace(smooth, weights="d").name
    )  # no weights are seen in it


def test_tiles_stand_in_their_cells(tmp_path):
    paths = []
    for index in range(8):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (16, 16), (10 * index, 0, 255 - 10 * index)).save(paths[-1])
    rows = [[paths[0:2], paths[2:4]], [paths[4:6], paths[6:8]]]
    sheet = np.asarray(compose(rows, ["20", "76"], ["neutral", "joy"], 16))
    assert sheet.shape == (LABEL + 32, MARGIN + 64, 3)
    for line in range(2):
        for column in range(4):
            assert sheet[LABEL + 16 * line + 8, MARGIN + 16 * column + 8, 0] == 10 * (4 * line + column)


def test_the_small_copy_fits(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 900, 3), np.uint8))
    path = tmp_path / "pictures" / "sheet.jpg"
    write_small(noise, path, most_bytes=120_000, width=450)
    assert path.stat().st_size < 120_000
    with Image.open(path) as small:
        assert small.size == (450, 300)
