"""Learns where on the model a landmark detector sees its points, by showing it painted heads whose every vertex is known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..geometry.camera_view import FRONTAL, Camera, rotation_about
from ..geometry.displacement import vertex_normals
from ..models.bilinear_face import BilinearFace
from .degraded_photo import degrade_photo, portrait_square
from .landmark_map import LandmarkMap
from .landmarks import POINT_COUNT, find_faces, interocular_distance, level_frame
from .painted_face import HeadPaint, draw_head, head_colours, prepare_paint, sample_light

SIZE, FIRST_SEED = 288, 70_000
_ROBUST, _FACTORS, _SUPPORT, _NEAREST = 0.05, 40, 24, 600
_SMILE = ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight")
_GROUPS = (
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("browDownLeft", "browDownRight"), ("mouthFrownLeft", "mouthFrownRight"),
    ("mouthPucker",), ("mouthFunnel", "jawOpen"), ("eyeSquintLeft", "eyeSquintRight"), ("eyeBlinkLeft", "eyeBlinkRight"),
    ("mouthStretchLeft", "mouthStretchRight"), ("mouthPressLeft", "mouthPressRight"), ("noseSneerLeft", "noseSneerRight"),
    ("eyeLookInLeft", "eyeLookOutRight"), ("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookDownLeft", "eyeLookDownRight"),
    ("mouthUpperUpLeft", "mouthUpperUpRight"), ("mouthLowerDownLeft", "mouthLowerDownRight"), ("jawOpen",), ("jawLeft",),
    ("mouthRight",), ("cheekPuff",), ("eyeWideLeft", "eyeWideRight"),
)  # fmt: skip


@dataclass(frozen=True)
class CalibrationViews:
    """What was shown and what was seen, picture by picture.

    Attributes:
        identity, expression: (N, K) and (N, 52).
        rotation, translation, focal: (N, 3, 3), (N, 3) and (N,) of the cameras.
        clean, degraded: (N, 478, 2) pixels of the undegraded picture; NaN where no face was found.
    """

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    focal: np.ndarray
    clean: np.ndarray
    degraded: np.ndarray

    def camera(self, index: int) -> Camera:
        """The camera of a picture."""
        return Camera(self.rotation[index], self.translation[index], float(self.focal[index]), SIZE, SIZE)


def sample_expression(face: BilinearFace, random: np.random.Generator) -> np.ndarray:
    """(52,): a third at rest, a third smiling, else up to three groups of units at random strength."""
    expression = np.zeros(len(face.expression_names), np.float32)
    kind = random.integers(3)
    groups = [_SMILE] if kind == 1 else [_GROUPS[i] for i in random.choice(len(_GROUPS), random.integers(1, 4), replace=False)]
    for group in groups if kind else ():
        strength = random.uniform(0.2, 1.0)
        for name in group:
            expression[face.expression_names.index(name)] = strength * random.uniform(0.8, 1.0)
    if kind == 1 and random.random() < 0.5:
        expression[face.expression_names.index("jawOpen")] = random.uniform(0.05, 0.35)
    return expression


def sample_camera(random: np.random.Generator) -> Camera:
    """A portrait camera: up to 35 degrees aside, 15 above or below, 0.4 to 2.5 m away, a head's height in the picture."""
    yaw, pitch, roll = np.radians([random.normal(0, 16), random.normal(0, 7), random.normal(0, 5)]).clip(-0.62, 0.62)
    turn = rotation_about(0, pitch) @ rotation_about(1, yaw)
    distance = float(np.exp(random.uniform(np.log(0.4), np.log(2.5))))
    aim = np.array([0.0, -0.08, 0.0])
    rotation = rotation_about(2, roll) @ turn @ FRONTAL
    shift = np.array([random.uniform(-0.01, 0.01), random.uniform(-0.01, 0.01), distance])
    return Camera(rotation, shift - rotation @ aim, SIZE * distance / random.uniform(0.27, 0.36), SIZE, SIZE)


def look_at_painted_heads(face: BilinearFace, paint: HeadPaint, count: int, progress: Callable[[float, str], None]) -> CalibrationViews:
    """Draws heads and asks the detector, once as they are and once degraded.

    Args:
        face: the model.
        paint: of it.
        count: pictures, one person each.
        progress: told (share done, text).
    """
    rows = []
    for index in range(count):
        random = np.random.default_rng([FIRST_SEED, index])
        identity, expression, camera = face.sample_identity(FIRST_SEED + index), sample_expression(face, random), sample_camera(random)
        positions = paint.mesh.refine(face.evaluate(identity, expression))
        pixels = draw_head(paint, positions, head_colours(paint, random), sample_light(random), camera, random.uniform(0.02, 0.8))
        found = find_faces(pixels)
        clean = found[0].points if found else np.full((POINT_COUNT, 2), np.nan)
        degraded = np.full((POINT_COUNT, 2), np.nan)
        if found:
            corner, side = portrait_square(clean)
            again = find_faces(degrade_photo(pixels, corner, side))
            if again:
                degraded = again[0].points * (side / 64) + corner
        rows.append((identity, expression, camera.rotation, camera.translation, camera.focal, clean, degraded))
        progress((index + 1) / count, f"Picture {index + 1} of {count}")
    return CalibrationViews(*(np.array(column) for column in zip(*rows, strict=True)))


