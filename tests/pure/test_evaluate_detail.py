"""The evaluation's mathematics, on maps whose figures are known."""

import argparse

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from ml_backend.datasets.map_set import MapSet
from ml_backend.errors import UserError
from ml_backend.evaluation.detail_baselines import Ridge, fit_multilayer, fit_principal_maps
from ml_backend.evaluation.detail_behaviour import (
    correlation,
    line_angles,
    locality,
    persistence,
    placement,
    single_units,
    smoothness,
    variety,
)
from ml_backend.evaluation.detail_fidelity import (
    FidelityTotals,
    SpectrumBins,
    TrueMaps,
    active_texels,
)
from ml_backend.evaluation.detail_forms import clip_of
from ml_backend.evaluation.evaluate_detail import add_arguments, card_text
from ml_backend.evaluation.held_out_people import held_out_expressions
from ml_backend.evaluation.vertex_baselines import fit_vertex_baseline
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.model_card import note_evaluation
from ml_backend.losses.map_reconstruction import percentile_span
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import Detailed3DMM
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.simulation.relief.face_chart import GRID, build_chart

SIZE = 128
MASK = torch.ones(SIZE, SIZE, dtype=torch.bool)
V, U = (
    ((torch.arange(SIZE) + 0.5) / SIZE)[:, None].expand(SIZE, SIZE),
    ((torch.arange(SIZE) + 0.5) / SIZE).expand(SIZE, SIZE),
)


def totals(own: torch.Tensor, truth: torch.Tensor) -> dict:
    bins = SpectrumBins(SIZE, (64.0, 64.0), MASK)
    found = FidelityTotals(percentile_span(truth.numpy(), MASK.numpy()), bins)
    found.add(own, TrueMaps(truth, MASK, float(truth.std()), bins, 5))
    return found.figures()


def test_the_truth_is_perfect_and_a_quiet_copy_lacks_six_decibels():
    torch.manual_seed(0)
    truth = torch.randn(2, SIZE, SIZE)
    perfect = totals(truth.clone(), truth)
    assert (
        perfect["psnr_db"] > 100
        and perfect["ssim"] == pytest.approx(1, abs=1e-4)
        and perfect["spectrum_worst_octave_db"] == 0
    )
    quiet = totals(truth * 0.5, truth)
    assert quiet["spectrum_octaves_db"] == pytest.approx([-6.02] * 5, abs=0.01)
    span = percentile_span(truth.numpy(), MASK.numpy())
    assert quiet["psnr_db"] == pytest.approx(
        10 * np.log10(span**2 / float((truth * 0.5).square().mean())), abs=0.01
    )
    blank = totals(torch.zeros_like(truth), truth)
    assert blank["ssim"] < 0.2 < quiet["ssim"] < 1


def test_a_wave_falls_into_the_octave_of_its_wavelength():
    wave = torch.sin(2 * torch.pi * U * 64 / 3)[None]  # 3 mm on a map of 64 mm
    power = SpectrumBins(SIZE, (64.0, 64.0), MASK).power(wave)
    assert int(power.argmax()) == 2 and float(power[2] / power.sum()) > 0.95


def test_similarity_agrees_with_its_formula_on_one_window():
    random = np.random.default_rng(0)
    maps = random.standard_normal((2, 64, 64))
    a, b = maps[:, 15:26, 15:26]
    at = np.arange(-5, 6)
    window = np.exp(-0.5 * (at / 1.5) ** 2)
    window = np.outer(window, window) / window.sum() ** 2
    ma, mb = (window * a).sum(), (window * b).sum()
    va, vb, cov = (
        (window * a * a).sum() - ma**2,
        (window * b * b).sum() - mb**2,
        (window * a * b).sum() - ma * mb,
    )
    c1, c2 = 0.02**2, 0.06**2
    plain = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    own, truth = torch.from_numpy(maps)[:, None]
    everywhere = torch.ones(64, 64, dtype=torch.bool)
    compared = TrueMaps(truth, everywhere, 0.0, SpectrumBins(64, (64.0, 64.0), everywhere), 5)
    assert float(compared.similarity(own, 2.0).view(64, 64)[20, 20]) == pytest.approx(plain, rel=1e-9)


def test_similarity_in_blocks_is_that_of_the_whole_map():
    torch.manual_seed(0)
    truth, own = torch.randn(2, 2, SIZE, SIZE) * (V < 0.4)
    maps = TrueMaps(truth, MASK, float(truth.std()), SpectrumBins(SIZE, (64.0, 64.0), MASK), 5)
    active = active_texels(truth, MASK, float(truth.std()), 5).numpy()
    whole = []
    for one, other, chosen in zip(own.numpy(), truth.numpy(), active, strict=True):
        padded = (np.pad(one, 8), np.pad(other, 8))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
        texels = structural_similarity(*padded, data_range=2.0, **options)[1][8:-8, 8:-8]
        whole.append(texels[chosen])
    assert 0 < maps.active.sum() < truth.numel() / 2
    assert float(maps.similarity(own, 2.0).sum()) == pytest.approx(
        float(np.concatenate(whole).sum()), rel=1e-5
    )
    nothing = TrueMaps(torch.zeros_like(truth), MASK, 1.0, SpectrumBins(SIZE, (64.0, 64.0), MASK), 5)
    assert nothing.similarity(own, 2.0).numel() == 0


