"""Benchmark rows inside Blender, on the installed extension; run in a process of its own.

python -m benchmarks.blender_rows ROWS.json
"""

import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tools.extension_session import MODULE, installed_extension

from .timing import repeat


def evaluate(face) -> None:
    """Brings the depsgraph up to date and reads a normal of the evaluated mesh, of the kind that the viewport
    draws: all are made at once."""
    import bpy

    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    mesh = face.evaluated_get(graph).data
    normals = mesh.vertex_normals if mesh.normals_domain == "POINT" else mesh.corner_normals
    _ = tuple(normals[0].vector)


def rows() -> dict:
    """Returns every row of this file."""
    import bpy

    bpy.ops.preferences.addon_disable(module=MODULE)
    began = time.perf_counter()
    bpy.ops.preferences.addon_enable(module=MODULE)
    found = {
        "enabling the extension": {"median_ms": round(1e3 * (time.perf_counter() - began), 1), "count": 1}
    }
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
    found[
        f"expression slider to evaluated mesh with distilled detail, {len(face.data.vertices)} vertices"
    ] = repeat(drag, 40, 3)
    found["expression slider with the worker's full map, waited for"] = repeat(
        lambda n: (drag(n), bpy.ops.d3dmm.update_detail()), 5, 1
    )
    found |= _hair_rows(face, drag)
    face.d3dmm.live = False
    found["expression slider to evaluated mesh, detail not following"] = repeat(drag, 40, 3)
    found["former way: the same face under Displace with an image, not following"] = _displaced(face, drag)
    found["plain way: live subdivision under Displace, not following"] = _live_subdivision(face)
    face.d3dmm.live = True

    direction = face.d3dmm.directions[0]

    def change_age(number: int) -> None:
        face.d3dmm.age_offset = (number % 10) / 5
        evaluate(face)

    def change_identity(number: int) -> None:
        direction.value = (number % 10) / 10
        evaluate(face)

    found["identity slider, all 53 shapes rewritten (as without a screen)"] = repeat(change_identity, 5, 1)
    found["identity slider to evaluated mesh with distilled detail"] = _as_in_a_window(
        lambda: repeat(change_identity, 20, 2)
    )
    found["skin age slider to evaluated mesh with distilled detail"] = _as_in_a_window(
        lambda: repeat(change_age, 20, 2)
    )
    found |= _skin_rows(face)
    bpy.ops.d3dmm.reset_expression()
    found |= _keyed_rows(face)
    bpy.ops.d3dmm.import_audio(filepath=str(_recording()), seed=1)
    scene = bpy.context.scene
    assert scene is not None

    def play(number: int) -> None:
        scene.frame_set(1 + number % 100)
        evaluate(face)

    row = repeat(play, 100, 5)
    row["frames_per_second"] = round(1e3 / row["median_ms"], 1)
    row |= {"k": face.d3dmm.baked_components, "psnr_db": round(face.d3dmm.baked_psnr, 1)}
    found["playback of a baked, wrinkling clip"] = row
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path, compress=True)
        frames = face.data.shape_keys.animation_data.action.frame_range
        seconds = (frames[1] - frames[0] + 1) / scene.render.fps
        found["file size of the .blend, compressed"] = {
            "mb": round(os.path.getsize(path) / 2**20, 1),
            "clip_seconds": round(seconds, 1),
        }
    return found


def _hair_rows(face, drag) -> dict:
    """Measures the first slider again with hair on the scalp; the hair is removed then."""
    import bpy

    began = time.perf_counter()
    bpy.ops.d3dmm.set_hair_look(look="CROPPED")
    grown = round(1e3 * (time.perf_counter() - began), 1)
    hair = [child for child in face.children if child.type == "CURVES"]

    def drag_with_hair(number: int) -> None:
        drag(number)
        graph = bpy.context.evaluated_depsgraph_get()
        for strands in hair:
            _ = strands.evaluated_get(graph).data

    rows = {
        "hair of scalp, beard, brows and lashes to grow": {"median_ms": grown, "count": 1},
        "expression slider with that hair": repeat(drag_with_hair, 40, 3)
        | {"strands": sum(len(strands.data.curves) for strands in hair)},
    }
    bpy.ops.d3dmm.remove_hair(parts={"scalp", "beard", "vellus"})
    return rows


