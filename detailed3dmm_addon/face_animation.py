"""Writes curves and sound into the scene: one new action for the expressions, one for what moves the object."""

from pathlib import Path

import bpy
import numpy as np

from ..ml_backend.errors import UserError

_UNTOUCHED_END = 250
"""The last frame of a new Blender file: nobody chose it."""
EXPRESSION_ACTION, OBJECT_ACTION = "{} Expression", "{} Head and Detail"


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second of a scene."""
    return scene.render.fps / scene.render.fps_base


def key_expressions(face: bpy.types.Object, clip: str, names: tuple[str, ...], frames: np.ndarray, first_frame: int) -> bpy.types.Action:
    """Makes a new action on the face's shape keys; the action that was there is kept, with a fake user.

    Args:
        face: the face.
        clip: name of the recording, for the action's name.
        names: C expression names.
        frames: (T, C) float32.
        first_frame: scene frame of the first row.
    """
    keys = face.data.shape_keys
    curves = {(f'key_blocks["{name}"].value', 0): frames[:, index] for index, name in enumerate(names) if name in keys.key_blocks}
    return _new_action(keys, EXPRESSION_ACTION.format(clip), curves, first_frame, None)


def key_object(face: bpy.types.Object, clip: str, curves: dict[tuple[str, int], np.ndarray], first_frame: int) -> bpy.types.Action | None:
    """Makes a new action on the object: the artist's curves, copied, and ours.

    Args:
        face: the face.
        clip: name of the recording, for the action's name.
        curves: (T,) float32 values by (data path, index).
        first_frame: scene frame of the first value.

    Returns:
        The action, or None when there is nothing to key.
    """
    if not curves:
        return None
    previous = face.animation_data.action if face.animation_data else None
    return _new_action(face, OBJECT_ACTION.format(clip), curves, first_frame, previous)


def has_our_animation(face: bpy.types.Object) -> bool:
    """Whether an action of this extension's moves the face or its expressions."""
    return any(_is_ours(owner) for owner in (face, face.data.shape_keys))


def unlink_our_actions(face: bpy.types.Object) -> None:
    """Takes this extension's actions off a face and its expressions, which go back to rest; the actions stay in the file."""
    for owner in (face, face.data.shape_keys):
        if _is_ours(owner):
            owner.animation_data.action.use_fake_user = True
            owner.animation_data.action = None
    for key in face.data.shape_keys.key_blocks[1:]:
        key.value = 0.0


def _is_ours(owner) -> bool:
    data = owner.animation_data
    return data is not None and data.action is not None and bool(data.action.get("d3dmm"))


def has_curve(face: bpy.types.Object, data_path: str) -> bool:
    """Whether the object's action moves a property already."""
    data = face.animation_data
    return data is not None and data.action is not None and any(curve.data_path == data_path for curve in _curves(data))


def curves_of(owner) -> list[bpy.types.FCurve]:
    """The curves of the action that moves a datablock, if any."""
    data = owner.animation_data
    if data is None or data.action is None or (hasattr(data.action, "slots") and data.action_slot is None):
        return []
    return list(_curves(data))


def _new_action(owner, name: str, curves, first_frame: int, copied: bpy.types.Action | None) -> bpy.types.Action:
    data = owner.animation_data or owner.animation_data_create()
    previous = data.action
    slot_name = data.action_slot.identifier if previous is not None and getattr(data, "action_slot", None) is not None else None
    if previous is not None:
        previous.use_fake_user = True
    action = copied.copy() if copied is not None else bpy.data.actions.new(name)
    action.name = name
    action["d3dmm"] = True
    data.action = action
    if hasattr(action, "slots"):
        slot = action.slots.get(slot_name) if copied is not None and slot_name is not None else None
        data.action_slot = slot or action.slots.new(id_type=owner.id_type, name=owner.name)
    target = _curves(data)
    count = len(next(iter(curves.values())))
    points = np.empty((count, 2), np.float32)
    points[:, 0] = np.arange(count) + first_frame
    for (data_path, index), values in curves.items():
        stale = target.find(data_path, index=index)
        if stale is not None:
            target.remove(stale)
        curve = target.new(data_path, index=index)
        curve.keyframe_points.add(count)
        points[:, 1] = values
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", np.ones(count, np.int32))
        curve.update()
    return action


def _curves(data: bpy.types.AnimData):
    """The collection of curves that moves an animation data's owner: of its slot where actions have slots."""
    action = data.action
    if not hasattr(action, "slots"):
        return action.fcurves
    if not len(action.layers):
        action.layers.new("Layer")
    layer = action.layers[0]
    strip = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(data.action_slot, ensure=True).fcurves


def add_sound(scene: bpy.types.Scene, path: Path, first_frame: int) -> None:
    """Puts a recording into the sequencer, in the lowest channel that is free there.

    Raises:
        UserError: Blender cannot read the sound.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    channel = 1 + max((strip.channel for strip in strips), default=0)
    try:
        strips.new_sound(path.stem, str(path), channel, first_frame)
    except RuntimeError as error:
        raise UserError(f"{path.name}: Blender cannot open this sound ({error}).", "Convert it to WAV and import that.") from error
    scene.sync_mode = "AUDIO_SYNC"


def include_frames(scene: bpy.types.Scene, first_frame: int, count: int) -> None:
    """Makes the scene's range end with the clip, or no earlier where its end was set already."""
    last = first_frame + count - 1
    scene.frame_end = last if scene.frame_end == _UNTOUCHED_END else max(last, scene.frame_end)
