"""The modifier that measures the skin's strain: the skin's material reads it for blood and pores.

It compares distances between neighbours with the same distances before the shape keys, in the evaluation
itself. So it follows sliders, drivers and actions, and plays without the extension.
"""

from typing import cast

import bpy

from .modifier_inputs import get_input, input_slider, set_input
from .neighbour_nodes import ABOVE, BESIDE, MOVES, chosen_neighbours, neighbour
from .node_graph import NodeGraph, enabled_socket

MODIFIER = "D3DMM Strain"
BLOOD_INPUT = "Blood"
LARGEST_BLOOD = 3.0
STRAIN_ATTRIBUTE = "d3dmm_strain"
"""Stored by the group: strain across and along the face, and blood that area and dial leave (0 at rest)."""
REST_ATTRIBUTE = "rest_position"
"""Blender's own: positions before the shape keys."""
_TAG = "D3DMM Strain 3"
_NO_LENGTH = 1e-6
"""Metres of the shortest length, so that a vertex without neighbours has no strain."""
_LEAST, _GREATEST = -0.5, 0.6
"""Strains that count: lids and the inside of the mouth go far beyond."""


def add_strain_modifier(face: bpy.types.Object) -> bpy.types.NodesModifier:
    """Adds the modifier before all others, or returns the one that is there."""
    present = strain_modifier(face)
    if present is not None:
        return present
    face.add_rest_position_attribute = True
    modifier = cast(bpy.types.NodesModifier, face.modifiers.new(MODIFIER, "NODES"))
    modifier.show_in_editmode = True
    modifier.node_group = _strain_group()
    face.modifiers.move(len(face.modifiers) - 1, 0)
    return modifier


