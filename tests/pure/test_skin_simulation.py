"""Simulated skin: strain, buckling, profiles, and maps that are smooth in person and expression."""

import json
import math

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.skin_vector import YEARS_PER_SKIN_AGE, sample_skin
from ml_backend.simulation.relief.crease_fields import noise_field, solve_creases
from ml_backend.simulation.relief.skin_simulation import SkinSimulation, spline_matrix
from ml_backend.simulation.relief.strain import (
    compression_across,
    displacement_gradients,
    green_strain,
    principal_compression,
    tangent_frames,
)
from ml_backend.simulation.relief.wrinkle_profile import depth_response, fold_profile, wrinkle_profile

RAISE = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")
SMILE = (
    "mouthSmileLeft",
    "mouthSmileRight",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeSquintLeft",
    "eyeSquintRight",
)


def expression(*units: str, strength: float = 1.0) -> torch.Tensor:
    row = torch.zeros(len(EXPRESSION_NAMES))
    for unit in units:
        row[EXPRESSION_NAMES.index(unit)] = strength
    return row


def power_direction_and_wavelength(field: torch.Tensor) -> tuple[float, float]:
    """Returns the angle of the lines (degrees, 0 along columns) and the wavelength (cells) of a field."""
    power = torch.fft.fft2(field - field.mean()).abs() ** 2
    rows = torch.fft.fftfreq(field.shape[0])[:, None].expand_as(power)
    columns = torch.fft.fftfreq(field.shape[1])[None].expand_as(power)
    normal = 0.5 * math.atan2(
        float((power * 2 * rows * columns).sum()), float((power * (columns**2 - rows**2)).sum())
    )
    radius = float((power * torch.sqrt(rows**2 + columns**2)).sum() / power.sum())
    return math.degrees(normal + math.pi / 2) % 180, 1 / radius


@pytest.mark.parametrize("degrees", [0, 35, 90, 140])
@pytest.mark.parametrize("anisotropy", [0.4, 0.7, 1.0])
def test_creases_run_along_their_direction(degrees, anisotropy):
    angle = math.radians(degrees)
    direction = torch.tensor([math.cos(angle), math.sin(angle)])[None, :, None, None].expand(1, 2, 96, 96)
    field = solve_creases(0.3 * noise_field(3, (1, 96, 96)), direction, 9.0, anisotropy)[0]
    found, _ = power_direction_and_wavelength(field)
    assert abs((found - degrees + 90) % 180 - 90) < 8


@pytest.mark.parametrize("wavelength", [7.0, 9.0, 12.0])
def test_creases_have_the_wavelength_of_the_skin(wavelength):
    direction = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 108, 108)
    field = solve_creases(0.3 * noise_field(5, (1, 108, 108)), direction, wavelength)[0]
    assert power_direction_and_wavelength(field)[1] == pytest.approx(wavelength, rel=0.12)


def test_solver_is_mirror_symmetric():
    start = 0.3 * noise_field(1, (1, 64, 80))
    angle = 0.5 * noise_field(2, (1, 64, 80), (8.0, 8.0))
    direction = torch.stack([torch.cos(angle), torch.sin(angle)], 1)
    mirrored = torch.stack([-torch.cos(angle), torch.sin(angle)], 1).flip(3)
    there = solve_creases(start, direction, 9.0, steps=40).flip(2)
    back = solve_creases(start.flip(2), mirrored, 9.0, steps=40)
    assert torch.allclose(there, back, atol=1e-3)


def test_solver_refuses_what_it_cannot_solve():
    start, direction = torch.zeros(1, 16, 16), torch.zeros(1, 2, 16, 16)
    with pytest.raises(ValueError, match="anisotropy"):
        solve_creases(start, direction, 9.0, anisotropy=2.0)
    with pytest.raises(ValueError, match="wavelength"):
        solve_creases(start, direction, 3.0)


