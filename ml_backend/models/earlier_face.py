"""Carries a person of an earlier face model over to the present one. numpy only; Blender imports it.

Of the earlier model a few hundred points are kept: landmarks, and places spread over the outer skin. They are
found on the present model, and the identity nearest to the earlier shape there is the person's.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import asset_files
from ..errors import UserError
from ..files.face_file import FaceParameters
from ..files.tensor_file import read_tensors
from ..geometry.linear_models import solve_ridge
from ..geometry.similarity import Similarity, fit_similarity
from ..geometry.surface_places import closest_places
from .bilinear_face import BilinearFace

DEFAULT_FILE = Path(asset_files.__file__).resolve().parent / "assets" / "earlier_face_model.safetensors"
"""Of the package itself, also where a studio keeps its models in a folder of its own."""
FORMAT = "detailed3dmm-earlier-face-1"
_UNCERTAINTY = 5e-4
"""Metres that a point may be off: what weighs one standard deviation of identity."""
_FARTHEST = 8e-3
"""Metres from the present mean face at which a warped point is left out."""
_FEWEST = 60
_ALIGNMENTS = 5
_carriers: dict[tuple[str, str], "PersonCarrier"] = {}
"""The carrier that was used last, by the fingerprints of its two models."""


@dataclass(frozen=True)
class EarlierFace:
    """An earlier face model, at a few points.

    Attributes:
        fingerprint: of the model, as `BilinearFace.fingerprint` gave it.
        mesh_vertices: vertices of the face objects that were made from it.
        mean, normals: (P, 3) float32, metres and unit vectors: the mean face at rest.
        modes: (K, P, 3) float32, metres a standard deviation.
        marks: by a landmark's name its points, one or a line.
        direction_names, directions, direction_ranges: as in `BilinearFace`.
        part_names: of the parts of its mesh, in the order of the material slots.
    """

    fingerprint: str
    mesh_vertices: int
    mean: np.ndarray
    normals: np.ndarray
    modes: np.ndarray
    marks: dict[str, np.ndarray]
    direction_names: tuple[str, ...]
    directions: np.ndarray
    direction_ranges: np.ndarray
    part_names: tuple[str, ...]

    @classmethod
    def load(cls, path: str | Path) -> "EarlierFace":
        """Reads what `tools.earlier_face_model` wrote.

        Raises:
            UserError: the file is missing, broken, or holds something else.
        """
        arrays, metadata = read_tensors(path)
        foreign = UserError(f"{path}: not points of an earlier face model.", "Reinstall the extension.")
        if metadata.get("format") != FORMAT:
            raise foreign
        try:
            names = json.loads(metadata["names"])
            made = cls(
                fingerprint=metadata["fingerprint"],
                mesh_vertices=int(metadata["mesh_vertices"]),
                mean=arrays["mean"].astype(np.float32),
                normals=arrays["normals"].astype(np.float32),
                modes=arrays["modes"].astype(np.float32),
                marks={
                    name.split("/", 1)[1]: points.astype(np.int64)
                    for name, points in arrays.items()
                    if name.startswith("marks/")
                },
                direction_names=tuple(str(name) for name in names["direction_names"]),
                directions=arrays["directions"].astype(np.float32),
                direction_ranges=arrays["direction_ranges"].astype(np.float32),
                part_names=tuple(str(name) for name in names["part_names"]),
            )
            made._check()
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise foreign from error
        return made

    def tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Returns the contents of the file for `tensor_file.write_tensors`; the modes in half precision."""
        arrays = {
            "mean": self.mean,
            "normals": self.normals.astype(np.float16),
            "modes": self.modes.astype(np.float16),
            "directions": self.directions,
            "direction_ranges": self.direction_ranges,
        }
        arrays |= {f"marks/{name}": points.astype(np.int32) for name, points in self.marks.items()}
        names = {"direction_names": list(self.direction_names), "part_names": list(self.part_names)}
        return arrays, {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "mesh_vertices": str(self.mesh_vertices),
            "names": json.dumps(names),
        }

    def _check(self) -> None:
        size, count = len(self.modes), len(self.mean)
        right = (
            self.mean.shape == self.normals.shape == (count, 3)
            and self.modes.shape == (size, count, 3)
            and size >= 1
            and self.directions.shape == (len(self.direction_names), size)
            and self.direction_ranges.shape == (len(self.direction_names), 2)
            and all(
                points.size and points.min() >= 0 and points.max() < count for points in self.marks.values()
            )
        )
        if not right:
            raise ValueError("arrays disagree")

    @property
    def identity_size(self) -> int:
        """K."""
        return len(self.modes)

    def neutral(self, identity: np.ndarray) -> np.ndarray:
        """Returns the points (P, 3) float32, metres, of an identity (K,) at rest."""
        return self.mean + np.tensordot(np.asarray(identity, np.float32), self.modes, 1)

    def direction_step(self, name: str, amount: float) -> np.ndarray:
        """Returns (K,) float32: the change of identity by a named direction's slider, 1 and -1 its ends."""
        index = self.direction_names.index(name)
        low, high = (abs(float(bound)) for bound in self.direction_ranges[index])
        return self.directions[index] * np.float32((high if amount > 0 else low) * amount)


