"""Finished people on the anny head: from a seed to a face at rest and its 52 expressions.

Lids, lips, eyes, jaw and lashes are put in order.
"""

from typing import Protocol

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..geometry.similarity import fit_similarity
from ..geometry.texture_space import triangles_of
from . import anatomy as head_anatomy
from .anny import AnnyHead
from .contact import FITTED_RADIUS, Lashes, Lids, Lips, eye_behind_lids, sphere_of
from .deformation_transfer import ExpressionSource
from .identity_sampling import Person, TargetLibrary, sample_person

# How far the eyes turn in degrees at 1; the face units turn them less, and up hardly at all.
_GAZE_DEGREES = {"Down": 24.0, "Up": 20.0, "In": 27.0, "Out": 27.0}
_JAW = ("jawForward", "jawRight", "jawLeft", "jawOpen")
# Expressions during which closed lips stay closed (mouthClose is given with a full jawOpen).
_LIPS_CLOSED = (
    "jawRight", "jawLeft", "mouthPucker", "mouthRight", "mouthLeft", "mouthSmileLeft", "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthPressLeft", "mouthPressRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthRollLower",
    "mouthRollUpper", "cheekPuff", "noseSneerLeft", "noseSneerRight", "mouthShrugLower",
)  # fmt: skip
_LASHES = 6
_EYES = {"Left": 1, "Right": 2}
_LOWER_TEETH = 4
_TONGUE = 5
_FULL_STEPS = 2
_FADING_STEPS = 6


class PeopleLibrary(Protocol):
    """A source of people on one head."""

    def person(self, seed: int) -> Person:
        """Returns the person of a seed."""
        ...

    def neutral(self, person: Person) -> np.ndarray:
        """Returns (V, 3) the person at rest, metres, in place; contacts not yet in order."""
        ...


