"""Sliders of skin colour on the albedo model: tone, and traits as directions of its coefficients.

The directions are learned by ridge regression from the traits of simulated people. Tone is not a direction:
it multiplies the map by how the mean person of the new tone differs from the one of the old, so that
freckles, moles and redness stay where and as strong as they were. numpy alone.

A direction carries what a trait does to everybody alike, at the resolution of the coarse map: spots darken
their regions, single freckles and moles are a person's detail.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.tensor_file import read_tensors, write_tensors
from ...geometry.cielab import typology_angle
from ...geometry.linear_models import fit_ridge, strongest_eigenvectors
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb, to_srgb
from .albedo_model import LEAST_VALUE, AlbedoModel

SKIN_SLIDERS_FILE = "skin_sliders.safetensors"
FORMAT = "detailed3dmm-skin-sliders-1"
LIGHTEST, DARKEST = 70.0, -60.0
"""Typology angles that tones are held to, degrees."""
SLIDERS = (
    "redness", "undertone", "freckles", "moles", "age_spots", "capillaries", "stubble", "under_eye", "lips",
    "age", "sex", "tan",
)  # fmt: skip
"""Traits with a direction, in the units of `PigmentTraits`."""
_DEGREES = 60.0
_POWERS = 5
_RIDGE = 1e-3
_STEPS = 6
_REMEDY = "Reinstall the extension, or make the file again with `train albedo`."


def tone_powers(tone: np.ndarray | float) -> np.ndarray:
    """Returns a tone (...), degrees, as the powers (..., 5) that weigh `SkinSliders.curve`."""
    return (np.asarray(tone, np.float64)[..., None] / _DEGREES) ** np.arange(_POWERS)


@dataclass(frozen=True)
class SkinSliders:
    """The mean person of each tone, and directions.

    Attributes:
        curve: (5, C) coefficients of the mean person as powers of the tone over 60 degrees.
        directions: (S, 2, C) per unit of a trait: at tone 0, and what a tone of 60 degrees adds.
        usual: (S,) the traits' means, at which the curve holds.
        mixing: (C, F) how people differ from what tone and traits say, as mixing @ F normal numbers.
        region: (R, R) bool, cheeks and forehead, where a tone is measured.
        names: the traits.
    """

    curve: np.ndarray
    directions: np.ndarray
    usual: np.ndarray
    mixing: np.ndarray
    region: np.ndarray
    names: tuple[str, ...] = SLIDERS

    @classmethod
    def fit(
        cls, coefficients: np.ndarray, tone: np.ndarray, traits: Mapping[str, np.ndarray], region: np.ndarray
    ) -> "SkinSliders":
        """Learns curve and directions.

        Args:
            coefficients: (N, C) of people in deviations, `AlbedoModel.project`.
            tone: (N,) degrees.
            traits: (N,) each, by name.
            region: (R, R) bool.
        """
        names = tuple(traits)
        values = np.stack([traits[name] for name in names], 1).astype(np.float64)
        usual = values.mean(0)
        moved = values - usual
        share = np.asarray(tone, np.float64)[:, None] / _DEGREES
        inputs = np.concatenate([tone_powers(tone), moved, moved * share], 1)
        model = fit_ridge(inputs, coefficients.astype(np.float64), _RIDGE, relative=True)
        left = coefficients - model(inputs)
        powers, vectors = strongest_eigenvectors(left.T @ left / len(left))
        kept = powers > 1e-4 * powers[0]
        rest = model.slopes[_POWERS:].reshape(2, len(names), -1).transpose(1, 0, 2)
        return cls(
            model.slopes[:_POWERS].astype(np.float32),
            rest.astype(np.float32),
            usual.astype(np.float32),
            (vectors[:, kept] * np.sqrt(powers[kept])).astype(np.float32),
            region,
            names,
        )

    def direction(self, name: str, tone: float) -> np.ndarray:
        """Returns what a unit of a trait adds to the coefficients (C,) at a tone, degrees.

        Raises:
            KeyError: there is no such slider.
        """
        if name not in self.names:
            raise KeyError(name)
        still, more = self.directions[self.names.index(name)]
        return still + np.clip(tone, DARKEST, LIGHTEST) / _DEGREES * more

    def person(
        self, tone: float, traits: Mapping[str, float] | None = None, seed: int | None = None
    ) -> np.ndarray:
        """Returns the coefficients (C,) float32 of a person.

        Args:
            tone: degrees.
            traits: by name; people's mean where it has none.
            seed: of what is the person's own, at least 0; None: nothing is.

        Raises:
            KeyError: a trait has no slider.
        """
        tone = float(np.clip(tone, DARKEST, LIGHTEST))
        found = tone_powers(tone) @ self.curve
        for name, value in (traits or {}).items():
            found = found + (value - self.usual[self.names.index(name)]) * self.direction(name, tone)
        if seed is not None:
            normal = np.random.default_rng([seed, 0xA1B]).standard_normal(self.mixing.shape[1])
            found = found + self.mixing @ normal
        return found.astype(np.float32)

    def tone_of(self, colours: np.ndarray) -> float:
        """Returns the tone of a map (3, S, S) sRGB: the median angle of cheeks and forehead, degrees."""
        return float(np.median(typology_angle(from_srgb(self._cheeks(colours)))))

    def _cheeks(self, colours: np.ndarray) -> np.ndarray:
        """(3, S, S), S a multiple of R -> (3, n): the texels of the region."""
        step = colours.shape[-1] // len(self.region)
        blocks = colours.reshape(3, len(self.region), step, len(self.region), step).mean((2, 4))
        return np.clip(blocks[:, self.region], 0, 1)

    def with_tone(self, colours: np.ndarray, tone: float, model: AlbedoModel) -> np.ndarray:
        """Gives a map another tone; spots and redness stay.

        Args:
            colours: (3, S, S) sRGB, S a multiple of the model's resolution, with or without detail.
            tone: degrees, held to 70 to -60.
            model: the albedo model that the sliders are of.

        Returns:
            (3, S, S) float32 sRGB, at least 0.
        """
        wanted = float(np.clip(tone, DARKEST, LIGHTEST))
        cheeks = from_srgb(self._cheeks(colours))
        before = self._mean_person(self.tone_of(colours), model)
        aim = wanted
        for _ in range(_STEPS):  # the person's own cheeks differ from the mean person's
            ratio = self._mean_person(aim, model) / before
            reached = float(np.median(typology_angle(cheeks * ratio[:, self.region])))
            aim = float(np.clip(aim + wanted - reached, DARKEST - 15, LIGHTEST + 15))
        ratio = self._mean_person(aim, model) / before
        linear = from_srgb(np.clip(colours, 0, 1)) * np.maximum(resample(ratio, colours.shape[-1]), 0)
        return to_srgb(linear).astype(np.float32)

    def _mean_person(self, tone: float, model: AlbedoModel) -> np.ndarray:
        """Returns linear sRGB (3, R, R) of the mean person of a tone, at least that of a black texel."""
        return from_srgb(np.maximum(model.colours(tone_powers(tone) @ self.curve), LEAST_VALUE))

    def write(self, path: Path, made_by: Mapping[str, str] | None = None) -> None:
        """Writes the sliders; `made_by` are strings for the file's metadata.

        Raises:
            OSError: the file cannot be written.
        """
        write_tensors(
            path,
            {
                "curve": self.curve,
                "directions": self.directions,
                "usual": self.usual,
                "mixing": self.mixing.astype(np.float16),
                "region": self.region,
            },
            {"format": FORMAT, "names": json.dumps(self.names), **(made_by or {})},
        )

    @classmethod
    def read(cls, path: Path) -> "SkinSliders":
        """Reads sliders that `write` wrote.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        arrays, metadata = read_tensors(path)
        other_kind = UserError(f"{path}: holds no sliders of skin colour.", _REMEDY)
        try:
            if metadata["format"] != FORMAT:
                raise other_kind
            names = tuple(str(name) for name in json.loads(metadata["names"]))
            exact = {
                name: arrays[name].astype(np.float32) for name in ("curve", "directions", "usual", "mixing")
            }
            sliders = cls(region=arrays["region"].astype(bool), names=names, **exact)
            width = sliders.curve.shape[-1]
            agree = (
                sliders.curve.shape == (_POWERS, width)
                and sliders.directions.shape == (len(names), 2, width)
                and sliders.usual.shape == (len(names),)
                and len(sliders.mixing) == width
                and sliders.region.ndim == 2
                and sliders.region.any()
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise other_kind from error
        if not agree:
            raise other_kind
        return sliders

    @classmethod
    def default(cls) -> "SkinSliders":
        """Reads the sliders of the package.

        Raises:
            UserError: they are missing or broken.
        """
        return cls.read(ASSETS / SKIN_SLIDERS_FILE)
