"""Measures the wrinkles that a head of another maker received: their places, seams, speed, and what stays."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import bpy
import numpy as np

from ml_backend.evaluation.held_out_people import held_out_expressions
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.geometry.similarity import fit_similarity
from ml_backend.geometry.texture_space import rasterise, sample_map, triangles_of

from .head_sources import model
from .head_variants import PLACE, TestHead

REGIONS = ("forehead", "glabella", "crows_feet", "nasolabial", "chin", "cheeks")
SMOOTH = ("lips", "lids", "ears")
EXPRESSIONS = 24
_MAP = 512
_MODIFIER = "D3DMM Detail"
_LID_DEPTH = 0.004
_EAR_RADIUS = 0.036


@lru_cache(maxsize=1)
def region_maps() -> dict[str, np.ndarray]:
    """Returns (R, R) weights 0..1 of the regions that wrinkle and of those that must not."""
    face = model()
    skin = np.asarray(face.polygon_part) == 0
    positions = np.asarray(face.mean)
    weights = {name: np.asarray(face.regions[name], np.float32) for name in (*REGIONS, "lips")}
    lids = np.zeros(len(positions), np.float32)
    ears = np.zeros(len(positions), np.float32)
    for side in ("left", "right"):
        eye = positions[face.landmarks[f"eye_{side}"]]
        centre = (eye.max(0) + eye.min(0)) / 2
        radius = np.median(np.linalg.norm(eye - centre, axis=1))
        far = np.linalg.norm(positions - centre, axis=1) - radius
        lids[(far < _LID_DEPTH) & (positions[:, 1] < centre[1])] = 1
        rim = positions[face.landmarks[f"ear_rim_{side}"]]
        flat = np.linalg.norm((positions - rim.mean(0))[:, 1:], axis=1)
        inner = np.abs(rim[:, 0]).min() - 0.004
        outward = positions[:, 0] * np.sign(rim[0, 0])
        ears[(flat < _EAR_RADIUS) & (outward > inner) & (positions[:, 1] > rim[:, 1].min() - 0.004)] = 1
    weights |= {"lids": lids, "ears": ears}
    triangles, _ = triangles_of(np.asarray(face.polygons)[skin])
    corners, _ = triangles_of(np.asarray(face.uv_polygons)[skin])
    lookup = rasterise(np.asarray(face.uv, np.float64), corners, triangles, _MAP)
    maps = {name: lookup.spread(weight) for name, weight in weights.items()}
    maps["places"] = lookup.spread(positions.astype(np.float32))
    return maps


class _Mesh:
    """The mesh of a head at rest as arrays, in world space."""

    def __init__(self, item: bpy.types.Object):
        mesh = item.data
        keys = mesh.shape_keys.key_blocks
        self.linear = np.array(item.matrix_world.to_3x3())
        rest = _shape(keys[0])
        self.rest = rest.copy()
        for key in keys[1:]:
            if key.value:
                self.rest += key.value * (_shape(key) - rest)
        self.deltas = {key.name: (_shape(key) - rest) @ self.linear.T for key in keys[1:]}
        self.world = self.rest @ self.linear.T
        mesh.calc_loop_triangles()
        self.triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
        mesh.loop_triangles.foreach_get("vertices", self.triangles.ravel())
        place = np.empty((len(mesh.vertices), 3), np.float32)
        mesh.attributes[PLACE].data.foreach_get("vector", place.ravel())
        self.known = place[:, 2] > 0.999
        self.place = np.where(self.known[:, None], place[:, :2], -1)
        ours = sample_map(region_maps()["places"], self.place.clip(0, 1)).astype(float)
        self.ours = ours
        front = self.known & (ours[:, 1] < 0)
        self.scale = fit_similarity(ours[front], self.world[front]).scale
        edges = self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        self.edges = np.unique(np.sort(edges, 1), axis=0)

    def weights(self, name: str) -> np.ndarray:
        """Returns (N,) the true weight of a region."""
        return np.where(self.known, sample_map(region_maps()[name], self.place.clip(0, 1)), 0)

    def areas(self) -> np.ndarray:
        a, b, c = (self.world[self.triangles[:, corner]] for corner in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        return np.bincount(self.triangles.ravel(), np.repeat(area, 3), len(self.world))


def measure(head: TestHead, extension_module) -> dict:
    """Runs the operator on a head and measures the result.

    Args:
        head: in the scene, active.
        extension_module: imports a module of the extension by its path.

    Returns:
        A row: either `refused`, a sentence, or the figures.
    """
    item = head.item
    before = fingerprint(item)
    began = time.perf_counter()
    try:
        bpy.ops.d3dmm.add_detail_to_mesh(**head.settings)
    except RuntimeError as error:
        return {
            "refused": " ".join(str(error).removeprefix("Error: ").split()),
            "seconds": round(time.perf_counter() - began, 1),
            "trace": differences(before, fingerprint(item)),
        }
    row: dict = {"seconds": round(time.perf_counter() - began, 1), "vertices": len(item.data.vertices)}
    shown = {modifier.name: modifier.show_viewport for modifier in item.modifiers}
    for modifier in item.modifiers:
        modifier.show_viewport = modifier.name == _MODIFIER
    mesh = _Mesh(item)
    row |= _figures(head, mesh)
    for modifier in item.modifiers:
        modifier.show_viewport = shown[modifier.name]
    row |= _match(item, mesh, extension_module)
    row["quality"] = round(item["d3dmm_match"]["figure"], 3)
    return row | {"before": before}


@contextmanager
def true_match(extension_module) -> Iterator[None]:
    """Lets the operator work with the true places instead of its own match: the best that a match can do."""
    detail = extension_module("detailed3dmm_addon.other_heads.detail")
    find = detail.match_shape

    def known(shape, method):
        mesh = _Mesh(bpy.context.active_object)
        local = mesh.scale / np.cbrt(abs(np.linalg.det(mesh.linear)))
        return replace(
            find(shape, method),
            uv=mesh.place.astype(np.float32),
            trust=mesh.known.astype(np.float32),
            scale=local,
        )

    detail.match_shape = known
    try:
        yield
    finally:
        detail.match_shape = find


def removal(head: TestHead, before: dict) -> list[str]:
    """Removes the detail; returns what differs from before it was added."""
    bpy.ops.d3dmm.remove_mesh_detail()
    return differences(before, fingerprint(head.item))


def place_of_head(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns rotation (3, 3), the middle of the face (3,) and the scale of a head in the scene."""
    mesh = _Mesh(item)
    front = mesh.known & (mesh.ours[:, 1] < 0)
    fitted = fit_similarity(mesh.ours[front], mesh.world[front])
    face = mesh.known & (mesh.ours[:, 1] < -0.06)
    middle = (mesh.world[face].max(0) + mesh.world[face].min(0)) / 2 + np.array(item.matrix_world.translation)
    return fitted.rotation, middle, fitted.scale


