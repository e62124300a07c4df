"""Heads as artists have them: mirrored, masked, doubled, stretched; all that we add goes without a trace."""

import bpy
import numpy as np
import pytest
from other_head import UNITS, lay_out, make_other_head


@pytest.fixture
def laid_out(module):
    """Another head with our texture layout: its match takes no time."""
    head, uv = make_other_head(module)
    lay_out(head, uv)
    return head


def shape_of(module, head):
    return module("detailed3dmm_addon.other_heads.target_shape").TargetShape(head)


def placed(module, head):
    return module("detailed3dmm_addon.other_heads.placement").place_by_expressions(shape_of(module, head))


def positions_of(head) -> np.ndarray:
    mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points.ravel())
    return points


def heights_of(head) -> np.ndarray:
    """The displacement that the modifier gives, in the mesh's own space."""
    modifier = head.modifiers["D3DMM Detail"]
    modifier.show_viewport = False
    smooth = positions_of(head)
    modifier.show_viewport = True
    return positions_of(head) - smooth


def write_keys(head, change) -> None:
    """Changes the positions of every key, and the mesh's own."""
    for key in head.data.shape_keys.key_blocks:
        points = np.empty((len(key.points), 3), np.float32)
        key.points.foreach_get("co", points.ravel())
        key.points.foreach_set("co", np.ascontiguousarray(change(points), np.float32).ravel())
        if key == head.data.shape_keys.key_blocks[0]:
            moved = np.ascontiguousarray(change(points), np.float32)
            head.data.attributes["position"].data.foreach_set("vector", moved.ravel())
    head.data.update()


def test_uneven_and_negative_scale_count_as_seen(module, laid_out):
    head = laid_out
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)
    head.data.shape_keys.key_blocks["MouthSmileLeft"].value = 1.0
    expected = heights_of(head)
    bpy.ops.d3dmm.remove_mesh_detail()
    place = placed(module, head)
    stretch = np.array([-1.7, 0.8, 1.0])
    write_keys(head, lambda points: points / stretch)
    head.data.flip_normals()
    head.scale = stretch
    bpy.context.view_layer.update()
    assert placed(module, head).scale == pytest.approx(place.scale / np.cbrt(1.7 * 0.8), rel=1e-3)
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)
    seen = heights_of(head) * stretch
    size = np.linalg.norm(expected, axis=1)
    deep = size > 0.3 * size.max()
    along = (seen * expected).sum(1)[deep] / size[deep] ** 2
    apart = np.abs(along - 1)
    assert deep.sum() > 30 and np.median(apart) < 0.12 and np.quantile(apart, 0.9) < 0.25


def test_a_half_with_a_mirror_is_a_whole_head(module):
    head, _ = make_other_head(module)
    whole = placed(module, head)
    local = whole.inverse(shape_of(module, head).positions)
    write_keys(head, whole.inverse)
    gone = [polygon.index for polygon in head.data.polygons if local[list(polygon.vertices), 0].min() < 0]
    import bmesh

    edited = bmesh.new()
    edited.from_mesh(head.data)
    edited.faces.ensure_lookup_table()
    bmesh.ops.delete(edited, geom=[edited.faces[index] for index in gone], context="FACES")
    edited.to_mesh(head.data)
    edited.free()
    count = len(head.data.vertices)
    for key in list(head.data.shape_keys.key_blocks):
        if key.name.endswith("Right"):
            head.shape_key_remove(key)
    head.modifiers.new("Mirror", "MIRROR")
    shape = shape_of(module, head)
    assert shape.count == count and len(shape.positions) == 2 * count
    assert "mouthSmileRight" in shape.keys and shape.positions[:, 0].min() < -0.05
    right = shape.deltas("mouthSmileRight")
    assert np.abs(right[count:]).max() > 0.001 and not np.abs(right[:count]).any()
    found = module("detailed3dmm_addon.other_heads.placement").place_by_expressions(shape)
    assert found.scale == pytest.approx(1.0, abs=0.08) and np.abs(found.offset).max() < 0.012


