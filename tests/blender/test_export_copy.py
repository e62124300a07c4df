"""Export Copy: independent readers find what Blender shows, and the scene stays as it was."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from exported_files import assert_same, census, read_back
from scene_state import evaluated

FRAMES = 3


@pytest.fixture
def playing(wrinkled, module):
    """A face at a place of its own whose smile, brows and head are keyed over three frames, shown live."""
    face, scene = wrinkled, bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = 1, FRAMES, 25
    face.location = (0.1, 0.2, 0.3)
    face.d3dmm.age_offset, face.d3dmm.skin_tendency = 2.0, 2.0
    keys = face.data.shape_keys.key_blocks
    for name, start, end in (
        ("mouthSmileLeft", 0.0, 1.0),
        ("browInnerUp", 0.2, 0.9),
        ("browOuterUpLeft", 0.0, 0.7),
    ):
        for frame, value in ((1, start), (FRAMES, end)):
            keys[name].value = value
            keys[name].keyframe_insert("value", frame=frame)
    for frame, value in ((1, 0.0), (FRAMES, 0.3)):
        face.rotation_euler.z = value
        face.keyframe_insert("rotation_euler", index=2, frame=frame)
    scene.frame_set(2)
    return face


def frames_shown(face) -> np.ndarray:
    """(T, N, 3): what each frame evaluates to, in the face's own space."""
    scene, before, found = bpy.context.scene, bpy.context.scene.frame_current, []
    for frame in range(1, FRAMES + 1):
        scene.frame_set(frame)
        found.append(evaluated(face))
    scene.frame_set(before)
    return np.stack(found)


def test_usd_holds_the_detailed_mesh_of_every_frame(playing, tmp_path):
    expected, before = frames_shown(playing), census()
    path = tmp_path / "späte Kopie.usdc"
    assert bpy.ops.d3dmm.export_usd(filepath=str(path), textures=False) == {"FINISHED"}
    assert_same(before, census())
    read = read_back(path, tmp_path)
    assert read["times"].tolist() == [1, 2, 3] and read["metres"] == 1 and read["z_up"] and read["fps"] == 25
    assert np.abs(read["points"] - expected).max() < 1e-6
    assert np.linalg.norm(expected[2] - expected[0], axis=1).max() > 2e-3
    turned = read["places"][2][:3, :3]
    assert np.degrees(np.arctan2(turned[0, 1], turned[0, 0])) == pytest.approx(np.degrees(0.3), abs=1e-3)
    assert read["places"][0][3, :3] == pytest.approx([0.1, 0.2, 0.3])
    smoothed = bpy.ops.d3dmm.export_usd(filepath=str(tmp_path / "smooth.usda"), detail=False, textures=False)
    assert smoothed == {"FINISHED"}
    smooth = read_back(tmp_path / "smooth.usda", tmp_path)["points"]
    assert 5e-5 < np.linalg.norm(smooth - expected, axis=2).max() < 4e-3


def test_alembic_holds_the_detailed_mesh_of_every_frame(playing, tmp_path):
    expected, before = frames_shown(playing), census()
    assert bpy.ops.d3dmm.export_alembic(filepath=str(tmp_path / "copy.abc")) == {"FINISHED"}
    assert_same(before, census())
    bpy.ops.wm.read_homefile(use_empty=True)
    assert bpy.ops.wm.alembic_import(
        filepath=str(tmp_path / "copy.abc"), as_background_job=False, set_frame_range=False
    ) == {"FINISHED"}
    (made,) = [item for item in bpy.data.objects if item.type == "MESH"]
    bpy.context.scene.render.fps = 25
    for frame in range(1, FRAMES + 1):
        bpy.context.scene.frame_set(frame)
        assert np.abs(evaluated(made) - expected[frame - 1]).max() < 2e-6


