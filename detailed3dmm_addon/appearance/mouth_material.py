"""The materials of teeth and tongue, all procedural."""

import bpy

from ..nodes.materials import new_material
from ..nodes.node_graph import NodeGraph


def make_teeth(name: str) -> bpy.types.Material:
    material = new_material(name)
    graph = NodeGraph(material.node_tree)
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": (0.74, 0.66, 0.53, 1.0),
            "Roughness": 0.22,
            "Subsurface Weight": 0.4,
            "Subsurface Radius": (1.0, 0.8, 0.6),
            "Subsurface Scale": 0.0012,
            "Coat Weight": 0.4,
            "Coat Roughness": 0.08,
        },
    )
    graph.node("OutputMaterial", {"Surface": surface.outputs[0]})
    return material


def make_tongue(name: str) -> bpy.types.Material:
    material = new_material(name)
    graph = NodeGraph(material.node_tree)
    place = graph.node("UVMap", uv_map="UVMap").outputs[0]
    bump = graph.node(
        "Bump", {"Height": graph.noise(place, 220.0, 2.0), "Distance": 0.0006, "Strength": 0.8}
    ).outputs[0]
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": (0.62, 0.22, 0.20, 1.0),
            "Roughness": 0.35,
            "Subsurface Weight": 0.7,
            "Subsurface Radius": (1.0, 0.3, 0.2),
            "Subsurface Scale": 0.003,
            "Coat Weight": 0.3,
            "Coat Roughness": 0.15,
            "Normal": bump,
        },
    )
    graph.node("OutputMaterial", {"Surface": surface.outputs[0]})
    return material
