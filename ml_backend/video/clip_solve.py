"""Solves pose and expression of a clip: frame by frame from a warm start, then all frames together.

The joint solution is the maximum a posteriori of all frames of a shot under the landmarks, a prior of
expressions and a prior of motion: each channel and the pose walk from frame to frame. How far a step may go
depends on the motion itself, by group: where a face rests the walk is stiff, where it moves the walk is loose
(iteratively reweighted least squares). The past and the future count alike, so nothing lags.

Source: Rauch, Tung and Striebel 1965, "Maximum likelihood estimates of linear dynamic systems"; Bell 1994,
"The iterated Kalman smoother as a Gauss-Newton method".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import binary_closing, uniform_filter1d
from threadpoolctl import threadpool_limits

from ..animation.curve_filters import channel_group
from ..expression_names import EXPRESSION_NAMES
from ..fitting.fit_priors import Noise
from ..fitting.landmarks import level_frame
from ..fitting.mesh_layout import LEFT_IRIS, RIGHT_IRIS
from ..geometry.camera_view import FRONTAL, rotation_about
from .clip_landmarks import ClipLandmarks, lid_gaps
from .clip_model import POSE, ClipModel, HeadPose
from .clip_solution import ClipSolution, SolveSettings
from .frame_chain import chain_step, windows_of

GROUPS = ("lids", "gaze", "lips", "brows", "cheeks")
NOISE_PARTS = ("mean", "root", "common")
_BOUND_SPREAD = 0.03
_LEAST_RESIDUAL = 0.016
"""Inter-ocular distances: an expression that the model does not hold is no reason to doubt a frame."""
_BRIDGED, _PACE_STEPS = 0.05, 5
_LEAST_LID = 0.25
"""Of the usual opening: a lid that is closed further hides the iris."""
Progress = Callable[[float, str], None]


@dataclass
class _Frame:
    """A frame's part of the joint solution: a quadratic about where it was linearised."""

    curve: np.ndarray  # (C + 6,) * 2
    slope: np.ndarray  # (C + 6,)
    told: np.ndarray  # (C,) the landmarks' part of the diagonal
    residual: float


