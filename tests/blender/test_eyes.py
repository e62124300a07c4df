"""Eyes: eyeballs that follow every shape, their sliders, the gaze target, files without the extension."""

import bpy
import numpy as np
import pytest
from mathutils import Vector
from scene_state import evaluated


def instances() -> dict[str, list[tuple[np.ndarray, np.ndarray | None]]]:
    """Returns what the modifier sets in by its first material: positions in metres, the look of an eye."""
    graph = bpy.context.evaluated_depsgraph_get()
    found = {}
    for item in graph.object_instances:
        mesh = item.object.data
        if not item.is_instance or not isinstance(mesh, bpy.types.Mesh):
            continue
        positions = np.empty((len(mesh.vertices), 3), np.float32)
        mesh.vertices.foreach_get("co", positions.ravel())
        matrix = np.array(item.matrix_world)
        placed = positions @ matrix[:3, :3].T + matrix[:3, 3]
        state = mesh.attributes.get("d3dmm_eye_look")
        values = None if state is None else np.array(state.data[0].vector)
        found.setdefault(mesh.materials[0].name, []).append((placed, values))
    return found


def eyeballs():
    """Returns centres (2, 3), directions (2, 3) and positions of the eyeballs, the person's left first."""
    balls = sorted((placed for placed, _ in instances()["Eyeball"]), key=lambda ball: -ball[:, 0].mean())
    apexes = np.array([ball[0] for ball in balls])
    rims = np.array([ball[1:65].mean(0) for ball in balls])
    centres = []
    for apex, rim in zip(apexes, rims, strict=True):
        axis = (apex - rim) / np.linalg.norm(apex - rim)
        centres.append(apex - axis * 1.085 * 0.012)
    centres = np.array(centres)
    directions = (apexes - centres) / np.linalg.norm(apexes - centres, axis=1, keepdims=True)
    return centres, directions, balls


def model_eyes(face, module):
    """Returns the centres (2, 3) of the model's own eyes as they are evaluated."""
    model = module("detailed3dmm_addon.model.face_model")
    part, names = model.dense_parts(), model.face_model().part_names
    shown = evaluated(face)
    return np.array([shown[part == names.index(name)].mean(0) for name in ("eye_left", "eye_right")])


def test_eyeballs_sit_where_the_models_eyes_are_whoever_the_person_is(face, module):
    for age in (0.0, 0.8):
        face.d3dmm.directions["age"].value = age
        bpy.context.view_layer.update()
        centres, directions, _ = eyeballs()
        assert np.abs(centres - model_eyes(face, module)).max() < 2e-5
        assert np.allclose(directions, (0, -1, 0), atol=6e-3)


def test_eyes_turn_as_arkits_look_keys_say(face):
    keys = face.data.shape_keys.key_blocks
    for name, axis, sign in (("eyeLookUp", 2, 1), ("eyeLookDown", 2, -1)):
        for side in ("Left", "Right"):
            keys[f"{name}{side}"].value = 1.0
        bpy.context.view_layer.update()
        _, directions, _ = eyeballs()
        assert (directions[:, axis] * sign > 0.3).all()
        for side in ("Left", "Right"):
            keys[f"{name}{side}"].value = 0.0
    keys["eyeLookOutLeft"].value = 1.0
    bpy.context.view_layer.update()
    _, directions, _ = eyeballs()
    assert directions[0, 0] == pytest.approx(np.sin(0.471), abs=0.02) and abs(directions[1, 0]) < 6e-3


def test_solid_shading_shows_white_eyes_with_a_dark_iris_behind_a_clear_cornea(face):
    mesh = bpy.data.objects["D3DMM Eyeball"].data
    colours = {material.name: np.array(material.diffuse_color) for material in mesh.materials}
    assert colours["Eyeball"].min() > 0.9 and colours["Iris"][:3].max() < 0.05 and colours["Cornea"][3] < 0.1
    of = {material.name: index for index, material in enumerate(mesh.materials)}
    for polygon in mesh.polygons:
        forward = -polygon.center.normalized().y
        if polygon.material_index == of["Cornea"]:
            assert forward > 0.85
        elif polygon.material_index == of["Eyeball"]:
            assert forward < 0.9
    behind, lashes = bpy.data.materials["Eyes Behind Eyeballs"], bpy.data.materials[f"{face.name} Lashes"]
    assert behind.diffuse_color[3] == 0.0 and lashes.diffuse_color[3] < 0.2


