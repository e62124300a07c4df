"""True displacement: Cycles moves the surface by the skin's relief, on a mesh subdivided for the render."""

from typing import cast

import bpy

from ..nodes.materials import first_material, named_node
from ..nodes.node_graph import NodeGraph
from .skin_material import RELIEF_NODE, RELIEF_UNIT

MODIFIER = "D3DMM Render Subdivision"
DISPLACEMENT_NODE = "D3DMM True Displacement"
LEVELS = 2
"""A vertex becomes 16: about one for each texel of a map of 1024."""


def apply(face: bpy.types.Object) -> None:
    """Applies the switch to the face's material and modifiers; nothing without the relief's node."""
    material = first_material(face)
    relief = named_node(material, RELIEF_NODE)
    if material is None or relief is None:
        return
    shown = face.d3dmm.skin.true_displacement
    present = material.node_tree.nodes.get(DISPLACEMENT_NODE)
    if shown and present is None:
        _link_displacement(material, relief)
    elif not shown and present is not None:
        material.node_tree.nodes.remove(present)
    relief.inputs["Strength"].default_value = 0.0 if shown else 1.0
    material.displacement_method = "BOTH" if shown else "BUMP"
    _subdivide(face, shown)


def _link_displacement(material: bpy.types.Material, relief: bpy.types.Node) -> None:
    graph = NodeGraph(material.node_tree, keep=True)
    outputs = [node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial"]
    output = next((node for node in outputs if node.is_active_output), None)
    height = relief.inputs["Height"]
    if output is None or not height.is_linked:
        return
    node = graph.node(
        "Displacement",
        {"Height": height.links[0].from_socket, "Midlevel": 0.0, "Scale": RELIEF_UNIT},
        name=DISPLACEMENT_NODE,
    )
    graph.feed(output.inputs["Displacement"], node.outputs[0])


def _subdivide(face: bpy.types.Object, shown: bool) -> None:
    modifier = face.modifiers.get(MODIFIER)
    if shown and modifier is None:
        added = cast(bpy.types.SubsurfModifier, face.modifiers.new(MODIFIER, "SUBSURF"))
        added.levels = 0
        added.render_levels = LEVELS
        added.show_viewport = False
    elif not shown and modifier is not None:
        face.modifiers.remove(modifier)
