"""Adds wrinkles to any head with ARKit-named shape keys: one field for each expression, driven by its key.

The mesh gets the same Geometry Nodes group as our faces, so it plays and renders without the extension.
"""

from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.geometry.linear_models import fit_ridge
from ...ml_backend.geometry.texture_space import rasterise, sample_map
from ...ml_backend.models.skin_vector import sample_skin
from ..detail.distilled import distilled_model
from ..model.arkit_keys import expression_keys
from ..model.expression_groups import EXPRESSION_PRESETS
from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.detail_groups import (
    COEFFICIENT_INPUT,
    FIELD_ATTRIBUTE,
    MEAN_ATTRIBUTE,
    REGION_ATTRIBUTE,
    REGIONS,
    SEAM_ATTRIBUTE,
    TWIN_ATTRIBUTE,
    input_identifiers,
    other_head_group,
)
from ..nodes.detail_modifier import MODIFIER, set_group
from ..nodes.modifier_inputs import input_path
from ..nodes.vertex_attributes import remove_attributes, write_attribute
from .correspondence import Correspondence, check_head, match_shape
from .finer_mesh import finer_mesh
from .folds import FoldRatios
from .match_preview import hide_preview
from .mesh_hair import PARTS, remove_hair
from .our_skin import away_from_lips, our_skin
from .quality import QUALITY, MatchQuality, judge_match, keep_quality
from .skin_image import PLACE_ATTRIBUTE, remove_skin
from .target_shape import TargetShape

MARK = "d3dmm_mesh_detail"
"""Of the object: number of its fields."""
ORIGINAL = "d3dmm_original_mesh"
"""Of the object: the mesh before it was subdivided."""
SCALE = "d3dmm_match_scale"
"""Of the object: length of a metre of our head in units of the mesh."""
_SAMPLES = 1500
_SEED = 7
_RIDGE = 2.0
_FAINT = 0.02
"""Expressions whose field is weaker, relative to the strongest, get none."""
_REGION_SIZE = 256
FOLDING = tuple(name for name in EXPRESSION_NAMES if not name.startswith(("eyeLook", "tongue")))
"""Expressions that fold the skin, by ARKit's name."""


@dataclass(frozen=True)
class AddedDetail:
    """The wrinkles that a mesh has received.

    Attributes:
        correspondence: between the mesh and our skin.
        fields: number of the expressions that wrinkle.
        quality: of the match.
        missing: names in `FOLDING` without a shape key, those with the strongest wrinkles first.
        missing_others: ARKit's other names without a shape key.
    """

    correspondence: Correspondence
    fields: int
    quality: MatchQuality
    missing: tuple[str, ...]
    missing_others: tuple[str, ...]


def has_mesh_detail(item: bpy.types.Object) -> bool:
    """Returns True if a mesh of the artist carries our detail."""
    return item.type == "MESH" and bool(item.get(MARK)) and item.modifiers.get(MODIFIER) is not None


