"""Transfer between faces, files and photos; the light of a photo; before and after; nothing on a mistake."""

import json

import bpy
import numpy as np
import pytest


def values(face):
    return {key.name: key.value for key in face.data.shape_keys.key_blocks[1:]}


def other_face():
    assert bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False) == {"FINISHED"}
    made = bpy.context.active_object
    made.d3dmm.show_detail = False
    return made


def choose(face, **chosen):
    bpy.context.view_layer.objects.active = face
    settings = face.d3dmm_transfer
    for name in ("shape", "expression", "skin", "light", "pose"):
        setattr(settings, f"use_{name}", name in chosen)
        setattr(settings, f"{name}_amount", chosen.get(name, 1.0))
    return settings


def a_light():
    light = np.zeros((9, 3), np.float32)
    light[0], light[1], light[2], light[3] = 1.0, -0.35, 0.2, 0.3
    return light * (1.1, 1.0, 0.9)


def test_regions_of_an_expression_cross_and_come_back(face):
    source = other_face()
    for name in ("browInnerUp", "mouthSmileLeft", "jawOpen"):
        source.data.shape_keys.key_blocks[name].value = 0.8
    face.data.shape_keys.key_blocks["mouthFrownLeft"].value = 0.5
    before = values(face)
    settings = choose(face, expression=0.5)
    settings.source_kind, settings.source_face = "FACE", source
    settings.region_brows = False
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    after = values(face)
    assert after["browInnerUp"] == 0 and after["mouthSmileLeft"] == pytest.approx(0.4)
    assert after["mouthFrownLeft"] == pytest.approx(0.25)
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and values(face) == before
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and values(face) == after


def test_a_shape_and_a_skin_cross(face, module):
    source = other_face()
    source.d3dmm.age_offset, source.d3dmm.skin_tone = 1.5, 0.9
    settings = choose(face, shape=1.0, skin=1.0)
    settings.source_kind, settings.source_face = "FACE", source
    face.d3dmm.directions["age"].value = 0.5
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    model = module("detailed3dmm_addon.model.face_model")
    np.testing.assert_allclose(model.identity_of(face), model.identity_of(source), atol=1e-4)
    np.testing.assert_allclose(model.skin_of(face), model.skin_of(source), atol=1e-5)
    assert face.d3dmm.skin_tone == pytest.approx(0.9) and face.d3dmm.directions["age"].value == 0.5
    places = [np.empty(3 * len(item.data.vertices), np.float32) for item in (face, source)]
    for item, place in zip((face, source), places, strict=True):
        item.data.shape_keys.key_blocks[0].data.foreach_get("co", place)
    np.testing.assert_allclose(*places, atol=1e-4)


def test_the_tone_of_the_skin_panel_crosses_and_comes_back(face):
    source = other_face()
    source.d3dmm.skin.tone, face.d3dmm.skin.tone = -20.0, 56.0
    settings = choose(face, expression=1.0)
    settings.source_kind, settings.source_face = "FACE", source
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    assert face.d3dmm.skin.tone == pytest.approx(56)
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and face.d3dmm.skin.tone == pytest.approx(56)
    choose(face, skin=0.5)
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    assert face.d3dmm.skin.tone == pytest.approx(18)
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and face.d3dmm.skin.tone == pytest.approx(56)
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and face.d3dmm.skin.tone == pytest.approx(18)


def test_a_source_without_light_changes_nothing(face):
    source = other_face()
    source.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    settings = choose(face, expression=1.0, light=1.0)
    settings.source_kind, settings.source_face = "FACE", source
    before, worlds = values(face), len(bpy.data.worlds)
    with pytest.raises(RuntimeError, match="shows no light"):
        bpy.ops.d3dmm.transfer_attributes()
    assert values(face) == before and len(bpy.data.worlds) == worlds
    assert "Photo Light" not in bpy.data.collections


