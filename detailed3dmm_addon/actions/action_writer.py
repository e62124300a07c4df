"""Writes curves into new actions or NLA tracks, beside those of the artist.

An action of this extension carries a mark, the names of its curves and a digest of their keys. A later bake
replaces only such actions; one whose keys were edited belongs to the artist from then on.
"""

import re
from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import keyed_error, reduce_keys
from ...ml_backend.expression_matching import named_expression
from .action_reader import DIGEST, MARK, NAMES, curve_bag, is_edited, keys_digest, our_actions, our_curves

Curves = dict[tuple[str, int], np.ndarray]
"""(T,) float32 values by (data path, index)."""

_TRACK = "D3DMM {}"
_NOTHING = 5e-5
"""Smaller rotations (radians) are keyed as 0: sliders would show six digits."""
_UNSEEN = 0.001
"""Smaller values of expressions are keyed as 0: of a jaw that opens 20 mm it is .02 mm, and a shape key at 0
takes no time in playback."""
EXPRESSION_ACTION = "{} Expression"
OBJECT_ACTION = "{} Head and Detail"
ACTION, NLA, LAYERS = "ACTION", "NLA", "LAYERS"
LONGEST_RANGE = 36000
"""Frames that are baked or exported at most: a longer range is a mistake, or does not fit into memory."""


