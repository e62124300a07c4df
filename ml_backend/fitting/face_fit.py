"""Fits the bilinear face to landmarks: one identity over all photos of a person; an expression, a pose and a camera for each.

Maximum a posteriori by Gauss-Newton with analytic derivatives. The landmarks' errors are taken as the
calibration found them - common
errors of the whole face beside each point's own -, so that what the detector gets wrong together is not read
as identity; single points
that disagree lose weight (Geman and McClure 1985). Priors: standard normal identity, small, two-sided
expressions inside 0..1, and a
log-normal distance of the camera, which a crop does not change.

Source: Cao et al. 2024, "DNPM", section IV-B: "3D landmarks on the bilinear face model are iteratively
aligned with the estimated 2D
landmarks"; Cao et al. 2014, "FaceWarehouse", Eq. 4 and 5.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from threadpoolctl import threadpool_limits

from ..geometry.camera_view import FRONTAL, Camera, rotation_about
from ..models.bilinear_face import BilinearFace
from .landmark_map import OVAL, LandmarkMap
from .landmarks import level_frame

POSE = 7  # turn 3, direction 2, log of scale, log of distance
_ITERATIONS, _POSE_ITERATIONS, _STILL = 18, 6, 0.004
_OUTLIER = 0.12
_DISTANCE, _DISTANCE_SPREAD, _FOCAL_SPREAD = 1.2, 0.2, 0.35
_EXPRESSION_SPREAD, _SIDES_SPREAD, _BOUND_SPREAD = 0.40, 0.06, 0.03
_RARE = {
    "tongueOut": 0.01,
    "cheekPuff": 0.06,
    "jawForward": 0.06,
    "jawLeft": 0.12,
    "jawRight": 0.12,
    "mouthLeft": 0.15,
    "mouthRight": 0.15,
}
_OVAL_LESS = 0.5
_COMMON = 0.3
"""Painted heads puzzle the detector more than photographs do: with their common errors in full, photographs are fitted loosely."""


@dataclass(frozen=True)
class SeenFace:
    """One photo's face, as the fit takes it.

    Attributes:
        points: (478, 2) pixels.
        width, height: of the picture.
        focal: what is known of the lens, in units of the longer side; or None.
    """

    points: np.ndarray
    width: int
    height: int
    focal: float | None = None


@dataclass
class FittedView:
    """One photo's part of the result.

    Attributes:
        expression: (52,) float64.
        camera: of the photo.
        residual: (478,) landmark errors in inter-ocular distances.
        weight: (478,) in 0..1, how far each point was believed.
    """

    expression: np.ndarray
    camera: Camera
    residual: np.ndarray
    weight: np.ndarray


@dataclass
class FaceFit:
    """The result.

    Attributes:
        identity: (K,) float64, standard deviations.
        precision: (K, K), the inverse of what remains uncertain of the identity, prior included.
        views: one for each photo.
    """

    identity: np.ndarray
    precision: np.ndarray
    views: list[FittedView]


@dataclass
class LandmarkModel:
    """The bilinear model at the landmarks only.

    Attributes:
        mean: (3 L,) float64; core: (1 + K, 1 + 52, 3 L) float32, metres.
        names: of the expressions.
        map: the landmark map.
    """

    mean: np.ndarray
    core: np.ndarray
    names: tuple[str, ...]
    map: LandmarkMap
    _by_expression: np.ndarray = field(init=False, repr=False)
    noise: "Noise" = field(init=False, repr=False)

    def __post_init__(self):
        self.noise = Noise.of(self.map.mean, _COMMON * self.map.factors, self.map.own)
        self._by_expression = np.ascontiguousarray(self.core.transpose(1, 0, 2))

    @classmethod
    def of(cls, face: BilinearFace, landmark_map: LandmarkMap) -> "LandmarkModel":
        """Cuts the model down to its landmarks."""
        basis = landmark_map.gather(face.basis.reshape(len(face.basis), -1, 3)).reshape(
            len(face.basis), -1
        )  # [B, 3L]
        mean = landmark_map.gather(face.mean).ravel()
        core = (face.core.reshape(-1, len(basis)) @ basis.astype(np.float32)).reshape(
            *face.core.shape[:2], -1
        )
        return cls(mean.astype(np.float64), core, face.expression_names, landmark_map)

    def points(
        self, identity: np.ndarray, expression: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Landmarks (L, 3) and their derivatives by identity (K, L, 3) and by expression (52, L, 3)."""
        by_expression = np.tensordot(
            np.concatenate([[1.0], identity]).astype(np.float32), self.core, 1
        )  # [1 + 52, 3L]
        by_identity = np.tensordot(
            np.concatenate([[1.0], expression]).astype(np.float32), self._by_expression, 1
        )  # [1 + K, 3L]
        place = self.mean + by_expression[0] + expression @ by_expression[1:]
        return (
            place.reshape(-1, 3),
            by_identity[1:].reshape(len(identity), -1, 3),
            by_expression[1:].reshape(len(expression), -1, 3),
        )