def test_hidden_helpers_and_a_person_that_is_a_key_are_read_as_shown(module, laid_out):
    head = laid_out
    keys = head.data.shape_keys.key_blocks
    person = head.shape_key_add(name="$md-old", from_mix=False)
    points = np.empty((len(person.points), 3), np.float32)
    person.points.foreach_get("co", points.ravel())
    person.points.foreach_set("co", (points * 1.5).ravel())
    keys["$md-old"].value = 1.0
    keys["MouthSmileLeft"].value = 1.0
    shape = shape_of(module, head)
    assert np.allclose(shape.positions, points * 1.5, atol=1e-3)
    group = head.vertex_groups.new(name="body")
    group.add(list(range(0, len(points), 2)), 1.0, "REPLACE")
    head.modifiers.new("Hide helpers", "MASK").vertex_group = "body"
    shown = shape_of(module, head)
    assert shown.shown.sum() == (len(points) + 1) // 2 and len(shown.triangles) < len(shape.triangles) / 2


def test_doubled_vertices_are_one_skin_without_cracks(module, laid_out):
    head = laid_out
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)
    head.data.shape_keys.key_blocks["MouthSmileLeft"].value = 1.0
    whole = np.linalg.norm(heights_of(head), axis=1)
    bpy.ops.d3dmm.remove_mesh_detail()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.edge_split(type="EDGE")
    bpy.ops.object.mode_set(mode="OBJECT")
    shape = shape_of(module, head)
    assert len(np.unique(shape.one_place)) == len(whole) < shape.count / 3
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)
    points = positions_of(head)
    assert np.abs(points - points[shape.one_place]).max() < 1e-5 * UNITS
    split = np.linalg.norm(heights_of(head), axis=1)
    assert split.max() == pytest.approx(whole.max(), rel=0.05)


def test_a_key_turned_round_makes_no_inverted_wrinkles_and_a_weak_one_shallow_ones(module, laid_out):
    head = laid_out
    keys = head.data.shape_keys.key_blocks
    rest = np.empty((len(keys[0].points), 3), np.float32)
    keys[0].points.foreach_get("co", rest.ravel())
    weak, ranged = keys["MouthSmileLeft"], keys["MouthSmileRight"]
    for key, share in ((weak, 0.3), (ranged, 0.25)):
        points = np.empty_like(rest)
        key.points.foreach_get("co", points.ravel())
        key.points.foreach_set("co", np.ascontiguousarray(rest + share * (points - rest)).ravel())
    ranged.slider_min, ranged.slider_max = -1.0, 4.0
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)

    def heights() -> np.ndarray:
        bpy.context.view_layer.update()
        mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        values = np.empty(len(mesh.vertices), np.float32)
        mesh.attributes["d3dmm_height"].data.foreach_get("value", values)
        return values

    calm = heights()

    def depth(key, value) -> float:
        key.value = value
        added = float(np.abs(heights() - calm).max())
        key.value = 0.0
        return added

    assert depth(ranged, -1.0) < 1e-6
    whole = depth(ranged, 4.0)
    assert whole > 0.1 * UNITS and depth(weak, 1.0) < 0.75 * whole


def brows_move_with(head, hair) -> None:
    """Checks that hundreds of hairs grow on the skin of the brows and rise with them."""

    def roots() -> np.ndarray:
        bpy.context.view_layer.update()
        curves = hair.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        points = np.empty((len(curves.points), 3), np.float32)
        curves.attributes["position"].data.foreach_get("vector", points.ravel())
        return points[[curve.first_point_index for curve in curves.curves]]

    calm = roots()
    skin = positions_of(head)
    assert len(calm) > 300
    away = np.linalg.norm(calm[::10, None] - skin[None], axis=2).min(1)
    assert away.max() < 0.004 * UNITS
    head.data.shape_keys.key_blocks["BrowInnerUp"].value = 1.0
    assert np.linalg.norm(roots() - calm, axis=1).max() > 0.004 * UNITS
    head.data.shape_keys.key_blocks["BrowInnerUp"].value = 0.0


