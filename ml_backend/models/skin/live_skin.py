"""Skin colour while sliders move: the coarse albedo model, spots, lips and make-up as one map. numpy only.

Everything that is linear in the sliders is a weighted sum of images made once: the mean person of each tone,
a direction for each trait, what is this person's own. Spots multiply the map, make-up lies on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...geometry.cielab import typology_angle
from ...geometry.map_resampling import enlarged, resample
from ...geometry.skin_chart import SkinChart
from ...geometry.skin_spots import KINDS, SpotPatches, spot_patches
from ...geometry.srgb import from_srgb, to_srgb
from .albedo_model import LEAST_VALUE, AlbedoModel
from .skin_sliders import DARKEST, LIGHTEST, SkinSliders, tone_powers

OWN_AXES = 12
"""Directions of what is a person's own, the strongest first."""
TRAITS = (
    "redness", "undertone", "freckles", "moles", "age_spots", "capillaries", "stubble", "under_eye", "lips",
    "age", "tan",
)  # fmt: skip
MAKE_UP = ("lipstick", "blush", "eyeliner", "foundation")
_GAMMA = 1 / 2.2
_TONE_TEXELS = 1500
_TONE_STEPS = 4
_SPOT_COLOURS = {
    "freckles": ((-0.21, -0.34, -0.52), (-0.36, -0.36, -0.24)),
    "moles": ((-1.10, -1.42, -1.65), (-0.84, -0.72, -0.45)),
    "age_spots": ((-0.22, -0.34, -0.48), (-0.42, -0.40, -0.26)),
}
"""Logarithm of linear reflectance in the middle of a spot, at tone 45 and at -45 degrees.

Source: the simulation's optics with the melanin that `pigment_simulation` adds there."""


@dataclass(frozen=True)
class SkinLook:
    """The sliders of skin colour.

    Attributes:
        tone: individual typology angle, degrees, 70 (very light) to -60.
        traits: by name (`TRAITS`), in the units of `PigmentTraits`; people's mean where it has none.
        seed: of what is the person's own, at least 0.
        own: (OWN_AXES,) deviations beside those of the seed.
        lip_tint: linear RGB that multiplies the lips; white leaves them.
        make_up: by name (`MAKE_UP`): linear RGB, and an amount 0..1; foundation's colour multiplies the
            skin's mean.
    """

    tone: float
    traits: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    own: tuple[float, ...] = (0.0,) * OWN_AXES
    lip_tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    make_up: Mapping[str, tuple[tuple[float, float, float], float]] = field(default_factory=dict)


