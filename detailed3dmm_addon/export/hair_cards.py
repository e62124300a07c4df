"""Hair on the stage as cards, for formats that hold meshes alone: a child of the face for each part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import bpy
import numpy as np
from mathutils.kdtree import KDTree

from ...ml_backend.hair.card_atlas import CUT, Pigments, draw_atlas
from ...ml_backend.hair.card_layers import PLANS, CardStrands
from ...ml_backend.hair.cards import HairCards, hair_cards, moved_by_skin, outer_skin, outward_of
from ...ml_backend.hair.strands import unit
from ..actions import action_writer
from ..hair.follow_group import CHANCE, CORNERS, FACE_INPUT, SHARE_INPUT, WEIGHTS, WIDE
from ..hair.groom import MODIFIER, PART_KEY, hair_part, mean_head
from ..nodes.materials import new_material, principled_shader
from ..nodes.modifier_inputs import set_input
from ..nodes.node_graph import NodeGraph
from ..nodes.vertex_attributes import read_shape, write_positions, write_shape
from .hair import hair_of
from .mesh import ExportMesh, KeyedClip
from .stage import Stage

LEAST_MOVES = {"scalp": 3e-4, "beard": 5e-5, "brows": 5e-5, "lashes": 5e-5}
"""Metres: what a shape key moves less stays at rest; a key that moves nothing farther is left out.

More for scalp hair, which is large and moves little: every key stores the normals of all its cards."""
_ROUGHNESS, _GLOSS = 0.6, 0.25
_SMALLEST, _LARGEST = 512, 2048


@dataclass(frozen=True)
class _Rooted:
    """Strands on the neutral face, the vertices that carry their roots, and its skin: see `hair_cards`."""

    strands: CardStrands
    corners: np.ndarray
    weights: np.ndarray
    wide: np.ndarray | None
    skin: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class CardPart:
    """The cards of a part of hair on the stage, and the picture (R, R, 4) uint8 that they show."""

    part: str
    object: bpy.types.Object
    picture: np.ndarray


def stage_cards(stage: Stage, exported: ExportMesh, clip: KeyedClip, resolution: int) -> list[CardPart]:
    """Makes cards of the face's hair on the stage: children of the export mesh, with its shape keys and clip.

    Args:
        stage: its face wears the hair.
        exported: the mesh made of the face.
        clip: the values of its keys.
        resolution: texels along a side of the pictures of scalp hair and beard; those of brows and lashes
            have half of it.
    """
    shapes = _shapes_of(stage, exported)
    rest = next(shapes)[1]
    made = []
    with_hair = [item for item in hair_of(stage.face) if item.get(PART_KEY) in PLANS]
    grown = [(item[PART_KEY], rooted) for item in with_hair if (rooted := _rooted(stage, item, rest))]
    cards = [hair_cards(rooted.strands, PLANS[part], rooted.skin) for part, rooted in grown]
    items = [_card_object(stage, exported, part, card) for (part, _), card in zip(grown, cards, strict=True)]
    for name, posed in shapes:
        for (part, rooted), card, item in zip(grown, cards, items, strict=True):
            moved = moved_by_skin(card, rooted.corners, rooted.weights, rooted.wide, rest, posed)
            _add_key(item, LEAST_MOVES[part], exported.object.data.shape_keys.key_blocks[name], card, moved)
    for (part, _), card, item in zip(grown, cards, items, strict=True):
        _key(stage, item, clip)
        size = resolution if part in ("scalp", "beard") else resolution // 2
        size = min(max(size, _SMALLEST), _LARGEST)
        sliders = hair_part(stage.face, part)
        pigments = Pigments(float(sliders.melanin), float(sliders.redness), float(sliders.grey))
        made.append(CardPart(part, item, draw_atlas(card.tiles, size, pigments)))
    return made


def show_picture(stage: Stage, part: CardPart, picture: bpy.types.Image, packed: bool) -> None:
    """Gives cards a material with their picture as colour and opacity.

    Args:
        stage: the material is removed with it.
        part: without a material.
        picture: its picture.
        packed: as in glTF, texels are either hair or not. Otherwise opacity is used as it is.
    """
    material = stage.track(new_material(part.object.name))
    graph = NodeGraph(material.node_tree, keep=True)
    shader = principled_shader(material)
    texture = graph.node("TexImage", image=picture)
    opacity = texture.outputs["Alpha"]
    graph.feed(shader.inputs["Base Color"], texture.outputs["Color"])
    graph.feed(shader.inputs["Alpha"], graph.math("GREATER_THAN", opacity, CUT) if packed else opacity)
    shader.inputs["Roughness"].default_value = _ROUGHNESS
    shader.inputs["Specular IOR Level"].default_value = _GLOSS
    cast(bpy.types.Mesh, part.object.data).materials.append(material)


def _shapes_of(stage: Stage, exported: ExportMesh) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and positions (N, 3), metres, of the face's shapes, rest first.

    They are those of the export mesh where it has every vertex, wrinkles included.
    """
    source = stage.face.data
    whole = len(exported.vertices) == len(source.vertices)
    mesh = exported.object.data if whole else source
    for key in mesh.shape_keys.key_blocks:
        yield key.name, read_shape(key)