def strain_modifier(face: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """Returns a face's modifier, or None without one."""
    modifier = face.modifiers.get(MODIFIER)
    if modifier is None or modifier.type != "NODES" or modifier.node_group is None:
        return None
    return cast(bpy.types.NodesModifier, modifier)


def get_blood(face: bpy.types.Object) -> float:
    """Returns the dial of blood; 0 without the modifier."""
    modifier = strain_modifier(face)
    return float(get_input(modifier, BLOOD_INPUT)) if modifier is not None else 0.0


def set_blood(face: bpy.types.Object, value: float) -> None:
    """Sets the dial of blood; nothing without the modifier."""
    modifier = strain_modifier(face)
    if modifier is not None:
        set_input(modifier, BLOOD_INPUT, float(value))
        face.update_tag()


def blood_slider(face: bpy.types.Object) -> tuple[object, str] | None:
    """Returns data and property of the dial for `layout.prop`, or None without the modifier."""
    modifier = strain_modifier(face)
    return None if modifier is None else input_slider(modifier, BLOOD_INPUT)


def _strain_group() -> bpy.types.NodeTree:
    """Returns the geometry nodes, which faces share."""
    for existing in bpy.data.node_groups:
        if existing.get("d3dmm") == _TAG and not existing.library:
            return existing
    group = bpy.data.node_groups.new(MODIFIER, "GeometryNodeTree")
    group["d3dmm"] = _TAG
    group.is_modifier = True
    interface = group.interface
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    dial = interface.new_socket(BLOOD_INPUT, in_out="INPUT", socket_type="NodeSocketFloat")
    dial.default_value = 1.0
    dial.min_value = 0.0
    dial.max_value = LARGEST_BLOOD
    _fill(group)
    return group


def _fill(group: bpy.types.NodeTree) -> None:
    """Measures by chosen neighbours where the mesh has the vertices of that choice, else by all edges."""
    graph = NodeGraph(group)
    source = graph.node("NodeGroupInput").outputs
    geometry, blood = source["Geometry"], source[BLOOD_INPUT]
    switch = graph.node("GeometryNodeSwitch", input_type="GEOMETRY")
    branches = (
        ("Switch", chosen_neighbours(graph, geometry)[0]),
        ("False", _by_edges(graph, geometry, blood)),
        ("True", _by_neighbours(graph, geometry, blood)),
    )
    for socket, value in branches:
        graph.feed(enabled_socket(switch.inputs, socket), value)
    graph.node("NodeGroupOutput", {"Geometry": enabled_socket(switch.outputs, "Output")})


def _by_neighbours(graph: NodeGraph, geometry, dial) -> bpy.types.NodeSocket:
    """Adds the nodes of the strain between a vertex and its neighbours beside and above it.

    Vertices that no expression moves are left out: they have no strain.
    """
    rest = graph.vector_attribute(REST_ATTRIBUTE)
    position = graph.node("GeometryNodeInputPosition").outputs[0]
    strains = []
    for name in (BESIDE, ABOVE):
        now, before = (
            graph.math(
                "MAXIMUM",
                _vector(graph, "DISTANCE", neighbour(graph, places, name), places, "Value"),
                _NO_LENGTH,
            )
            for places in (position, rest)
        )
        strains.append(_within(graph, graph.math("SUBTRACT", graph.math("DIVIDE", now, before), 1.0)))
    return _stored(graph, geometry, strains[0], strains[1], dial, graph.named_attribute(MOVES, "BOOLEAN"))


def _by_edges(graph: NodeGraph, geometry, dial) -> bpy.types.NodeSocket:
    """Adds the nodes of strain across = mean of stretch x share across, over a vertex's edges, over the mean
    share; the same along."""
    ends = graph.node("GeometryNodeInputMeshEdgeVertices").outputs
    rest = graph.vector_attribute(REST_ATTRIBUTE)
    before = _vector(graph, "SUBTRACT", graph.at_index(rest, ends[0]), graph.at_index(rest, ends[1]))
    now = _vector(graph, "SUBTRACT", ends[2], ends[3])
    square = graph.math("MAXIMUM", _vector(graph, "DOT_PRODUCT", before, before, "Value"), 1e-12)
    stretch = _stretch(graph, _vector(graph, "DOT_PRODUCT", now, now, "Value"), square)
    height = graph.node("SeparateXYZ", {0: before}).outputs[2]
    along = graph.math("DIVIDE", graph.math("MULTIPLY", height, height), square)
    across = graph.math("SUBTRACT", 1.0, along)
    edges = graph.node(
        "CombineXYZ",
        {0: graph.math("MULTIPLY", stretch, across), 1: graph.math("MULTIPLY", stretch, along), 2: along},
    )
    on_edges = graph.node("GeometryNodeFieldOnDomain", data_type="FLOAT_VECTOR", domain="EDGE")
    graph.feed(enabled_socket(on_edges.inputs, "Value"), edges.outputs[0])
    at_vertices = graph.node("SeparateXYZ", {0: enabled_socket(on_edges.outputs, "Value")}).outputs
    share = at_vertices[2]
    first = graph.math(
        "DIVIDE", at_vertices[0], graph.math("MAXIMUM", graph.math("SUBTRACT", 1.0, share), 0.05)
    )
    second = graph.math("DIVIDE", at_vertices[1], graph.math("MAXIMUM", share, 0.05))
    return _stored(graph, geometry, first, second, dial)


def _stretch(graph: NodeGraph, now, before) -> bpy.types.NodeSocket:
    """Adds the nodes of the strain between two squared lengths, within bounds."""
    return _within(graph, graph.math("SUBTRACT", graph.math("SQRT", graph.math("DIVIDE", now, before)), 1.0))


def _within(graph: NodeGraph, strain) -> bpy.types.NodeSocket:
    """Adds the node that keeps a strain within bounds."""
    return graph.node("Clamp", {0: strain, 1: _LEAST, 2: _GREATEST}).outputs[0]


def _stored(graph: NodeGraph, geometry, first, second, dial, selection=None) -> bpy.types.NodeSocket:
    """Adds the nodes that store both strains and the blood that the area leaves: less area, more of it."""
    wide = graph.math("ADD", first, 1.0)
    area = graph.math("MULTIPLY_ADD", wide, second, wide)
    blood = graph.math("SUBTRACT", graph.math("DIVIDE", 1.0, graph.math("MAXIMUM", area, 0.3)), 1.0)
    strain = graph.node("CombineXYZ", {0: first, 1: second, 2: graph.math("MULTIPLY", blood, dial)}).outputs[
        0
    ]
    return graph.store_attribute(geometry, STRAIN_ATTRIBUTE, "FLOAT_VECTOR", strain, selection)


def _vector(graph: NodeGraph, operation: str, first, second, output: str = "Vector") -> bpy.types.NodeSocket:
    return graph.node("VectorMath", {0: first, 1: second}, operation=operation).outputs[output]