def test_strain_of_a_known_deformation():
    random = np.random.default_rng(0)
    corners = random.normal(size=(50, 3, 3))
    uv = random.normal(size=(50, 3, 2))
    frames, jacobian = tangent_frames(corners, uv)
    edges = corners[:, 1] - corners[:, 0]
    uv_edges = uv[:, 1] - uv[:, 0]
    assert np.allclose((frames @ edges[:, :, None])[:, :2, 0], (jacobian @ uv_edges[:, :, None])[:, :, 0])
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    rigid = green_strain(
        torch.from_numpy(
            displacement_gradients(corners, (corners @ turn.T + 3 - corners)[None], frames)[..., None]
        )
    )
    assert rigid.abs().max() < 1e-4
    halved = corners * 0.5 - corners
    strain = green_strain(torch.from_numpy(displacement_gradients(corners, halved[None], frames)[..., None]))
    assert (
        torch.allclose(strain[0, [0, 2]], torch.tensor(-0.375), atol=1e-4) and strain[0, 1].abs().max() < 1e-4
    )


def test_compression_and_its_direction():
    strain = torch.tensor([-0.2, 0.0, 0.1]).view(3, 1, 1)
    size, angle = principal_compression(strain)
    assert float(size) == pytest.approx(0.2, abs=1e-5) and abs(math.sin(float(angle))) < 1e-5
    across = compression_across(
        strain, torch.full((1, 1), math.pi / 2)
    )  # upright creases, squeezed from the sides
    assert float(across) == pytest.approx(0.2, abs=1e-6)


def test_profiles():
    stripes = torch.linspace(-1, 1, 201)
    relief = wrinkle_profile(stripes)
    assert relief[100].abs() < 1e-6 and relief[-1] < -0.5 and 0 < relief[0] < 0.5
    assert (relief < relief.min() / 2).float().mean() < (
        relief > relief.min() / 2
    ).float().mean()  # the valley is narrow
    fold = fold_profile(torch.linspace(-20, 20, 401), 1.8, 0.4, 6.0)
    assert abs(float(fold.argmin()) - 200) < 12 and fold[201:].max() > 0.1 and fold[:190].max() < 0.05
    response = depth_response(torch.linspace(-1, 2, 301), 0.1, 0.6)
    assert (response.diff() >= 0).all() and response[0] < 1e-4 and response[-1] < 1


def test_spline_interpolation_keeps_constants_and_ramps():
    matrix = spline_matrix(32, 128, 16, 112)
    assert torch.allclose(matrix.sum(1), torch.ones(96), atol=1e-5)
    ramp = matrix @ (torch.arange(32) + 0.5)
    assert torch.allclose(ramp, (torch.arange(16, 112) + 0.5) / 4, atol=1e-4)


@pytest.fixture(scope="module")
def face():
    return BilinearFace.default()


@pytest.fixture(scope="module")
def simulation(face):
    return SkinSimulation(face, resolution=256)


@pytest.fixture(scope="module")
def states(face, simulation):
    return simulation.prepare(*people(face, (1, 2)))


def people(face, seeds):
    return torch.from_numpy(np.stack([face.sample_identity(s) for s in seeds])), torch.from_numpy(
        np.stack([sample_skin(s) for s in seeds])
    )


def maps(simulation, states, *rows):
    return simulation.displacement(states, torch.stack(rows)[None].expand(len(states), -1, -1))


@pytest.mark.slow
def test_maps_are_plausible_and_in_place(simulation, states):
    neutral, raised = maps(simulation, states, torch.zeros(52), expression(*RAISE)).unbind(1)
    assert torch.isfinite(raised).all() and raised.abs().max() < 4
    change = (raised - neutral).square()
    assert change.sqrt().amax((1, 2)).min() > 0.15
    assert (change[:, 128:].sum((1, 2)) / change.sum((1, 2))).min() > 0.7
    assert (neutral[0] - neutral[1]).square().mean().sqrt() > 0.005
    border = torch.cat([raised[:, 0], raised[:, -1], raised[:, :, 0], raised[:, :, -1]], 1)
    assert border.abs().max() < 0.02


@pytest.mark.slow
def test_left_and_right_act_alone(simulation, states):
    neutral, left = maps(
        simulation, states, torch.zeros(52), expression("eyeSquintLeft", "cheekSquintLeft")
    ).unbind(1)
    change = (left - neutral).square().sum((0, 1))
    assert change[128:].sum() > 20 * change[:128].sum()


@pytest.mark.slow
def test_units_that_move_nothing_change_nothing(simulation, states):
    neutral, tongue, smile = maps(
        simulation, states, torch.zeros(52), expression("tongueOut"), expression(*SMILE)
    ).unbind(1)
    assert (tongue - neutral)[:, 128:].square().mean().sqrt() < 0.002
    assert (smile - neutral)[:, 200:].square().mean().sqrt() < 0.004


