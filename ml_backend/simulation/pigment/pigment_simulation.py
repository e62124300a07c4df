"""The colour of a person's skin: from traits to a map of linear reflectance.

A smooth, deterministic function of the traits: a weighted sum of fixed fields gives each pigment, spots are
painted on it, the optics make colour of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...models.bilinear_face import BilinearFace
from ..relief.face_chart import FaceChart
from .pigment_chart import PigmentChart, build_pigment_chart
from .pigment_noise import mix_weights, mixing, ridges, solid_noise
from .pigment_regions import beard_cover, region_fields, region_weights, spot_weight
from .pigment_spots import KINDS, spot_field
from .pigment_traits import TRAIT_NAMES, PigmentTraits
from .skin_optics import ColourTable, colour_table, melanin_of_tone, typology_angle

FIELDS = 6
OCTAVES = (1.5, 3.0, 6.0, 12.0, 26.0, 54.0)
"""Wavelengths of the noise, millimetres; a map of 1024 texels adds .75."""
FINEST = 0.75
MELANIN_NOISE = {0.75: 0.030, 1.5: 0.075, 3.0: 0.090, 6.0: 0.090, 12.0: 0.080, 26.0: 0.060, 54.0: 0.050}
BLOOD_NOISE = {0.75: 0.018, 1.5: 0.026, 3.0: 0.038, 6.0: 0.042, 12.0: 0.045, 26.0: 0.050, 54.0: 0.050}
OXYGEN_NOISE = {0.75: 0.022, 1.5: 0.030, 3.0: 0.035, 6.0: 0.033, 12.0: 0.020, 26.0: 0.012, 54.0: 0.010}
CAROTENE_NOISE = {0.75: 0.10, 1.5: 0.17, 3.0: 0.30, 6.0: 0.21, 12.0: 0.14, 26.0: 0.08, 54.0: 0.05}
"""Strength of the noise (deviation 0.75) in the logarithm of melanin and of blood, in the oxygenation and in
the carotene (units of 3 micromoles a litre), by octave.

Source: the covariance of each octave in MakeHuman's light skins, solved for the pigments with the optics'
slopes; see `benchmarks.skin_colour_statistics`."""
EVEN_MELANIN = 0.040
"""Melanin from which mottling is an amount rather than a share of it.

