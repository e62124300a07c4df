"""The colour of a person's skin: from traits to a map of linear reflectance.

A smooth, deterministic function of the traits: a weighted sum of fixed fields gives each pigment, spots are
painted on it, the optics make colour of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.bilinear_face import BilinearFace
from ..relief.face_chart import FaceChart
from .pigment_chart import build_pigment_chart
from .pigment_noise import mix_weights, mixing, ridges, solid_noise
from .pigment_regions import beard_cover, region_fields, region_weights, spot_weight
from .pigment_spots import KINDS, spot_field
from .pigment_traits import TRAIT_NAMES, PigmentTraits
from .skin_optics import colour_table, melanin_of_tone

FIELDS = 6
OCTAVES = (1.5, 3.0, 6.0, 12.0, 26.0, 54.0)
"""Wavelengths of the noise, millimetres; a map of 1024 texels adds .75."""
FINEST = 0.75
MELANIN_NOISE = {0.75: 0.028, 1.5: 0.045, 3.0: 0.050, 6.0: 0.050, 12.0: 0.050, 26.0: 0.050, 54.0: 0.050}
BLOOD_NOISE = {0.75: 0.020, 1.5: 0.036, 3.0: 0.045, 6.0: 0.050, 12.0: 0.060, 26.0: 0.070, 54.0: 0.070}
OXYGEN_NOISE = {0.75: 0.015, 1.5: 0.025, 3.0: 0.025, 6.0: 0.020, 12.0: 0.015, 26.0: 0.015, 54.0: 0.010}
"""Deviation of the logarithm of melanin and of blood, and of the oxygenation, by octave. Source: the power by
octave and the covariance of MakeHuman's light skins, see `benchmarks.skin_colour_statistics`."""
BLOOD, OXYGEN = 0.0130, 0.75
"""Of the mean cheek. Source: blood 0.2 to 7 % of the dermis, 75 % oxygenated, Jacques's "Skin Optics"."""
CAROTENE = 0.8
"""Micromoles a litre. Source: some tenths to two in skin, Stahl et al. 1998, "Increased dermal carotenoid levels
assessed by noninvasive reflection spectrophotometry", J. Nutr. 128."""


class PigmentSimulation:
    """Simulated skin colour on one face model.

    Args:
        face: the face model.
        resolution: R of the maps, 256, 512 or 1024.
        device: where to compute.
        chart: the coarse chart of the same face (`MeanSkin.chart`), which saves a second.
    """

    def __init__(
        self, face: BilinearFace, resolution: int = 512, device: str = "cpu", chart: FaceChart | None = None
    ):
        if resolution not in (256, 512, 1024):
            raise ValueError(f"resolution {resolution} is not 256, 512 or 1024")
        self.resolution = resolution
        self.device = torch.device(device)
        self.chart = build_pigment_chart(face, resolution, chart)
        self.mask = self.chart.face.to(self.device)
        fields = region_fields(self.chart)
        self._octaves = (FINEST, *OCTAVES) if resolution == 1024 else OCTAVES[resolution == 256 :]
        noise = {
            wave: solid_noise(self.chart.place, wave, FIELDS, 1000 + round(100 * wave)) for wave in self._octaves
        }
        wobble = noise[3.0]
        self._spots = [
            _on_device(spot_field(kind, self.chart, spot_weight(kind.name, self.chart, fields), wobble[0]), self.device)
            for kind in KINDS
        ]
        dots = (1 + 0.55 * solid_noise(self.chart.place, 1.3, 1, 77)[0]).clamp_min(0.15)
        fields["beard"] = beard_cover(self.chart) * dots
        fields["brows"] = fields["brows"] * dots.clamp_max(1.6)
        self._names = list(fields)
        rough = (1 - 0.5 * self.chart.lips) * self.chart.seen
        basis = [*fields.values(), *(field * rough for wave in self._octaves for field in noise[wave])]
        basis.append(self._lip_streaks())
        self._basis = torch.stack(basis).flatten(1).to(self.device)  # (K, R R)
        self._capillaries = self._capillary_lines(fields).to(self.device)
        outputs = 3 * len(self._octaves)
        # the finest octave comes last, so that a map of another resolution mixes the others alike
        self._mixing = mixing(outputs, FIELDS, 8, 5).to(self.device)
        self._capillary_mixing = mixing(1, len(self._capillaries), 8, 6).to(self.device)
        both = _tone_region(self.chart).flatten()
        self._tone_region = (both / both.sum()).to(self.device)

    def _lip_streaks(self) -> Tensor:
        streaks = solid_noise(self.chart.place, 1.4, 1, 31, stretch=(1, 3, 4))[0]
        streaks = streaks + 0.7 * solid_noise(self.chart.place, 2.6, 1, 32, stretch=(1, 3, 4))[0]
        return streaks * self.chart.lips

    def _capillary_lines(self, fields: dict[str, Tensor]) -> Tensor:
        """Returns (4, R, R): fine red lines on nose and cheeks, where broad noise lets them."""
        where = (0.9 * fields["nose_tip"] + 0.5 * fields["nose"] + 0.75 * fields["apples"]).clamp(0, 1)
        lines = ridges(solid_noise(self.chart.place, 3.6, 4, 91), 0.13)
        gate = torch.sigmoid(3 * solid_noise(self.chart.place, 9.0, 4, 92) - 1.0)
        return lines * gate * where * self.chart.seen

    def albedo(self, people: Sequence[PigmentTraits]) -> Tensor:
        """Makes maps of B people.

        Args:
            people: their traits.

        Returns:
            (B, 3, R, R) float32 linear sRGB reflectance in 0..1, row 0 at v = 0. Inside mouth and sockets the
            colour goes on.
        """
        vectors = torch.stack([torch.from_numpy(person.vector()) for person in people]).to(self.device)
        return self.albedo_of(vectors)

    def albedo_of(self, vectors: Tensor) -> Tensor:
        """Makes maps of trait vectors (B, 23), `PigmentTraits.vector`, as `albedo` does."""
        traits = {name: vectors[:, number] for number, name in enumerate(TRAIT_NAMES)}
        seeds = vectors[:, len(TRAIT_NAMES) :]
        size = (len(vectors), self.resolution, self.resolution)
        pigment = (self._weights(traits, seeds) @ self._basis).view(len(vectors), 5, *size[1:])
        spots = {field.kind.name: field.paint(traits[field.kind.name], seeds) for field in self._spots}
        log_melanin, log_blood, oxygen, veins, hair = pigment.unbind(1)
        blend, carotene, blood = _constitution(traits)
        depth = self._tone_region
        mean_melanin, mean_blood, mean_oxygen = (
            (value.flatten(1) * depth).sum(1) for value in (log_melanin, log_blood, oxygen)
        )
        base = melanin_of_tone(
            traits["tone"], blood * mean_blood.exp(), OXYGEN + mean_oxygen, blend, carotene
        )
        melanin = (base - 1e-5).clamp_min(1e-5)[:, None, None] * torch.exp(log_melanin - mean_melanin[:, None, None])
        blood_map = blood[:, None, None] * torch.exp(log_blood)
        melanin, blood_map = _with_spots(melanin, blood_map, spots)
        lines = torch.einsum("bk,khw->bhw", mix_weights(self._capillary_mixing, seeds)[:, 0].square(), self._capillaries)
        blood_map = blood_map * (1 + 2.4 * traits["capillaries"][:, None, None] * lines)
        table = colour_table(blend, carotene)
        return table.lookup(
            melanin, blood_map, OXYGEN + oxygen, veins.clamp(0, 1), hair.clamp(0, 1)
        ).clamp(0, 1)

    def _weights(self, traits: dict[str, Tensor], seeds: Tensor) -> Tensor:
        """Returns (B, 5, K) weights of the basis."""
        regions = region_weights(traits, self._names)
        mottled = 1 + 0.7 * ((traits["age"] - 30) / 50).clamp(0, 1)
        count = len(self._octaves)
        mixed = mix_weights(self._mixing, seeds).view(len(seeds), 3, count, FIELDS)
        levels = torch.tensor(
            [[table[wave] for wave in self._octaves] for table in (MELANIN_NOISE, BLOOD_NOISE, OXYGEN_NOISE)],
            device=seeds.device,
        )
        noise = mixed * levels[None, :, :, None] * mottled[:, None, None, None]
        none = seeds.new_zeros(len(seeds), 2, count * FIELDS)
        streaks = seeds.new_tensor([0.10, 0.10, 0, 0, 0]).expand(len(seeds), 5)[..., None]
        return torch.cat([regions, torch.cat([noise.flatten(2), none], 1), streaks], 2)


