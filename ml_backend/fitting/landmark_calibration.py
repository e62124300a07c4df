"""Learns where on the model a landmark detector sees its points, from painted heads of the model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..geometry.camera_view import Camera
from ..geometry.displacement import vertex_normals
from ..geometry.linear_models import principal_components
from ..models.bilinear_face import BilinearFace
from ..simulation.portraits.painted_face import HeadPaint
from ..simulation.portraits.painted_portrait import PortraitPainter
from .degraded_photo import SIZE as DEGRADED_SIZE
from .degraded_photo import degrade_photo, portrait_square
from .landmark_map import LandmarkMap
from .landmarks import POINT_COUNT, find_faces, interocular_distance, level_frame

FIRST_SEED = 70_000
SIZE = 384
"""Pixels of a side of a painted portrait."""
_CLOSEST, _FARTHEST = 0.26, 0.38
"""Metres that a picture is wide at the face: the eyes are 64 to 93 pixels apart."""
_ROBUST, _SUPPORT, _NEAREST = 0.05, 24, 600
_KEPT = 0.5
"""Share of the pictures that errors are learned from, the best ones."""
_FACTORS = 4
_WIDER = 1.3, 1.5
"""Factors on the common and on the independent deviations: the kept pictures understate them."""


@dataclass(frozen=True)
class CalibrationViews:
    """The painted pictures' people and cameras, and the points that the detector saw, picture by picture.

    Attributes:
        identity, expression: (N, K) and (N, 52).
        rotation, translation, focal: (N, 3, 3), (N, 3) and (N,) of the cameras.
        clean, degraded: (N, 478, 2) the detector's points, pixels of the undegraded picture; NaN where it
            saw no face.
    """

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    focal: np.ndarray
    clean: np.ndarray
    degraded: np.ndarray

    def camera(self, index: int) -> Camera:
        """Returns the camera of a picture."""
        return Camera(self.rotation[index], self.translation[index], float(self.focal[index]), SIZE, SIZE)


def look_at_portraits(
    painter: PortraitPainter, count: int, progress: Callable[[float, str], None]
) -> CalibrationViews:
    """Paints portraits and runs the detector on each, as it is and degraded.

    Args:
        painter: of the model.
        count: pictures, one person each.
        progress: told (share done, text).
    """
    rows = []
    for index in range(count):
        shown = painter.portrait(FIRST_SEED, index)
        found = find_faces(shown.pixels)
        clean = found[0].points if found else np.full((POINT_COUNT, 2), np.nan)
        degraded = np.full((POINT_COUNT, 2), np.nan)
        if found:
            corner, side = portrait_square(clean)
            again = find_faces(degrade_photo(shown.pixels, corner, side))
            if again:
                degraded = again[0].points * (side / DEGRADED_SIZE) + corner
        camera = shown.camera
        rows.append(
            (
                shown.identity,
                shown.expression,
                camera.rotation,
                camera.translation,
                camera.focal,
                clean,
                degraded,
            )
        )
        progress((index + 1) / count, f"Picture {index + 1} of {count}")
    return CalibrationViews(*(np.array(column) for column in zip(*rows, strict=True)))


def place_points(face: BilinearFace, paint: HeadPaint, views: CalibrationViews) -> np.ndarray:
    """Finds the dense vertex of each point: the one whose picture lies nearest to it over all views.

    A coarse search over all skin is followed by a fine one nearby.

    Returns:
        (478,) int64 dense vertices.
    """
    mean = paint.mesh.refine(face.mean)
    iris = np.arange(POINT_COUNT) >= 468
    skin = np.flatnonzero((paint.skin > 0) & (mean[:, 1] < 0.0))
    eyes = np.flatnonzero((np.abs(paint.eye).sum(1) > 0) & (paint.eye[:, 2] > 0.3))
    found = np.zeros(POINT_COUNT, np.int64)
    for points, candidates in ((np.flatnonzero(~iris), skin), (np.flatnonzero(iris), eyes)):
        few = candidates[:: max(1, len(candidates) // 3000)]
        start = few[
            _costs(face, paint, views, points, np.repeat(few[None], len(points), 0), every=3).argmin(1)
        ]
        _, near = KDTree(mean[candidates]).query(mean[start], k=min(_NEAREST, len(candidates)))
        choice = candidates[near]
        found[points] = choice[
            np.arange(len(points)), _costs(face, paint, views, points, choice, every=1).argmin(1)
        ]
    return found


def _costs(
    face: BilinearFace,
    paint: HeadPaint,
    views: CalibrationViews,
    points: np.ndarray,
    choice: np.ndarray,
    every: int,
) -> np.ndarray:
    """Sums, over every `every`th view, the robust distance of a point's candidates from where it was seen.

    Args:
        face: the model.
        paint: of it.
        views: what was seen.
        points: (P,) indices of the detector's points.
        choice: (P, C) dense vertices, candidates for each point.
        every: step between views.

    Returns:
        (P, C) float32 costs.
    """
    total = np.zeros(choice.shape, np.float32)
    for index in np.flatnonzero(np.isfinite(views.clean[:, 0, 0]))[::every]:
        camera, seen = views.camera(index), views.clean[index]
        positions = paint.mesh.refine(face.evaluate(views.identity[index], views.expression[index]))
        pixels, _ = camera.project(positions)
        to_camera = camera.position - positions
        facing = (vertex_normals(positions, paint.mesh.polygons) * to_camera).sum(1) / np.linalg.norm(
            to_camera, axis=1
        )
        unit = interocular_distance(seen)
        at, aim = (
            (pixels / unit).astype(np.float32)[choice],
            (seen[points] / unit).astype(np.float32)[:, None],
        )
        square = (at[..., 0] - aim[..., 0]) ** 2 + (at[..., 1] - aim[..., 1]) ** 2
        total += square / (square + _ROBUST**2) + 0.3 * np.clip(0.1 - facing, 0, 1).astype(np.float32)[choice]
    return total


def stencils_of(paint: HeadPaint, chosen: np.ndarray, vertex_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns base vertices (L, S) and weights (L, S) that make dense vertices (L,)."""
    rows = np.zeros((len(chosen), vertex_count), np.float32)
    for start in range(0, vertex_count, 512):
        unit = np.zeros((vertex_count, min(512, vertex_count - start)), np.float32)
        unit[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])] = 1
        rows[:, start : start + unit.shape[1]] = paint.mesh.refine(unit)[chosen]
    order = np.argsort(-np.abs(rows), axis=1)[:, :_SUPPORT]
    weights = np.take_along_axis(rows, order, 1)
    return order.astype(np.int32), weights / weights.sum(1, keepdims=True)


