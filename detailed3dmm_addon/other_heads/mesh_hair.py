"""Grows our brows and lashes on a head of another maker; they follow its expressions as on a face of ours."""

from typing import cast

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.similarity import fit_similarity
from ...ml_backend.hair.face_hair import brow_hair, lash_hair
from ...ml_backend.hair.scalp import GroomSliders
from ...ml_backend.hair.strands import Strands
from ..detail.distilled import skin_uv
from ..hair.groom import delete_curves, make_curves, mean_head, set_up_modifier
from ..hair.hair_material import make_hair_material, set_colour
from ..nodes.vertex_attributes import read_attribute
from .correspondence import barycentric
from .our_skin import our_skin
from .skin_image import PLACE_ATTRIBUTE
from .target_shape import TargetShape

HAIR = "d3dmm_mesh_hair_{}"
"""Of the object: the hair object of a part."""
PARTS = {"brows": brow_hair, "lashes": lash_hair}
_NEAR = 0.01
"""Texture units: a root farther from the mesh's skin has no place on it."""
_LONGEST_IN_UV = 0.15
_RENUMBERING = ("MASK", "DECIMATE", "REMESH", "WELD", "EDGE_SPLIT", "BUILD", "BOOLEAN")


def grow_hair(item: bpy.types.Object, part: str, scale: float, seed: int, colour: tuple[float, float]) -> int:
    """Grows a part of our hair on a mesh that has our detail; a part that is there grows anew.

    Args:
        item: the mesh.
        part: of `PARTS`.
        scale: length of a metre of our head in units of the mesh.
        seed: of the strands.
        colour: melanin and redness, 0 to 1.

    Returns:
        The number of strands.

    Raises:
        UserError: a modifier renumbers the vertices, or the mesh has no skin where this hair grows.
    """
    for modifier in item.modifiers:
        if modifier.type in _RENUMBERING and modifier.show_viewport:
            raise UserError(
                f"{item.name}: its modifier {modifier.name} renumbers the vertices that hair follows.",
                "Apply or remove the modifier, add the detail again, then the hair.",
            )
    remove_hair(item, part)
    strands, positions = _carried_over(
        item, PARTS[part](mean_head(), "NATURAL", GroomSliders(seed=seed)), scale
    )
    if not len(strands.points):
        raise UserError(
            f"{item.name}: it has no skin where {part} grow.", "Show Match tells where our skin lies."
        )
    name = f"{item.name} {part.title()}"
    data = make_curves(name, strands, positions)
    material = make_hair_material(f"{name} Hair")
    set_colour(material, colour[0], colour[1], 0.0)
    data.materials.append(material)
    made = bpy.data.objects.new(name, data)
    for collection in item.users_collection:
        collection.objects.link(made)
    made.parent = item
    made.hide_select = True
    set_up_modifier(item, made, strands)
    item[HAIR.format(part)] = made
    return len(strands.points)


def remove_hair(item: bpy.types.Object, part: str) -> None:
    """Removes a part of our hair from a mesh, and what it alone used."""
    made = item.pop(HAIR.format(part), None)
    if made is None:
        return
    groups = [modifier.node_group for modifier in made.modifiers if modifier.type == "NODES"]
    delete_curves(made)
    for group in groups:
        if group is not None and group.users == 0:
            bpy.data.node_groups.remove(group)


def _carried_over(item: bpy.types.Object, strands: Strands, scale: float) -> tuple[Strands, np.ndarray]:
    """Moves strands from our mean face to the same places of the mesh at rest.

    Returns:
        The strands, whose corners are the mesh's vertices, and (N, 3) the mesh at rest in its own space.
    """
    head, shape = mean_head(), TargetShape(item)
    positions = shape.positions[: shape.count] @ np.linalg.inv(shape.linear).T
    normals = shape.normals()[: shape.count] @ shape.linear
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    place = cast(np.ndarray, read_attribute(item.data, PLACE_ATTRIBUTE))
    own = (shape.triangles < shape.count).all(1)
    uv = place[shape.triangles]
    whole = own & (uv[..., 2] > 0.5).all(1) & (np.ptp(uv[..., :2], axis=1) < _LONGEST_IN_UV).all(1)
    triangles = shape.triangles[whole]
    flat = np.concatenate([place[:, :2], np.zeros((len(place), 1))], 1)
    tree = BVHTree.FromPolygons(flat.tolist(), triangles.tolist())
    ours = (skin_uv()[strands.corners] * strands.weights[..., None]).sum(1)
    found = [tree.find_nearest((u, v, 0.0), _NEAR) for u, v in ours.tolist()]
    kept = np.array([entry[0] is not None for entry in found], bool)
    if not kept.any():
        return _chosen(strands, kept), positions
    nearest = np.array([entry[0] for entry in found if entry[0] is not None])
    corners = triangles[[entry[2] for entry in found if entry[0] is not None]]
    weights = barycentric(nearest, flat[corners])
    strands = _chosen(strands, kept)
    root = (head.positions[strands.corners] * strands.weights[..., None]).sum(1)
    facing = (head.normals[strands.corners] * strands.weights[..., None]).sum(1)
    sure = place[:, 2] > 0.5
    turn = fit_similarity(our_skin().texture(our_skin().positions)(place[sure, :2]), positions[sure]).rotation
    goal = (normals[corners] * weights[..., None]).sum(1)
    onto = _least_turns(facing @ turn.T, goal)
    offsets = (strands.points - root[:, None]) @ turn.T * scale
    there = (positions[corners] * weights[..., None]).sum(1)
    points = there[:, None] + np.einsum("nij,nmj->nmi", onto, offsets)
    moved = Strands(
        points.astype(np.float32),
        corners.astype(np.int32),
        weights.astype(np.float32),
        corners.astype(np.int32),
        (strands.radius * scale).astype(np.float32),
        strands.chance,
    )
    return moved, positions


def _chosen(strands: Strands, kept: np.ndarray) -> Strands:
    parts = (strands.points, strands.corners, strands.weights, strands.wide, strands.radius, strands.chance)
    return Strands(*(part[kept] for part in parts))


def _least_turns(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns (N, 3, 3): the smallest rotations of directions (N, 3) onto others, by Rodrigues' formula."""
    first, second = (
        each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-30) for each in (first, second)
    )
    axis, cosine = np.cross(first, second), (first * second).sum(1)
    cross = np.zeros((len(first), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= cross.transpose(0, 2, 1)
    return np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-3)[:, None, None]
