"""Add Detail to Mesh: a head with ARKit's shape keys wrinkles where it folds; removal leaves no trace."""

import re

import bpy
import numpy as np
import pytest
from ict_head import FILE, ict_head
from other_head import KEYS, UNITS, make_other_head
from scene_state import evaluated


@pytest.fixture
def other_head(module):
    return make_other_head(module)


def attribute(item, name) -> np.ndarray:
    values = np.empty(len(item.data.vertices), np.float32)
    item.data.attributes[name].data.foreach_get("value", values)
    return values


def field_of(item, name) -> np.ndarray:
    """The field that a shape key drives."""
    modifier = item.modifiers["D3DMM Detail"]
    inputs = {
        entry.identifier: entry.name
        for entry in modifier.node_group.interface.items_tree
        if entry.in_out == "INPUT"
    }
    for curve in item.animation_data.drivers:
        if any(name in variable.targets[0].data_path for variable in curve.driver.variables):
            number = inputs[re.search(r"Socket_\d+", curve.data_path)[0]].split()[-1]
            return attribute(item, f"d3dmm_detail_{int(number):02d}")
    raise AssertionError(name)


def expected_fields(module, uv, age, seed):
    return module("detailed3dmm_addon.other_heads.detail")._fields_at(truth(module, uv), age, seed)


def truth(module, uv):
    kind = module("detailed3dmm_addon.other_heads.correspondence").Correspondence
    return kind(uv, np.ones(len(uv), np.float32), UNITS, 0.002, True)


def test_wrapping_finds_our_skin_on_another_person_in_other_units(other_head, module):
    head, uv = other_head
    assert bpy.ops.d3dmm.add_detail_to_mesh.poll()
    found = module("detailed3dmm_addon.other_heads.correspondence").find_correspondence(head, "WRAP")
    assert found.scale == pytest.approx(UNITS, rel=0.12) and not found.by_uv
    model, space = module("detailed3dmm_addon.model.face_model"), module("ml_backend.geometry.texture_space")
    fast = module("detailed3dmm_addon.detail.distilled")
    wrinkling = (np.abs(fast.distilled_model().fields_at(uv).fields).max(1) > 0.01) & (found.trust > 0.5)
    assert wrinkling.mean() > 0.3
    dense = model.dense_mesh()
    skin = (model.dense_parts() == 0)[dense.polygons[:, 0]]
    halves = [
        np.concatenate([table[skin][:, [0, 1, 2]], table[skin][:, [0, 2, 3]]])
        for table in (dense.polygons, dense.uv_polygons)
    ]
    places = space.rasterise(dense.uv, halves[1], halves[0], 512).spread(
        dense.refine(model.face_model().mean)
    )
    apart = np.linalg.norm(
        space.sample_map(places, found.uv[wrinkling]) - space.sample_map(places, uv[wrinkling]), axis=1
    )
    assert np.median(apart) < 0.004 and np.quantile(apart, 0.9) < 0.010, (
        np.median(apart),
        np.quantile(apart, 0.9),
    )


def test_texture_coordinates_that_agree_are_used_and_exact(other_head, module):
    head, uv = other_head
    layer = head.data.uv_layers.new(name="UVMap")
    corners = np.empty(len(head.data.loops), np.int32)
    head.data.loops.foreach_get("vertex_index", corners)
    layer.data.foreach_set("uv", uv[corners].ravel())
    assert bpy.ops.d3dmm.add_detail_to_mesh(age=60, seed=2) == {"FINISHED"}
    mean, fields = expected_fields(module, uv, 60.0, 2)
    ratio = np.dot(attribute(head, "d3dmm_detail_mean"), mean) / np.dot(mean, mean)
    assert ratio == pytest.approx(1.0, rel=0.12)
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    smile = field_of(head, "MouthSmileLeft")
    assert np.corrcoef(smile, fields[names.index("mouthSmileLeft")])[0, 1] > 0.999
    layer.data.foreach_set("uv", np.roll(uv, 1, 1)[corners].ravel())
    assert bpy.ops.d3dmm.remove_mesh_detail() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="not laid out as ours"):
        bpy.ops.d3dmm.add_detail_to_mesh(method="UV")
    assert "d3dmm_mesh_detail" not in head and not head.modifiers