class AnnyPeople:
    """The sampler of people on one head.

    Args:
        head: the template; its positions are the average head.
        anatomy: of the template.
        library: draws people and makes their faces at rest.
        units: (52, V, 3) displacements of the ARKit units on the average head.
        scanned: the eyes have their true size and are fitted behind the lids of each person; otherwise they
            are where the library puts them.
    """

    def __init__(
        self,
        head: AnnyHead,
        anatomy: head_anatomy.Anatomy,
        library: PeopleLibrary,
        units: np.ndarray,
        scanned: bool,
    ):
        self.head = head
        self.anatomy = anatomy
        self.library = library
        self.units = units
        self._scanned = scanned
        skin = head.polygons[head.polygon_part == 0]
        marks = self.anatomy.landmarks
        self._skin_count = int((head.vertex_part == 0).sum())
        base = head.positions
        self._lids = {
            side: Lids(
                base,
                skin,
                eye=marks[f"eye_{side.lower()}"],
                upper=marks[f"lid_upper_{side.lower()}"],
                lower=marks[f"lid_lower_{side.lower()}"],
                pocket=self.anatomy.behind_lids,
            )
            for side in _EYES
        }
        self._lips = Lips(base, skin, marks["lip_upper_inner"], marks["lip_lower_inner"])
        lashes = np.flatnonzero(head.vertex_part == _LASHES)
        self._lashes = [
            Lashes(
                base,
                lashes[base[lashes, 0] * sign > 0],
                np.concatenate(
                    [marks[f"{mark}_{side}"] for mark in ("lid_upper", "lid_lower", "eye_inner", "eye_outer")]
                ),
                marks[f"eye_{side}"],
            )
            for side, sign in (("left", 1), ("right", -1))
        ]
        self._rigid = self._rigid_motions()
        self._source = self._expression_source(skin)

    def person(self, seed: int) -> Person:
        """Returns the person of a seed."""
        return self.library.person(seed)

    def neutral(self, person: Person) -> np.ndarray:
        """(V, 3) at rest, metres: eyeballs round, lids on them, lips together."""
        face = self.library.neutral(person)
        for side, part in _EYES.items():
            eye = np.flatnonzero(self.head.vertex_part == part)
            base_centre, base_radius = sphere_of(self.head.positions[eye])
            if self._scanned:
                radius = FITTED_RADIUS
                centre = eye_behind_lids(face[self.anatomy.lid_rims[side]])
            else:
                centre, radius = sphere_of(face[eye])
            face[eye] = centre + (self.head.positions[eye] - base_centre) * (radius / base_radius)
        if self._scanned:
            for side, lids in self._lids.items():
                lids.turn_in(face, self.anatomy.lid_rims[side], self.anatomy.lid_margins[side])
        moved = self._lips.close(face)
        for lids in self._lids.values():
            moved += lids.push_out(face + moved)
        finished = face + moved
        for lashes in self._lashes:
            finished[lashes.lashes] += lashes.follow(face, finished)
        return finished

    def expressions(self, neutral: np.ndarray) -> np.ndarray:
        """Returns (52, V, 3) float32 displacements of the ARKit units on a person at rest, metres."""
        count = self._skin_count
        deltas = self.units.copy()
        deltas[:, :count] = self._source.transfer(neutral[:count])
        for index, name in enumerate(EXPRESSION_NAMES):
            self._move_rigid_parts(deltas[index], neutral, name)
        by_name = dict(zip(EXPRESSION_NAMES, deltas, strict=True))
        for name in _LIPS_CLOSED:
            by_name[name][:] += self._lips.close(neutral + by_name[name])
        opened = neutral + by_name["jawOpen"]
        by_name["mouthClose"][:] += self._lips.shut(opened + by_name["mouthClose"], neutral)
        for side, lids in self._lids.items():
            by_name[f"eyeBlink{side}"][:] += lids.close(neutral + by_name[f"eyeBlink{side}"], neutral)
            for unit in (
                "eyeLookDown",
                "eyeLookIn",
                "eyeLookOut",
                "eyeLookUp",
                "eyeSquint",
                "eyeWide",
                "cheekSquint",
                "browDown",
            ):
                delta = by_name[f"{unit}{side}"]
                delta += lids.push_out(neutral + delta)
        for delta in deltas:
            for lashes in self._lashes:
                delta[lashes.lashes] = lashes.follow(neutral, neutral + delta)
        return deltas.astype(np.float32)

    def _move_rigid_parts(self, delta: np.ndarray, neutral: np.ndarray, name: str) -> None:
        """Turns the eyes about their centres, moves lower teeth and tongue with the jaw."""
        part = self.head.vertex_part
        delta[(part != 0) & (part != _TONGUE)] = 0
        if name in _JAW:
            rotation, translation, pivot = self._rigid[name]
            teeth = part == _LOWER_TEETH
            pivot = pivot + neutral[teeth].mean(axis=0) - self.head.positions[teeth].mean(axis=0)
            moved = teeth | (part == _TONGUE)
            delta[moved] = (neutral[moved] - pivot) @ (rotation - np.eye(3)).T + translation
        for eye, index in _EYES.items():
            if (name, eye) in self._rigid:
                ball = part == index
                centre, _ = sphere_of(neutral[ball])
                delta[ball] = (neutral[ball] - centre) @ (self._rigid[name, eye][0] - np.eye(3)).T

    def _rigid_motions(self) -> dict:
        """Of each jaw unit: rotation, translation, pivot; of each gaze unit and eye: the rotation."""
        head = self.head
        motions = {}
        teeth = head.vertex_part == _LOWER_TEETH
        for name in _JAW:
            before = head.positions[teeth]
            after = before + self.units[EXPRESSION_NAMES.index(name)][teeth]
            motion = fit_similarity(before, after, scale=False)
            turned = np.eye(3) - motion.rotation
            pivot = (
                np.linalg.pinv(turned, rcond=1e-2) @ motion.offset
            )  # the point that the rotation alone keeps
            motions[name] = (motion.rotation, motion.offset - turned @ pivot, pivot)
        for side, sign in (("Left", 1), ("Right", -1)):
            for way, degrees in _GAZE_DEGREES.items():
                axis = (1.0, 0.0, 0.0) if way in ("Up", "Down") else (0.0, 0.0, 1.0)
                turn = {"Down": 1, "Up": -1, "Out": sign, "In": -sign}[way]
                motions[f"eyeLook{way}{side}", side] = (_rotation(np.array(axis), turn * degrees),)
        return motions

    def _expression_source(self, skin: np.ndarray) -> ExpressionSource:
        count = self._skin_count
        triangles, _ = triangles_of(skin)
        moved = np.abs(self.units[:, :count]).max(axis=2) > 2e-5  # (52, V)
        average = head_anatomy.neighbour_average(skin, count)
        reach = moved.astype(float)
        for _ in range(_FULL_STEPS):
            reach = ((average @ reach.T).T > 0).astype(float)
        near = reach
        for _ in range(_FADING_STEPS):
            reach = np.maximum(near, (average @ reach.T).T)
        still = ~moved.any(axis=0)
        return ExpressionSource(self.head.positions[:count], self.units[:, :count], triangles, still, reach)


def _rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rodrigues' rotation (3, 3)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


class AlignedLibrary:
    """MakeHuman's people without scans: macro and local targets, each laid rigidly on the base head."""

    def __init__(self, head: AnnyHead, anatomy: head_anatomy.Anatomy):
        self._head = head
        self._targets = TargetLibrary(head)
        base = head.positions
        # The mouth's upper pockets lie just under the skin beside the nose and would come through when the
        # jaw opens: deeper.
        depth = np.clip((base[:, 2] + 0.026) / 0.008, 0, 1) * anatomy.mouth_bag
        self._tuck = depth[:, None] * np.stack(
            [-0.15 * base[:, 0], 0.007 * np.ones(len(base)), 0 * base[:, 0]], axis=1
        )
        self._align_weight = np.where((head.vertex_part == 0) & (base[:, 2] > -0.06), 1.0, 0.0)

    def person(self, seed: int) -> Person:
        """Returns the person of a seed."""
        return sample_person(self._targets, np.random.default_rng(seed))

    def neutral(self, person: Person) -> np.ndarray:
        """Returns (V, 3) the person at rest, metres, in place; contacts not yet in order."""
        face = self._targets.neutral(person)
        placed = fit_similarity(face, self._head.positions, self._align_weight, scale=False)
        return placed(face) + self._tuck


def makehuman_people(head: AnnyHead) -> AnnyPeople:
    """Returns the sampler of MakeHuman's own people, without scans."""
    anatomy = head_anatomy.describe_head(head)
    return AnnyPeople(head, anatomy, AlignedLibrary(head, anatomy), head.face_units(), scanned=False)
