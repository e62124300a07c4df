"""Reads the curves of actions, and recognises the actions and curves that this extension wrote.

An action of this extension carries a mark, the names of its curves and a digest of their keys.
"""

import hashlib

import bpy
import numpy as np

MARK = "d3dmm"
"""Of an action: it is this extension's."""
NAMES = "d3dmm_own"
"""Of an action: "index path" of the curves that this extension wrote."""
DIGEST = "d3dmm_digest"
"""Of an action: digest of these curves as they were written."""


def curves_of(owner) -> list[bpy.types.FCurve]:
    """Returns the curves of the action that moves a datablock; empty without one."""
    data = owner.animation_data
    if data is None or data.action is None or (hasattr(data.action, "slots") and data.action_slot is None):
        return []
    return list(curve_bag(data.action, getattr(data, "action_slot", None)))


def our_curves(owner) -> list[bpy.types.FCurve]:
    """Returns our curves that move a datablock, by its action or its NLA."""
    curves = []
    for action in our_actions(owner):
        names = set(action.get(NAMES, ()))
        for slot in list(action.slots) if hasattr(action, "slots") else [None]:
            curves += [
                curve
                for curve in curve_bag(action, slot)
                if f"{curve.array_index} {curve.data_path}" in names
            ]
    return curves


def has_curve(owner, data_path: str) -> bool:
    """Returns True if an object's action moves a property already, by curves that are not ours."""
    data = owner.animation_data
    if data is None or data.action is None:
        return False
    ours = set(data.action.get(NAMES, ()))
    return any(
        curve.data_path == data_path and f"{curve.array_index} {data_path}" not in ours
        for curve in curves_of(owner)
    )


def is_edited(action: bpy.types.Action) -> bool:
    """Returns True if the keys that this extension wrote were changed, or if that cannot be told."""
    names = action.get(NAMES)
    if names is None:  # written by an earlier version
        return True
    slots = list(action.slots) if hasattr(action, "slots") else [None]
    return all(keys_digest(curve_bag(action, slot), names) != action.get(DIGEST) for slot in slots)


def our_actions(owner) -> list[bpy.types.Action]:
    """Returns this extension's actions that move a datablock, directly or by the NLA."""
    data = owner.animation_data
    if data is None:
        return []
    actions = [data.action, *(strip.action for track in data.nla_tracks for strip in track.strips)]
    return [action for action in actions if action is not None and action.get(MARK)]


def curve_bag(action: bpy.types.Action, slot):
    """Returns the collection of an action's curves: of a slot, where actions have slots."""
    if not hasattr(action, "slots"):
        return action.fcurves
    if slot is None:
        return ()
    if not len(action.layers):
        action.layers.new("Layer")
    layer = action.layers[0]
    strip = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves


def keys_digest(bag, names) -> str:
    """Returns a digest of the keys of some curves, by which edits are noticed."""
    digest = hashlib.blake2b(digest_size=12)
    chosen = set(names)
    for curve in sorted(bag, key=lambda curve: (curve.data_path, curve.array_index)):
        if f"{curve.array_index} {curve.data_path}" in chosen:
            points = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get("co", points)
            digest.update(
                f"{curve.array_index} {curve.data_path} {len(curve.modifiers)}".encode() + points.tobytes()
            )
    return digest.hexdigest()
