"""Targets of clips: faces, other meshes with ARKit's shape keys, and the object or bone of the head."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Euler, Matrix

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..actions import action_reader
from ..actions.action_writer import Curves, key_path
from ..model.arkit_keys import FEWEST, expression_keys
from ..model.registry import active_face, find_face, is_face

_EYE_SIGNS = np.array([-1.0, -1.0, 1.0])
"""Live Link Face turns the eyes against the head: yaw to the right and pitch down are positive."""


@dataclass(frozen=True)
class TargetName:
    """The name by which a target is looked up after a job: a face's identifier, or another mesh's name."""

    uid: str
    name: str

    @classmethod
    def of(cls, target: bpy.types.Object) -> "TargetName":
        """Returns the name of a target."""
        return cls(target.d3dmm.uid if is_face(target) else "", target.name)

    def find(self) -> bpy.types.Object:
        """Returns the target as it is now.

        Raises:
            UserError: it has been deleted, or has lost its shape keys.
        """
        found = find_face(self.uid) if self.uid else bpy.data.objects.get(self.name)
        if found is None or not is_target(found):
            raise UserError(
                "The face was deleted while the clip was being worked on.",
                "Undo, or import it again onto another face.",
            )
        return found


def is_target(candidate: bpy.types.Object) -> bool:
    """Tells whether a clip can move an object."""
    if is_face(candidate):
        return True
    return candidate.type == "MESH" and len(expression_keys(candidate.data)) >= FEWEST


def active_target(context: bpy.types.Context) -> bpy.types.Object | None:
    """Returns the active object if it is a face or has ARKit's shape keys, else None."""
    face = active_face(context)
    if face is not None:
        return face
    active = context.active_object
    return active if active is not None and active.type == "MESH" and is_target(active) else None


def needs_target(context: bpy.types.Context) -> str:
    """Returns the reason why there is nothing to animate, or an empty string."""
    if context.mode != "OBJECT":
        return "Leave the current mode first: this works in Object Mode"
    target = active_target(context)
    if target is None:
        return "Select a face first, or a mesh whose shape keys have ARKit names"
    return (
        "This object is linked from another file: make it local first"
        if target.library or target.data.library
        else ""
    )


def expression_curves(target: bpy.types.Object, frames: np.ndarray, whole: bool) -> Curves:
    """Returns curves on a target's shape keys.

    Args:
        target: the mesh.
        frames: (T, 52) float32; a key that stands for two expressions shows their mean.
        whole: whether keys that never move get a curve too.
    """
    values = key_values_of(target, frames)
    return {(key_path(key), 0): curve for key, curve in values.items() if whole or curve.any()}


def key_values_of(target: bpy.types.Object, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the values (T,) of a target's shape keys by name, for expressions (T, 52)."""
    columns: dict[str, list[np.ndarray]] = {}
    for name, keys in expression_keys(target.data).items():
        for key in keys:
            columns.setdefault(key, []).append(frames[:, EXPRESSION_NAMES.index(name)])
    return {key: np.mean(values, 0, dtype=np.float32) for key, values in columns.items()}


def head_owner(target: bpy.types.Object) -> bpy.types.Object | None:
    """Returns the object that turns as the head: the chosen one, else the face itself, else None."""
    return target.d3dmm_animation.head_object or (target if is_face(target) else None)


def head_curves(target: bpy.types.Object, layers: dict[str, np.ndarray]) -> dict[str, Curves]:
    """Returns curves of rotations by layer, of the object or of chosen bones.

    There are none where the artist moves the head already.

    Args:
        target: of the clip.
        layers: (T, 9) radians by layer, as `curves.HEAD_NAMES`; the first is the base.

    Returns:
        Curves by layer on `head_owner`: the base holds the whole of the rest rotation where layers are added
            to it.

    Raises:
        UserError: a bone is missing.
    """
    owner = head_owner(target)
    settings = target.d3dmm_animation
    if owner is None or not any(np.any(head) for head in layers.values()):
        return {}
    if owner.type == "ARMATURE":
        bones = {settings.head_bone: 0, settings.eye_bone_left: 3, settings.eye_bone_right: 6}
        chosen = {_pose_bone(owner, name): column for name, column in bones.items() if name}
        total = np.sum(list(layers.values()), 0)
        curves: Curves = {}
        for bone, column in chosen.items():
            turns = total[:, column : column + 3] * (_EYE_SIGNS if column else 1.0)
            if np.any(turns):
                curves |= _bone_curves(owner, bone, turns)
        return (
            {next(iter(layers)): curves} if curves else {}
        )  # rotations of bones do not add up: they stay in one layer
    if owner.rotation_mode != "XYZ" or action_reader.has_curve(owner, "rotation_euler"):
        return {}
    rest = _rest_rotation(owner, settings)
    made: dict[str, Curves] = {}
    for layer, head in layers.items():
        base = rest if not made else np.zeros(3)
        if np.any(head[:, :3]):
            turns = as_euler(head)
            made[layer] = {
                ("rotation_euler", axis): (turns[:, axis] + base[axis]).astype(np.float32)
                for axis in range(3)
            }
    return made


def turns_head(owner: bpy.types.Object) -> bool:
    """Tells whether curves of this extension turn an object."""
    return any(curve.data_path == "rotation_euler" for curve in action_reader.our_curves(owner))


def put_head_to_rest(target: bpy.types.Object) -> None:
    """Turns a head without curves of this extension back to its rest rotation."""
    owner = head_owner(target)
    if owner is not None and not turns_head(owner):
        owner.rotation_euler = target.d3dmm_animation.rest_rotation


def as_euler(head: np.ndarray) -> np.ndarray:
    """Converts (T, 3+) yaw, pitch, roll (up and to the person's left) to rotations about X, Y and Z."""
    return np.stack([-head[:, 1], head[:, 2], head[:, 0]], 1)


def _rest_rotation(owner: bpy.types.Object, settings) -> np.ndarray:
    """Returns the rotation of the head without a clip, kept while curves of this extension move it."""
    if not turns_head(owner):
        settings.rest_rotation = owner.rotation_euler
    return np.array(settings.rest_rotation)


def _pose_bone(armature: bpy.types.Object, name: str) -> bpy.types.PoseBone:
    bone = armature.pose.bones.get(name)
    if bone is None:
        raise UserError(
            f"{armature.name} has no bone named {name}.", "Choose one in Audio, Output, or leave it empty."
        )
    return bone


def _bone_curves(armature: bpy.types.Object, bone: bpy.types.PoseBone, turns: np.ndarray) -> Curves:
    """Returns curves of a pose bone for (T, 3) yaw, pitch, roll in radians, in the armature's axes."""
    path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].'
    mode = bone.rotation_mode
    property_path = path + {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        mode, "rotation_euler"
    )
    if action_reader.has_curve(armature, property_path):
        return {}
    if mode == "AXIS_ANGLE":
        raise UserError(
            f"{bone.name} turns by axis and angle.", "Set its rotation mode to Quaternion or Euler."
        )
    rest: Matrix = bone.bone.matrix_local.to_3x3()
    values = []
    last = None
    for x, y, z in as_euler(turns):
        matrix = rest.inverted() @ Euler((x, y, z), "XYZ").to_matrix() @ rest
        if mode == "QUATERNION":
            turn = matrix.to_quaternion()
            if last is not None and turn.dot(last) < 0:
                turn.negate()
        else:
            turn = matrix.to_euler(mode, last) if last is not None else matrix.to_euler(mode)
        last = turn
        values.append(tuple(turn))
    columns = np.array(values, np.float32)
    return {(property_path, index): columns[:, index] for index in range(columns.shape[1])}