def _rooted(stage: Stage, item: bpy.types.Object, rest: np.ndarray) -> _Rooted | None:
    """Returns the strands of a hair object as they stand on the neutral face; None if there are none."""
    mesh = stage.track(stage.face.data.copy())
    neutral = stage.track(bpy.data.objects.new("Neutral", mesh))
    neutral.shape_key_clear()
    write_positions(mesh, rest)
    mesh.update()
    neutral.add_rest_position_attribute = True
    copied = stage.track(item.copy())
    copied.parent = None
    copied.matrix_world.identity()
    copied.hide_viewport = copied.hide_render = False
    for shown in (neutral, copied):
        stage.scene.collection.objects.link(shown)
    modifier = copied.modifiers.get(MODIFIER)
    if modifier is not None and modifier.node_group is not None:
        set_input(modifier, FACE_INPUT, neutral)
        set_input(modifier, SHARE_INPUT, 1.0)
    stage.scene.view_layers[0].update()
    normals = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    curves = cast(bpy.types.Curves, copied.evaluated_get(stage.depsgraph).data)
    found = _read(curves, rest, normals, item[PART_KEY] == "scalp") if len(curves.curves) else None
    for shown in (copied, neutral):
        bpy.data.objects.remove(shown)
    bpy.data.meshes.remove(mesh)
    return found


def _read(curves: bpy.types.Curves, rest: np.ndarray, normals: np.ndarray, is_scalp: bool) -> _Rooted:
    offsets = np.empty(len(curves.curves) + 1, np.int32)
    curves.curve_offset_data.foreach_get("value", offsets)
    points = _even(_values(curves, "position"), offsets)
    radius = _values(curves, "radius")
    radius = radius[offsets[:-1]] if radius is not None else np.full(len(points), 4e-5, np.float32)
    chance = _values(curves, CHANCE)
    if chance is None:
        chance = np.random.default_rng(0).random(len(points), np.float32)
    corners, weights, wide = (_values(curves, name) for name in (CORNERS, WEIGHTS, WIDE))
    if corners is None or weights is None or np.abs(weights.sum(1) - 1).max() > 0.01:
        corners = np.repeat(_nearest(points[:, 0], rest)[:, None], 3, 1)
        weights = np.tile(np.array([1, 0, 0], np.float32), (len(points), 1))
        wide = None
    corners = corners.astype(np.int64)
    facing = unit((normals[corners] * weights[..., None]).sum(1))
    strands = CardStrands(points, radius, chance, outward_of(points, facing, is_scalp))
    outer = outer_skin(mean_head())
    outer = outer if outer.max() < len(rest) else np.arange(len(rest))
    wide = None if is_scalp or wide is None else wide.astype(np.int64)
    return _Rooted(strands, corners, weights, wide, (rest[outer], normals[outer]))


