"""Measures the detail basis of a clip, the distilled detail and the generator's own inversion."""

import time

import numpy as np
import torch
from torch import Tensor

from ..asset_files import ASSETS
from ..models.detail_basis import fit_detail_basis
from ..models.detailed_3dmm import Detailed3DMM
from ..models.distilled_detail import DEFAULT_FILE, DistilledDetail
from ..pipelines.animate_from_audio import AnimateFromAudioRequest, animate_from_audio
from ..pipelines.generate_detail import displacement_maps
from ..pipelines.invert_map import InvertMapRequest, invert_map

BASIS_RESOLUTION = 512
BASIS_FPS = 10
PLAYED_FPS = 30
MOST_COMPONENTS = 48
STEPS_BETWEEN_FACES = 5
DRAGGED_VERTICES = 72_000
INVERTED_PEOPLE = 4
INVERSION_STEPS = 150


def clip_of(faces: np.ndarray) -> np.ndarray:
    """Returns (T, 52): the demo recording's curves, then a walk through faces (E, 52) and back to rest."""
    request = AnimateFromAudioRequest(str(ASSETS / "demo_speech.wav"), BASIS_FPS)
    spoken = animate_from_audio(request, lambda *_: None)
    stops = np.concatenate([np.zeros_like(faces[:1]), faces, np.zeros_like(faces[:1])])
    share = np.arange(STEPS_BETWEEN_FACES)[:, None, None] / STEPS_BETWEEN_FACES
    walked = ((1 - share) * stops[:-1] + share * stops[1:]).transpose(1, 0, 2).reshape(-1, faces.shape[1])
    return np.concatenate([np.asarray(spoken.frames, np.float32)[:, : faces.shape[1]], walked]).astype(
        np.float32
    )


def basis_figures(
    model: Detailed3DMM, identity: np.ndarray, skin: np.ndarray, faces: np.ndarray, mask: np.ndarray
) -> dict[str, float]:
    """Measures the detail basis of one person's clip against the generator.

    Figures: `k`, `psnr_db`, `mb_per_minute`, that of an image sequence, `frames`.

    Args:
        model: the generator's side.
        identity, skin: (K,), (16,).
        faces: (E, 52), the part of the clip that is no speech.
        mask: (512, 512) bool, the face.
    """
    clip = clip_of(faces)
    people = np.repeat(identity[None], len(clip), 0), np.repeat(skin[None], len(clip), 0)
    values = model.displacement(*people, clip, BASIS_RESOLUTION)[:, mask]
    basis = fit_detail_basis(values, most_components=MOST_COMPONENTS)
    count = len(basis.fields)
    image = 2 * 1024 * 1024  # bytes of one map as half floats
    frames = 60 * PLAYED_FPS
    return {
        "k": count,
        "psnr_db": round(basis.psnr_db, 2),
        "mb_per_minute": round(((count + 1) * image + frames * count * 4) / 2**20, 2),
        "mb_per_minute_image_sequence": round(frames * image / 2**20, 1),
        "frames": len(clip),
    }


def distilled_speed(distilled: DistilledDetail, repeats: int = 30) -> dict[str, float]:
    """`ms`: median of one slider update at 72,000 vertices; `mb`: the file."""
    random = np.random.default_rng(0)
    fields = distilled.fields_at(random.random((DRAGGED_VERTICES, 2), np.float32))
    identity = np.zeros(distilled.identity_size, np.float32)
    skin = np.zeros(distilled.skin_size, np.float32)
    taken = []
    for _ in range(repeats):
        expression = random.random(distilled.expression_size, np.float32)
        began = time.perf_counter()
        fields.at(distilled.coefficients(identity, skin, expression))
        taken.append(time.perf_counter() - began)
    return {
        "ms": round(1000 * float(np.median(taken)), 2),
        "mb": round(DEFAULT_FILE.stat().st_size / 2**20, 2),
    }


def inverted(
    model: Detailed3DMM, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray, truth: Tensor
) -> Tensor:
    """Returns (R, R) the generator's nearest map to a truth (R, R) of one face.

    It is fitted at 512 or less, from the encoder's latent.
    """
    size = min(512, truth.shape[-1])
    request = InvertMapRequest(
        map=truth.numpy(),
        identity=identity,
        skin=skin,
        expression=expression,
        steps=INVERSION_STEPS,
        resolution=size,
    )
    found = invert_map(request, lambda *_: None, model)
    given = identity[None], skin[None], expression[None]
    return torch.from_numpy(displacement_maps(model, *given, truth.shape[-1], found.offset)[0])
