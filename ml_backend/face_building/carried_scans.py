"""Carries the scans' mean, identity modes and expressions over to the template's mesh.

The template is registered once to the scans' mean; then its control points are solved so that the refined
surface, which is what an artist sees, lies on the scans. Every place of that surface has a place on the
scans' mesh, and so each of their linear modes gives a linear mode of the template.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ..geometry.dense_face import SKIN_LEVELS
from ..geometry.similarity import fit_similarity
from ..geometry.subdivision import subdivide
from ..geometry.surface_wrap import triangle_normals
from ..geometry.texture_space import triangles_of
from .anatomy import Anatomy
from .anny import PARTS, AnnyHead
from .closest_point import ClosestOnMesh, Places
from .registration import NORMALS_AGREE, open_edge_triangles, register
from .scan_landmarks import pair_landmarks
from .scans import Scans

_ROUNDS = 4
_REACH = 0.004  # metres
_BENDING = 0.2  # of the control points against the fit of the refined surface
_BENDING_OF_MODES = 0.2  # likewise, of identity modes and expressions
_STRETCHING = 0.01  # likewise; decides where nothing is known: pockets, and below the scans' own cut


@dataclass(frozen=True)
class CarriedScans:
    """The scans' linear model on the template's mesh, metres, Blender axes, in the scans' own place.

    Attributes:
        mean: (V, 3) the mean head, every part in its place.
        modes: (I, V, 3) identity, per standard deviation.
        expressions: by ARKit name, (V, 3); skin and the rigid motion of teeth.
        residuals: by region, (mean, 99th percentile) millimetres from the refined surface to the scans' mean.
    """

    mean: np.ndarray
    modes: np.ndarray
    expressions: dict[str, np.ndarray]
    residuals: dict[str, tuple[float, float]]


def carry_scans(
    head: AnnyHead,
    anatomy: Anatomy,
    average: np.ndarray,
    scans: Scans,
    progress: Callable[[str], None] = lambda _: None,
) -> CarriedScans:
    """Registers the template and carries the scans' model over.

    Args:
        head: the template.
        anatomy: of it.
        average: (V, 3) MakeHuman's average adult on it, the registration's start.
        scans: the scans' model.
        progress: told what is being done.
    """
    polygons = head.polygons[head.polygon_part == 0]
    triangles = triangles_of(polygons)[0]
    landmarks = pair_landmarks(head, scans)
    placed = fit_similarity(landmarks.rows @ average, landmarks.goals)(average)
    target = ClosestOnMesh(scans.neutral, scans.triangles)
    registered = register(placed, triangles, anatomy.pocket, target, landmarks, progress)
    registered = _symmetric(registered, head)
    surface = _RefinedSurface(polygons, int((head.vertex_part == 0).sum()), anatomy.pocket)
    skin, places, trust = surface.fit(registered, target)
    mean = registered.copy()
    mean[: surface.count] = skin
    mean = _symmetric(mean, head)
    movers = _Parts(head, scans, placed, mean)
    mean = movers.placed(mean)
    residuals = surface.residuals(mean[: surface.count], target, _by_region(anatomy, mean))
    for name, (average_mm, worst) in residuals.items():
        progress(f"{name}: {average_mm:.2f} mm mean, {worst:.2f} p99")
    modes = np.zeros((len(scans.modes), *mean.shape), np.float32)
    carried = surface.carry(
        target, places, trust, np.concatenate([scans.modes, [*scans.expressions.values()]])
    )
    modes[:, : surface.count] = carried[: len(modes)]
    expressions = {}
    for mode, delta in zip(modes, scans.modes, strict=True):
        movers.follow_identity(mode, delta)
    for name, delta in zip(scans.expressions, carried[len(modes) :], strict=True):
        whole = np.zeros_like(mean)
        whole[: surface.count] = delta
        movers.follow_expression(whole, scans.expressions[name])
        expressions[name] = whole
    return CarriedScans(mean, modes, expressions, residuals)


class _RefinedSurface:
    """The skin refined as it is shown, as a linear function of its control points."""

    def __init__(self, polygons: np.ndarray, count: int, pocket: np.ndarray):
        self.count = count
        self.matrix = sparse.identity(count, format="csr")
        size, quads = count, np.asarray(polygons)
        for _ in range(SKIN_LEVELS):
            level = subdivide(quads, size)
            self.matrix = _as_matrix(level.stencils, size) @ self.matrix
            size, quads = level.stencils.row_count, level.quads
        self.triangles = triangles_of(quads)[0]
        self.seen = self.matrix @ (~pocket[:count]).astype(float) > 0.999
        pairs = np.concatenate([polygons[:, [k, (k + 1) % 4]] for k in range(4)])
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        edge = np.arange(len(pairs))
        difference = sparse.csr_matrix(
            (np.repeat([-1.0, 1.0], len(pairs)), (np.tile(edge, 2), pairs.T.ravel())),
            shape=(len(pairs), count),
        )
        laplacian = (difference.T @ difference).tocsr()
        self._bending = laplacian @ sparse.diags(1 / laplacian.diagonal()) @ laplacian
        self._stretching = _STRETCHING * laplacian

    def fit(self, registered: np.ndarray, target: ClosestOnMesh) -> tuple[np.ndarray, Places, np.ndarray]:
        """Control points whose refined surface lies on the target, its places there, trust in each."""
        edges = open_edge_triangles(target)
        start = registered[: self.count]
        control = start
        for _ in range(_ROUNDS):
            dense = self.matrix @ control
            places = target(dense)
            agree = (target.normals(places) * triangle_normals(dense, self.triangles)).sum(axis=1)
            trust = (
                self.seen & (places.distance < _REACH) & (agree > NORMALS_AGREE) & ~edges[places.triangle]
            ).astype(float)
            solve = self._solver(trust, _BENDING)
            control = control + solve(self.matrix.T @ (trust[:, None] * (target.points(places) - dense)))
        return control, places, trust

    def _solver(self, trust: np.ndarray, bending: float):
        weighted = self.matrix.T @ sparse.diags(trust) @ self.matrix
        system = weighted + bending * self._bending + self._stretching + 1e-5 * sparse.identity(self.count)
        return splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve

    def carry(
        self, target: ClosestOnMesh, places: Places, trust: np.ndarray, fields: np.ndarray
    ) -> np.ndarray:
        """Displacements (N, V, 3) of the scans' vertices -> (N, count, 3) of the control points."""
        solve = self._solver(trust, _BENDING_OF_MODES)
        result = np.empty((len(fields), self.count, 3))
        for index, values in enumerate(fields):
            result[index] = solve(self.matrix.T @ (trust[:, None] * target.points(places, values)))
        return result

    def residuals(
        self, control: np.ndarray, target: ClosestOnMesh, regions: dict[str, np.ndarray]
    ) -> dict[str, tuple[float, float]]:
        """Mean and 99th percentile of the distance to the target, millimetres, by region (V,) bool."""
        dense = self.matrix @ control
        away = target(dense).distance * 1000
        figures = {}
        for name, inside in regions.items():
            here = self.seen & (self.matrix @ inside[: self.count].astype(float) > 0.5)
            figures[name] = (float(away[here].mean()), float(np.percentile(away[here], 99)))
        return figures