def test_sliders_reach_the_materials_and_can_be_keyed(face):
    face.d3dmm.pupil = 0.6
    face.d3dmm.iris_seed = 12
    face.d3dmm.iris_colour = (0.2, 0.3, 0.4)
    bpy.context.view_layer.update()
    looks = [values for _, values in instances()["Eyeball"]]
    assert np.allclose([look[0] for look in looks], 0.6) and all(abs(look[1] - 12) < 0.5 for look in looks)
    assert tuple(face.d3dmm.iris_colour) == pytest.approx((0.2, 0.3, 0.4))
    modifier = face.modifiers["D3DMM Eyes"]
    path = next(item.identifier for item in modifier.node_group.interface.items_tree if item.name == "Pupil")
    if getattr(modifier, "properties", None) is None:
        for frame, value in ((1, 0.2), (11, 0.5)):
            modifier[path] = value
            face.keyframe_insert(f'modifiers["D3DMM Eyes"]["{path}"]', frame=frame)
        bpy.context.scene.frame_set(11)
        assert np.allclose([values[0] for _, values in instances()["Eyeball"]], 0.5)


def test_both_eyes_follow_the_gaze_target_within_their_range(face):
    assert bpy.ops.d3dmm.add_gaze_target() == {"FINISHED"}
    empty = bpy.data.objects[f"{face.name} Gaze"]
    face.location = (0.1, 0.2, 0.3)
    for target in ((0.0, -1.0, 0.036), (0.3, -0.6, 0.1), (-0.25, -0.8, -0.1)):
        empty.location = Vector(target) + face.location
        bpy.context.view_layer.update()
        centres, directions, _ = eyeballs()
        wanted = np.array(empty.location) - centres
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        assert np.degrees(np.arccos((wanted * directions).sum(1))).max() < 0.5
    empty.location = (5.0, 0.2, 0.3)
    bpy.context.view_layer.update()
    _, directions, _ = eyeballs()
    assert np.allclose(np.degrees(np.arctan2(directions[:, 0], -directions[:, 1])), 37.8, atol=0.5)
    bpy.data.objects.remove(empty)
    bpy.context.view_layer.update()
    _, directions, _ = eyeballs()
    assert np.allclose(directions, (0, -1, 0), atol=6e-3)


def test_lids_follow_the_gaze_as_the_look_keys_move_them(face, module):
    model = module("detailed3dmm_addon.model.face_model").face_model()
    rim = model.landmarks["lid_upper_left"]
    bpy.ops.d3dmm.add_gaze_target()
    assert bpy.ops.d3dmm.random_face(seed=11) == {"FINISHED"}  # the lids are the new person's
    module("detailed3dmm_addon.detail.follow").finish_shapes(face)
    rest = evaluated(face)[rim]
    empty = bpy.data.objects[f"{face.name} Gaze"]
    centre = model_eyes(face, module)[0]
    empty.location = Vector(centre.tolist()) + Vector((0.0, -np.cos(0.419), -np.sin(0.419)))
    bpy.context.view_layer.update()
    followed = evaluated(face)[rim]
    face.modifiers["D3DMM Eyes"].show_viewport = False
    face.data.shape_keys.key_blocks["eyeLookDownLeft"].value = 1.0
    bpy.context.view_layer.update()
    keyed = evaluated(face)[rim]
    assert np.linalg.norm(keyed - rest, axis=1).max() > 0.004
    assert np.abs(followed - keyed).max() < 4e-4


def test_a_removed_gaze_target_leaves_the_eyes_to_the_clip(face):
    bpy.ops.d3dmm.add_gaze_target()
    bpy.data.objects[f"{face.name} Gaze"].location = (0.3, -0.6, 0.1)
    assert bpy.ops.d3dmm.remove_gaze_target() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert f"{face.name} Gaze" not in bpy.data.objects
    assert np.allclose(eyeballs()[1], (0, -1, 0), atol=6e-3)
    assert bpy.ops.d3dmm.add_gaze_target() == {"FINISHED"} and f"{face.name} Gaze" in bpy.data.objects


def test_a_gaze_on_top_of_a_clip_moves_no_lid_twice(face, module):
    model = module("detailed3dmm_addon.model.face_model").face_model()
    rim = np.concatenate([model.landmarks[f"lid_{lid}_left"] for lid in ("upper", "lower")])
    bpy.ops.d3dmm.add_gaze_target()
    keys = face.data.shape_keys.key_blocks
    for side in ("Left", "Right"):
        keys[f"eyeLookDown{side}"].value = 1.0
    bpy.context.view_layer.update()
    _, directions, _ = eyeballs()
    assert np.abs(directions[:, 2]).max() < 0.02
    shown = evaluated(face)[rim]
    for side in ("Left", "Right"):
        keys[f"eyeLookDown{side}"].value = 0.0
    bpy.context.view_layer.update()
    assert np.abs(evaluated(face)[rim] - shown).max() < 4e-4


def test_lids_ride_over_the_cornea(face, module):
    model = module("detailed3dmm_addon.model.face_model").face_model()
    shapes = module("detailed3dmm_addon.appearance.eye_shapes")
    keys = face.data.shape_keys.key_blocks
    for blink in (0.0, 0.2, 0.35, 0.5, 0.8):
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            keys[name].value = blink
        bpy.context.view_layer.update()
        centres, directions, _ = eyeballs()
        shown = evaluated(face)
        for index, side in enumerate(("left", "right")):
            offset = shown[model.landmarks[f"lid_upper_{side}"]] - centres[index]
            length = np.linalg.norm(offset, axis=1)
            angle = np.arccos(np.clip(offset @ directions[index] / length, -1, 1))
            assert (length > shapes.cornea_radius(angle) * 0.012 - 5e-5).all()


