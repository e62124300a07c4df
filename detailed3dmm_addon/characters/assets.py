"""Marks faces and expressions as assets, with description, tags and a picture."""

import bpy
import numpy as np

from ...ml_backend.geometry.portrait import draw_portrait
from ...ml_backend.geometry.srgb import to_srgb
from ..actions import action_writer as face_animation
from ..appearance.skin_material import HAIR_NODE, base_skin_colour
from ..model.face_model import expression_of, face_model
from ..nodes.materials import first_material
from ..nodes.vertex_attributes import read_attribute, read_positions

PREVIEW_SIZE = 256
_TAGS = ("face", "detailed3dmm")
_OTHER_COLOURS = {"eye": (0.75, 0.74, 0.72), "teeth": (0.74, 0.66, 0.53), "tongue": (0.62, 0.22, 0.20)}
_HIDDEN = ("lashes",)
_LIPS = (0.85, 0.55, 0.5)
_HAIR = (0.045, 0.024, 0.013)
_IRIS = (0.06, 0.04, 0.03)
_IRIS_RADIUS = 0.47
_SKIN = (0.58, 0.32, 0.205)


def mark_face(face: bpy.types.Object, context: bpy.types.Context) -> None:
    """Makes a face an asset with its picture, or renews both."""
    seed = face.d3dmm.identity_seed
    _mark(
        face,
        f"A face with 52 expressions and wrinkles, seed {seed}",
        ("character", "head"),
        portrait_of(face, context),
    )


def mark_expression(face: bpy.types.Object, context: bpy.types.Context, name: str) -> bpy.types.Action:
    """Keeps a face's expression as an action of one frame on shape keys, marked as an asset.

    Args:
        face: whose expression is kept; its own animation stays.
        context: to evaluate it.
        name: of the action.
    """
    names = face_model().expression_names
    action = _pose_action(face.data.shape_keys, name, dict(zip(names, expression_of(face), strict=True)))
    shown = sorted(zip(names, expression_of(face), strict=True), key=lambda pair: -abs(pair[1]))[:3]
    strongest = ", ".join(expression for expression, value in shown if value)
    _mark(
        action,
        f"An expression: {strongest}" if strongest else "A face at rest",
        ("expression", "pose"),
        portrait_of(face, context),
    )
    return action


def apply_expression(face: bpy.types.Object, action: bpy.types.Action) -> None:
    """Writes an expression's values into a face's sliders; all others go to 0."""
    values = pose_values(action)
    for name in face_model().expression_names:
        key = face.data.shape_keys.key_blocks.get(name)
        if key is not None:
            key.value = values.get(name, 0.0)


def expression_actions() -> list[bpy.types.Action]:
    """Returns the expressions that are assets in this file."""
    return [
        action
        for action in bpy.data.actions
        if action.asset_data is not None and "expression" in action.asset_data.tags
    ]


def pose_values(action: bpy.types.Action) -> dict[str, float]:
    """Returns the values of shape keys that an expression's action holds, by name."""
    found = {}
    for curve in _curves(action):
        if curve.data_path.startswith('key_blocks["') and curve.data_path.endswith('"].value'):
            found[curve.data_path[len('key_blocks["') : -len('"].value')]] = curve.evaluate(1)
    return found


def portrait_of(face: bpy.types.Object, context: bpy.types.Context) -> np.ndarray:
    """Draws a face from the front as it shows now: (S, S, 4) float32, sRGB and alpha, row 0 at the bottom."""
    mesh = face.evaluated_get(context.evaluated_depsgraph_get()).data
    mesh.calc_loop_triangles()
    positions = read_positions(mesh)
    normals = np.empty_like(positions)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
    part = np.empty(len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
    mesh.loop_triangles.foreach_get("material_index", part)
    names = face_model().part_names
    places = _attribute(mesh, "d3dmm_eye", 3)
    colours = _painted(face, mesh)
    for index, name in enumerate(names):
        colour = next((value for key, value in _OTHER_COLOURS.items() if name.startswith(key)), None)
        if colour is not None:
            here = np.unique(triangles[part == index])
            iris = (places[here, 2] > 0) & (np.hypot(places[here, 0], places[here, 1]) < _IRIS_RADIUS)
            colours[here] = np.where((iris & name.startswith("eye"))[:, None], _IRIS, colour)
    shown = ~np.isin(part, [index for index, name in enumerate(names) if name in _HIDDEN])
    picture = draw_portrait(positions, normals, triangles[shown], colours, PREVIEW_SIZE)
    picture[..., :3] = to_srgb(picture[..., :3])
    return picture.clip(0, 1)


def _painted(face: bpy.types.Object, mesh: bpy.types.Mesh) -> np.ndarray:
    """Returns the vertices' colours (N, 3): skin, lips, brows and hair, from the materials' attributes."""
    lips, brows, scalp = (_attribute(mesh, f"d3dmm_{name}", 1) for name in ("lips", "brows", "scalp"))
    skin = np.array(_skin_colour(face)) * (1 - lips * (1 - np.array(_LIPS)))
    trees = [
        material.node_tree
        for material in face.data.materials[:1]
        if material is not None and material.node_tree is not None
    ]
    hair = np.array(
        next(
            (tree.nodes[HAIR_NODE].outputs[0].default_value[:3] for tree in trees if HAIR_NODE in tree.nodes),
            _HAIR,
        )
    )
    cover = np.maximum(0.85 * brows, scalp * face.d3dmm.hair)
    return (skin * (1 - cover) + hair * cover).astype(np.float32)


def _attribute(mesh: bpy.types.Mesh, name: str, width: int) -> np.ndarray:
    """Returns a vertex attribute (N, width), 0 where the mesh has none."""
    values = read_attribute(mesh, name)
    return np.zeros((len(mesh.vertices), width), np.float32) if values is None else values.reshape(-1, width)


def _skin_colour(face: bpy.types.Object) -> tuple[float, ...]:
    colour = base_skin_colour(first_material(face))
    return _SKIN if colour is None else colour[:3]


def _mark(item: bpy.types.ID, description: str, tags: tuple[str, ...], picture: np.ndarray) -> None:
    item.asset_mark()
    item.asset_data.description = description
    for tag in (*_TAGS, *tags):
        item.asset_data.tags.new(tag, skip_if_exists=True)
    preview = item.preview_ensure()
    preview.image_size = picture.shape[:2]
    preview.image_pixels_float.foreach_set(np.ascontiguousarray(picture, np.float32).ravel())


def _pose_action(keys: bpy.types.Key, name: str, values: dict[str, float]) -> bpy.types.Action:
    action = bpy.data.actions.new(name)
    if hasattr(action, "slots"):
        slot = action.slots.new(id_type="KEY", name=keys.name)
        action.layers.new("Layer").strips.new(type="KEYFRAME").channelbag(slot, ensure=True)
    curves = _curves(action)
    for expression, value in values.items():
        curves.new(face_animation.key_path(expression)).keyframe_points.insert(1, float(value))
    return action


def _curves(action: bpy.types.Action):
    """Returns the curves of an action of one slot."""
    if not hasattr(action, "slots"):
        return action.fcurves
    if not action.layers or not action.slots:
        return ()
    return action.layers[0].strips[0].channelbag(action.slots[0], ensure=True).fcurves
