"""Face From Photo: what it makes of a photograph that scikit-image carries, and what it refuses."""

import bpy
import numpy as np
import pytest
from scene_state import state_of_scene


def seen_by(camera, scene, points):
    """World points (N, 3) to pixels (N, 2), row 0 at the top, as the camera renders them."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    window = np.array(camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=width, y=height))
    clip = (
        np.concatenate([points, np.ones((len(points), 1))], 1)
        @ (window @ np.array(camera.matrix_world.inverted())).T
    )
    return np.stack(
        [width / 2 * (clip[:, 0] / clip[:, 3] + 1), height / 2 * (1 - clip[:, 1] / clip[:, 3])], 1
    )


def test_a_photo_becomes_a_face_with_camera_colour_and_wrinkles(worker, photo, module):
    bpy.context.scene.cursor.location = (0.3, -0.2, 0.1)
    assert bpy.ops.d3dmm.fit_from_image(filepath=str(photo)) == {"FINISHED"}
    face, scene = bpy.context.active_object, bpy.context.scene
    settings, keys = face.d3dmm, face.data.shape_keys.key_blocks
    identity = np.array([item.value for item in settings.coefficients])
    assert np.abs(identity).max() > 0.1 and np.abs(identity).max() < 4
    assert keys["mouthSmileLeft"].value > 0.2 and all(0 <= key.value <= 1 for key in keys[1:])
    assert (
        settings.photo == "astronaut.png" and settings.photo_sure > 0.5 and "ure" in settings.photo_sureness
    )
    skin = settings.skin
    assert face["d3dmm_photo_tone"] == skin.tone and skin.use and 18 <= skin.age <= 85
    assert {skin.freckles, skin.redness, skin.tan} != {0.0, 0.25}
    assert settings.show_detail and face.data.get("d3dmm_full")
    assert -3.5 < settings.age_offset < 0  # shapes look older than people in photographs are
    assert any(face["d3dmm_photo_latent"])  # wrinkles were read off the photo
    camera = scene.camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == (512, 512)
    behind = camera.data.background_images[0].image
    assert tuple(behind.size) == (512, 512) and behind.packed_file is not None
    model = module("detailed3dmm_addon.model.face_model").face_model()
    shape = model.evaluate(identity.astype(np.float32), np.array([key.value for key in keys[1:]], np.float32))
    corners = shape[
        [
            model.landmarks[name][0]
            for name in ("eye_outer_right", "eye_outer_left", "lip_corner_right", "lip_corner_left")
        ]
    ]
    world = corners @ np.array(face.matrix_world)[:3, :3].T + np.array(face.matrix_world)[:3, 3]
    pixels = seen_by(camera, scene, world)
    # read off the picture by eye: outer corners of the eyes, corners of the mouth
    assert np.abs(pixels - [[193, 100], [259, 103], [204, 140], [244, 141]]).max() < 6
    nodes = face.data.materials[0].node_tree.nodes
    assert nodes["D3DMM Photo Colour"].outputs[0].default_value == 1.0
    settings.photo_colour = 0.25
    assert nodes["D3DMM Photo Colour"].outputs[0].default_value == 0.25
    assert nodes["D3DMM Photo Light"].outputs[0].default_value == 0.0
    settings.photo_light = 0.5
    assert nodes["D3DMM Photo Light"].outputs[0].default_value == 0.5
    assert bpy.data.images[f"{face.name} As Photographed"].packed_file is not None
    assert "degrees" in settings.photo_sureness and "Hair is a guess" in settings.photo_sureness
    grown = {
        child.name.split()[-1]: len(child.data.curves) for child in face.children if child.type == "CURVES"
    }
    assert {"Brows", "Lashes", "Scalp"} <= set(grown) and grown["Scalp"] > 5_000
    assert 0.5 < settings.id_data.d3dmm_hair.scalp.melanin < 0.97, "she has brown hair"
    albedo = bpy.data.images[f"{face.name} Albedo"]
    assert tuple(albedo.size) == (1024, 1024) and albedo.packed_file is not None


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_the_photos_camera_keeps_a_principal_point_beside_the_picture(module, unit):
    bpy.context.scene.unit_settings.scale_length = unit
    assert bpy.ops.d3dmm.create_face() == {"FINISHED"}
    face, scene = bpy.context.active_object, bpy.context.scene
    client, photo = module("ml_backend.process.client"), module("detailed3dmm_addon.characters.photo")
    view = module("ml_backend.geometry.camera_view")
    rotation = view.rotation_about(1, 0.3) @ view.FRONTAL
    for width, height, principal in ((90, 60, (20.0, 50.0)), (60, 90, (-25.0, 130.0))):
        camera = view.Camera(rotation, np.array([0.15, -0.1, 0.8]), 130.0, width, height, principal)
        off_centre = (camera.principal_point - (width / 2, height / 2)) / 90
        described = {"focal_of_longer_side": 130 / 90, "principal_off_centre": off_centre.tolist()}
        arrays = {
            "rotation": rotation[None], "translation": camera.translation[None],
            "photo": np.zeros((height, width, 3), np.uint8),
        }  # fmt: skip
        event = client.Event("result", parameters={"photos": [described]}, arrays=arrays)
        photo._add_camera(bpy.context, face, event, "cut.png")
        bpy.context.view_layer.update()
        points = np.random.default_rng(1).normal(0, 0.05, (20, 3))
        world = points @ np.array(face.matrix_world)[:3, :3].T + np.array(face.matrix_world)[:3, 3]
        np.testing.assert_allclose(seen_by(scene.camera, scene, world), camera.project(points)[0], atol=0.02)
        assert np.allclose(scene.camera.scale, 1.0, atol=1e-5)
        distances = np.linalg.norm(world - np.array(scene.camera.location), axis=1)
        assert scene.camera.data.clip_start < distances.min() < distances.max() < scene.camera.data.clip_end
        assert scene.camera.data.clip_start * unit == pytest.approx(0.01)


def test_the_share_of_the_photos_wrinkles_scales_their_latent(worker, photo):
    assert bpy.ops.d3dmm.fit_from_image(
        filepath=str(photo), keep_expression=False, photo_camera=False, hair=False
    ) == {"FINISHED"}
    assert not [child for child in bpy.context.active_object.children if child.type == "CURVES"]
    face = bpy.context.active_object
    assert bpy.context.scene.camera is None and all(
        key.value == 0 for key in face.data.shape_keys.key_blocks[1:]
    )
    face["d3dmm_photo_latent"] = np.linspace(-1, 1, 18 * 512).tolist()
    face.d3dmm.photo_wrinkles = 0.5
    assert np.allclose(np.array(face["d3dmm_latent_offset"]), 0.5 * np.linspace(-1, 1, 18 * 512), atol=1e-6)
    half = face.d3dmm.imported_map
    face.d3dmm.photo_wrinkles = 0.25
    assert (
        np.isclose(np.abs(np.array(face["d3dmm_latent_offset"])).max(), 0.25)
        and face.d3dmm.imported_map != half
    )
    face.d3dmm.photo_wrinkles = 0.0
    assert "d3dmm_latent_offset" not in face and face.d3dmm.imported_map == ""


def test_what_is_no_photo_and_shows_no_face_is_refused_and_leaves_the_scene(worker, tmp_path):
    before = set(bpy.data.objects)
    for name, content, match in (
        ("notes.txt", b"words", "not a photo"),
        ("broken.png", b"words", r"broken\.png"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=match):
            bpy.ops.d3dmm.fit_from_image(filepath=str(path))
    image = bpy.data.images.new("grey", 128, 128)
    image.filepath_raw, image.file_format = str(tmp_path / "grey.png"), "PNG"
    image.save()
    with pytest.raises(RuntimeError, match="no face was found"):
        bpy.ops.d3dmm.fit_from_image(filepath=str(tmp_path / "grey.png"))
    with pytest.raises(RuntimeError, match="no such file"):
        bpy.ops.d3dmm.fit_from_image(filepath=str(tmp_path / "missing.jpg"))
    assert set(bpy.data.objects) == before


def test_without_a_backend_the_button_says_why(no_worker):
    assert not bpy.ops.d3dmm.fit_from_image.poll()


def test_a_failure_after_the_fit_leaves_the_scene_as_it_was(worker, photo, failing_at):
    scene = bpy.context.scene
    before = state_of_scene(), scene.camera, scene.render.resolution_x, len(bpy.data.images)
    calls = failing_at(2)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        bpy.ops.d3dmm.fit_from_image(filepath=str(photo))
    assert calls == ["fit_from_image", "generate"]
    assert (state_of_scene(), scene.camera, scene.render.resolution_x, len(bpy.data.images)) == before