def _as_matrix(stencils, columns: int) -> sparse.csr_matrix:
    rows = np.concatenate([np.repeat(r, c.shape[1]) for r, c, _ in stencils.groups])
    column = np.concatenate([c.ravel() for _, c, _ in stencils.groups])
    weight = np.concatenate([w.ravel() for _, _, w in stencils.groups]).astype(np.float64)
    return sparse.csr_matrix((weight, (rows, column)), shape=(stencils.row_count, columns))


def _symmetric(positions: np.ndarray, head: AnnyHead) -> np.ndarray:
    return 0.5 * (positions + positions[head.mirror] * (-1, 1, 1))


def _by_region(anatomy: Anatomy, mean: np.ndarray) -> dict[str, np.ndarray]:
    """(V,) bool of each region whose residual is reported."""
    marks = anatomy.landmarks
    eye = mean[marks["eye_left"]].mean(axis=0)
    side = np.abs(mean - eye * (0, 0, 0))
    visible = ~anatomy.pocket
    ear = mean[marks["ear_left"]].mean(axis=0)
    chin = mean[marks["chin_bottom"]][0, 2]
    at_eye = np.linalg.norm((side - np.abs(eye) * (1, 0, 0)) * (1, 0, 1) - eye * (0, 0, 1), axis=1) < 0.02
    at_nose = (
        (side[:, 0] < 0.02)
        & (np.abs(mean[:, 2] - mean[marks["nose_tip"]][0, 2]) < 0.02)
        & (mean[:, 1] < mean[marks["nose_base"]][0, 1] + 0.012)
    )
    at_ear = (side[:, 0] > 0.066) & (np.linalg.norm((mean - ear)[:, 1:], axis=1) < 0.042)
    return {
        "lids": visible & at_eye & anatomy.face,
        "nose": visible & at_nose & anatomy.face,
        "lips": visible & anatomy.lips,
        "ears": visible & at_ear,
        "face": anatomy.face,
        "upper neck": visible & ~anatomy.face & (mean[:, 2] < chin) & (mean[:, 2] > chin - 0.05),
    }


