"""A clip on its way into the scene: curves by layer, edited as the target's settings say, keyed, with wrinkles and sound."""

from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import Motion, edit_layers, look_from_eyes, resampled
from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.curve_file import read_curves
from ..actions import action_writer as face_animation
from ..actions.action_writer import EXPRESSION_ACTION, OBJECT_ACTION, Bake
from ..actions.sound_strip import add_sound, include_frames
from ..detail import bake as clip_detail
from ..detail import baked as baked_detail
from ..detail import follow as live_update
from ..detail.baked import ClipDetail
from ..face import mesh as face_mesh
from ..model.face_model import face_model, identity_of, skin_of
from ..model.registry import is_face
from ..nodes.detail_modifier import MODIFIER
from . import targets as animation_targets
from .targets import TargetName

CURVE_SUFFIXES = (".csv", ".json")


@dataclass
class ClipAnimation:
    """One import, from the press of the button to its result in the scene.

    Attributes:
        target: what it moves; looked up again when answers arrive.
        path: of the recording or the curves.
        fps: of the scene.
        first_frame: scene frame at which the clip begins.
        seed: of blinks, brows and the other layers.
        with_head: whether head motion is keyed.
        with_detail: whether the wrinkles are baked, where the target is a face.
        with_sound: whether a sound strip is added.
        start, length: seconds of the recording that are left out before, and that are used (0: all that is
            left).
        replaces: whether the clip before goes.
        notes: what the user should know of how it was made.
        layers: once known: (T, 52) float32 and (T, 9) radians by name; the first is the base, the others are
            added to it.
    """

    target: TargetName
    path: Path
    fps: float
    first_frame: int
    seed: int = 0
    with_head: bool = True
    with_detail: bool = True
    with_sound: bool = True
    start: float = 0.0
    length: float = 0.0
    replaces: bool = False
    notes: tuple[str, ...] = ()
    layers: dict[str, Motion] = field(default_factory=dict)

    def check(self) -> None:
        """Looks at the file before anything is started.

        Raises:
            UserError: there is no such file, or it is empty.
        """
        if not self.path.is_file():
            raise UserError(f"{self.path.name}: no such file.", "Choose one that is there.")
        if self.path.stat().st_size == 0:
            raise UserError(f"{self.path.name}: the file is empty.", "Export it again.")

    def edit(self) -> None:
        """Applies the target's gains, smoothing and offset to the layers."""
        self.layers = edit_layers(self.fps, self._known(), self.face().d3dmm_animation.edit(self.fps))

    def frames(self) -> np.ndarray:
        """(T, 52) float32: what all layers show together."""
        return np.sum([frames for frames, _ in self._known().values()], 0, dtype=np.float32)

    def wants_detail(self) -> bool:
        """Whether wrinkles are to be baked.

        Raises:
            UserError: the clip is too long for them.
        """
        if not (self.with_detail and is_face(self.face())):
            return False
        count = len(self.frames())
        if count > clip_detail.LONGEST:
            raise UserError(
                f"{self.path.name}: {count} frames are too many for wrinkles.",
                f"Import without Animated Wrinkles, or at most {clip_detail.LONGEST} frames at a time.",
            )
        return True

    def detail_request(self) -> tuple[str, dict, dict]:
        """What to ask of the worker: the detail of those curves at the face's vertices."""
        face = self.face()
        return clip_detail.clip_request(face, self._model_frames(), skin_of(face))

    def distilled_detail(self) -> ClipDetail:
        """The same by the distilled model, where there is no backend."""
        face, frames = self.face(), self._model_frames()
        return clip_detail.distil_clip(
            identity_of(face), frames, np.broadcast_to(skin_of(face), (len(frames), len(skin_of(face))))
        )

    def put_into_scene(self, scene: bpy.types.Scene, detail: ClipDetail | None) -> str:
        """Writes everything into the scene; nothing was touched before.

        Args:
            scene: receives the sound and the range.
            detail: of the clip, or None.

        Returns:
            What was done, for the report.

        Raises:
            UserError: the target has gone, a bone is missing, or Blender cannot open the sound.
        """
        target, frames = self.face(), self.frames()
        if detail is not None and not face_mesh.has_our_topology(target):
            raise UserError(
                "The face's mesh was edited while its detail was baked.",
                "Undo the edit and import the clip again.",
            )
        heads = {name: head for name, (_, head) in self.layers.items()} if self.with_head else {}
        head, silent = (
            animation_targets.head_curves(target, heads),
            self.with_sound and not bpy.app.build_options.audaspace,
        )
        if self.with_sound and not silent:
            add_sound(scene, self.path, self.first_frame, self.start, self.length)
        settings = target.d3dmm_animation
        bake = Bake(self.path.stem, self.first_frame, settings.destination, settings.key_error, self.replaces)
        base = next(iter(self.layers))
        expressions = {
            name: animation_targets.expression_curves(target, moved, name == base)
            for name, (moved, _) in self.layers.items()
        }
        with live_update.suspended():
            if is_face(target):
                live_update.finish_shapes(target)
            bake.write(target.data.shape_keys, EXPRESSION_ACTION, expressions)
            self._write_object(bake, target, head, detail)
        include_frames(scene, self.first_frame, len(frames))
        self._remember(settings)
        scene.frame_set(scene.frame_current)
        done = f"{len(frames)} frames of {self.kind()}" + (
            f", wrinkles in {detail.describe()}" if detail is not None else ""
        )
        done += "".join(f"; {note}" for note in self.notes)
        return (
            done
            + bake.describe()
            + ("; no sound strip: this Blender was built without sound" if silent else "")
        )

    def kind(self) -> str:
        """What the clip is, for reports: "speech" or "curves"."""
        return "speech"

    def face(self) -> bpy.types.Object:
        """The target as it is now.

        Raises:
            UserError: it has been deleted.
        """
        return self.target.find()

    def _write_object(
        self, bake: Bake, target: bpy.types.Object, head: dict, detail: ClipDetail | None
    ) -> None:
        """Keys what moves objects: the head, and the detail's coefficients; those of an earlier clip's fields go."""
        owner, wrinkles = animation_targets.head_owner(target), {}
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
        settings.source, settings.source_kind = str(self.path), self.kind()
        settings.source_start, settings.source_length = self.start, self.length
        settings.source_frame, settings.source_seed = self.first_frame, self.seed
        settings.source_head, settings.source_detail = self.with_head, self.with_detail

    def _known(self) -> dict[str, Motion]:
        if not self.layers:
            raise ValueError("the curves are taken first")
        return self.layers

    def _model_frames(self) -> np.ndarray:
        """(T, 52) in the model's order, as the sliders will show them."""
        return self.frames()[:, [EXPRESSION_NAMES.index(name) for name in face_model().expression_names]]


class CapturedAnimation(ClipAnimation):
    """Curves from a file: Live Link Face CSV, or JSON as the shell writes it."""

    def kind(self) -> str:
        """What the clip is, for reports."""
        return "curves"

    def read(self) -> None:
        """Reads and edits the curves, at the scene's frame rate.

        Raises:
            UserError: the file is no curve file, or the target has gone.
        """
        self.check()
        animation = resampled(read_curves(self.path), self.fps)
        self.notes = animation.notes
        frames = animation.frames.copy()
        looks = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith("eyeLook")]
        if not frames[:, looks].any():  # a capture that turns the eyes but not the lids' coefficients
            for name, values in look_from_eyes(animation.head).items():
                frames[:, EXPRESSION_NAMES.index(name)] = values
        self.layers = {"curves": (frames, animation.head)}
        self.edit()