def test_caruncle_and_tears_hang_between_lids_and_eyeball(face, module):
    ((corners, _),) = instances()["Eye Corners and Tears"]
    centres, _, _ = eyeballs()
    nearest = np.linalg.norm(corners[:, None] - centres[None], axis=2).min(1)
    assert np.isfinite(corners).all() and nearest.min() > 0.0115 and nearest.max() < 0.0155


def test_the_pigment_of_dark_skin_reaches_lids_and_eyeballs(face):
    def pigments() -> set[tuple[str, float]]:
        graph = bpy.context.evaluated_depsgraph_get()
        found = set()
        for item in graph.object_instances:
            mesh = item.object.data
            if item.is_instance and isinstance(mesh, bpy.types.Mesh) and "d3dmm_pigment" in mesh.attributes:
                values = [point.value for point in mesh.attributes["d3dmm_pigment"].data[:5]]
                found.add((mesh.materials[0].name, round(max(values), 2)))
        return found

    for tone, pigment in ((50.0, 0.0), (-50.0, 1.0)):
        face.d3dmm.skin.tone = tone
        bpy.context.view_layer.update()
        assert pigments() == {("Eyeball", pigment), ("Eye Corners and Tears", pigment)}


def test_eyes_stay_when_the_extension_is_not_there(face, tmp_path):
    bpy.ops.d3dmm.add_gaze_target()
    group = face.modifiers["D3DMM Eyes"].node_group
    kinds = {node.bl_idname for node in group.nodes}
    assert "GeometryNodeObjectInfo" in kinds and all(
        kind.startswith(("Geometry", "Function", "Node", "Shader")) for kind in kinds
    )
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "eyes.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "eyes.blend"))
    face = next(item for item in bpy.data.objects if item.modifiers.get("D3DMM Eyes"))
    _, directions, _ = eyeballs()
    assert np.allclose(directions[:, 1], -1, atol=0.01)
    assert sorted(instances()) == ["Eye Corners and Tears", "Eyeball"]


def test_a_face_file_holds_the_eyes(face, tmp_path):
    face.d3dmm.pupil = 0.55
    face.d3dmm.eye_veins = 0.9
    face.d3dmm.iris_seed = 8
    face.d3dmm.iris_colour = (0.1, 0.2, 0.3)
    face.d3dmm.iris_second_colour = (0.3, 0.2, 0.1)
    path = str(tmp_path / "eyes.json")
    assert bpy.ops.d3dmm.save_face(filepath=path) == {"FINISHED"}
    for name, value in {"pupil": 0.2, "eye_veins": 0.1, "iris_seed": 1}.items():
        setattr(face.d3dmm, name, value)
    face.d3dmm.iris_colour = face.d3dmm.iris_second_colour = (0.0, 0.0, 0.0)
    assert bpy.ops.d3dmm.load_face(filepath=path) == {"FINISHED"}
    assert (face.d3dmm.pupil, face.d3dmm.eye_veins) == pytest.approx((0.55, 0.9))
    assert face.d3dmm.iris_seed == 8
    assert tuple(face.d3dmm.iris_colour) == pytest.approx((0.1, 0.2, 0.3))
    assert tuple(face.d3dmm.iris_second_colour) == pytest.approx((0.3, 0.2, 0.1))


def test_a_face_without_eyes_gets_them_once(face):
    face.modifiers.remove(face.modifiers["D3DMM Eyes"])
    assert face.d3dmm.pupil == pytest.approx(0.32)
    assert bpy.ops.d3dmm.add_eyes() == {"FINISHED"} and bpy.ops.d3dmm.add_eyes() == {"FINISHED"}
    assert [modifier.name for modifier in face.modifiers].count("D3DMM Eyes") == 1
    assert len(instances()["Eyeball"]) == 2


def test_another_person_has_their_own_irises_unless_the_artist_chose_them():
    bpy.ops.d3dmm.create_face(identity_seed=3, skin_tone=0.2, update_detail=False, hair=False)
    face = bpy.context.active_object
    first = tuple(face.d3dmm.iris_colour)
    bpy.ops.d3dmm.random_face(seed=4)
    second = tuple(face.d3dmm.iris_colour)
    assert second != pytest.approx(first) and face.d3dmm.iris_seed == 4
    bpy.ops.d3dmm.random_face(seed=3)
    face.d3dmm.skin_tone = 0.2
    face.d3dmm.iris_colour = (0.2, 0.3, 0.4)
    bpy.ops.d3dmm.random_face(seed=9)
    assert tuple(face.d3dmm.iris_colour) == pytest.approx((0.2, 0.3, 0.4)) and face.d3dmm.iris_seed == 3
