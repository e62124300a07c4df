"""Curves made of phones: closures whatever surrounds them, rest in pauses, neighbours that show through."""

import numpy as np
import pytest

from ml_backend.animation.lip_contacts import open_jaw, reach_contacts, secure_contacts
from ml_backend.animation.lip_measures import LipRuler, incisor_edges, lower_lip_surface
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.phonetics.align_transcript import guess_pronunciation, words_of
from ml_backend.phonetics.coarticulation import curves_from_phones, pose, speech_channels
from ml_backend.phonetics.phones import BILABIAL, PHONE_INDEX, PHONES, UNKNOWN, phone_index
from ml_backend.phonetics.visemes import DIPHTHONGS, LABIODENTAL_POSE, VISEMES

TIMES = np.arange(0, 1.2, 1 / 60)


def spoken(*phones: str, seconds: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    return np.array([PHONE_INDEX[p] for p in phones], np.uint8), np.cumsum(np.full(len(phones), seconds))


@pytest.fixture(scope="module")
def ruler() -> LipRuler:
    return LipRuler(BilinearFace.default())


def test_every_phone_has_a_shape():
    assert set(PHONES) == set(VISEMES) | set(DIPHTHONGS)


@pytest.mark.parametrize("stop", BILABIAL)
@pytest.mark.parametrize("vowel", ["AA", "AE", "UW", "IY"])
def test_lips_close_between_any_vowels(ruler, stop, vowel):
    phones, ends = spoken("PAU", vowel, stop, vowel, "PAU", seconds=0.1)
    gap = ruler.measure(curves_from_phones(phones, ends, TIMES)).gap
    inside = (ends[1] < TIMES) & (ends[2] > TIMES)
    assert gap[inside].min() < 0.3
    if vowel in ("AA", "AE"):
        assert gap.max() > 6


def test_lower_lip_comes_to_the_teeth(ruler):
    phones, ends = spoken("PAU", "AA", "F", "AA", "PAU")
    lips = ruler.measure(curves_from_phones(phones, ends, TIMES))
    inside = (ends[1] < TIMES) & (ends[2] > TIMES)
    assert lips.lower_lip_to_teeth[inside].min() < 2.7  # 6.9 at rest
    assert (
        lips.lower_lip_to_teeth[(ends[0] < TIMES) & (ends[1] > TIMES)].max() > 8
    )  # the vowel before it lets go
    assert lips.gap[inside].min() > 1  # the mouth is not shut


def test_every_lower_lip_bites_without_going_through_the_teeth():
    face = BilinearFace.default()
    people = [
        np.zeros(face.identity_size, np.float32),
        *face.people[:: len(face.people) // 5][:5].astype(np.float32),
    ]
    behind = []
    line = len(face.landmarks["lip_lower_inner"]) // 2
    for identity in people:
        neutral, deltas = face.shapes(identity)
        shown = neutral + np.tensordot(pose(LABIODENTAL_POSE), deltas, (0, 0))
        corners, weights = lower_lip_surface(face, neutral)
        lip, still = (np.einsum("nk,nkx->nx", weights, places[corners]) * 1000 for places in (shown, neutral))
        edges = incisor_edges(face, neutral) * 1000
        distance = np.linalg.norm(lip[:, None] - edges, axis=2)
        rest = np.linalg.norm(still[:, None] - edges, axis=2).min()
        assert distance.min() < max(2.0, 0.6 * rest)  # points lie a millimetre and more apart on either
        before = (
            edges[distance.argmin(1)][:, 1] - lip[:, 1]
        )  # how far a point of the lip is before the nearest tooth edge
        beside = np.abs(edges[distance.argmin(1)] - lip)[:, [0, 2]].max(1) < 0.5
        behind.append(-min(0.0, *before[beside]) if beside.any() else 0.0)
        upper, lower = (
            shown[face.landmarks[f"lip_{side}_inner"][line], 2] * 1000 for side in ("upper", "lower")
        )
        assert upper - lower > 1.5
    # one pose serves all: the longest teeth are touched from behind
    assert np.median(behind) < 1 and max(behind) < 4


def test_rounding_begins_before_its_vowel():
    phones, ends = spoken("PAU", "T", "UW", "T", "PAU", seconds=0.15)
    pucker = curves_from_phones(phones, ends, TIMES)[:, EXPRESSION_NAMES.index("mouthPucker")]
    phones[2] = PHONE_INDEX["IY"]
    other = curves_from_phones(phones, ends, TIMES)[:, EXPRESSION_NAMES.index("mouthPucker")]
    before = np.searchsorted(TIMES, ends[1] - 0.04)
    assert pucker[before] > other[before] + 0.1


def test_pauses_rest_and_values_stay_in_range():
    rng = np.random.default_rng(0)
    for _ in range(30):
        phones = rng.integers(0, 40, 14).astype(np.uint8)
        ends = np.cumsum(rng.uniform(0.03, 0.25, 14))
        phones[5], ends[5:] = 0, ends[5:] + 0.4
        curves = curves_from_phones(phones, ends, np.arange(0, ends[-1], 1 / 50))
        assert curves.min() >= 0 and curves.max() <= 1 and np.isfinite(curves).all()
        assert not curves[:, ~speech_channels()].any()
        middle = round((ends[5] - 0.2) * 50)
        assert curves[middle].max() < 1e-3


def test_a_curve_does_not_hang_on_the_frame_rate():
    phones, ends = spoken("PAU", "M", "AA", "P", "OW", "PAU")
    assert np.array_equal(
        curves_from_phones(phones, ends, TIMES)[::3], curves_from_phones(phones, ends, TIMES[::3])
    )


def test_unknown_phones_and_names():
    phones, ends = spoken("AA", "AA", "AA")
    phones[1] = UNKNOWN
    assert np.isfinite(curves_from_phones(phones, ends, TIMES)).all()
    assert phone_index("AH0", "arpabet") == PHONE_INDEX["AH"] and phone_index("SIL", "arpabet") == 0
    assert phone_index("tʃ", "ipa") == PHONE_INDEX["CH"] and phone_index("qq", "espeak") == UNKNOWN
    with pytest.raises(ValueError):
        pose({"nosuchchannel": 1.0})


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_contacts_hold_at_any_frame_rate(ruler, fps):
    speech_times = np.arange(100) / 50
    posteriors = np.zeros((100, 40), np.float32)
    posteriors[:, PHONE_INDEX["AA"]] = 1
    for begin in (20, 47, 71):
        posteriors[begin : begin + 3] = (
            0.1 * posteriors[begin : begin + 3] + 0.9 * np.eye(40, dtype=np.float32)[PHONE_INDEX["B"]]
        )
    times = np.arange(0, 2, 1 / fps)
    wide = np.tile(pose(VISEMES["AA"].shape), (len(times), 1))
    gap = ruler.measure(secure_contacts(wide, posteriors, speech_times, times, fps)).gap
    for begin in (20, 47, 71):
        near = np.abs(times - (begin + 1) / 50) < 0.05
        assert gap[near].min() < 0.15 * np.percentile(gap, 95)


@pytest.mark.parametrize("fps", [12, 24, 30, 60, 120])
@pytest.mark.parametrize("rows", [1, 2, 3, 6])
def test_a_contact_is_reached_in_a_frame_and_lasts_no_longer(rows, fps):
    speech_times, times = np.arange(100) / 50 + 0.005, np.arange(0, 2, 1 / fps)
    for begin in range(40, 60):
        raised = np.zeros(100)
        raised[begin : begin + rows] = 0.7
        frames = reach_contacts(raised, speech_times, times)
        middle = speech_times[begin] + (rows - 1) / 100
        assert frames[np.abs(times - middle) < 0.5 / fps + 1e-6].max() == pytest.approx(0.7)
        assert frames.max() < 0.7 + 1e-6
        held = times[frames > 0.4]
        assert np.abs(held - middle).max() < max(0.01 * rows + 0.012, 0.5 / fps + 1e-6)


def test_the_likelier_the_phone_the_further_the_lips_go(ruler):
    speech_times, times = np.arange(60) / 50, np.arange(0, 1.2, 1 / 30)
    wide = np.tile(pose(VISEMES["EH"].shape), (len(times), 1))
    gaps, puckers = [], []
    for chance in (0.0, 0.03, 0.1, 0.3, 0.6):
        seen = []
        for name in ("B", "UW"):
            posteriors = np.zeros((60, 40), np.float32)
            posteriors[:, PHONE_INDEX["EH"]] = 1
            posteriors[28:32, PHONE_INDEX["EH"]] = 1 - chance
            posteriors[28:32, PHONE_INDEX[name]] = chance
            seen.append(secure_contacts(wide, posteriors, speech_times, times, 30))
        gaps.append(ruler.measure(seen[0]).gap.min())
        puckers.append(seen[1][:, EXPRESSION_NAMES.index("mouthPucker")].max())
    assert (np.diff(gaps) < -0.2).all() and gaps[-1] < 0.3
    assert (np.diff(puckers) > 0.05).all() and puckers[1] < 0.5


def test_contacts_beside_the_frames_do_not_reach_into_them():
    speech_times, times = np.arange(100) / 50, np.arange(0.8, 1.2, 1 / 30)
    raised = np.zeros(100)
    raised[[30, 70]] = 1
    assert not reach_contacts(raised, speech_times, times).any()
    assert not reach_contacts(np.zeros(100), speech_times, times).any()
    assert reach_contacts(np.ones(100), speech_times, times) == pytest.approx(1)
    assert reach_contacts(np.ones(100), speech_times, times[:1]) == pytest.approx(1)


@pytest.mark.parametrize("consonant", ["B", "M", "V"])
def test_a_short_vowel_between_contacts_opens_at_24_frames_a_second_as_at_120(ruler, consonant):
    phones = np.array([PHONE_INDEX[name] for name in (consonant, "AA", consonant, "EY") * 12])
    speech_times = np.arange(50 * len(phones) * 3 // 50) / 50
    posteriors = np.eye(40, dtype=np.float32)[phones[np.minimum(np.arange(len(speech_times)) // 3, 47)]]
    opened = []
    for fps in (24, 120):
        times = np.arange(0, speech_times[-1], 1 / fps)
        flat = np.tile(pose(VISEMES["EY"].shape), (len(times), 1))
        gap = ruler.measure(secure_contacts(flat, posteriors, speech_times, times, fps)).gap
        middles = speech_times[4::12]
        opened.append([gap[np.abs(times - at) < 0.031].max() for at in middles[1:-1]])
    assert np.mean(opened[0]) > 0.85 * np.mean(opened[1])


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("vowel", ["AA", "AO", "AY"])
def test_open_vowels_reach_their_opening_however_short(vowel, fps):
    speech_times, times = np.arange(100) / 50, np.arange(0, 2, 1 / fps)
    jaw = EXPRESSION_NAMES.index("jawOpen")
    opening = (DIPHTHONGS[vowel][0] if vowel in DIPHTHONGS else VISEMES[vowel]).shape["jawOpen"]
    closed = np.tile(pose(VISEMES["T"].shape), (len(times), 1))
    for rows in (3, 5, 9):
        posteriors = np.zeros((100, 40), np.float32)
        posteriors[:, PHONE_INDEX["T"]] = 1
        posteriors[50 : 50 + rows] = 0.2 * posteriors[50 : 50 + rows]
        posteriors[50 : 50 + rows, PHONE_INDEX[vowel]] = 0.8
        curve = secure_contacts(closed, posteriors, speech_times, times, fps)[:, jaw]
        assert 0.88 * opening < curve.max() < 1.05 * opening
        assert abs(times[curve.argmax()] - (1 + rows / 100)) < 0.03
        assert curve[np.abs(times - (1 + rows / 100)) > 0.25].max() < VISEMES["T"].shape["jawOpen"] + 0.02


def test_the_jaw_opens_for_open_vowels_alone_and_not_in_a_pause():
    posteriors = np.zeros((60, 40), np.float32)
    posteriors[:, PHONE_INDEX["EH"]] = 1
    assert not open_jaw(posteriors).any()
    posteriors[30:40] = 0
    posteriors[30:40, 0] = 0.9
    posteriors[30:40, PHONE_INDEX["AA"]] = 0.1
    times = np.arange(60) / 50
    curves = np.tile(pose(VISEMES["AA"].shape), (60, 1))
    assert secure_contacts(curves, posteriors, times, times, 50)[34:36].max() < 0.1


def test_transcripts_become_words():
    assert (
        words_of("Press 2, or 15 & 204: it's OK!")
        == "press two or fifteen and two hundred four it's ok".split()
    )
    assert words_of("Na\u00efve caf\u00e9, 1,200") == "naive cafe one thousand two hundred".split()
    odd = [
        "".join(np.random.default_rng(i).choice(list("abcdefghijklmnopqrstuvwxyz"), i % 12 + 1))
        for i in range(300)
    ]
    assert all(phone in PHONES for word in odd for phone in guess_pronunciation(word).split())
    assert guess_pronunciation("blimp") == "B L IH M P" and guess_pronunciation("fake") == "F AE K"