def test_its_own_keys_drive_the_wrinkles_natively_and_removal_leaves_nothing(other_head, tmp_path):
    head, uv = other_head
    layer = head.data.uv_layers.new(name="UVMap")
    corners = np.empty(len(head.data.loops), np.int32)
    head.data.loops.foreach_get("vertex_index", corners)
    layer.data.foreach_set("uv", uv[corners].ravel())
    head.data["kept"], original, count = 1, head.data, len(head.data.vertices)
    before = sorted(item.name for item in head.data.attributes)
    bpy.ops.d3dmm.add_detail_to_mesh(subdivisions=1, age=60)
    assert head.data != original and len(head.data.vertices) > 3 * count
    keys, modifier = head.data.shape_keys.key_blocks, head.modifiers["D3DMM Detail"]
    keys["MouthSmileLeft"].value = 0.5
    bpy.context.view_layer.update()
    modifier.show_viewport = False
    smooth, normals = evaluated(head), vertex_normals(head)
    modifier.show_viewport = True
    height = attribute(head, "d3dmm_detail_mean") + 0.5 * field_of(head, "MouthSmileLeft")
    moved = evaluated(head) - smooth
    assert np.abs(moved - normals * height[:, None] * 1e-3).max() < 2e-5 * UNITS
    assert np.abs(height).max() > 0.2 * UNITS
    assert bpy.ops.d3dmm.remove_mesh_detail() == {"FINISHED"}
    assert (
        head.data == original
        and not head.modifiers
        and not (head.animation_data and head.animation_data.drivers)
    )
    assert (
        sorted(item.name for item in head.data.attributes) == before
        and len(bpy.data.meshes) == 1
        and not bpy.data.node_groups
    )
    assert head.data.shape_keys.key_blocks["MouthSmileLeft"].value == 0.5 and "d3dmm_mesh_detail" not in head


def vertex_normals(item) -> np.ndarray:
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    return normals


@pytest.mark.skipif(
    not FILE.is_file(), reason="ICT-FaceKit's head is test data that lies outside the repository"
)
def test_ict_facekits_head_wrinkles_where_its_own_keys_fold_it(module):
    head = ict_head()
    assert bpy.ops.d3dmm.add_detail_to_mesh(age=65) == {"FINISHED"}
    materials = [material.name for material in head.data.materials]
    fields = [
        item.name
        for item in head.data.attributes
        if item.name.startswith("d3dmm_detail_") and not item.name.endswith("mean")
    ]
    assert len(fields) > 30
    touched = np.max([np.abs(attribute(head, name)) for name in fields], 0) > 0.01
    assert 1500 < touched.sum() < 14000
    for polygon in head.data.polygons:
        if not materials[polygon.material_index].startswith(("M_Face", "M_BackHead")):
            assert not touched[list(polygon.vertices)].any(), materials[polygon.material_index]
    keys = head.data.shape_keys.key_blocks
    rest = shape_of(keys[0])
    heights = {}
    for name in ("browInnerUp_L", "mouthSmile_L", "mouthSmile_R", "noseSneer_L"):
        moved = np.linalg.norm(shape_of(keys[name]) - rest, axis=1)
        energy = field_of(head, name) ** 2
        near = moved > 0.08 * moved.max()
        assert energy[near].sum() > 0.6 * energy.sum(), name
        heights[name] = energy @ rest / energy.sum()
    eyes = rest[
        [
            vertex
            for polygon in head.data.polygons
            if "Iris" in materials[polygon.material_index]
            for vertex in polygon.vertices
        ]
    ]
    assert heights["browInnerUp_L"][2] > eyes[:, 2].max() + 0.01 > heights["mouthSmile_L"][2]
    assert heights["mouthSmile_L"][0] > 0.01 and heights["mouthSmile_R"][0] < -0.01


def shape_of(key) -> np.ndarray:
    found = np.empty((len(key.points), 3), np.float32)
    key.points.foreach_get("co", found.ravel())
    return found


