"""The belief about the tone of a person's skin after seeing a photograph: a distribution over tones.

The evidence of a photograph and the colour of cheeks and forehead are jointly normal for people of one tone.
Their means are curves over the tone; their covariance changes with it. Both were learned from simulated
people under drawn lights and a camera's errors. The covariance has three parts: what differs from person to
person and is alike in all pictures of somebody; what differs from picture to picture of one person, which
counts several times, so that signs that move with the light are believed less; and by how much photographs
go beyond the simulated ones. Evidence that is missing is left out.

Source: the idea of a reference in the picture is Feng et al. 2022, "Towards racially unbiased skin tone
estimation via scene disambiguation" (TRUST); a normal model in closed form is ours. The split of a covariance
into between and within: McLachlan 1992, "Discriminant analysis and statistical pattern recognition"; its
blend with the covariance of everybody: Friedman 1989, "Regularized discriminant analysis".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.tensor_file import read_tensors, write_tensors
from ...geometry.linear_models import fit_ridge
from ...models.skin.skin_sliders import DARKEST, LIGHTEST
from .skin_evidence import EVIDENCE, deviations

SKIN_BELIEF_FILE = "skin_belief.safetensors"
FORMAT = "detailed3dmm-skin-belief-3"
TONES = np.linspace(DARKEST, LIGHTEST, 66)
_EVERY = 5
"""Steps in `TONES` from one covariance to the next."""
_GROUP_EDGES = (-60.0, -30.0, 10.0, 28.0, 41.0, 55.0, 70.0)
_POWERS = 5
_ALL = EVIDENCE + 3
_DEGREES = 60.0
_NEAR, _COMMON = 25.0, 0.3
"""Degrees between people who count for one another's covariance; the share of everybody's in it."""
_MOVING = 4.0
"""The covariance of one person's pictures counts so many times."""
_BEYOND = {
    "skin": (0.03,), "eyes": (0.06,), "around": (0.06,), "light": (0.04,), "bent": (0.02,),
    "lips": (0.075,), "cheeks": (0.025,), "forehead": (0.5,), "nose": (0.04,), "chin": (0.05,),
    "perioral": (0.04,), "below": (0.1,), "rough": (0.5,),
    "glance": (0.5, 0.15, 0.075, 0.05, 0.035, 0.05, 0.5, 0.5, 0.5), "trials": (0.1, 0.1, 0.1, 0.4),
}  # fmt: skip
"""Deviations that photographs have beyond the simulated ones, logarithms: tone curves, wet eyes, make-up,
beards, fringes on the forehead, lids that shade the eyes more, skin rougher than ours."""
_USUAL = 2.0
"""Squared deviations a sign of evidence, above which a photo is unlike the simulated ones."""
_INTERVAL, _HELD = (0.1, 0.9), 0.85
"""Quantiles of the interval; the share of simulated pictures whose tone it holds, for photos differ more."""
_FOLDS = 3
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
    """The joint distribution of evidence and colour by tone, 80 signs of evidence and 3 logarithms of colour.

    Attributes:
        curve: (5, 83) means as powers of the tone over 60 degrees.
        covariance: (14, 83, 83) at every fifth of `TONES`.
        sharpness: () the power of the chances with which intervals hold what they should.
    """

    curve: np.ndarray
    covariance: np.ndarray
    sharpness: np.ndarray

    @classmethod
    def fit(
        cls, evidence: np.ndarray, colours: np.ndarray, tones: np.ndarray, people: np.ndarray | None = None
    ) -> "SkinBelief":
        """Learns from photographs.

        Args:
            evidence: (N, 80), `SkinEvidence.vector`, complete.
            colours: (N, 3) logarithms of the true linear colour of cheeks and forehead.
            tones: (N,) degrees.
            people: (N,) who is on them; None: everybody once.
        """
        people = np.arange(len(tones)) if people is None else np.unique(people, return_inverse=True)[1]
        values = np.concatenate([evidence, colours], 1)
        whole = cls._jointly_normal(values, tones, people)
        chances, true = [], []
        for fold in range(_FOLDS):
            out = people % _FOLDS == fold
            if out.all() or not out.any():
                continue
            part = cls._jointly_normal(values[~out], tones[~out], people[~out])
            chances += [part.chances(row)[0] for row in evidence[out]]
            true += list(tones[out])
        return replace(whole, sharpness=np.array(_calibrated(np.array(chances), np.array(true))))

    @classmethod
    def _jointly_normal(cls, values: np.ndarray, tones: np.ndarray, people: np.ndarray) -> "SkinBelief":
        """Learns curve and covariance of values (N, 83)."""
        model = fit_ridge(_powers(tones), values, 1e-4, relative=True)
        left = values - model(_powers(tones))
        _, who, count = np.unique(people, return_inverse=True, return_counts=True)
        own = np.zeros((len(count), left.shape[1]))
        np.add.at(own, who, left)
        own /= count[:, None]
        moving = (left - own[who]) * np.sqrt(count / np.maximum(count - 1, 1))[who, None]

        def spread(near: np.ndarray) -> np.ndarray:
            """Returns the covariance (83, 83) of pictures with weights (N,)."""
            share = (near / near.sum())[:, None]
            return (own[who] * share).T @ own[who] + _MOVING * (moving * share).T @ moving

        beyond = np.concatenate([deviations(_BEYOND), np.zeros(3)]) ** 2 + 1e-5
        common = spread(np.ones(len(tones)))
        found = []
        for tone in TONES[::_EVERY]:
            near = np.exp(-0.5 * ((tones - tone) / _NEAR) ** 2)
            found.append((1 - _COMMON) * spread(near) + _COMMON * common + np.diag(beyond))
        return cls(model.slopes, np.stack(found), np.array(1.0))

    def believed(self, evidence: np.ndarray) -> ToneBelief:
        """Returns what is believed after seeing evidence (80,), NaN where there is none."""
        chance, colours = self.chances(evidence)
        low, tone, high = _quantiles(_sharpened(chance, float(self.sharpness)))
        near = np.exp(-0.5 * ((TONES - tone) / 4) ** 2) * chance
        colour = np.exp((near[:, None] * colours).sum(0) / near.sum())
        return ToneBelief(float(tone), float(low), float(high), colour, chance)

    def chances(self, evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns chances (66,) of `TONES` and the logarithm of the colour (66, 3) of each.

        Args:
            evidence: (80,), NaN where there is none.
        """
        known = np.flatnonzero(np.isfinite(evidence))
        means = _powers(TONES) @ self.curve
        prior = 1 / np.diff(_GROUP_EDGES)[np.clip(np.searchsorted(_GROUP_EDGES, TONES) - 1, 0, 5)]
        colours = means[:, EVIDENCE:].copy()
        logs = np.log(prior)
        if len(known):
            left = evidence[known] - means[:, known]  # (T, k)
            apart, wide = np.zeros(len(TONES)), np.zeros(len(TONES))
            for number, covariance in enumerate(self.covariance):
                some = slice(_EVERY * number, _EVERY * (number + 1))
                inner = covariance[np.ix_(known, known)]
                solved = np.linalg.solve(inner, left[some].T).T
                apart[some] = (left[some] * solved).sum(1)
                wide[some] = np.linalg.slogdet(inner)[1]
                colours[some] += solved @ covariance[np.ix_(known, np.arange(EVIDENCE, _ALL))]
            strange = max(1.0, float(apart.min()) / len(known) / _USUAL)  # nobody's photo looks like this
            logs = logs - 0.5 * apart / strange - 0.5 * wide
        chance = np.exp(logs - logs.max())
        return chance / chance.sum(), colours

    def write(self, path: Path, made_by: Mapping[str, str] | None = None) -> None:
        """Writes the distribution; `made_by` are strings for the file's metadata.

        Raises:
            OSError: the file cannot be written.
        """
        arrays = {name: getattr(self, name).astype(np.float32) for name in _SHAPES}
        write_tensors(path, arrays, {"format": FORMAT, **(made_by or {})})

    @classmethod
    def read(cls, path: Path) -> "SkinBelief":
        """Reads what `write` wrote.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        arrays, metadata = read_tensors(path)
        shapes = {name: values.shape for name, values in arrays.items()}
        if metadata.get("format") != FORMAT or shapes != _SHAPES:
            raise UserError(f"{path}: holds no belief of skin colour.", _REMEDY)
        return cls(**{name: values.astype(np.float64) for name, values in arrays.items()})

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, folder: Path = ASSETS) -> "SkinBelief":
        """Reads the file of a folder, the package's by default.

        Raises:
            UserError: it is missing or broken.
        """
        return cls.read(folder / SKIN_BELIEF_FILE)