def detector_errors(
    face: BilinearFace, views: CalibrationViews, vertices: np.ndarray, weights: np.ndarray, condition: str
) -> np.ndarray:
    """Returns the detector's errors: its points minus the model's, with the eyes level.

    Args:
        face: the model.
        views: what was seen.
        vertices: (L, S) of the map.
        weights: (L, S) of the map.
        condition: clean or degraded.

    Returns:
        (N, 956) inter-ocular distances, a row for each picture with a face.
    """
    seen = getattr(views, condition)
    rows = []
    for index in np.flatnonzero(np.isfinite(seen[:, 0, 0])):
        positions = face.evaluate(views.identity[index], views.expression[index])
        truth, _ = views.camera(index).project(np.einsum("lsc,ls->lc", positions[vertices], weights))
        turn, unit = level_frame(truth)
        rows.append(((seen[index] - truth) @ turn.T / unit).ravel())
    return np.array(rows)


def error_model(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits errors (N, 956) into a median (956,), common factors (956, F) and independent deviations (956,).

    The worse half of the pictures is left out: painted heads in bad light are harder for the detector than
    photographs are. More than a few factors would follow the painted people, and explain away the differences
    between people in photographs.
    """
    kept = errors[np.argsort((errors**2).mean(1))[: 1 + int(_KEPT * len(errors))]]
    mean = np.median(kept, axis=0)
    principal = principal_components(kept, mean=mean)
    deviations = principal.deviations
    count = min(_FACTORS, len(deviations) // 2)
    noise = deviations[count:].mean() ** 2
    factors = principal.axes[:count].T * np.sqrt(np.clip(deviations[:count] ** 2 - noise, 0, None))
    rest = ((kept - mean) ** 2).mean(0) - (factors**2).sum(1)
    return mean, _WIDER[0] * factors, _WIDER[1] * np.sqrt(np.clip(rest, 0.004**2, None))


def calibrate(
    face: BilinearFace, count: int, progress: Callable[[float, str], None]
) -> tuple[LandmarkMap, dict[str, float]]:
    """Makes the landmark map of a model.

    Args:
        face: the model.
        count: painted portraits to look at; 240 take some minutes.
        progress: told (share done, text).

    Returns:
        The map, and figures: pictures in which a face was seen, median errors clean and degraded in
        inter-ocular distances.
    """
    painter = PortraitPainter.of(face, SIZE, _CLOSEST, _FARTHEST)
    views = look_at_portraits(painter, count, lambda share, text: progress(0.8 * share, text))
    return solve_map(face, painter.paint, views)


def solve_map(
    face: BilinearFace, paint: HeadPaint, views: CalibrationViews
) -> tuple[LandmarkMap, dict[str, float]]:
    """Makes the map from what the detector saw; see `calibrate`."""
    vertices, weights = stencils_of(paint, place_points(face, paint, views), face.vertex_count)
    figures: dict[str, float] = {"pictures": float(len(views.focal))}
    errors = {name: detector_errors(face, views, vertices, weights, name) for name in ("clean", "degraded")}
    for name, rows in errors.items():
        apart = np.linalg.norm(rows.reshape(len(rows), -1, 2), axis=2)
        figures |= {
            f"{name}_found": float(len(rows)),
            f"{name}_median_error": round(float(np.median(apart)), 4),
        }
    return LandmarkMap(vertices, weights.astype(np.float64), *error_model(errors["clean"])), figures
