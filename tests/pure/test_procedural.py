"""Procedural layers: each moves its own curves by its own seed, and none opens closed lips."""

import numpy as np
import pytest

from ml_backend.animation.curve_editing import CLOSED_MM, lip_gap, open_share
from ml_backend.animation.emotion import EMOTIONS, check_emotions, emotion_intensities, parse_emotions
from ml_backend.animation.lip_measures import LipRuler
from ml_backend.animation.procedural import LAYERS, Layer, Prosody, procedural_layers
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.phonetics.coarticulation import curves_from_phones
from ml_backend.phonetics.phones import PHONE_INDEX

FPS = 30
SENTENCE = "PAU B AA M P IY B AH M W AA B UW M PAU F AY V M OW B IY PAU".split()


def spoken(repeats: int = 6) -> tuple[np.ndarray, np.ndarray, Prosody]:
    """Seconds, mouth curves and prosody of a made-up sentence rich in closures, with pauses between."""
    phones = np.array([PHONE_INDEX[name] for name in SENTENCE * repeats])
    lengths = np.where(phones == 0, 0.45, 0.11)
    ends = np.cumsum(lengths)
    times = np.arange(int(ends[-1] * FPS)) / FPS
    heard = np.arange(int(ends[-1] * 50)) / 50
    rng = np.random.default_rng(0)
    pause = (phones[np.minimum(np.searchsorted(ends, heard, side="right"), len(phones) - 1)] == 0).astype(
        float
    )
    pitch = 0.3 * np.sin(2 * np.pi * 0.4 * heard) + rng.normal(0, 0.05, len(heard))
    return (
        times,
        curves_from_phones(phones, ends, times),
        Prosody(rng.uniform(-1, 0.3, len(heard)), 1 - pause, pitch, pause),
    )


def layers_of(**amounts: float) -> dict[str, Layer]:
    return {name: Layer(amounts.get(name, 1.0), 3) for name in LAYERS}


def channel(motion, name):
    return motion.curves[:, EXPRESSION_NAMES.index(name)]


def test_each_layer_moves_its_own():
    times, mouth, prosody = spoken()
    made = procedural_layers(prosody, times, layers_of(), mouth, parse_emotions("0:joy:0.8"))
    assert tuple(made) == LAYERS
    blink = channel(made["blinks"], "eyeBlinkLeft")
    blinks = int(((blink[1:] > 0.5) & (blink[:-1] <= 0.5)).sum())
    assert 0.1 < blinks / times[-1] < 0.8
    assert channel(made["brows"], "browInnerUp").max() > 0.1
    assert np.radians(0.5) < np.abs(made["head"].head[:, :3]).max() < np.radians(12)
    assert (
        np.abs(made["gaze"].head[:, 3:]).max() > np.radians(1)
        and channel(made["gaze"], "eyeLookOutLeft").max() > 0
    )
    assert channel(made["emotion"], "mouthSmileLeft").max() > 0.4
    for name, motion in made.items():
        if name != "emotion":
            for index, expression in enumerate(EXPRESSION_NAMES):
                if expression.startswith(("jaw", "mouth", "tongue")) or expression == "cheekPuff":
                    assert not motion.curves[:, index].any(), (name, expression)


def test_a_breath_is_drawn_in_pauses():
    times, mouth, prosody = spoken()
    breath = procedural_layers(prosody, times, layers_of(), mouth)["breath"]
    nostrils = channel(breath, "noseSneerLeft")
    assert nostrils.max() > 0.05 and breath.head[:, 1].max() > np.radians(0.3)
    pause = np.interp(times, np.arange(len(prosody.pause)) / 50, prosody.pause)
    rising = np.gradient(nostrils) > 1e-3
    assert pause[rising].mean() > 0.7
    talking = Prosody(prosody.loudness, prosody.voicing, prosody.pitch, np.zeros_like(prosody.pause))
    assert not procedural_layers(talking, times, layers_of(), mouth)["breath"].curves.any()


def test_brows_rise_where_pitch_and_loudness_peak():
    heard = np.arange(1000) / 50
    peaks = np.arange(1.5, 19, 2.5)
    pitch = sum(0.6 * np.exp(-(((heard - peak) / 0.1) ** 2)) for peak in peaks) - 0.1
    flat = np.full(len(heard), -0.2)
    prosody = Prosody(flat, np.ones(len(heard)), pitch, np.zeros(len(heard)))
    times = np.arange(600) / FPS
    lift = channel(
        procedural_layers(prosody, times, layers_of(), np.zeros((600, 52)))["brows"], "browInnerUp"
    )
    near = np.abs(times[:, None] - peaks).min(1) < 0.3
    assert lift[near].mean() > 4 * lift[~near].mean()


