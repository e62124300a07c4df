"""Loads the bilinear model and its refined mesh, and reads a face's identity, skin and expression."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.dense_face import dense_face_mesh
from ...ml_backend.geometry.subdivision import DenseMesh
from ...ml_backend.models.bilinear_face import BilinearFace
from ...ml_backend.models.earlier_face import earlier_face
from ...ml_backend.models.skin_vector import sample_skin

_STEPS_PER_METRE = 2.0**20
"""Shapes are rounded to a micrometre: finer values would only make files larger."""


@lru_cache(maxsize=1)
def face_model() -> BilinearFace:
    """Returns the bilinear model of this package.

    Raises:
        UserError: the asset is missing or broken.
    """
    return BilinearFace.default()


@lru_cache(maxsize=1)
def dense_mesh() -> DenseMesh:
    """Returns the mesh of every face object, refined from the model's."""
    return dense_face_mesh(face_model())


@lru_cache(maxsize=1)
def dense_parts() -> np.ndarray:
    """Returns (N,) uint8: the part of each refined vertex, an index into `part_names`."""
    model = face_model()
    dense = dense_mesh()
    part = np.zeros(dense.vertex_count, np.uint8)
    part[dense.polygons[:, :3].ravel()] = np.repeat(model.polygon_part[dense.base_polygon], 3)
    return part


def dense_shapes(identity: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns refined rest positions of an identity and of some of its expressions.

    Args:
        identity: (K,) float32, standard deviations.
        names: expression names.

    Returns:
        The neutral (N, 3) and the shapes (len(names), N, 3), float32, metres.
    """
    model = face_model()
    neutral, deltas = model.shapes(identity)
    chosen = [model.expression_names.index(name) for name in names]
    stacked = np.concatenate([neutral[None], deltas[chosen]]).transpose(1, 0, 2)  # [VE3]
    refined = dense_mesh().refine(stacked).transpose(1, 0, 2)  # [EN3]
    return _rounded(refined[0]), _rounded(refined[:1] + refined[1:])


def _rounded(positions: np.ndarray) -> np.ndarray:
    stored = np.ascontiguousarray(positions) * np.float32(_STEPS_PER_METRE)
    return np.round(stored, out=stored) * np.float32(1 / _STEPS_PER_METRE)


def made_with(face: bpy.types.Object) -> str:
    """Returns the fingerprint of the model that a face was made with; empty if it cannot be told.

    Faces of versions before fingerprints are recognised by their sliders.
    """
    settings = face.d3dmm
    if settings.face_model:
        return settings.face_model
    count = len(settings.coefficients)
    earlier = earlier_face()
    directions = tuple(item.name for item in settings.directions)
    if count == earlier.identity_size and directions == earlier.direction_names:
        return earlier.fingerprint
    return face_model().fingerprint() if count == face_model().identity_size else ""


def is_current(face: bpy.types.Object) -> bool:
    """Returns True if a face was made with the present model; another one keeps its mesh and its keys."""
    return made_with(face) == face_model().fingerprint()


def is_of_earlier(face: bpy.types.Object) -> bool:
    """Returns True if a face was made with the earlier model, and that is not the present one."""
    return not is_current(face) and made_with(face) == earlier_face().fingerprint


def fixed_reason(face: bpy.types.Object) -> str:
    """Returns the reason why person and wrinkles of a face cannot change; empty for the present model's."""
    if is_current(face):
        return ""
    if is_of_earlier(face):
        return "Made with an earlier face model: Carry Over lets its person and wrinkles change"
    return "Made with a face model that is not known here: its person and wrinkles stay"


def check_current(face: bpy.types.Object) -> None:
    """Raises UserError unless a face was made with the present model: its numbers mean nothing to another."""
    reason = fixed_reason(face)
    if reason:
        raise UserError(f"{face.name} is a face of another face model.", f"{reason}.")


def identity_of(face: bpy.types.Object) -> np.ndarray:
    """Returns the identity that a face's sliders show.

    Returns:
        (K,) float32, standard deviations: the coefficients plus the named directions times their amounts.

    Raises:
        UserError: the face was made with another model.
    """
    check_current(face)
    return _slider_identity(face, face_model().direction_names, direction_step)


def earlier_identity_of(face: bpy.types.Object) -> np.ndarray:
    """Returns the identity (K,) float32, in the earlier model, that the sliders of one of its faces show."""
    earlier = earlier_face()
    return _slider_identity(face, earlier.direction_names, earlier.direction_step)


def _slider_identity(face: bpy.types.Object, names: tuple[str, ...], step_of) -> np.ndarray:
    settings = face.d3dmm
    identity = np.zeros(len(settings.coefficients), np.float32)
    settings.coefficients.foreach_get("value", identity)
    amounts = {item.name: item.value for item in settings.directions if item.value != 0.0}
    for name, amount in amounts.items():
        if name in names:
            identity += step_of(name, amount)
    return identity


def direction_step(name: str, amount: float) -> np.ndarray:
    """Returns (K,): the change of identity by a named direction's slider.

    Args:
        name: of the direction.
        amount: of the slider; 1 and -1 are the ends of its range.
    """
    model = face_model()
    index = model.direction_names.index(name)
    low, high = (abs(float(bound)) for bound in model.direction_ranges[index])
    return model.directions[index] * (high if amount > 0 else low) * amount


def identity_digest(identity: np.ndarray) -> str:
    """Returns a short name for an identity, by which shape keys made for it are recognised."""
    return hashlib.sha256(np.ascontiguousarray(identity, np.float32).tobytes()).hexdigest()[:16]


def skin_of(face: bpy.types.Object) -> np.ndarray:
    """Returns (16,) float32: the skin vector of a face's wrinkle seed, skin age, tendency and thickness."""
    settings = face.d3dmm
    skin = sample_skin(settings.wrinkle_seed)
    skin[:3] += (settings.age_offset, settings.skin_tendency, settings.skin_thickness)
    return skin


def expression_of(face: bpy.types.Object) -> np.ndarray:
    """Returns (52,) float32: the expression that a face's shape keys show; muted keys count as 0."""
    return key_values(face.data.shape_keys, face_model().expression_names)


def key_values(keys: bpy.types.Key, names: Iterable[str]) -> np.ndarray:
    """Returns (len(names),) float32: the values of some shape keys, 0 where one is missing or muted."""
    blocks = (keys.key_blocks.get(name) for name in names)
    return np.array([0.0 if key is None or key.mute else key.value for key in blocks], np.float32)
