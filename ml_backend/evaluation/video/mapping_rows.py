"""Wrinkles of solved clips against those of the true curves: mapping network, ridge and detail encoder.

network     landmark displacement to W+ displacement (Choe 2023, Eq. 3.6 and 3.7)
ridge       the same by ridge regression
expression  the solved curves through the detail encoder
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from ...datasets.simulated_clips import SimulatedClip
from ...datasets.teacher_maps import face_mask
from ...losses.map_reconstruction import percentile_span
from ...models.bilinear_face import BilinearFace
from ...models.detailed_3dmm import Detailed3DMM
from ...models.reenactment import default_mapping
from ...models.skin_vector import sample_skin
from ...pipelines.generate_detail import detail_model
from ...video.clip_landmarks import ClipLandmarks
from ...video.head_displacement import head_displacement
from ...video.solve_clip import SolvedClip
from ..detail_fidelity import active_texels

CASES = ("ramp", "release", "lips", "together", "hand")
_FRAMES = 3
_RESOLUTION, _WINDOW = 256, 3
ROWS = ("network", "expression", "ridge")


@dataclass
class MappingRows:
    """Frames of clips, and the maps that each row makes of them.

    Attributes:
        truth: (R, R) maps of the true curves.
        made: the same by row.
    """

    truth: list[np.ndarray] = field(default_factory=list)
    made: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in ROWS})

    def add(self, clip: SimulatedClip, landmarks: ClipLandmarks, solved: SolvedClip, seed: int) -> None:
        """Adds the frames of a clip whose expression is strongest, apart from each other.

        Args:
            clip: the truth.
            landmarks: as they were detected.
            solved: from them.
            seed: of the person's skin.
        """
        moved = np.linalg.norm(clip.expression, axis=1) * np.isfinite(clip.points[:, 0, 0])
        frames = [
            part[int(np.argmax(moved[part]))] for part in np.array_split(np.arange(len(moved)), _FRAMES)
        ]
        displacement = head_displacement(solved.model, landmarks, solved.poses, solved.expression)[frames]
        model = detail_model()
        person = (clip.identity, sample_skin(seed))
        faces = solved.expression[frames].astype(np.float32)
        for name, maps in driven_maps(model, person, faces, displacement).items():
            self.made[name] += list(maps)
        identity, skin = (np.repeat(np.asarray(part, np.float32)[None], len(frames), 0) for part in person)
        self.truth += list(model.displacement(identity, skin, clip.expression[frames], _RESOLUTION))

    def figures(self) -> dict[str, dict[str, float]]:
        """Returns `psnr_db` in the face and `ssim` where the truth has wrinkles, by row."""
        mask = torch.from_numpy(face_mask(BilinearFace.default(), _RESOLUTION))
        truth = torch.from_numpy(np.stack(self.truth)) * mask
        peak = percentile_span(truth.numpy(), mask.numpy())
        active = active_texels(truth, mask, float(truth[:, mask].std()), _WINDOW).numpy()
        found = {}
        for name in ROWS:
            made = torch.from_numpy(np.stack(self.made[name])) * mask
            square = float((made - truth)[:, mask].square().mean())
            alike = [similarity_map(one, other, peak) for one, other in zip(made, truth, strict=True)]
            found[name] = {
                "psnr_db": round(10 * float(np.log10(peak**2 / max(square, 1e-20))), 3),
                "ssim": round(float(np.stack(alike)[active].mean()), 4),
            }
        return found


def driven_maps(
    model: Detailed3DMM,
    person: tuple[np.ndarray, np.ndarray],
    expression: np.ndarray,
    displacement: np.ndarray,
) -> dict[str, np.ndarray]:
    """Returns maps (T, R, R) of a person by row.

    Args:
        model: the networks.
        person: identity (K,) and skin (16,), the source, at rest.
        expression: (T, 52) solved.
        displacement: (T, L, 2) of the landmarks.
    """
    identity, skin = (np.repeat(np.asarray(part, np.float32)[None], len(expression), 0) for part in person)
    rest = model.latent(identity, skin, np.zeros_like(expression))
    mapping = default_mapping()
    moved = torch.from_numpy(displacement)
    with torch.inference_mode():
        changes: dict[str, Tensor] = {
            "network": mapping(moved, rest.cpu() - model.generator.mean_latent.cpu()),
            "ridge": mapping.by_ridge(moved),
        }
    latents = {name: rest + change.to(rest.device) for name, change in changes.items()}
    latents["expression"] = model.latent(identity, skin, expression)
    return {name: model.between(rest, latents[name], expression, _RESOLUTION) for name in ROWS}


def similarity_map(one: Tensor, other: Tensor, peak: float) -> np.ndarray:
    """Returns the structural similarity (R, R) of two maps."""
    return structural_similarity(
        one.numpy(),
        other.numpy(),
        data_range=peak,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )[1]