class ClipSolver:
    """Solves one clip of one person.

    Args:
        model: person and camera.
        clip: the landmarks.
        wrong: (T,) bool, frames that show something else.
        settings: of the solve.
    """

    def __init__(
        self, model: ClipModel, clip: ClipLandmarks, wrong: np.ndarray, settings: SolveSettings | None = None
    ):
        self.model = model
        self.clip = clip
        self.settings = settings or SolveSettings()
        self.usable = clip.seen & ~wrong
        self._count = len(model.free)
        names = [EXPRESSION_NAMES[index] for index in model.free]
        self._groups = np.array([GROUPS.index(channel_group(name)) for name in names])
        self._alone = model.prior.sum(1)  # what the prior says of each channel beside its other side
        # half the precision is enough for the curvature, and twice as fast
        self._shapes = model.shapes.astype(np.float32)
        self._noise = Noise(*(getattr(model.noise, name).astype(np.float32) for name in NOISE_PARTS))
        self._openness = self._lid_openness()
        self._usual: float | None = None
        self._held: tuple[np.ndarray, np.ndarray] | None = None

    def _lid_openness(self) -> np.ndarray:
        """Returns (T, 2) how far each eye is open, over its usual opening in this clip."""
        gaps = lid_gaps(self.clip.points)
        usable = gaps[self.usable]
        usual = np.maximum(np.quantile(usable, 0.7, axis=0), 0.05) if len(usable) else np.ones(2)
        return np.nan_to_num(gaps / usual, nan=1.0)

    def hold(self, target: np.ndarray, precision: np.ndarray) -> None:
        """Pulls channels to values when all frames are solved together, both (T, 52)."""
        free = self.model.free
        self._held = target[:, free], precision[:, free]

    def begin(self, index: int) -> HeadPose:
        """Returns a pose from the points of a frame alone."""
        points = np.asarray(self.clip.points[index], np.float64)
        level, _ = level_frame(points)
        roll = float(np.arctan2(level[0, 1], level[0, 0]))
        best, best_cost = None, np.inf
        for yaw in (0.0, -0.6, 0.6):
            rotation = rotation_about(2, roll) @ rotation_about(1, yaw) @ FRONTAL
            flat = (self.model.rest @ rotation.T)[:, :2]
            size = np.sqrt(points.var(0).sum() / flat.var(0).sum())
            distance = self.model.focal / size
            middle = points.mean(0) - size * flat.mean(0)
            pose = HeadPose(
                rotation, (middle - self.model.centre) / self.model.focal, float(np.log(distance))
            )
            pose, cost = self._posed(pose, points)
            if cost < best_cost:
                best, best_cost = pose, cost
        if best is None:
            raise ValueError("the landmarks allow no pose")
        return best

    def _posed(self, pose: HeadPose, points: np.ndarray) -> tuple[HeadPose, float]:
        for _ in range(8):
            pixels, _, by_pose = self.model.linearised(pose, self.model.rest)
            unit = self.model.scale(pose)
            wrong = (pixels - points) / unit
            weight = np.repeat(1 / (0.05 + np.linalg.norm(wrong, axis=1)), 2)
            rows = by_pose.reshape(-1, POSE) / unit
            normal = rows.T @ (rows * weight[:, None]) + 1e-9 * np.eye(POSE)
            pose = pose.moved(np.clip(-np.linalg.solve(normal, rows.T @ (weight * wrong.ravel())), -0.4, 0.4))
        pixels = self.model.project(pose, self.model.rest)
        cost = float(np.median(np.linalg.norm(pixels - points, axis=1))) / self.model.scale(pose)
        return pose, cost if np.isfinite(cost) else np.inf

    def frame(self, index: int, expression: np.ndarray, pose: HeadPose) -> _Frame:
        """Returns what a frame's landmarks tell, linearised about an expression (C,) and a pose."""
        model, settings = self.model, self.settings
        points = np.asarray(self.clip.points[index], np.float64)
        places = model.places(expression, pose)
        pixels, by_place, by_pose = model.linearised(pose, places)
        unit = model.scale(pose)
        wrong = (pixels - points) / unit
        larger = model.error_scale(pose)
        apart = (wrong**2).sum(1)
        weights = model.weights(pose, places) / (1 + apart / (settings.outlier * larger) ** 2) ** 2
        scatter = np.nan_to_num(np.asarray(self.clip.scatter[index], np.float64))
        weights = weights / (1 + (scatter / (4 * settings.outlier)) ** 2)
        for side, iris in ((0, RIGHT_IRIS), (1, LEFT_IRIS)):
            share = (self._openness[index, side] - _LEAST_LID) / (0.7 - _LEAST_LID)
            weights[iris] *= np.clip(share, 0.0, 1.0) ** 2
        root = np.repeat(np.sqrt(weights * settings.trust * self.clip.presence[index]), 2) / larger
        jacobian = np.empty((len(places), 2, self._count + POSE), np.float32)
        np.matmul(by_place.astype(np.float32), self._shapes, out=jacobian[..., : self._count])
        jacobian[..., self._count :] = by_pose
        jacobian = jacobian.reshape(len(root), -1)
        jacobian *= (root / unit).astype(np.float32)[:, None]
        single = self._noise.products(jacobian, (wrong.ravel() * root).astype(np.float32))
        product, slope = (part.astype(np.float64) for part in single)
        told = np.diagonal(product)[: self._count].copy()
        return _Frame(product, slope, told, float(np.median(np.sqrt(apart))))

    def _prior(self, expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns curvature (C, C) and slope (C,) of what is expected of an expression."""
        bound = expression - np.clip(expression, 0, 1)
        settings = self.settings
        alone = self._alone * (settings.calm / (1 + (expression / settings.moved) ** 2) - 1)
        curve = self.model.prior + np.diag(alone + (bound != 0) / _BOUND_SPREAD**2)
        return curve, curve @ expression - (bound != 0) / _BOUND_SPREAD**2 * (expression - bound)

    def by_frames(
        self, indices: np.ndarray | list[int], tell: Callable[[int], None] | None = None
    ) -> ClipSolution:
        """Solves frames one after the other, each from where the last one ended.

        Args:
            indices: of the frames, ascending.
            tell: told the number of frames that are done.

        Returns:
            The solution of these frames; frames without a face hold the one before.
        """
        count = self._count
        expressions, poses, told, residuals = [], [], [], []
        expression, pose = np.zeros(count), None
        last = -10
        starts = set(self.clip.shots)
        with threadpool_limits(limits=1):
            for done, index in enumerate(indices):
                evidence, residual = np.zeros(count), np.nan
                if self.usable[index]:
                    jump = index in starts or index - last > 3
                    if pose is None or jump:
                        pose = self.begin(index)
                        expression = np.zeros(count) if index in starts else expression
                    expression, pose, frame = self._solved(index, expression, pose, 8 if jump else 3)
                    evidence, residual = frame.told, frame.residual
                    last = index
                expressions.append(expression.copy())
                poses.append(pose)
                told.append(evidence)
                residuals.append(residual)
                if tell is not None:
                    tell(done + 1)
        first = next((pose for pose in poses if pose is not None), None)
        if first is None:
            raise ValueError("no frame of the clip shows a face")
        filled = [pose if pose is not None else first for pose in poses]
        return self._solution(expressions, filled, told, residuals)

    def follow(
        self, index: int, expression: np.ndarray, pose: HeadPose | None
    ) -> tuple[np.ndarray, HeadPose, float]:
        """Solves one frame as it comes, from the one before.

        Args:
            index: of the frame, which shows a face.
            expression: (52,) of the frame before.
            pose: of the frame before; None to find it anew.

        Returns:
            Expression (52,), pose, and the landmarks' median error in inter-ocular distances.
        """
        with threadpool_limits(limits=1):
            steps = 2 if pose is not None else 8
            start = pose if pose is not None else self.begin(index)
            free, pose, frame = self._solved(index, expression[self.model.free], start, steps)
        found = np.zeros(len(EXPRESSION_NAMES))
        found[self.model.free] = free
        return found, pose, frame.residual

    def _solved(
        self, index: int, expression: np.ndarray, pose: HeadPose, iterations: int
    ) -> tuple[np.ndarray, HeadPose, _Frame]:
        count = self._count
        frame = self.frame(index, expression, pose)
        for _ in range(iterations):
            curve, slope = frame.curve.copy(), frame.slope.copy()
            prior_curve, prior_slope = self._prior(expression)
            curve[:count, :count] += prior_curve
            slope[:count] += prior_slope
            curve[np.diag_indices(len(curve))] *= 1 + 1e-9
            step = -cho_solve(cho_factor(curve), slope)
            expression = np.clip(expression + step[:count], -0.05, 1.1)
            pose = pose.moved(np.clip(step[count:], -0.5, 0.5))
            frame = self.frame(index, expression, pose)
            if np.abs(step).max() < 0.004:
                break
        return expression, pose, frame

    def _solution(self, expressions, poses, told, residuals) -> ClipSolution:
        full = np.zeros((len(expressions), len(EXPRESSION_NAMES)))
        full[:, self.model.free] = expressions
        evidence = np.zeros_like(full)
        told = np.array(told)
        seen = told.sum(1) > 0
        if seen.any():
            usual = np.maximum(np.median(told[seen], axis=0), 1e-9)
            evidence[:, self.model.free] = np.clip(told / usual, 0, 1)
        residual = np.array(residuals)
        return ClipSolution(full, list(poses), evidence, residual, self._frame_weights(residual))

    def _frame_weights(self, residual: np.ndarray) -> np.ndarray:
        """Returns (T,) how far a frame is believed, by its landmark errors beside the clip's usual ones."""
        seen = np.isfinite(residual)
        if not seen.any():
            return np.zeros(len(residual))
        if self._usual is None:
            self._usual = max(float(np.median(residual[seen])), _LEAST_RESIDUAL)
        over = np.nan_to_num(residual, nan=1e3) / (self.settings.frame_trust * self._usual)
        return np.where(seen, 1 / (1 + over**6), 0.0)

    def together(
        self, start: ClipSolution, iterations: int = 4, progress: Progress | None = None
    ) -> ClipSolution:
        """Solves all frames together from the solution of single frames.

        Args:
            start: of every frame of the clip.
            iterations: of Gauss-Newton.
            progress: told (share done, text).
        """
        expressions = start.expression[:, self.model.free].copy()
        poses = list(start.poses)
        told = np.zeros_like(expressions)
        residuals = np.full(len(poses), np.nan)
        windows = [
            window for first, last in self.clip.ranges() for window in windows_of(first, last) if last > first
        ]
        with threadpool_limits(limits=1):
            for done, (first, last, keep_from, keep_to) in enumerate(windows):
                own = self._window(
                    first, last, expressions[first:last], poses[first:last], start.weight, iterations
                )
                for offset in range(keep_from - first, keep_to - first):
                    expressions[first + offset] = own[0][offset]
                    poses[first + offset] = own[1][offset]
                    told[first + offset] = own[2][offset]
                    residuals[first + offset] = own[3][offset]
                if progress is not None:
                    progress((done + 1) / len(windows), "Solving all frames together")
        result = self._solution(expressions, poses, told, residuals)
        result.weight = np.minimum(result.weight, start.weight)
        return result

    def _window(self, first, last, expressions, poses, weight, iterations):
        """Returns expressions, poses, evidence and residuals of the frames from `first` to before `last`."""
        count, size = self._count, self._count + POSE
        expressions, poses = expressions.copy(), list(poses)
        length = last - first
        told, residuals = np.zeros((length, count)), np.full(length, np.nan)
        seconds = self.clip.seconds[first:last]
        usable = self.usable[first:last]
        # one lost frame is crossed at the pace around it, a longer gap evenly
        closed = np.asarray(binary_closing(np.pad(usable, 1, mode="edge"), np.ones(3, bool)), bool)
        bridged = np.logical_not(closed[1:-1])
        bridged = bridged[1:] | bridged[:-1]
        spread = np.sqrt(np.clip(np.diff(seconds) * 30, 0.1, 90.0))
        # the frames' errors beside the clip's are known only after the first pass
        for iteration in range(iterations):
            curves = np.zeros((length, size, size))
            slopes = np.zeros((length, size))
            for offset in range(length):
                index = first + offset
                if self.usable[index]:
                    frame = self.frame(index, expressions[offset], poses[offset])
                    believed = weight[index] if iteration else 1.0
                    believed = min(believed, weight[index])
                    curves[offset] = believed * frame.curve
                    slopes[offset] = believed * frame.slope
                    told[offset], residuals[offset] = believed * frame.told, frame.residual
                    curve, slope = self._prior(expressions[offset])
                    curves[offset, :count, :count] += curve
                    slopes[offset, :count] += slope
                else:  # nothing is known: only the walk and the bounds hold
                    curves[offset, :count, :count] += 1e-3 * self.model.prior
                    slopes[offset, :count] += 1e-3 * self.model.prior @ expressions[offset]
                if self._held is not None:
                    target, pull = (part[index] for part in self._held)
                    curves[offset][np.arange(count), np.arange(count)] += pull
                    slopes[offset, :count] += pull * (expressions[offset] - target)
            steps = [
                np.concatenate([expressions[o + 1] - expressions[o], poses[o].step_to(poses[o + 1])])
                for o in range(length - 1)
            ]
            change = np.array(steps).reshape(length - 1, size)
            stiff = self._stiffness(change, spread, bridged)
            moved = chain_step(curves, slopes, change, stiff)
            expressions = np.clip(expressions + moved[:, :count], -0.05, 1.1)
            poses = [
                pose.moved(np.clip(step, -0.5, 0.5))
                for pose, step in zip(poses, moved[:, count:], strict=True)
            ]
            if np.abs(moved).max() < 0.003:
                break
        return expressions, poses, told, residuals

    def _stiffness(self, change: np.ndarray, spread: np.ndarray, bridged: np.ndarray) -> np.ndarray:
        """Returns precisions (T - 1, C + 6) of the steps: less in groups that move.

        Args:
            change: (T - 1, C + 6) present steps.
            spread: (T - 1,) root of the time between frames, in thirtieths of a second.
            bridged: (T - 1,) bool, steps from or to a frame that shows nothing: there the walk is even, so
                that a gap is crossed steadily and not in one leap.
        """
        settings, count = self.settings, self._count
        usual = np.empty(count + POSE)
        usual[:count] = [settings.step[GROUPS[group]] for group in self._groups]
        usual[count:] = [settings.turn_step] * 3 + [settings.shift_step] * 2 + [settings.depth_step]
        over = change / (usual * spread[:, None])
        precision = np.empty_like(change)
        groups = np.concatenate([self._groups, np.full(POSE, len(GROUPS))])
        for group in range(len(GROUPS) + 1):
            chosen = groups == group
            # the fastest third of a group's channels says how fast the group moves
            fast = np.sort(np.abs(over[:, chosen]), axis=1)[:, -max(chosen.sum() // 3, 1) :]
            pace = np.sqrt((fast**2).mean(1)) if len(fast) else np.zeros(len(change))
            # the pace of the steps around counts too: else a motion gathers in one step, like a stair
            if len(pace):
                pace = np.sqrt(np.maximum(uniform_filter1d(pace**2, _PACE_STEPS, mode="nearest"), 0.0))
            loose = 1 / (1 + (pace / settings.loosening) ** 4)
            loose = np.where(bridged, _BRIDGED, loose)
            precision[:, chosen] = loose[:, None] / (usual[chosen] * spread[:, None]) ** 2
        return precision
