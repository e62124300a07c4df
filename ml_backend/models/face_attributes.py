"""The attributes of a face as numbers, and how one face receives those of another. numpy only.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views": separate codes
of shape, expression, texture, illumination and pose, of which any can come from another face.
"""

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np

from ..expression_names import EXPRESSION_NAMES

ATTRIBUTES = ("shape", "expression", "skin", "light", "pose")
REGION_PREFIXES = {
    "brows": ("brow",),
    "eyes": ("eye",),
    "cheeks": ("cheek", "nose"),
    "mouth": ("mouth", "jaw", "tongue"),
}
"""Regions of an expression, and how the names of their coefficients begin."""
LARGEST_AMOUNT = 2.0


@dataclasses.dataclass(frozen=True)
class FaceAttributes:
    """The attributes of a face; None where they are not known.

    Attributes:
        shape: (K,) identity coefficients, standard deviations.
        expression: (52,) ARKit coefficients.
        skin: (16,) the skin vector: age, tendency to wrinkle, thickness, places of the creases.
        light: (9, 3) spherical harmonics of the light by colour, see `geometry.spherical_harmonics`.
        pose: (3,) yaw, pitch and roll of the head in degrees, see `Camera.head_angles`.
    """

    shape: np.ndarray | None = None
    expression: np.ndarray | None = None
    skin: np.ndarray | None = None
    light: np.ndarray | None = None
    pose: np.ndarray | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """Returns the names of the attributes that are known."""
        return tuple(name for name in ATTRIBUTES if getattr(self, name) is not None)


def region_mask(regions: Collection[str]) -> np.ndarray:
    """Returns (52,) float32: 1 for the expression coefficients of the regions.

    Raises:
        KeyError: there is no such region.
    """
    prefixes = tuple(prefix for region in regions for prefix in REGION_PREFIXES[region])
    return np.array(
        [name.startswith(prefixes) if prefixes else False for name in EXPRESSION_NAMES], np.float32
    )


def transferred(
    target: FaceAttributes,
    source: FaceAttributes,
    amounts: Mapping[str, float],
    regions: Collection[str] = tuple(REGION_PREFIXES),
) -> FaceAttributes:
    """Gives a face attributes of another one; the other attributes stay as they are.

    Args:
        target: the face that changes. An attribute that it lacks counts as neutral: 0, or a light that is
            the same from everywhere.
        source: the face that gives.
        amounts: by attribute, 0 nothing to 1 all of it; up to 2 exaggerates.
        regions: of an expression, that are transferred.

    Returns:
        The target's attributes after it.

    Raises:
        KeyError: there is no such attribute or region.
        ValueError: the source does not know an attribute, two sizes differ, or an amount is out of range.
    """
    changed = {}
    for name, amount in amounts.items():
        if name not in ATTRIBUTES:
            raise KeyError(name)
        if not 0 <= amount <= LARGEST_AMOUNT:
            raise ValueError(f"amount of {name} is {amount}, not 0 to {LARGEST_AMOUNT:g}")
        given = getattr(source, name)
        if given is None:
            raise ValueError(f"the source does not know its {name}")
        given = np.asarray(given, np.float32)
        own = getattr(target, name)
        before = _neutral(name, given) if own is None else np.asarray(own, np.float32)
        if before.shape != given.shape:
            raise ValueError(f"{name} has {before.shape} and {given.shape} numbers")
        share = amount * region_mask(regions) if name == "expression" else amount
        changed[name] = (before + share * (given - before)).astype(np.float32)
    return dataclasses.replace(target, **changed)


def _neutral(name: str, like: np.ndarray) -> np.ndarray:
    neutral = np.zeros_like(like)
    if name == "light":
        neutral[0] = 1.0
    return neutral
