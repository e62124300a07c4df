"""Steps of the session that drop files on the viewport, as a file manager does."""

import os
import subprocess
from pathlib import Path

import bpy
from given import INTERPRETER, OUT, RECORDING
from interface import Turns

SOURCE = Path(__file__).with_name("drag_source.py")
PHOTO = "import sys, skimage.data, PIL.Image; PIL.Image.fromarray(skimage.data.astronaut()).save(sys.argv[1])"


class Drops:
    """Mixed into the session, whose checks and mouse it uses."""

    def drop(self, path: Path) -> Turns:
        """Drops a file on the middle of the viewport; whether Blender took it."""
        region = self.ui.region("WINDOW")
        x, y = region.x + region.width // 3, region.y + region.height // 2
        height = bpy.context.window_manager.windows[0].height
        with Path(OUT, "drop.log").open("a") as log:
            source = subprocess.Popen(
                ["/usr/bin/python3", str(SOURCE), str(x), str(height - y), str(path)],
                stdout=log,
                stderr=log,
                env=dict(os.environ),
            )
            yield from self.ui.until(lambda: source.poll() is not None, 40)
        yield from self.ui.turns(6)
        return source.poll() == 0

    def drops(self) -> Turns:
        """A recording on a face's viewport makes it speak; a photo asks what it is for, then makes a face."""
        backend = self.module("detailed3dmm_addon.worker.jobs")
        for item in list(bpy.data.objects):
            bpy.data.objects.remove(item)
        self.new_face()
        yield from self.open_tab()
        yield from self.settled()
        backend.clear_problem()
        self.check("Blender takes a dropped recording", (yield from self.drop(RECORDING)))
        self.check("its job begins", (yield from self.ui.until(backend.running_job, 30)), self.problem())
        yield from self.ui.until(
            lambda: not backend.running_job() and (self.face.d3dmm.has_baked_detail or self.problem()), 300
        )
        keys = self.face.data.shape_keys.animation_data
        self.check(
            "the face speaks what was dropped",
            keys is not None and keys.action is not None and not self.problem(),
            self.problem(),
        )
        yield from self.ui.picture("recording_dropped")
        photo = Path(OUT, "astronaut.png")
        subprocess.run([INTERPRETER, "-c", PHOTO, str(photo)], check=True, cwd="/")
        faces = len(bpy.data.objects)
        self.check("Blender takes a dropped photo", (yield from self.drop(photo)))
        yield from self.ui.turns(10)
        yield from self.ui.picture("photo_dropped", still=True)
        self.ui.press_key("F")
        self.check("its job begins too", (yield from self.ui.until(backend.running_job, 30)), self.problem())
        yield from self.ui.until(lambda: not backend.running_job(), 300)
        yield from self.settled()
        made = bpy.context.view_layer.objects.active
        self.check(
            "the photo became a face",
            len(bpy.data.objects) > faces and made.d3dmm.photo == photo.name,
            self.problem(),
        )
        yield from self.ui.picture("face_of_the_dropped_photo")
