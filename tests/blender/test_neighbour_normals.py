"""Detail moves vertices along normals made of chosen neighbours, which are as good as Blender's own."""

import bpy
import numpy as np
import pytest
from scene_state import evaluated


@pytest.fixture
def posed(wrinkled, no_worker):
    """An old face with a strong expression; eyes and lids as they are."""
    wrinkled.d3dmm.age_offset = 3.0
    for name in (
        "browInnerUp",
        "jawOpen",
        "mouthSmileLeft",
        "mouthSmileRight",
        "noseSneerLeft",
        "eyeBlinkLeft",
    ):
        wrinkled.data.shape_keys.key_blocks[name].value = 0.6
    return wrinkled


def _forget(face):
    """Lets the group think that neighbours are another mesh's; returns a function that undoes it."""
    side = face.data.attributes["d3dmm_neighbours_side"].data
    values = np.empty(len(side), np.float32)
    side.foreach_get("value", values)

    def write(numbers):
        side.foreach_set("value", numbers)
        face.data.update_tag()

    write(values * 0)
    return lambda: write(values)


def test_the_quick_normals_displace_as_blenders_own_do(posed):
    quick = evaluated(posed)
    undo = _forget(posed)
    slow = evaluated(posed)
    undo()
    posed.d3dmm.show_detail = False
    moved = np.linalg.norm(slow - evaluated(posed), axis=1)
    apart = np.linalg.norm(quick - slow, axis=1)
    assert moved.max() > 3e-4
    assert 0 < np.percentile(apart, 99) < 5e-6 and apart.max() < 1.5e-4
    assert apart.mean() < 0.02 * moved.mean()


def test_neighbours_lie_opposite_and_every_vertex_has_a_side(module):
    neighbours = module("detailed3dmm_addon.face.neighbours")
    dense = module("detailed3dmm_addon.model.face_model").dense_mesh()
    left, above = neighbours.neighbours()
    right, below, side = neighbours.opposite_neighbours()
    assert set(np.unique(side)) == {-1, 1}
    edges = {tuple(edge) for polygon in dense.polygons for edge in _edges(polygon[polygon >= 0])}
    chosen = np.random.default_rng(0).choice(dense.vertex_count, 500, replace=False)
    for numbers in (left, above, right, below):
        assert all(v == numbers[v] or (min(v, numbers[v]), max(v, numbers[v])) in edges for v in chosen)
    assert np.mean((left != right) & (above != below)) > 0.999


def _edges(polygon):
    following = np.roll(polygon, -1)
    return zip(np.minimum(polygon, following), np.maximum(polygon, following), strict=True)


def test_strain_by_neighbours_tells_stretched_from_squeezed_skin(posed):
    mesh = posed.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    strain = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["d3dmm_strain"].data.foreach_get("vector", strain.ravel())
    assert (strain[:, :2] >= -0.5).all() and (strain[:, :2] <= 0.6).all()
    assert strain[:, 0].min() < -0.2 and strain[:, 1].max() > 0.3
    moves = np.empty(len(mesh.vertices), bool)
    mesh.attributes["d3dmm_moves"].data.foreach_get("value", moves)
    assert 0.5 < moves.mean() < 0.95 and (strain[~moves] == 0).all()
    assert np.sign(strain[moves, 2]).min() < 0 < np.sign(strain[moves, 2]).max()