@dataclass
class Bake:
    """The settings by which curves are written, and the results of writing them.

    Attributes:
        clip: name of the recording, for the actions' names.
        first_frame: scene frame of the first value.
        into: ACTION for a new action, NLA for a strip, LAYERS for a track for each layer.
        tolerance: greatest error of a curve where keys are left out, in the curve's unit; 0 keys every frame.
        replaces: earlier actions of this extension are removed, unless they were edited.
        keys: number of keys that were written.
        frames: number of keys with one at every frame.
        error: greatest error of the keys that were left out.
        kept: names of edited actions that were to be replaced, and stay in the file.
    """

    clip: str
    first_frame: int
    into: str = ACTION
    tolerance: float = 0.0
    replaces: bool = False
    keys: int = 0
    frames: int = 0
    error: float = 0.0
    kept: tuple[str, ...] = ()

    def write(
        self, owner, name: str, layers: dict[str, Curves], carries: bool = False
    ) -> list[bpy.types.Action]:
        """Writes one datablock's curves.

        Args:
            owner: shape keys or an object.
            name: of the action, "{}" for the clip's.
            layers: curves by layer; the first is the base, the others are added to it.
            carries: copies of the artist's curves go on in the new action, unless it goes to the NLA.
        """
        layers = {layer: curves for layer, curves in layers.items() if curves}
        if not layers and not (self.replaces and our_actions(owner)):
            return []
        data = owner.animation_data or owner.animation_data_create()
        if self.replaces:
            self._remove_tracks(owner)
        mixed: Curves = {}
        tracks = []
        for layer, curves in layers.items():
            if self.into == LAYERS:
                tracks.append(self._write_track(owner, layer, curves, any(path in mixed for path in curves)))
            for path, values in curves.items():
                mixed[path] = mixed[path] + values if path in mixed else values
        if self.into == NLA and mixed:
            tracks.append(self._write_track(owner, name.format("").strip(), mixed, False))
        if tracks or not mixed:
            self._take_off(data)
            return tracks
        previous = data.action
        slot_name = _slot_name(data)
        ours = previous is not None and bool(previous.get(MARK))
        action = (
            previous.copy()
            if previous is not None and (carries or ours)
            else bpy.data.actions.new(name.format(self.clip))
        )
        if ours:
            _remove_curves(
                curve_bag(action, slot_name and action.slots.get(slot_name)), previous.get(NAMES, ())
            )
        action.name = name.format(self.clip)
        slot = self._fill(action, owner, slot_name, mixed)
        data.action = action
        if slot is not None:
            data.action_slot = slot
        if previous is not None:
            self._retire(previous)
        return [action]

    def _take_off(self, data: bpy.types.AnimData) -> None:
        """Takes our action off a datablock; the artist's curves in it go on.

        Otherwise it would play on top of the NLA.
        """
        previous = data.action
        slot_name = _slot_name(data)
        if previous is None or not previous.get(MARK):
            return
        rest = previous.copy()
        slot = rest.slots.get(slot_name) if slot_name else None
        bag = curve_bag(rest, slot)
        _remove_curves(bag, previous.get(NAMES, ()))
        if len(bag):
            for key in (MARK, NAMES, DIGEST):
                rest.pop(key, None)
            data.action = rest
            if slot is not None:
                data.action_slot = slot
        else:
            data.action = None
            bpy.data.actions.remove(rest)
        self._retire(previous)

    def describe(self) -> str:
        """Returns the report of keys left out and actions kept; empty if there is none of either."""
        report = ""
        if self.tolerance > 0 and self.frames:
            report = f"; {100 * self.keys / self.frames:.0f} % of the keys, error at most {self.error:.4f}"
        return report + (f"; edited and kept: {', '.join(self.kept)}" if self.kept else "")

    def _write_track(self, owner, layer: str, curves: Curves, added: bool) -> bpy.types.Action:
        action = bpy.data.actions.new(f"{self.clip} {layer.title()}")
        slot = self._fill(action, owner, None, curves)
        data = owner.animation_data
        name = _TRACK.format(layer.title())
        last = self.first_frame + max(map(len, curves.values())) - 1
        tracks = (track for track in data.nla_tracks if track.name == name and not track.lock)
        track = next((track for track in tracks if _is_free(track, self.first_frame, last)), None)
        if track is None:
            track = data.nla_tracks.new()
            track.name = name
        strip = track.strips.new(action.name, self.first_frame, action)
        if slot is not None:
            strip.action_slot = slot
        strip.blend_type = "ADD" if added else "REPLACE"
        strip.extrapolation = "HOLD"
        return action

    def _fill(self, action, owner, slot_name: str | None, curves: Curves):
        """Writes curves and mark; returns the slot, or None in Blenders whose actions have none."""
        slot = None
        if hasattr(action, "slots"):
            slot = action.slots.get(slot_name) if slot_name else None
            slot = slot or action.slots.new(id_type=owner.id_type, name=owner.name)
        elif not action.users:
            action.id_root = owner.id_type
        bag = curve_bag(action, slot)
        for path, keys in self._keys(curves).items():
            self._write_curve(bag, path, keys, curves[path])
        action[MARK] = True
        action[NAMES] = [f"{index} {path}" for path, index in curves]
        action[DIGEST] = keys_digest(bag, action[NAMES])
        return slot

    def _keys(self, curves: Curves) -> dict[tuple[str, int], np.ndarray]:
        """Returns the frames at which each curve is keyed.

        Jaw and closed lips share theirs, so that lips stay closed between keys.
        """
        pair = [path for path in curves if named_expression(_key_name(path[0])) in ("jawOpen", "mouthClose")]
        shared = np.zeros(0, np.int64)
        if len(pair) == 2 and self.tolerance > 0:
            both = np.stack([curves[pair[0]], curves[pair[1]], curves[pair[0]] - curves[pair[1]]], 1)
            shared = reduce_keys(both, np.array([1.0, 1.0, 0.2]) * self.tolerance)
        chosen = {}
        for path, values in curves.items():
            if path in pair and len(shared):
                chosen[path] = shared
            else:
                chosen[path] = reduce_keys(values, _tolerance_unit(path[0]) * self.tolerance)
            self.keys += len(chosen[path])
            self.frames += len(values)
            if self.tolerance > 0:
                self.error = max(self.error, keyed_error(values, chosen[path]))
        return chosen

    def _write_curve(self, bag, path: tuple[str, int], keys: np.ndarray, values: np.ndarray) -> None:
        stale = bag.find(path[0], index=path[1])
        if stale is not None:
            bag.remove(stale)
        curve = bag.new(path[0], index=path[1])
        curve.keyframe_points.add(len(keys))
        points = np.stack([keys + self.first_frame, np.asarray(values)[keys]], 1).astype(np.float32)
        if not path[0].startswith("modifiers"):
            least = _UNSEEN if path[0].startswith("key_blocks") else _NOTHING
            points[np.abs(points[:, 1]) < least, 1] = 0.0
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", np.ones(len(keys), np.int32))
        curve.update()

    def _remove_tracks(self, owner) -> None:
        """Removes our strips from the NLA; an edited one stays, muted."""
        tracks = owner.animation_data.nla_tracks
        for track in list(tracks):
            for strip in list(track.strips):
                action = strip.action
                if action is None or not action.get(MARK):
                    continue
                if is_edited(action):
                    strip.mute = True
                    self.kept += (action.name,)
                else:
                    track.strips.remove(strip)
                    self._retire(action)
            if not len(track.strips) and track.name.startswith(_TRACK.format("")):
                tracks.remove(track)

    def _retire(self, action: bpy.types.Action) -> None:
        """Keeps an action in the file, or removes it if it is ours, unedited, unused and to be replaced."""
        if not (self.replaces and action.get(MARK)):
            action.use_fake_user = True
        elif is_edited(action):
            action.use_fake_user = True
            self.kept += (action.name,)
        else:
            action.use_fake_user = False
            if not action.users:
                bpy.data.actions.remove(action)


def scene_fps(scene: bpy.types.Scene) -> float:
    """Returns the frames per second of a scene."""
    return scene.render.fps / scene.render.fps_base


