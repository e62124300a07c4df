"""A photo's colour on the skin: mixed over what the material paints, except under cropped hair."""

from dataclasses import dataclass

import bpy

from ..nodes.materials import named_node, principled_shader
from ..nodes.node_graph import NodeGraph
from .skin_material import IMAGE_NODE

COLOUR_NODE = "D3DMM Photo Colour"
"""Holds the share of the photo."""
LIGHT_NODE = "D3DMM Photo Light"
"""Holds the share of the photo's light in it."""
TONE_NODE = "D3DMM Photo Tone"
"""Multiplies the photo's colour: 1 at the tone that the fit found."""
_PHOTOGRAPHED_NODE = "D3DMM As Photographed"


@dataclass(frozen=True)
class PhotoColour:
    """The images of a photo's skin, and their shares.

    Attributes:
        without_light: the skin's colour.
        as_photographed: the same with the photo's light, or None.
        share: of the photo over the painted skin.
        light_share: of the photographed image over the one without light.
        tone: linear RGB that multiplies both.
    """

    without_light: bpy.types.Image
    as_photographed: bpy.types.Image | None
    share: float
    light_share: float
    tone: tuple[float, float, float] = (1.0, 1.0, 1.0)


def mix_photo(material: bpy.types.Material, photo: PhotoColour) -> None:
    """Mixes a photo into the base colour of a skin; Value nodes hold the shares."""
    shader = principled_shader(material)
    if shader is None or not shader.inputs["Base Color"].is_linked:
        return
    painted = shader.inputs["Base Color"].links[0].from_socket
    graph = NodeGraph(material.node_tree, keep=True)
    amount = graph.node("Value", name=COLOUR_NODE, label="Photo Colour").outputs[0]
    amount.default_value = photo.share
    place = graph.node("UVMap", uv_map="UVMap").outputs[0]
    texture = graph.node(
        "TexImage", {"Vector": place}, image=photo.without_light, extension="EXTEND"
    ).outputs["Color"]
    if photo.as_photographed is not None:
        lit = graph.node("Value", name=LIGHT_NODE, label="Photo Light").outputs[0]
        lit.default_value = photo.light_share
        photographed = graph.node(
            "TexImage",
            {"Vector": place},
            name=_PHOTOGRAPHED_NODE,
            image=photo.as_photographed,
            extension="EXTEND",
        )
        texture = graph.mix(lit, texture, photographed.outputs["Color"])
    tone = graph.node("RGB", name=TONE_NODE, label="Photo Tone").outputs[0]
    tone.default_value = (*photo.tone, 1.0)
    texture = graph.mix(1.0, texture, tone, "MULTIPLY")
    bare = graph.math("SUBTRACT", 1.0, graph.attribute("d3dmm_scalp").outputs["Fac"], clamp=True)
    colour = graph.mix(graph.math("MULTIPLY", amount, bare), painted, texture)
    graph.feed(shader.inputs["Base Color"], colour)


def carry_photo(former: bpy.types.Material | None, made: bpy.types.Material) -> None:
    """Mixes the photo of a former skin into a new one; nothing where it had none."""
    share = named_node(former, COLOUR_NODE)
    if former is None or share is None:
        return
    images = [
        node.image
        for node in former.node_tree.nodes
        if node.bl_idname == "ShaderNodeTexImage"
        and node.name not in (IMAGE_NODE, _PHOTOGRAPHED_NODE)
        and node.image is not None
    ]
    photographed = named_node(former, _PHOTOGRAPHED_NODE)
    lit, tone = named_node(former, LIGHT_NODE), named_node(former, TONE_NODE)
    if images:
        mix_photo(
            made,
            PhotoColour(
                images[0],
                photographed.image if photographed is not None else None,
                share.outputs[0].default_value,
                lit.outputs[0].default_value if lit is not None else 0.0,
                tuple(tone.outputs[0].default_value[:3]) if tone is not None else (1.0, 1.0, 1.0),
            ),
        )
