"""Expressions to learn from: faces that people make, and combinations that sliders make."""

import numpy as np

from ..expression_names import EXPRESSION_NAMES, both_sides

EXPRESSION_SIZE = len(EXPRESSION_NAMES)
LATENT_SIZE = 2 * EXPRESSION_SIZE
_INDEX = {name: index for index, name in enumerate(EXPRESSION_NAMES)}
# Units that leave the skin alone or exclude others are drawn less often: (names' beginning, threshold in
# standard deviations).
_RARE = {
    "eyeLook": 1.6,
    "tongueOut": 1.8,
    "jawLeft": 1.5,
    "jawRight": 1.5,
    "jawForward": 1.5,
    "mouthLeft": 1.5,
    "mouthRight": 1.5,
}
_COMMON_THRESHOLD = 0.85
OWN_SHARE = np.sqrt(0.1)
COMMON_SHARE = np.sqrt(0.9)
"""A unit's normal number is the first times its own plus the second times the one of its pair."""
STRENGTH = 0.6
"""Of a unit, for each standard deviation beyond its threshold."""

FACES: dict[str, dict[str, float]] = {
    "raised brows": both_sides(browInnerUp=1.0, browOuterUp=1.0),
    "frown": both_sides(browDown=1.0),
    "smile": both_sides(mouthSmile=1.0),
    "joy": both_sides(mouthSmile=0.9, cheekSquint=0.8, eyeSquint=0.6, jawOpen=0.2, mouthDimple=0.3),
    "anger": both_sides(browDown=1.0, noseSneer=0.6, eyeSquint=0.5, mouthPress=0.7, mouthShrugLower=0.4),
    "surprise": both_sides(browInnerUp=1.0, browOuterUp=0.9, eyeWide=0.8, jawOpen=0.6),
    "disgust": both_sides(
        noseSneer=1.0, mouthUpperUp=0.7, browDown=0.6, cheekSquint=0.6, mouthShrugLower=0.3
    ),
    "fear": both_sides(browInnerUp=1.0, browDown=0.4, eyeWide=0.9, mouthStretch=0.9, jawOpen=0.3),
    "sadness": both_sides(browInnerUp=0.9, mouthFrown=0.9, mouthShrugLower=0.6, eyeSquint=0.2),
    "pucker": both_sides(mouthPucker=1.0),
    "funnel": both_sides(mouthFunnel=1.0),
    "tight eyes": both_sides(eyeBlink=1.0, eyeSquint=1.0, cheekSquint=0.7),
    "open jaw": both_sides(jawOpen=1.0),
    "chin raise": both_sides(mouthShrugLower=1.0, mouthPress=0.4),
}
"""Faces for training and evaluation, by name. They are not the artist's presets: figures depend on them."""


def partner(name: str) -> str | None:
    """The same unit on the other side, None for one in the middle."""
    if name.endswith("Left") and f"{name[:-4]}Right" in _INDEX:
        return f"{name[:-4]}Right"
    if name.endswith("Right") and f"{name[:-5]}Left" in _INDEX:
        return f"{name[:-5]}Left"
    return None


def named_face(name: str) -> np.ndarray:
    """One of `FACES` as (52,) float32."""
    face = np.zeros(EXPRESSION_SIZE, np.float32)
    for unit, strength in FACES[name].items():
        face[_INDEX[unit]] = strength
    return face


def normal_thresholds() -> np.ndarray:
    """Returns (52,) float64: the strength in standard deviations beyond which a unit acts."""
    return np.array(
        [
            next((t for start, t in _RARE.items() if n.startswith(start)), _COMMON_THRESHOLD)
            for n in EXPRESSION_NAMES
        ]
    )


def shared_columns() -> np.ndarray:
    """Returns (52,): the one of 52 shared normal numbers that each unit follows; partners follow the same."""
    columns = np.arange(EXPRESSION_SIZE)
    for name, index in _INDEX.items():
        other = partner(name)
        if other is not None:
            columns[index] = min(index, _INDEX[other])
    return columns


def expressions_from_normal(latent: np.ndarray) -> np.ndarray:
    """A smooth map from normal numbers to expressions: rectified, left and right correlated by 0.9.

    Args:
        latent: (N, 104) ~ N(0, 1): 52 of the units themselves, 52 that each left-right pair shares.

    Returns:
        (N, 52) float32 in [0, 1], about a fifth of the units active.
    """
    shared = latent[:, EXPRESSION_SIZE:][:, shared_columns()]
    strength = OWN_SHARE * latent[:, :EXPRESSION_SIZE] + COMMON_SHARE * shared
    return np.clip(STRENGTH * (strength - normal_thresholds()), 0, 1).astype(np.float32)


def sample_expressions(count: int, generator: np.random.Generator) -> np.ndarray:
    """Draws expressions: half combinations, a fifth single units, a quarter named faces, the rest neutral.

    Args:
        count: how many.
        generator: the source of randomness.

    Returns:
        (count, 52) float32 in [0, 1].
    """
    expressions = expressions_from_normal(generator.standard_normal((count, LATENT_SIZE)))
    for row, kind in zip(expressions, generator.random(count), strict=True):
        if kind < 0.03:
            row[:] = 0
        elif kind < 0.23:
            name = EXPRESSION_NAMES[generator.integers(EXPRESSION_SIZE)]
            row[:] = 0
            row[_INDEX[name]] = strength = generator.uniform(0.4, 1)
            if (other := partner(name)) is not None and generator.random() < 0.7:
                row[_INDEX[other]] = strength * generator.uniform(0.85, 1)
        elif kind < 0.48:
            face = named_face(list(FACES)[generator.integers(len(FACES))])
            row[:] = (
                np.clip(
                    face * generator.uniform(0.5, 1.1) * generator.uniform(0.85, 1.15, EXPRESSION_SIZE), 0, 1
                )
                + 0.15 * row
            )
            row.clip(0, 1, out=row)
    return expressions
