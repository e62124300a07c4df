"""From a recording to a speaking, wrinkling face: what is asked of the worker, and what its answers put into the scene."""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..ml_backend.client import Event
from ..ml_backend.errors import UserError
from . import baked_detail, clip_detail, face_animation, face_mesh, find_face, live_update
from .face_model import face_model, skin_of

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")


@dataclass
class SpeechAnimation:
    """One import, from the press of the button to its result in the scene.

    Attributes:
        uid: of the face; looked up again when the answers arrive.
        path: of the recording.
        fps: of the scene.
        first_frame: scene frame at which the recording starts.
        seed: of blinks, brows and head motion.
        with_head: whether head motion is keyed.
        with_detail: whether the wrinkles are baked.
        with_sound: whether a sound strip is added.
        frames: (T, 52) float32 once known.
        head: (T, 9) float32 once known, radians.
    """

    uid: str
    path: Path
    fps: float
    first_frame: int
    seed: int
    with_head: bool = True
    with_detail: bool = True
    with_sound: bool = True
    frames: np.ndarray | None = None
    head: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Looks at the file before anything is started.

        Raises:
            UserError: there is no such file, or it is empty.
        """
        if not self.path.is_file():
            raise UserError(f"{self.path.name}: no such file.", f"Choose a recording: {', '.join(AUDIO_SUFFIXES)}.")
        if self.path.stat().st_size == 0:
            raise UserError(f"{self.path.name}: the file is empty.", "Export the recording again.")

    def speech_request(self) -> tuple[str, dict, dict]:
        """What to ask first: the curves."""
        return "animate", {"path": str(self.path), "fps": self.fps, "seed": self.seed}, {}

    def take_speech(self, event: Event) -> None:
        """Keeps the curves.

        Raises:
            UserError: the worker's curves are not usable.
        """
        frames = np.asarray(event.arrays["frames"], np.float32)
        names = tuple(event.parameters["names"])
        if frames.ndim != 2 or not len(frames) or frames.shape[1] != len(names) or not np.isfinite(frames).all():
            raise UserError(f"{self.path.name}: no curves could be made of it.", "Check that it holds speech.")
        self.frames, self.names, self.head = frames, names, np.asarray(event.arrays["head"], np.float32)

    def detail_request(self) -> tuple[str, dict, dict]:
        """What to ask second: the detail of those curves at the face's vertices."""
        face = self.face()
        order = [self.names.index(name) for name in face_model().expression_names]
        return clip_detail.clip_request(face, self._curves()[:, order], skin_of(face))

    def put_into_scene(self, scene: bpy.types.Scene, detail: Event | None) -> str:
        """Writes everything into the scene; nothing was touched before.

        Args:
            scene: receives the sound and the range.
            detail: the worker's answer to `detail_request`, or None.

        Returns:
            What was done, for the report.

        Raises:
            UserError: the face has gone, or Blender cannot open the sound.
        """
        face, frames = self.face(), self._curves()
        if detail is not None and not face_mesh.has_our_topology(face):
            raise UserError("The face's mesh was edited while its detail was baked.", "Undo the edit and import the recording again.")
        baked, silent = None, self.with_sound and not bpy.app.build_options.audaspace
        if self.with_sound and not silent:
            face_animation.add_sound(scene, self.path, self.first_frame)
        with live_update.suspended():
            live_update.finish_shapes(face)
            face_animation.key_expressions(face, self.path.stem, self.names, frames, self.first_frame)
            curves = self._head_curves(face) if self.with_head else {}
            if detail is not None:
                baked = clip_detail.clip_of(detail)
                curves |= baked_detail.store_baked_detail(face, baked)
            face_animation.key_object(face, self.path.stem, curves, self.first_frame)
        face_animation.include_frames(scene, self.first_frame, len(frames))
        scene.frame_set(scene.frame_current)
        done = f"{len(frames)} frames of speech" + (f", wrinkles in {baked.describe()}" if baked is not None else "")
        return done + ("; no sound strip: this Blender was built without sound" if silent else "")

    def face(self) -> bpy.types.Object:
        """The face as it is now.

        Raises:
            UserError: it has been deleted.
        """
        face = find_face(self.uid)
        if face is None:
            raise UserError("The face was deleted while the recording was being worked on.", "Undo, or import it again onto another face.")
        return face

    def _curves(self) -> np.ndarray:
        if self.frames is None:
            raise ValueError("take_speech comes first")
        return self.frames

    def _head_curves(self, face: bpy.types.Object) -> dict[tuple[str, int], np.ndarray]:
        """Pitch up, roll and yaw to the person's left as rotation about X, Y and Z; none where the artist moves the head already."""
        head = self.head
        if head is None or not np.any(head[:, :3]) or face.rotation_mode != "XYZ" or face_animation.has_curve(face, "rotation_euler"):
            return {}
        yaw, pitch, roll = head[:, 0], head[:, 1], head[:, 2]
        base = face.rotation_euler
        turns = (-pitch, roll, yaw)
        return {("rotation_euler", axis): turns[axis] + base[axis] for axis in range(3)}
