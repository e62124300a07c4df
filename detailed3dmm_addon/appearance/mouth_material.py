"""The materials of teeth, gums and tongue, all procedural.

The model's teeth are two smooth bands: their gaps, the edges of the gums and the enamel are drawn here, by
places on the mean face in millimetres. Deep between lips and cheeks all is darker than lights alone make it.
"""

import bpy

from ..nodes.materials import new_material
from ..nodes.node_graph import NodeGraph

_ARCH_RADIUS, _ARCH_MIDDLE = 34.5, -71.2
"""Millimetres: the circle through the front teeth and the last molars, and its centre along Y."""
_UPPER_GAPS = (0.0, 8.6, 15.2, 22.8, 29.8, 36.6, 46.6)
_LOWER_GAPS = (0.0, 5.4, 11.4, 18.2, 25.2, 32.2, 43.0)
"""Millimetres along the arch from the middle to the gaps between teeth."""
_UPPER_EDGE, _LOWER_EDGE = -34.9, -31.2
"""Heights of the cutting edges."""
_UPPER_CROWN, _LOWER_CROWN = 10.2, 8.6
_SPLIT_U = 1.335
"""Texture coordinate between the chart of the upper and that of the lower teeth."""
_ENAMEL, _NECK, _TIP, _GUM = (
    (0.64, 0.535, 0.425),
    (0.56, 0.42, 0.29),
    (0.54, 0.485, 0.43),
    (0.42, 0.115, 0.10),
)
_DEPTH = 0.012
"""Metres within which lips and cheeks shade teeth and tongue."""


def make_teeth(name: str) -> bpy.types.Material:
    """Returns the material of teeth and gums."""
    material = new_material(name, _ENAMEL)
    graph = NodeGraph(material.node_tree)
    along, above, from_gap, crown = _places(graph)
    scallop = graph.ramp(from_gap, 0.0, 3.2, -1.7, 0.4)
    gum_edge = graph.math("ADD", crown, scallop)
    gum = graph.ramp(graph.math("SUBTRACT", above, gum_edge), -0.25, 0.25)
    enamel = graph.mix(graph.ramp(above, 0.0, 2.6, 0.75, 0.0), _ENAMEL, _TIP)
    neck = graph.ramp(graph.math("SUBTRACT", gum_edge, above), 0.2, 4.5, 0.85, 0.0)
    enamel = graph.mix(neck, enamel, _NECK)
    enamel = graph.mix(graph.ramp(from_gap, 0.0, 0.55, 0.75, 0.0), enamel, (0.20, 0.12, 0.07))
    light = graph.math(
        "MULTIPLY", _light(graph), graph.ramp(graph.math("ABSOLUTE", along), 12.0, 34.0, 1.0, 0.4)
    )
    bulge = graph.ramp(from_gap, 0.0, 2.4, 0.0, 1.0)
    swell = graph.math("MULTIPLY_ADD", gum, 0.35, graph.math("MULTIPLY", bulge, 0.75))
    ripple = graph.math(
        "MULTIPLY", graph.noise(graph.attribute("d3dmm_rest").outputs["Vector"], 450.0, 3.0), 0.12
    )
    height = graph.math("ADD", swell, ripple)
    bump = graph.node("Bump", {"Height": height, "Distance": 0.0012, "Strength": 0.8}).outputs[0]
    open_corner = graph.math("SUBTRACT", 1.0, graph.math("DIVIDE", above, 1.7), clamp=True)
    width = graph.math("MULTIPLY_ADD", graph.math("MULTIPLY", open_corner, open_corner), 0.95, -0.05)
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": graph.mix(gum, enamel, _GUM),
            "Roughness": graph.math("MULTIPLY_ADD", gum, 0.10, 0.17),
            "Subsurface Weight": graph.math("MULTIPLY_ADD", gum, 0.4, 0.5),
            "Subsurface Radius": (1.0, 0.75, 0.55),
            "Subsurface Scale": 0.0010,
            "Coat Weight": 0.5,
            "Coat Roughness": 0.05,
            "Normal": bump,
        },
    )
    _finish(graph, surface, graph.math("GREATER_THAN", from_gap, width), light)
    material.surface_render_method = "DITHERED"
    return material


