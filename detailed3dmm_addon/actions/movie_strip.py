"""Puts a video or a sequence of pictures into the sequencer with its sound, and reads strips of both."""

from dataclasses import dataclass
from pathlib import Path

import bpy

from ...ml_backend.errors import UserError
from ...ml_backend.video.formats import is_sequence, sequence_of, sequence_pattern
from .action_writer import scene_fps

TAG = "d3dmm_video"
"""Custom property of strips and cameras of a clip: the identifier of the clips of their face."""


@dataclass(frozen=True)
class Footage:
    """A video as the scene plays it.

    Attributes:
        path: of the file, or the pattern or folder of a sequence.
        first_frame: scene frame at which it begins.
        frames: scene frames that it lasts.
        start: seconds of the video that are cut off before.
        pace: seconds of the video that pass in a second of the scene; 1 in real time.
    """

    path: Path
    first_frame: int
    frames: int
    start: float = 0.0
    pace: float = 1.0


def add_movie(scene: bpy.types.Scene, footage: Footage, tag: str) -> str:
    """Puts a video with its sound above all other strips, at the pace of real time; both carry the tag.

    Blender plays a movie frame by frame: where its rate differs from the scene's, a speed strip corrects it.
    A video that is there already at this place is not added again.

    Returns:
        A sentence on what could not be done, or an empty string.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = _strips(editor)
    path, first = footage.path, footage.first_frame
    if any(strip.get(TAG) == tag and _is_at(strip, footage) for strip in strips):
        return ""
    channel = 1 + max((strip.channel for strip in strips), default=0)
    fps = scene_fps(scene)
    if is_sequence(path):
        skipped = round(footage.start * fps)
        pictures = sequence_of(path)[skipped : skipped + footage.frames]
        strip = strips.new_image(path.stem, str(pictures[0]), channel, first)
        for picture in pictures[1:]:
            strip.elements.append(picture.name)
        strip[TAG] = tag
        return ""
    length, rate = _opened(path)
    if not length:
        return "no movie strip: this Blender cannot open the video"
    skipped = round(footage.start * rate)
    strip = strips.new_movie(path.stem, str(path), channel, first - skipped)
    if skipped:
        strip.frame_offset_start = skipped
    strip.frame_final_duration = footage.frames
    strip[TAG] = tag
    if abs(rate - fps) > 1e-3 * fps:
        _add_speed(strips, strip, channel + 1, rate / fps)[TAG] = tag
    return _add_sound(scene, footage, channel + 2, tag)


def remove_strips(scene: bpy.types.Scene, tag: str) -> None:
    """Removes the strips that carry a tag, effects before their inputs, and sounds that nothing plays."""
    editor = scene.sequence_editor
    if editor is None:
        return
    strips = _strips(editor)
    ours = [strip for strip in strips if strip.get(TAG) == tag]
    sounds = {strip.sound for strip in ours if strip.type == "SOUND" and strip.sound is not None}
    names = [strip.name for strip in sorted(ours, key=lambda strip: strip.type != "SPEED")]
    for name in names:
        if name in strips:  # an effect goes with its input
            strips.remove(strips[name])
    for sound in sounds:
        if not sound.users:
            bpy.data.sounds.remove(sound)


def active_movie(scene: bpy.types.Scene):
    """Returns the sequencer's active strip if it is a movie or pictures, else the only such one, or None."""
    editor = scene.sequence_editor
    if editor is None:
        return None
    if editor.active_strip is not None and editor.active_strip.type in ("MOVIE", "IMAGE"):
        return editor.active_strip
    films = [strip for strip in _strips(editor) if strip.type in ("MOVIE", "IMAGE")]
    return films[0] if len(films) == 1 else None