@pytest.mark.parametrize("content", ["no json", '{"light": [1, 2]}', '{"pose": [1, 2, "x"]}'])
def test_a_broken_file_changes_nothing(face, tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_text(content)
    settings = choose(face, expression=1.0)
    settings.source_kind, settings.source_path = "FILE", str(path)
    before = values(face)
    with pytest.raises(RuntimeError, match=r"broken\.json"):
        bpy.ops.d3dmm.transfer_attributes()
    assert values(face) == before


def test_a_file_gives_light_and_pose(face, tmp_path):
    path = tmp_path / "lit.json"
    path.write_text(json.dumps({"expression": {}, "light": a_light().tolist(), "pose": [20, -10, 5]}))
    settings = choose(face, light=1.0, pose=1.0)
    settings.source_kind, settings.source_path = "FILE", str(path)
    for _ in range(2):
        assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    lamps = [item for item in bpy.data.collections["Photo Light"].objects if item.type == "LIGHT"]
    assert 1 <= len(lamps) <= 3 and len(bpy.data.lights) == len(lamps)
    np.testing.assert_allclose(np.degrees(face.rotation_euler), (10, 5, 20), atol=1e-4)
    assert bpy.context.scene.world.name.startswith("Photo World")


def test_tone_after_a_fit_moves_between_skin_and_light(face, module):
    appearance = "detailed3dmm_addon.appearance."
    tone = module(appearance + "photo_tone")
    colour = module(appearance + "photo_colour")
    module(appearance + "photo_light").store_light(face, a_light())
    grey = bpy.data.images.new("Grey", 8, 8)
    colour.mix_photo(face.data.materials[0], colour.PhotoColour(grey, None, 1.0, 0.0))
    face[tone.FITTED_TONE] = face.d3dmm.skin.tone
    bpy.context.view_layer.objects.active = face
    assert bpy.ops.d3dmm.light_from_photo() == {"FINISHED"}

    def skin():
        nodes = face.data.materials[0].node_tree.nodes
        return np.array(nodes[colour.TONE_NODE].outputs[0].default_value[:3])

    def lamps():
        lights = [item.data for item in bpy.data.collections["Photo Light"].objects]
        return np.array([light.energy * np.array(light.color) for light in lights])

    def world():
        nodes = bpy.context.scene.world.node_tree.nodes
        return np.array(
            next(
                node.inputs["Color"].default_value[:3]
                for node in nodes
                if node.bl_idname == "ShaderNodeBackground"
            )
        )

    before, around = lamps(), world()
    assert np.allclose(skin(), 1)
    face.d3dmm.skin.tone -= 40
    assert (skin() < 0.7).all() and skin()[2] < skin()[0]
    assert np.allclose(lamps() * skin(), before, rtol=1e-4)
    assert np.allclose(world() * skin(), around, rtol=1e-4)
    bpy.data.collections["Photo Light"].objects[0].data.energy *= 2  # an artist's own
    face.d3dmm.skin.tone += 40
    assert np.allclose(lamps(), before * np.array([2.0] + [1.0] * (len(before) - 1))[:, None], rtol=1e-4)
    other = other_face()
    other.d3dmm.skin.tone -= 20
    assert np.allclose(lamps()[1:], before[1:], rtol=1e-4)


def test_a_white_ball_is_lit_as_the_harmonics_say(face, module, tmp_path):
    light = a_light()
    module("detailed3dmm_addon.appearance.photo_light").build_photo_light(bpy.context, face, light)
    scene = bpy.context.scene
    centre = np.array(face.bound_box).mean(0)
    face.hide_render = True
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.05, location=centre, segments=48, ring_count=24)
    ball = bpy.context.active_object
    bpy.ops.object.shade_smooth()
    material = bpy.data.materials.new("White")
    material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (0.5, 0.5, 0.5, 1)
    shader.inputs["Roughness"].default_value = 1.0
    shader.inputs["Specular IOR Level"].default_value = 0.0
    ball.data.materials.append(material)
    camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", 0.1
    camera.location = centre + (0, -0.5, 0)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples, scene.cycles.max_bounces = "CYCLES", 24, 0
    scene.render.resolution_x = scene.render.resolution_y = size = 48
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.view_settings.view_transform = "Raw" if "Raw" in _transforms(scene) else "Standard"
    scene.render.filepath = str(tmp_path / "ball.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    seen = np.array(image.pixels[:]).reshape(size, size, 4)[..., :3]
    at = (np.arange(size) + 0.5) / size * 2 - 1
    across, up = np.meshgrid(at, at)
    inside = across**2 + up**2 < 0.85
    depth = -np.sqrt(np.clip(1 - across**2 - up**2, 0, None))
    normals = np.stack([across, depth, up], 2)[inside]
    wanted = module("ml_backend.geometry.spherical_harmonics").harmonics(normals) @ light
    found = seen[inside]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.97
    ratio = found / wanted
    assert ratio.std() / ratio.mean() < 0.12
    main = [np.linalg.lstsq(normals, shading.mean(1), rcond=None)[0] for shading in (found, wanted)]
    cosine = main[0] @ main[1] / np.prod([np.linalg.norm(part) for part in main])
    assert np.degrees(np.arccos(cosine)) < 8


def _transforms(scene):
    return scene.view_settings.bl_rna.properties["view_transform"].enum_items.keys()


@pytest.mark.parametrize("fit", [False, True])
def test_a_photo_gives_expression_and_light(worker, face, photo, module, fit):
    settings = choose(face, expression=1.0, light=1.0, **({"skin": 1.0} if fit else {}))
    settings.source_kind, settings.source_path = "FILE", str(photo)
    settings.fit_photo, settings.use_hair = False, fit
    grown = module("detailed3dmm_addon.hair.hair_values").hair_values
    before, tone = grown(face), face.d3dmm.skin_tone
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    smile = [face.data.shape_keys.key_blocks[f"mouthSmile{side}"].value for side in ("Left", "Right")]
    assert min(smile) > 0.2
    assert bpy.data.collections["Photo Light"].objects
    assert (face.d3dmm.skin_tone != tone) == fit
    assert (grown(face) != before) == fit
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"}
    assert grown(face) == before and face.d3dmm.skin_tone == pytest.approx(tone)


def test_hair_of_a_face_crosses_and_comes_back(face, module):
    grown = module("detailed3dmm_addon.hair.hair_values").hair_values
    source = other_face()
    bpy.context.view_layer.objects.active = source
    assert bpy.ops.d3dmm.random_hair(seed=4) == {"FINISHED"}
    settings = choose(face)
    settings.source_kind, settings.source_face, settings.use_hair = "FACE", source, True
    before, keys = grown(face), values(face)
    assert grown(source) != before
    assert bpy.ops.d3dmm.transfer_attributes() == {"FINISHED"}
    assert grown(face) == grown(source) and values(face) == keys
    assert bpy.ops.d3dmm.swap_transfer() == {"FINISHED"} and grown(face) == before
