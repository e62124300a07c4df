"""Add Detail to Mesh reports a part as a part: reversed faces, missing names or skin, other meshes."""

import re
from itertools import pairwise

import bmesh
import bpy
import numpy as np
import pytest
from other_head import KEYS, UNITS, lay_out, make_other_head

WARNING, INFO = {"WARNING"}, {"INFO"}


@pytest.fixture
def laid_out(module):
    """Returns another head with our texture layout: its match takes no time."""
    head, uv = make_other_head(module)
    lay_out(head, uv)
    return head


def reverse(head, faces) -> None:
    edited = bmesh.new()
    edited.from_mesh(head.data)
    edited.faces.ensure_lookup_table()
    bmesh.ops.reverse_faces(edited, faces=[edited.faces[index] for index in faces])
    edited.to_mesh(head.data)
    edited.free()


def add_and_report(module, head, *others):
    """Adds the detail; returns the kind of the report and its sentence."""
    added = module("detailed3dmm_addon.other_heads.detail").add_mesh_detail(head, "AUTO", 0, 60.0, 2)
    return module("detailed3dmm_addon.other_heads.report").report_detail(added, head, (head, *others))


@pytest.mark.parametrize(("step", "share"), [(1, 100), (2, 50), (5, 20), (20, 5)])
def test_faces_inside_out_are_refused_with_their_share_and_nothing_is_touched(laid_out, step, share):
    head = laid_out
    reverse(head, range(0, len(head.data.polygons), step))
    attributes = sorted(item.name for item in head.data.attributes)
    message = r"(\d+)% of the faces of its skin are inside out.\n.*Recalculate Outside"
    for method, subdivisions in (("AUTO", 0), ("WRAP", 1)):
        mesh = head.data
        with pytest.raises(RuntimeError, match=message) as refused:
            bpy.ops.d3dmm.add_detail_to_mesh(method=method, subdivisions=subdivisions)
        assert abs(int(re.search(message, str(refused.value))[1]) - share) < 2
        assert head.data == mesh and len(bpy.data.meshes) == 1
    assert not head.modifiers and "d3dmm_mesh_detail" not in head
    assert sorted(item.name for item in head.data.attributes) == attributes


def test_the_remedy_for_faces_inside_out_works(laid_out, module):
    head = laid_out
    count = len(head.data.polygons)
    correspondence = module("detailed3dmm_addon.other_heads.correspondence")
    expected = correspondence.find_correspondence(head, "UV")
    reverse(head, range(0, count, 2))
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.normals_make_consistent(inside=False)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert (correspondence.find_correspondence(head, "UV").trust == expected.trust).all()
    reverse(head, range(count))
    with pytest.raises(module("ml_backend.errors").UserError, match="100%"):
        correspondence.find_correspondence(head, "UV")


def test_names_without_a_shape_key_are_listed_with_the_share_strongest_wrinkles_first(laid_out, module):
    kind, sentence = add_and_report(module, laid_out)
    present = KEYS.split()
    assert kind == WARNING and f"{len(present)} of ARKit's 52 expressions (31%)" in sentence
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    missing = [name for name in names if name not in present]
    assert all(name in sentence for name in missing) and "name the shape keys as ARKit does" in sentence
    assert not any(f" {name}," in sentence for name in present)
    strong, weak = (sentence.index(name) for name in ("mouthUpperUpLeft", "eyeLookInLeft"))
    assert strong < sentence.index("missing too, without wrinkles") < weak


def test_a_head_with_every_name_gets_no_warning(laid_out, module):
    head = laid_out
    for name in module("ml_backend.expression_names").EXPRESSION_NAMES:
        if name not in KEYS.split() and not name.startswith(("eyeLook", "tongue")):
            head.shape_key_add(name=name, from_mix=False)
    kind, sentence = add_and_report(module, head)
    assert kind == INFO and "expressions wrinkle" in sentence and ";" not in sentence, sentence


