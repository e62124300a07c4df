"""Parts of the session that use the Video and Transfer panels: a film, live, faces, files and photos."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from drops import PHOTO
from given import INTERPRETER, OUT, RECORDING
from interface import Turns

PAINTER = """
import pathlib, sys
from ml_backend.datasets.painted_clips import paint_clip
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.video.video_file import open_video
from ml_backend.video.video_writer import write_video
fast, slow = map(pathlib.Path, sys.argv[1:])
paint_clip(fast, BilinearFace.default(), 610_000, 0, 24)
frames = [frame.pixels for frame in open_video(fast).frames()]
write_video(slow, frames[:1] * 16 + frames, 3)
"""
"""Paints an actor who smiles, blinks and turns: 24 frames at 30 a second, and the same slowly
after five seconds of rest."""
SMILING = 11
"""Frame of a scene with 24 frames a second at which the actor smiles."""


class Footage:
    """Mixed into the session, whose checks and mouse it uses."""

    def films(self) -> Turns:
        """Returns the two films, painted once."""
        paths = Path(OUT, "actor.mp4"), Path(OUT, "slow_actor.mp4")
        if not paths[1].exists():
            root = RECORDING.parents[2]
            with Path(OUT, "films.log").open("w") as log:
                command = [INTERPRETER, "-c", PAINTER, *map(str, paths)]
                painter = subprocess.Popen(command, cwd=root, stdout=log, stderr=log)
                yield from self.ui.until(lambda: painter.poll() is not None, 300)
            self.check("the actor is painted", painter.poll() == 0, painter.poll())
        return paths

    def chosen_file(self, button: str, path: Path) -> Turns:
        """Presses a button that opens the file browser, and chooses a file there; whether a job began."""
        found = yield from self.find(button, columns=(0.5,))
        if found is None:
            self.check(f"{button} is there", False)
            return False
        yield from self.ui.press(found)
        opened = yield from self.ui.until(self.browsing, 20)
        self.check(f"{button} opens the file browser", opened)
        if not opened:
            return False
        yield from self.ui.turns(8)
        parameters = self.ui.area("FILE_BROWSER").spaces.active.params
        parameters.directory, parameters.filename = os.fsencode(str(path.parent)), path.name
        yield from self.ui.turns(10)
        yield from self.ui.picture(f"{button}_file_browser")
        yield from self.ui.key("RET", "WINDOW", "FILE_BROWSER")
        backend = self.module("detailed3dmm_addon.worker.jobs")
        began = yield from self.ui.until(lambda: backend.running_job() or self.problem(), 30)
        self.check(f"the job of {button} begins", began and not self.problem(), self.problem())
        return bool(backend.running_job())

    def browsing(self) -> bool:
        """Returns true while a file browser shows."""
        return any(area.type == "FILE_BROWSER" for area in self.ui.window.screen.areas)

    def ended(self, seconds: float = 400.0) -> Turns:
        """Waits for the job's end."""
        backend = self.module("detailed3dmm_addon.worker.jobs")
        yield from self.ui.until(lambda: not backend.running_job(), seconds)
        yield from self.settled()

    def at_frame(self, frame: int, name: str) -> float:
        """Returns an expression's value at a frame of the scene."""
        bpy.context.scene.frame_set(frame)
        return self.value(name)

    def video_panel(self) -> Turns:
        """Leaves the file browser by Esc, then imports a film to its end."""
        film, _ = yield from self.films()
        button = yield from self.find("import_video", columns=(0.5,))
        if button is None:
            self.check("Import Video is there", False)
            return
        yield from self.ui.press(button)
        yield from self.ui.until(self.browsing, 20)
        yield from self.ui.turns(8)
        yield from self.ui.key("ESC", "WINDOW", "FILE_BROWSER")
        yield from self.ui.turns(8)
        self.check("Esc leaves it", not self.browsing() and not self.problem(), self.problem())
        if not (yield from self.chosen_file("import_video", film)):
            return
        yield from self.ui.turns(20)
        yield from self.ui.picture("video_under_way")
        yield from self.ended()
        rest, smile = (self.at_frame(frame, "mouthSmileLeft") for frame in (1, SMILING))
        self.check("the face smiles as the actor does", smile > rest + 0.2, f"{rest:.2f} to {smile:.2f}")
        self.check("its wrinkles play from the file", self.face.d3dmm.has_baked_detail, self.problem())
        yield from self.ui.picture("video_imported")

    def adjust_panel(self) -> Turns:
        """Weakens the performance and makes its animation again, without a new solve."""
        settings = self.face.d3dmm_animation
        was = self.at_frame(SMILING, "mouthSmileLeft")
        button = yield from self.find("video_strength", columns=(0.7,))
        if button is None:
            self.check("the video's strength is there", False)
            return
        yield from self.ui.drag(button.x, button.y, -60)
        self.check("dragging it weakens", settings.video_strength < 1, settings.video_strength)
        button = yield from self.find("adjust_video", columns=(0.5,))
        yield from self.press(button, "adjust_video", settle=False)
        yield from self.ended()
        now = self.at_frame(SMILING, "mouthSmileLeft")
        self.check("the smile is weaker", now < was - 0.02, f"{was:.2f} to {now:.2f}")
        yield from self.ui.picture("video_adjusted")

    def live_panel(self) -> Turns:
        """Lets a film in real time move the face, keeps it, and clears all keys."""
        _, film = yield from self.films()
        recording = self.module("detailed3dmm_addon.clips.live_face").RECORDING
        self.face.d3dmm_animation.live_source = str(film)
        button = yield from self.find("live_video", columns=(0.5,))
        yield from self.press(button, "live_video", lambda: recording.runs, settle=False)
        seen: list[float] = []

        def smiled() -> bool:
            seen.append(self.value("mouthSmileLeft"))
            return max(seen) > min(seen) + 0.1

        yield from self.ui.until(lambda: smiled() or not recording.runs, 90)
        self.check("the face moves with the film", smiled(), f"{min(seen):.2f} to {max(seen):.2f}")
        yield from self.ui.picture("live")
        yield from self.ui.until(lambda: not recording.runs, 90)
        yield from self.ended()
        kept = self.module("detailed3dmm_addon.clips.kept_take").has_take(self.face)
        self.check("the recording is kept", kept and not self.problem(), self.problem())
        yield from self.ui.picture("live_kept")
        yield from self.pressed("clear_animation", self.animated)
        self.check("nothing moves any more", not self.animated())

    def animated(self) -> bool:
        """Returns true where the face's sliders have keys."""
        data = self.face.data.shape_keys.animation_data
        return data is not None and data.action is not None

    def transfer_panel(self) -> Turns:
        """Gives the face the shape of another one, and swaps before and after."""
        face = self.face
        with self.ui.override("WINDOW"):
            bpy.ops.d3dmm.create_face(identity_seed=11, update_detail=False)
        other = bpy.context.view_layer.objects.active
        other.location.x += 0.4
        bpy.context.view_layer.objects.active = face
        face.d3dmm_transfer.source_face = other
        yield from self.settled()
        yield from self.pressed("d3dmm_transfer.use_shape", lambda: face.d3dmm_transfer.use_shape)
        before, tone = self.shape(face), face.d3dmm.skin.tone
        yield from self.pressed("transfer_attributes", lambda: self.shape(face).tobytes())
        moved = float(np.abs(self.shape(face) - before).max())
        self.check("the face takes the other's shape", moved > 1e-3, f"{1000 * moved:.1f} mm")
        yield from self.ui.picture("transferred")
        yield from self.pressed("swap_transfer", lambda: self.shape(face).tobytes())
        left = float(np.abs(self.shape(face) - before).max())
        self.check("and its own again", left < 1e-5, f"{1000 * left:.3f} mm")
        self.check("its tone stays", abs(face.d3dmm.skin.tone - tone) < 1e-3, face.d3dmm.skin.tone)
        for item in [*other.children_recursive, other]:
            bpy.data.objects.remove(item)

    @staticmethod
    def shape(item: bpy.types.Object) -> np.ndarray:
        """Returns (V, 3): the face at rest."""
        key = item.data.shape_keys.key_blocks[0]
        points = np.empty((len(key.points), 3), np.float32)
        key.points.foreach_get("co", points.ravel())
        return points

    def photo_transfer_panel(self) -> Turns:
        """Takes an expression and light from a photo, then a fit's skin, and lights as the face's photo."""
        face, settings = self.face, self.face.d3dmm_transfer
        photo = Path(OUT, "astronaut.png")
        subprocess.run([INTERPRETER, "-c", PHOTO, str(photo)], check=True, cwd="/")
        kind = yield from self.find("d3dmm_transfer.source_kind", columns=(0.7,))
        yield from self.press(kind, "File", lambda: settings.source_kind == "FILE")
        settings.source_path = str(photo)
        if settings.use_shape:
            yield from self.pressed("d3dmm_transfer.use_shape", lambda: settings.use_shape, 0.2)
        yield from self.pressed("d3dmm_transfer.use_light", lambda: settings.use_light, 0.2)
        yield from self.given_by("the photo", lambda: self.values(), "photo_transferred")
        self.check("she smiles", self.value("mouthSmileLeft") > 0.2, f"{self.value('mouthSmileLeft'):.2f}")
        lights = bpy.data.collections.get("Photo Light")
        self.check("its light comes with it", lights is not None and len(lights.objects) > 0)
        yield from self.pressed("d3dmm_transfer.fit_photo", lambda: settings.fit_photo, 0.3)
        yield from self.pressed("d3dmm_transfer.use_skin", lambda: settings.use_skin, 0.2)
        yield from self.given_by("a fit", lambda: face.d3dmm.skin_tone, "fit_transferred")
        with self.ui.override("WINDOW"):
            bpy.ops.d3dmm.fit_from_image("EXEC_DEFAULT", filepath=str(photo))
        yield from self.ended()
        made = bpy.context.view_layer.objects.active
        self.check("the photo becomes a face", made is not face and made.d3dmm.photo == photo.name)
        worlds = len(bpy.data.worlds)
        yield from self.pressed("light_from_photo", lambda: len(bpy.data.worlds) > worlds)
        yield from self.ui.picture("light_from_photo")
        for item in [*made.children_recursive, made, *bpy.data.collections["Photo Light"].objects]:
            bpy.data.objects.remove(item)

    def given_by(self, source: str, read: Callable[[], object], picture: str) -> Turns:
        """Presses Transfer, waits for its job, and checks that a value changes."""
        was = read()
        button = yield from self.find("transfer_attributes", columns=(0.5,))
        yield from self.press(button, f"Transfer from {source}", settle=False)
        yield from self.ended()
        self.check(f"{source} gives", read() != was and not self.problem(), self.problem())
        yield from self.ui.picture(picture)