def undone(head: TestHead, before: dict) -> list[str]:
    """Adds the detail once more and undoes it; returns what differs from before."""
    name = head.item.name
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.d3dmm.add_detail_to_mesh(**head.settings)
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    return differences(before, fingerprint(bpy.data.objects[name]))


def _figures(head: TestHead, mesh: _Mesh) -> dict:
    item = head.item
    expressions = held_out_expressions(EXPRESSIONS)
    show(head, np.zeros(len(EXPRESSION_NAMES)))
    rest = _height(item, mesh)
    areas = mesh.areas()
    weights = {name: mesh.weights(name) for name in (*REGIONS, *SMOOTH)}
    energy = {name: [] for name in REGIONS}
    squeezed = {name: [] for name in REGIONS}
    total = np.zeros(len(mesh.world))
    slopes, gaps = [], []
    groups = _coincident(mesh)
    for expression in expressions:
        moved = mesh.world + show(head, expression, mesh)
        height = _height(item, mesh)
        change = height - rest
        total += height**2
        compression = _compression(mesh.world, moved, mesh.triangles)
        size = areas[mesh.triangles].mean(1)
        for name in REGIONS:
            weight = weights[name] * areas
            local = weights[name][mesh.triangles].mean(1) * size
            energy[name].append(np.sqrt((change**2 * weight).sum() / max(weight.sum(), 1e-12)))
            squeezed[name].append((compression * local).sum() / max(local.sum(), 1e-12))
        slopes.append(np.abs(height[mesh.edges[:, 0]] - height[mesh.edges[:, 1]]))
        gaps.append(_gap(item, mesh, groups))
    show(head, np.zeros(len(EXPRESSION_NAMES)))
    spread = (total * areas).sum()
    return {
        "placement": {name: round(_correlation(energy[name], squeezed[name]), 3) for name in REGIONS},
        "depth_mm": round(float(np.sqrt(max(spread, 0) / EXPRESSIONS / areas[total > 1e-6].sum())), 4)
        if (total > 1e-6).any()
        else 0.0,
        "smooth": {
            name: round(float((total * areas * (weights[name] > 0.5)).sum() / max(spread, 1e-12)), 4)
            for name in SMOOTH
        },
        "elsewhere": round(float((total * areas * ~mesh.known).sum() / max(spread, 1e-12)), 4),
        "seam": round(_seam(item, mesh, np.max(slopes, 0)), 2),
        "gap_mm": round(float(np.max(gaps)), 4),
    }


