"""A temporary scene beside the artist's, in which a copy of a face is prepared for other programs."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import bpy
import numpy as np
from mathutils import Matrix

from ...ml_backend.animation.curve_editing import eyes_from_look
from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.curve_file import HEAD_NAMES, Animation
from ..actions import action_writer
from ..appearance.eyes import eye_modifier
from ..detail import live
from ..detail.follow import suspended
from ..detail.inputs import DetailInputs, evaluated_inputs
from ..model.face_model import key_values
from ..model.scene_units import units_per_metre
from ..nodes.detail_modifier import detail_modifier, is_baked
from ..nodes.vertex_attributes import read_positions

Datablock = TypeVar("Datablock", bound=bpy.types.ID)
_FOLDER_REMEDY = "Choose a folder that you may write to."


@dataclass(frozen=True)
class Stage:
    """A separate scene in metres with one copy of the face.

    It shares only materials and actions with the artist's scene.

    Attributes:
        scene: with the artist's frame rate and the range to export.
        face: the copy.
        frames: scene frames to export.
        inputs: inputs of the live detail by frame; empty where no live detail is shown.
        made: `session_uid` of all datablocks that are removed with the stage.
    """

    scene: bpy.types.Scene
    face: bpy.types.Object
    frames: range
    inputs: dict[int, DetailInputs] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    def track(self, item: Datablock) -> Datablock:
        """Notes that a datablock, a mesh with its shape keys, is to be removed with the stage."""
        self.made.add(item.session_uid)
        if isinstance(item, bpy.types.Mesh) and item.shape_keys is not None:
            self.made.add(item.shape_keys.session_uid)
        return item

    @property
    def depsgraph(self) -> bpy.types.Depsgraph:
        """Returns the dependency graph of the stage."""
        return cast(bpy.types.Depsgraph, self.scene.view_layers[0].depsgraph)

    def go_to(self, frame: int) -> None:
        """Evaluates a frame."""
        self.scene.frame_set(frame)

    def inputs_now(self) -> DetailInputs:
        """Returns the inputs at the stage's frame, as evaluated: curves, drivers and the NLA all count."""
        return evaluated_inputs(self.face, self.depsgraph)

    def follow(self, scene: bpy.types.Scene, _depsgraph=None) -> None:
        """Shows the live detail of the stage's frame before it is evaluated, by us or by an exporter."""
        if scene == self.scene and scene.frame_current in self.inputs:
            live.show_at_once(self.face, self.inputs[scene.frame_current])

    def positions(self) -> np.ndarray:
        """Returns (N, 3) float32: the copy's evaluated vertices in its local space, detail included."""
        return read_positions(self.face.evaluated_get(self.depsgraph).data)

    def key_values(self, names) -> np.ndarray:
        """Returns the evaluated values of some shape keys, 0 where one is missing or muted."""
        return key_values(self.face.data.shape_keys.evaluated_get(self.depsgraph), names)

    def matrix(self):
        """Returns the copy's evaluated matrix in the world, whose unit is the metre."""
        return self.face.evaluated_get(self.depsgraph).matrix_world.copy()

    def animation(self, progress=None) -> Animation:
        """Returns the copy's expressions, head rotation and gaze at each frame, as curve files store them."""
        rows = []
        head = []
        for index, frame in enumerate(self.frames):
            self.go_to(frame)
            rows.append(self.key_values(EXPRESSION_NAMES))
            turn = self.matrix().to_euler("XYZ")
            head.append([turn.z, -turn.x, turn.y] + [0.0] * (len(HEAD_NAMES) - 3))
            if progress is not None:
                progress(index / len(self.frames))
        expressions = np.stack(rows)
        turns = np.array(head, np.float32)
        turns[:, 3:] = eyes_from_look(expressions)
        return Animation(action_writer.scene_fps(self.scene), EXPRESSION_NAMES, expressions, turns)