def footage_of(strip, scene: bpy.types.Scene) -> Footage:
    """Reads the part of a video that a strip plays, and its pace.

    Args:
        strip: of a movie or of pictures; a speed strip on it counts.
        scene: whose sequencer.

    Raises:
        UserError: the strip is gone, or its video is missing or cannot be opened.
    """
    if strip is None:
        raise UserError("No movie strip is selected.", "Select one in the sequencer.")
    fps = scene_fps(scene)
    first, frames = round(strip.frame_final_start), round(strip.frame_final_duration)
    cut = max(0.0, strip.frame_final_start - strip.frame_start)
    if strip.type == "IMAGE":
        picture = Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename
        pattern = sequence_pattern(picture)
        pictures = sequence_of(pattern) if is_sequence(pattern) else []
        if picture not in pictures:
            raise _missing(picture)
        return Footage(pattern, first, frames, (pictures.index(picture) + cut) / fps)
    path = Path(bpy.path.abspath(strip.filepath))
    length, rate = _opened(path)
    if not length:
        raise _missing(path)
    step = length / max(1, strip.frame_duration)  # frames of the movie in a frame of the scene
    for effect in _strips(scene.sequence_editor):
        if effect.type == "SPEED" and effect.input_1 == strip and effect.speed_control == "MULTIPLY":
            step *= effect.speed_factor
    return Footage(path, first, frames, cut * length / max(1, strip.frame_duration) / rate, step * fps / rate)


def _is_at(strip, footage: Footage) -> bool:
    """Tells whether a strip plays footage where it belongs."""
    pictures = strip.type == "IMAGE" and Path(bpy.path.abspath(strip.directory)) == footage.path.parent
    movie = strip.type == "MOVIE" and Path(bpy.path.abspath(strip.filepath)) == footage.path
    return (pictures or movie) and round(strip.frame_final_start) == footage.first_frame


def _missing(path: Path) -> UserError:
    return UserError(
        f"{path.name}: the strip's video is missing, or Blender cannot open it.",
        "Find it with File, External Data, Find Missing Files.",
    )


def _opened(path: Path) -> tuple[int, float]:
    """Returns number of frames and frames a second of a video; zeros where Blender cannot open it."""
    if not path.is_file():
        return 0, 0.0
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return 0, 0.0
    found = int(clip.frame_duration), float(clip.fps)
    is_film = clip.source == "MOVIE" and min(clip.size) > 0 and found[1] > 0
    bpy.data.movieclips.remove(clip)
    return found if is_film else (0, 0.0)


def _add_speed(strips, strip, channel: int, factor: float):
    """Adds a speed strip on a movie: it plays `factor` of its frames in a frame of the scene."""
    first, length = int(strip.frame_final_start), int(strip.frame_final_duration)
    named = strips.bl_rna.functions["new_effect"].parameters.keys()  # they were renamed on the way to 5.0
    ends = {"length": length} if "length" in named else {"frame_end": first + length}
    ends["input1" if "input1" in named else "seq1"] = strip
    effect = strips.new_effect(f"{strip.name} Speed", "SPEED", channel, first, **ends)
    effect.speed_control = "MULTIPLY"
    effect.speed_factor = factor
    return effect


def _add_sound(scene: bpy.types.Scene, footage: Footage, channel: int, tag: str) -> str:
    if not bpy.app.build_options.audaspace:
        return "no sound strip: this Blender was built without sound"
    skipped = round(footage.start * scene_fps(scene))
    path = footage.path
    before = set(bpy.data.sounds)
    try:
        strip = _strips(scene.sequence_editor).new_sound(
            f"{path.stem} Sound", str(path), channel, footage.first_frame - skipped
        )
    except RuntimeError:
        strip = None
    if strip is None or strip.sound is None or strip.sound.channels == "INVALID":
        if strip is not None:
            _strips(scene.sequence_editor).remove(strip)
        for sound in set(bpy.data.sounds) - before:
            bpy.data.sounds.remove(sound)
        return ""  # a video without sound
    strip[TAG] = tag
    if skipped:
        strip.frame_offset_start = skipped
    strip.frame_final_duration = min(strip.frame_final_duration, footage.frames)
    scene.sync_mode = "AUDIO_SYNC"
    return ""


def _strips(editor):
    """Returns a sequencer's strips, under the names of every version."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences
