"""Attributes that hold chosen neighbours of every vertex, and the nodes that read them.

Whole numbers, one to an attribute: numbers that nodes must take out of vectors and round cost half of what
they save.
"""

import bpy

from .node_graph import NodeGraph, enabled_socket

BESIDE, ABOVE = "d3dmm_beside", "d3dmm_above"
"""Of each vertex: the numbers of its neighbours to the left and above."""
OPPOSITE = ("d3dmm_beside_opposite", "d3dmm_above_opposite")
"""Of each vertex: the numbers of the neighbours opposite to those, or its own."""
SIDE = "d3dmm_neighbours_side"
"""Of each vertex: how many vertices the mesh has for which neighbours were chosen, below 0 where the lines
between opposite neighbours cross the other way round."""
MOVES = "d3dmm_moves"
"""True at skin that some expression moves."""


def chosen_neighbours(graph: NodeGraph, geometry) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Adds the nodes that tell whether neighbours were chosen for a mesh of that many vertices, and how many
    it has."""
    size = graph.node("GeometryNodeAttributeDomainSize", {"Geometry": geometry}, component="MESH")
    count = size.outputs["Point Count"]
    first = graph.node("GeometryNodeSampleIndex", data_type="FLOAT", domain="POINT")
    for socket, value in (("Geometry", geometry), ("Value", graph.named_attribute(SIDE)), ("Index", 0)):
        graph.feed(enabled_socket(first.inputs, socket), value)
    chosen_for = graph.math("ABSOLUTE", enabled_socket(first.outputs, "Value"))
    return graph.math("COMPARE", chosen_for, count, 0.5), count


def neighbour(graph: NodeGraph, value, name: str) -> bpy.types.NodeSocket:
    """Adds the nodes that read a vector at the neighbour that an attribute names."""
    return graph.at_index(value, graph.named_attribute(name, "INT"))