@contextmanager
def export_stage(
    context: bpy.types.Context, face: bpy.types.Object, first: int, last: int, with_detail: bool = True
) -> Iterator[Stage]:
    """Copies a face onto a stage; afterwards everything that was made for it is removed.

    Handlers and datablocks that others make meanwhile stay.

    Args:
        context: of the operator; inside, operators see the stage as the scene.
        face: stays untouched.
        first, last: frames to export, both included.
        with_detail: the copy shows its wrinkles.

    Raises:
        UserError: the range is empty or too long.
    """
    if not first <= last < first + action_writer.LONGEST_RANGE:
        raise UserError(
            f"The range from {first} to {last} cannot be exported.",
            f"Choose 1 to {action_writer.LONGEST_RANGE} frames.",
        )
    window = context.window
    shown = window.scene if window is not None else None
    handlers = bpy.app.handlers.frame_change_pre
    stage = _empty_stage(context.scene, face, range(first, last + 1))
    follow = stage.follow
    try:
        with suspended():
            _set_up(stage, with_detail)
            handlers.append(follow)
            stage.go_to(min(max(context.scene.frame_current, first), last))
            with context.temp_override(scene=stage.scene, view_layer=stage.scene.view_layers[0]):
                yield stage
    finally:
        if follow in handlers:
            handlers.remove(follow)
        if window is not None and window.scene != shown:
            window.scene = shown
        for scene in [item for item in bpy.data.scenes if item.session_uid in stage.made]:
            bpy.data.scenes.remove(scene)
        left = {item.session_uid: item for item in _every_id() if item.session_uid in stage.made}
        bpy.data.batch_remove(left.values())


def _every_id() -> Iterator[bpy.types.ID]:
    for name in (item.identifier for item in bpy.data.bl_rna.properties if item.type == "COLLECTION"):
        if name != "all_ids":  # from Blender 5.2 on: everything once more
            yield from getattr(bpy.data, name)


def _empty_stage(original: bpy.types.Scene, face: bpy.types.Object, frames: range) -> Stage:
    scene = bpy.data.scenes.new("Detailed3DMM Export")
    scene.render.fps = original.render.fps
    scene.render.fps_base = original.render.fps_base
    scene.frame_start = frames[0]
    scene.frame_end = frames[-1]
    copy = face.copy()
    copy.data = face.data.copy()
    copy.d3dmm.uid = uuid.uuid4().hex
    scene.collection.objects.link(copy)
    copy.hide_viewport = copy.hide_render = False
    stage = Stage(scene, copy, frames)
    for item in (scene, copy, copy.data):
        stage.track(item)
    metre = units_per_metre(original)
    if metre != 1.0:
        _place_in_metres(stage, metre)
    return stage


def _place_in_metres(stage: Stage, metre: float) -> None:
    """Shrinks the copy with its place to metres, however it is animated or parented.

    Args:
        stage: with the copy.
        metre: its length in the units of the artist's scene.
    """
    unit = stage.track(bpy.data.objects.new("Detailed3DMM Unit", None))
    unit.scale = (1.0 / metre,) * 3
    constraint = cast(bpy.types.ChildOfConstraint, stage.face.constraints.new("CHILD_OF"))
    constraint.target = unit
    constraint.inverse_matrix = Matrix()


def _set_up(stage: Stage, with_detail: bool) -> None:
    copy = stage.face
    eyes = eye_modifier(copy)
    if eyes is not None:  # other programs receive the model's own eyes, which move with its shape keys
        eyes.show_viewport = eyes.show_render = False
    modifier = detail_modifier(copy)
    if modifier is not None and not with_detail:
        modifier.show_viewport = modifier.show_render = False
    elif modifier is not None and modifier.show_viewport and not is_baked(copy):
        stage.inputs.update(_inputs_by_frame(stage))


def _inputs_by_frame(stage: Stage) -> dict[int, DetailInputs]:
    """Returns the inputs of every frame, visited with all modifiers off."""
    shown = [modifier for modifier in stage.face.modifiers if modifier.show_viewport]
    for modifier in shown:
        modifier.show_viewport = False
    inputs = {}
    for frame in stage.frames:
        stage.go_to(frame)
        inputs[frame] = stage.inputs_now()
    for modifier in shown:
        modifier.show_viewport = True
    return inputs


@contextmanager
def finished_files(path: Path) -> Iterator[Path]:
    """Lets files be written to a temporary folder, and moves them beside a path when all are complete.

    Args:
        path: of the main file; its folder is created if it is missing.

    Yields:
        The path to write the main file to; files beside it are moved too.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".d3dmm-", dir=path.parent) as folder:
            yield Path(folder) / path.name
            written = sorted(Path(folder).iterdir())
            if not written:
                raise UserError(
                    f"{path.name}: Blender wrote no file.", "Look at Blender's own messages in the terminal."
                )
            for item in written:
                target = path.parent / item.name
                if item.is_dir():
                    target.mkdir(exist_ok=True)
                    for inner in item.iterdir():
                        shutil.move(inner, target / inner.name)
                else:
                    item.replace(target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}).", _FOLDER_REMEDY) from error