class _Parts:
    """Eyes, teeth, tongue and lashes in their places, and what moves them."""

    def __init__(self, head: AnnyHead, scans: Scans, placed: np.ndarray, mean: np.ndarray):
        self._head = head
        self._scans = scans
        self._start = placed
        self._mean = mean
        jaw = np.linalg.norm(scans.expressions["jawOpen"][scans.teeth], axis=1) > 0.002
        self._jaws = {"teeth_upper": scans.teeth[~jaw], "teeth_lower": scans.teeth[jaw]}

    def _vertices(self, part: str) -> np.ndarray:
        return np.flatnonzero(self._head.vertex_part == PARTS.index(part))

    def placed(self, mean: np.ndarray) -> np.ndarray:
        """Puts teeth and tongue where the scans' teeth are; eyes and lashes follow with the first person."""
        result = mean.copy()
        for part, theirs in self._jaws.items():
            mine = self._vertices(part)
            result[mine] = _into_place(self._start[mine], self._scans.neutral[theirs], part == "teeth_upper")
        shift = result[self._vertices("teeth_lower")] - self._start[self._vertices("teeth_lower")]
        tongue = self._vertices("tongue")
        result[tongue] = self._start[tongue] + shift.mean(axis=0)
        return result

    def follow_identity(self, mode: np.ndarray, delta: np.ndarray) -> None:
        """Completes a mode (V, 3) of the skin by the motion of the scans' teeth, as an affine map."""
        for part, theirs in self._jaws.items():
            moved = _affine(self._scans.neutral[theirs], delta[theirs])
            for name in (part, "tongue") if part == "teeth_lower" else (part,):
                mine = self._vertices(name)
                mode[mine] = moved(self._mean[mine])

    def follow_expression(self, whole: np.ndarray, delta: np.ndarray) -> None:
        """Completes an expression by the rigid motion of the scans' lower teeth."""
        theirs = self._jaws["teeth_lower"]
        if np.linalg.norm(delta[theirs], axis=1).max() < 1e-5:
            return
        before = self._scans.neutral[theirs]
        motion = fit_similarity(before, before + delta[theirs], scale=False)
        for name in ("teeth_lower", "tongue"):
            mine = self._vertices(name)
            whole[mine] = motion(self._mean[mine]) - self._mean[mine]


def _into_place(mine: np.ndarray, theirs: np.ndarray, upper: bool) -> np.ndarray:
    """Scales and shifts a row of teeth to the width, front and biting edge of the scans'."""
    size = np.ptp(theirs[:, 0]) / np.ptp(mine[:, 0])
    moved = size * mine
    edge = (lambda points: points[:, 2].min()) if upper else (lambda points: points[:, 2].max())
    shift = (
        theirs[:, 0].mean() - moved[:, 0].mean(),
        theirs[:, 1].min() - moved[:, 1].min(),
        edge(theirs) - edge(moved),
    )
    return moved + shift


def _affine(places: np.ndarray, delta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine displacement field nearest to the displacements at some places."""
    middle = places.mean(axis=0)
    design = np.column_stack([places - middle, np.ones(len(places))])
    solved = np.linalg.lstsq(design, delta, rcond=None)[0]
    return lambda points: np.column_stack([points - middle, np.ones(len(points))]) @ solved
