"""The traits of a person's skin colour: a vector with names. numpy only."""

from dataclasses import dataclass, fields

import numpy as np

SEED_SIZE = 8
TONE_GROUPS = ((55.0, 68.0), (41.0, 55.0), (28.0, 41.0), (10.0, 28.0), (-30.0, 10.0), (-60.0, -30.0))
"""Typology angles, degrees, from very light to dark. Source: Del Bino and Bernerd 2013, "Variations in skin
colour and the biological consequences of ultraviolet radiation exposure", Br. J. Dermatol. 169; the outer two
are open there and end here at what skin reaches."""


@dataclass(frozen=True)
class PigmentTraits:
    """A person's skin colour. Every map is a smooth function of all of it.

    Attributes:
        tone: individual typology angle of cheek and forehead, degrees, 70 (very light) to -60 (dark).
        age: years, 18 to 85.
        sex: 0 female to 1 male.
        redness: -1 pale to 1 flushed, 0 the mean; cheeks, nose and ears take most of it.
        undertone: -1 pink to 1 yellow.
        tan: 0 to 1, what the sun has browned: forehead, nose and cheekbones before chin and neck.
        freckles, moles, age_spots, capillaries, blemishes, scars: 0 none to 1 many.
        stubble: 0 shaved clean or no beard to 1 a day's growth under the skin.
        under_eye: 0 to 1, the shadow under the eyes.
        lips: -1 pale to 1 red.
        seed: (8,) standard normal: where blotches and spots lie.
    """

    tone: float = 45.0
    age: float = 30.0
    sex: float = 0.0
    redness: float = 0.0
    undertone: float = 0.0
    tan: float = 0.2
    freckles: float = 0.0
    moles: float = 0.1
    age_spots: float = 0.0
    capillaries: float = 0.1
    blemishes: float = 0.1
    scars: float = 0.1
    stubble: float = 0.0
    under_eye: float = 0.3
    lips: float = 0.0
    seed: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def vector(self) -> np.ndarray:
        """Returns (23,) float32: the traits in their order, then the seed."""
        single = [getattr(self, name) for name in TRAIT_NAMES]
        return np.array([*single, *self.seed], np.float32)

    @classmethod
    def from_vector(cls, vector: np.ndarray) -> "PigmentTraits":
        """Returns the traits of a vector (23,).

        Raises:
            ValueError: another shape.
        """
        values = np.asarray(vector, np.float64)
        if values.shape != (len(TRAIT_NAMES) + SEED_SIZE,):
            raise ValueError(f"the vector has shape {values.shape}")
        named = dict(zip(TRAIT_NAMES, values.tolist(), strict=False))
        return cls(**named, seed=tuple(values[len(TRAIT_NAMES) :].tolist()))


TRAIT_NAMES = tuple(trait.name for trait in fields(PigmentTraits) if trait.name != "seed")


def sample_traits(
    seed: int, tone: float | None = None, age: float | None = None, sex: float | None = None
) -> PigmentTraits:
    """Draws a person's skin colour, the same for the same seed and arguments.

    Tones are flat over the six groups. Freckles go with light skin, spots and capillaries with age and light
    skin, blemishes with youth, stubble with men.

    Args:
        seed: any integer.
        tone, age, sex: fixed where given; they do not change the other draws.
    """
    random = np.random.default_rng([seed & 0xFFFFFFFF, 0xA1B])
    low, high = TONE_GROUPS[random.integers(len(TONE_GROUPS))]
    drawn_tone = random.uniform(low, high)
    drawn_age = 18 + 67 * random.beta(1.3, 1.7)
    drawn_sex = float(random.integers(2))
    normal = random.standard_normal(6).clip(-2, 2)
    few = random.beta(0.7, 2.4, 6)
    place = random.standard_normal(SEED_SIZE).clip(-2.5, 2.5)
    tone = drawn_tone if tone is None else tone
    age = drawn_age if age is None else age
    sex = drawn_sex if sex is None else sex
    light = float(np.clip((tone + 10) / 60, 0, 1))
    old = float(np.clip((age - 30) / 45, 0, 1))
    young = float(np.clip((45 - age) / 25, 0, 1))
    return PigmentTraits(
        tone=float(tone),
        age=float(age),
        sex=float(sex),
        redness=float(np.clip(0.35 * normal[0], -1, 1)),
        undertone=float(np.clip(0.45 * normal[1], -1, 1)),
        tan=float(np.clip(0.3 + 0.2 * normal[2], 0, 1)),
        freckles=float(few[0] * light),
        moles=float(0.05 + 0.8 * few[1]),
        age_spots=float(old * (0.25 + 0.75 * few[2]) * (0.3 + 0.7 * light)),
        capillaries=float(
            np.clip((0.1 + 0.7 * few[3]) * (0.3 + 0.7 * old) * light + 0.2 * old * light, 0, 1)
        ),
        blemishes=float(few[4] * (0.25 + 0.75 * young)),
        scars=float(0.6 * few[5]),
        stubble=float(sex * np.clip(0.5 + 0.28 * normal[3], 0, 1)),
        under_eye=float(np.clip(0.3 + 0.15 * normal[4] + 0.2 * old, 0, 1)),
        lips=float(np.clip(0.4 * normal[5] + 0.25 * (1 - 2 * sex), -1, 1)),
        seed=tuple(float(value) for value in place),
    )
