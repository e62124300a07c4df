"""Reports how much of a head wrinkles: a part is not reported as the whole."""

from collections.abc import Iterable
from math import ceil, log2

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..model.arkit_keys import FEWEST, expression_keys
from ..model.registry import is_face
from ..nodes.vertex_attributes import read_shape
from .detail import FOLDING, AddedDetail, has_mesh_detail
from .quality import MatchQuality

FINE_ENOUGH = 0.0025
"""Metres on our head: a mesh with longer edges loses wrinkles."""
COVERED_ENOUGH = 0.7
"""Share of our skin that can wrinkle."""
_OF_THE_SKIN = ("brow", "noseSneer", "mouthSmile", "cheekSquint")
_NAMES_ENOUGH = 0.75
"""Share of ARKit's names; with fewer there is a warning even if all that fold the skin are present."""


def report_detail(
    added: AddedDetail, item: bpy.types.Object, selected: Iterable[bpy.types.Object]
) -> tuple[set[str], str]:
    """Describes the wrinkles that a mesh has received.

    Args:
        added: the result of `add_mesh_detail`.
        item: the mesh.
        selected: the selected objects; meshes among them that have no wrinkles are named.

    Returns:
        Blender's kind of report, INFO or WARNING, and the sentence.
    """
    match = added.correspondence
    how = "its texture coordinates" if match.by_uv else "wrapping"
    done = (
        f"{added.fields} expressions wrinkle {(match.trust > 0.5).sum()} vertices, matched by {how} "
        f"({added.quality.figure:.0%}: {_measures(added.quality)})"
    )
    warnings = [
        *_coarseness(match.spacing),
        *_missing_names(added),
        *_missing_skin(match.coverage),
        *_astray(added.quality),
        *_other_meshes(item, selected),
    ]
    return {"WARNING" if warnings else "INFO"}, "; ".join([done, *warnings])


def likelier_skin(item: bpy.types.Object, others: Iterable[bpy.types.Object]) -> bpy.types.Object | None:
    """Returns the object that is the skin of a head of which the given mesh is another part, or None.

    Args:
        item: a mesh that our skin could not be laid over, such as teeth or lashes.
        others: objects of the scene; meshes with ARKit's names among them count by how much of them moves.
    """
    moving = {item: _moving(item)}
    for other in others:
        if other.type != "MESH" or other == item or is_face(other) or has_mesh_detail(other):
            continue
        if len(expression_keys(other.data)) >= FEWEST:
            moving[other] = _moving(other)
    best = max(moving, key=lambda each: moving[each])
    return None if moving[best] <= moving[item] else best


def _moving(item: bpy.types.Object) -> int:
    """Returns how many vertices the keys of brows, nose and smile move, in all."""
    keys = item.data.shape_keys.key_blocks
    rest = read_shape(keys[0])
    names = expression_keys(item.data)
    return sum(
        int((np.abs(read_shape(keys[key]) - rest).max(1) > 0).sum())
        for name, group in names.items()
        if name.startswith(_OF_THE_SKIN)
        for key in group
    )


def _measures(quality: MatchQuality) -> str:
    """Returns the parts of the figure in words."""
    parts = []
    if quality.residual_mm:
        name, worst = max(quality.residual_mm.items(), key=lambda entry: entry[1])
        parts.append(f"{worst:.1f} mm off the surface at the {name.replace('_', ' ')}, the worst region")
    parts.append(f"keys act {quality.places_mm:.0f} mm from where ours do")
    parts.append(f"{quality.keys:.0%} of the names are there")
    return ", ".join(parts)


def _astray(quality: MatchQuality) -> list[str]:
    if not quality.astray:
        return []
    return [f"these keys act far from where their names say: {', '.join(quality.astray)}"]


def _coarseness(spacing: float) -> list[str]:
    if spacing <= FINE_ENOUGH:
        return []
    times = ceil(log2(spacing / FINE_ENOUGH))
    return [f"the mesh is coarse for wrinkles: undo, and subdivide {times} times"]


def _missing_names(added: AddedDetail) -> list[str]:
    total = len(EXPRESSION_NAMES)
    present = total - len(added.missing) - len(added.missing_others)
    if not added.missing and present >= _NAMES_ENOUGH * total:
        return []
    parts = [f"{present} of ARKit's {total} expressions ({present / total:.0%}) have a shape key"]
    if added.missing:
        share = f"{len(added.missing)} of the {len(FOLDING)} that fold the skin"
        parts.append(f"missing are {share}: {', '.join(added.missing)}")
    if added.missing_others:
        parts.append(f"missing too, without wrinkles: {', '.join(added.missing_others)}")
    return [*parts, "name the shape keys as ARKit does"]


def _missing_skin(coverage: float) -> list[str]:
    if coverage >= COVERED_ENOUGH:
        return []
    return [
        f"the mesh covers only {coverage:.0%} of the skin that wrinkles: undo, join the parts of the head "
        "or choose another Match"
    ]


def _other_meshes(item: bpy.types.Object, selected: Iterable[bpy.types.Object]) -> list[str]:
    reasons = [
        f"{other.name} ({_reason(other)})"
        for other in selected
        if other != item and other.type == "MESH" and not has_mesh_detail(other)
    ]
    return [f"only the active mesh wrinkles, not {', '.join(reasons)}"] if reasons else []


def _reason(other: bpy.types.Object) -> str:
    if is_face(other):
        return "a face of ours: it has its own detail"
    keys = len(expression_keys(other.data))
    if keys == 0:
        return "no shape key with an ARKit name"
    if keys < FEWEST:
        return f"only {keys} shape keys with ARKit names"
    return "if it is skin, make it active and press again"
