"""From pigments to colour: reflectance of layered skin, linear sRGB, CIELAB, the typology angle.

Skin is four layers: the horny layer, the epidermis with melanin, the upper dermis with blood, and what lies
under it with veins or hair roots, without end. Carotene is in all. Light goes up and down in each after
Kubelka and Munk; the surface sends part of it back in.

Sources: Kubelka 1948, "New contributions to the optics of intensely light-scattering materials", J. Opt. Soc.
Am. 38; coefficients from absorption and reduced scattering (K = 2 mu_a, S = 3/4 mu_s'): van Gemert and Star
1987, "Relations between the Kubelka-Munk and the transport equation models for anisotropic scattering"; the
surface: Saunderson 1942. Skin as such layers: Anderson and Parrish 1981, "The optics of human skin"; Doi and
Tominaga 2003, "Spectral estimation of human skin color using the Kubelka-Munk theory". Veins and hair under
the dermis look blue because it sends blue back before: Kienle et al. 1996, "Why do veins appear blue?".
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from . import spectra

MOST_MELANIN, MOST_BLOOD, LEAST_OXYGEN = 0.6, 0.2, 0.3
_GRID = (33, 21, 5)  # melanin, blood, oxygenation
UPPER_DERMIS_MM = 0.35
EPIDERMIS_MM = 0.06
HORNY_MM = 0.01
_HORNY_SCATTERING = 0.6  # times the dermis's
_SURFACE_IN, _SURFACE_BACK = 0.028, 0.529  # reflected at the skin's surface (n = 1.4): from outside, inside
_DEEP_OXYGEN = 0.35


@functools.cache
def _tables(device: torch.device) -> dict[str, Tensor]:
    oxygenated, deoxygenated = spectra.blood_absorption()
    arrays = {
        "eumelanin": spectra.eumelanin_absorption(),
        "pheomelanin": spectra.pheomelanin_absorption(),
        "oxygenated": oxygenated,
        "deoxygenated": deoxygenated,
        "carotene": spectra.carotene_absorption(),
        "background": spectra.background_absorption(),
        "scattering": 0.75 * spectra.reduced_scattering(),
        "observer": spectra.observer_weights(),
    }
    return {name: torch.from_numpy(values).float().to(device) for name, values in arrays.items()}


def _layer(absorption: Tensor, scattering: Tensor, thickness: float) -> tuple[Tensor, Tensor]:
    """Reflectance and transmittance of a layer; absorption (..., 31) 1 / mm, its thickness in mm."""
    loss = 2 * absorption
    root = torch.sqrt(loss * (loss + 2 * scattering)) + 1e-6
    fall = torch.exp(-2 * root * thickness)
    below = (loss + scattering) * (1 - fall) + root * (1 + fall)
    return scattering * (1 - fall) / below, 2 * root * torch.sqrt(fall) / below


class Chromophores(NamedTuple):
    """The contents of skin that colour it; all values broadcast, (...).

    Attributes:
        melanin: volume fraction of melanosomes in the epidermis, 0 to 0.6.
        blood: volume fraction of blood in the upper dermis, 0 to 0.2.
        oxygen: its oxygenation, 0 to 1.
        blend: share of eumelanin, the rest is pheomelanin.
        carotene: micromoles a litre.
        veins: volume fraction of blood, 35 % of it oxygenated, in the deeper dermis beyond the upper one's.
        hair: volume fraction of melanosomes in the deeper dermis.
        density: factor on the scattering; people lie at .65 to 1.5 times their mean (Jacques 2013, table 1).
    """

    melanin: Tensor
    blood: Tensor
    oxygen: Tensor
    blend: Tensor
    carotene: Tensor
    veins: Tensor | float = 0.0
    hair: Tensor | float = 0.0
    density: Tensor | float = 1.0


def reflectance(skin: Chromophores) -> Tensor:
    """Diffuse reflectance (..., 31) of skin in 0..1, without what the surface mirrors."""
    table = _tables(skin.melanin.device)
    melanin, blood, oxygen, blend, carotene, veins, hair, density = (
        value.unsqueeze(-1) if isinstance(value, Tensor) else value for value in skin
    )
    scattering = density * table["scattering"]
    pigment = blend * table["eumelanin"] + (1 - blend) * table["pheomelanin"]
    base = table["background"] + carotene * table["carotene"]
    red = oxygen * table["oxygenated"] + (1 - oxygen) * table["deoxygenated"]
    dark = _DEEP_OXYGEN * table["oxygenated"] + (1 - _DEEP_OXYGEN) * table["deoxygenated"]
    deep = base + 0.6 * blood * red + veins * dark + hair * table["eumelanin"]
    ratio = 2 * deep / scattering
    out = 1 + ratio - torch.sqrt(ratio * (ratio + 2))
    layers = (
        (base + blood * red, scattering, UPPER_DERMIS_MM),
        (base + melanin * pigment, scattering, EPIDERMIS_MM),
        (base, _HORNY_SCATTERING * scattering, HORNY_MM),
    )
    for absorption, strength, thickness in layers:
        back, through = _layer(absorption, strength, thickness)
        out = back + through**2 * out / (1 - back * out)
    return (1 - _SURFACE_IN) * (1 - _SURFACE_BACK) * out / (1 - _SURFACE_BACK * out)


def skin_colour(skin: Chromophores) -> Tensor:
    """Returns linear sRGB (..., 3) of skin under D65."""
    spectrum = reflectance(skin)
    return (spectrum @ _tables(spectrum.device)["observer"]).clamp_min(0.001)


def cielab(linear: Tensor) -> Tensor:
    """Returns CIELAB under D65 of linear sRGB, both (..., 3).

    Source: IEC 61966-2-1, CIE 15.
    """
    to_xyz = torch.tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]], device=linear.device, dtype=linear.dtype,
    )  # fmt: skip
    share = linear @ (to_xyz / to_xyz.sum(1, keepdim=True)).T
    root = torch.where(
        share > (6 / 29) ** 3,
        share.clamp_min(1e-6) ** (1 / 3),
        share / (3 * (6 / 29) ** 2) + 4 / 29,
    )
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def typology_angle(linear: Tensor) -> Tensor:
    """Returns the individual typology angle, degrees, of linear sRGB (..., 3): (...).

    Source: Chardon et al. 1991, "Skin colour typology and suntanning pathways", Int. J. Cosmet. Sci. 13. For
    b > 0, as in all skin; a quarter turn at b = 0.
    """
    lightness, _, yellow = cielab(linear).unbind(-1)
    return torch.rad2deg(torch.atan2(lightness - 50, yellow.clamp_min(1e-3)))


@dataclass(frozen=True)
class ColourTable:
    """The colours of some people's skin over their pigments.

    Attributes:
        colours: (B, 3, oxygenation, blood, melanin) square roots of linear sRGB.
        veins, hair, carotene: (B, 3, 2) logarithm of what a unit of each, beyond the person's own, leaves of
            the colour: linear, square term.
    """

    colours: Tensor
    veins: Tensor
    hair: Tensor
    carotene: Tensor

    def lookup(
        self, melanin: Tensor, blood: Tensor, oxygen: Tensor, veins: Tensor, hair: Tensor, carotene: Tensor
    ) -> Tensor:
        """Returns linear sRGB (B, 3, H, W) of pigments (B, H, W).

        Veins and hair are in units, 0 to 1; carotene, -0.5 to 1, is what differs from the person's own.
        """
        at = torch.stack(
            [
                2 * (melanin.clamp(0, MOST_MELANIN) / MOST_MELANIN).sqrt() - 1,
                2 * (blood.clamp(0, MOST_BLOOD) / MOST_BLOOD).sqrt() - 1,
                2 * (oxygen.clamp(LEAST_OXYGEN, 1) - LEAST_OXYGEN) / (1 - LEAST_OXYGEN) - 1,
            ],
            -1,
        )
        colour = functional.grid_sample(
            self.colours, at[:, None], mode="bilinear", padding_mode="border", align_corners=True
        )[:, :, 0]
        left = torch.zeros_like(colour)
        for amount, curve in ((veins, self.veins), (hair, self.hair), (carotene, self.carotene)):
            amount = amount[:, None]
            left = left + amount * (curve[:, :, :1, None] + curve[:, :, 1:, None] * amount)
        stubs = 1 - STUBS * hair[:, None]
        return colour.square() * stubs * torch.exp(left)


VEIN_UNIT, HAIR_UNIT, CAROTENE_UNIT = 0.10, 0.008, 3.0
"""Volume fractions in the deeper dermis, micromoles a litre."""
STUBS = 0.40
"""Share of the surface that the cut ends of a unit of hair cover; they are black."""


def colour_table(blend: Tensor, carotene: Tensor, density: Tensor) -> ColourTable:
    """Tabulates the colours of B people's skin.

    Args:
        blend: (B,) share of eumelanin.
        carotene: (B,) micromoles a litre.
        density: (B,) factor on the scattering.
    """
    melanin, blood, oxygen = _axes(blend.device)
    grid = (melanin[None, None], blood[None, :, None], oxygen[:, None, None])
    blend, carotene, density = (value[:, None, None, None] for value in (blend, carotene, density))
    colours = skin_colour(Chromophores(*grid, blend, carotene, density=density))  # (B, o, b, m, 3)
    curves = []
    some = [blend.new_full((1, 1, 1, 1), value) for value in (0.03, 0.02, 0.75)]
    plain = Chromophores(some[0], some[1], some[2], blend, carotene, density=density)
    colour = skin_colour(plain).log()  # (B, 1, 1, 1, 3)
    for veins, hair, more in ((VEIN_UNIT, 0, 0), (0, HAIR_UNIT, 0), (0, 0, CAROTENE_UNIT)):
        half, full = (
            skin_colour(
                plain._replace(carotene=carotene + share * more, veins=share * veins, hair=share * hair)
            ).log()
            - colour
            for share in (0.5, 1.0)
        )
        square = 2 * full - 4 * half
        curves.append(torch.stack([full - square, square], -1)[:, 0, 0, 0])
    return ColourTable(colours.permute(0, 4, 1, 2, 3).sqrt().contiguous(), *curves)


@functools.cache
def _axes(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    steps = [torch.linspace(0, 1, count, device=device) for count in _GRID]
    return (
        MOST_MELANIN * steps[0] ** 2,
        MOST_BLOOD * steps[1] ** 2,
        LEAST_OXYGEN + (1 - LEAST_OXYGEN) * steps[2],
    )


def melanin_of_tone(
    tone: Tensor, blood: Tensor, oxygen: Tensor, blend: Tensor, carotene: Tensor, density: Tensor
) -> Tensor:
    """Finds the melanin that gives skin a typology angle.

    Args:
        tone: (B,) degrees.
        blood, oxygen, blend, carotene, density: (B,) the other properties.

    Returns:
        (B,) volume fraction, at the end of its range where no amount gives the tone.
    """
    fine = torch.linspace(0, 1, 129, device=tone.device)
    melanin = MOST_MELANIN * fine[None] ** 2
    blood, oxygen, blend, carotene, density = (
        value[:, None] for value in (blood, oxygen, blend, carotene, density)
    )
    angle = typology_angle(
        skin_colour(Chromophores(melanin, blood, oxygen, blend, carotene, density=density))
    )
    angle = torch.cummin(angle, 1).values
    above = (angle > tone[:, None]).sum(1).clamp(1, len(fine) - 1)
    high, low = (angle.gather(1, index[:, None])[:, 0] for index in (above - 1, above))
    share = ((high - tone) / (high - low).clamp_min(1e-4)).clamp(0, 1)
    root = (above - 1 + share) / (len(fine) - 1)
    return MOST_MELANIN * root**2
