"""The face of one person at its landmarks, seen by the camera of one clip.

Identity, focal length and the places where the detector errs on this person stay over the clip; only
expression and pose move.
"""

from dataclasses import dataclass, field

import numpy as np

from ..fitting.face_fit import LandmarkModel
from ..fitting.fit_priors import Noise, expression_prior
from ..fitting.landmark_map import OVAL
from ..fitting.mesh_layout import LEFT_RIM, RIGHT_RIM
from ..geometry.camera_view import FRONTAL, Camera
from ..geometry.displacement import vertex_normals
from ..models.bilinear_face import BilinearFace

UNSEEN = ("tongueOut", "cheekPuff")
"""Channels that landmarks do not show; they stay 0."""
POSE = 6
"""Turn 3, direction from the optical axis 2, logarithm of the distance."""
TURN_FEATURES = ("yaw", "pitch", "side")
_OVAL_LESS = 0.5
_HIDDEN = 0.05
"""Weight of points on the side that the camera does not see: the network guesses them."""
_RIM_ERROR = 0.35
"""Errors of the lids' rims up and down within a clip, of the mean point's."""
_FRAME_ERROR, _TURNED_ERROR, _TURN_POWER = 0.012, 0.06, 1.3
"""Errors of the detector within a clip, in inter-ocular distances: seen from the front, and at 40 degrees.

Measured on painted clips of known pose and expression: what is left beside the error that stays over a clip
is 0.003 to 0.015 from the front, and 0.012, 0.024, 0.04, 0.06 at 10, 20, 30 and 40 degrees.
"""


