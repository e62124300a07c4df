"""A clip on its way into the scene: its curves, edited and keyed, with wrinkles and sound."""

from dataclasses import dataclass, field

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import CurveEdit, Motion, edit_layers
from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..actions import action_writer as face_animation
from ..actions.action_writer import EXPRESSION_ACTION, OBJECT_ACTION, Bake
from ..actions.animatable import check_animatable
from ..actions.sound_strip import add_sound, include_frames
from ..detail import bake as clip_detail
from ..detail import baked as baked_detail
from ..detail import follow as live_update
from ..detail.baked import ClipDetail
from ..face import mesh as face_mesh
from ..model.face_model import check_current, face_model, identity_of, skin_of
from ..model.registry import is_face
from ..nodes.detail_modifier import MODIFIER
from ..worker import jobs as backend
from ..worker.jobs import JobSteps
from . import targets as animation_targets
from .clip_sources import ClipCurves, ClipSource
from .moving_keys import blocked_keys, listed, report_of, still_keys, widen_ranges
from .targets import TargetName


@dataclass(frozen=True)
class ClipPlace:
    """The place of a clip in the scene, and the parts that come with it.

    Attributes:
        fps: of the scene.
        first_frame: scene frame at which the clip begins.
        with_head: whether head motion is keyed.
        with_detail: whether the wrinkles are baked, where the target is a face.
        with_sound: whether a sound strip is added.
        replaces: whether the clip before goes.
    """

    fps: float
    first_frame: int
    with_head: bool = True
    with_detail: bool = True
    with_sound: bool = False
    replaces: bool = False


