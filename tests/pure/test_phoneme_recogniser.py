# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""A user's wav2vec 2.0 checkpoint: small random ones, both network shapes, IPA, ARPAbet, broken ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.files.curve_file import read_curves
from ml_backend.models.speech.phoneme_recogniser import load_phoneme_recogniser
from ml_backend.models.speech.wav2vec2 import ConvolutionLayer, TransformerBlock, Wav2Vec2, Wav2Vec2Config
from ml_backend.phonetics.phones import PHONE_INDEX, PHONES
from ml_backend.phonetics.recogniser_phones import fill_blanks, map_vocabulary
from ml_backend.pipelines.animate_from_audio import AnimateFromAudioRequest, animate_in_layers

DEMO = Path(__file__).resolve().parents[2] / "ml_backend/assets/demo_speech.wav"
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
IPA = (
    SPECIAL
    + "p b m f v t d n ŋ k ɡ s z ʃ ʒ θ ð h l ɹ j w æ ɑː ʌ ə ɪ iː ɛ".split()
    + "ɜː ɔː uː ʊ eɪ aɪ aʊ oʊ ɔɪ tʃ dʒ ɑːɹ n̩ ɚ ǃ".split()
)
ARPABET = ["|", "[PAD]", "[UNK]", *(name for name in PHONES if name != "PAU"), "SIL", "XX"]


