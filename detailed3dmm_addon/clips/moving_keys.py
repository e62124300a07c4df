"""Tells which shape keys a clip cannot move, and widens the ranges of those that it can."""

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ..actions.action_writer import key_path
from ..detail import follow as live_update
from ..model.registry import is_face

_STILL = 1e-4
"""A key whose values all stay below this does not move."""
_MOST_FRAMES = 8
_REMEDY = (
    "Remove the driver, unmute the key, unpin the mesh, or switch Relative on in the shape keys' panel, "
    "then press Update."
)


def blocked_keys(target: bpy.types.Object, values: dict[str, np.ndarray]) -> dict[str, str]:
    """Returns the keys that move in a clip but cannot on the mesh, with the reason.

    Args:
        target: the mesh.
        values: (T,) float32 by name of a shape key.

    Raises:
        UserError: none of the keys that the clip moves can move.
    """
    moving = [name for name, curve in values.items() if np.abs(curve).max(initial=0) > _STILL]
    reasons = {name: _block_of(target, name) for name in moving}
    blocked = {name: reason for name, reason in reasons.items() if reason}
    if moving and len(blocked) == len(moving):
        raise UserError(f"{target.name}: no shape key of this clip can move: {listed(blocked)}.", _REMEDY)
    return blocked


def widen_ranges(target: bpy.types.Object, values: dict[str, np.ndarray]) -> None:
    """Widens the slider ranges of shape keys so that no value of a clip is cut off."""
    for name, curve in values.items():
        key = target.data.shape_keys.key_blocks[name]
        key.slider_min = min(key.slider_min, float(curve.min(initial=0)))
        key.slider_max = max(key.slider_max, float(curve.max(initial=0)))


def still_keys(
    scene: bpy.types.Scene,
    target: bpy.types.Object,
    values: dict[str, np.ndarray],
    first_frame: int,
    tolerance: float,
) -> dict[str, str]:
    """Compares the evaluated shape keys and mesh with the clip that was written.

    Args:
        scene: its frame is moved and put back.
        target: the mesh.
        values: (T,) float32 by name of a shape key: those that should play.
        first_frame: scene frame of the first value.
        tolerance: by which keyed values may be off.

    Returns:
        The keys that do not play as written, with the reason; empty where all do.
    """
    moving = {name: curve for name, curve in values.items() if np.abs(curve).max(initial=0) > _STILL}
    if not moving:
        return {}
    stack = np.abs(np.stack(list(moving.values())))
    near_peak = stack >= 0.7 * stack.max(1, keepdims=True)
    still = {}
    moved = False
    before = scene.frame_current
    shown = [(modifier, modifier.show_viewport) for modifier in target.modifiers]
    try:
        with live_update.suspended():
            for modifier, _ in shown:
                modifier.show_viewport = False
            for frame in _covering_frames(near_peak):
                scene.frame_set(first_frame + int(frame))
                depsgraph = bpy.context.evaluated_depsgraph_get()
                keys = target.data.shape_keys.evaluated_get(depsgraph).key_blocks
                for (name, curve), peak in zip(moving.items(), near_peak[:, frame], strict=True):
                    if peak and abs(keys[name].value - curve[frame]) > 0.02 + tolerance:
                        still[name] = "another animation or driver moves it"
                moved = moved or _is_moved(target, depsgraph)
    finally:
        for modifier, visible in shown:
            modifier.show_viewport = visible
        scene.frame_set(before)
    return still if moved else dict.fromkeys(moving, "the mesh does not move")


def report_of(target: bpy.types.Object, blocked: dict[str, str]) -> tuple[str, str]:
    """Returns message and remedy for keys that a clip does not move."""
    return f"{target.name}: some shape keys do not move: {listed(blocked)}.", _REMEDY


def listed(blocked: dict[str, str]) -> str:
    """Returns the keys by reason, at most four a reason: "jawOpen, mouthClose (driven)"."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in blocked.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        parts.append(f"{', '.join(names[:4])}{more} ({reason})")
    return "; ".join(parts)


def _block_of(target: bpy.types.Object, name: str) -> str:
    """Returns the reason why a shape key cannot move its mesh, or an empty string."""
    keys = target.data.shape_keys
    if not keys.use_relative:
        return "the shape keys are absolute"
    if target.show_only_shape_key:
        return "the mesh is pinned to one shape key"
    if keys.key_blocks[name].mute:
        return "muted"
    drivers = keys.animation_data.drivers if keys.animation_data is not None else ()
    if any(driver.data_path == key_path(name) and not driver.mute for driver in drivers):
        return "driven"
    return "" if is_face(target) or _has_shape(keys, name) else "it has the shape of its basis"


def _has_shape(keys: bpy.types.Key, name: str) -> bool:
    key = keys.key_blocks[name]
    places = np.empty((2, 3 * len(key.data)), np.float32)
    key.data.foreach_get("co", places[0])
    key.relative_key.data.foreach_get("co", places[1])
    return bool((places[0] != places[1]).any())


def _is_moved(target: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bool:
    """Tells whether the evaluated mesh differs from the basis."""
    mesh = target.evaluated_get(depsgraph).data
    basis = target.data.shape_keys.reference_key.data
    if len(mesh.vertices) != len(basis):
        return True
    places = np.empty((2, 3 * len(basis)), np.float32)
    mesh.vertices.foreach_get("co", places[0])
    basis.foreach_get("co", places[1])
    return bool(
        np.abs(places[0] - places[1]).max(initial=0) > 1e-6 * max(1e-3, np.abs(places[1]).max(initial=0))
    )


def _covering_frames(near_peak: np.ndarray) -> list[int]:
    """Returns a few frames at which as many keys as possible are near their peak: (K, T) bool -> frames."""
    frames = []
    left = near_peak.copy()
    while left.any() and len(frames) < _MOST_FRAMES:
        frame = int(left.sum(0).argmax())
        frames.append(frame)
        left[left[:, frame]] = False
    return frames