@dataclass
class HeadPose:
    """Pose of the head in a frame.

    Attributes:
        rotation: (3, 3) from the face's axes to the camera's.
        direction: (2,) x / z and y / z of the face's origin.
        log_distance: logarithm of its depth in metres.
    """

    rotation: np.ndarray
    direction: np.ndarray
    log_distance: float

    def moved(self, step: np.ndarray) -> "HeadPose":
        """Returns the pose after a step (6,): the turn as a rotation vector in the camera's axes."""
        return HeadPose(
            rotation_of(step[:3]) @ self.rotation,
            self.direction + step[3:5],
            self.log_distance + float(step[5]),
        )

    @property
    def translation(self) -> np.ndarray:
        """Returns the face's origin (3,) in the camera's axes, metres."""
        distance = float(np.exp(self.log_distance))
        return np.array([*(self.direction * distance), distance])

    def angles(self) -> np.ndarray:
        """Returns yaw, pitch and roll in degrees, as `Camera.head_angles`."""
        return np.array(Camera(self.rotation, self.translation, 1.0, 1, 1).head_angles())

    def step_to(self, other: "HeadPose") -> np.ndarray:
        """Returns the step (6,) that leads to another pose."""
        turn = rotation_vector(other.rotation @ self.rotation.T)
        return np.array([*turn, *(other.direction - self.direction), other.log_distance - self.log_distance])


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """Returns the rotation (3, 3) of a rotation vector (3,)."""
    angle = float(np.linalg.norm(vector))
    axis = vector / max(angle, 1e-12)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Returns the rotation vector (3,) of a rotation (3, 3) by less than half a turn."""
    skew = rotation - rotation.T
    vector = np.array([skew[2, 1], skew[0, 2], skew[1, 0]]) / 2
    sine = float(np.linalg.norm(vector))
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1) / 2))
    return vector * (angle / sine if sine > 1e-9 else 1.0)


def turn_features(pose: HeadPose) -> np.ndarray:
    """Returns (3,) the sizes of the detector's errors that yaw, pitch and any turn to a side bring.

    They are 1 at 40 degrees, and grow as the errors do.
    """
    yaw, pitch, _ = pose.angles()
    yaw, pitch = (np.sign(angle) * (abs(angle) / 40) ** _TURN_POWER for angle in (yaw, pitch))
    return np.array([yaw, pitch, abs(yaw)])


@dataclass
class ClipModel:
    """One person at the landmarks, and the camera of a clip.

    Attributes:
        identity: (K,) float64.
        rest: (L, 3) metres, the neutral face with the offsets of this clip.
        shapes: (L, 3, C) metres, displacements of the free channels.
        free: (C,) indices of the channels that are solved.
        normals: (L, 3) of the neutral face.
        prior: (C, C) precision of expressions.
        focal: pixels.
        centre: (2,) the optical axis, pixels.
        unit: metres between the middles of the eyes.
        noise: of the detector within a clip.
        turned: (3, L, 3) metres, how far the detector misses each point by `turn_features`.
    """

    identity: np.ndarray
    rest: np.ndarray
    shapes: np.ndarray
    free: np.ndarray
    normals: np.ndarray
    prior: np.ndarray
    focal: float
    centre: np.ndarray
    unit: float
    noise: Noise
    turned: np.ndarray = field(default_factory=lambda: np.zeros((len(TURN_FEATURES), 1, 1)))
    _outline: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        self._outline = np.ones(len(self.rest))
        self._outline[list(OVAL)] = _OVAL_LESS

    @classmethod
    def of(
        cls, model: LandmarkModel, face: BilinearFace, identity: np.ndarray, focal: float, centre: np.ndarray
    ) -> "ClipModel":
        """Makes the model of a person before anything is known of the clip's offsets."""
        identity = np.asarray(identity, np.float64)
        place, _, by_expression = model.points(identity, np.zeros(len(model.names)))
        free = np.array([index for index, name in enumerate(model.names) if name not in UNSEEN])
        normals = vertex_normals(face.neutral(identity.astype(np.float32)), face.polygons)
        normals = model.map.gather(np.asarray(normals, np.float64))
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        unit = float(np.linalg.norm(place[[33, 133]].mean(0) - place[[362, 263]].mean(0)))
        own = model.map.own / np.sqrt((model.map.own**2).mean())
        # between people lids differ in how far they are open at rest, within a clip they do not
        rims = np.array([*RIGHT_RIM, *LEFT_RIM])
        own[2 * rims + 1] = np.minimum(own[2 * rims + 1], _RIM_ERROR)
        shared = 0.5 * _FRAME_ERROR * model.map.factors / np.sqrt((model.map.factors**2).mean() + 1e-12)
        noise = Noise.of(np.zeros(2 * len(place)), shared, _FRAME_ERROR * own)
        usual = model.noise.mean  # what the detector errs on every face, (L, 2) with the eyes level
        place = place + unit * np.stack([usual[:, 0], np.zeros(len(usual)), -usual[:, 1]], 1)
        return cls(
            identity,
            place.astype(np.float64),
            np.ascontiguousarray(by_expression[free].transpose(1, 2, 0), np.float64),
            free,
            normals,
            expression_prior(model.names)[np.ix_(free, free)],
            float(focal),
            np.asarray(centre, np.float64),
            unit,
            noise,
        )

    def places(self, expression: np.ndarray, pose: HeadPose) -> np.ndarray:
        """Returns the landmarks (L, 3) under the free channels (C,) as the detector sees them, metres."""
        missed = np.tensordot(turn_features(pose), self.turned, 1)
        return self.rest + missed + self.shapes @ expression

    def project(self, pose: HeadPose, places: np.ndarray) -> np.ndarray:
        """Returns pixels (L, 2) of landmarks (L, 3)."""
        local = places @ pose.rotation.T + pose.translation
        return self.focal * local[:, :2] / local[:, 2:] + self.centre

    def linearised(self, pose: HeadPose, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns pixels (L, 2) and derivatives by places (L, 2, 3) and by the pose (L, 2, 6)."""
        turned = places @ pose.rotation.T
        local = turned + pose.translation
        depth = local[:, 2:]
        pixels = self.focal * local[:, :2] / depth + self.centre
        by_local = np.zeros((len(places), 2, 3))
        by_local[:, 0, 0] = by_local[:, 1, 1] = self.focal / depth[:, 0]
        by_local[:, :, 2] = -self.focal * local[:, :2] / depth**2
        by_pose = np.empty((len(places), 2, POSE))
        swept = np.zeros((len(places), 3, 3))  # the cross products of the axes with the places
        swept[:, 2, 0] = turned[:, 1]
        swept[:, 1, 0] = -turned[:, 2]
        swept[:, 0, 1] = turned[:, 2]
        swept[:, 2, 1] = -turned[:, 0]
        swept[:, 1, 2] = turned[:, 0]
        swept[:, 0, 2] = -turned[:, 1]
        by_pose[..., :3] = by_local @ swept
        distance = np.exp(pose.log_distance)
        by_pose[..., 3:5] = by_local[..., :2] * distance
        by_pose[..., 5] = by_local @ pose.translation
        return pixels, by_local @ pose.rotation, by_pose

    def weights(self, pose: HeadPose, places: np.ndarray) -> np.ndarray:
        """Returns (L,) in 0..1, how far the camera sees each point."""
        to_camera = -(places @ pose.rotation.T + pose.translation)
        to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
        facing = ((self.normals @ pose.rotation.T) * to_camera).sum(1)
        return self._outline * np.clip(0.25 + 2.5 * facing, _HIDDEN, 1.0)

    def scale(self, pose: HeadPose) -> float:
        """Returns the inter-ocular distance in pixels of this face seen from the front at this distance."""
        return self.focal * self.unit / float(np.exp(pose.log_distance))

    def error_scale(self, pose: HeadPose) -> float:
        """Returns the factor on the detector's errors for a turned head."""
        cosine = float(np.clip((FRONTAL.T @ pose.rotation)[1, 1], -1, 1))
        turn = np.degrees(np.arccos(cosine))
        return float(np.hypot(1.0, _TURNED_ERROR / _FRAME_ERROR * (turn / 40) ** _TURN_POWER))

    def camera(self, pose: HeadPose, width: int, height: int) -> Camera:
        """Returns the camera of a frame."""
        return Camera(
            pose.rotation,
            pose.translation,
            self.focal,
            width,
            height,
            (float(self.centre[0]), float(self.centre[1])),
        )