def _values(curves: bpy.types.Curves, name: str) -> np.ndarray | None:
    """Returns an attribute of evaluated curves, (N,) or (N, 3) float32; None if they lack it."""
    attribute = curves.attributes.get(name)
    if attribute is None or attribute.data_type not in ("FLOAT", "FLOAT_VECTOR"):
        return None
    field, width = ("vector", 3) if attribute.data_type == "FLOAT_VECTOR" else ("value", 1)
    values = np.empty((len(attribute.data), width), np.float32)
    attribute.data.foreach_get(field, values.ravel())
    return values if width == 3 else values[:, 0]


def _even(places: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns (N, M, 3): the points of curves, as many on each as on the one with most."""
    sizes = np.diff(offsets)
    most = int(sizes.max())
    if (sizes == most).all():
        return places.reshape(len(sizes), most, 3)
    step = np.linspace(0, 1, most) * (sizes - 1)[:, None]
    low = np.minimum(step.astype(np.int64), np.maximum(sizes - 2, 0)[:, None])
    share = (step - low)[..., None]
    first = offsets[:-1, None] + low
    second = np.minimum(first + 1, offsets[1:, None] - 1)
    return (places[first] * (1 - share) + places[second] * share).astype(np.float32)


def _nearest(roots: np.ndarray, rest: np.ndarray) -> np.ndarray:
    tree = KDTree(len(rest))
    for index, place in enumerate(rest.tolist()):
        tree.insert(place, index)
    tree.balance()
    return np.array([tree.find(root)[1] for root in roots.tolist()])


def _card_object(stage: Stage, exported: ExportMesh, part: str, cards: HairCards) -> bpy.types.Object:
    name = f"{stage.face.name} {part.title()} Cards"
    mesh = stage.track(bpy.data.meshes.new(name))
    mesh.from_pydata(cards.vertices.tolist(), [], cards.quads.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(cards.quads), bool))
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", cards.uv[cards.quads.ravel()].ravel())
    mesh.update()
    item = stage.track(bpy.data.objects.new(name, mesh))
    stage.scene.collection.objects.link(item)
    item.parent = exported.object
    return item


def _add_key(
    item: bpy.types.Object, least: float, like: bpy.types.ShapeKey, cards: HairCards, moved: np.ndarray
) -> None:
    """Adds a shape key that moves cards as one of the export mesh does, if it moves any far enough.

    Args:
        item: the cards.
        least: metres that are far enough.
        like: the key of the export mesh.
        cards: those of the object.
        moved: (V, 3) metres.
    """
    far = np.linalg.norm(moved, axis=1)
    if far.max() < least:
        return
    mesh = cast(bpy.types.Mesh, item.data)
    if mesh.shape_keys is None:
        item.shape_key_add(name="Basis", from_mix=False)
    key = item.shape_key_add(name=like.name, from_mix=False)
    write_shape(key, cards.vertices + np.where((far < least)[:, None], 0, moved))
    key.slider_min, key.slider_max = like.slider_min, like.slider_max
    key.value, key.mute = 0.0, like.mute


def _key(stage: Stage, item: bpy.types.Object, clip: KeyedClip) -> None:
    """Gives the keys of cards the values of a clip."""
    keys = cast(bpy.types.Mesh, item.data).shape_keys
    if keys is None:
        return
    stage.track(item.data)
    if len(stage.frames) > 1:
        first = stage.frames[0]
        stage.track(action_writer.key_expressions(item, item.name, clip.names, clip.values, first))
    for name, value in zip(clip.names, clip.values[0], strict=True):
        if name in keys.key_blocks:
            keys.key_blocks[name].value = float(value)
