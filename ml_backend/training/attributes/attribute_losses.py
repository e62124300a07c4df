"""Errors of codes in what they change: millimetres of the face, colours of the skin, directions of light."""

import numpy as np
import torch
from torch import Tensor

from ...models.attribute_encoder import AttributeEncoder
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import SIZES, TEXTURE
from ...models.face_renderer import HeadFields, SkinColours


class CodeErrors:
    """The measures, made once.

    Args:
        face: the face model.

    Attributes:
        shapes: (128, 3 P) root mean square millimetres of the face's front per unit of shape; forms: the same
            without what a turn, shift or scale of the face makes up for.
        expressions: (52,) how much each moves; skins: (48, 3 T) sRGB per unit of texture.
    """

    def __init__(self, face: BilinearFace):
        rows = face.core[1:, 0] @ face.basis  # (K, 3 V) metres
        front = np.flatnonzero((face.regions["face"] > 0.4) & (face.vertex_part == 0))
        self.front = front
        shapes = 1000 * rows.reshape(len(rows), -1, 3)[:, front].reshape(len(rows), -1)
        self.shapes = torch.from_numpy((shapes / np.sqrt(len(front))).astype(np.float32))
        same = _similarities(face.mean[front])
        flat = self.shapes.numpy()
        self.forms = torch.from_numpy(flat - (flat @ same.T) @ same)
        self._of_shapes, self._of_forms = self.shapes @ self.shapes.T, self.forms @ self.forms.T
        moved = np.linalg.norm(1000 * (face.core[0, 1:] @ face.basis).reshape(52, -1, 3)[:, front], axis=2)
        strength = np.sqrt(np.square(moved).mean(1))
        self.expressions = torch.from_numpy((strength / strength.mean()).clip(0.3, 2).astype(np.float32))
        texels = np.unique(HeadFields.default().uv[front].clip(0, 0.999) * 64 // 1, axis=0).astype(int)
        index = torch.from_numpy(texels[:, 1] * 64 + texels[:, 0])
        spread = SkinColours.default().spread[:, :, index].reshape(TEXTURE, -1)
        self.skins = spread / np.sqrt(len(index))
        self._of_skins = self.skins @ self.skins.T

    def each(
        self, encoder: AttributeEncoder, found: dict[str, Tensor], true: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Returns a loss for each code.

        Args:
            encoder: for the deviations.
            found: codes (B, n) in deviations.
            true: codes (B, n), not in deviations.
        """
        losses = {}
        for name, value in found.items():
            aim = encoder.scaled(name, true[name])
            away = encoder.unscaled(name, value) - true[name]
            plain = (value - aim).square().mean()
            if name == "shape":
                losses[name] = (
                    0.3 * ((away @ self._of_forms) * away).sum(1).mean()
                    + 0.05 * ((away @ self._of_shapes) * away).sum(1).mean()
                    + 0.1 * plain
                )
            elif name == "expression":
                losses[name] = (away * self.expressions).square().mean() * 25 + 0.1 * plain
            elif name == "texture":
                losses[name] = 60 * ((away @ self._of_skins) * away).sum(1).mean() + 0.03 * plain
            elif name == "illumination":
                losses[name] = plain + 0.5 * turned(encoder.unscaled(name, value), true[name])
            elif name == "rotation":
                losses[name] = 0.02 * away.square().mean()
            elif name == "translation":
                losses[name] = plain
            else:
                losses[name] = plain
        return losses


def turned(found: Tensor, true: Tensor) -> Tensor:
    """Returns the mean of one less the cosine between main directions of light of codes (B, 27)."""
    one, other = (towards(code) for code in (found, true))
    return 1 - torch.cosine_similarity(one, other, dim=1).mean()


def towards(code: Tensor) -> Tensor:
    """Returns (B, 3), y, z, x of the main direction of light of codes (B, 27), not of unit length."""
    level = torch.exp(code[:, :3])
    return (code[:, 3:12].view(-1, 3, 3) * level[:, None]).mean(2)


def usual_codes(encoder: AttributeEncoder, batches: dict[str, Tensor]) -> None:
    """Sets the means and deviations of codes from drawn ones (N, n) by name."""
    start = 0
    for name, size in SIZES.items():
        if name in batches:
            encoder.output_mean[start : start + size] = batches[name].mean(0)
            least = {"expression": 0.08, "rotation": 1.0, "translation": 0.01}.get(name, 0.02)
            encoder.output_scale[start : start + size] = batches[name].std(0).clamp_min(least)
        start += size


def _similarities(places: np.ndarray) -> np.ndarray:
    """Returns (7, 3 P) float32, orthonormal: what small shifts, turns and scales do to places (P, 3)."""
    centred = places - places.mean(0)
    rows = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    rows += [np.cross(axis, centred) for axis in np.eye(3)] + [centred]
    return np.linalg.qr(np.stack([row.ravel() for row in rows]).T)[0].T.astype(np.float32)