def test_preview_colour_and_hair_come_and_go(module, laid_out):
    head = laid_out
    head.data.color_attributes.new("Own", "BYTE_COLOR", "CORNER")
    head.data.color_attributes.active_color_name = "Own"
    material = bpy.data.materials.new("Own")
    head.data.materials.append(material)
    before = sorted(item.name for item in head.data.attributes)
    with pytest.raises(RuntimeError, match="none of our detail"):
        bpy.ops.d3dmm.show_match()
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", age=60, seed=2)
    kept = module("detailed3dmm_addon.other_heads.quality").kept_quality(head)
    assert kept["figure"] > 0.7 and kept["keys"] == pytest.approx(16 / 52) and kept["places_mm"] < 8
    bpy.ops.d3dmm.show_match()
    colours = np.empty((len(head.data.vertices), 4), np.float32)
    preview = head.data.color_attributes["d3dmm_match_colour"]
    preview.data.foreach_get("color", colours.ravel())
    reds = colours[:, 0] > 0.7
    assert head.data.color_attributes.active_color_name == preview.name and 0.02 < reds.mean() < 0.8
    bpy.ops.d3dmm.show_match()
    assert head.data.color_attributes.active_color_name == "Own"
    bpy.ops.d3dmm.show_match()
    bpy.ops.d3dmm.colour_own_head(tone=-30, resolution="1024")
    skin = head.data.materials[0]
    image = next(node.image for node in skin.node_tree.nodes if node.bl_idname == "ShaderNodeTexImage")
    pixels = np.empty(1024 * 1024 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    ours = module("detailed3dmm_addon.appearance.skin_colour").painter()
    look = module("ml_backend.models.skin.live_skin").SkinLook(-30, {"age": 45}, 0)
    painted = np.moveaxis(ours.paint(look, 1024), 0, -1)
    same = np.abs(pixels.reshape(1024, 1024, 4)[..., :3] - painted).max(2) < 0.04
    assert same[400:700, 400:600].mean() > 0.9
    bpy.ops.d3dmm.colour_own_head(tone=50)
    assert len(bpy.data.images) == 1 and len(bpy.data.materials) == 2
    bpy.ops.d3dmm.grow_hair_on_mesh(parts={"brows"})
    hair = next(item for item in bpy.data.objects if item.type == "CURVES")
    brows_move_with(head, hair)
    bpy.ops.d3dmm.remove_mesh_detail()
    assert [item.name for item in bpy.data.objects] == [head.name] and not bpy.data.hair_curves
    assert sorted(item.name for item in head.data.attributes) == before
    assert not [name for name in list(head.keys()) if name.startswith("d3dmm_")]
    assert head.data.color_attributes.active_color_name == "Own" and head.animation_data is None
    assert head.data.materials[0] == material and not bpy.data.images and len(bpy.data.materials) == 1


def test_a_head_with_an_image_of_its_own_keeps_it_and_one_without_coordinates_says_so(laid_out):
    head = laid_out
    material = bpy.data.materials.new("Own")
    if material.node_tree is None:
        material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("Own", 4, 4)
    head.data.materials.append(material)
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV")
    with pytest.raises(RuntimeError, match="its material Own shows an image already"):
        bpy.ops.d3dmm.colour_own_head()
    node.image = None
    while head.data.uv_layers:
        head.data.uv_layers.remove(head.data.uv_layers[0])
    with pytest.raises(RuntimeError, match="it has no texture coordinates"):
        bpy.ops.d3dmm.colour_own_head()
    assert head.data.materials[0] == material


def test_a_part_of_a_head_names_its_skin(laid_out):
    skin = laid_out
    bpy.ops.mesh.primitive_uv_sphere_add()
    teeth = bpy.context.active_object
    teeth.name = "Teeth"
    for key in skin.data.shape_keys.key_blocks:
        teeth.shape_key_add(name=key.name, from_mix=False)
    with pytest.raises(RuntimeError, match=r"seems to be Other\.\nMake Other active"):
        bpy.ops.d3dmm.add_detail_to_mesh()