@dataclass
class ClipAnimation:
    """One import, from the press of the button to its result in the scene.

    Attributes:
        target: the mesh that it moves; looked up again when answers arrive.
        source: of the curves.
        place: in the scene.
        layers: edited curves by name, empty until `take` is called.
        notes: remarks for the user about how the curves were made.
    """

    target: TargetName
    source: ClipSource
    place: ClipPlace
    layers: dict[str, Motion] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def work(self, context: bpy.types.Context) -> JobSteps[str]:
        """Asks for the curves and their detail, and puts both into the scene at the end.

        Args:
            context: asked for its scene at the end: undo replaces the scene while the worker computes.

        Returns:
            The report.

        Raises:
            UserError: the file, the answers or the target cannot be used.
        """
        self.check()
        settings = self.face().d3dmm_animation
        self.take((yield from self.source.curves(settings, self.place.first_frame, self.place.fps)))
        detail = yield from self.detail()
        return self.put_into_scene(context.scene, detail)

    def check(self) -> None:
        """Looks at the file and the target before anything is started.

        Raises:
            UserError: there is no such file, it is empty, or the target cannot be animated.
        """
        self._check_target(self.face())
        path = self.source.path
        if not path.is_file():
            raise UserError(f"{path.name}: no such file.", "Choose one that is there.")
        if path.stat().st_size == 0:
            raise UserError(f"{path.name}: the file is empty.", "Export it again.")

    def take(self, curves: ClipCurves) -> None:
        """Keeps the curves, with the target's gains, smoothing and offset applied.

        Raises:
            UserError: the target has gone.
        """
        self.notes = curves.notes
        self.layers = edit_layers(self.place.fps, curves.layers, self.edit())

    def edit(self) -> CurveEdit:
        """Returns the edit that the target's settings ask for.

        Raises:
            UserError: the target has gone.
        """
        return self.face().d3dmm_animation.edit(self.place.fps)

    def detail(self) -> JobSteps[ClipDetail | None]:
        """Asks the worker for the wrinkles; the distilled model makes them where there is no backend.

        Returns:
            None where no wrinkles are to be baked.

        Raises:
            UserError: the clip is too long for them.
        """
        if not (self.place.with_detail and is_face(self.face())):
            return None
        count = len(self.frames())
        if count > face_animation.LONGEST_RANGE:
            raise UserError(
                f"{self.source.path.name}: {count} frames are too many for wrinkles.",
                "Import without Animated Wrinkles, or at most "
                f"{face_animation.LONGEST_RANGE} frames at a time.",
            )
        face = self.face()
        check_current(face)
        frames = self._model_frames()
        skin = skin_of(face)
        if backend.missing_reason():
            skins = np.broadcast_to(skin, (len(frames), len(skin)))
            return clip_detail.distil_clip(identity_of(face), frames, skins)
        answer = yield "Animated Wrinkles", *clip_detail.clip_request(face, frames, skin)
        return clip_detail.clip_of(answer)

    def frames(self) -> np.ndarray:
        """Returns the sum of all layers: (T, 52) float32."""
        return np.sum([frames for frames, _ in self._taken().values()], 0, dtype=np.float32)

    def put_into_scene(self, scene: bpy.types.Scene, detail: ClipDetail | None) -> str:
        """Writes everything into the scene; nothing was touched before.

        Args:
            scene: receives the sound and the range.
            detail: of the clip, or None.

        Returns:
            The report.

        Raises:
            UserError: the target has gone or cannot be animated, none of its keys can move, a bone is
                missing, or Blender cannot open the sound.
        """
        place = self.place
        target = self.face()
        self._check_target(target)
        if detail is not None and not face_mesh.has_our_topology(target):
            raise UserError(
                "The face's mesh was edited while its detail was baked.",
                "Undo the edit and import the clip again.",
            )
        layers = self._taken()
        values = animation_targets.key_values_of(target, self.frames())
        blocked = blocked_keys(target, values)
        heads = {name: head for name, (_, head) in layers.items()} if place.with_head else {}
        head = animation_targets.head_curves(target, heads)
        silent = place.with_sound and not bpy.app.build_options.audaspace
        if place.with_sound and not silent:
            add_sound(scene, self.source.path, place.first_frame, self.source.start, self.source.length)
        settings = target.d3dmm_animation
        bake = Bake(
            clip=self.source.path.stem,
            first_frame=place.first_frame,
            into=settings.destination,
            tolerance=settings.key_error,
            replaces=place.replaces,
        )
        base = next(iter(layers))
        expressions = {
            name: animation_targets.expression_curves(target, moved, name == base)
            for name, (moved, _) in layers.items()
        }
        with live_update.suspended():
            if is_face(target):
                live_update.finish_shapes(target)
            widen_ranges(target, values)
            bake.write(target.data.shape_keys, EXPRESSION_ACTION, expressions)
            self._write_object(bake, target, head, detail)
        count = len(self.frames())
        include_frames(scene, place.first_frame, count)
        self._remember(settings)
        free = {name: curve for name, curve in values.items() if name not in blocked}
        blocked |= still_keys(scene, target, free, place.first_frame, settings.key_error * len(layers))
        scene.frame_set(scene.frame_current)
        report = f"{count} frames of {self.source.kind}"
        if detail is not None:
            report += f", wrinkles in {detail.describe()}"
        report += "".join(f"; {note}" for note in self.notes) + bake.describe()
        if blocked:
            backend.report_problem(*report_of(target, blocked))
            report += f"; does not move: {listed(blocked)}"
        return report + ("; no sound strip: this Blender was built without sound" if silent else "")

    def face(self) -> bpy.types.Object:
        """Returns the target as it is now.

        Raises:
            UserError: it has been deleted.
        """
        return self.target.find()

    def _check_target(self, target: bpy.types.Object) -> None:
        owner = animation_targets.head_owner(target) if self.place.with_head else None
        check_animatable(target, target.data.shape_keys, owner)

    def _write_object(
        self, bake: Bake, target: bpy.types.Object, head: dict, detail: ClipDetail | None
    ) -> None:
        """Keys the head and the detail's coefficients; those of an earlier clip's fields go."""
        owner = animation_targets.head_owner(target)
        wrinkles = {}
        turned = owner is not None and animation_targets.turns_head(owner)
        if detail is not None:
            face_animation.remove_detail_curves(target, MODIFIER)
            wrinkles = {"wrinkles": baked_detail.store_baked_detail(target, detail)}
        if owner is not None:
            bake.write(owner, OBJECT_ACTION, head | wrinkles if owner == target else head, carries=True)
        if owner != target:
            bake.write(target, OBJECT_ACTION, wrinkles, carries=True)
        if turned:
            animation_targets.put_head_to_rest(target)

    def _remember(self, settings) -> None:
        settings.source = str(self.source.path)
        settings.source_kind = self.source.kind
        settings.source_start = self.source.start
        settings.source_length = self.source.length
        settings.source_seed = self.source.seed
        settings.source_frame = self.place.first_frame
        settings.source_head = self.place.with_head
        settings.source_detail = self.place.with_detail

    def _taken(self) -> dict[str, Motion]:
        if not self.layers:
            raise ValueError("the curves are taken first")
        return self.layers

    def _model_frames(self) -> np.ndarray:
        """Returns the frames (T, 52) in the model's order, as the sliders will show them."""
        return self.frames()[:, [EXPRESSION_NAMES.index(name) for name in face_model().expression_names]]
