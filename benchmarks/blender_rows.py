"""Benchmark rows inside Blender, on the installed extension; run in a process of its own.

python -m benchmarks.blender_rows ROWS.json
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from .extension_session import MODULE, installed_extension
from .timing import repeat


def evaluate(face) -> None:
    """Brings the depsgraph up to date and touches the evaluated mesh with its normals."""
    import bpy

    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    mesh = face.evaluated_get(graph).data
    _ = mesh.vertices[0].normal, mesh.corner_normals[0].vector


def rows() -> dict:
    """Every row of this file."""
    import bpy

    bpy.ops.preferences.addon_disable(module=MODULE)
    began = time.perf_counter()
    bpy.ops.preferences.addon_enable(module=MODULE)
    found = {"enabling the extension": {"median_ms": round(1e3 * (time.perf_counter() - began), 1), "count": 1}}
    heavy = [name for name in ("torch", "librosa") if name in sys.modules]
    found["enabling the extension"]["heavy_modules"] = heavy  # type: ignore[assignment]
    began = time.perf_counter()
    bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False)
    found["create face"] = {"median_ms": round(1e3 * (time.perf_counter() - began), 1), "count": 1}
    face = bpy.context.view_layer.objects.active  # type: ignore[union-attr]
    assert face is not None
    bpy.ops.d3dmm.update_detail()
    keys = face.data.shape_keys.key_blocks

    def drag(number: int) -> None:
        keys["mouthSmileLeft"].value = (number % 20) / 20
        evaluate(face)

    for name in ("browInnerUp", "jawOpen", "mouthSmileRight", "cheekSquintLeft"):
        keys[name].value = 0.4
    found[f"expression slider to evaluated, displaced mesh, {len(face.data.vertices)} vertices"] = repeat(drag, 40, 3)
    found["expression slider with its new 256 map"] = repeat(lambda n: (drag(n), bpy.ops.d3dmm.update_detail()), 5, 1)
    found["plain way: the same under live subdivision"] = _live_subdivision(face)

    direction = face.d3dmm.directions[0]

    def change_identity(number: int) -> None:
        direction.value = (number % 10) / 10
        evaluate(face)

    found["identity slider, all 53 shapes rewritten (as without a screen)"] = repeat(change_identity, 5, 1)
    bpy.ops.d3dmm.reset_expression()
    bpy.ops.d3dmm.import_audio(filepath=str(_recording()), seed=1)
    scene = bpy.context.scene
    assert scene is not None

    def play(number: int) -> None:
        scene.frame_set(1 + number % 100)
        evaluate(face)

    row = repeat(play, 100, 5)
    row["frames_per_second"] = round(1e3 / row["median_ms"], 1)
    found["playback of a baked, wrinkling clip"] = row
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path, compress=True)
        frames = face.data.shape_keys.animation_data.action.frame_range
        seconds = (frames[1] - frames[0] + 1) / scene.render.fps
        found["file size of the .blend, compressed"] = {"mb": round(os.path.getsize(path) / 2**20, 1), "clip_seconds": round(seconds, 1)}
    return found


def _live_subdivision(face) -> dict:
    """The same face as a base mesh with Subdivision and Displace on top, as add-ons usually do it."""
    import importlib

    import bpy
    import numpy as np

    face_module = importlib.import_module(f"{MODULE}.ml_backend.models.bilinear_face")
    model = face_module.BilinearFace.default()
    skin = model.polygon_part == 0
    polygons = model.polygons[skin]
    mesh = bpy.data.meshes.new("Plain")
    neutral, deltas = model.shapes(model.sample_identity(3))
    mesh.from_pydata(neutral.tolist(), [], [[corner for corner in polygon if corner >= 0] for polygon in polygons.tolist()])
    layer = mesh.uv_layers.new()
    corners = model.uv_polygons[skin]
    layer.data.foreach_set("uv", model.uv[corners[corners >= 0]].ravel())
    plain = bpy.data.objects.new("Plain", mesh)
    bpy.context.scene.collection.objects.link(plain)  # type: ignore[union-attr]
    plain.shape_key_add(name="Basis")
    for name, delta in zip(model.expression_names, deltas, strict=True):
        block = plain.shape_key_add(name=name)
        block.value = 0.0
        block.data.foreach_set("co", np.ascontiguousarray(neutral + delta, np.float32).ravel())
    keys = mesh.shape_keys.key_blocks  # type: ignore[union-attr]
    for name in ("browInnerUp", "jawOpen", "mouthSmileRight", "cheekSquintLeft"):
        keys[name].value = 0.4
    subdivision = plain.modifiers.new("Subdivision", "SUBSURF")
    subdivision.levels = 2
    displace = plain.modifiers.new("Displace", "DISPLACE")
    displace.texture = next(modifier.texture for modifier in face.modifiers if modifier.type == "DISPLACE")
    displace.texture_coords, displace.strength, displace.mid_level = "UV", 1e-3, 0.0

    def drag(number: int) -> None:
        keys["mouthSmileLeft"].value = (number % 20) / 20
        evaluate(plain)

    face.hide_viewport = True
    row = repeat(drag, 15, 2)
    face.hide_viewport = False
    bpy.data.objects.remove(plain)
    bpy.context.view_layer.objects.active = face  # type: ignore[union-attr]
    return row


def _recording() -> Path:
    from .backend_rows import ASSETS

    return next(ASSETS.glob("demo_speech.*[!d]"))


if __name__ == "__main__":
    with installed_extension():
        Path(sys.argv[1]).write_text(json.dumps(rows()))