@lru_cache(maxsize=1)
def earlier_face() -> EarlierFace:
    """Returns the earlier model that this package knows.

    Raises:
        UserError: the asset is missing or broken.
    """
    return EarlierFace.load(DEFAULT_FILE)


@dataclass(frozen=True)
class CarriedPerson:
    """A person of the earlier model on the present one.

    Attributes:
        identity: (K',) float32 of the present model, standard deviations.
        error_mm: mean distance of the points from where the person's own difference puts them.
        placement: the rigid motion from the earlier model's space to the present one's.
    """

    identity: np.ndarray
    error_mm: float
    placement: Similarity


@dataclass(frozen=True)
class PersonCarrier:
    """The earlier model's points on the present model; `carry` takes an identity from one to the other.

    Attributes:
        earlier: the earlier model.
        points: (N,) int64, those of its points that were found.
        mean: (N, 3) float64, metres: their places on the present mean face.
        modes: (K', N, 3) float64, metres a standard deviation.
    """

    earlier: EarlierFace
    points: np.ndarray
    mean: np.ndarray
    modes: np.ndarray

    @classmethod
    def between(cls, earlier: EarlierFace, face: BilinearFace) -> "PersonCarrier":
        """Finds the earlier model's points on the present one: landmarks by name, other places by closeness.

        Raises:
            UserError: the models have too few landmarks in common, or too few points were found.
        """
        marked, corners, weights = _marked_places(earlier, face)
        if len(marked) < 4:
            raise UserError(
                "This face model shares too few landmarks with the earlier one to carry a face over.",
                "Use a model that was made with build-face-model.",
            )
        goals = (face.mean[corners] * weights[..., None]).sum(1)
        warped = _warp(earlier.mean[marked], goals, earlier.mean)
        skin = face.polygons[face.polygon_part == face.part_names.index("skin")]
        placed = closest_places(warped, earlier.normals, face.mean, skin)
        near = placed.distance < _FARTHEST
        near[marked] = False
        chosen = np.flatnonzero(near)
        points = np.concatenate([marked, chosen])
        if len(points) < _FEWEST:
            raise UserError(
                "This face model's surface is too far from the earlier one's to carry a face over.",
                "Use a model that was made with build-face-model.",
            )
        corners = np.concatenate([corners, placed.corners[chosen]])
        weights = np.concatenate([weights, placed.weights[chosen]])
        modes = (face.core[1:, 0] @ face.basis).reshape(face.identity_size, -1, 3)
        return cls(
            earlier,
            points,
            (face.mean[corners] * weights[..., None]).sum(1),
            (modes[:, corners] * weights[None, ..., None]).sum(2),
        )

    def carry(self, identity: np.ndarray) -> CarriedPerson:
        """Returns the identity nearest to an earlier one's shape.

        What makes the person differ from the earlier model's average head is laid on the present average, in
        its size: what that average itself got wrong is not carried along. Small modes that the points do not
        determine stay near 0 (ridge regression, prior of one standard deviation).

        Args:
            identity: (K,) of the earlier model, standard deviations.
        """
        former = self.earlier.neutral(identity)[self.points].astype(np.float64)
        average = self.earlier.mean[self.points].astype(np.float64)
        sized = fit_similarity(average, self.mean)
        own = fit_similarity(former, average, scale=False)(former) - average
        shape = self.mean + sized.scale * own @ sized.rotation.T
        flat = self.modes.reshape(len(self.modes), -1).astype(np.float64)
        gram = flat @ flat.T
        found = np.zeros(len(flat))
        placed = self.mean
        for _ in range(_ALIGNMENTS):
            goal = fit_similarity(shape, placed, scale=False)(shape)
            moments = flat @ (goal - self.mean).ravel()
            found = solve_ridge(gram, moments[:, None], _UNCERTAINTY**2)[:, 0]
            placed = self.mean + (found @ flat).reshape(-1, 3)
        laid = fit_similarity(shape, placed, scale=False)
        error = float(np.linalg.norm(laid(shape) - placed, axis=1).mean())
        placement = fit_similarity(former, placed, scale=False)
        return CarriedPerson(found.astype(np.float32), 1000 * error, placement)


