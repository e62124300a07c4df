"""Steps of the session that interrupt jobs, and steps that press the remaining buttons."""

import os
import subprocess
import time
from pathlib import Path

import bpy
import numpy as np
from given import INTERPRETER, MODULE, OUT, RECORDING
from interface import Turns


def pixels(path: Path) -> np.ndarray:
    """A picture's values, flat."""
    image = bpy.data.images.load(str(path))
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values


class Interruptions:
    """Mixed into the session, whose checks and mouse it uses."""

    def buttons(self) -> Turns:
        """Presses what no other step presses, one after another, by what the mouse finds."""
        wanted = (
            "random_face",
            "reset_face()",
            "reset_face(to_seed",
            "load_face",
            "save_face",
            "scene_setup",
            "start_backend",
        )
        pressed: set[str] = set()
        for _ in range(3):
            for button in (yield from self.ui.scan(columns=(0.3, 0.7))):
                part = next((part for part in wanted if part in button.key), None)
                if part is None or part in pressed:
                    continue
                pressed.add(part)
                faces = len(bpy.data.objects)
                yield from self.ui.press(button)
                if any(area.type == "FILE_BROWSER" for area in self.ui.window.screen.areas):
                    yield from self.ui.turns(6)
                    yield from self.ui.picture(f"{part}_file_browser")
                    yield from self.ui.key("ESC", "WINDOW", "FILE_BROWSER")
                yield from self.settled()
                self.check(f"pressed {part}", not self.problem(), self.problem() or button.key)
                if part == "scene_setup":
                    self.check("camera and lights come with it", len(bpy.data.objects) > faces + 3)
                    yield from self.ui.picture("camera_and_lights")
                    yield from self.ui.key("Z", ctrl=True)
            yield from self.ui.scroll(0.7)
        yield from self.ui.scroll(-3)
        self.check("several buttons were pressed", len(pressed) >= 4, sorted(pressed))

    def render_in_background(self) -> Turns:
        """The same file, rendered by a Blender without a window, must be what F12 showed."""
        scene, out = bpy.context.scene, Path(OUT)
        scene.render.image_settings.file_format = "PNG"
        bpy.data.images["Render Result"].save_render(str(out / "f12.exported"), scene=scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(out / "render.blend"), copy=True, compress=True)
        command = [
            bpy.app.binary_path,
            "-b",
            "--factory-startup",
            str(out / "render.blend"),
            "--addons",
            MODULE,
        ]
        command += ["-o", str(out / "background_####"), "-x", "0", "-f", str(scene.frame_current)]
        with (out / "background.log").open("w") as log:
            other = subprocess.Popen(command, stdout=log, stderr=log)
            yield from self.ui.until(lambda: other.poll() is not None, 400)
        made = out / f"background_{scene.frame_current:04d}"
        self.check("a background render ends well", other.poll() == 0 and made.exists(), other.poll())
        if made.exists():
            pictures = [pixels(path) for path in (out / "f12.exported", made)]
            apart = float(np.abs(pictures[0] - pictures[1]).max())
            self.check("it shows what F12 showed", apart < 0.03 and pictures[0].std() > 0.05, f"{apart:.4f}")

    def languages(self) -> Turns:
        """Shows the panels in other languages; a picture of each."""
        view, say = bpy.context.preferences.view, bpy.app.translations.pgettext_iface
        for language, wanted in (
            ("ja_JP", "顔を作成"),
            ("zh_HANS", "创建脸部"),
            ("de_DE", "Gesicht erstellen"),
        ):
            view.language = language
            view.use_translate_interface = view.use_translate_tooltips = True
            yield from self.ui.turns(10)
            self.check(f"panels in {language}", say("Create Face") == wanted, say("Create Face"))
            yield from self.ui.picture(f"in_{language}")
        view.language = "en_US"
        yield from self.ui.turns(10)

    def begin_speech(self) -> Turns:
        """Starts an import as the file browser's button does; whether its job runs."""
        backend = self.module("detailed3dmm_addon.worker.jobs")
        backend.clear_problem()
        with self.ui.override("WINDOW"):
            bpy.ops.d3dmm.import_audio("EXEC_DEFAULT", filepath=str(RECORDING), seed=1)
        return (yield from self.ui.until(lambda: backend.running_job() and backend.state() == "ready", 120))

    def new_face(self) -> None:
        """A face, selected, without a wait."""
        with self.ui.override("WINDOW"):
            bpy.ops.d3dmm.create_face(identity_seed=4, update_detail=False)

    def interrupted_jobs(self) -> Turns:
        """Deletes the face, opens a file, disables the extension, kills the worker: each during a job."""
        backend = self.module("detailed3dmm_addon.worker.jobs")
        bpy.ops.wm.read_homefile(use_empty=True)  # faces and clips of the steps before
        yield from self.ui.turns(10)
        self.new_face()
        self.check("a job for a face that will go", (yield from self.begin_speech()), self.problem())
        bpy.data.objects.remove(self.face)
        yield from self.ui.until(lambda: not backend.running_job() and self.problem(), 240)
        self.check("the deleted face is told", "deleted" in self.problem(), self.problem())
        self.check("and nothing came of it", not bpy.data.actions or self.face is None)
        self.new_face()
        self.check("a job for a worker that will go", (yield from self.begin_speech()), self.problem())
        os.kill(backend.worker_pid(), 9)
        began = time.perf_counter()
        yield from self.ui.until(lambda: not backend.running_job() and self.problem(), 30)
        self.measured["kill_to_message_s"] = round(time.perf_counter() - began, 2)
        self.check("the killed worker is told", "ended unexpectedly" in self.problem(), self.problem())
        yield from self.open_tab()
        yield from self.ui.scroll(3)
        yield from self.ui.picture("worker_killed")
        self.check("a job for a file that will go", (yield from self.begin_speech()), self.problem())
        bpy.ops.wm.read_homefile(use_empty=False)
        yield from self.ui.until(lambda: not backend.running_job(), 120)
        self.check(
            "the new file is left alone",
            self.face is None and not bpy.data.actions and not backend.running_job(),
        )
        self.new_face()
        self.check("a job for an extension that will go", (yield from self.begin_speech()), self.problem())
        bpy.ops.preferences.addon_disable(module=MODULE)
        yield from self.ui.turns(20)
        bpy.ops.preferences.addon_enable(module=MODULE)
        bpy.context.preferences.addons[MODULE].preferences.interpreter = INTERPRETER
        yield from self.ui.turns(10)
        self.check(
            "enabled again, the face is one",
            self.face is not None and not self.module("detailed3dmm_addon.worker.jobs").running_job(),
        )
        bpy.context.view_layer.objects.active = self.face
        self.check("and it speaks", (yield from self.begin_speech()), self.problem())
        yield from self.ui.until(lambda: self.face.d3dmm.has_baked_detail or self.problem(), 400)
        self.check("to the end", self.face.d3dmm.has_baked_detail, self.problem())
        yield from self.open_tab()
        yield from self.ui.picture("after_the_interruptions")
