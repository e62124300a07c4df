"""The belief about the tone of a person's skin after seeing a photograph: a distribution over tones.

The evidence of photographs (colour of the skin and of the white of the eyes, the shade
around the eyes, the light's direction) and the colour of cheeks and forehead are jointly normal for people of
one tone; their means are curves over the tone, their covariance is the same for all. Both were learned from
simulated people under drawn lights and a camera's errors. Evidence that is missing is left out.

Source: the idea of a reference in the picture is Feng et al. 2022, "Towards racially unbiased skin tone
estimation via scene disambiguation" (TRUST); a normal model in closed form is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.tensor_file import read_tensors, write_tensors
from ...geometry.linear_models import fit_ridge
from ...models.skin.skin_sliders import DARKEST, LIGHTEST
from .seen_skin import EVIDENCE

SKIN_BELIEF_FILE = "skin_belief.safetensors"
FORMAT = "detailed3dmm-skin-belief-2"
TONES = np.linspace(DARKEST, LIGHTEST, 66)
_GROUP_EDGES = (-60.0, -30.0, 10.0, 28.0, 41.0, 55.0, 70.0)
_POWERS = 4
_ALL = EVIDENCE + 3
_DEGREES = 60.0
_WIDER = 1.15
"""Factor on the deviations: photographs differ more than the simulated ones."""
_SKIN_ERROR, _EYES_ERROR = 0.03, 0.06
"""Deviations of logarithms that photographs have beyond the simulated ones: tone curves, wet eyes."""
_USUAL = 2.0
"""Squared deviations a sign of evidence, above which a photo is unlike the simulated ones."""
_INTERVAL = (0.1, 0.9)
_REMEDY = "Reinstall the extension, or make the file again with `train skin-belief`."


@dataclass(frozen=True)
class ToneBelief:
    """A distribution over tones.

    Attributes:
        tone: its median, degrees.
        low, high: the interval that holds 80 % of it.
        colour: (3,) linear, the mean colour of cheeks and forehead.
        chance: (66,) of `TONES`.
    """

    tone: float
    low: float
    high: float
    colour: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True)
class SkinBelief:
    """The joint distribution of evidence and colour by tone.

    Attributes:
        curve: (4, 14) means as powers of the tone over 60 degrees: 11 of evidence, 3 of the colour's
            logarithm.
        covariance: (14, 14).
    """

    curve: np.ndarray
    covariance: np.ndarray

    @classmethod
    def fit(cls, evidence: np.ndarray, colours: np.ndarray, tones: np.ndarray) -> "SkinBelief":
        """Learns from photographs.

        Args:
            evidence: (N, 11), `SkinEvidence.vector`, complete.
            colours: (N, 3) logarithms of the true linear colour of cheeks and forehead.
            tones: (N,) degrees.
        """
        values = np.concatenate([evidence, colours], 1)
        powers = (tones[:, None] / _DEGREES) ** np.arange(_POWERS)
        model = fit_ridge(powers, values, 1e-4, relative=True)
        left = values - model(powers)
        covariance = left.T @ left / len(left)
        more = np.repeat([_SKIN_ERROR, _EYES_ERROR, 0.0], (3, 3, _ALL - 6))
        covariance.flat[:: _ALL + 1] += more**2
        return cls(model.slopes, covariance)

    def believed(self, evidence: np.ndarray) -> ToneBelief:
        """Returns what is believed after seeing evidence (11,), NaN where there is none."""
        known = np.flatnonzero(np.isfinite(evidence))
        means = (TONES[:, None] / _DEGREES) ** np.arange(_POWERS) @ self.curve
        prior = 1 / np.diff(_GROUP_EDGES)[np.clip(np.searchsorted(_GROUP_EDGES, TONES) - 1, 0, 5)]
        colours = means[:, EVIDENCE:]
        logs = np.log(prior)
        if len(known):
            inner = self.covariance[np.ix_(known, known)] * _WIDER**2
            left = evidence[known] - means[:, known]  # (T, k)
            solved = np.linalg.solve(inner, left.T).T
            apart = (left * solved).sum(1)
            strange = max(1.0, float(apart.min()) / len(known) / _USUAL)  # nobody's photo looks like this
            logs = logs - 0.5 * apart / strange
            colours = colours + solved @ self.covariance[np.ix_(known, np.arange(EVIDENCE, _ALL))]
        chance = np.exp(logs - logs.max())
        chance /= chance.sum()
        climbing = np.cumsum(chance) - 0.5 * chance
        low, tone, high = np.interp([_INTERVAL[0], 0.5, _INTERVAL[1]], climbing, TONES)
        near = np.exp(-0.5 * ((TONES - tone) / 4) ** 2) * chance
        colour = np.exp((near[:, None] * colours).sum(0) / near.sum())
        return ToneBelief(float(tone), float(low), float(high), colour, chance)

    def write(self, path: Path, made_by: Mapping[str, str] | None = None) -> None:
        """Writes the distribution; `made_by` are strings for the file's metadata.

        Raises:
            OSError: the file cannot be written.
        """
        arrays = {"curve": self.curve.astype(np.float32), "covariance": self.covariance.astype(np.float32)}
        write_tensors(path, arrays, {"format": FORMAT, **(made_by or {})})

    @classmethod
    def read(cls, path: Path) -> "SkinBelief":
        """Reads what `write` wrote.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        arrays, metadata = read_tensors(path)
        shapes = {name: values.shape for name, values in arrays.items()}
        if metadata.get("format") != FORMAT or shapes != {
            "curve": (_POWERS, _ALL),
            "covariance": (_ALL, _ALL),
        }:
            raise UserError(f"{path}: holds no belief of skin colour.", _REMEDY)
        return cls(arrays["curve"].astype(np.float64), arrays["covariance"].astype(np.float64))

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, folder: Path = ASSETS) -> "SkinBelief":
        """Reads the file of a folder, the package's by default.

        Raises:
            UserError: it is missing or broken.
        """
        return cls.read(folder / SKIN_BELIEF_FILE)
