"""Shows where a head wrinkles: its vertices are coloured by the energy of their wrinkles."""

import bpy
import numpy as np

from ..nodes.detail_groups import FIELD_ATTRIBUTE
from ..nodes.vertex_attributes import read_attribute

PREVIEW = "d3dmm_match_colour"
"""Colour attribute of the mesh."""
FORMER = "d3dmm_former_colour"
"""Of the object: the colour attribute that was active before, and the viewport's colours."""
_FULL = 0.06
"""Millimetres on our head: root mean square over expressions that is shown in full colour."""
_STOPS = np.array([0.0, 0.15, 0.45, 1.0])
_COLOURS = np.array([(0.32, 0.32, 0.34), (0.10, 0.30, 0.62), (0.95, 0.72, 0.12), (0.80, 0.06, 0.04)])


def wrinkle_energy(item: bpy.types.Object, fields: int, scale: float) -> np.ndarray:
    """Returns (N,): root mean square of the wrinkles over the expressions, millimetres on our head.

    Args:
        item: a mesh with our detail.
        fields: number of its fields.
        scale: length of a metre of our head in units of the mesh.
    """
    total = np.zeros(len(item.data.vertices))
    for number in range(fields):
        values = read_attribute(item.data, FIELD_ATTRIBUTE.format(number))
        if values is not None:
            total += values.astype(np.float64) ** 2
    return np.sqrt(total / max(fields, 1)) / scale


def is_shown(item: bpy.types.Object) -> bool:
    """Returns True if the preview is on."""
    return FORMER in item


def show_preview(item: bpy.types.Object, energy: np.ndarray, space=None) -> None:
    """Colours the vertices, and lets a 3D viewport show that.

    Args:
        item: a mesh.
        energy: (N,) from `wrinkle_energy`.
        space: the viewport, or None without a window.
    """
    mesh = item.data
    shading = getattr(space, "shading", None)
    former = {"attribute": mesh.color_attributes.active_color_name or "", "type": "", "colour": ""}
    if shading is not None:
        former |= {"type": shading.type, "colour": shading.color_type}
        shading.type, shading.color_type = "SOLID", "VERTEX"
    share = np.clip(energy / _FULL, 0, 1)
    colours = np.ones((len(energy), 4), np.float32)
    for channel in range(3):
        colours[:, channel] = np.interp(share, _STOPS, _COLOURS[:, channel])
    attribute = mesh.color_attributes.get(PREVIEW) or mesh.color_attributes.new(
        PREVIEW, "FLOAT_COLOR", "POINT"
    )
    attribute.data.foreach_set("color", colours.ravel())
    mesh.color_attributes.active_color_name = PREVIEW
    item[FORMER] = former
    mesh.update()


def hide_preview(item: bpy.types.Object, space=None) -> None:
    """Takes the colours off, and brings back what was shown before; does nothing without a preview."""
    former = item.pop(FORMER, None)
    if former is None:
        return
    mesh = item.data
    attribute = mesh.color_attributes.get(PREVIEW)
    if attribute is not None:
        mesh.color_attributes.remove(attribute)
    if former["attribute"] in mesh.color_attributes:
        mesh.color_attributes.active_color_name = former["attribute"]
    shading = getattr(space, "shading", None)
    if shading is not None and former["type"]:
        shading.type = former["type"]
        shading.color_type = former["colour"]
    mesh.update()
