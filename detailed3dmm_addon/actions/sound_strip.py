"""Puts a clip's sound into the sequencer, extends the scene's range, and reads sound strips."""

import re
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...ml_backend.errors import UserError
from .action_writer import scene_fps

_UNTOUCHED_END = 250
"""The last frame of a new Blender file, which nobody chose."""


def add_sound(
    scene: bpy.types.Scene, path: Path, first_frame: int, start: float = 0.0, length: float = 0.0
) -> None:
    """Puts a recording into the sequencer, above all other strips, unless it is there already.

    Args:
        scene: whose sequencer.
        path: of the recording.
        first_frame: scene frame at which the sound begins.
        start: seconds that are cut off at the beginning of the recording.
        length: seconds that are played; 0 for the rest of the recording.

    Raises:
        UserError: Blender cannot read the sound.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for strip in strips:
        if (
            strip.type == "SOUND"
            and strip.frame_final_start == first_frame
            and Path(bpy.path.abspath(strip.sound.filepath)) == path
        ):
            return
    channel = 1 + max((strip.channel for strip in strips), default=0)
    skipped = round(start * scene_fps(scene))
    try:
        strip = strips.new_sound(path.stem, str(path), channel, first_frame - skipped)
    except RuntimeError as error:
        raise UserError(
            f"{path.name}: Blender cannot open this sound ({error}).", "Convert it to WAV and import that."
        ) from error
    if skipped:
        strip.frame_offset_start = skipped
    if length:
        strip.frame_final_duration = max(1, round(length * scene_fps(scene)))
    scene.sync_mode = "AUDIO_SYNC"


def include_frames(scene: bpy.types.Scene, first_frame: int, count: int) -> None:
    """Makes the scene's range end with the clip; an end that was set already is never moved back."""
    last = first_frame + count - 1
    scene.frame_end = last if scene.frame_end == _UNTOUCHED_END else max(last, scene.frame_end)


def active_sound(scene: bpy.types.Scene):
    """Returns the sequencer's active strip if it is a sound or a film, else the only sound strip, or None."""
    editor = scene.sequence_editor
    if editor is None:
        return None
    if editor.active_strip is not None and editor.active_strip.type in ("SOUND", "MOVIE"):
        return editor.active_strip
    sounds = [
        strip
        for strip in (editor.strips if hasattr(editor, "strips") else editor.sequences)
        if strip.type == "SOUND"
    ]
    return sounds[0] if len(sounds) == 1 else None


@dataclass(frozen=True)
class SoundRange:
    """The part of a recording that a sound strip plays.

    Attributes:
        path: of the recording.
        first_frame: scene frame at which it begins.
        start, length: seconds of the recording.
    """

    path: Path
    first_frame: int
    start: float
    length: float

    @classmethod
    def of(cls, strip, scene: bpy.types.Scene, folder: Path) -> "SoundRange":
        """Reads a strip's place and cuts.

        Args:
            strip: a sound strip, or a film's.
            scene: whose frame rate counts.
            folder: a sound that is packed into the file is written there.

        Raises:
            UserError: the strip is gone, or its recording is neither on disk nor packed.
        """
        if strip is None:
            raise UserError("No sound strip is selected.", "Select one in the sequencer.")
        sound = getattr(strip, "sound", None)
        file = strip.filepath if sound is None else sound.filepath
        path = Path(bpy.path.abspath(file, library=None if sound is None else sound.library))
        if not path.is_file():
            if sound is None or sound.packed_file is None:
                raise UserError(
                    f"{path.name}: the strip's recording is missing.",
                    "Find it with File, External Data, Find Missing Files.",
                )
            path = folder / _file_name(path.name)
            path.write_bytes(sound.packed_file.data)
        fps = scene_fps(scene)
        cut = strip.frame_final_start - strip.frame_start
        start = max(0.0, cut / fps - float(getattr(strip, "sound_offset", 0.0)))
        return cls(path, round(strip.frame_final_start), start, strip.frame_final_duration / fps)


def _file_name(name: str) -> str:
    """Returns a name under which a packed sound can be written on every system; its suffix stays."""
    plain = re.sub(r"[^\w .()-]", "_", name).strip(" .")
    return plain[-100:] if plain else "sound"
