"""A head that is subdivided is, in every key, the surface that Blender's Subdivision modifier shows."""

import bmesh
import bpy
import numpy as np
import pytest
from mathutils.kdtree import KDTree
from other_head import UNITS, lay_out, make_other_head

NEAR = 1e-5 * UNITS
"""A hundredth of a millimetre on our head."""


@pytest.fixture
def laid_out(module):
    """Another head with our texture layout: its match takes no time, and it is coarse."""
    head, uv = make_other_head(module, 50)
    lay_out(head, uv)
    return head


def points_of(head) -> np.ndarray:
    bpy.context.view_layer.update()
    mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points.ravel())
    return points


def shapes_of(head, shown: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Each key's surface as the modifiers of some types show it."""
    for modifier in head.modifiers:
        modifier.show_viewport = modifier.type in shown
    keys = head.data.shape_keys.key_blocks
    shapes = {}
    for key in keys:
        key.value = 1.0
        shapes[key.name] = points_of(head)
        key.value = 0.0
    for modifier in head.modifiers:
        modifier.show_viewport = True
    return shapes


def farthest(points: np.ndarray, others: np.ndarray) -> float:
    """Returns the distance of some of the points from the nearest of the others, at most."""
    tree = KDTree(len(others))
    for index, point in enumerate(others):
        tree.insert(point, index)
    tree.balance()
    return max(tree.find(point)[2] for point in points[::17])


def as_the_modifier_shows(head, levels: int) -> dict[str, np.ndarray]:
    modifier = head.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels = levels
    shapes = shapes_of(head, ("SUBSURF", "MIRROR"))
    head.modifiers.remove(modifier)
    return shapes


def make_uneven(head) -> None:
    """Merges some triangles to quads and n-gons, and creases a few edges."""
    edited = bmesh.new()
    edited.from_mesh(head.data)
    draw = np.random.default_rng(0)
    edited.edges.ensure_lookup_table()
    some = [edited.edges[int(i)] for i in draw.choice(len(edited.edges), len(edited.edges) // 5, False)]
    bmesh.ops.dissolve_edges(edited, edges=[edge for edge in some if len(edge.link_faces) == 2])
    crease = edited.edges.layers.float.new("crease_edge")
    for edge in list(edited.edges)[::37]:
        edge[crease] = 0.7
    edited.to_mesh(head.data)
    edited.free()


def test_every_key_is_its_own_catmull_clark_surface(laid_out):
    head, levels = laid_out, 2
    make_uneven(head)
    keys = head.data.shape_keys.key_blocks
    keys["MouthSmileLeft"].relative_key = keys["MouthSmileRight"]
    keys["MouthPucker"].slider_max = 3.0
    keys["MouthPucker"].mute = True
    expected = as_the_modifier_shows(head, levels)
    group = head.vertex_groups.new(name="Head")
    group.add(list(range(len(head.data.vertices))), 0.5, "REPLACE")
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", subdivisions=levels)
    found = shapes_of(head)
    assert list(found) == list(expected)
    for name, points in expected.items():
        assert np.linalg.norm(found[name] - points, axis=1).max() < NEAR, name
    keys = head.data.shape_keys.key_blocks
    assert keys["MouthSmileLeft"].relative_key == keys["MouthSmileRight"]
    assert keys["MouthPucker"].slider_max == 3.0 and keys["MouthPucker"].mute
    weights = np.array([group.weight for vertex in head.data.vertices for group in vertex.groups])
    assert len(weights) == len(head.data.vertices) and np.abs(weights - 0.5).max() < 1e-6
    assert len(bpy.data.scenes) == 1 and len(bpy.data.objects) == 1 and len(bpy.data.meshes) == 2


def test_a_subdivision_modifier_of_the_head_still_shows_the_same_surface(laid_out):
    head = laid_out
    expected = as_the_modifier_shows(head, 2)
    head.modifiers.new("Subdivision", "SUBSURF").levels = 1
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", subdivisions=1)
    for name, points in shapes_of(head, ("SUBSURF",)).items():
        assert farthest(points, expected[name]) < NEAR, name


def test_doubled_vertices_are_rounded_as_one(laid_out):
    head = laid_out
    expected = as_the_modifier_shows(head, 1)
    edited = bmesh.new()
    edited.from_mesh(head.data)
    bmesh.ops.split_edges(edited, edges=list(edited.edges)[::3])
    edited.to_mesh(head.data)
    edited.free()
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", subdivisions=1)
    for name, points in shapes_of(head).items():
        assert farthest(points, expected[name]) < NEAR, name


def half_a_head(module, whole) -> np.ndarray:
    """Cuts a head along its middle, gives it a mirror, and returns (N,) the vertices of its seam."""
    shape = module("detailed3dmm_addon.other_heads.target_shape").TargetShape(whole)
    upright = module("detailed3dmm_addon.other_heads.placement").place_by_expressions(shape).inverse
    for key in whole.data.shape_keys.key_blocks:
        points = np.empty((len(key.points), 3), np.float32)
        key.points.foreach_get("co", points.ravel())
        key.points.foreach_set("co", np.ascontiguousarray(upright(points), np.float32).ravel())
    edited = bmesh.new()
    edited.from_mesh(whole.data)
    keys = edited.verts.layers.shape.values()
    for vertex in edited.verts:
        vertex.co = vertex[keys[0]]
    parts = [*edited.verts, *edited.edges, *edited.faces]
    bmesh.ops.bisect_plane(edited, geom=parts, plane_co=(0, 0, 0), plane_no=(1, 0, 0), clear_inner=True)
    for vertex in edited.verts:
        if abs(vertex.co.x) < 1e-6:
            vertex.co.x = 0
            for key in keys:
                vertex[key].x = 0
    edited.to_mesh(whole.data)
    edited.free()
    for key in list(whole.data.shape_keys.key_blocks):
        if key.name.endswith("Right"):
            whole.shape_key_remove(key)
    modifier = whole.modifiers.new("Mirror", "MIRROR")
    modifier.merge_threshold = 1e-5
    return np.array([abs(vertex.co.x) < 1e-6 for vertex in whole.data.vertices])


def test_half_a_head_is_rounded_as_a_whole_one(module, laid_out):
    head = laid_out
    half_a_head(module, head)
    expected = as_the_modifier_shows(head, 1)
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", subdivisions=1)
    for name, points in shapes_of(head).items():
        assert farthest(points, expected[name]) < 1e-5, name
    seam = np.array([abs(vertex.co.x) < 1e-6 for vertex in head.data.vertices])
    assert seam.sum() > 50


@pytest.mark.parametrize("subdivisions", [0, 1])
def test_the_seam_of_half_a_head_stays_closed_over_its_wrinkles(module, laid_out, subdivisions):
    head = laid_out
    half_a_head(module, head)
    bpy.ops.d3dmm.add_detail_to_mesh(method="UV", subdivisions=subdivisions, age=80)
    seam = np.array([abs(vertex.co.x) < 1e-6 for vertex in head.data.vertices])
    for name in ("BrowInnerUp", "MouthSmileLeft", "MouthPucker"):
        head.data.shape_keys.key_blocks[name].value = 1.0
    head.modifiers["D3DMM Detail"].show_viewport = False
    smooth = points_of(head)
    head.modifiers["D3DMM Detail"].show_viewport = True
    head.modifiers["Mirror"].show_viewport = False
    moved = points_of(head)
    assert np.abs(moved[seam, 0]).max() < 1e-7
    head.modifiers["Mirror"].show_viewport = True
    whole = points_of(head)
    assert len(whole) == len(smooth) == 2 * len(moved) - seam.sum()
    deep = np.linalg.norm(whole - smooth, axis=1)
    assert deep[np.abs(smooth[:, 0]) < 1e-6].max() > 1e-5