class SkinPainter:
    """Paints maps of skin colour.

    Args:
        model: the coarse albedo model.
        sliders: of the same model.
        chart: the mean face in texture space; maps are multiples of it.
    """

    def __init__(self, model: AlbedoModel, sliders: SkinSliders, chart: SkinChart):
        self.model = model
        self.sliders = sliders
        self.chart = chart
        self._own: tuple[tuple, np.ndarray] | None = None
        self._spots: dict[tuple, SpotPatches] = {}
        self._masks: dict[tuple, np.ndarray] = {}
        if chart.resolution % model.resolution:
            raise ValueError(
                f"a chart of {chart.resolution} is no multiple of the model's {model.resolution}"
            )

    @cached_property
    def _images(self) -> np.ndarray:
        """(5 + 2 S + A, 3 R R) float32: sRGB per unit of the tone's powers, the traits and the own axes."""
        sliders = self.sliders
        still, more = sliders.directions[:, 0], sliders.directions[:, 1]
        rows = np.concatenate([sliders.curve, still, more, self._own_axes])
        return self._sums(rows)

    @property
    def _own_axes(self) -> np.ndarray:
        """(A, C) the strongest directions of what is a person's own."""
        axes = np.zeros((OWN_AXES, self.model.coefficient_count), np.float32)
        found = self.sliders.mixing.T[:OWN_AXES]
        axes[: len(found)] = found
        return axes

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """(n, C) coefficients -> (n, 3 R R) sRGB less the mean."""
        groups, count = self.model.axes.shape[:2]
        parts = [
            rows[:, group * count : (group + 1) * count].astype(np.float32) @ self.model.basis[group]
            for group in range(groups)
        ]
        return np.concatenate(parts, 1)

    @cached_property
    def _region(self) -> np.ndarray:
        """Flat texels of the coarse map in cheeks and forehead, where a tone is measured; about 1,500."""
        texels = np.flatnonzero(self.sliders.region)
        return texels[:: max(1, len(texels) // _TONE_TEXELS)]

    @cached_property
    def _small_curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (3 q q) and powers' images (5, 3 q q) of the tones, R / 4 texels a side."""
        size = self.model.resolution // 4
        mean = resample(self.model.mean.reshape(3, *self.model.mask.shape), size)
        images = self._images[:5].reshape(5, 3, *self.model.mask.shape)
        return mean.ravel(), resample(images, size).reshape(5, -1)

    def coarse(self, look: SkinLook) -> np.ndarray:
        """Makes the coarse map with the tone that a look asks for.

        Args:
            look: the sliders.

        Returns:
            (3, R, R) float32 sRGB.
        """
        tone = float(np.clip(look.tone, DARKEST, LIGHTEST))
        sliders = self.sliders
        weights = np.zeros(len(self._images), np.float32)
        weights[:5] = tone_powers(tone)
        count = len(sliders.names)
        for name, value in look.traits.items():
            number = sliders.names.index(name)
            moved = value - sliders.usual[number]
            weights[5 + number] = moved
            weights[5 + count + number] = moved * tone / 60.0
        # What is a person's own was learned in sRGB over all tones; dark skin shows less of it.
        share = self._lightness(tone)
        weights[5 + 2 * count :] = np.multiply(look.own, share)
        found = weights @ self._images
        found += self.model.mean.ravel()
        found += share * self._seeded(look.seed)
        return self._toned(found.reshape(3, *self.model.mask.shape), tone)

    def _lightness(self, tone: float) -> float:
        mean, images = self._small_curve
        level = float((mean + tone_powers(tone) @ images).mean())
        usual = float((mean + tone_powers(40.0) @ images).mean())
        return float(np.clip(level / usual, 0.3, 1.1))

    def _seeded(self, seed: int) -> np.ndarray:
        """Returns (3 R R): what a seed draws, as `SkinSliders.person` does."""
        if self._own is None or self._own[0] != (seed,):
            normal = np.random.default_rng([seed, 0xA1B]).standard_normal(self.sliders.mixing.shape[1])
            drawn = np.clip(normal, -2.2, 2.2) @ self.sliders.mixing.T
            self._own = ((seed,), self._sums(drawn[None])[0])
        return self._own[1]

    def _toned(self, colours: np.ndarray, tone: float) -> np.ndarray:
        """Multiplies a map (3, R, R) by how mean persons differ, until cheeks and forehead have the tone."""
        mean, images = self._small_curve
        side = self.model.resolution // 4
        cheeks = np.clip(colours.reshape(3, -1)[:, self._region], LEAST_VALUE, 1)
        row, column = np.divmod(self._region, self.model.resolution)
        small = (row // 4) * side + column // 4
        before = np.maximum(mean + tone_powers(tone) @ images, LEAST_VALUE).reshape(3, -1)
        aim = tone
        ratio = np.ones_like(before)
        for _ in range(_TONE_STEPS):
            shown = np.clip(cheeks * ratio[:, small], 0, 1)
            aim += tone - float(np.median(typology_angle(from_srgb(shown))))
            aim = float(np.clip(aim, DARKEST - 15, LIGHTEST + 15))
            ratio = np.maximum(mean + tone_powers(aim) @ images, LEAST_VALUE).reshape(3, -1) / before
        return colours * resample(ratio.reshape(3, side, side).astype(np.float32), self.model.resolution)

    def paint(self, look: SkinLook, resolution: int) -> np.ndarray:
        """Paints the map of a look.

        Args:
            look: the sliders.
            resolution: R, the chart's or a multiple.

        Returns:
            (3, R, R) float32 sRGB in 0..1, row 0 at v = 0.

        Raises:
            ValueError: a trait has no slider, or the resolution is no multiple of the chart's.
        """
        if resolution % self.chart.resolution:
            raise ValueError(f"resolution {resolution} is no multiple of {self.chart.resolution}")
        coarse = self.coarse(look)
        colours = enlarged(coarse, resolution // self.model.resolution)
        np.maximum(colours, LEAST_VALUE, out=colours)
        self._add_spots(colours, look, resolution)
        self._add_make_up(colours, look, resolution)
        return np.clip(colours, 0, 1, out=colours)

    def mean_colour(self, colours: np.ndarray) -> np.ndarray:
        """Returns (3,) linear: the mean of cheeks and forehead of a map (3, R, R) sRGB."""
        step = colours.shape[-1] // self.model.resolution
        low = colours[:, ::step, ::step].reshape(3, -1)
        return from_srgb(low[:, self._region]).mean(1)

    def _add_spots(self, colours: np.ndarray, look: SkinLook, resolution: int) -> None:
        dark = float(np.clip((45 - look.tone) / 90, 0, 1))
        density = None
        for name, (light_skin, dark_skin) in _SPOT_COLOURS.items():
            amount = float(look.traits.get(name, 0.0))
            if amount <= 0:
                continue
            shade = (1 - dark) * np.array(light_skin) + dark * np.array(dark_skin)
            drawn = np.minimum(self._patches(name, look.seed, resolution).paint(amount), 1.4)
            rows = np.flatnonzero(drawn.any(1))
            if not len(rows):
                continue
            part = slice(rows[0], rows[-1] + 1)
            density = np.zeros_like(colours) if density is None else density
            density[:, part] += (_GAMMA * shade).astype(np.float32)[:, None, None] * drawn[part]
        if density is not None:
            colours *= np.exp(density, out=density)

    def _patches(self, name: str, seed: int, resolution: int) -> SpotPatches:
        key = (name, seed, resolution)
        if key not in self._spots:
            if len(self._spots) > 4 * len(KINDS):
                self._spots.clear()
            self._spots[key] = spot_patches(name, seed, self.chart, resolution)
        return self._spots[key]

    def _add_make_up(self, colours: np.ndarray, look: SkinLook, resolution: int) -> None:
        worn = {name: (np.array(rgb), amount) for name, (rgb, amount) in look.make_up.items() if amount > 0}
        if "foundation" in worn:
            tint, amount = worn["foundation"]
            mean = to_srgb(np.clip(self.mean_colour(colours) * tint, 0, 1))
            _lay(colours, mean, 0.72 * amount * self._mask("face", resolution))
        if "blush" in worn:
            rgb, amount = worn["blush"]
            mean = self.mean_colour(colours)
            shown = to_srgb(np.clip(rgb * (0.35 + 0.65 * mean.max() / 0.55), 0, 1))
            _lay(colours, shown, 0.55 * amount * self._mask("blush", resolution))
        lips = self._mask("lips", resolution)
        rows, columns = _box(lips)
        part = colours[:, rows, columns]
        lips = lips[rows, columns]
        if tuple(look.lip_tint) != (1.0, 1.0, 1.0):
            tint = np.clip(look.lip_tint, 0.02, 4.0) ** _GAMMA
            part *= 1 + lips * (tint - 1)[:, None, None].astype(np.float32)
        if "lipstick" in worn:
            rgb, amount = worn["lipstick"]
            value = part.max(0)
            relief = np.clip(value / max(float(value[lips > 0.5].mean()), 1e-3), 0.85, 1.12)
            _lay(part, to_srgb(rgb)[:, None, None] * relief, 0.92 * amount * lips)
        if "eyeliner" in worn:
            rgb, amount = worn["eyeliner"]
            _lay(colours, to_srgb(rgb), 0.94 * amount * self._mask("eyeliner", resolution))

    def _mask(self, name: str, resolution: int) -> np.ndarray:
        """Returns (R, R) float32 0..1: where a kind of make-up goes."""
        key = (name, resolution)
        if key not in self._masks:
            made = getattr(self, f"_{name}_mask")().astype(np.float32)
            self._masks[key] = np.clip(enlarged(made, resolution // self.chart.resolution), 0, 1)
        return self._masks[key]

    def _lips_mask(self) -> np.ndarray:
        return self.chart.lips * self.chart.skin

    def _face_mask(self) -> np.ndarray:
        chart = self.chart
        neck = 1 / (1 + np.exp(-np.clip((chart.up + 118) / 6, -30, 30)))
        ears = 1 / (1 + np.exp(np.clip((chart.behind - 78) / 5, -30, 30)))
        return chart.free() * neck * ears

    def _blush_mask(self) -> np.ndarray:
        chart = self.chart
        high = 0.9 * chart.blob(44, -26, 15, 10) + 0.5 * chart.blob(54, -16, 13, 10)
        return np.clip(high, 0, 1) * chart.free()

    def _eyeliner_mask(self) -> np.ndarray:
        chart = self.chart
        outwards = np.clip((np.abs(chart.across) - 20) / 22, 0, 1)
        above = np.clip((1.3 + 0.9 * outwards - chart.upper_lid) / 0.7, 0, 1)
        below = 0.55 * outwards * np.clip((1.3 - chart.lower_lid) / 0.7, 0, 1)
        return np.maximum(above, below) * chart.skin


def _lay(colours: np.ndarray, shown: np.ndarray, cover: np.ndarray) -> None:
    """Lays sRGB values (3,) or (3, H, W) over a map (3, H, W), in place, where a cover (H, W) says."""
    rows, columns = _box(cover)
    part = colours[:, rows, columns]
    shown = shown[:, None, None] if shown.ndim == 1 else shown[:, rows, columns]
    part += cover[rows, columns].astype(np.float32) * (shown.astype(np.float32) - part)


def _box(cover: np.ndarray) -> tuple[slice, slice]:
    """Returns the rows and columns between which a cover (H, W) is not 0."""
    rows, columns = (np.flatnonzero((cover > 1e-4).any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