def _marked_places(earlier: EarlierFace, face: BilinearFace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the points of common landmarks (M,), and corners (M, 3) and weights (M, 3) on the new mesh."""
    points, corners, weights = [], [], []
    for name, chosen in earlier.marks.items():
        line = face.landmarks.get(name)
        if line is None or (len(chosen) == 1) != (len(line) == 1):
            continue
        first, share = np.arange(len(line)), np.zeros(len(line))
        if len(line) != len(chosen):  # the same line with other vertices: the places at the same lengths
            at = np.interp(_lengths(earlier.mean[chosen]), _lengths(face.mean[line]), first)
            first = np.minimum(at.astype(np.int64), len(line) - 2)
            share = at - first
        second = np.minimum(first + 1, len(line) - 1)
        points.append(chosen)
        corners.append(np.stack([line[first], line[second], line[first]], 1))
        weights.append(np.stack([1 - share, share, np.zeros(len(share))], 1))
    if not points:
        return np.empty(0, np.int64), np.empty((0, 3), np.int64), np.empty((0, 3))
    return np.concatenate(points), np.concatenate(corners).astype(np.int64), np.concatenate(weights)


def _lengths(line: np.ndarray) -> np.ndarray:
    """Returns the place of each point of a line (n, 3) along it, 0 to 1."""
    steps = np.linalg.norm(np.diff(line.astype(np.float64), axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), 1e-12)


def _warp(source: np.ndarray, target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Moves points (P, 3) as landmarks (M, 3) move: a similarity, and the smooth rest between landmarks.

    Source: Bookstein 1989, "Principal warps: thin-plate splines and the decomposition of deformations"; in
    three dimensions the kernel is the distance.
    """
    similarity = fit_similarity(source, target)
    start = similarity(source)
    kernel = np.linalg.norm(start[:, None] - start[None], axis=2)
    count = len(start)
    affine = np.concatenate([np.ones((count, 1)), start], 1)
    system = np.zeros((count + 4, count + 4))
    system[:count, :count] = kernel - 1e-3 * np.eye(count)
    system[:count, count:] = affine
    system[count:, :count] = affine.T
    goals = np.concatenate([target - start, np.zeros((4, 3))])
    solved = np.linalg.lstsq(system, goals, rcond=None)[0]
    moved = similarity(points)
    distances = np.linalg.norm(moved[:, None] - start[None], axis=2)
    return moved + distances @ solved[:count] + solved[count] + moved @ solved[count + 1 :]


def carry_identity(identity: np.ndarray, face: BilinearFace) -> CarriedPerson:
    """Returns an identity of the earlier model as one of a face model: see `PersonCarrier.carry`.

    Raises:
        UserError: the models have too little in common.
    """
    earlier = earlier_face()
    models = (earlier.fingerprint, face.fingerprint())
    if models not in _carriers:
        _carriers.clear()
        _carriers[models] = PersonCarrier.between(earlier, face)
    return _carriers[models].carry(identity)


def carry_face(parameters: FaceParameters, face: BilinearFace, source: str) -> tuple[FaceParameters, str]:
    """Takes a face file's identity to a face model, if it was written with the earlier one.

    A file without a fingerprint is of the earlier model where its length agrees.

    Args:
        parameters: as `read_face` returns them.
        face: the present model.
        source: named in the sentence and in errors.

    Returns:
        The parameters on the present model, and a sentence for the user; empty where nothing was carried.

    Raises:
        UserError: the file's model is neither the present nor the earlier one, or its identity has another
            length.
    """
    identity = parameters.identity
    present = face.fingerprint()
    if identity is None or (parameters.model == present and len(identity) == face.identity_size):
        return parameters, ""
    earlier = earlier_face()
    named = parameters.model or (earlier.fingerprint if len(identity) == earlier.identity_size else present)
    if named == present and len(identity) == face.identity_size:
        return replace(parameters, model=present), ""
    if named == present:
        raise UserError(
            f"{source}: its identity has {len(identity)} coefficients, this face model {face.identity_size}.",
            "Save it again from a face of this model.",
        )
    if named != earlier.fingerprint or len(identity) != earlier.identity_size:
        raise UserError(
            f"{source}: made with a face model that is not known here.",
            "Open it with the face model that it was saved with.",
        )
    carried = carry_identity(identity, face)
    return (
        replace(parameters, identity=carried.identity, model=present),
        f"{source} was made with an earlier face model: its person was carried over, "
        f"{carried.error_mm:.1f} mm off on average.",
    )
