"""Pictures of wrinkled heads: each seen from the front under one light, with and without wrinkles."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image, ImageDraw, ImageFont

from ml_backend.expression_names import EXPRESSION_NAMES, both_sides
from tools.cycles_render import quiet_output

from .head_measures import place_of_head, show
from .head_variants import TestHead

SIZE, SAMPLES, COLUMNS = 300, 12, 4
_FACE = both_sides(browInnerUp=1.0, browOuterUp=0.9, mouthSmile=0.9, cheekSquint=0.8, eyeSquint=0.5)


def render_head(head: TestHead, path: Path) -> None:
    """Renders raised brows and a smile, without and with wrinkles, side by side.

    Args:
        head: with detail; its keys are at rest afterwards.
        path: of the PNG.
    """
    expression = np.array([_FACE.get(name, 0.0) for name in EXPRESSION_NAMES])
    show(head, expression)
    made = _stage(head)
    halves = []
    for shown in (False, True):
        head.item.modifiers["D3DMM Detail"].show_render = shown
        _render(path)
        with Image.open(path) as picture:
            halves.append(picture.convert("RGB"))
    both = Image.new("RGB", (2 * SIZE, SIZE))
    for index, half in enumerate(halves):
        both.paste(half, (index * SIZE, 0))
    both.save(path)
    for item in made:
        data = item.data
        bpy.data.objects.remove(item)
        (bpy.data.lights if isinstance(data, bpy.types.Light) else bpy.data.cameras).remove(data)
    world = bpy.context.scene.world
    bpy.context.scene.world = None
    bpy.data.worlds.remove(world)
    show(head, np.zeros(len(EXPRESSION_NAMES)))


def write_sheet(folder: Path, names: list[str], rows: dict[str, dict]) -> None:
    """Puts the pictures of a folder on one sheet, other_heads.png, each with its name and figure."""
    across = 2 * SIZE
    down = -(-len(names) // COLUMNS)
    sheet = Image.new("RGB", (across * COLUMNS, (SIZE + 22) * down), (24, 24, 26))
    draw = ImageDraw.Draw(sheet)
    for index, name in enumerate(names):
        corner = (index % COLUMNS * across, index // COLUMNS * (SIZE + 22))
        with Image.open(folder / f"{name}.png") as picture:
            sheet.paste(picture, (corner[0], corner[1] + 22))
        text = f"{name}  {rows[name]['quality']:.0%}"
        draw.text((corner[0] + 6, corner[1] + 4), text, fill=(225, 225, 225), font=ImageFont.load_default(14))
    sheet.save(folder / "other_heads.png")


def _stage(head: TestHead) -> list[bpy.types.Object]:
    """Adds a camera before the face and a light beside it, in the head's own direction."""
    rotation, middle, scale = place_of_head(head.item)
    made = []
    frame = Matrix(rotation.tolist()).to_4x4()
    for name, data, place in (
        ("Camera", bpy.data.cameras.new("Camera"), (0.0, -1.2, 0.0)),
        ("Key", bpy.data.lights.new("Key", "SUN"), (0.6, -0.7, 0.9)),
    ):
        item = bpy.data.objects.new(name, data)
        bpy.context.scene.collection.objects.link(item)
        local = Vector(place)
        turn = (-local).to_track_quat("-Z", "Y").to_matrix().to_4x4()
        item.matrix_world = (
            Matrix.Translation(middle.tolist()) @ frame @ Matrix.Translation(local * scale) @ turn
        )
        made.append(item)
    camera = made[0].data
    camera.lens, camera.sensor_width = 215, 36
    camera.clip_start, camera.clip_end = 0.01 * scale, 10 * scale
    made[1].data.energy, made[1].data.angle = 3.0, 0.05
    bpy.context.scene.camera = made[0]
    world = bpy.data.worlds.new("World")
    world.color = (0.25, 0.25, 0.27)
    bpy.context.scene.world = world
    return made


def _render(path: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.filepath = str(path)
    with quiet_output():
        bpy.ops.render.render(write_still=True)
