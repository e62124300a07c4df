"""A small model of skin colour, made here in a second: these tests do not depend on the shipped one."""

from pathlib import Path

import numpy as np

SIZE = 64
PEOPLE = 70
_LIGHT, _DARK = np.array([0.66, 0.45, 0.36]), np.array([0.07, 0.034, 0.02])


def write_tiny_model(module, folder: Path) -> None:
    """Writes albedo model and sliders of 70 plain people: a tone, red cheeks, mottle of their own."""
    components = module("ml_backend.geometry.linear_models").PrincipalComponents
    albedo = module("ml_backend.models.skin.albedo_model")
    sliders = module("ml_backend.models.skin.skin_sliders")
    srgb = module("ml_backend.geometry.srgb")
    traits_of = module("ml_backend.models.skin.live_skin").TRAITS
    angle = module("ml_backend.geometry.cielab").typology_angle
    resample = module("ml_backend.geometry.map_resampling").resample
    random = np.random.default_rng(0)
    share = np.linspace(0, 1, PEOPLE)[:, None]
    colour = np.exp(np.log(_DARK) + share * (np.log(_LIGHT) - np.log(_DARK)))
    traits = {name: random.uniform(0, 1, PEOPLE) for name in traits_of}
    traits["age"] = random.uniform(18, 85, PEOPLE)
    linear = np.repeat(np.repeat(colour[:, :, None, None], SIZE, 2), SIZE, 3)
    linear[:, 1:, 24:40, 20:44] *= 1 - 0.25 * traits["redness"][:, None, None, None]
    mottle = resample(random.standard_normal((PEOPLE, 1, 8, 8)).astype(np.float32), SIZE)
    maps = srgb.to_srgb(linear * (1 + 0.03 * mottle)).astype(np.float32)
    groups, places = [], []
    for channel in range(3):
        rows = maps[:, channel].reshape(PEOPLE, -1).astype(np.float64)
        mean = rows.mean(0)
        u, s, v = np.linalg.svd(rows - mean, full_matrices=False)
        count = 16
        scale = s[:count] / np.sqrt(PEOPLE)
        groups.append(components(mean, v[:count], scale))
        places.append((u * s)[:, :count])
    mask = np.ones((SIZE, SIZE), bool)
    model = albedo.AlbedoModel.fit(groups, places, mask)
    region = np.zeros((SIZE, SIZE), bool)
    region[12:22, 10:54] = True
    found = np.stack([model.project(one) for one in maps])
    made = sliders.SkinSliders.fit(found, angle(colour.T), traits, region)
    model.write(folder / albedo.ALBEDO_FILE)
    made.write(folder / sliders.SKIN_SLIDERS_FILE)
