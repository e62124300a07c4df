"""The set distance on Gaussians and reliefs whose order is known; neighbours; curves of a log."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.evaluation import evaluate_dnpm
from ml_backend.evaluation.damaged_relief import damaged_sets, ranks_correctly
from ml_backend.evaluation.frechet_distance import (
    FEATURES,
    ReliefFeatures,
    frechet_distance,
    frechet_of_moments,
)
from ml_backend.evaluation.nearest_neighbour import nearest_distances, novelty
from ml_backend.training.training_curve import curves_of, draw_training_curve, heights_of, read_log

SIZE = 128
SCALE = (180.0, 180.0)
MASK = torch.ones(SIZE, SIZE, dtype=torch.bool)


def test_gaussians_have_the_known_distance():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 5, 5))
    covariance, other = a @ a.T, b @ b.T
    turn = np.linalg.qr(random.standard_normal((5, 5)))[0]
    mean = np.arange(5.0)
    assert frechet_of_moments(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-7)
    assert frechet_of_moments(mean, covariance, mean + 2, covariance) == pytest.approx(20)
    assert frechet_of_moments(mean, covariance, mean, 9 * covariance) == pytest.approx(
        4 * np.trace(covariance)
    )
    assert frechet_of_moments(mean, covariance, 0 * mean, other) == pytest.approx(
        frechet_of_moments(0 * mean, other, mean, covariance)
    )
    turned = frechet_of_moments(turn @ mean, turn @ covariance @ turn.T, 0 * mean, turn @ other @ turn.T)
    assert turned == pytest.approx(frechet_of_moments(mean, covariance, 0 * mean, other))
    first, second = (
        np.diag([1.0, 4.0]),
        np.diag([9.0, 16.0]),
    )  # commuting: the sum of (difference of deviations)^2
    assert frechet_of_moments(np.zeros(2), first, np.zeros(2), second) == pytest.approx(4 + 4)


def test_samples_approach_the_distance_of_their_gaussians():
    random = np.random.default_rng(1)
    a, b = random.standard_normal((20000, 3)), 2 * random.standard_normal((20000, 3)) + [1, 0, 0]
    assert frechet_distance(a, b) == pytest.approx(1 + 3, rel=0.05)
    with pytest.raises(ValueError, match="width"):
        frechet_distance(a, b[:, :2])


def relief(count: int, seed: int) -> torch.Tensor:
    """Returns maps with brow lines of a person's own place and depth, and cheek lines across them."""
    random = np.random.default_rng(seed)
    v, u = ((torch.arange(SIZE) + 0.5) / SIZE)[:, None], ((torch.arange(SIZE) + 0.5) / SIZE)[None]
    maps = []
    for _ in range(count):
        depth, phase, wavelength = (
            random.gamma(2.0, 0.1, 2),
            random.uniform(0, 0.8, 2),
            random.uniform(6, 10, 2) / SCALE[0],
        )
        bend = 0.03 * torch.sin(2 * torch.pi * (u + random.uniform()))
        brow = torch.exp(-(((v - 0.75) / 0.12) ** 2) - ((u - 0.5) / 0.3) ** 2)
        cheek = torch.exp(-(((v - 0.35) / 0.15) ** 2) - ((u - 0.5) / 0.35) ** 2)
        lines = [
            torch.sin(2 * torch.pi * (x + bend) / w + p)
            for x, w, p in zip((v, u), wavelength, phase, strict=True)
        ]
        maps.append(
            sum(
                float(d) * where * (line.abs().sqrt() - 0.6)
                for d, where, line in zip(depth, (brow, cheek), lines, strict=True)
            )
        )
    return torch.stack(maps)


def distances_by(features, count: int = 160) -> dict[str, float]:
    """Returns the distances of damaged sets from other people's relief, by a measure's features."""
    truth = relief(count, 2)
    target = features(relief(count, 1))
    sets = {**damaged_sets(truth, MASK, SCALE), "truth": truth}
    return {name: frechet_distance(features(maps), target) for name, maps in sets.items()}


@pytest.mark.slow
def test_the_distance_ranks_damaged_relief():
    distances = distances_by(ReliefFeatures(SIZE, SCALE, MASK))
    assert ranks_correctly(distances), distances
    assert not ranks_correctly({**distances, "noisy_slightly": distances["noisy_strongly"] + 1})
    assert not ranks_correctly({**distances, "mean": distances["truth"]})
    assert not ranks_correctly({**distances, "inverted": 0.5 * distances["truth"]})
    assert distances["mean"] > 5 * distances["truth"]