def _places(graph: NodeGraph):
    """Adds the nodes of millimetres: along the arch, above the edge, to the next gap, of the crown."""
    metres = graph.attribute("d3dmm_rest").outputs["Vector"]
    place = graph.node("VectorMath", {0: metres, "Scale": 1000.0}, operation="SCALE").outputs[0]
    x, y, z = graph.node("SeparateXYZ", {0: place}).outputs
    ahead = graph.math("SUBTRACT", _ARCH_MIDDLE, y)
    along = graph.math("MULTIPLY", graph.math("ARCTAN2", x, ahead), _ARCH_RADIUS)
    u = graph.node("SeparateXYZ", {0: graph.node("UVMap", uv_map="UVMap").outputs[0]}).outputs[0]
    is_lower = graph.math("GREATER_THAN", u, _SPLIT_U)
    above = _either(
        graph, is_lower, graph.math("SUBTRACT", z, _UPPER_EDGE), graph.math("SUBTRACT", _LOWER_EDGE, z)
    )
    to_gap = _either(graph, is_lower, *(_to_next(graph, along, gaps) for gaps in (_UPPER_GAPS, _LOWER_GAPS)))
    return along, above, to_gap, _either(graph, is_lower, _UPPER_CROWN, _LOWER_CROWN)


def _to_next(graph: NodeGraph, along, gaps: tuple[float, ...]):
    """Adds the nodes of the distance to the nearest of some places, alike on both sides."""
    side = graph.math("ABSOLUTE", along)
    nearest = side
    for gap in gaps[1:]:
        nearest = graph.math("MINIMUM", nearest, graph.math("ABSOLUTE", graph.math("SUBTRACT", side, gap)))
    return nearest


def _either(graph: NodeGraph, choice, first, second):
    """Adds the nodes of the first value where the choice is 0, of the second where it is 1."""
    return graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", second, first), choice, first)


def _light(graph: NodeGraph):
    """Adds the nodes of what lips, cheeks and palate leave of the light, 0 to 1."""
    node = graph.node("AmbientOcclusion", {"Distance": _DEPTH}, samples=6)
    return graph.math("MULTIPLY_ADD", node.outputs["AO"], 0.7, 0.3)


def _finish(graph: NodeGraph, surface, alpha, light) -> None:
    """Adds the nodes that darken a surface and cut holes into it.

    Its own colour stays as it is: other programs receive that.
    """
    dark = graph.node("BsdfDiffuse", {"Color": (0.0, 0.0, 0.0, 1.0)}).outputs[0]
    lit = graph.node("MixShader", {0: light, 1: dark, 2: surface.outputs[0]}).outputs[0]
    clear = graph.node("BsdfTransparent").outputs[0]
    graph.node(
        "OutputMaterial", {"Surface": graph.node("MixShader", {0: alpha, 1: clear, 2: lit}).outputs[0]}
    )


def make_tongue(name: str) -> bpy.types.Material:
    """Returns the material of the tongue: papillae, a groove along the middle, wet."""
    material = new_material(name, _GUM)
    graph = NodeGraph(material.node_tree)
    rest = graph.attribute("d3dmm_rest").outputs["Vector"]
    x = graph.node("SeparateXYZ", {0: rest}).outputs[0]
    groove = graph.ramp(graph.math("ABSOLUTE", x), 0.0, 0.004, -1.2, 0.0)
    papillae = graph.node("TexVoronoi", {"Vector": rest, "Scale": 1100.0}, feature="SMOOTH_F1").outputs[
        "Distance"
    ]
    height = graph.math("SUBTRACT", groove, graph.math("MULTIPLY", papillae, 0.5))
    bump = graph.node("Bump", {"Height": height, "Distance": 0.0006, "Strength": 0.8}).outputs[0]
    coated = graph.ramp(graph.noise(rest, 120.0, 4.0), 0.35, 0.7, 0.0, 0.6)
    colour = graph.mix(coated, (0.47, 0.145, 0.13), (0.56, 0.31, 0.28))
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": 0.32,
            "Subsurface Weight": 0.9,
            "Subsurface Radius": (1.0, 0.3, 0.2),
            "Subsurface Scale": 0.002,
            "Coat Weight": 0.6,
            "Coat Roughness": 0.10,
            "Normal": bump,
        },
    )
    _finish(graph, surface, 1.0, _light(graph))
    return material
