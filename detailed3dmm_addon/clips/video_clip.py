"""A video on its way into the scene: its performance, and beside it strips, markers and camera."""

import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import CurveEdit
from ...ml_backend.errors import UserError
from ...ml_backend.files.take_file import Take
from ...ml_backend.video.formats import is_sequence, sequence_of
from ..actions.action_writer import scene_fps
from ..actions.clip_markers import add_markers, remove_markers, uncertain_moments
from ..actions.movie_strip import Footage, add_movie, remove_strips
from ..detail.baked import ClipDetail
from ..model.registry import is_face
from ..worker import jobs as backend
from . import targets as animation_targets
from .clip import ClipAnimation, ClipPlace
from .clip_sources import ClipCurves, VideoSource, last_source
from .corrections import Corrections, changed_keys
from .kept_take import forget_take, keep_take, kept_corrections, kept_take, written_curves
from .targets import TargetName
from .video_camera import VideoCamera, remove_cameras


@dataclass
class VideoClip(ClipAnimation):
    """One import of a video, or one adjustment of its take.

    Attributes:
        movie_strip: whether the video is added to the sequencer with its sound.
        camera: whether a camera with the video behind the face is added; one that is there follows the take.
        performance: the take, None until `take` is called.
        corrections: of the artist, which the curves go through.
    """

    movie_strip: bool = False
    camera: bool = False
    performance: Take | None = None
    corrections: Corrections = field(default_factory=Corrections.none)

    def check(self) -> None:
        """Looks at the video and the target before anything is started.

        Raises:
            UserError: there is no such file, it is empty or a still picture, or the target cannot be
                animated.
        """
        source = self._source()
        if source.solved is not None:
            self._check_target(self.face())
            return
        if not is_sequence(source.path):
            super().check()
            return
        self._check_target(self.face())
        if len(sequence_of(source.path)) < 2:
            raise UserError(
                f"{source.path.name}: no sequence of pictures is there.",
                "Choose a picture of two or more with a number each in their names; for a still picture, "
                "press Face From Photo.",
            )

    def take(self, curves: ClipCurves) -> None:
        """Keeps the take and its curves, with the target's strengths and offset applied.

        Raises:
            UserError: the target has gone.
        """
        self.performance = curves.take
        super().take(curves)
        shift = self.face().d3dmm_animation.offset / self.place.fps
        self.layers = {
            name: (self.corrections.applied(frames, self.place.fps, shift), head)
            for name, (frames, head) in self.layers.items()
        }

    def edit(self) -> CurveEdit:
        """Returns the edit of the target's settings for videos.

        Raises:
            UserError: the target has gone.
        """
        return self.face().d3dmm_animation.video_edit(self.place.fps, self._source().strength)

    def put_into_scene(self, scene: bpy.types.Scene, detail: ClipDetail | None) -> str:
        """Writes everything into the scene; nothing was touched before.

        Args:
            scene: receives strips, markers, camera and the range.
            detail: of the clip, or None.

        Returns:
            The report.

        Raises:
            UserError: the target has gone or cannot be animated, none of its keys can move, or a bone is
                missing.
        """
        take = self.performance
        if take is None:
            raise ValueError("the take is taken first")
        report = super().put_into_scene(scene, detail)
        target = self.face()
        settings = target.d3dmm_animation
        settings.video_tag = settings.video_tag or uuid.uuid4().hex
        keep_take(target, take, self.frames(), self.place.fps, self.corrections)
        source, place = self._source(), self.place
        footage = Footage(source.path, place.first_frame, len(self.frames()), source.start, source.pace)
        missing = []
        if self.movie_strip:
            missing.append(add_movie(scene, footage, settings.video_tag))
        self._mark(scene, settings, take)
        if remove_cameras(scene, settings.video_tag) or self.camera:
            missing.append(self._add_camera(scene, target, take, footage))
        return report + "".join(f"; {sentence}" for sentence in missing if sentence)

    def _mark(self, scene: bpy.types.Scene, settings, take: Take) -> None:
        """Marks doubtful and held frames in place of the marks of an earlier solve of the video."""
        clip = self.source.path.stem
        names = set(filter(None, settings.video_markers.splitlines()))
        earlier = {name for name in names if name.startswith(f"{clip}: ")}
        remove_markers(scene, sorted(earlier))
        moments = uncertain_moments(take.seconds, take.marks)
        first = self.place.first_frame + settings.offset
        made = add_markers(scene, clip, moments, first, self.place.fps)
        settings.video_markers = "\n".join(sorted((names - earlier) | made))

    def _add_camera(
        self, scene: bpy.types.Scene, target: bpy.types.Object, take: Take, footage: Footage
    ) -> str:
        if not is_face(target):
            return "no camera: only a face of this extension has the actor's measures"
        settings = target.d3dmm_animation
        turns = np.tile(np.array(target.rotation_euler), (len(self.frames()), 1))
        owner = animation_targets.head_owner(target)
        if owner == target and animation_targets.turns_head(target):
            _, head = next(iter(self._taken().values()))
            turns = animation_targets.as_euler(head) + np.array(settings.rest_rotation)
        shift = settings.offset / self.place.fps
        return VideoCamera(take, footage, shift, settings.video_tag).add(scene, target, turns)

    def _remember(self, settings) -> None:
        super()._remember(settings)
        source = self._source()
        settings.source_pace = source.pace
        settings.video_face = source.face
        settings.video_neutral = source.neutral
        settings.video_same_person = source.same_person
        settings.video_more_neutral = source.more_neutral
        settings.video_voice = source.voice
        settings.video_strength = source.strength
        settings.video_gaze = source.gaze
        settings.video_head = self.place.with_head

    def _source(self) -> VideoSource:
        if not isinstance(self.source, VideoSource):
            raise TypeError("a video clip comes from a video")
        return self.source