def show(head: TestHead, expression: np.ndarray, mesh: _Mesh | None = None):
    """Sets the head's keys; returns the displacement of its vertices where a mesh is given, world space."""
    keys = head.item.data.shape_keys.key_blocks
    moved = 0
    values: dict[str, list[float]] = {}
    for name, (names, full) in head.keys.items():
        for key in names:
            values.setdefault(key, []).append(float(expression[EXPRESSION_NAMES.index(name)]) * full)
    for key, wanted in values.items():
        value = float(np.mean(wanted))
        keys[key].value = value
        if mesh is not None and value:
            moved = moved + value * mesh.deltas[key]
    bpy.context.view_layer.update()
    return moved


def _height(item: bpy.types.Object, mesh: _Mesh) -> np.ndarray:
    """Returns (N,) millimetres on our head."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    values = np.empty(len(evaluated.vertices), np.float32)
    evaluated.attributes["d3dmm_height"].data.foreach_get("value", values)
    normals = np.empty((len(evaluated.vertices), 3), np.float32)
    evaluated.vertex_normals.foreach_get("vector", normals.ravel())
    seen = normals @ np.linalg.inv(mesh.linear)  # the seen normal has this direction
    return values / np.maximum(np.linalg.norm(seen, axis=1), 1e-9) / mesh.scale


def _compression(rest: np.ndarray, moved: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (T,) the strongest compression of triangles: minus the least eigenvalue of Green's strain."""
    first = rest[triangles[:, 1]] - rest[triangles[:, 0]]
    second = rest[triangles[:, 2]] - rest[triangles[:, 0]]
    length = np.maximum(np.linalg.norm(first, axis=1), 1e-12)
    along = (first * second).sum(1) / length
    across = np.sqrt(np.maximum((second**2).sum(1) - along**2, 1e-20))
    sound = across > 1e-3 * length
    base = np.zeros((len(triangles), 2, 2))
    base[:, 0, 0], base[:, 0, 1], base[:, 1, 1] = length, along, across
    a = moved[triangles[:, 1]] - moved[triangles[:, 0]]
    b = moved[triangles[:, 2]] - moved[triangles[:, 0]]
    gram = np.stack(
        [np.stack([(a * a).sum(1), (a * b).sum(1)], 1), np.stack([(a * b).sum(1), (b * b).sum(1)], 1)], 1
    )
    base[~sound] = np.eye(2)
    gram[~sound] = np.eye(2)
    inverse = np.linalg.inv(base)
    strain = 0.5 * (inverse.transpose(0, 2, 1) @ gram @ inverse - np.eye(2))
    return np.maximum(-np.linalg.eigvalsh(strain)[:, 0], 0)


def _correlation(a, b) -> float:
    a, b = np.array(a) - np.mean(a), np.array(b) - np.mean(b)
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def _coincident(mesh: _Mesh) -> np.ndarray:
    """Returns (M, 2) pairs of vertices at one place that every key moves alike."""
    total = np.concatenate([mesh.rest, sum(np.abs(delta) for delta in mesh.deltas.values())], 1)
    digits = np.round(total / np.ptp(mesh.rest, axis=0).max() * 1e6).astype(np.int64)
    order = np.lexsort(digits.T)
    same = (digits[order][1:] == digits[order][:-1]).all(1)
    return np.stack([order[:-1][same], order[1:][same]], 1)