def cells(maps: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(maps[:, None], 8).flatten(1).double()


BROKEN = {
    "sees depth alone, not where": lambda maps: maps.flatten(1).std(1)[:, None].double().numpy(),
    "sees the place, not valleys from ridges": lambda maps: cells(maps.abs()).numpy(),
    "sees no lines": lambda maps: cells(maps).numpy(),
    "sees no variety": lambda maps: (
        cells(maps.abs()).mean(0)
        + 1e-3 * torch.randn(len(maps), 64, generator=torch.Generator().manual_seed(0))
    ).numpy(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_measure_does_not_rank_damage(name):
    distances = distances_by(BROKEN[name], 32)
    assert not ranks_correctly(distances), distances


def test_features_are_fixed_finite_and_follow_the_size_of_a_wave():
    features = ReliefFeatures(SIZE, SCALE, MASK)
    maps = relief(3, 0)
    found = features(maps)
    assert found.shape == (3, FEATURES) and np.isfinite(found).all()
    np.testing.assert_allclose(found, ReliefFeatures(SIZE, SCALE, MASK)(maps, batch=1), rtol=1e-4, atol=1e-5)
    blank = features(torch.zeros(1, SIZE, SIZE))
    np.testing.assert_allclose(blank, 0, atol=1e-4)
    for band, wavelength in enumerate((3.0, 6.0, 12.0, 24.0)):
        filters, n = features.bands[band]
        wave = torch.sin(2 * torch.pi * (torch.arange(SIZE) + 0.5) / SIZE * SCALE[0] / wavelength).expand(
            SIZE, SIZE
        )
        spectrum = torch.fft.fft2(wave)
        keep = torch.cat([torch.arange(n // 2), torch.arange(SIZE - n // 2, SIZE)])
        slopes = torch.fft.ifft2(spectrum[keep][:, keep] * filters).abs().mean((1, 2))
        assert int(slopes.argmax()) == 0  # it varies along u
        assert float(slopes[0]) == pytest.approx(2 * np.pi / wavelength, rel=0.1)  # 1 mm high


def test_features_refuse_another_size():
    with pytest.raises(ValueError, match="expected"):
        ReliefFeatures(SIZE, SCALE, MASK)(torch.zeros(1, 64, 64))
    with pytest.raises(ValueError, match="at least"):
        ReliefFeatures(64, SCALE, MASK[:64, :64])


def test_neighbours_agree_with_the_plain_loop_and_copies_are_found():
    torch.manual_seed(0)
    known, new = torch.randn(150, 16, 16), torch.randn(40, 16, 16)
    plain = [min(float((one - other).square().mean().sqrt()) for other in known) for one in new]
    np.testing.assert_allclose(nearest_distances(new, known), plain, rtol=1e-4)
    copies = known[:40] + 0.05 * torch.randn(40, 16, 16)

    def measured(maps):
        return nearest_distances(maps, known), maps.flatten(1).square().mean(1).sqrt().numpy()

    assert novelty(*measured(copies), *measured(new))["ratio"] < 0.1
    assert novelty(*measured(copies), *measured(new))["copies"] == 1
    fresh = novelty(*measured(torch.randn(40, 16, 16)), *measured(new))
    assert fresh["ratio"] == pytest.approx(1, abs=0.1) and fresh["copies"] < 0.2


def test_a_log_becomes_a_picture(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [{"stage": "principal", "seconds": 1.0, "power": 3.0}]
    rows += [
        {"stage": "coarse", "seconds": 60.0 * s, "step": s, "loss": 100.0 / (s + 1), "minutes_left": 9 - s}
        for s in range(10)
    ]
    log.write_text("\n".join(json.dumps(row) for row in rows))
    stages = read_log(log)
    assert list(stages) == ["coarse"] and list(curves_of(stages["coarse"])) == ["loss"]
    heights = heights_of([100.0, 10.0, 1.0])
    assert (
        heights == pytest.approx([1, 0.5, 0])
        and heights_of([3.0, 3.0]) == [0.5, 0.5]
        and heights_of([-1.0, 0.0]) == [0, 1]
    )
    draw_training_curve(log, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
        assert picture.height == 260 and (31, 97, 165) in colours  # the curve itself


@pytest.mark.parametrize(
    "text", ["", "no json", "[1, 2]", '{"stage": "coarse", "seconds": 1, "step": 1, "loss": 2}']
)
def test_what_is_no_log_is_refused(tmp_path, text):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=r"log\.jsonl"):
        read_log(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_log(tmp_path / "missing.jsonl")


def test_training_maps_are_taken_from_the_stored_set(tmp_path):
    stored = np.random.default_rng(0).standard_normal((10, 512, 512)).astype(np.float16)
    np.save(tmp_path / "maps.npy", stored)
    found, source = evaluate_dnpm.training_maps(tmp_path, SimpleNamespace(), 5)
    assert found.shape == (5, 256, 256) and source.startswith("5 of the 10 maps")
    assert float(found.std()) < 0.7  # low-passed, not decimated