@pytest.mark.slow
def test_same_input_same_map_alone_or_in_a_batch(face, simulation, states):
    rows = torch.stack([expression(*SMILE), expression("jawOpen")])
    again = SkinSimulation(face, resolution=256, mean_skin=simulation.mean_skin)
    one = again.displacement(again.prepare(*people(face, (2,))), rows[None])
    assert torch.allclose(one[0], maps(simulation, states, *rows)[1], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "units", [RAISE, SMILE, ("browDownLeft", "browDownRight", "noseSneerLeft", "noseSneerRight")]
)
def test_smooth_in_expression(simulation, states, units):
    path = [expression(*units, strength=float(s)) for s in np.linspace(0, 1, 25)]
    steps = maps(simulation, states, *path).diff(dim=1).square().mean((2, 3)).sqrt()
    assert (steps.amax(1) / steps.mean(1)).max() < 3


@pytest.mark.slow
def test_smooth_in_the_person(face, simulation):
    (first, second), (skin, other) = people(face, (3, 4))
    shares = torch.linspace(0, 1, 9)[:, None]
    state = simulation.prepare(first + shares * (second - first), skin + shares * (other - skin))
    row = expression(*RAISE)
    made = simulation.displacement(state, row[None, None].expand(9, -1, -1))[:, 0]
    steps = made.diff(dim=0).square().mean((1, 2)).sqrt()
    assert steps.max() < 3 * steps.mean()


@pytest.mark.slow
def test_age_deepens_creases(face, simulation):
    identity = torch.zeros(2, face.identity_size)
    skin = torch.zeros(2, 16)
    skin[:, 0] = torch.tensor([-2.0, 2.0])
    state = simulation.prepare(identity, skin)
    neutral, raised = maps(simulation, state, torch.zeros(52), expression(*RAISE)).unbind(1)
    young, old = (raised - neutral).square().mean((1, 2)).sqrt()
    assert old > 1.2 * young
    assert neutral[1].square().mean() > 1.5 * neutral[0].square().mean()


@pytest.mark.slow
def test_resolutions_agree(face, simulation, states):
    finer = SkinSimulation(face, resolution=512, mean_skin=simulation.mean_skin)
    row = expression(*RAISE)[None, None]
    fine = finer.displacement(finer.prepare(*people(face, (1,))), row)
    small = torch.nn.functional.avg_pool2d(fine, 2)[0, 0]
    coarse = simulation.displacement(states, row.expand(2, -1, -1))[0, 0]
    both = torch.stack([small[simulation.mask], coarse[simulation.mask]])
    assert float(torch.corrcoef(both)[0, 1]) > 0.97


@pytest.mark.slow
def test_wrong_shapes_are_refused(face, simulation, states):
    with pytest.raises(ValueError, match="expected"):
        simulation.prepare(torch.zeros(1, 3), torch.zeros(1, 16))
    with pytest.raises(ValueError, match="expected"):
        simulation.displacement(states, torch.zeros(1, 1, 52))
    with pytest.raises(ValueError, match="resolution"):
        SkinSimulation(face, resolution=300)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_graphics_processor_agrees(face, simulation, states):
    other = SkinSimulation(face, resolution=256, device="cuda", mean_skin=simulation.mean_skin)
    row = expression(*SMILE)[None, None].expand(2, -1, -1)
    found = other.displacement(other.prepare(*people(face, (1, 2))), row).cpu()
    assert torch.allclose(found, simulation.displacement(states, row), atol=1e-3)


@pytest.mark.slow
def test_command_writes_maps_people_and_sheet_the_same_as_before(face, simulation, tmp_path, capsys):
    out = tmp_path / "set"
    command = [
        "simulate",
        "--count",
        "1",
        "--expressions",
        "2",
        "--seed",
        "5",
        "--resolution",
        "256",
        "--out",
        str(out),
        "--sheet",
        "--json",
    ]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    stored, rows = np.load(out / "maps.npy"), np.load(out / "people.npz", allow_pickle=False)
    assert stored.shape == (2, 256, 256) and told["maps"] == 2 and (out / "sheet.png").stat().st_size > 1000
    assert (
        rows["expression"].shape == (2, 52)
        and not rows["expression"][0].any()
        and rows["skin"].shape == (2, 16)
    )
    shown = torch.from_numpy(rows["expression"])[None]
    assert (
        np.abs(
            simulation.displacement(simulation.prepare(*people(face, (5,))), shown)[0].numpy() - stored
        ).max()
        < 2e-3
    )