def test_gltf_has_the_models_expressions_as_morph_targets(playing, module, tmp_path):
    before = census()
    path = tmp_path / "face.glb"
    assert bpy.ops.d3dmm.export_gltf(
        filepath=str(path), resolution="512", wrinkle_count=3, textures=False
    ) == {"FINISHED"}
    assert_same(before, census())
    read = read_back(path, tmp_path)
    models = module("detailed3dmm_addon.model.face_model")
    model, dense = models.face_model(), models.dense_mesh()
    assert read["names"].tolist() == list(model.expression_names)
    assert read["sparse"] >= 52
    corners = module("ml_backend.geometry.dense_face").coarse_corners(model, dense)
    neutral, deltas = model.shapes(models.identity_of(playing))
    vertices = np.unique(corners.vertex)
    rest = dense.refine(neutral)[vertices]
    to_gltf = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
    nearest = nearest_of(read["positions"], rest @ to_gltf.T)
    assert len(np.unique(nearest)) == len(vertices) == model.vertex_count
    assert np.linalg.norm(read["positions"] - (rest @ to_gltf.T)[nearest], axis=1).max() < 1e-6
    moved = (
        dense.refine(np.ascontiguousarray(deltas.transpose(1, 0, 2))).transpose(1, 0, 2)[:, vertices]
        @ to_gltf.T
    )
    assert np.abs(read["targets"] - moved[:, nearest]).max() < 5e-6
    assert (
        read["weights_times"] == pytest.approx(np.arange(FRAMES) / 25, abs=1e-4)
        or len(read["weights_times"]) >= 2
    )
    weights = read["weights_values"].reshape(len(read["weights_times"]), -1)
    assert weights[-1, model.expression_names.index("mouthSmileLeft")] == pytest.approx(1.0, abs=1e-4)
    assert path.stat().st_size < 8e6