def last_clip(scene: bpy.types.Scene, target: bpy.types.Object, solved: Take | None = None) -> ClipAnimation:
    """Returns the clip that was imported last, to be made again in place of the one before.

    Args:
        scene: whose frame rate counts.
        target: its mesh.
        solved: the take of the last video, or None to work everything out anew.
    """
    settings = target.d3dmm_animation
    is_video = settings.source_kind == VideoSource.kind
    place = ClipPlace(
        fps=scene_fps(scene),
        first_frame=settings.source_frame,
        with_head=settings.video_head if is_video else settings.source_head,
        with_detail=settings.source_detail,
        replaces=True,
    )
    if not is_video:
        return ClipAnimation(TargetName.of(target), last_source(settings), place)
    clip = VideoClip(TargetName.of(target), video_source(settings, solved), place)
    clip.corrections = kept_corrections(target)
    return clip


def refined_clip(scene: bpy.types.Scene, target: bpy.types.Object) -> VideoClip:
    """Returns the last video's clip with the keys that were changed since as corrections.

    Where the video is at hand, and a backend, it is solved again with them held; else the stored take goes
    through them.

    Raises:
        UserError: no key was changed, or the take is broken.
    """
    clip = last_clip(scene, target, kept_take(target))
    if not isinstance(clip, VideoClip):
        raise TypeError("only the clip of a video is refined")
    written, fps = written_curves(target)
    shift = target.d3dmm_animation.offset / fps
    changed = changed_keys(target, written, clip.place.first_frame, fps, shift)
    if not len(changed.values):
        raise UserError(
            f"{target.name}: no key of this clip was changed.",
            "Correct sliders on two frames or more and key them in the clip's action, then press it again.",
        )
    source, place = clip.source, clip.place
    if not isinstance(source, VideoSource):
        raise TypeError("the clip of a video comes from a video")
    clip.corrections = clip.corrections.joined(changed, place.fps)
    if source.path.is_file() and not backend.missing_reason():
        held = clip.corrections.before_gains(clip.edit().gains)
        clip.source = replace(source, solved=None, held=held)
    return clip


def video_source(settings, solved: Take | None = None) -> VideoSource:
    """Returns the video that was imported last, with the settings as they are now.

    Args:
        settings: the target's clip settings.
        solved: its take, or None to solve it.
    """
    return VideoSource(
        Path(settings.source),
        settings.video_face,
        settings.video_neutral,
        settings.video_same_person,
        settings.source_start,
        settings.source_length,
        settings.source_pace,
        settings.video_gaze,
        settings.video_strength,
        solved,
        settings.video_more_neutral,
        settings.video_voice,
    )


def remove_video(scene: bpy.types.Scene, target: bpy.types.Object) -> None:
    """Removes what imports of videos added beside the actions: strips, markers, cameras and the take."""
    settings = target.d3dmm_animation
    if settings.video_tag:
        remove_strips(scene, settings.video_tag)
        remove_cameras(scene, settings.video_tag)
    remove_markers(scene, list(filter(None, settings.video_markers.splitlines())))
    settings.video_markers = ""
    settings.video_tag = ""
    forget_take(target)
