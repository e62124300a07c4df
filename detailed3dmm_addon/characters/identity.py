"""Identities of a seed, and the average person."""

import bpy
import numpy as np

from ...ml_backend.models.skin.seeded_tone import seeded_tone
from ..appearance import skin_follow
from ..appearance.eyes import redraw_irises
from ..detail import follow as live_update
from ..hair.looks import apply_hair_look, suiting_hair, wears_suiting_hair
from ..model.face_model import face_model
from .skin import store_seeded_skin


def seeded_person(seed: int | None) -> tuple[np.ndarray, float]:
    """Returns the person that a seed stands for.

    Args:
        seed: None for the average person.

    Returns:
        (K,) float32 identity in standard deviations, and a skin tone, 0 to 1.
    """
    if seed is None:
        return np.zeros(face_model().identity_size, np.float32), 0.3
    identity = np.asarray(face_model().seeded_person(seed), np.float32)
    return identity, seeded_tone(seed, face_model().origin_shares(identity))


def store_person(face: bpy.types.Object, seed: int | None) -> None:
    """Writes a seeded person into the sliders, without rewriting shapes.

    Args:
        face: the face.
        seed: None for the average person.
    """
    identity, tone = seeded_person(seed)
    settings = face.d3dmm
    with live_update.suspended(), skin_follow.suspended():
        settings.coefficients.foreach_set("value", identity)
        for direction in settings.directions:
            direction.value = 0.0
        if seed is not None:
            settings.identity_seed = seed
            if not settings.lock_wrinkle_seed:
                settings.wrinkle_seed = seed
            if not settings.skin.lock_seed:
                settings.skin_tone = tone
                store_seeded_skin(face, seed, identity)
    skin_follow.changed(face)


def set_identity_seed(face: bpy.types.Object, seed: int) -> None:
    """Turns a face into a seeded person.

    Irises and hair that the former seed drew are drawn anew; those that an artist chose stay.
    """
    former = face.d3dmm.identity_seed
    is_dressed = seed != former and wears_suiting_hair(face, former)
    store_person(face, seed)
    live_update.refresh_shape(face)
    if seed != former:
        redraw_irises(face, former, seed)
    if is_dressed:
        apply_hair_look(face, suiting_hair(face, seed))


def reset_identity(face: bpy.types.Object) -> None:
    """Turns a face into the average person."""
    store_person(face, None)
    live_update.refresh_shape(face)
