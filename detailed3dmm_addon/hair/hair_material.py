"""The material of hair: melanin with grey strands among the others, for Cycles and for EEVEE."""

import bpy

from ...ml_backend.hair.pigments import RADIAL_ROUGHNESS, WHITE, WHITE_MELANIN, mixed_colour, shown_colour
from ..nodes.materials import named_node, new_material
from ..nodes.node_graph import NodeGraph
from .follow_group import CHANCE

MELANIN_NODE = "D3DMM Melanin"
REDNESS_NODE = "D3DMM Redness"
GREY_NODE = "D3DMM Grey"
COLOUR_NODE = "D3DMM Hair Colour"


def make_hair_material(name: str) -> bpy.types.Material:
    """Returns a new material; `set_colour` gives it its pigments."""
    material = new_material(name)
    graph = NodeGraph(material.node_tree)
    melanin, redness, grey = (
        graph.node("Value", name=node, label=node.removeprefix("D3DMM ")).outputs[0]
        for node in (MELANIN_NODE, REDNESS_NODE, GREY_NODE)
    )
    chance = graph.attribute(CHANCE).outputs["Fac"]
    white = graph.math("LESS_THAN", chance, grey)
    dark = graph.math("SUBTRACT", 1.0, white)
    mixed = graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", melanin, WHITE_MELANIN), dark, WHITE_MELANIN)
    hair = graph.node(
        "BsdfHairPrincipled",
        {
            "Melanin": mixed,
            "Melanin Redness": graph.math("MULTIPLY", redness, dark),
            "Roughness": 0.28,
            "Radial Roughness": RADIAL_ROUGHNESS,
            "Coat": 0.0,
            "Random Color": 0.25,
            "Random Roughness": 0.2,
            "Random": chance,
        },
        parametrization="MELANIN",
    )
    graph.node("OutputMaterial", {"Surface": hair.outputs[0]}, target="CYCLES")
    colour = graph.node("RGB", name=COLOUR_NODE, label="Hair Colour").outputs[0]
    varied = graph.mix(
        1.0,
        colour,
        graph.node("CombineColor", {k: graph.ramp(chance, 0, 1, 0.75, 1.25) for k in range(3)}).outputs[0],
        "MULTIPLY",
    )
    plain = graph.node(
        "BsdfPrincipled",
        {"Base Color": graph.mix(white, varied, WHITE), "Roughness": 0.42, "Specular IOR Level": 0.5},
    )
    graph.node("OutputMaterial", {"Surface": plain.outputs[0]}, target="EEVEE")
    return material


def set_colour(material: bpy.types.Material, melanin: float, redness: float, grey: float) -> None:
    """Gives a material's hair its pigments; nodes that the artist removed are left out.

    Args:
        material: of `make_hair_material`.
        melanin: 0 white to 1 black.
        redness: 0 brown to 1 red.
        grey: share of strands without pigment, 0 to 1.
    """
    for name, value in ((MELANIN_NODE, melanin), (REDNESS_NODE, redness), (GREY_NODE, grey)):
        node = named_node(material, name)
        if node is not None:
            node.outputs[0].default_value = value
    node = named_node(material, COLOUR_NODE)
    if node is not None:
        node.outputs[0].default_value = (*shown_colour(melanin, redness), 1.0)
    material.diffuse_color = (*mixed_colour(melanin, redness, grey), 1.0)
