"""The clip sheet's tiles: which frame stands for a phone, and what is written under it."""

import numpy as np
from PIL import Image

from benchmarks.clip_sheet import COLOURS, DEMO, LABEL, Label, compose, labels_of, phones_of
from ml_backend.audio.read_audio import read_audio
from ml_backend.phonetics.phones import PHONE_INDEX, PHONES


def test_a_stop_of_the_lips_is_shown_where_they_are_nearest():
    phones = np.array([PHONE_INDEX[name] for name in ("PAU", "AA", "M", "PAU", "UW", "PAU")])
    ends = np.array([0.1, 0.4, 0.6, 0.65, 0.9, 1.5])
    gaps = np.full(90, 5.0)
    gaps[34] = 0.1
    found = labels_of(phones, ends, gaps, 60.0, 10)
    assert [label.phone for label in found] == ["AA", "M", "UW", "PAU"]
    assert found[1].seconds == 34 / 60 and found[1].gap == 0.1 and abs(found[0].seconds - 0.25) < 0.02
    assert len(labels_of(phones, ends, gaps, 60.0, 2)) == 2
    colours = {label.phone: label.colour for label in found}
    assert (
        colours["M"] == COLOURS["bilabial"]
        and colours["UW"] == COLOURS["rounded"]
        and colours["PAU"] not in COLOURS.values()
    )


def test_without_a_text_the_network_is_asked():
    samples = read_audio(DEMO)[: 16000 * 2]
    phones, ends = phones_of(samples, "", "demo")
    assert len(phones) == len(ends) > 8 and (np.diff(ends) > 0).all() and abs(ends[-1] - 2) < 0.05
    assert {PHONES[phone] for phone in phones} >= {"PAU"}


def test_tiles_stand_in_rows_above_their_labels(tmp_path):
    paths, labels = [], []
    for index in range(5):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (40, 40), (50 * index, 0, 255)).save(paths[-1])
        labels.append(Label("B", index / 10, 0.0))
    sheet = np.asarray(compose(paths, labels, 3, 40))
    assert sheet.shape == (2 * (40 + LABEL), 120, 3)
    for index in range(5):
        row, column = divmod(index, 3)
        assert sheet[row * (40 + LABEL) + 20, column * 40 + 20, 0] == 50 * index
        below = sheet[row * (40 + LABEL) + 40 : (row + 1) * (40 + LABEL), column * 40 : column * 40 + 40]
        assert below.max() > 150, "no label"
