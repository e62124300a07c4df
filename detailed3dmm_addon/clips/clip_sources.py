"""The sources of a clip's curves: a recording, a file of curves, a video of an actor."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import Motion, look_from_eyes, resampled
from ...ml_backend.animation.take_curves import smoothed
from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.curve_file import read_curves
from ...ml_backend.files.take_file import Take, take_of_parts
from ...ml_backend.files.transcript_file import read_transcript
from ..model.face_model import identity_of
from ..model.registry import is_face
from ..worker.jobs import JobSteps
from .video_properties import neutral_frames


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
            UserError: the worker's curves are not usable, or the transcript cannot be read.
        """
        parameters = settings.request(self.seed, first_frame, fps)
        parameters |= {"path": str(self.path), "fps": fps, "seed": self.seed}
        parameters |= {"start": self.start, "length": self.length}
        if settings.transcript:
            path = bpy.path.abspath(settings.transcript)
            parameters["transcript"] = read_transcript(path, self.start, self.length)
            parameters["language"] = settings.language
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
        more_neutral: further frames on which the face is at rest, with commas between.
        voice: whether jaw and lips follow the video's sound where the picture is unsure.
        held: arrays of the artist's corrections by name, for a second solve that holds them; seconds count
            in the scene.
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
    more_neutral: str = ""
    voice: bool = False
    held: Mapping[str, np.ndarray] = field(default_factory=dict)
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
        neutral = neutral_frames(self.neutral, self.more_neutral)
        if neutral:
            parameters["neutral"] = list(neutral)
        if self.voice:
            parameters["voice"] = True
        arrays = {f"held_{name}": values for name, values in self.held.items()}
        if self.held:
            arrays["held_seconds"] = arrays["held_seconds"] * self.pace
        if self.same_person and is_face(target):
            arrays["identity"] = identity_of(target)
        return parameters, arrays


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


def _is_usable(frames: np.ndarray, head: np.ndarray) -> bool:
    return (
        frames.shape == (len(head), len(EXPRESSION_NAMES))
        and len(frames) > 0
        and bool(np.isfinite(frames).all())
        and bool(np.isfinite(head).all())
    )
