"""The materials of eyes and lashes, all procedural."""

import bpy

from ..nodes.materials import new_material
from ..nodes.node_graph import NodeGraph

IRIS_NODE = "D3DMM Iris Colour"


def make_eyes(name: str, iris_colour: tuple[float, float, float]) -> bpy.types.Material:
    material = new_material(name, (0.78, 0.74, 0.70))
    graph = NodeGraph(material.node_tree)
    place = graph.node("SeparateXYZ", {0: graph.attribute("d3dmm_eye").outputs["Vector"]})
    x, y = place.outputs[0], place.outputs[1]
    radius = graph.math("SQRT", graph.math("ADD", graph.math("MULTIPLY", x, x), graph.math("MULTIPLY", y, y)))
    angle = graph.math("ARCTAN2", y, x)
    front = graph.ramp(place.outputs[2], -0.1, 0.1)
    iris_value = graph.node("RGB", name=IRIS_NODE, label="Iris Colour").outputs[0]
    iris_value.default_value = (*iris_colour, 1.0)
    around = [graph.math("MULTIPLY", graph.math(turn, angle), 9.0) for turn in ("COSINE", "SINE")]
    spokes = graph.node(
        "CombineXYZ", {0: around[0], 1: around[1], 2: graph.math("MULTIPLY", radius, 3.0)}
    ).outputs[0]
    fibres = graph.ramp(graph.noise(spokes, 2.0, 4.0, 0.7), 0.3, 0.7, 0.45, 1.75)
    iris = graph.mix(
        1.0, iris_value, graph.node("CombineColor", {0: fibres, 1: fibres, 2: fibres}).outputs[0], "MULTIPLY"
    )
    collarette = graph.ramp(radius, 0.20, 0.33, 0.55, 0.0)
    iris = graph.mix(collarette, iris, graph.mix(1.0, iris, (2.2, 1.6, 1.0), "MULTIPLY"))
    limbus = graph.ramp(radius, 0.39, 0.47)
    iris = graph.mix(limbus, iris, (0.012, 0.010, 0.010))
    pupil = graph.ramp(radius, 0.165, 0.19, 1.0, 0.0)
    iris = graph.mix(pupil, iris, (0.0, 0.0, 0.0))
    local = graph.attribute("d3dmm_eye").outputs["Vector"]
    veins = graph.ramp(
        graph.node("TexVoronoi", {"Vector": local, "Scale": 7.0}, feature="DISTANCE_TO_EDGE").outputs[
            "Distance"
        ],
        0.0,
        0.035,
        0.35,
        0.0,
    )
    veins = graph.math("MULTIPLY", veins, graph.ramp(radius, 0.55, 0.95))
    white = graph.mix(graph.ramp(radius, 0.55, 1.0, 0.0, 0.55), (0.78, 0.74, 0.70), (0.72, 0.50, 0.44))
    white = graph.mix(veins, white, (0.62, 0.20, 0.16))
    inside = graph.math("MULTIPLY", graph.ramp(radius, 0.455, 0.515, 1.0, 0.0), front)
    colour = graph.mix(inside, white, iris)
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": graph.math("ADD", graph.math("MULTIPLY", inside, 0.2), 0.25),
            "Specular IOR Level": 0.3,
            "Subsurface Weight": graph.math("SUBTRACT", 0.35, graph.math("MULTIPLY", inside, 0.35)),
            "Subsurface Radius": (1.0, 0.5, 0.4),
            "Subsurface Scale": 0.0015,
            "Coat Weight": 1.0,
            "Coat Roughness": 0.015,
            "Coat IOR": 1.376,
        },
    )
    graph.node("OutputMaterial", {"Surface": surface.outputs[0]})
    return material


def make_lashes(name: str) -> bpy.types.Material:
    material = new_material(name, (0.012, 0.009, 0.007), 0.1)
    graph = NodeGraph(material.node_tree)
    place = graph.node("SeparateXYZ", {0: graph.attribute("d3dmm_lash").outputs["Vector"]})
    along, across, upper = place.outputs[0], place.outputs[1], place.outputs[2]
    sway = graph.math("MULTIPLY", graph.math("SUBTRACT", along, 0.3), across)
    strand = graph.math("MULTIPLY", graph.math("SUBTRACT", along, graph.math("MULTIPLY", sway, 0.12)), 46.0)
    number = graph.node("CombineXYZ", {0: graph.math("FLOOR", strand)}).outputs[0]
    chance = graph.node("TexWhiteNoise", {"Vector": number}, noise_dimensions="3D").outputs["Value"]
    beside = graph.math("ABSOLUTE", graph.math("SUBTRACT", graph.math("FRACT", strand), 0.5))
    length = graph.math(
        "ADD",
        graph.math("MULTIPLY", chance, 0.35),
        graph.math("ADD", graph.math("MULTIPLY", upper, 0.3), 0.35),
    )
    left = graph.math("SUBTRACT", 1.0, graph.math("DIVIDE", across, length), clamp=True)
    width = graph.math("MULTIPLY", left, graph.math("ADD", graph.math("MULTIPLY", upper, 0.18), 0.12))
    alpha = graph.math("LESS_THAN", beside, width)
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": (0.012, 0.009, 0.007, 1.0),
            "Roughness": 0.5,
            "Specular IOR Level": 0.2,
            "Alpha": alpha,
        },
    )
    graph.node("OutputMaterial", {"Surface": surface.outputs[0]})
    return material