def add_mesh_detail(
    item: bpy.types.Object, method: str, subdivisions: int, age: float, seed: int
) -> AddedDetail:
    """Gives a mesh wrinkles; it does not change if that fails.

    Args:
        item: a mesh object with ARKit-named shape keys.
        method: see `find_correspondence`.
        subdivisions: number of times to halve its edges first, on a copy of its mesh.
        age: apparent age of the skin, years.
        seed: of the pattern of lines.

    Returns:
        The expressions that wrinkle, those that are missing, and the correspondence.

    Raises:
        UserError: the mesh has too few such shape keys, its faces are inside out, or our skin cannot be laid
            over it.
    """
    original = item.data
    if subdivisions:
        item.data = finer_mesh(item, check_head(item), subdivisions)
    try:
        shape = TargetShape(item)
        correspondence = match_shape(shape, method)
    except UserError:
        finer = item.data
        item.data = original
        if finer != original:
            bpy.data.meshes.remove(finer)
        raise
    if subdivisions:
        item[ORIGINAL] = original
    folds = FoldRatios(shape, correspondence)
    mean, fields = _fields_at(correspondence, age, seed)
    mean *= shape.stretch()
    fields *= shape.stretch() * folds.at(correspondence.uv)
    mesh = item.data
    keys = expression_keys(mesh)
    strength = np.sqrt((fields**2).mean(1))
    chosen = [
        index
        for index, name in enumerate(EXPRESSION_NAMES)
        if name in keys and strength[index] > _FAINT * strength.max()
    ]
    absent = [
        EXPRESSION_NAMES[index]
        for index in np.argsort(-strength)
        if EXPRESSION_NAMES[index] not in shape.keys
    ]
    write_attribute(mesh, MEAN_ATTRIBUTE, mean)
    for number, index in enumerate(chosen):
        write_attribute(mesh, FIELD_ATTRIBUTE.format(number), fields[index])
    for name, weights in _regions_at(correspondence).items():
        write_attribute(mesh, REGION_ATTRIBUTE.format(name), weights)
    twins = shape.one_place[: shape.count]
    doubled = bool((twins != np.arange(shape.count)).any())
    if doubled:
        write_attribute(mesh, TWIN_ATTRIBUTE, twins.astype(np.float32))
    if shape.seam.any():
        write_attribute(mesh, SEAM_ATTRIBUTE, shape.seam_normals())
    modifier = item.modifiers.new(MODIFIER, "NODES")
    set_group(modifier, other_head_group(len(chosen), doubled, bool(shape.seam.any())))
    item.modifiers.move(len(item.modifiers) - 1, 0)
    for number, index in enumerate(chosen):
        _drive(item, COEFFICIENT_INPUT.format(number), keys[EXPRESSION_NAMES[index]])
    place = np.concatenate([correspondence.uv, correspondence.trust[:, None]], 1)
    write_attribute(mesh, PLACE_ATTRIBUTE, place)
    quality = judge_match(shape, correspondence, folds)
    keep_quality(item, quality)
    item[SCALE] = correspondence.scale
    item[MARK] = len(chosen)
    item.update_tag()
    return AddedDetail(
        correspondence,
        len(chosen),
        quality,
        tuple(name for name in absent if name in FOLDING),
        tuple(name for name in absent if name not in FOLDING),
    )


def remove_mesh_detail(item: bpy.types.Object) -> None:
    """Removes all that we added: modifier, drivers, attributes, colours; a subdivided mesh is put back."""
    hide_preview(item)
    remove_skin(item)
    for part in PARTS:
        remove_hair(item, part)
    modifier = item.modifiers.get(MODIFIER)
    if modifier is not None:
        group = modifier.node_group
        for name in input_identifiers(group) if group is not None else {}:
            item.driver_remove(f'modifiers["{MODIFIER}"]{input_path(modifier, name)}')
        item.modifiers.remove(modifier)
        if group is not None and group.users == 0:
            bpy.data.node_groups.remove(group)
    original = item.pop(ORIGINAL, None)
    if original is not None:
        values = {key.name: key.value for key in item.data.shape_keys.key_blocks}
        finer = item.data
        item.data = original
        for key in original.shape_keys.key_blocks:
            key.value = values.get(key.name, key.value)
        if finer.users == 0:
            bpy.data.meshes.remove(finer)
    remove_attributes(item.data, "d3dmm_")
    for name in (MARK, SCALE, QUALITY):
        item.pop(name, None)
    curves = item.animation_data
    if curves is not None and curves.action is None and not curves.nla_tracks and not curves.drivers:
        item.animation_data_clear()
    item.update_tag()


