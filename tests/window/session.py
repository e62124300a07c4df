"""A user's session in Blender's window: install, shape, drag, speak, undo, save, render.

Arguments after `--`: the extension's zip, the worker's Python, the folder for screenshots and report.json,
and the names of the steps to take after the face was made (all of them where none is named); after `looks`,
names of panels or of their open parts leave the others out.
"""

import importlib
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from drops import Drops
from footage import Footage
from given import ARCHIVE, INTERPRETER, MODULE, OUT, RECORDING, STEPS
from interface import Button, Interface, Turns, drive
from interruptions import Interruptions
from looks import Looks
from showing import Showing


class Session(Interruptions, Drops, Showing, Looks, Footage):
    """Checks, measurements, and the user's steps in order."""

    def __init__(self) -> None:
        self.ui = Interface(Path(OUT))
        self.checks: list[dict] = []
        self.measured: dict[str, object] = {"blender": bpy.app.version_string}
        self.finished = False

    def check(self, name: str, ok: object, note: object = "") -> None:
        """Notes whether something holds."""
        self.checks.append({"name": name, "ok": bool(ok), "note": str(note)})
        print(f"{'ok' if ok else 'FAILED'}: {name} {note}", flush=True)

    def write(self) -> None:
        """Writes what is known so far."""
        report = {"checks": self.checks, "measured": self.measured, "finished": self.finished}
        Path(OUT, "report.json").write_text(json.dumps(report, indent=1))

    # What the scene says.

    @staticmethod
    def module(name: str):
        """One of the extension's modules."""
        return importlib.import_module(f".{name}", MODULE)

    @property
    def face(self) -> bpy.types.Object | None:
        """The face that is shown."""
        found = [item for item in bpy.data.objects if item.type == "MESH" and item.d3dmm.is_face]
        return found[0] if found else None

    def value(self, name: str) -> float:
        """An expression's value."""
        return self.face.data.shape_keys.key_blocks[name].value

    def shows_values(self, wanted: Mapping[str, float]) -> bool:
        """True where all these expressions have these values."""
        return all(abs(self.value(name) - value) < 1e-4 for name, value in wanted.items())

    def shown(self) -> np.ndarray:
        """Positions of the evaluated face, (V, 3)."""
        evaluated = self.face.evaluated_get(bpy.context.evaluated_depsgraph_get())
        positions = np.empty(3 * len(evaluated.data.vertices), np.float32)
        evaluated.data.vertices.foreach_get("co", positions)
        return positions.reshape(-1, 3)

    def problem(self) -> str:
        """The error on display."""
        return self.module("detailed3dmm_addon.worker.jobs").problem.message

    def settled(self, seconds: float = 120.0) -> Turns:
        """Waits for the timer to have nothing left to do."""
        live, backend = (
            self.module("detailed3dmm_addon.detail.follow"),
            self.module("detailed3dmm_addon.worker.jobs"),
        )
        yield from self.ui.turns(8)
        return (
            yield from self.ui.until(
                lambda: not bpy.app.timers.is_registered(live.tick) and not backend.running_job(), seconds
            )
        )

    # Finding and pressing.

    def find(self, part: str, **where: object) -> Turns:
        """The button whose key holds a text, or None."""
        buttons = yield from self.ui.scan(**where, until=part)
        return next((button for button in buttons if part in button.key), None)

    def press(
        self,
        button: Button | None,
        name: str,
        effect: Callable[[], object] | None = None,
        settle: bool = True,
    ) -> Turns:
        """Presses a button and checks its effect and that nothing failed; `settle` waits for the full map."""
        if button is None:
            self.check(f"button {name} is there", False)
            return
        hit = yield from self.ui.press(button)
        yield from self.settled() if settle else self.ui.turns(6)
        held = hit and (effect() if effect else True)
        note = self.problem() or ("" if hit else f"the mouse found {self.ui.missed!r} there")
        self.check(f"pressed {name}", held and not self.problem(), note)

    # The steps.

    def install(self) -> Turns:
        """Installs from the zip, looks at the preferences, chooses the worker's Python."""
        preferences = bpy.context.preferences
        began = time.perf_counter()
        bpy.ops.extensions.package_install_files(
            filepath=ARCHIVE, repo="user_default", enable_on_install=True
        )
        self.measured["install_s"] = round(time.perf_counter() - began, 2)
        self.check("installed and enabled", MODULE in preferences.addons)
        self.check(
            "user folder has spaces and other letters",
            " " in (folder := bpy.utils.user_resource("EXTENSIONS")) and "户" in folder,
        )
        self.check("no torch in Blender", "torch" not in sys.modules and "librosa" not in sys.modules)
        area = self.ui.area()
        area.ui_type = "PREFERENCES"
        preferences.active_section = "ADDONS"
        bpy.context.window_manager.addon_search = "Detailed3DMM"
        bpy.ops.preferences.addon_expand(module=MODULE)
        yield from self.ui.turns(6)
        yield from self.ui.picture("preferences")
        preferences.addons[MODULE].preferences.interpreter = INTERPRETER
        area.ui_type = "VIEW_3D"
        yield from self.ui.turns(4)

    def open_tab(self) -> Turns:
        """Shows the sidebar's tab."""
        self.ui.area().spaces.active.show_region_ui = True
        yield from self.ui.turns(4)
        self.ui.region().active_panel_category = "Detailed3DMM"
        self.ui.area().tag_redraw()
        yield from self.ui.turns(4)

    def create(self) -> Turns:
        """Creates a face by its button and waits for its full map."""
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
        yield from self.open_tab()
        yield from self.ui.picture("before_the_first_face")
        yield from self.press(
            (yield from self.find("create_face()", columns=(0.5,), bottom=0.5)),
            "Create Face",
            lambda: self.face is not None,
        )
        for key in ("NUMPAD_1", "NUMPAD_PERIOD"):
            yield from self.ui.key(key)
        with self.ui.override("WINDOW"):
            bpy.ops.view3d.view_axis(type="FRONT")
            bpy.ops.view3d.view_selected()
        backend, live = (
            self.module("detailed3dmm_addon.worker.jobs"),
            self.module("detailed3dmm_addon.detail.live"),
        )
        began = time.perf_counter()
        ready = yield from self.ui.until(
            lambda: backend.state() == "ready" and live.shown_full(self.face), 180
        )
        self.measured["worker_and_full_map_s"] = round(time.perf_counter() - began, 1)
        self.check("the full map came", ready, backend.state())
        yield from self.ui.picture("face_and_panels")

    def look(self) -> Turns:
        """Shows the whole sidebar, page after page."""
        seen: set[str] = set()
        for page in range(2):
            buttons = yield from self.ui.scan(columns=(0.3, 0.62, 0.93))
            seen |= {button.key for button in buttons}
            yield from self.ui.picture(f"sidebar_page_{page + 1}")
            yield from self.ui.scroll(0.8)
        yield from self.ui.scroll(-3)
        self.measured["buttons_found"] = len(seen)
        self.check("many buttons are found", len(seen) > 30, len(seen))

    def sliders(self) -> Turns:
        """Drags a slider of the first group of expressions, then one of the identity."""
        last = yield from self.find("thinking", columns=(0.84,), step=6)
        if last is None:
            self.check("the presets are in sight", False)
            return
        left = self.ui.region().x + 60
        yield from self.ui.click(left, last.y - 33)
        yield from self.ui.turns(10)
        yield from self.slider(
            'key_blocks["browInnerUp"].value', "expression", lambda: self.value("browInnerUp")
        )
        yield from self.ui.picture("expression_sliders")
        yield from self.ui.click(left, last.y - 33)
        hair = yield from self.find("d3dmm.hair", columns=(0.7,), step=6)
        if hair is None:
            self.check("the identity is in sight", False)
            return
        yield from self.ui.click(left, hair.y - 60)
        yield from self.ui.turns(10)
        age = lambda: self.face.d3dmm.directions["age"].value  # noqa: E731
        yield from self.slider("directions[", "identity", age)  # the first of them
        yield from self.ui.picture("identity_sliders")
        yield from self.ui.click(left, hair.y - 60)
        yield from self.ui.turns(6)

    def presets(self) -> Turns:
        """Presses every preset and whole-face button; undo and redo."""
        buttons = yield from self.ui.scan(columns=(0.16, 0.5, 0.84))
        keys = self.module("detailed3dmm_addon.model.expression_groups").EXPRESSION_PRESETS
        pressed = [button for button in buttons if "set_expression_preset" in button.key]
        self.check(
            "every preset has a button in sight", len(pressed) == len(keys), f"{len(pressed)} of {len(keys)}"
        )
        for button in pressed:
            preset = button.key.split("'")[1] if "'" in button.key else button.key.split('"')[1]
            wanted = keys[preset][1]
            shows = preset in ("joy", "surprise", "effort")
            yield from self.press(button, preset, partial(self.shows_values, wanted), shows)
            if shows:
                yield from self.ui.picture(preset)
        yield from self.settled()
        last = {key.name: key.value for key in self.face.data.shape_keys.key_blocks}
        after = self.shown()
        yield from self.ui.key("Z", ctrl=True)
        yield from self.settled()
        before = {name: self.value(name) for name in last}
        self.check("undo takes the last preset back", before != last)
        yield from self.ui.key("Z", ctrl=True, shift=True)
        yield from self.settled()
        self.check("redo brings it again", {name: self.value(name) for name in last} == last)
        self.check(
            "redo shows the same surface",
            float(np.abs(self.shown() - after).max()) < 1e-4,
            float(np.abs(self.shown() - after).max()),
        )
        for name in ("mirror_expression", "random_expression", "reset_expression"):
            button = next((b for b in buttons if name in b.key), None)
            yield from self.press(button, name)
        self.check("reset relaxes the face", all(v == 0 for v in self.values()))

    def values(self) -> list[float]:
        """Returns the values of all expressions."""
        return [key.value for key in self.face.data.shape_keys.key_blocks[1:]]

    def slider(self, part: str, name: str, read: Callable[[], float]) -> Turns:
        """Drags a slider through and measures the time from the mouse's movement to the picture."""
        button = yield from self.find(part, columns=(0.7,))
        if button is None:
            self.check(f"slider {name} is there", False)
            return
        drawn: list[float] = []
        evaluated: list[float] = []
        handler = bpy.types.SpaceView3D.draw_handler_add(
            lambda: drawn.append(time.perf_counter()), (), "WINDOW", "POST_PIXEL"
        )
        note = lambda *_: evaluated.append(time.perf_counter())  # noqa: E731
        bpy.app.handlers.depsgraph_update_post.append(note)
        to_mesh: list[float] = []
        to_redraw: list[float] = []

        def timed() -> Turns:
            count, before, began = len(drawn), len(evaluated), time.perf_counter()
            if (yield from self.ui.until(lambda: len(drawn) > count, 2.0)):
                to_redraw.append(1000 * (drawn[count] - began))
            if len(evaluated) > before:
                to_mesh.append(1000 * (evaluated[before] - began))

        was, before = read(), self.shown()
        yield from self.ui.drag(button.x, button.y, 60, 24, timed)
        bpy.types.SpaceView3D.draw_handler_remove(handler, "WINDOW")
        bpy.app.handlers.depsgraph_update_post.remove(note)
        yield from self.settled()
        moved = float(np.abs(self.shown() - before).max()) * 1000
        self.check(
            f"dragging {name} moves it and the face",
            read() != was and moved > 0.01,
            f"{was:.2f} to {read():.2f}, {moved:.2f} mm",
        )
        for what, times in (("mesh", to_mesh), ("redraw", to_redraw)):
            if times:
                low, high = np.percentile(times, (50, 95))
                self.measured[f"{name}_to_{what}_ms"] = {
                    "median": round(low, 1),
                    "p95": round(high, 1),
                    "n": len(times),
                }

    def detail(self) -> Turns:
        """The Detail panel: strength, switch, resolution, seed."""
        yield from self.ui.scroll(0.4)
        yield from self.slider("modifiers[", "strength", lambda: self.face.d3dmm.detail_strength)
        buttons = yield from self.ui.scan()
        seed = self.face.d3dmm.wrinkle_seed
        new = next((b for b in buttons if "new_wrinkle_seed" in b.key), None)
        yield from self.press(new, "New Wrinkle Seed", lambda: self.face.d3dmm.wrinkle_seed != seed)
        yield from self.press(next((b for b in buttons if "update_detail" in b.key), None), "Update Detail")
        yield from self.ui.picture("detail_panel")
        smooth = self.shown()
        self.face.d3dmm.show_detail = False
        yield from self.settled()
        self.check("detail off is another surface", float(np.abs(self.shown() - smooth).max()) > 1e-5)
        yield from self.ui.picture("detail_off_greyed")
        self.face.d3dmm.show_detail = True
        yield from self.settled()
        yield from self.ui.scroll(-3)

    def speech(self) -> Turns:
        """Imports a recording through the file browser, plays it."""
        for _ in range(3):
            button = yield from self.find("import_audio", columns=(0.5,))
            if button is not None:
                break
            yield from self.ui.scroll(0.5)
        if button is None:
            self.check("Import Audio is there", False)
            return
        yield from self.ui.press(button)
        opened = yield from self.ui.until(
            lambda: any(area.type == "FILE_BROWSER" for area in self.ui.window.screen.areas), 20
        )
        self.check("Import Audio opens the file browser", opened)
        yield from self.ui.turns(8)
        parameters = self.ui.area("FILE_BROWSER").spaces.active.params
        parameters.directory, parameters.filename = os.fsencode(str(RECORDING.parent)), RECORDING.name
        yield from self.ui.turns(10)
        yield from self.ui.picture("file_browser")
        yield from self.ui.key("RET", "WINDOW", "FILE_BROWSER")
        backend = self.module("detailed3dmm_addon.worker.jobs")
        started = yield from self.ui.until(backend.running_job, 30)
        self.check("the job is under way", started, self.problem())
        yield from self.ui.turns(20)
        yield from self.ui.picture("speech_under_way")
        began = time.perf_counter()
        yield from self.ui.until(
            lambda: not backend.running_job() and self.face.data.shape_keys.animation_data is not None, 240
        )
        yield from self.settled()
        self.measured["speech_s"] = round(time.perf_counter() - began, 1)
        data = self.face.data.shape_keys.animation_data
        self.check("the face speaks", data is not None and data.action is not None, self.problem())
        self.check("its wrinkles are in the file", self.face.d3dmm.has_baked_detail)
        frames: list[float] = []
        count = lambda *_: frames.append(time.perf_counter())  # noqa: E731
        bpy.app.handlers.frame_change_post.append(count)
        bpy.context.scene.sync_mode = "NONE"
        yield from self.ui.key("SPACE")
        end = time.monotonic() + 8
        yield from self.ui.until(lambda: time.monotonic() > end, 10)
        yield from self.ui.picture("speaking")
        yield from self.ui.key("SPACE")
        bpy.app.handlers.frame_change_post.remove(count)
        self.check("space plays", len(frames) > 3, f"{len(frames)} frames")
        if len(frames) > 3:
            self.measured["playback_fps"] = round(1 / statistics.median(np.diff(frames)), 1)

    def save_and_reopen(self) -> Turns:
        """Saves, opens the file again, compares."""
        path = str(Path(OUT, "face.blend"))
        bpy.context.scene.frame_set(20)
        yield from self.ui.turns(4)
        before = self.shown()
        bpy.ops.wm.save_as_mainfile(filepath=path, compress=True)
        self.measured["blend_mb"] = round(Path(path).stat().st_size / 2**20, 1)
        bpy.ops.wm.open_mainfile(filepath=path)
        yield from self.ui.turns(10)
        self.check("the file opens with its face", self.face is not None)
        apart = float(np.abs(self.shown() - before).max())
        self.check("it shows the same surface", apart < 1e-5, apart)
        bpy.context.view_layer.objects.active = self.face
        self.face.select_set(True)
        yield from self.open_tab()
        yield from self.ui.picture("reopened")

    def render(self) -> Turns:
        """F12, small; the picture appears beside the panels."""
        scene = bpy.context.scene
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(camera)
        camera.location, camera.rotation_euler = (0.0, -1.1, self.shown()[:, 2].mean()), (np.pi / 2, 0, 0)
        light = bpy.data.objects.new("Light", bpy.data.lights.new("Light", "SUN"))
        light.rotation_euler = (0.9, 0.2, 0.6)
        scene.collection.objects.link(light)
        scene.camera, scene.render.engine = camera, "CYCLES"
        camera.data.lens, camera.data.clip_start = 85, 0.01
        scene.cycles.use_denoising = False  # Debian builds Blender without the denoiser
        scene.cycles.samples, scene.render.resolution_x, scene.render.resolution_y = 4, 320, 320
        finished: list[bool] = []
        note = lambda *_: finished.append(True)  # noqa: E731
        bpy.app.handlers.render_complete.append(note)
        yield from self.ui.key("F12")
        self.check("F12 renders", (yield from self.ui.until(lambda: finished, 180)))
        yield from self.ui.turns(10)
        yield from self.ui.picture("render")
        bpy.app.handlers.render_complete.remove(note)
        yield from self.render_in_background()
        yield from self.ui.key("ESC", "WINDOW", "IMAGE_EDITOR")
        yield from self.ui.turns(6)

    def trouble(self) -> Turns:
        """Stops the worker, takes its Python away, sees what is said; disables the extension."""
        backend = self.module("detailed3dmm_addon.worker.jobs")
        backend.clear_problem()
        self.ui.area().tag_redraw()
        yield from self.ui.scroll(3)
        for _ in range(4):
            button = yield from self.find("stop_backend", columns=(0.8,))
            if button is not None:
                break
            yield from self.ui.scroll(-0.4)
        yield from self.press(button, "Stop", lambda: backend.state() == "stopped")
        bpy.context.preferences.addons[MODULE].preferences.interpreter = "/nowhere/python3"
        self.face.data.shape_keys.key_blocks["jawOpen"].value = 0.2
        yield from self.ui.turns(40)
        self.ui.area().tag_redraw()
        yield from self.ui.picture("without_backend")
        bpy.context.preferences.addons[MODULE].preferences.interpreter = INTERPRETER
        shown, name = self.shown(), self.face.name
        bpy.ops.preferences.addon_disable(module=MODULE)
        yield from self.ui.turns(6)
        same = np.empty(shown.size, np.float32)
        evaluated = bpy.data.objects[name].evaluated_get(bpy.context.evaluated_depsgraph_get())
        evaluated.data.vertices.foreach_get("co", same)
        self.check("disabled, the face stays as it is", np.abs(same.reshape(-1, 3) - shown).max() < 1e-5)
        yield from self.ui.picture("extension_disabled")

    def run(self) -> Turns:
        """Runs all steps."""
        steps = (
            *(
                self.look,
                self.sliders,
                self.presets,
                self.detail,
                self.buttons,
                self.speech,
                self.save_and_reopen,
            ),
            *(
                self.render,
                self.languages,
                self.panels,
                self.looks,
                self.interrupted_jobs,
                self.drops,
                self.trouble,
            ),
        )
        for step in (
            self.install,
            self.create,
            *(step for step in steps if not STEPS or step.__name__ in STEPS),
        ):
            began = time.perf_counter()
            yield from step()
            self.measured.setdefault("step_s", {})[step.__name__] = round(time.perf_counter() - began, 1)
            self.write()
        self.finished = True


def main() -> None:
    """Starts the session; Blender ends with it."""
    preferences = bpy.context.preferences
    preferences.view.show_splash = preferences.view.show_tooltips = False
    preferences.inputs.use_mouse_continuous = False
    preferences.view.filebrowser_display_type, preferences.view.render_display_type = "SCREEN", "AREA"
    session = Session()

    def done(error: BaseException | None) -> None:
        if error is not None:
            traceback.print_exception(error)
            session.check("the session went through", False, repr(error))
        session.write()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a window with unsaved changes would ask

    drive(session.run(), done)


main()
