"""The seven codes of a face in a photograph, and what their numbers mean.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.1:
codes of shape, expression, texture, illumination (27), hair (16), rotation (Euler angles) and translation.
Shape and expression are those of the bilinear face, texture the strongest of the albedo model's normal
numbers.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..geometry.camera_view import FRONTAL, rotation_about

SIZES = {
    "shape": 128,
    "expression": 52,
    "texture": 48,
    "illumination": 27,
    "hair": 16,
    "rotation": 3,
    "translation": 3,
}
"""Numbers of each code, in the order of the swap matrix."""
NAMES = tuple(SIZES)
TEXTURE = SIZES["texture"]
HAIR_NAMES = (
    "density", "darkness", "warmth", "grey", "hairline", "sides", "volume_top", "volume_side", "strands",
    "brow_density", "brow_darkness", "brow_width", "moustache", "chin_beard", "jaw_beard", "beard_darkness",
)  # fmt: skip
"""Meanings of the hair code's numbers; each is about normal over people."""
_LEAST_LIGHT = 1e-3


@dataclasses.dataclass(frozen=True)
class FaceCodes:
    """One face.

    Attributes:
        shape: (128,) identity coefficients, standard deviations.
        expression: (52,) ARKit coefficients.
        texture: (48,) normal numbers of the albedo model.
        illumination: (27,) see `code_of_light`.
        hair: (16,) see `HAIR_NAMES`.
        rotation: (3,) yaw, pitch, roll in degrees; positive as in `Camera.head_angles`.
        translation: (3,) metres, the face's origin in the camera's axes.
    """

    shape: np.ndarray
    expression: np.ndarray
    texture: np.ndarray
    illumination: np.ndarray
    hair: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    @classmethod
    def of(cls, table: Mapping[str, np.ndarray]) -> "FaceCodes":
        """Makes codes of arrays by name.

        Raises:
            ValueError: a code has another number of values.
        """
        values = {name: np.asarray(table[name], np.float32).reshape(-1) for name in NAMES}
        for name, value in values.items():
            if len(value) != SIZES[name]:
                raise ValueError(f"{name} has {len(value)} numbers, not {SIZES[name]}")
        return cls(**values)

    def table(self) -> dict[str, np.ndarray]:
        """Returns the codes by name."""
        return {name: getattr(self, name) for name in NAMES}

    def with_code(self, name: str, source: "FaceCodes") -> "FaceCodes":
        """Returns these codes with one of another face."""
        return dataclasses.replace(self, **{name: getattr(source, name)})

    @property
    def light(self) -> np.ndarray:
        """(9, 3) harmonics of the light, in the face's axes."""
        return light_of_code(self.illumination)


def code_of_light(light: np.ndarray) -> np.ndarray:
    """Returns (..., 27) of a light (..., 9, 3): logarithms of the constant term, then the others over it."""
    constant = np.maximum(light[..., :1, :], _LEAST_LIGHT)
    rest = light[..., 1:, :] / constant
    return np.concatenate([np.log(constant[..., 0, :]), rest.reshape(*light.shape[:-2], 24)], -1)


def light_of_code(code: np.ndarray) -> np.ndarray:
    """Returns the light (..., 9, 3) of a code (..., 27)."""
    constant = np.exp(np.asarray(code)[..., None, :3])
    rest = np.asarray(code)[..., 3:].reshape(*np.shape(code)[:-1], 8, 3) * constant
    return np.concatenate([constant, rest], -2)


def main_direction(light: np.ndarray) -> np.ndarray:
    """Returns (..., 3), the unit vector towards where most of a light (..., 9, 3) comes from, face's axes."""
    towards = np.asarray(light)[..., [3, 1, 2], :].mean(-1)
    return towards / np.maximum(np.linalg.norm(towards, axis=-1, keepdims=True), 1e-9)


def rotation_of_angles(degrees: np.ndarray) -> np.ndarray:
    """Returns the rotation (3, 3) from the face's to the camera's axes at yaw, pitch and roll."""
    yaw, pitch, roll = np.radians(np.asarray(degrees, np.float64))
    return rotation_about(2, -roll) @ rotation_about(0, -pitch) @ rotation_about(1, yaw) @ FRONTAL


def angles_of_rotation(rotation: np.ndarray) -> np.ndarray:
    """Returns (3,) degrees such that `rotation_of_angles` gives the rotation (3, 3)."""
    turned = rotation @ FRONTAL.T
    yaw = np.arctan2(turned[2, 0], turned[2, 2])
    pitch = -np.arcsin(np.clip(turned[2, 1], -1, 1))
    roll = np.arctan2(turned[0, 1], turned[1, 1])
    return np.degrees(np.array([yaw, pitch, roll]))