def _gap(item, mesh: _Mesh, pairs: np.ndarray) -> float:
    """Returns the widest crack between vertices at one place, millimetres on our head."""
    if not len(pairs):
        return 0.0
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty((len(evaluated.vertices), 3), np.float32)
    evaluated.attributes["position"].data.foreach_get("vector", points.ravel())
    apart = np.linalg.norm((points[pairs[:, 0]] - points[pairs[:, 1]]) @ mesh.linear.T, axis=1)
    return float(apart.max() / mesh.scale * 1e3)


def _seam(item, mesh: _Mesh, steps: np.ndarray) -> float:
    """Returns how much steeper the heights are along edges beside texture seams than along others."""
    data = item.data
    if not data.uv_layers:
        return 0.0
    vertex = np.empty(len(data.loops), np.int32)
    data.loops.foreach_get("vertex_index", vertex)
    uv = np.empty((len(data.loops), 2), np.float32)
    data.uv_layers[0].uv.foreach_get("vector", uv.ravel())
    count = len(mesh.world)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, vertex, uv)
    np.maximum.at(high, vertex, uv)
    split = (high - low).max(1) > 1e-4
    split[np.unique(_coincident(mesh))] = True
    slope = steps / np.maximum(
        np.linalg.norm(mesh.world[mesh.edges[:, 0]] - mesh.world[mesh.edges[:, 1]], axis=1), 1e-9
    )
    beside = split[mesh.edges].any(1)
    active = steps > 1e-4
    if not (beside & active).any() or not (~beside & active).any():
        return 0.0
    return float(np.quantile(slope[beside & active], 0.99) / np.quantile(slope[~beside & active], 0.99))


def _match(item, mesh: _Mesh, extension_module) -> dict:
    """Compares the correspondence with the truth, millimetres on our head."""
    found = extension_module("detailed3dmm_addon.other_heads.correspondence").find_correspondence(
        item, "AUTO"
    )
    wrinkling = np.max([mesh.weights(name) for name in REGIONS], 0) > 0.3
    both = wrinkling & (found.trust > 0.5)
    if not both.any():
        return {"match_mm": [float("inf")] * 2, "found": 0.0}
    apart = 1e3 * np.linalg.norm(
        sample_map(region_maps()["places"], found.uv[both]) - mesh.ours[both], axis=1
    )
    return {
        "match_mm": [round(float(np.quantile(apart, q)), 2) for q in (0.5, 0.9)],
        "found": round(float(both.sum() / wrinkling.sum()), 3),
    }


def fingerprint(item: bpy.types.Object) -> dict:
    """Returns all that a removal or an undo must bring back, as plain values."""
    mesh = item.data
    keys = mesh.shape_keys.key_blocks
    drivers = len(item.animation_data.drivers) if item.animation_data else -1
    slots = [slot.material.name if slot.material else "" for slot in item.material_slots]
    return {
        "mesh": mesh.name,
        "attributes": sorted(attribute.name for attribute in mesh.attributes),
        "active colour": mesh.color_attributes.active_color_name,
        "modifiers": [(modifier.name, modifier.show_viewport) for modifier in item.modifiers],
        "properties": sorted((*item.keys(), *mesh.keys())),
        "drivers": drivers,
        "materials": slots,
        "keys": [(key.name, round(key.value, 6), key.mute) for key in keys],
        "shape": float(np.abs(_shape(keys[-1])).sum()),
        "vertices": len(mesh.vertices),
        "rest attribute": item.add_rest_position_attribute,
        "data": {
            kind: len(getattr(bpy.data, kind))
            for kind in ("objects", "meshes", "node_groups", "materials", "actions", "hair_curves")
        }
        | {"images": sum(image.source != "VIEWER" for image in bpy.data.images)},
    }


def differences(before: dict, after: dict) -> list[str]:
    """Returns the names of the parts of two fingerprints that differ."""
    return [name for name, value in before.items() if after[name] != value]


def _shape(key) -> np.ndarray:
    points = np.empty((len(key.points), 3), np.float32)
    key.points.foreach_get("co", points.ravel())
    return points.astype(float)