def test_half_a_head_is_reported_with_the_share_that_it_covers(laid_out, module):
    head = laid_out
    whole = module("detailed3dmm_addon.other_heads.correspondence").find_correspondence(head, "UV").coverage
    assert whole > 0.9
    uv = head.data.uv_layers[0].uv
    edited = bmesh.new()
    edited.from_mesh(head.data)
    edited.faces.ensure_lookup_table()
    middle = [
        np.mean([uv[corner].vector[0] for corner in polygon.loop_indices]) for polygon in head.data.polygons
    ]
    gone = [edited.faces[index] for index, place in enumerate(middle) if place > 0.5]
    bmesh.ops.delete(edited, geom=gone, context="FACES")
    edited.to_mesh(head.data)
    edited.free()
    kind, sentence = add_and_report(module, head)
    share = module("detailed3dmm_addon.other_heads.correspondence").find_correspondence(head, "UV").coverage
    assert 0.4 < share < 0.6
    assert kind == WARNING and f"the mesh covers only {share:.0%} of the skin that wrinkles" in sentence


def test_selected_meshes_that_get_nothing_are_named_with_the_reason(laid_out, module):
    head = laid_out
    others = {}
    for name, keys in {"Teeth": (), "Tongue": ("jawOpen", "tongueOut"), "Brows": KEYS.split()}.items():
        bpy.ops.mesh.primitive_plane_add()
        others[name] = bpy.context.active_object
        others[name].name = name
        for key in ("Basis", *keys) if keys else ():
            others[name].shape_key_add(name=key)
    bpy.ops.object.empty_add()
    kind, sentence = add_and_report(module, head, *others.values(), bpy.context.active_object)
    assert kind == WARNING and "only the active mesh wrinkles, not " in sentence
    assert "Teeth (no shape key with an ARKit name)" in sentence
    assert "Tongue (only 2 shape keys with ARKit names)" in sentence
    assert "Brows (if it is skin, make it active and press again)" in sentence
    assert "Empty" not in sentence and not others["Brows"].modifiers


def placing(module):
    """Returns the function that places our head on an object."""
    placement = module("detailed3dmm_addon.other_heads.placement")
    shape = module("detailed3dmm_addon.other_heads.target_shape").TargetShape
    return lambda head: placement.place_by_expressions(shape(head))


@pytest.mark.parametrize("anchor", ["chain", "eyeBlinkLeft", "mouthSmileLeft", "Neutral"])
def test_keys_relative_to_another_key_have_the_same_size(module, anchor):
    head, _ = make_other_head(module)
    place = placing(module)
    expected = place(head)
    keys = head.data.shape_keys.key_blocks
    if anchor == "Neutral":
        head.shape_key_add(name="Neutral", from_mix=False)
    for previous, key in pairwise(keys[1:]):
        name = previous.name if anchor == "chain" else anchor
        other = next(block for block in keys if block.name.lower() == name.lower())
        if key != other:
            key.relative_key = other
    placed = place(head)
    assert placed.scale == pytest.approx(expected.scale, rel=0.02)
    assert placed.scale == pytest.approx(UNITS, rel=0.12)
    assert np.abs(placed.offset - expected.offset).max() < 0.005 * UNITS


def test_keys_drawn_from_another_key_are_measured_from_it(module):
    head, _ = make_other_head(module)
    place = placing(module)
    expected = place(head)
    keys = head.data.shape_keys.key_blocks
    read_shape = module("detailed3dmm_addon.nodes.vertex_attributes").read_shape
    rest = read_shape(keys[0])
    neutral = head.shape_key_add(name="Neutral", from_mix=False)
    neutral.value = 0.0
    larger = rest * 1.4
    neutral.points.foreach_set("co", larger.ravel())
    for key in keys[1:-1]:
        shape = read_shape(key) - rest + larger
        key.points.foreach_set("co", shape.ravel())
        key.relative_key = neutral
    placed = place(head)
    assert placed.scale == pytest.approx(expected.scale, rel=1e-3)
