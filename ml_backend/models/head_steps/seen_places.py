"""Places of the face that the attribute encoder looks at, and where codes put them in a levelled picture.

The levelled picture is that of `fitting/attributes/levelled_face.py`: its origin is the landmarks' middle,
the eyes are level, and lengths are inter-ocular distances.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ...geometry.camera_view import FRONTAL
from ..bilinear_face import BilinearFace

EYES_APART = 0.0615
"""Metres between the middles of the eyes' corners on the mean face."""
PLACES = 160
_MARKS = (
    "lid_upper_left", "lid_upper_right", "lid_lower_left", "lid_lower_right", "lip_corner_left",
    "lip_corner_right", "lip_border_upper", "lip_border_lower", "lip_upper_middle", "lip_lower_middle",
    "nose_tip", "nose_base", "nose_wing_left", "nose_wing_right", "nose_root", "chin_tip", "chin_bottom",
    "jaw_left", "jaw_right", "ear_bottom_left", "ear_bottom_right",
)  # fmt: skip
"""Landmarks that are places; of a row of them every second."""


class SeenPlaces:
    """The places: landmarks, then vertices of the face's front, each as far as can be from the others.

    Args:
        face: the face model.
        count: of places.

    Attributes:
        vertices: (P,) int.
    """

    def __init__(self, face: BilinearFace, count: int = PLACES):
        front = np.flatnonzero(
            (face.vertex_part == 0) & ((face.regions["face"] > 0.3) | (face.regions["lips"] > 0.5))
        )
        marks = [face.landmarks[name] for name in _MARKS]
        chosen = list(dict.fromkeys(np.concatenate([row[::2] for row in marks]).tolist()))[:count]
        nearest = np.linalg.norm(face.mean[front][:, None] - face.mean[chosen], axis=2).min(1)
        while len(chosen) < count:
            chosen.append(int(front[nearest.argmax()]))
            nearest = np.minimum(nearest, np.linalg.norm(face.mean[front] - face.mean[chosen[-1]], axis=1))
        self.vertices = np.array(chosen)
        basis = face.basis.reshape(len(face.basis), -1, 3)[:, self.vertices].reshape(len(face.basis), -1)
        rows = face.core.reshape(-1, len(basis)).astype(np.float32) @ basis.astype(np.float32)
        self._rows = torch.from_numpy(rows.reshape(len(face.core), -1))  # (1 + K, (1 + 52) * 3 P)
        self._mean = torch.from_numpy(face.mean[self.vertices].astype(np.float32))

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, count: int = PLACES) -> "SeenPlaces":
        """Returns the places on the embedded face model."""
        return cls(BilinearFace.default(), count)

    def positions(self, shape: Tensor, expression: Tensor) -> Tensor:
        """Returns places (B, P, 3), metres, of shapes (B, K) and expressions (B, 52)."""
        ones = torch.ones(len(shape), 1)
        rows = (torch.cat([ones, shape], 1) @ self._rows).view(len(shape), 1 + expression.shape[1], -1)
        moved = torch.einsum("be,bep->bp", torch.cat([ones, expression], 1), rows)
        return self._mean + moved.view(len(shape), -1, 3)

    def seen(self, codes: dict[str, Tensor], more: Tensor) -> Tensor:
        """Returns where a levelled picture shows the places.

        Args:
            codes: shape (B, K), expression (B, 52), and rotation and translation (B, 3) as
                `fitting.attributes.levelled_place` returns them.
            more: (B, 4), the last numbers of `LevelledFace.points`: logarithm of the distance, direction
                across and down, roll.

        Returns:
            (B, P, 2), to the right and down.
        """
        places = self.positions(codes["shape"], codes["expression"])
        yaw, pitch, roll = torch.deg2rad(codes["rotation"]).unbind(1)
        across, down, tilt = more[:, 1], more[:, 2], more[:, 3]
        frontal = torch.from_numpy(FRONTAL.astype(np.float32))
        turn = _about(2, -roll) @ _about(0, -pitch) @ _about(1, yaw) @ frontal
        turn = _ray(across, down) @ _about(2, tilt) @ turn
        focal = torch.exp(more[:, 0]) / EYES_APART  # inter-ocular distances, as all that follows
        scale = torch.exp(codes["translation"][:, 2]) / EYES_APART
        level = _about(2, tilt)[:, :2, :2]
        middle = torch.stack([across, down], 1) * focal[:, None]
        origin = middle + (level @ codes["translation"][:, :2, None])[..., 0]
        shift = torch.cat([origin / scale[:, None], (focal / scale)[:, None]], 1)
        here = places @ turn.transpose(1, 2) + shift[:, None]
        depth = here[..., 2:].clamp_min(0.05)
        return (focal[:, None, None] * here[..., :2] / depth - middle[:, None]) @ level


def _about(axis: int, angle: Tensor) -> Tensor:
    """Returns rotations (B, 3, 3) about an axis, as `geometry.camera_view.rotation_about`."""
    first, second = (other for other in range(3) if other != axis)
    turn = torch.zeros(len(angle), 3, 3)
    turn[:, axis, axis] = 1
    turn[:, first, first] = turn[:, second, second] = angle.cos()
    turn[:, first, second], turn[:, second, first] = -angle.sin(), angle.sin()
    return turn


def _ray(across: Tensor, down: Tensor) -> Tensor:
    """Returns the smallest rotations (B, 3, 3) that turn the optical axis to (across, down, 1)."""
    length = (across**2 + down**2 + 1).sqrt()
    x, y, z = -down / length, across / length, 1 / length  # the axis times the sine; the cosine
    cross = torch.zeros(len(across), 3, 3)
    cross[:, 0, 2], cross[:, 1, 2], cross[:, 2, 0], cross[:, 2, 1] = y, -x, -y, x
    return torch.eye(3) + cross + cross @ cross / (1 + z)[:, None, None]