@dataclass(frozen=True)
class Noise:
    """The inverse of a covariance of common factors and own errors, D + F F^T, in a form that is quick to multiply by.

    Attributes:
        mean: (L, 2) float64, what is wrong on every face.
        root: (2 L,) float64, one over the own deviations.
        common: (F, 2 L) float64: with x scaled by `root`, x^T C^-1 x is |x|^2 - |common x|^2 (Woodbury).
    """

    mean: np.ndarray
    root: np.ndarray
    common: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray, factors: np.ndarray, own: np.ndarray) -> "Noise":
        """From mean (2 L,), factors (2 L, F) and own deviations (2 L,)."""
        scaled = factors / own[:, None]
        inner = cholesky(np.eye(factors.shape[1]) + scaled.T @ scaled, lower=True)
        return cls(mean.reshape(-1, 2), 1 / own, solve_triangular(inner, scaled.T, lower=True))

    def products(self, jacobian: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """J^T C^-1 J (P, P) and J^T C^-1 r (P,) of J (2 L, P) and r (2 L,)."""
        jacobian, wrong = jacobian * self.root[:, None], wrong * self.root
        shared, share = self.common @ jacobian, self.common @ wrong
        return jacobian.T @ jacobian - shared.T @ shared, jacobian.T @ wrong - shared.T @ share


def expression_prior(names: tuple[str, ...]) -> np.ndarray:
    """(52, 52) precision: small coefficients, and the left like the right."""
    precision = np.diag([1 / _RARE.get(name, _EXPRESSION_SPREAD) ** 2 for name in names])
    for name in names:
        if name.endswith("Left") and name[:-4] not in ("jaw", "mouth") and "Look" not in name:
            pair = [names.index(name), names.index(name[:-4] + "Right")]
            precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    for eye in ("Up", "Down"):
        pair = [names.index(f"eyeLook{eye}{side}") for side in ("Left", "Right")]
        precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    for side, other in (("Left", "Right"), ("Right", "Left")):
        pair = [names.index(f"eyeLookIn{side}"), names.index(f"eyeLookOut{other}")]
        precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    return precision


@dataclass
class _View:
    """A photo while it is being fitted."""

    seen: SeenFace
    turn: np.ndarray  # (2, 2) over the inter-ocular distance: pixels to the error model's frame
    noise: Noise
    rotation: np.ndarray
    pose: np.ndarray  # x / z, y / z, log of pixels a metre, log of metres
    expression: np.ndarray
    unit: float

    def camera(self) -> Camera:
        distance = np.exp(self.pose[3])
        place = distance * np.array([self.pose[0], self.pose[1], 1.0])
        return Camera(
            self.rotation, place, float(np.exp(self.pose[2]) * distance), self.seen.width, self.seen.height
        )

    def move(self, step: np.ndarray) -> None:
        angle = float(np.linalg.norm(step[:3]))
        axis = step[:3] / max(angle, 1e-12)
        cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        self.rotation = (
            np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        ) @ self.rotation
        self.pose = self.pose + step[3:7]

    def errors(self, place: np.ndarray) -> np.ndarray:
        """(L, 2) in the error model's frame."""
        return (self.camera().project(place)[0] - self.seen.points) @ self.turn.T + self.noise.mean

    def pose_jacobian(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(L, 2, 7) by pose, and (L, 2, 3) by the point's place in the face's axes."""
        camera = self.camera()
        turned = place @ self.rotation.T
        local = turned + camera.translation
        depth = local[:, 2]
        scale = camera.focal / depth
        by_local = np.zeros((len(place), 2, 3))
        by_local[:, 0, 0] = by_local[:, 1, 1] = scale
        by_local[:, 0, 2], by_local[:, 1, 2] = -scale * local[:, 0] / depth, -scale * local[:, 1] / depth
        by_local = np.einsum("ij,ljk->lik", self.turn, by_local)
        jacobian = np.empty((len(place), 2, POSE))
        jacobian[..., :3] = np.einsum(
            "lik,lak->lia", by_local, np.stack([np.cross(np.eye(3)[a], turned) for a in range(3)], 1)
        )
        distance = np.exp(self.pose[3])
        jacobian[..., 3:5] = by_local[..., :2] * distance
        centred = (local[:, :2] * scale[:, None]) @ self.turn.T
        jacobian[..., 5] = centred
        jacobian[..., 6] = centred + by_local @ camera.translation
        return jacobian, by_local @ self.rotation


def fit_face(model: LandmarkModel, faces: list[SeenFace], iterations: int = _ITERATIONS) -> FaceFit:
    """Fits one person, in one thread: these matrices are too small to share, and waiting threads cost more than they bring.

    Args:
        model: the face model at the landmarks.
        faces: the person's face in each photo, at least one.
        iterations: of Gauss-Newton.

    Returns:
        Identity, and by photo expression, camera and errors.
    """
    with threadpool_limits(limits=1):
        return _fit(model, faces, iterations)


def _fit(model: LandmarkModel, faces: list[SeenFace], iterations: int) -> FaceFit:
    views = [_begin(model, seen) for seen in faces]
    size, count = model.core.shape[0] - 1, len(model.names)
    identity = np.zeros(size)
    prior = expression_prior(model.names)
    weights = [np.ones(len(view.seen.points)) for view in views]
    width = count + POSE
    normal = np.eye(size)
    for _ in range(iterations):
        normal = np.zeros((size + width * len(views),) * 2)
        gradient = np.zeros(len(normal))
        normal[:size, :size] += np.eye(size)
        gradient[:size] += identity
        for index, view in enumerate(views):
            own = slice(size + index * width, size + (index + 1) * width)
            place, by_identity, by_expression = model.points(identity, view.expression)
            weights[index] = _weights(view.errors(place), view)
            pose, by_place = view.pose_jacobian(place)
            jacobian = np.concatenate(
                [np.einsum("lik,alk->lia", by_place, by_identity, optimize=True),
                 np.einsum("lik,alk->lia", by_place, by_expression, optimize=True), pose], 2
            )  # fmt: skip
            root = np.repeat(np.sqrt(weights[index]), 2)
            product, slope = view.noise.products(
                jacobian.reshape(len(root), -1) * root[:, None], view.errors(place).ravel() * root
            )
            normal[:size, :size] += product[:size, :size]
            normal[:size, own] = product[:size, size:]
            normal[own, :size] = product[size:, :size]
            gradient[:size] += slope[:size]
            curve, pull = _own_prior(view, prior)
            normal[own, own] = product[size:, size:] + curve
            gradient[own] = slope[size:] + pull
        step = -cho_solve(cho_factor(normal + 1e-9 * np.diag(np.diag(normal))), gradient)
        identity = identity + step[:size]
        for index, view in enumerate(views):
            own = step[size + index * width : size + (index + 1) * width]
            view.expression = np.clip(view.expression + own[:count], -0.05, 1.1)
            view.move(np.clip(own[count:], -0.5, 0.5))
        if np.abs(step).max() < _STILL:
            break
    cut = normal[:size, size:]
    precision = normal[:size, :size] - cut @ np.linalg.solve(normal[size:, size:], cut.T)
    found = []
    for view, weight in zip(views, weights, strict=True):
        place, _, _ = model.points(identity, view.expression)
        pixels, _ = view.camera().project(place)
        residual = np.linalg.norm(pixels - view.seen.points, axis=1) / view.unit
        found.append(FittedView(np.clip(view.expression, 0, 1), view.camera(), residual, weight))
    return FaceFit(identity, precision, found)


def _weights(errors: np.ndarray, view: _View) -> np.ndarray:
    weights = (1 / (1 + (errors**2).sum(1) / _OUTLIER**2)) ** 2
    weights[list(OVAL)] *= _OVAL_LESS
    return weights


def _own_prior(view: _View, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvature (59, 59) and slope (59,) of what is expected of expression and camera."""
    count = len(prior)
    curve, pull = np.zeros((count + POSE,) * 2), np.zeros(count + POSE)
    outside = (view.expression < 0) | (view.expression > 1)
    bound = view.expression - np.clip(view.expression, 0, 1)
    curve[:count, :count] = prior + np.diag(outside / _BOUND_SPREAD**2)
    pull[:count] = prior @ view.expression + bound / _BOUND_SPREAD**2
    curve[-1, -1] += 1 / _DISTANCE_SPREAD**2
    pull[-1] += (view.pose[3] - np.log(_DISTANCE)) / _DISTANCE_SPREAD**2
    if view.seen.focal is not None:
        wrong = view.pose[2] + view.pose[3] - np.log(view.seen.focal * max(view.seen.width, view.seen.height))
        both = np.array([1.0, 1.0]) / _FOCAL_SPREAD
        curve[-2:, -2:] += np.outer(both, both)
        pull[-2:] += both * wrong / _FOCAL_SPREAD
    return curve, pull


def _begin(model: LandmarkModel, seen: SeenFace) -> _View:
    """The mean face, posed: the best of three turns."""
    level, unit = level_frame(seen.points)
    mean = model.mean.reshape(-1, 3)
    roll = float(np.arctan2(level[0, 1], level[0, 0]))
    best, best_cost = None, np.inf
    for yaw in (0.0, -0.7, 0.7):
        rotation = rotation_about(2, roll) @ rotation_about(1, yaw) @ FRONTAL
        view = _View(
            seen, level / unit, model.noise, rotation, np.zeros(4), np.zeros(len(model.names)), unit
        )  # fmt: skip
        flat = (mean @ rotation.T)[:, :2]
        size = np.sqrt(seen.points.var(0).sum() / flat.var(0).sum())
        shift = (seen.points.mean(0) - (seen.width / 2, seen.height / 2)) / size - flat.mean(0)
        view.pose = np.array([*(shift / _DISTANCE), np.log(size), np.log(_DISTANCE)])
        for _ in range(_POSE_ITERATIONS):
            errors = view.errors(mean)
            weight = 1 / (0.1 + np.linalg.norm(errors, axis=1))
            jacobian = view.pose_jacobian(mean)[0][..., :6].reshape(-1, 6)
            rows = np.repeat(weight, 2)
            step = np.linalg.solve(
                jacobian.T @ (jacobian * rows[:, None]) + 1e-9 * np.eye(6),
                -jacobian.T @ (rows * errors.ravel()),
            )
            view.move(np.append(np.clip(step, -0.4, 0.4), 0.0))
        cost = float(np.median(np.linalg.norm(view.errors(mean), axis=1)))
        if np.isfinite(cost) and cost < best_cost:
            best, best_cost = view, cost
    if best is None:
        raise ValueError("the landmarks allow no pose")
    return best