def nearest_of(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    from mathutils.kdtree import KDTree

    tree = KDTree(len(others))
    for index, point in enumerate(others):
        tree.insert(point, index)
    tree.balance()
    return np.array([tree.find(point)[1] for point in points])


def test_the_normal_map_bends_as_the_displaced_mesh_does(playing, module, tmp_path):
    face = playing
    face.d3dmm.detail_strength, face.d3dmm.pores = 2.0, 0.0
    assert bpy.ops.d3dmm.export_gltf(
        filepath=str(tmp_path / "face.glb"), wrinkle_count=0, textures=False
    ) == {"FINISHED"}
    pixels = read_back(tmp_path / "face.glb", tmp_path)["normal_map"]
    assert pixels.shape == (1024, 1024, 3) and not list(tmp_path.glob("*_normal.png"))
    map_normals = pixels.astype(np.float32) / 255 * 2 - 1
    uv = module("detailed3dmm_addon.detail.distilled").skin_uv()
    found = module("ml_backend.geometry.texture_space").sample_map(map_normals, uv)
    with_detail = mesh_normals(face)
    face.d3dmm.show_detail = False
    smooth, positions = mesh_normals(face), evaluated(face)
    tangent = tangents(face, positions, smooth)
    across = np.cross(smooth, tangent)
    bent = np.stack([(with_detail * axis).sum(1) for axis in (tangent, across)], 1)
    skin = (uv >= 0).all(1)
    strong = skin & (np.linalg.norm(bent, axis=1) > 0.12)
    assert strong.sum() > 300
    for axis in (0, 1):
        assert np.corrcoef(bent[strong, axis], found[strong, axis])[0, 1] > 0.85
    flat = skin & (np.linalg.norm(bent, axis=1) < 0.01)
    assert np.linalg.norm(found[flat, :2], axis=1).mean() < 0.04


def test_textures_hold_the_painted_skin_and_the_eyes(playing, module, tmp_path):
    """Lips are redder than cheeks, brows are darker than the forehead, each eye has a pupil."""
    before = census()
    playing.d3dmm.skin_tone = 0.1
    light = gltf_of(playing, tmp_path)
    assert_same(before, census())
    assert (
        light["colour"].shape == (512, 512, 3)
        and light["roughness"].shape == (512, 512)
        and light["parts"].shape == (512, 512, 4)
    )
    assert (
        light["normal_map"].shape == (512, 512, 3)
        and light["painted"].all()
        and not light["metallic"].any()
        and light["images"] == 4
    )
    uv, sample = (
        module("detailed3dmm_addon.detail.distilled").skin_uv(),
        module("ml_backend.geometry.texture_space").sample_map,
    )
    colours = np.stack(
        [sample(light["colour"][..., channel].astype(np.float32), uv) for channel in range(3)], 1
    )
    lips, brows, scalp, region = (
        attribute(playing, f"d3dmm_{name}") > 0.8 for name in ("lips", "brows", "scalp", "region_forehead")
    )
    skin = (uv >= 0).all(1)
    smooth = skin & region & ~brows & ~scalp
    assert colours[lips & skin, 1].mean() < 0.8 * colours[smooth, 1].mean() < 0.8 * colours[smooth, 0].mean()
    assert colours[brows & skin].mean() < 0.75 * colours[smooth].mean()
    assert 80 < light["roughness"].mean() < 180 and light["roughness"].std() > 3
    eye = light["parts"][4:166, 4:166]
    assert eye[..., :3].mean(2).min() < 12 and eye[..., :3].mean(2).max() > 170
    assert (light["alpha_modes"] != "OPAQUE").sum() == 1 and 0.03 < (
        light["parts"][175:337, 346:508, 3] > 127
    ).mean() < 0.95
    playing.d3dmm.skin_tone = 0.9
    assert gltf_of(playing, tmp_path)["colour"].mean() < 0.6 * light["colour"].mean()
    plain = gltf_of(playing, tmp_path, textures=False)
    assert not plain["painted"].any() and plain["images"] == 1


def gltf_of(face, tmp_path: Path, **options) -> dict:
    path = tmp_path / "painted.glb"
    assert bpy.ops.d3dmm.export_gltf(filepath=str(path), resolution="512", wrinkle_count=0, **options) == {
        "FINISHED"
    }
    assert [item.name for item in tmp_path.iterdir() if item.suffix == ".png"] == []
    return read_back(path, tmp_path)


def attribute(face, name: str) -> np.ndarray:
    values = np.empty(len(face.data.vertices), np.float32)
    face.data.attributes[name].data.foreach_get("value", values)
    return values


def mesh_normals(face) -> np.ndarray:
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    return normals


def tangents(face, positions, normals) -> np.ndarray:
    """Unit directions of growing u at the vertices, from each corner's edges in the texture."""
    mesh = face.data
    mesh.calc_loop_triangles()
    corners = np.array([triangle.loops for triangle in mesh.loop_triangles])
    vertices = np.array([triangle.vertices for triangle in mesh.loop_triangles])
    uv = np.empty((len(mesh.loops), 2), np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uv.ravel())
    edges, steps = (
        positions[vertices[:, 1:]] - positions[vertices[:, :1]],
        uv[corners[:, 1:]] - uv[corners[:, :1]],
    )
    along = edges[:, 0] * steps[:, 1, 1, None] - edges[:, 1] * steps[:, 0, 1, None]
    along *= np.sign(steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0])[:, None]
    total = np.stack(
        [np.bincount(vertices.ravel(), np.repeat(along[:, axis], 3), len(positions)) for axis in range(3)], 1
    )
    total -= normals * (total * normals).sum(1, keepdims=True)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def test_wrinkle_maps_sum_to_what_the_face_shows(playing, module, tmp_path):
    face = playing
    face.d3dmm.resolution, face.d3dmm.detail_strength = "1024", 1.5
    assert bpy.ops.d3dmm.export_gltf(
        filepath=str(tmp_path / "face.glb"), resolution="512", wrinkle_count=12, textures=False
    ) == {"FINISHED"}
    document = json.loads((tmp_path / "face_wrinkles.json").read_text())
    assert str(read_back(tmp_path / "face.glb", tmp_path)["wrinkles"]) == "face_wrinkles.json"
    rest, fields = (read_maps(tmp_path, items) for items in ([document["rest"]], document["fields"]))
    assert (
        len(document["coefficients"]) == FRAMES
        and document["fps"] == 25
        and set(document["per_expression"]) >= {"jawOpen", "browInnerUp"}
    )
    summed = rest[0] + np.tensordot(np.array(document["coefficients"][2]), fields, 1)
    bpy.context.scene.frame_set(3)
    models, fast = (
        module("detailed3dmm_addon.model.face_model"),
        module("detailed3dmm_addon.detail.distilled"),
    )
    model = fast.distilled_model()
    shown = [find(face) for find in (models.identity_of, models.skin_of, models.expression_of)]
    expected = 1.5 * model.draw(model.coefficients(*shown), 512)
    inside = model.low.inside
    assert len(fields) == 12
    shrink = [
        values.reshape(256, 2, 256, 2).mean((1, 3))[inside]
        for values in (summed - expected, expected - rest[0])
    ]
    assert np.ptp(expected) > 0.3 and np.linalg.norm(shrink[0]) < 0.2 * np.linalg.norm(shrink[1])