@lru_cache(maxsize=8)
def _expression_steps(age: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fits a linear model of the distilled detail to natural expressions.

    Args:
        age: years.
        seed: of the pattern of lines.

    Returns:
        The fields' coefficients (C,) at rest, and their change by a unit of each expression (52, C).
    """
    model = face_model()
    distilled = distilled_model()
    identity = np.zeros(model.identity_size, np.float32)
    if "age" in model.direction_names:
        identity = model.identity_from_directions({"age": age - model.age_years(identity)})
    skin = sample_skin(seed)
    draw = np.random.default_rng(_SEED)
    presets = np.zeros((len(EXPRESSION_PRESETS), len(EXPRESSION_NAMES)), np.float32)
    for row, (_, values) in zip(presets, EXPRESSION_PRESETS.values(), strict=True):
        for name, value in values.items():
            row[EXPRESSION_NAMES.index(name)] = value
    first, second = (presets[draw.integers(len(presets), size=_SAMPLES)] for _ in range(2))
    mixed = first * draw.uniform(0, 1.1, (_SAMPLES, 1)) + second * draw.uniform(0, 0.6, (_SAMPLES, 1)) * (
        draw.random((_SAMPLES, 1)) < 0.5
    )
    mixed *= draw.random(mixed.shape) < np.where(draw.random((_SAMPLES, 1)) < 0.5, 0.7, 1.0)
    alone = np.tile(np.eye(len(EXPRESSION_NAMES)), (8, 1)) * draw.uniform(
        0.3, 1.0, (8 * len(EXPRESSION_NAMES), 1)
    )
    expressions = np.concatenate([mixed, alone]).clip(0, 1.2).astype(np.float32)
    rest = distilled.coefficients(identity, skin, np.zeros(len(EXPRESSION_NAMES), np.float32))
    added = distilled.coefficients(identity, skin, expressions) - rest
    return rest, fit_ridge(expressions, added, _RIDGE).slopes


def _fields_at(correspondence: Correspondence, age: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rest (N,) and each expression's field (52, N), in thousandths of the mesh's units."""
    rest, steps = _expression_steps(round(age, 3), seed)
    fields = distilled_model().fields_at(correspondence.uv)
    weight = correspondence.trust * np.float32(correspondence.scale)
    if not correspondence.by_uv:
        weight *= our_skin().texture(away_from_lips()[:, None])(correspondence.uv)[:, 0].astype(np.float32)
    return fields.at(rest) * weight, (steps.astype(np.float32) @ fields.fields.T) * weight


def _regions_at(correspondence: Correspondence) -> dict[str, np.ndarray]:
    """Returns (N,) weights of each region; overlapping regions share the skin."""
    dense = dense_mesh()
    model = face_model()
    skin = (dense_parts() == 0)[dense.polygons[:, 0]]
    polygons = dense.polygons[skin]
    uv_polygons = dense.uv_polygons[skin]
    halves = ([0, 1, 2], [0, 2, 3])
    triangles, places = (
        np.concatenate([table[:, half] for half in halves]) for table in (polygons, uv_polygons)
    )
    lookup = rasterise(dense.uv, places, triangles, _REGION_SIZE)
    weights = np.stack([np.clip(dense.refine(model.regions[name]), 0, 1) for name in REGIONS], 1)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1)
    uv = correspondence.uv
    sampled = np.where((uv >= 0).all(1)[:, None], sample_map(lookup.spread(weights), uv.clip(0, 1)), 0)
    return {name: sampled[:, index] for index, name in enumerate(REGIONS)}


def _drive(item: bpy.types.Object, name: str, keys: list[str]) -> None:
    """Drives an input of the modifier by the mean of some shape keys, without a script."""
    modifier = item.modifiers[MODIFIER]
    driver = item.driver_add(f'modifiers["{MODIFIER}"]{input_path(modifier, name)}').driver
    driver.type = "AVERAGE"
    for index, key in enumerate(keys):
        variable = driver.variables.new()
        variable.name = f"key_{index}"
        variable.type = "SINGLE_PROP"
        target = variable.targets[0]
        target.id_type = "KEY"
        target.id = item.data.shape_keys
        target.data_path = f'key_blocks["{bpy.utils.escape_identifier(key)}"].value'