def base_tensors(config: dict, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors under the names of transformers' Wav2Vec2ForCTC."""
    draw, made = torch.Generator().manual_seed(seed), {}

    def normal(name, *shape, scale=0.2):
        made[name] = torch.randn(*shape, generator=draw) * scale

    before = 1
    for index, (width, kernel) in enumerate(zip(config["conv_dim"], config["conv_kernel"], strict=True)):
        place = f"wav2vec2.feature_extractor.conv_layers.{index}"
        normal(f"{place}.conv.weight", width, before, kernel, scale=0.5)
        if config["conv_bias"]:
            normal(f"{place}.conv.bias", width)
        if config["feat_extract_norm"] == "layer" or index == 0:
            made[f"{place}.layer_norm.weight"], made[f"{place}.layer_norm.bias"] = (
                torch.rand(width, generator=draw) + 0.5,
                torch.zeros(width),
            )
        before = width
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    blocks = [f"wav2vec2.encoder.layers.{index}" for index in range(config["num_hidden_layers"])]
    norms = {"wav2vec2.feature_projection.layer_norm": before, "wav2vec2.encoder.layer_norm": hidden}
    norms |= {f"{block}.{name}": hidden for block in blocks for name in ("layer_norm", "final_layer_norm")}
    for name, width in norms.items():
        made[f"{name}.weight"] = torch.rand(width, generator=draw) + 0.5
        normal(f"{name}.bias", width)
    linear = {
        "wav2vec2.feature_projection.projection": (hidden, before),
        "lm_head": (config["vocab_size"], hidden),
    }
    for block in blocks:
        linear |= {f"{block}.attention.{name}_proj": (hidden, hidden) for name in "qkv"}
        linear |= {
            f"{block}.attention.out_proj": (hidden, hidden),
            f"{block}.feed_forward.intermediate_dense": (inner, hidden),
        }
        linear[f"{block}.feed_forward.output_dense"] = (hidden, inner)
    for name, shape in linear.items():
        normal(f"{name}.weight", *shape)
        normal(f"{name}.bias", shape[0])
    place = "wav2vec2.encoder.pos_conv_embed.conv"
    taps, groups = config["num_conv_pos_embeddings"], config["num_conv_pos_embedding_groups"]
    normal(f"{place}.bias", hidden)
    normal(f"{place}.weight_v", hidden, hidden // groups, taps)
    made[f"{place}.weight_g"] = torch.rand(1, 1, taps, generator=draw) + 0.1
    made["wav2vec2.masked_spec_embed"] = torch.zeros(hidden)
    return made


def configuration(vocabulary: list[str], large: bool = False, **more) -> dict:
    kernels = [10, 3, 3, 3, 3, 2, 2]
    return {
        "model_type": "wav2vec2",
        "architectures": ["Wav2Vec2ForCTC"],
        "vocab_size": len(vocabulary),
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "conv_dim": [16] * 7,
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": kernels,
        "conv_bias": large,
        "feat_extract_norm": "layer" if large else "group",
        "do_stable_layer_norm": large,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "layer_norm_eps": 1e-5,
        "pad_token_id": vocabulary.index("<pad>" if "<pad>" in vocabulary else "[PAD]"),
        "hidden_act": "gelu",
        **more,
    }


def checkpoint(folder: Path, vocabulary: list[str] = IPA, large: bool = False, **more) -> Path:
    """Writes a folder as `save_pretrained` does."""
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration(vocabulary, large, **more)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(
        json.dumps({symbol: row for row, symbol in enumerate(vocabulary)}), encoding="utf-8"
    )
    sound = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "sampling_rate": 16000,
        "do_normalize": True,
        "feature_size": 1,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(sound))
    save_file(base_tensors(config), folder / "model.safetensors")
    return folder


def read(folder: Path):
    load_phoneme_recogniser.cache_clear()
    return load_phoneme_recogniser(folder)


def network_of(config: dict, tensors: dict[str, torch.Tensor]) -> Wav2Vec2:
    network = Wav2Vec2(Wav2Vec2Config.from_document(config))
    network.load(tensors)
    return network.eval()


@pytest.mark.parametrize("large", [False, True])
def test_a_block_is_torchs_own_transformer_layer(large):
    config = Wav2Vec2Config(
        hidden_size=24, num_attention_heads=3, intermediate_size=40, do_stable_layer_norm=large
    )
    block = TransformerBlock(config).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    other = nn.TransformerEncoderLayer(24, 3, 40, 0.0, "gelu", batch_first=True, norm_first=large).eval()
    with torch.no_grad():
        attention = block.attention
        other.self_attn.in_proj_weight.copy_(
            torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        )
        other.self_attn.in_proj_bias.copy_(
            torch.cat([attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias])
        )
        other.self_attn.out_proj.load_state_dict(attention.out_proj.state_dict())
        other.linear1.load_state_dict(block.feed_forward.intermediate_dense.state_dict())
        other.linear2.load_state_dict(block.feed_forward.output_dense.state_dict())
        other.norm1.load_state_dict(block.layer_norm.state_dict())
        other.norm2.load_state_dict(block.final_layer_norm.state_dict())
        x = torch.randn(2, 13, 24)
        assert torch.allclose(block(x), other(x), atol=1e-5)


def test_normalisation_over_time_and_over_channels():
    x = torch.randn(1, 1, 400) * 3 + 1
    first, later = (ConvolutionLayer(Wav2Vec2Config(), index) for index in (0, 1))
    assert isinstance(first.layer_norm, nn.GroupNorm) and later.layer_norm is None
    plain = nn.functional.conv1d(x, first.conv.weight, stride=5)
    steady = (plain - plain.mean(2, keepdim=True)) / (
        plain.var(2, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    assert torch.allclose(first(x), nn.functional.gelu(steady), atol=1e-4)
    layered = ConvolutionLayer(Wav2Vec2Config(feat_extract_norm="layer", conv_bias=True), 0)
    plain = nn.functional.conv1d(x, layered.conv.weight, layered.conv.bias, stride=5)
    steady = (plain - plain.mean(1, keepdim=True)) / (
        plain.var(1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    assert torch.allclose(layered(x), nn.functional.gelu(steady), atol=1e-4)


def test_the_positional_weight_is_torchs_weight_normalisation_under_every_name():
    config = configuration(IPA)
    tensors = base_tensors(config)
    place = "wav2vec2.encoder.pos_conv_embed.conv."
    conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(24, 24, 16, groups=4), dim=2)
    with torch.no_grad():
        conv.parametrizations.weight.original0.copy_(tensors[place + "weight_g"])
        conv.parametrizations.weight.original1.copy_(tensors[place + "weight_v"])
    old = network_of(config, tensors)
    assert torch.allclose(old.positions.weight, conv.weight, atol=1e-6)
    newer = {name: value for name, value in tensors.items() if "weight_" not in name}
    newer[place + "parametrizations.weight.original0"] = tensors[place + "weight_g"]
    newer[place + "parametrizations.weight.original1"] = tensors[place + "weight_v"]
    fused = {name: value for name, value in tensors.items() if "weight_" not in name} | {
        place + "weight": conv.weight.detach()
    }
    samples = torch.randn(1, 8000)
    for same in (newer, fused):
        assert torch.allclose(network_of(config, same)(samples), old(samples), atol=1e-5)


def test_frames_are_counted_as_the_convolutions_do():
    config = Wav2Vec2Config()
    assert config.stride == 320 and config.reach == 400
    network = network_of(configuration(IPA), base_tensors(configuration(IPA)))
    for count in (400, 719, 720, 16000):
        assert network(torch.zeros(1, count)).shape[1] == (count - 400) // 320 + 1


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("vocabulary", [IPA, ARPABET])
def test_a_checkpoint_is_heard_frame_by_frame(tmp_path, large, vocabulary):
    recogniser = read(checkpoint(tmp_path / "model", vocabulary, large))
    rng = np.random.default_rng(0)
    times = np.arange(75) / 50 + 0.005
    heard = recogniser.listen(rng.normal(0, 0.1, 24000).astype(np.float32), times, np.zeros(75, np.float32))
    assert heard.shape == (75, 40) and np.allclose(heard.sum(1), 1, atol=1e-4)
    loud = recogniser.listen(
        3 * rng.normal(0, 0.1, 24000).astype(np.float32), times, np.zeros(75, np.float32)
    )
    assert loud.shape == heard.shape
    assert recogniser.listen(np.zeros(10, np.float32), times[:1], np.zeros(1, np.float32)).shape == (1, 40)


def test_level_does_not_matter_to_a_checkpoint_that_normalises(tmp_path):
    recogniser = read(checkpoint(tmp_path / "model", large=True))
    samples, times = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), np.arange(49) / 50
    a, b = (recogniser.listen(gain * samples, times, np.zeros(49, np.float32)) for gain in (1, 0.2))
    assert recogniser.normalises and np.allclose(a, b, atol=1e-3)


def test_a_checkpoint_in_parts_and_in_half_precision_is_the_same(tmp_path):
    whole = checkpoint(tmp_path / "whole")
    parts = tmp_path / "parts"
    shutil.copytree(whole, parts)
    tensors = load_file(whole / "model.safetensors")
    (parts / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, chosen in enumerate((names[::2], names[1::2]), 1):
        part = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in chosen}, parts / part)
        weight_map |= dict.fromkeys(chosen, part)
    (parts / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    samples = torch.randn(1, 8000)
    first = read(whole).network(samples)
    assert torch.equal(read(parts).network(samples), first)
    save_file({name: value.half() for name, value in tensors.items()}, whole / "model.safetensors")
    assert torch.allclose(read(whole).network(samples), first, atol=0.05)


def test_ipa_and_arpabet_vocabularies_reach_our_phones():
    ipa = map_vocabulary({symbol: row for row, symbol in enumerate(IPA)}, len(IPA))
    assert ipa.inventory == "ipa" and ipa.unknown == ("ǃ",)
    for symbol, phones in {
        "uː": ["UW"],
        "tʃ": ["CH"],
        "ɑːɹ": ["AA", "R"],
        "n̩": ["N"],
        "aɪ": ["AY"],
        "ɚ": ["ER"],
        "<pad>": [],
    }.items():
        row = ipa.matrix[IPA.index(symbol)]
        assert {PHONES[index] for index in np.flatnonzero(row)} == set(phones) and row.sum() == pytest.approx(
            float(bool(phones))
        )
    arpabet = map_vocabulary({symbol: row for row, symbol in enumerate(ARPABET)}, len(ARPABET))
    assert arpabet.inventory == "arpabet" and arpabet.unknown == ("XX",)
    assert (
        arpabet.matrix[ARPABET.index("SIL"), 0] == 1
        and arpabet.matrix[ARPABET.index("B"), PHONE_INDEX["B"]] == 1
    )
    timit = (
        "h# bcl b dcl d ix ux ax-h axr eng p pcl t k g f v s z sh zh th dh m n ng l r w y "
        "iy ih eh ae aa ah ao uh uw er ey ay aw ow oy"
    )
    mapped = map_vocabulary({symbol: row for row, symbol in enumerate(timit.split())}, 64)
    assert (
        not mapped.unknown
        and mapped.matrix[1, PHONE_INDEX["B"]] == 1
        and mapped.matrix[8, PHONE_INDEX["ER"]] == 1
    )
    stressed = {
        f"{name}{stress}": row
        for row, name in enumerate(PHONES[1:])
        for stress in ([0, 1] if name[0] in "AEIOU" else [""])
    }
    assert not map_vocabulary(stressed, 40).unknown


def test_vocabularies_that_tell_no_phones_are_refused():
    letters = {letter: row for row, letter in enumerate("|abcdefghijklmnopqrstuvwxyz'")}
    for vocabulary in (letters, {key.upper(): row for key, row in letters.items()}, {"p": 0, "b": 1}, {}):
        with pytest.raises(ValueError, match=r"letters|phones"):
            map_vocabulary(vocabulary, 40)


def test_an_own_phone_map_comes_first(tmp_path):
    folder = checkpoint(tmp_path / "model")
    (folder / "phone_map.json").write_text(json.dumps({"ǃ": "K", "p": ["P", "HH"], "b": None}))
    phones = read(folder).phones
    assert not phones.unknown and phones.matrix[IPA.index("ǃ"), PHONE_INDEX["K"]] == 1
    assert phones.matrix[IPA.index("p"), PHONE_INDEX["P"]] == 0.5 and not phones.matrix[IPA.index("b")].any()
    (folder / "phone_map.json").write_text(json.dumps({"ǃ": "CLICK"}))
    with pytest.raises(UserError, match="CLICK"):
        read(folder)


def test_spikes_become_phones_that_last():
    spikes = np.zeros((60, 40), np.float32)
    for frame, phone in ((5, "B"), (9, "UW"), (12, "M"), (50, "AA")):
        spikes[frame, PHONE_INDEX[phone]] = 0.9
    loudness = np.zeros(60, np.float32)
    loudness[25:40] = -2
    filled = fill_blanks(spikes, loudness)
    said = [PHONES[index] for index in filled.argmax(1)]
    assert np.allclose(filled.sum(1), 1, atol=1e-5)
    assert (
        said[0] == "B"
        and said[6] == "B"
        and said[8] == "UW"
        and said[10] == "UW"
        and said[12] == "M"
        and said[20] == "M"
    )
    assert said[30] == "PAU" and said[45] == "AA" and said[59] == "AA"
    assert (fill_blanks(np.zeros((5, 40), np.float32), np.zeros(5)).argmax(1) == 0).all()


def test_the_command_listens_with_it(tmp_path, capsys):
    folder = checkpoint(tmp_path / "model")
    # a head that hears p everywhere: the lips stay shut through the whole recording
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] *= 0
    tensors["lm_head.bias"] = torch.full((len(IPA),), -9.0)
    tensors["lm_head.bias"][IPA.index("p")] = 9.0
    save_file(tensors, folder / "model.safetensors")
    load_phoneme_recogniser.cache_clear()
    out = tmp_path / "a.csv"
    assert (
        main(["animate", str(DEMO), "--out", str(out), "--length", "2", "--speech-encoder", str(folder)]) == 0
    )
    assert "ǃ" in capsys.readouterr().err
    shut = read_curves(out).frames
    assert len(shut) == 60
    from ml_backend.animation.curve_editing import lip_gap

    assert lip_gap(shut).max() < 1.0
    ours = animate_in_layers(AnimateFromAudioRequest(str(DEMO), length=2.0), lambda *_: None)
    assert lip_gap(ours.mixed().frames).max() > 2.0 and not ours.notes


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "hubert"}, {"hidden_act": "relu"}, {"add_adapter": True},
        {"num_attention_heads": 5}, {"vocab_size": 9},
        {"hidden_size": 10**9}, {"feat_extract_norm": "batch"}, {"conv_dim": [16] * 6},
        {"pad_token_id": 900}, {"conv_dim": "many"},
        {"hidden_size": 48}, {"num_hidden_layers": 3},
    ],
)  # fmt: skip
def test_another_network_is_refused_by_name(tmp_path, change):
    folder = checkpoint(tmp_path / "model")
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(document | change))
    with pytest.raises(UserError, match="model") as refused:
        read(folder)
    assert refused.value.remedy


def test_broken_folders_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        read(tmp_path / "nowhere")
    for name in ("config.json", "vocab.json", "preprocessor_config.json", "model.safetensors"):
        folder = checkpoint(tmp_path / f"no_{name}")
        (folder / name).unlink()
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            read(folder)
        for text in ("[]", "{", "\x00" * 90):
            (folder / name).write_text(text)
            with pytest.raises(UserError, match=name.replace(".", r"\.")):
                read(folder)
    folder = checkpoint(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="pickled"):
        read(folder)
    folder = checkpoint(tmp_path / "rate")
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(UserError, match="8000"):
        read(folder)
    folder = checkpoint(tmp_path / "languages")
    (folder / "vocab.json").write_text('{"eng": {"a": 0}}')
    with pytest.raises(UserError, match="one language"):
        read(folder)
    folder = checkpoint(tmp_path / "nan")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match="finite"):
        read(folder)