def grey_pixels(path: Path) -> np.ndarray:
    """(H, W): what Blender's own reader finds in a grey picture."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[..., 0]


def read_maps(folder: Path, items) -> np.ndarray:
    return np.stack([(grey_pixels(folder / item["image"]) * 8 - 4) * item["scale"] for item in items])


def test_fbx_blend_shapes_add_up_to_the_shown_frames(playing, module, tmp_path):
    expected, before = frames_shown(playing), census()
    assert bpy.ops.d3dmm.export_fbx(filepath=str(tmp_path / "face.fbx"), mesh="BASE", textures=False) == {
        "FINISHED"
    }
    assert_same(before, census())
    models = module("detailed3dmm_addon.model.face_model")
    corners = module("ml_backend.geometry.dense_face").coarse_corners(
        models.face_model(), models.dense_mesh()
    )
    expected = expected[:, np.unique(corners.vertex)]
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.scene.render.fps = 25
    if "fbx_import" in dir(bpy.ops.wm):
        assert bpy.ops.wm.fbx_import(filepath=str(tmp_path / "face.fbx"), anim_offset=0.0) == {"FINISHED"}
    else:
        assert bpy.ops.import_scene.fbx(filepath=str(tmp_path / "face.fbx"), anim_offset=0.0) == {"FINISHED"}
    (made,) = [item for item in bpy.data.objects if item.type == "MESH"]
    names = [key.name for key in made.data.shape_keys.key_blocks][1:]
    assert {"jawOpen", "tongueOut", "detail_00"} <= set(names)
    for frame in range(1, FRAMES + 1):
        bpy.context.scene.frame_set(frame)
        assert np.abs(evaluated(made) - expected[frame - 1]).max() < 5e-6


def test_fbx_holds_its_textures(playing, tmp_path):
    assert bpy.ops.d3dmm.export_fbx(filepath=str(tmp_path / "face.fbx"), mesh="BASE", resolution="512") == {
        "FINISHED"
    }
    assert [item.name for item in tmp_path.iterdir()] == ["face.fbx"]
    bpy.ops.wm.read_homefile(use_empty=True)
    assert bpy.ops.import_scene.fbx(filepath=str(tmp_path / "face.fbx")) == {"FINISHED"}
    (made,) = [item for item in bpy.data.objects if item.type == "MESH"]
    used = {}
    for index, material in enumerate(made.data.materials):
        for link in material.node_tree.links:
            if link.from_node.bl_idname == "ShaderNodeTexImage":
                used[index, link.to_socket.name] = link.from_node.image
    assert {(0, "Base Color"), (0, "Roughness"), (0, "Color"), (1, "Base Color")} <= set(used)
    for (_, socket), image in used.items():
        values = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(values)
        assert tuple(image.size) == (512, 512) and values.std() > 0.02, socket


def test_map_sequences_hold_what_each_frame_shows(playing, module, tmp_path):
    before, uv = census(), module("detailed3dmm_addon.detail.distilled").skin_uv()
    for suffix in (".exr", ".png"):
        assert bpy.ops.d3dmm.export_maps(filepath=str(tmp_path / f"maps{suffix}"), resolution="256") == {
            "FINISHED"
        }
        assert_same(before, census())
        assert sorted(item.name for item in tmp_path.glob(f"*{suffix}")) == [
            f"maps_000{frame}{suffix}" for frame in (1, 2, 3)
        ]
    for frame in (1, 3):
        bpy.context.scene.frame_set(frame)
        mesh = playing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        height = np.empty(len(uv), np.float32)
        mesh.attributes["d3dmm_height"].data.foreach_get("value", height)
        wrinkled = np.abs(height) > 0.1
        assert wrinkled.sum() > 200
        for suffix in (".exr", ".png"):
            values = grey_pixels(tmp_path / f"maps_000{frame}{suffix}")
            found = module("ml_backend.geometry.texture_space").sample_map(
                values if suffix == ".exr" else values * 8 - 4, uv
            )
            assert np.corrcoef(found[wrinkled], height[wrinkled])[0, 1] > 0.97
            assert np.polyfit(height[wrinkled], found[wrinkled], 1)[0] == pytest.approx(1.0, abs=0.08)


def test_curves_come_back_from_the_curve_reader(playing, module, tmp_path):
    before = census()
    assert bpy.ops.d3dmm.export_curves(filepath=str(tmp_path / "curves.csv")) == {"FINISHED"}
    assert_same(before, census())
    read = module("ml_backend.files.curve_file").read_curves(tmp_path / "curves.csv")
    column = read.frames[:, read.names.index("browInnerUp")]
    assert column[[0, 2]] == pytest.approx([0.2, 0.9], abs=1e-5) and 0.2 < column[1] < 0.9
    assert read.head[:, 0] == pytest.approx([0.0, 0.15, 0.3], abs=2e-3)
    assert (tmp_path / "curves.csv").read_text().splitlines()[1].split(",")[1] == "61"


def test_errors_change_nothing_and_leave_no_files(playing, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    before = census()
    for name in ("gltf", "fbx", "usd", "alembic", "maps", "curves"):
        with pytest.raises(RuntimeError, match="cannot be written"):
            getattr(bpy.ops.d3dmm, f"export_{name}")(filepath=str(tmp_path / "taken" / "face"))
    with pytest.raises(RuntimeError, match="cannot be exported"):
        bpy.ops.d3dmm.export_usd(
            filepath=str(tmp_path / "face.usdc"), scene_range=False, first_frame=9, last_frame=3
        )
    assert_same(before, census())
    playing.modifiers["D3DMM Detail"].node_group = shrinking_group(
        playing.modifiers["D3DMM Detail"].node_group
    )
    before = census()
    with pytest.raises(RuntimeError, match="a modifier changes its vertices"):
        bpy.ops.d3dmm.export_fbx(filepath=str(tmp_path / "face.fbx"), mesh="BASE", textures=False)
    assert_same(before, census())
    assert [item.name for item in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("name", ["gltf", "fbx", "usd", "curves"])
def test_data_and_handlers_that_others_make_meanwhile_stay(playing, tmp_path, name):
    """Another add-on's handler makes a datablock and adds a handler while the export visits its frames."""
    handlers = bpy.app.handlers.frame_change_pre

    def added_meanwhile(*_):
        pass

    def make_once(*_):
        if added_meanwhile not in handlers:
            handlers.append(added_meanwhile)
            bpy.data.texts.new("Note of another add-on").use_fake_user = True

    before = census()
    handlers.append(make_once)
    try:
        plain = {} if name == "curves" else {"textures": False}
        export = getattr(bpy.ops.d3dmm, f"export_{name}")
        assert export(filepath=str(tmp_path / "face"), **plain) == {"FINISHED"}
        assert list(handlers)[-2:] == [make_once, added_meanwhile]
        assert not any("Stage" in getattr(handler, "__qualname__", "") for handler in handlers)
    finally:
        for handler in (make_once, added_meanwhile):
            if handler in handlers:
                handlers.remove(handler)
    note = bpy.data.texts.get("Note of another add-on")
    assert note is not None
    bpy.data.texts.remove(note)
    assert_same(before, census())