def place_points(face: BilinearFace, paint: HeadPaint, views: CalibrationViews) -> np.ndarray:
    """(478,) dense vertices: for each point the one whose picture lies nearest to it over all views, robustly; coarse first, then fine."""
    mean = paint.mesh.refine(face.mean)
    iris = np.arange(POINT_COUNT) >= 468
    skin = np.flatnonzero((paint.skin > 0) & (mean[:, 1] < 0.0))
    eyes = np.flatnonzero((np.abs(paint.eye).sum(1) > 0) & (paint.eye[:, 2] > 0.3))
    found = np.zeros(POINT_COUNT, np.int64)
    for points, candidates in ((np.flatnonzero(~iris), skin), (np.flatnonzero(iris), eyes)):
        few = candidates[:: max(1, len(candidates) // 3000)]
        start = few[_costs(face, paint, views, points, np.repeat(few[None], len(points), 0), every=3).argmin(1)]
        _, near = KDTree(mean[candidates]).query(mean[start], k=min(_NEAREST, len(candidates)))
        choice = candidates[near]
        found[points] = choice[np.arange(len(points)), _costs(face, paint, views, points, choice, every=1).argmin(1)]
    return found


def _costs(face: BilinearFace, paint: HeadPaint, views: CalibrationViews, points: np.ndarray, choice: np.ndarray, every: int) -> np.ndarray:
    """(P, C): how badly each of a point's dense vertices (P, C) explains where the detector saw it, over every so manyth view."""
    total = np.zeros(choice.shape, np.float32)
    for index in np.flatnonzero(np.isfinite(views.clean[:, 0, 0]))[::every]:
        camera, seen = views.camera(index), views.clean[index]
        positions = paint.mesh.refine(face.evaluate(views.identity[index], views.expression[index]))
        pixels, _ = camera.project(positions)
        to_camera = camera.position - positions
        facing = (vertex_normals(positions, paint.mesh.polygons) * to_camera).sum(1) / np.linalg.norm(to_camera, axis=1)
        unit = interocular_distance(seen)
        at, aim = (pixels / unit).astype(np.float32)[choice], (seen[points] / unit).astype(np.float32)[:, None]
        square = (at[..., 0] - aim[..., 0]) ** 2 + (at[..., 1] - aim[..., 1]) ** 2
        total += square / (square + _ROBUST**2) + 0.3 * np.clip(0.1 - facing, 0, 1).astype(np.float32)[choice]
    return total


def stencils_of(paint: HeadPaint, chosen: np.ndarray, vertex_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Base vertices (L, S) and weights (L, S) that make dense vertices (L,)."""
    rows = np.zeros((len(chosen), vertex_count), np.float32)
    for start in range(0, vertex_count, 512):
        unit = np.zeros((vertex_count, min(512, vertex_count - start)), np.float32)
        unit[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])] = 1
        rows[:, start : start + unit.shape[1]] = paint.mesh.refine(unit)[chosen]
    order = np.argsort(-np.abs(rows), axis=1)[:, :_SUPPORT]
    weights = np.take_along_axis(rows, order, 1)
    return order.astype(np.int32), weights / weights.sum(1, keepdims=True)


def detector_errors(face: BilinearFace, views: CalibrationViews, vertices: np.ndarray, weights: np.ndarray, condition: str) -> np.ndarray:
    """(N, 956): how far the detector's points lie from the model's, in inter-ocular distances, the eyes level; no rows without a face."""
    seen = getattr(views, condition)
    rows = []
    for index in np.flatnonzero(np.isfinite(seen[:, 0, 0])):
        positions = face.evaluate(views.identity[index], views.expression[index])
        truth, _ = views.camera(index).project(np.einsum("lsc,ls->lc", positions[vertices], weights))
        turn, unit = level_frame(truth)
        rows.append(((seen[index] - truth) @ turn.T / unit).ravel())
    return np.array(rows)


def error_model(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is common to all pictures (956,), common factors beyond it (956, F) and own deviations (956,) of errors (N, 956).

    The worse third of the pictures is left out: painted heads in bad light puzzle the detector more than photographs do.
    """
    kept = errors[np.argsort((errors**2).mean(1))[: 1 + 2 * len(errors) // 3]]
    mean = np.median(kept, axis=0)
    kept = kept - mean
    _, singular, directions = np.linalg.svd(kept / np.sqrt(len(kept)), full_matrices=False)
    count = min(_FACTORS, len(singular) // 2)
    noise = singular[count:].mean() ** 2
    factors = directions[:count].T * np.sqrt(np.clip(singular[:count] ** 2 - noise, 0, None))
    rest = (kept**2).mean(0) - (factors**2).sum(1)
    return mean, factors, np.sqrt(np.clip(rest, 0.004**2, None))


def calibrate(face: BilinearFace, count: int, progress: Callable[[float, str], None]) -> tuple[LandmarkMap, dict[str, float]]:
    """Makes the landmark map of a model.

    Args:
        face: the model.
        count: painted heads to look at; 160 take some minutes.
        progress: told (share done, text).

    Returns:
        The map, and figures: heads found, median error clean and degraded in inter-ocular distances.
    """
    paint = prepare_paint(face)
    views = look_at_painted_heads(face, paint, count, lambda share, text: progress(0.8 * share, text))
    return solve_map(face, paint, views)


def solve_map(face: BilinearFace, paint: HeadPaint, views: CalibrationViews) -> tuple[LandmarkMap, dict[str, float]]:
    """The map from what the detector saw; see `calibrate`."""
    vertices, weights = stencils_of(paint, place_points(face, paint, views), face.vertex_count)
    figures: dict[str, float] = {"pictures": float(len(views.focal))}
    errors = {name: detector_errors(face, views, vertices, weights, name) for name in ("clean", "degraded")}
    for name, rows in errors.items():
        apart = np.linalg.norm(rows.reshape(len(rows), -1, 2), axis=2)
        figures |= {f"{name}_found": float(len(rows)), f"{name}_median_error": round(float(np.median(apart)), 4)}
    return LandmarkMap(vertices, weights.astype(np.float64), *error_model(errors["clean"])), figures
