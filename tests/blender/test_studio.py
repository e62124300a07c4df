"""Camera and Lights: five set-ups, a long lens, a turntable."""

import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ml_backend.models.bilinear_face import BilinearFace
from tools.portrait import frame_face

SET_UPS = ("SOFT", "REMBRANDT", "BUTTERFLY", "RIM", "OUTDOOR")


def studio_objects() -> dict[str, bpy.types.Object]:
    """Returns the objects of the studio's collection by name."""
    return {item.name: item for item in bpy.data.collections["Portrait Studio"].objects}


def test_every_set_up_frames_the_whole_head_through_a_long_lens(face):
    scene = bpy.context.scene
    front = min((face.matrix_world @ Vector(corner)).y for corner in face.bound_box)
    vertices = [face.matrix_world @ vertex.co for vertex in list(face.data.vertices)[::200]]
    for set_up in SET_UPS:
        assert bpy.ops.d3dmm.build_studio(set_up=set_up) == {"FINISHED"}
        bpy.context.view_layer.update()
        camera = scene.camera
        assert front - camera.matrix_world.translation.y >= 1.2
        assert camera.data.dof.use_dof and camera.data.dof.aperture_fstop == pytest.approx(11.0)
        seen = np.array([world_to_camera_view(scene, camera, place) for place in vertices])
        assert 0.85 < seen[:, 1].max() < 0.99 and seen[:, 0].min() > 0.02 and seen[:, 0].max() < 0.98
        assert camera.data.dof.focus_distance == pytest.approx(seen[:, 2].min(), abs=0.05)
        assert scene.view_settings.view_transform == "AgX"
        assert scene.view_settings.look == "AgX - Medium High Contrast"


def test_lamps_light_the_face_and_each_set_up_differs(face):
    kinds = {}
    for set_up in SET_UPS:
        bpy.ops.d3dmm.build_studio(set_up=set_up)
        bpy.context.view_layer.update()
        lamps = [item for item in studio_objects().values() if item.type == "LIGHT"]
        for lamp in lamps:
            towards = lamp.matrix_world.to_quaternion() @ Vector((0, 0, -1))
            to_face = (face.matrix_world.translation - lamp.matrix_world.translation).normalized()
            assert lamp.name.startswith("Background") or towards.dot(to_face) > 0.95
        kinds[set_up] = tuple((lamp.name, tuple(lamp.location)) for lamp in lamps)
    assert len(set(kinds.values())) == len(SET_UPS) and not kinds["OUTDOOR"]
    names = {image.name: image.packed_file is not None for image in bpy.data.images if "exr" in image.name}
    assert names and all(names.values())


def test_a_second_set_up_replaces_the_first_and_leaves_what_the_artist_added(face):
    bpy.ops.d3dmm.build_studio(set_up="RIM")
    own = bpy.data.objects.new("Own", None)
    bpy.data.collections["Portrait Studio"].objects.link(own)
    before = len(bpy.data.lights)
    bpy.ops.d3dmm.build_studio(set_up="RIM")
    assert len([item for item in bpy.context.scene.collection.children if "Studio" in item.name]) == 1
    assert len(bpy.data.lights) == before and len(bpy.data.cameras) == 1
    assert own.name in bpy.context.scene.objects


def test_the_turntable_goes_once_around_at_one_distance(face):
    scene = bpy.context.scene
    bpy.ops.d3dmm.build_studio(set_up="SOFT", turntable=40)
    places = []
    for frame in (1, 11, 21, 31, 41):
        scene.frame_set(frame)
        offset = scene.camera.matrix_world.translation - studio_objects()["Turntable"].location
        places.append(tuple(offset))
        view = scene.camera.matrix_world.to_quaternion() @ Vector((0, 0, -1))
        assert view.dot(-offset.normalized()) > 0.999
    x, y, _ = np.array(places).T
    radius = abs(y[0])
    assert np.allclose(x, np.array([0, 1, 0, -1, 0]) * radius, atol=1e-3)
    assert np.allclose(y, np.array([-1, 0, 1, 0, -1]) * radius, atol=1e-3)


def test_create_face_takes_the_set_up():
    bpy.ops.d3dmm.create_face(identity_seed=1, scene_setup=True, light="BUTTERFLY", update_detail=False)
    assert any(name.startswith("Reflector") for name in studio_objects())


def test_a_picture_of_the_face_alone_holds_lids_nose_and_mouth(face):
    bpy.ops.d3dmm.build_studio(set_up="SOFT")
    bpy.context.view_layer.update()
    scene = bpy.context.scene
    whole = frame_face(face, 2.3, 200)
    render = scene.render
    sides = [
        whole * (high - low)
        for low, high in (
            (render.border_min_x, render.border_max_x),
            (render.border_min_y, render.border_max_y),
        )
    ]
    assert sides == pytest.approx([200, 200], abs=2)
    landmarks = BilinearFace.default().landmarks
    for name in ("lid_upper_left", "lid_upper_right", "nose_tip", "lip_border_lower"):
        for vertex in landmarks[name]:
            place = face.matrix_world @ face.data.vertices[vertex].co
            x, y, _ = world_to_camera_view(scene, scene.camera, place)
            assert render.border_min_x < x < render.border_max_x
            assert render.border_min_y < y < render.border_max_y
    render.use_border = False
