"""A face has its true size in a scene of any unit, and looks and exports the same."""

import bpy
import numpy as np
import pytest
from mathutils import Vector
from scene_state import evaluated


def create(unit, system="METRIC"):
    bpy.context.scene.unit_settings.system = system
    bpy.context.scene.unit_settings.scale_length = unit
    assert bpy.ops.d3dmm.create_face(identity_seed=1, scene_setup=True, update_detail=False) == {"FINISHED"}
    return bpy.context.active_object


def height_in_metres(face, unit):
    corners = np.array([face.matrix_world @ vertex.co for vertex in face.data.vertices])
    return float(np.ptp(corners[:, 2])) * unit


def rendered(path):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 4
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = 48
    scene.render.filepath = str(path)
    scene.render.image_settings.file_format = "OPEN_EXR"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    return np.array(image.pixels).reshape(48, 48, -1)[..., :3]


@pytest.mark.parametrize("unit", [0.01, 0.001, 0.0254, 1000.0])
def test_a_face_has_its_true_size_in_every_unit(unit):
    metres = height_in_metres(create(1.0), 1.0)
    assert 0.2 < metres < 0.5
    bpy.ops.wm.read_homefile(use_empty=True)
    face = create(unit)
    assert height_in_metres(face, unit) == pytest.approx(metres, rel=1e-5)
    camera = bpy.context.scene.camera
    distance = (camera.location - face.location).length
    assert camera.data.clip_start < 0.1 * distance and camera.data.clip_end > 10 * distance
    bpy.ops.d3dmm.create_face(identity_seed=2, update_detail=False)
    assert bpy.context.active_object.location.x * unit == pytest.approx(0.3, rel=1e-5)


def test_a_scene_in_metres_or_without_units_is_as_it_was(module):
    for unit, system in ((1.0, "METRIC"), (0.01, "NONE")):
        bpy.ops.wm.read_homefile(use_empty=True)
        face = create(unit, system)
        assert tuple(face.scale) == (1.0, 1.0, 1.0)
        camera = bpy.context.scene.camera
        fresh = bpy.data.cameras.new("Fresh")
        assert camera.data.clip_start == np.float32(0.01) and camera.data.clip_end == fresh.clip_end
        lamps = module("detailed3dmm_addon.appearance.studio").SET_UPS["SOFT"].lamps
        assert {light.name: light.energy for light in bpy.data.lights} == {
            f"{lamp.name} Light": np.float32(lamp.watts) for lamp in lamps
        }
        shader = face.data.materials[0].node_tree.nodes["Principled BSDF"]
        assert shader.inputs["Subsurface Scale"].default_value == np.float32(0.0032)


def test_wrinkles_keep_their_millimetres():
    face = create(0.01)
    shown = np.array([face.matrix_world @ Vector(place) for place in evaluated(face)])
    face.d3dmm.show_detail = False
    smooth = np.array([face.matrix_world @ Vector(place) for place in evaluated(face)])
    moved = np.linalg.norm(shown - smooth, axis=1) * 0.01
    bpy.ops.wm.read_homefile(use_empty=True)
    face = create(1.0)
    shown = evaluated(face)
    face.d3dmm.show_detail = False
    expected = np.linalg.norm(shown - evaluated(face), axis=1)
    assert 3e-5 < expected.max() < 4e-3 and np.abs(moved - expected).max() < 2e-6


def test_a_portrait_in_centimetres_looks_as_one_in_metres(tmp_path):
    create(1.0)
    expected = rendered(tmp_path / "metres.exr")
    bpy.ops.wm.read_homefile(use_empty=True)
    create(0.01)
    seen = rendered(tmp_path / "centimetres.exr")
    assert expected.std() > 0.02
    assert np.abs(seen - expected).mean() < 0.02 * expected.mean()


@pytest.mark.parametrize("kind", ["gltf", "fbx", "usd", "alembic"])
def test_exports_are_of_true_size(tmp_path, kind):
    face = create(0.01)
    bpy.context.scene.frame_end = 2
    size = height_in_metres(face, 0.01)
    suffix = {"gltf": ".glb", "fbx": ".fbx", "usd": ".usdc", "alembic": ".abc"}[kind]
    path = tmp_path / f"face{suffix}"
    export = getattr(bpy.ops.d3dmm, f"export_{kind}")
    plain = {} if kind == "alembic" else {"textures": False}
    assert export(filepath=str(path), **plain) == {"FINISHED"}
    bpy.ops.wm.read_homefile(use_empty=True)
    read = {
        "gltf": bpy.ops.import_scene.gltf,
        "fbx": bpy.ops.import_scene.fbx,
        "usd": bpy.ops.wm.usd_import,
        "alembic": bpy.ops.wm.alembic_import,
    }[kind]
    if kind == "fbx":
        bpy.ops.preferences.addon_enable(module="io_scene_fbx")
    read(filepath=str(path))
    bpy.context.view_layer.update()
    mesh = max(
        (item for item in bpy.data.objects if item.type == "MESH"), key=lambda item: len(item.data.vertices)
    )
    corners = np.array([mesh.matrix_world @ vertex.co for vertex in mesh.data.vertices])
    assert float(np.ptp(corners, axis=0)[2]) == pytest.approx(size, rel=0.05), kind
