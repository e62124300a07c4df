"""A head of another person, with other vertices, units and rotation, whose shape keys are ARKit's."""

import bpy
import numpy as np
from mathutils import Euler, geometry

GRID = 120
UNITS = 37.0
TURN = np.array(Euler((0.7, -0.4, 2.1)).to_matrix())
KEYS = """
    browInnerUp browOuterUpLeft browOuterUpRight browDownLeft browDownRight eyeBlinkLeft eyeBlinkRight
    cheekSquintLeft
    cheekSquintRight noseSneerLeft noseSneerRight mouthSmileLeft mouthSmileRight mouthPucker mouthFrownLeft
    mouthFrownRight
"""


def make_other_head(module, grid: int = GRID):
    """Returns another head (other person, vertices, units, rotation) and its places on our texture."""
    models, space = module("detailed3dmm_addon.model.face_model"), module("ml_backend.geometry.texture_space")
    model, dense = models.face_model(), models.dense_mesh()
    names = KEYS.split()
    neutral, shapes = models.dense_shapes(model.sample_identity(5), tuple(names))
    skin = (models.dense_parts() == 0)[dense.polygons[:, 0]]
    cut = [
        np.concatenate([table[skin][:, [0, 1, 2]], table[skin][:, [0, 2, 3]]])
        for table in (dense.polygons, dense.uv_polygons)
    ]
    lookup = space.rasterise(dense.uv, cut[1], cut[0], 512)
    draw = np.random.default_rng(0)
    steps = (np.arange(grid) + 0.5) / grid
    uv = (
        np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        + draw.uniform(-0.3, 0.3, (grid * grid, 2)) / grid
    )
    uv = uv[space.sample_map(lookup.mask.astype(np.float32), uv) > 0.999]
    triangles = np.array(geometry.delaunay_2d_cdt(uv.tolist(), [], [], 0, 1e-6)[2])
    middle = uv[triangles].mean(1)
    longest = np.linalg.norm(uv[triangles] - uv[np.roll(triangles, 1, 1)], axis=2).max(1)
    triangles = triangles[
        (space.sample_map(lookup.mask.astype(np.float32), middle) > 0.9) & (longest < 2.5 / grid)
    ]
    used, index = np.unique(triangles, return_inverse=True)
    uv, triangles = uv[used].astype(np.float32), index.reshape(-1, 3)
    placed = [
        space.sample_map(lookup.spread(shape), uv) @ TURN.T * UNITS + (5, 6, 7)
        for shape in (neutral, *shapes)
    ]
    mesh = bpy.data.meshes.new("Other")
    mesh.from_pydata(placed[0].tolist(), [], triangles.tolist())
    head = bpy.data.objects.new("Other", mesh)
    bpy.context.scene.collection.objects.link(head)
    for name, shape in zip(("Basis", *names), placed, strict=True):
        key = head.shape_key_add(name=name[0].upper() + name[1:], from_mix=False)
        key.points.foreach_set("co", np.ascontiguousarray(shape, np.float32).ravel())
        key.value = 0.0
    bpy.context.view_layer.objects.active = head
    return head, uv


def lay_out(head, uv) -> None:
    """Gives the head texture coordinates that are laid out like ours."""
    layer = head.data.uv_layers.new(name="UVMap")
    corners = np.empty(len(head.data.loops), np.int32)
    head.data.loops.foreach_get("vertex_index", corners)
    layer.data.foreach_set("uv", uv[corners].ravel())