def test_only_texels_near_wrinkles_are_active():
    truth = torch.zeros(1, SIZE, SIZE)
    truth[:, 40:60] = 1.0
    active = active_texels(truth, MASK, float(truth.std()), 9)
    assert active[0, 50].all() and not active[0, 100].any()


def test_placement_follows_the_region_that_is_compressed():
    strain = torch.zeros(4, 3, GRID, GRID)
    squeeze = torch.tensor([0.0, 0.1, 0.2, 0.3])
    strain[:, 2, : GRID // 2] = -squeeze[:, None, None]
    changes = torch.zeros(4, 256, 256)
    changes[:, :128] = squeeze[:, None, None] * torch.sin(torch.arange(256) * 1.0)
    low, high = torch.zeros(256, 256), torch.zeros(256, 256)
    low[:128], high[128:] = 1, 1
    found = placement(changes, strain, {"low": low, "high": high})
    assert found["low"] > 0.99 and found["high"] == 0


def test_lines_across_the_compression_are_at_ninety_degrees():
    chart = build_chart(BilinearFace.default())
    strain = torch.zeros(1, 3, GRID, GRID)
    strain[:, 2] = -0.2  # compressed along v: lines should run along u
    at = (torch.arange(256) + 0.5) / 256
    # on the forehead: the chart is skewed at the sides of the head and at the nose
    place = torch.exp(-(((at - 0.79) / 0.06) ** 2))[:, None] * torch.exp(-(((at - 0.5) / 0.1) ** 2))
    along_u = (torch.sin(at * 200)[:, None] * place)[None]
    along_v = (torch.sin(at * 200) * place)[None]
    rest = torch.zeros(256, 256)
    assert (
        line_angles(along_u, rest, strain, chart).median() > 75
        and line_angles(along_v, rest, strain, chart).median() < 15
    )


def test_a_crease_that_flattens_is_no_forming_line():
    chart = build_chart(BilinearFace.default())
    strain = torch.zeros(1, 3, GRID, GRID)
    strain[:, 2] = -0.2
    v = (torch.arange(256) + 0.5) / 256
    crease = torch.sin(v * 200)[None].expand(256, -1) * torch.exp(-(((v[:, None] - 0.5) / 0.1) ** 2))
    assert len(line_angles(0.3 * crease[None], crease, strain, chart)) == 0
    assert len(line_angles(1.5 * crease[None], crease, strain, chart)) > 0


def test_locality_counts_only_what_a_still_region_does():
    maps, strain = torch.zeros(3, 256, 256), torch.zeros(3, 3, GRID, GRID)
    maps[1, :128] += 0.05
    strain[2] += 0.1
    maps[2] += 1.0
    low = torch.zeros(256, 256)
    low[:128] = 1
    assert locality(maps, strain, {"low": low}) == pytest.approx([0.05])
    assert single_units().shape == (53, 52) and single_units().sum() == 52


def test_persistence_smoothness_and_variety():
    torch.manual_seed(0)
    static = torch.randn(64, 64) * 0.02
    change = torch.zeros(2, 64, 64)
    change[:, :20] = 0.5
    found = persistence(static + change, static, change, torch.ones(64, 64, dtype=torch.bool))
    assert found == pytest.approx([1, 1], abs=1e-6)
    face = np.ones(52, np.float32)
    assert smoothness(
        lambda path: torch.from_numpy(path[:, :1, None]).expand(-1, 8, 8), face, 10
    ) == pytest.approx(1, abs=1e-3)
    jump = smoothness(
        lambda path: torch.from_numpy((path[:, :1, None] > 0.5) * 1.0).expand(-1, 8, 8), face, 10
    )
    assert jump == pytest.approx(10, rel=1e-3)
    mask = torch.ones(64, 64, dtype=torch.bool)
    one, other = torch.randn(2, 3, 64, 64)
    assert variety([one, one], mask) == pytest.approx(1, abs=1e-5) and abs(variety([one, other], mask)) < 0.1
    assert correlation(torch.ones(5), torch.randn(5)) == 0


def linear_maps(products: bool) -> MapSet:
    """Maps whose depth is a linear function of identity and expression, or of their product."""
    random = np.random.default_rng(0)
    identity, skin = (
        random.standard_normal((400, 3)).astype(np.float32),
        random.standard_normal((400, 16)).astype(np.float32),
    )
    expression = random.random((400, len(EXPRESSION_NAMES)), np.float32)
    depth = identity[:, :1] * (expression[:, :1] - 0.5) if products else identity[:, :1] + expression[:, :1]
    wave = np.sin(np.arange(64) * 0.9).reshape(1, 8, 8)
    return MapSet(
        (depth[:, :, None] * wave).astype(np.float16), identity, skin, expression, np.ones((8, 8), np.float32)
    )


@pytest.mark.parametrize("products", [False, True])
def test_ridge_learns_what_its_features_allow(products):
    maps = linear_maps(products)
    space = fit_principal_maps(maps, maps, 8, count=2)
    rebuilt = space.draw(space.coefficients)
    assert float((rebuilt - torch.from_numpy(maps.maps.astype(np.float32))).abs().max()) < 0.01
    condition = torch.from_numpy(np.concatenate([maps.identity, maps.skin], 1))
    errors = {}
    for with_products in (False, True):
        found = Ridge.fit(maps, space.coefficients, with_products)(
            condition[360:], torch.from_numpy(maps.expression[360:])
        )
        errors[with_products] = float(
            (found - space.coefficients[360:]).square().mean() / space.coefficients.var()
        )
    assert errors[products] < 0.1
    assert products is False or errors[False] > 0.5


@pytest.mark.train
@pytest.mark.slow
def test_the_multilayer_baseline_learns_on_unseen_people():
    maps = linear_maps(False)
    space = fit_principal_maps(maps, maps, 8, count=2)
    baseline = fit_multilayer(maps, space.coefficients, minutes=10, hidden=32, steps=600)
    given = torch.from_numpy(np.concatenate([maps.identity, maps.skin, maps.expression], 1))[360:]
    with torch.no_grad():
        assert float((baseline(given) - space.coefficients[360:]).square().mean()) < 0.5 * float(
            space.coefficients.var()
        )


def test_everybody_makes_the_same_faces_and_cards_take_the_figures(tmp_path):
    faces = held_out_expressions(20)
    assert faces.shape == (20, 52)
    np.testing.assert_array_equal(faces, held_out_expressions(20))
    row = {"psnr_db": 30.0, "ssim": 0.8, "spectrum_worst_octave_db": -1.0}
    figures = {
        **row, "spectrum_octaves_db": [-1.0], "baselines": {"zero": row}, "placement": {"chin": 0.9},
        "placement_truth": {"chin": 0.9},
        "direction_deg": 80.0, "direction_deg_truth": 81.0, "locality_mm": 0.01, "persistence": 0.99,
        "smoothness": 2.0, "variety": 0.4,
        "variety_seeds": 0.5, "distilled": {**row, "ms": 5.0, "mb": 14.0}, "parameters": {"ours": 5},
        "n_inversion": 2,
        "basis": {"k": 9, "psnr_db": 48.5, "mb_per_minute": 20.0, "mb_per_minute_image_sequence": 3600.0,
        "frames": 100},
        "peak_mm": 1.0, "deviation_mm": 0.03, "n_identities": 40, "n_expressions": 20, "resolution": 1024,
    }  # fmt: skip
    card = tmp_path / "dnpm.md"
    card.write_text("# DNPM\n\n## Evaluation\n\nold\n")
    note_evaluation(card, card_text(figures))
    text = card.read_text()
    assert text.startswith("# DNPM") and "| zero | 30.00 | 0.800 | -1.00 |" in text and "old" not in text
    with pytest.raises(UserError, match=r"missing\.md"):
        note_evaluation(tmp_path / "missing.md", "")


@pytest.mark.train
@pytest.mark.slow
def test_a_vertex_encoder_learns_the_latents_of_its_teacher():
    face = BilinearFace.default()
    torch.manual_seed(0)
    generator = GeneratorConfig(resolution=32, latent_width=16, channel_base=128, channel_most=8)
    encoder = DetailEncoder(
        EncoderConfig(identity_size=face.identity_size, hidden=64, latent_width=16, styles=(4, 2, 2))
    )
    model = Detailed3DMM(DisplacementGenerator(generator), encoder)
    random = np.random.default_rng(0)
    identity = random.standard_normal((30, face.identity_size)).astype(np.float32).repeat(6, 0)
    skin = random.standard_normal((30, 16)).astype(np.float32).repeat(6, 0)
    expression = random.random((180, len(EXPRESSION_NAMES)), np.float32)
    maps = MapSet(
        np.zeros((180, 32, 32), np.float16), identity, skin, expression, np.ones((32, 32), np.float32)
    )

    def missed(steps: int) -> float:
        baseline = fit_vertex_baseline(model, face, maps, 60, minutes=10, steps=steps)
        own = baseline.displacement(model, identity[0], skin[0], expression[:6], 32)
        truth = model.displacement(identity[:6], skin[:6], expression[:6], 32)
        assert own.shape == (6, 32, 32) and len(baseline.chosen) == 60
        return float(np.square(own - truth).mean() / truth.var())

    assert missed(200) < 0.5 * missed(1)


def test_a_clip_speaks_and_then_walks_through_faces():
    faces = held_out_expressions(3)
    clip = clip_of(faces)
    assert clip.shape[1] == 52 and len(clip) > 60
    for face in faces:
        assert np.abs(clip - face).max(1).min() < 1e-6
    assert clip[:60, EXPRESSION_NAMES.index("jawOpen")].max() > 0.1


@pytest.mark.parametrize("option", ["--baseline-minutes", "--rival-minutes"])
def test_the_old_name_of_an_option_is_understood(option):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args([option, "0.5"]).baseline_minutes == 0.5