def _as_in_a_window(measure) -> dict:
    """Measures with the behaviour of a window: a timer does the work that is not visible."""
    import importlib

    follow = importlib.import_module(f"{MODULE}.detailed3dmm_addon.detail.follow")
    with follow.STATE.as_in_a_window():
        return measure()


def _skin_rows(face) -> dict:
    """Measures colour sliders to the image: the draft while dragging, the full image after it."""
    import importlib

    skin = face.d3dmm.skin
    if not skin.use:
        return {}
    follow = importlib.import_module(f"{MODULE}.detailed3dmm_addon.appearance.skin_follow")

    def change(name: str, number: int) -> None:
        setattr(skin, name, 0.05 + (number % 10) / 12)
        evaluate(face)

    rows = {}
    skin.freckles, skin.lipstick, skin.blush = 0.6, 0.5, 0.3
    with follow.STATE.as_in_a_window():
        for name in ("redness", "freckles", "lipstick"):
            rows[f"skin colour slider ({name}) to the image, 512"] = repeat(partial(change, name), 30, 3)
        rows["skin tone slider to the image, 512"] = repeat(
            lambda n: (setattr(skin, "tone", 60.0 - 10 * (n % 10)), evaluate(face)), 30, 3
        )
    for size in ("1024", "2048"):
        skin.size = size
        rows[f"skin colour at rest, {size}"] = repeat(partial(change, "redness"), 5, 1)
    skin.size = "1024"
    return rows


def _keyed_rows(face) -> dict:
    """Measures playback of keyed sliders, with live detail and with detail baked by the distilled model."""
    import bpy

    scene, key = bpy.context.scene, face.data.shape_keys.key_blocks["browInnerUp"]
    for frame in range(1, 121, 10):
        key.value = frame // 10 % 2
        key.keyframe_insert("value", frame=frame)

    def play(number: int) -> None:
        scene.frame_set(1 + number % 110)  # type: ignore[union-attr]
        evaluate(face)

    rows = {"playback of keyed sliders, distilled detail made at every frame": repeat(play, 60, 5)}
    bpy.ops.d3dmm.bake_detail(without_backend=True)
    rows["playback of the same, baked by the distilled model"] = repeat(play, 60, 5)
    bpy.ops.d3dmm.clear_baked_detail()
    for owner in (face, face.data.shape_keys):
        owner.animation_data_clear()
    key.value = 0.0
    return rows


def _add_displace(target) -> None:
    """A Displace modifier with a 256 image of noise, as add-ons usually show a map."""
    import bpy
    import numpy as np

    image = bpy.data.images.new("Noise", 256, 256, float_buffer=True, is_data=True)
    pixels = np.random.default_rng(0).normal(0, 0.1, 256 * 256 * 4).astype(np.float32)
    pixels[3::4] = 1.0
    image.pixels.foreach_set(pixels)
    texture = bpy.data.textures.new("Noise", "IMAGE")
    texture.image = image
    displace = target.modifiers.new("Displace", "DISPLACE")
    displace.texture = texture
    displace.texture_coords, displace.strength, displace.mid_level = "UV", 1e-3, 0.0


def _displaced(face, drag) -> dict:
    """The face itself, its own detail off, under Displace."""
    face.d3dmm.show_detail = False
    _add_displace(face)
    row = repeat(drag, 40, 3)
    face.modifiers.remove(face.modifiers["Displace"])
    face.d3dmm.show_detail = True
    return row


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
    mesh.from_pydata(
        neutral.tolist(), [], [[corner for corner in polygon if corner >= 0] for polygon in polygons.tolist()]
    )
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
    _add_displace(plain)

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
    from ml_backend.asset_files import ASSETS

    return next(ASSETS.glob("demo_speech.*[!d]"))


if __name__ == "__main__":
    with installed_extension():
        Path(sys.argv[1]).write_text(json.dumps(rows()))
