"""Fits the bilinear face to landmarks: one identity for a person, an expression and a camera for each photo.

Maximum a posteriori by Gauss-Newton with analytic derivatives. The landmarks' errors follow the calibration:
errors that the whole face shares, beside those of single points. So a shared error is not read as identity.
Single points that disagree lose weight (Geman and McClure 1985). Priors: standard normal identity; small,
two-sided expressions inside 0..1; the camera of `photo_camera.py`, which no crop changes.

Source: Cao et al. 2024, "DNPM", section IV-B: "3D landmarks on the bilinear face model are iteratively
aligned with the estimated 2D landmarks"; Cao et al. 2014, "FaceWarehouse", Eq. 4 and 5.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from ..geometry.camera_view import FRONTAL, Camera, rotation_about
from ..models.bilinear_face import BilinearFace
from .fit_priors import Noise, expression_prior
from .landmark_map import OVAL, LandmarkMap
from .landmarks import level_frame
from .lid_opening import lid_factors
from .mirror_image import even_sides, identity_mirror, mirrored_points
from .photo_camera import DISTANCE, POSE, CameraPose, SeenFace

_ITERATIONS, _POSE_ITERATIONS, _STILL = 18, 6, 0.004
_FEWEST, _SETTLED = 2, 20.0
"""Steps from a given start at least, and by how little the logarithm of the posterior may still rise then."""
_FORETOLD = 4.0
"""Half the squared error, in deviations and a photo, by which points may miss where a step's lines put them:
then the next step would win little."""
_REWEIGHTED = 4
"""Solutions of a step from a given start, each with the weights that the one before leads to."""
_OUTLIER = 0.12
_BOUND_SPREAD = 0.03
_OVAL_LESS = 0.5
_COMMON = 0.3
"""Share of the shared errors that counts. The detector errs more on painted heads than on photographs."""


@dataclass
class FittedView:
    """One photo's part of the result.

    Attributes:
        expression: (52,) float64.
        camera: of the photo.
        residual: (478,) landmark errors in inter-ocular distances.
        weight: (478,) in 0..1, how far each point was believed.
        focal_spread: standard deviation of the focal length's logarithm, all else left free; it includes the
            perspective that landmarks hide.
    """

    expression: np.ndarray
    camera: Camera
    residual: np.ndarray
    weight: np.ndarray
    focal_spread: float = 0.0


@dataclass
class FaceFit:
    """The result.

    Attributes:
        identity: (K,) float64, standard deviations.
        precision: (K, K), the inverse of what remains uncertain of the identity, prior included.
        views: one for each photo.
        steps: of Gauss-Newton that were taken.
    """

    identity: np.ndarray
    precision: np.ndarray
    views: list[FittedView]
    steps: int = 0


@dataclass(frozen=True)
class FitStart:
    """A face at which a fit starts, in place of the mean face.

    Attributes:
        identity: (K,) standard deviations.
        expressions: (52,) for each photo.
        belief: the identity's prior has its mean here, and this precision more than the 1 of the mean face's.
    """

    identity: np.ndarray
    expressions: list[np.ndarray]
    belief: float = 0.0


@dataclass
class LandmarkModel:
    """The bilinear model at the landmarks only.

    Attributes:
        mean: (3 L,) float64; core: (1 + K, 1 + 52, 3 L) float32, metres.
        names: of the expressions.
        map: the landmark map.
        mirror: (K, K) float64, see `identity_mirror`.
    """

    mean: np.ndarray
    core: np.ndarray
    names: tuple[str, ...]
    map: LandmarkMap
    mirror: np.ndarray
    _by_expression: np.ndarray = field(init=False, repr=False)
    noise: Noise = field(init=False, repr=False)

    def __post_init__(self):
        self.noise = self._noise()
        self._match_lids()
        self._by_expression = np.ascontiguousarray(self.core.transpose(1, 0, 2))

    def _noise(self) -> Noise:
        """Returns the landmarks' error model, the same for a face and its mirror image."""
        mirror = mirrored_points(self.mean.reshape(-1, 3))
        swap = np.stack([2 * mirror, 2 * mirror + 1], 1).ravel()
        sign = np.tile([-1.0, 1.0], len(mirror))
        errors = self.map
        factors = np.concatenate([errors.factors, errors.factors[swap] * sign[:, None]], 1) / np.sqrt(2)
        single = np.sqrt((errors.own**2 + errors.own[swap] ** 2) / 2)
        return Noise.of((errors.mean + errors.mean[swap] * sign) / 2, _COMMON * factors, single)

    def _match_lids(self) -> None:
        """Lets a blink end with the lids together, although the detector sees open eyes less open."""
        place = self.mean.reshape(-1, 3)
        unit = np.linalg.norm(place[[33, 133]].mean(0) - place[[362, 263]].mean(0))
        seen = place.copy()
        seen[:, 2] -= unit * self.noise.mean[:, 1]
        factors = np.repeat(lid_factors(place, seen), 3).astype(self.core.dtype)
        self.core = np.concatenate([self.core[:, :1], self.core[:, 1:] * factors], axis=1)

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
        mirror = identity_mirror(face)
        mean, core = even_sides(mean.astype(np.float64), core, mirror, face.expression_names)
        return cls(mean, core, face.expression_names, landmark_map, mirror)

    def points(
        self, identity: np.ndarray, expression: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns landmarks (L, 3) and their derivatives by identity (K, L, 3) and expression (52, L, 3)."""
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


@dataclass
class _View:
    """A photo while it is being fitted."""

    pose: CameraPose
    turn: np.ndarray  # (2, 2) over the inter-ocular distance: pixels to the error model's frame
    noise: Noise
    expression: np.ndarray

    def errors(self, place: np.ndarray) -> np.ndarray:
        """Returns the landmark errors (L, 2) in the error model's frame."""
        pixels, _ = self.pose.camera().project(place)
        return (pixels - self.pose.seen.points) @ self.turn.T + self.noise.mean

    def pose_at(self, place: np.ndarray) -> None:
        """Turns and moves a face of landmarks (L, 3) to the photo's, robustly."""
        for _ in range(_POSE_ITERATIONS):
            errors = self.errors(place)
            weight = 1 / (0.1 + np.linalg.norm(errors, axis=1))
            jacobian = self.jacobian(place)[0][..., :6].reshape(-1, 6)
            rows = np.repeat(weight, 2)
            step = np.linalg.solve(
                jacobian.T @ (jacobian * rows[:, None]) + 1e-9 * np.eye(6),
                -jacobian.T @ (rows * errors.ravel()),
            )
            self.pose.move(np.append(np.clip(step, -0.4, 0.4), np.zeros(POSE - 6)))

    def jacobian(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns derivatives by pose (L, 2, 9) and by place (L, 2, 3), in the error model's frame."""
        by_pose, by_place = self.pose.jacobian(place)
        return self.turn @ by_pose, self.turn @ by_place


def fit_face(
    model: LandmarkModel,
    faces: list[SeenFace],
    iterations: int = _ITERATIONS,
    start: FitStart | None = None,
) -> FaceFit:
    """Fits one person, in one thread: the matrices are too small for more.

    Args:
        model: the face model at the landmarks.
        faces: the person's face in each photo, at least one.
        iterations: of Gauss-Newton at most; 0 for the posed start.
        start: where to start; None: at the mean face.

    Returns:
        Identity, and by photo expression, camera and errors.
    """
    with threadpool_limits(limits=1):
        solution = _Solution.begin(model, faces, start)
        solution.improve(iterations)
        return solution.fit()


@dataclass
class _Solution:
    """One person while the photos are being fitted.

    Attributes:
        model: the face model at the landmarks.
        views: one for each photo.
        identity: (K,).
        weights: (478,) by photo.
        normal: curvature of the cost at the last step but one, (K + 61 N,) * 2.
        start: where it started; None: at the mean face.
        steps: taken so far.
    """

    model: LandmarkModel
    views: list[_View]
    identity: np.ndarray
    weights: list[np.ndarray]
    normal: np.ndarray
    start: FitStart | None = None
    steps: int = 0

    @classmethod
    def begin(cls, model: LandmarkModel, faces: list[SeenFace], start: FitStart | None = None) -> "_Solution":
        """Returns the posed mean face, or the posed start."""
        views = [_begin(model, seen) for seen in faces]
        size = model.core.shape[0] - 1
        weights = [np.ones(len(view.pose.seen.points)) for view in views]
        normal = np.eye(size + (len(model.names) + POSE) * len(views))
        if start is None:
            return cls(model, views, np.zeros(size), weights, normal)
        identity = np.array(start.identity, np.float64)
        for view, expression in zip(views, start.expressions, strict=True):
            view.expression = np.array(expression, np.float64)
            view.pose_at(model.points(identity, view.expression)[0])
        return cls(model, views, identity, weights, normal, start)

    def improve(self, iterations: int) -> None:
        """Takes steps of Gauss-Newton until nothing moves; from a given start until little is won."""
        size, count = len(self.identity), len(self.model.names)
        width = count + POSE
        prior = expression_prior(self.model.names)
        for _ in range(iterations):
            slopes = [self._slopes(view) for view in self.views]
            step = gradient = np.zeros(len(self.normal))
            for _ in range(1 if self.start is None else _REWEIGHTED):
                gradient = self._weigh(slopes, step, prior)
                curved = self.normal + 1e-9 * np.diag(np.diag(self.normal))
                step = -cho_solve(cho_factor(curved), gradient)
            self.identity = self.identity + step[:size]
            for index, view in enumerate(self.views):
                own = step[size + index * width : size + (index + 1) * width]
                view.expression = np.clip(view.expression + own[:count], -0.05, 1.1)
                view.pose.move(np.clip(own[count:], -0.5, 0.5))
            self.steps += 1
            settled = self.start is not None and self._is_settled(slopes, step, float(-0.5 * gradient @ step))
            if settled or np.abs(step).max() < _STILL:
                break

    def _is_settled(self, slopes: list[tuple[np.ndarray, np.ndarray]], step: np.ndarray, won: float) -> bool:
        """Returns True if another step would win little: the last one did, or went as its lines foretold.

        Args:
            slopes: of `_slopes` before the step, for each view.
            step: (K + 61 N,).
            won: what the step took off the cost, by the same lines.
        """
        if self.steps >= _FEWEST and won < _SETTLED:
            return True
        size, width, missed = len(self.identity), len(self.model.names) + POSE, 0.0
        for index, (view, (errors, jacobian)) in enumerate(zip(self.views, slopes, strict=True)):
            own = slice(size + index * width, size + (index + 1) * width)
            foretold = errors + jacobian @ np.concatenate([step[:size], step[own]])
            wrong = view.errors(self.model.points(self.identity, view.expression)[0]) - foretold
            wrong = (wrong * np.sqrt(self.weights[index])[:, None]).reshape(-1, 1)
            missed += 0.5 * float(view.noise.products(wrong, wrong[:, 0])[0][0, 0])
        return missed < _FORETOLD * len(self.views)

    def _slopes(self, view: _View) -> tuple[np.ndarray, np.ndarray]:
        """Returns errors (L, 2) and their derivatives (L, 2, K + 61) by identity, expression and camera."""
        place, by_identity, by_expression = self.model.points(self.identity, view.expression)
        pose, by_place = view.jacobian(place)
        jacobian = np.concatenate(
            [np.einsum("lik,alk->lia", by_place, by_identity, optimize=True),
             np.einsum("lik,alk->lia", by_place, by_expression, optimize=True), pose], 2
        )  # fmt: skip
        return view.errors(place), jacobian

    def _weigh(
        self, slopes: list[tuple[np.ndarray, np.ndarray]], step: np.ndarray, prior: np.ndarray
    ) -> np.ndarray:
        """Sets weights and curvature, and returns the slope (K + 61 N,) of the cost.

        Args:
            slopes: of `_slopes`, for each view.
            step: (K + 61 N,), after which points are believed and bounds hold: at once what disagrees with
                the face to come loses weight, for the price of one more solution.
            prior: (52, 52), of `expression_prior`.
        """
        size, width = len(self.identity), len(self.model.names) + POSE
        normal = np.zeros((size + width * len(self.views),) * 2)
        gradient = np.zeros(len(normal))
        normal[:size, :size] += np.eye(size)
        gradient[:size] += self.identity
        if self.start is not None:
            normal[:size, :size] += self.start.belief * np.eye(size)
            gradient[:size] += self.start.belief * self.identity
            gradient[:size] -= (1 + self.start.belief) * self.start.identity
        for index, (view, (errors, jacobian)) in enumerate(zip(self.views, slopes, strict=True)):
            own = slice(size + index * width, size + (index + 1) * width)
            ahead = errors + jacobian @ np.concatenate([step[:size], step[own]])
            weights = self.weights[index] = _weights(ahead)
            root = np.repeat(np.sqrt(weights), 2)
            product, slope = view.noise.products(
                jacobian.reshape(len(root), -1) * root[:, None], errors.ravel() * root
            )
            normal[:size, :size] += product[:size, :size]
            normal[:size, own] = product[:size, size:]
            normal[own, :size] = product[size:, :size]
            gradient[:size] += slope[:size]
            curve, pull = _own_prior(view, prior, step[own][: len(prior)])
            normal[own, own] = product[size:, size:] + curve
            gradient[own] = slope[size:] + pull
        self.normal = normal
        return gradient

    def fit(self) -> FaceFit:
        """Returns the result as it stands."""
        size, count, normal = len(self.identity), len(self.model.names), self.normal
        cut = normal[:size, size:]
        precision = normal[:size, :size] - cut @ np.linalg.solve(normal[size:, size:], cut.T)
        covariance = np.linalg.inv(normal)
        fitted = []
        for index, (view, weight) in enumerate(zip(self.views, self.weights, strict=True)):
            place, _, _ = self.model.points(self.identity, view.expression)
            camera = view.pose.camera()
            pixels, _ = camera.project(place)
            residual = np.linalg.norm(pixels - view.pose.seen.points, axis=1) / view.pose.unit
            first = size + index * (count + POSE) + count
            variance = float(covariance[first + 5 : first + 7, first + 5 : first + 7].sum())
            spread = view.pose.focal_spread(variance)
            fitted.append(FittedView(np.clip(view.expression, 0, 1), camera, residual, weight, spread))
        return FaceFit(self.identity, precision, fitted, self.steps)


def _weights(errors: np.ndarray) -> np.ndarray:
    weights = (1 / (1 + (errors**2).sum(1) / _OUTLIER**2)) ** 2
    weights[list(OVAL)] *= _OVAL_LESS
    return weights


def _own_prior(view: _View, prior: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns curvature (61, 61) and slope (61,) of what is expected of expression and camera.

    An expression that a step (52,) leads out of 0..1 is held at its bound.
    """
    count = len(prior)
    curve, pull = np.zeros((count + POSE,) * 2), np.zeros(count + POSE)
    ahead = view.expression + step
    outside = (ahead < 0) | (ahead > 1)
    bound = outside * (view.expression - np.clip(ahead, 0, 1))
    curve[:count, :count] = prior + np.diag(outside / _BOUND_SPREAD**2)
    pull[:count] = prior @ view.expression + bound / _BOUND_SPREAD**2
    rows, wrong = view.pose.prior()
    curve[count:, count:] += rows.T @ rows
    pull[count:] += rows.T @ wrong
    return curve, pull


def _begin(model: LandmarkModel, seen: SeenFace) -> _View:
    """Returns the posed mean face: the best of three turns."""
    level, unit = level_frame(seen.points)
    mean = model.mean.reshape(-1, 3)
    roll = float(np.arctan2(level[0, 1], level[0, 0]))
    best, best_cost = None, np.inf
    centre = (seen.points.min(0) + seen.points.max(0)) / 2
    for yaw in (0.0, -0.7, 0.7):
        rotation = rotation_about(2, roll) @ rotation_about(1, yaw) @ FRONTAL
        flat = (mean @ rotation.T)[:, :2]
        size = np.sqrt(seen.points.var(0).sum() / flat.var(0).sum())
        place = (seen.points.mean(0) - centre - size * flat.mean(0)) / unit
        pose = CameraPose(
            seen, centre, unit, rotation, place, float(np.log(size)), np.log(DISTANCE), np.zeros(2)
        )
        view = _View(pose, level / unit, model.noise, np.zeros(len(model.names)))
        view.pose_at(mean)
        cost = float(np.median(np.linalg.norm(view.errors(mean), axis=1)))
        if np.isfinite(cost) and cost < best_cost:
            best, best_cost = view, cost
    if best is None:
        raise ValueError("the landmarks allow no pose")
    return best
