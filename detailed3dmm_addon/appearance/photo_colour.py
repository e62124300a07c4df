"""A photo's colour on the skin: mixed over what the material paints, except under cropped hair."""

import bpy

from ..nodes.materials import named_node, principled_shader
from ..nodes.node_graph import NodeGraph
from .skin_material import IMAGE_NODE

COLOUR_NODE = "D3DMM Photo Colour"
"""Holds the share of the photo."""


def mix_photo(material: bpy.types.Material, image: bpy.types.Image, share: float) -> None:
    """Mixes an image into the base colour of a skin; a Value node holds the share."""
    shader = principled_shader(material)
    if shader is None or not shader.inputs["Base Color"].is_linked:
        return
    painted = shader.inputs["Base Color"].links[0].from_socket
    graph = NodeGraph(material.node_tree, keep=True)
    amount = graph.node("Value", name=COLOUR_NODE, label="Photo Colour").outputs[0]
    amount.default_value = share
    place = graph.node("UVMap", uv_map="UVMap").outputs[0]
    texture = graph.node("TexImage", {"Vector": place}, image=image, extension="EXTEND")
    bare = graph.math("SUBTRACT", 1.0, graph.attribute("d3dmm_scalp").outputs["Fac"], clamp=True)
    colour = graph.mix(graph.math("MULTIPLY", amount, bare), painted, texture.outputs["Color"])
    graph.feed(shader.inputs["Base Color"], colour)


def carry_photo(former: bpy.types.Material | None, made: bpy.types.Material) -> None:
    """Mixes the photo of a former skin into a new one; nothing where it had none."""
    share = named_node(former, COLOUR_NODE)
    if former is None or share is None:
        return
    images = [
        node.image
        for node in former.node_tree.nodes
        if node.bl_idname == "ShaderNodeTexImage" and node.name != IMAGE_NODE and node.image is not None
    ]
    if images:
        mix_photo(made, images[0], share.outputs[0].default_value)