def test_command_names_a_wrong_folder(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["simulate", "--count", "1", "--out", str(blocked)]) == 2
    assert "file" in capsys.readouterr().err


def chart_texels(simulation, across, up):
    """(R, R) bool: skin whose distance from the middle and whose height lie in the ranges, millimetres."""
    chart = simulation.mean_skin.chart
    size = (simulation.resolution, simulation.resolution)
    fields = torch.stack([chart.across.abs(), chart.up])[None]
    side, height = torch.nn.functional.interpolate(fields, size=size, mode="bilinear")[0]
    return simulation.mask & (side > across[0]) & (side < across[1]) & (height > up[0]) & (height < up[1])


@pytest.fixture(scope="module")
def ages(face, simulation):
    """Prepared skin of one person at 22 and at 70."""
    identity, skin = people(face, (1,))
    skin = skin.repeat(2, 1)
    own = float(face.age_years(identity[0].numpy()))
    skin[:, 0] = (torch.tensor([22.0, 70.0]) - own) / YEARS_PER_SKIN_AGE
    return simulation.prepare(identity.repeat(2, 1), skin)


@pytest.mark.slow
def test_crows_feet_only_when_the_orbicularis_acts(simulation, ages):
    neutral, lips, brows, squint = maps(
        simulation,
        ages,
        torch.zeros(52),
        expression("mouthSmileLeft", "mouthSmileRight"),
        expression("browDownLeft", "browDownRight"),
        expression("eyeSquintLeft", "eyeSquintRight", "cheekSquintLeft", "cheekSquintRight"),
    ).unbind(1)
    fan = chart_texels(simulation, (44, 66), (-14, 14))
    depth = [(made - neutral)[:, fan].square().mean(1).sqrt() for made in (lips, brows, squint)]
    assert (depth[2] > 6 * depth[0]).all() and (depth[2] > 6 * depth[1]).all()
    assert depth[0].max() < 0.008 and depth[1].max() < 0.008 and depth[2].min() > 0.012


@pytest.mark.slow
def test_young_face_at_rest_is_calm_and_an_old_one_is_not(simulation, ages):
    creases = maps(simulation, ages, torch.zeros(52))[:, 0] - ages.static
    young, old = creases[:, simulation.mask].square().mean(1).sqrt()
    assert young < 0.006 and old > 5 * young
    assert creases[0].abs().max() < 0.1


@pytest.mark.slow
def test_old_face_at_rest_keeps_lines_of_its_expressions(simulation, ages):
    made = (
        maps(simulation, ages, torch.zeros(52), expression(*RAISE), expression(*SMILE)) - ages.static[:, None]
    )
    places = (chart_texels(simulation, (0, 45), (25, 60)), chart_texels(simulation, (18, 66), (-80, 14)))
    for number, place in enumerate(places):
        at_rest, full = made[:, 0][:, place], made[:, number + 1][:, place]
        share = (at_rest * full).sum(1) / full.square().sum(1)
        assert share[0] < 0.06 and 0.15 < share[1] < 0.55


@pytest.mark.slow
def test_nasolabial_fold_leaves_the_wing_and_fades(face, simulation):
    chart = simulation.mean_skin.chart
    laid = next(
        fold for fold in simulation.mean_skin.folds if fold.fold.name == "nasolabial" and fold.side == 1
    )
    on_line = (laid.distance.abs() < 1.2) & (laid.region > 0.02)
    top = chart.up[on_line & (laid.region > 0.5)].max()
    assert abs(float(top) - chart.wing[1]) < 6
    heights = [float(laid.region[on_line & ((chart.up - up).abs() < 3)].max()) for up in (-40, -58, -70, -78)]
    assert heights[0] > 0.8 and heights[1] > heights[2] > heights[3]


@pytest.mark.slow
def test_micro_relief_is_pits_and_furrows_not_bumps(ages, simulation):
    cheek = chart_texels(simulation, (22, 44), (-50, -25))
    heights = ages.static[0][cheek]
    skewness = ((heights - heights.mean()) / heights.std()).pow(3).mean()
    assert skewness < -0.05 and 0.005 < float(heights.std()) < 0.08