def shrinking_group(group):
    """The detail's group with half of the vertices deleted at its end."""
    group = group.copy()
    sink = next(node for node in group.nodes if node.bl_idname == "NodeGroupOutput")
    cut = group.nodes.new("GeometryNodeDeleteGeometry")
    chance = group.nodes.new("FunctionNodeRandomValue")
    chance.data_type = "BOOLEAN"
    group.links.new(sink.inputs[0].links[0].from_socket, cut.inputs["Geometry"])
    group.links.new(next(socket for socket in chance.outputs if socket.enabled), cut.inputs["Selection"])
    group.links.new(cut.outputs[0], sink.inputs[0])
    return group


def test_without_a_face_or_the_format_the_button_is_grey_and_says_why(module):
    import addon_utils

    with pytest.raises(RuntimeError, match="Select a face first"):
        bpy.ops.d3dmm.export_gltf(filepath="/tmp/never.glb")
    bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False)
    addon_utils.disable("io_scene_fbx")
    try:
        assert not bpy.ops.d3dmm.export_fbx.poll() and bpy.ops.d3dmm.export_usd.poll()
        with pytest.raises(RuntimeError, match="add-on is off"):
            bpy.ops.d3dmm.export_fbx(filepath="/tmp/never.fbx")
    finally:
        addon_utils.enable("io_scene_fbx")