def test_the_linear_sum_is_close_to_the_model_on_every_preset(module):
    detail, fast = (
        module("detailed3dmm_addon.other_heads.detail"),
        module("detailed3dmm_addon.detail.distilled"),
    )
    model, distilled = module("detailed3dmm_addon.model.face_model").face_model(), fast.distilled_model()
    names, presets = module("ml_backend.expression_names").EXPRESSION_NAMES, detail.EXPRESSION_PRESETS
    identity = model.identity_from_directions(
        {"age": 60 - model.age_years(np.zeros(model.identity_size, np.float32))}
    )
    rest, steps = detail._expression_steps(60.0, 3)
    fields, errors = fast.dense_fields().fields, []
    for _, values in presets.values():
        expression = np.array([values.get(name, 0.0) for name in names], np.float32)
        exact = (
            distilled.coefficients(
                identity, module("ml_backend.models.skin_vector").sample_skin(3), expression
            )
            - rest
        )
        errors.append(np.linalg.norm(fields @ (expression @ steps - exact)) / np.linalg.norm(fields @ exact))
    assert np.mean(errors) < 0.22 and np.max(errors) < 0.55, errors


def test_what_is_no_head_is_grey_or_refused_and_stays_as_it_was(module):
    bpy.ops.mesh.primitive_uv_sphere_add()
    ball = bpy.context.active_object
    with pytest.raises(RuntimeError, match="fewer than"):
        bpy.ops.d3dmm.add_detail_to_mesh()
    ball.shape_key_add(name="Basis")
    draw = np.random.default_rng(1)
    for name in KEYS.split():
        key = ball.shape_key_add(name=name, from_mix=False)
        key.value = 0.0
        for index in draw.integers(len(ball.data.vertices), size=3):
            key.points[int(index)].co.z += 0.3
    with pytest.raises(RuntimeError, match="do not lie as on a human head"):
        bpy.ops.d3dmm.add_detail_to_mesh()
    assert (
        not ball.modifiers
        and "d3dmm_mesh_detail" not in ball
        and not any(a.name.startswith("d3dmm") for a in ball.data.attributes)
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "browDownLeft",
        "BrowDownLeft",
        "brow_down_left",
        "browDown_L",
        "browDownL",
        "Face.browDownLeft",
        "browDown.L",
        "browDown-L",
        "A06_Brow_Down_Left",
        "blendShape1.browDownLeft",
        "Head:browDownLeft",
        "ns:Head_blendShapes.browDownLeft",
        "|group|face|browDownLeft",
        "L_browDown",
        "BROW_DOWN_LEFT",
        "brow down left",
        "head_GEO_browDownLeft.001",
    ],
)
def test_common_spellings_of_a_key_are_known(module, spelling):
    bpy.ops.mesh.primitive_plane_add()
    plane = bpy.context.active_object
    for name in ("Basis", spelling, "jawOpen", "mouthLeft", "cheekPuff_L", "cheekPuff_R"):
        plane.shape_key_add(name=name)
    found = module("detailed3dmm_addon.model.arkit_keys").expression_keys(plane.data)
    assert found == {
        "browDownLeft": [spelling],
        "jawOpen": ["jawOpen"],
        "mouthLeft": ["mouthLeft"],
        "cheekPuff": ["cheekPuff_L", "cheekPuff_R"],
    }


@pytest.mark.parametrize(
    "spelling",
    ["upper_browDownLeft", "browDownLefty", "browDownLower", "myBrowDownLeft", "browDown_left_fix"],
)
def test_other_expressions_are_not_taken_for_arkits(module, spelling):
    found = module("ml_backend.expression_matching").match_expressions([spelling])
    assert found == {}


def test_the_nearest_name_counts_and_every_name_is_found_behind_every_prefix(module):
    arkit = module("ml_backend.expression_matching")
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    assert arkit.match_expressions(["old.jawOpen", "jawOpen", "x.jawOpen"]) == {"jawOpen": ["jawOpen"]}
    for prefix in ("", "blendShape1.", "Head:", "A01_", "face|"):
        assert arkit.match_expressions(prefix + name for name in names) == {
            name: [prefix + name] for name in names
        }
        capital = [prefix + name[0].upper() + name[1:] for name in names]
        assert len(arkit.match_expressions(capital)) == 52
