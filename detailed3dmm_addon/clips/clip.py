"""A clip on its way into the scene: its curves, edited and keyed, with wrinkles and sound."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import CurveEdit, Motion, edit_layers, look_from_eyes, resampled
from ...ml_backend.animation.take_curves import smoothed
from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.curve_file import read_curves
from ...ml_backend.files.take_file import Take, take_of_parts
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
from .moving_keys import blocked_keys, listed, report_of, still_keys, widen_ranges
from .targets import TargetName

CURVE_SUFFIXES = (".csv", ".json")


@dataclass(frozen=True)
class ClipCurves:
    """The curves of a clip before they are edited.

    Attributes:
        layers: (T, 52) float32 and (T, 9) radians by name; the first is the base, the others are added to it.
        notes: remarks for the user about how they were made.
        take: of a video, that the curves come from.
    """

    layers: dict[str, Motion]
    notes: tuple[str, ...] = ()
    take: Take | None = None


@dataclass(frozen=True)
class SpeechSource:
    """A recording whose curves the worker makes.

    Attributes:
        path: of the recording.
        seed: of blinks, brows and the other layers.
        start, length: seconds that are left out before, and that are used (0: all that is left).
    """

    path: Path
    seed: int = 0
    start: float = 0.0
    length: float = 0.0
    kind = "speech"

    def curves(self, settings, first_frame: int, fps: float) -> JobSteps[ClipCurves]:
        """Asks the worker for the curves, by layer.

        Args:
            settings: the target's clip settings.
            first_frame: scene frame at which the clip begins.
            fps: of the scene.

        Raises:
            UserError: the worker's curves are not usable.
        """
        parameters = settings.request(self.seed, first_frame, fps)
        parameters |= {"path": str(self.path), "fps": fps, "seed": self.seed}
        parameters |= {"start": self.start, "length": self.length}
        event = yield "Speech", "animate", parameters, {}
        names = tuple(event.parameters["names"])
        arrays = event.arrays
        layers = {"speech": (arrays["speech"], np.zeros_like(arrays["head"]))}
        for name in event.parameters["layers"]:
            layers[name] = (arrays[f"{name}_frames"], arrays[f"{name}_head"])
        complete = sorted(names) == sorted(EXPRESSION_NAMES)
        if not complete or not all(_is_usable(frames, head) for frames, head in layers.values()):
            raise UserError(
                f"{self.path.name}: no curves could be made of it.", "Check that it holds speech."
            )
        order = [names.index(name) for name in EXPRESSION_NAMES]
        ordered = {
            name: (np.asarray(frames, np.float32)[:, order], head) for name, (frames, head) in layers.items()
        }
        return ClipCurves(ordered, tuple(map(str, event.parameters.get("notes", ()))))


@dataclass(frozen=True)
class CaptureSource:
    """Curves in a file: Live Link Face CSV, or JSON as the shell writes it.

    Attributes:
        path: of the file.
    """

    path: Path
    seed = 0
    start = 0.0
    length = 0.0
    kind = "curves"

    def curves(self, settings, first_frame: int, fps: float) -> JobSteps[ClipCurves]:
        """Reads the curves at the scene's frame rate; the worker is not asked.

        Raises:
            UserError: the file is no curve file.
        """
        yield from ()
        animation = resampled(read_curves(self.path), fps)
        frames = animation.frames.copy()
        looks = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith("eyeLook")]
        if not frames[:, looks].any():  # a capture that turns the eyes but not the lids' coefficients
            for name, values in look_from_eyes(animation.head).items():
                frames[:, EXPRESSION_NAMES.index(name)] = values
        return ClipCurves({"curves": (frames, animation.head)}, animation.notes)


@dataclass(frozen=True)
class VideoSource:
    """A video of an actor whose performance the worker solves, or a take of it that is solved already.

    Attributes:
        path: of the video, or the folder or pattern of a sequence of pictures.
        face: which face, counted from 1, left to right; 0 for the largest.
        neutral: frame of the video on which the face is at rest; -1 to find the rest.
        same_person: whether the target's identity is the actor's.
        start, length: seconds that are left out before, and that are used (0: all that is left).
        pace: seconds of the video that pass in a second of the scene.
        gaze: whether the eyes turn.
        strength: factor on jaw, lips, tongue, cheeks and brows.
        solved: the take, or None to solve the video.
    """

    path: Path
    face: int = 0
    neutral: int = -1
    same_person: bool = False
    start: float = 0.0
    length: float = 0.0
    pace: float = 1.0
    gaze: bool = True
    strength: float = 1.0
    solved: Take | None = None
    seed = 0
    kind = "video"

    def curves(self, settings, first_frame: int, fps: float) -> JobSteps[ClipCurves]:
        """Asks the worker for the take, unless it is there, and smooths it as the settings say.

        Args:
            settings: the target's clip settings.
            first_frame: not used: a take is the same at every frame.
            fps: of the scene; pictures of a sequence are as many a second.

        Raises:
            UserError: the video cannot be solved, or the worker's take is broken.
        """
        take = self.solved
        if take is None:
            answer = yield "Video", "track_video", *self._request(settings.id_data, fps)
            try:
                take = take_of_parts(answer.parameters, answer.arrays)
            except ValueError as error:
                raise UserError(
                    f"{self.path.name}: no performance could be read off it ({error}).",
                    "Try another part of it.",
                ) from error
            take = replace(take, seconds=take.seconds / self.pace)
        animation = resampled(smoothed(take, settings.video_smoothing()), fps)
        frames, head = animation.frames.copy(), animation.head.copy()
        if not self.gaze:
            frames[
                :, [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith("eyeLook")]
            ] = 0
            head[:, 3:] = 0
        notes = take.notes
        if self.same_person and not is_face(settings.id_data):
            notes += ("Same Person was not used: this mesh has no identity of our face model",)
        return ClipCurves({"video": (frames, head)}, notes, take)

    def _request(self, target: bpy.types.Object, fps: float) -> tuple[dict, dict]:
        parameters: dict = {"path": str(self.path), "face": self.face, "start": self.start, "rate": fps}
        if self.length:
            parameters["end"] = self.start + self.length
        if self.neutral >= 0:
            parameters["neutral"] = [self.neutral]
        if not (self.same_person and is_face(target)):
            return parameters, {}
        return parameters, {"identity": identity_of(target)}


ClipSource = SpeechSource | CaptureSource | VideoSource


def last_source(settings) -> SpeechSource | CaptureSource:
    """Returns the source of the clip that was imported last, if it was no video.

    Args:
        settings: the target's clip settings.
    """
    path = Path(settings.source)
    if settings.source_kind == "speech":
        return SpeechSource(path, settings.source_seed, settings.source_start, settings.source_length)
    return CaptureSource(path)


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


def _is_usable(frames: np.ndarray, head: np.ndarray) -> bool:
    return (
        frames.shape == (len(head), len(EXPRESSION_NAMES))
        and len(frames) > 0
        and bool(np.isfinite(frames).all())
        and bool(np.isfinite(head).all())
    )