def _tone_region(chart) -> Tensor:
    """Returns (R, R) 0 or 1: cheeks and forehead, where a tone is measured."""
    beside = chart.across.abs()
    cheek = ((beside - 42) / 12) ** 2 + ((chart.up + 36) / 10) ** 2 < 1
    forehead = (beside / 24) ** 2 + ((chart.up - 46) / 10) ** 2 < 1
    return ((cheek | forehead) & chart.face & (chart.behind < 75)).float()


def _constitution(traits: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns (B,) share of eumelanin, carotene and blood of a person.

    Very light skin is the skin of little blood and carotene, or no melanin would be light enough.
    """
    tone, under = traits["tone"], traits["undertone"]
    very_light = torch.exp(-torch.nn.functional.softplus((tone - 54) / 3) * 3 / 13)
    blend = (0.80 - 0.10 * ((tone - 30) / 30).clamp(-1, 1) + 0.06 * under).clamp(0, 1)
    old = ((traits["age"] - 30) / 50).clamp(0, 1)
    carotene = CAROTENE * torch.exp(0.9 * under + 0.25 * old) * very_light
    blood = BLOOD * torch.exp(0.40 * traits["redness"] - 0.22 * under + 0.08 * traits["sex"]) * very_light
    return blend, carotene, blood


def _with_spots(melanin: Tensor, blood: Tensor, spots: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Adds spots, (B, R, R) each, to melanin and blood (B, R, R)."""
    scar, blemish = spots["scars"].clamp_max(1), spots["blemishes"].clamp_max(1.5)
    melanin = melanin * (1 - 0.30 * scar) * (1 + 0.30 * blemish)
    blood = blood * (1 - 0.30 * scar) * (1 + 1.3 * blemish)
    freckle, sun = spots["freckles"].clamp_max(1.6), spots["age_spots"].clamp_max(1.4)
    melanin = melanin * (1 + 0.45 * freckle + 0.5 * sun) + 0.020 * freckle + 0.022 * sun
    mole = spots["moles"].clamp_max(1.2)
    return melanin * (1 + 0.5 * mole) + 0.16 * mole, blood * (1 + 0.5 * mole)


def _on_device(field, device: torch.device):
    import dataclasses

    moved = {
        item.name: getattr(field, item.name).to(device)
        for item in dataclasses.fields(field)
        if isinstance(getattr(field, item.name), Tensor)
    }
    return dataclasses.replace(field, **moved)