_SHAPES: dict[str, tuple[int, ...]] = {
    "curve": (_POWERS, _ALL),
    "covariance": (len(TONES[::_EVERY]), _ALL, _ALL),
    "sharpness": (),
}


def _powers(tones: np.ndarray) -> np.ndarray:
    """Returns (N, 5) powers of tones (N,), degrees."""
    return (np.asarray(tones)[:, None] / _DEGREES) ** np.arange(_POWERS)


def _sharpened(chance: np.ndarray, power: float) -> np.ndarray:
    """Returns chances (..., 66) to a power."""
    found = (chance / chance.max(-1, keepdims=True)) ** power
    return found / found.sum(-1, keepdims=True)


def _quantiles(chance: np.ndarray) -> np.ndarray:
    """Returns the lower end of the interval, the median and the upper end, degrees, of chances (66,)."""
    climbing = np.cumsum(chance) - 0.5 * chance
    return np.interp([_INTERVAL[0], 0.5, _INTERVAL[1]], climbing, TONES)


def _calibrated(chances: np.ndarray, tones: np.ndarray) -> float:
    """Returns the power, at least 1, of chances (N, 66) whose intervals hold `_HELD` of tones (N,)."""
    power = 1.0
    for tried in np.arange(1.0, 4.01, 0.1):
        ends = np.array([_quantiles(chance) for chance in _sharpened(chances, tried)])
        if np.mean((ends[:, 0] <= tones) & (tones <= ends[:, 2])) < _HELD:
            break
        power = float(tried)
    return power