Source: MakeHuman's dark skins are as even in lightness as the light ones; a share would show six times as
much."""
BLOOD, OXYGEN = 0.0225, 0.75
"""Of the mean cheek. Source: blood 0.2 to 7 % of the dermis, 75 % oxygenated, Jacques's "Skin Optics"."""
CAROTENE = 0.8
"""Micromoles a litre. Source: some tenths to two in skin, Stahl et al. 1998, "Increased dermal carotenoid
levels assessed by noninvasive reflection spectrophotometry", J. Nutr. 128."""


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
            wave: solid_noise(self.chart.place, wave, FIELDS, 1000 + round(100 * wave))
            * _resolved(wave, self.chart)
            for wave in self._octaves
        }
        wobble = noise[3.0]
        self._spots = [
            spot_field(kind, self.chart, spot_weight(kind.name, self.chart, fields), wobble[0]).to(
                self.device
            )
            for kind in KINDS
        ]
        roots = solid_noise(self.chart.place, 1.3, 1, 77)[0] * _resolved(1.3, self.chart)
        dots = (1 + 0.55 * roots).clamp_min(0.15)
        tufts = 0.45 * wobble[1] + 0.40 * noise[6.0][1]
        fields["beard"] = beard_cover(self.chart) * (1 + 1.2 * roots + tufts).clamp_min(0.05)
        fields["brows"] = fields["brows"] * dots.clamp_max(1.6)
        fields["pores"] = self._pores(fields)
        self._names = list(fields)
        rough = (1 - 0.5 * self.chart.lips) * self.chart.seen
        basis = [*fields.values(), *(field * rough for wave in self._octaves for field in noise[wave])]
        basis.append(self._lip_streaks())
        self._basis = torch.stack(basis).flatten(1).to(self.device)  # (K, R R)
        self._capillaries = self._capillary_lines(fields).to(self.device)
        self._mixing = torch.cat(
            [mixing(4, FIELDS, 8, 500 + round(100 * wave)) for wave in self._octaves]
        ).to(self.device)
        self._capillary_mixing = mixing(1, len(self._capillaries), 8, 6).to(self.device)
        both = tone_region(self.chart).flatten()
        self._tone_region = (both / both.sum()).to(self.device)
        inside = torch.nonzero(both)[:, 0]
        self._tone_texels = inside[:: max(1, len(inside) // 1500)].to(self.device)

    def _lip_streaks(self) -> Tensor:
        streaks = solid_noise(self.chart.place, 1.4, 1, 31, stretch=(1, 3, 4))[0]
        streaks = streaks * _resolved(1.4, self.chart)
        streaks = streaks + 0.7 * solid_noise(self.chart.place, 2.6, 1, 32, stretch=(1, 3, 4))[0]
        return streaks * self.chart.lips

    def _pores(self, fields: dict[str, Tensor]) -> Tensor:
        """Returns (R, R): dark openings a millimetre and a half apart where glands are large."""
        where = (
            fields["nose_tip"] + 0.9 * fields["nose"] + 0.6 * fields["apples"] + 0.4 * fields["cheeks"]
            + 0.35 * fields["glabella"] + 0.3 * fields["forehead"] + 0.4 * fields["chin"]
        ).clamp(0, 1)  # fmt: skip
        openings = (solid_noise(self.chart.place, 1.6, 1, 78)[0] - 0.35).clamp_min(0)
        return openings * _resolved(1.6, self.chart) * where * (1 - self.chart.lips) * self.chart.seen

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
        blend, carotene, blood, density = _constitution(traits)
        usual = torch.full_like(blood, OXYGEN)
        rough = melanin_of_tone(traits["tone"], blood, usual, blend, carotene, density)
        pigment = (self._weights(traits, seeds, rough) @ self._basis).view(len(vectors), 6, *size[1:])
        spots = {field.kind.name: field.paint(traits[field.kind.name], seeds) for field in self._spots}
        log_melanin, log_blood, oxygen, veins, hair, yellow = pigment.unbind(1)
        depth = self._tone_region
        mean_melanin, mean_blood, mean_oxygen = (
            (value.flatten(1) * depth).sum(1) for value in (log_melanin, log_blood, oxygen)
        )
        near = melanin_of_tone(
            traits["tone"], blood * mean_blood.exp(), OXYGEN + mean_oxygen, blend, carotene, density
        )
        gain, offset, flush = _spot_effects(spots)
        gain = gain * torch.exp(log_melanin - mean_melanin[:, None, None])
        blood_map = blood[:, None, None] * torch.exp(log_blood) * flush
        lines = torch.einsum(
            "bk,khw->bhw", mix_weights(self._capillary_mixing, seeds)[:, 0].square(), self._capillaries
        )
        blood_map = blood_map * (1 + 2.4 * traits["capillaries"][:, None, None] * lines)
        table = colour_table(blend, carotene, density)
        others = (blood_map, OXYGEN + oxygen, veins.clamp(0, 1), hair.clamp(0, 1), yellow.clamp(-0.5, 1))
        base = self._exact_melanin(traits["tone"], near, gain, offset, others, table)
        return table.lookup(base[:, None, None] * gain + offset, *others).clamp(0, 1)

    def _exact_melanin(
        self,
        tone: Tensor,
        near: Tensor,
        gain: Tensor,
        offset: Tensor,
        others: tuple[Tensor, ...],
        table: ColourTable,
    ) -> Tensor:
        """Returns (B,) the melanin, near a guess, that makes the tone the median of cheek and forehead."""
        gain, offset, blood, oxygen, veins, hair, yellow = (
            field.flatten(1)[:, self._tone_texels] for field in (gain, offset, *others)
        )
        reach = torch.linspace(-0.10, 0.10, 21, device=tone.device)
        roots = (near[:, None].sqrt() + reach * (0.05 + near[:, None].sqrt())).clamp_min(0)  # (B, 21)
        melanin = roots[..., None].square() * gain[:, None] + offset[:, None]
        blood, oxygen, veins, hair, yellow = (
            field[:, None].expand_as(melanin) for field in (blood, oxygen, veins, hair, yellow)
        )
        colours = table.lookup(melanin, blood, oxygen, veins, hair, yellow)
        angle = typology_angle(colours.permute(0, 2, 3, 1)).median(-1).values
        angle = torch.cummin(angle, 1).values
        above = (angle > tone[:, None]).sum(1).clamp(1, len(reach) - 1)[:, None]
        high, low = angle.gather(1, above - 1), angle.gather(1, above)
        share = ((high - tone[:, None]) / (high - low).clamp_min(1e-3)).clamp(0, 1)
        first, second = roots.gather(1, above - 1), roots.gather(1, above)
        return (first + share * (second - first))[:, 0].square()

    def _weights(self, traits: dict[str, Tensor], seeds: Tensor, rough: Tensor) -> Tensor:
        """Returns (B, 6, K) weights of the basis; `rough` (B,) is about the melanin of the person."""
        mottled = 1 + 0.45 * ((traits["age"] - 30) / 50).clamp(0, 1)
        count = len(self._octaves)
        mixed = mix_weights(self._mixing, seeds).view(len(seeds), count, 4, FIELDS).transpose(1, 2)
        tables = (MELANIN_NOISE, BLOOD_NOISE, OXYGEN_NOISE, CAROTENE_NOISE)
        levels = seeds.new_tensor([[table[wave] for wave in self._octaves] for table in tables])
        even = 1 / (1 + rough / EVEN_MELANIN)
        regions = region_weights(traits, self._names, even)
        one = torch.ones_like(even)
        blotched = 1 + 3.2 * (1 - even)  # blood shows less through melanin
        share = torch.stack([1.21 * even * mottled, blotched * mottled, blotched, one], 1)
        mixed = torch.cat([mixed[:, :3], 0.8 * mixed[:, 3:] + 0.6 * mixed[:, :1]], 1)  # yellow goes with dark
        noise = (mixed * levels[None, :, :, None] * share[:, :, None, None]).flatten(2)
        none = torch.zeros_like(noise[:, :1])
        noise = torch.cat([noise[:, :3], none, none, noise[:, 3:]], 1)
        streaks = torch.stack([0.12 + 0.2 * even, 0.20 * one, *(4 * [0 * one])], 1)[..., None]
        return torch.cat([regions, noise, streaks], 2)


def _resolved(wavelength: float, chart: PigmentChart) -> Tensor:
    """Returns (R, R): 0 where texels are too large for a wavelength, 1 from two and a half texels on."""
    return (wavelength / chart.texel - 1.5).clamp(0, 1)


def tone_region(chart: PigmentChart) -> Tensor:
    """Returns (R, R) 0 or 1: cheeks and forehead, where a tone is measured."""
    beside = chart.across.abs()
    cheek = ((beside - 42) / 12) ** 2 + ((chart.up + 36) / 10) ** 2 < 1
    forehead = (beside / 24) ** 2 + ((chart.up - 46) / 10) ** 2 < 1
    return ((cheek | forehead) & chart.face & (chart.behind < 75)).float()


def _constitution(traits: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns (B,) share of eumelanin, carotene, blood and density of a person.

    Very light skin has little blood and carotene and a dense dermis, or no melanin would be light enough.
    """
    tone, under = traits["tone"], traits["undertone"]
    very_light = torch.exp(-functional.softplus((tone - 51) / 3) * 3 / 16)
    blend = (0.80 - 0.10 * ((tone - 30) / 30).clamp(-1, 1) + 0.06 * under).clamp(0, 1)
    old = ((traits["age"] - 30) / 50).clamp(0, 1)
    carotene = CAROTENE * torch.exp(0.9 * under + 0.25 * old) * very_light
    blood = (
        BLOOD
        * torch.exp((0.40 * traits["redness"] - 0.22 * under) * very_light + 0.08 * traits["sex"])
        * very_light
    )
    return blend, carotene, blood, 1 + 0.75 * (1 - very_light)


def _spot_effects(spots: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Turns spots, (B, R, R) each, into what they do.

    Returns:
        (B, R, R) each: the melanin's factor, melanin added to it, the blood's factor.
    """
    scar, blemish = spots["scars"].clamp_max(1), spots["blemishes"].clamp_max(1.5)
    freckle, sun = spots["freckles"].clamp_max(1.6), spots["age_spots"].clamp_max(1.4)
    mole = spots["moles"].clamp_max(1.2)
    darker = 1 + 0.5 * mole
    gain = (1 - 0.30 * scar) * (1 + 0.25 * blemish) * (1 + 0.35 * freckle + 0.4 * sun) * darker
    offset = (0.020 * freckle + 0.018 * sun) * darker + 0.16 * mole
    return gain, offset, (1 - 0.30 * scar) * (1 + 1.1 * blemish) * darker