def test_seeds_and_amounts_are_each_layers_own():
    times, mouth, prosody = spoken(3)
    keys = parse_emotions("0:anger:1")
    base = procedural_layers(prosody, times, layers_of(), mouth, keys)
    for name in LAYERS:
        other = procedural_layers(prosody, times, layers_of() | {name: Layer(1.0, 4)}, mouth, keys)
        assert not (
            np.array_equal(other[name].curves, base[name].curves)
            and np.array_equal(other[name].head, base[name].head)
        ), name
        unmoved = [
            kept for kept in LAYERS if kept != name and (name, kept) != ("gaze", "blinks")
        ]  # blinks go with wide gaze shifts
        assert all(np.array_equal(other[kept].curves, base[kept].curves) for kept in unmoved), name
        half = procedural_layers(prosody, times, layers_of(**{name: 0.5}), mouth, keys)[name]
        if name != "emotion":
            assert np.allclose(half.curves, base[name].curves / 2, atol=1e-6) and np.allclose(
                half.head, base[name].head / 2, atol=1e-6
            )
        assert name not in procedural_layers(prosody, times, layers_of(**{name: 0.0}), mouth, keys)


@pytest.mark.slow
@pytest.mark.parametrize("emotion", EMOTIONS[1:])
@pytest.mark.parametrize("amount", [1.0, 3.0])
def test_no_layer_opens_closed_lips(emotion, amount):
    times, mouth, prosody = spoken(3)
    ruler = LipRuler(BilinearFace.default())
    before = ruler.measure(mouth).gap
    closed = before <= 0.15 * np.percentile(before, 95)
    assert 0.2 < closed.mean() < 0.9
    made = procedural_layers(
        prosody, times, layers_of(**dict.fromkeys(LAYERS, amount)), mouth, parse_emotions(f"0:{emotion}:1.5")
    )
    seen = 0.1 if amount <= 1 else 0.2  # millimetres that nobody sees
    for motion in made.values():
        assert (ruler.measure(mouth + motion.curves).gap[closed] <= before[closed] + seen).all()
    total = ruler.measure(np.clip(mouth + sum(motion.curves for motion in made.values()), 0, 1)).gap
    assert (total[closed] <= before[closed] + seen).all()


def test_an_emotion_leaves_the_words_readable():
    times, mouth, prosody = spoken(3)
    for emotion in EMOTIONS[1:]:
        shown = (
            mouth
            + procedural_layers(prosody, times, layers_of(), mouth, parse_emotions(f"0:{emotion}:1"))[
                "emotion"
            ].curves
        )
        assert np.corrcoef(lip_gap(mouth), lip_gap(shown))[0, 1] > 0.9, emotion
        assert (
            shown[:, EXPRESSION_NAMES.index("jawOpen")].tolist()
            == mouth[:, EXPRESSION_NAMES.index("jawOpen")].tolist()
        )


def test_emotions_fade_from_key_to_key():
    times = np.linspace(-1, 7, 81)
    shown = emotion_intensities(parse_emotions("0:joy:0.6, 2:joy:1, 4:anger:1, 6:neutral"), times)
    assert set(shown) == {"joy", "anger"}
    at = {round(time, 1): index for index, time in enumerate(times)}
    assert shown["joy"][at[-1.0]] == pytest.approx(0.6) and shown["joy"][at[1.0]] == pytest.approx(0.8)
    assert shown["joy"][at[3.0]] == pytest.approx(0.5) and shown["anger"][at[3.0]] == pytest.approx(0.5)
    assert shown["joy"][at[4.0]] == pytest.approx(0) and shown["anger"][at[4.0]] == pytest.approx(1)
    assert shown["anger"][at[7.0]] == pytest.approx(0)


def test_mistakes_are_named():
    for text in ("joy", "0:glee", "0:joy:loud", "0:joy:2", "nan:joy:1", "0:joy:1:1"):
        with pytest.raises(UserError):
            parse_emotions(text)
    for keys in ([("a", "joy", 1)], [(0, "joy")], [3], [(0, "joy", float("nan"))]):
        with pytest.raises(UserError):
            check_emotions(keys)


def test_lips_count_as_closed_to_a_millimetre():
    frames = np.zeros((4, 52), np.float32)
    frames[:, EXPRESSION_NAMES.index("jawOpen")] = [0.0, 0.03, 0.3, 0.3]
    frames[3, EXPRESSION_NAMES.index("mouthClose")] = 0.3
    gap = lip_gap(frames)
    assert gap[0] == 0 and gap[1] < CLOSED_MM < gap[2] and abs(gap[3]) < 0.01
    assert open_share(frames).tolist() == [0, 0, 1, 0]


def test_nothing_and_one_frame_are_animated_too():
    prosody = Prosody(np.zeros(5), np.zeros(5), np.zeros(5), np.ones(5))
    for count in (0, 1):
        made = procedural_layers(
            prosody, np.arange(count) / FPS, layers_of(), np.zeros((count, 52)), parse_emotions("0:joy")
        )
        assert all(
            motion.curves.shape == (count, 52) and motion.head.shape == (count, 9) for motion in made.values()
        )