def key_expressions(
    face: bpy.types.Object, clip: str, names: tuple[str, ...], frames: np.ndarray, first_frame: int
) -> bpy.types.Action:
    """Makes a new action on the face's shape keys; the former action stays in the file, with a fake user.

    Args:
        face: the face.
        clip: name of the recording, for the action's name.
        names: C expression names.
        frames: (T, C) float32.
        first_frame: scene frame of the first row.
    """
    keys = face.data.shape_keys
    curves = {
        (key_path(name), 0): frames[:, index] for index, name in enumerate(names) if name in keys.key_blocks
    }
    return Bake(clip, first_frame).write(keys, EXPRESSION_ACTION, {"expression": curves})[0]


def key_object(
    face: bpy.types.Object, clip: str, curves: Curves, first_frame: int
) -> bpy.types.Action | None:
    """Makes a new action on the object, of copies of the artist's curves and of ours.

    Args:
        face: the face.
        clip: name of the recording, for the action's name.
        curves: values by data path and index.
        first_frame: scene frame of the first value.

    Returns:
        The action, or None if there is nothing to key.
    """
    made = Bake(clip, first_frame).write(face, OBJECT_ACTION, {"head and detail": curves}, carries=True)
    return made[0] if made else None


def key_path(name: str) -> str:
    """Returns the data path of a shape key's value."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def has_our_animation(face: bpy.types.Object) -> bool:
    """Returns True if an action of this extension moves the face or its expressions."""
    return any(our_actions(owner) for owner in (face, face.data.shape_keys))


def unlink_our_actions(target: bpy.types.Object, head: bpy.types.Object | None = None) -> None:
    """Takes this extension's actions off a mesh, its expressions and its head, which go back to rest.

    The actions stay in the file.
    """
    for owner in (target, target.data.shape_keys, head):
        data = owner.animation_data if owner is not None else None
        if data is None:
            continue
        if any(curve.data_path == "rotation_euler" for curve in our_curves(owner)):
            owner.rotation_euler = target.d3dmm_animation.rest_rotation
        for action in our_actions(owner):
            action.use_fake_user = True
        if data.action is not None and data.action.get(MARK):
            data.action = None
        for track in list(data.nla_tracks):
            ours = [strip for strip in track.strips if strip.action is not None and strip.action.get(MARK)]
            for strip in ours:
                track.strips.remove(strip)
            if ours and not len(track.strips):
                data.nla_tracks.remove(track)
    for key in target.data.shape_keys.key_blocks[1:]:
        key.value = 0.0


def animated_range(owner) -> tuple[int, int] | None:
    """Returns first and last frame of a datablock's action, else of its NLA strips; None without either."""
    data = owner.animation_data
    if data is None:
        return None
    spans = [tuple(data.action.frame_range)] if data.action is not None else []
    spans = spans or [
        (strip.frame_start, strip.frame_end) for track in data.nla_tracks for strip in track.strips
    ]
    return (round(min(low for low, _ in spans)), round(max(high for _, high in spans))) if spans else None


def remove_detail_curves(face: bpy.types.Object, modifier: str) -> None:
    """Removes a modifier's curves from our actions on an object: the face no longer has their fields."""
    path = f'modifiers["{bpy.utils.escape_identifier(modifier)}"]'
    for action in our_actions(face):
        ours = list(action.get(NAMES, ()))
        was_edited = is_edited(action)
        for slot in list(action.slots) if hasattr(action, "slots") else [None]:
            bag = curve_bag(action, slot)
            stale = [name for name in ours if name.partition(" ")[2].startswith(path)]
            _remove_curves(bag, stale)
            if stale and not was_edited:
                action[NAMES] = [name for name in ours if name not in stale]
                action[DIGEST] = keys_digest(bag, action[NAMES])


def _slot_name(data: bpy.types.AnimData) -> str | None:
    slot = getattr(data, "action_slot", None)
    return slot.identifier if data.action is not None and slot is not None else None


def _remove_curves(bag, names) -> None:
    """Removes the curves of some names ("index path") from an action; all others stay."""
    chosen = set(names)
    for curve in [curve for curve in bag if f"{curve.array_index} {curve.data_path}" in chosen]:
        bag.remove(curve)


def _key_name(path: str) -> str:
    """Returns the name of the shape key or property that a data path ends in; the path itself without one."""
    quoted = re.search(r'\["(.+)"\]', path)
    return quoted[1] if quoted else path


def _tolerance_unit(data_path: str) -> float:
    """Returns the tolerance of a curve for a tolerance of 1: 0.2 radians for rotations, 0 for wrinkles."""
    if "rotation" in data_path:
        return 0.2
    return 0.0 if data_path.startswith("modifiers") else 1.0


def _is_free(track: bpy.types.NlaTrack, first: int, last: int) -> bool:
    """Returns True if none of a track's strips meets a range of frames."""
    return not any(strip.frame_start <= last and strip.frame_end >= first for strip in track.strips)
