"""The materials of the eyes that the modifier sets in: eyeball with cornea, iris, what lies along the lids.

They read the values of the modifier from attributes, so that all faces share them. Cycles sees the iris
through a refracting cornea; EEVEE has an output of its own, in which the cornea is clear.
"""

import bpy

from ..nodes.eye_groups import (
    EYE_ATTRIBUTE,
    FLESH_ATTRIBUTE,
    IRIS_ATTRIBUTE,
    LASHES_ATTRIBUTE,
    LOOK_OF_EYE,
    PIGMENT_ATTRIBUTE,
    PLACE_ATTRIBUTE,
    SECOND_ATTRIBUTE,
    STATE_OF_EYE,
)
from ..nodes.materials import new_material
from ..nodes.node_graph import NodeGraph
from .eye_shapes import IRIS_RADIUS, LIMBUS

_HUMOUR, _CORNEA = 1.336, 1.376
"""Refractive indices of what lies behind the cornea, and of the cornea itself."""
_FIBRES = ((9.5, 2.0, 0.8), (22.0, 3.0, 1.0), (48.0, 5.0, 0.8))
"""Layers of fibres: how many around (divided by 2 pi), how they change along the radius, their share."""

_PIGMENTED_WHITE = (0.70, 0.64, 0.57)
"""Share of its light that the white of the eye returns under the darkest skin: melanin lies there too."""
_SHINE = 2.5
"""Reflection of the cornea beside that of its refractive index: lamps stand in for flashes that are many
times brighter than a face, and a picture of few samples misses a reflection of two hundredths."""
_SHADE_OF_LASHES = 0.7
"""Share by which roots of lashes darken the edge of the upper lid."""


def make_eyeball(metre: float) -> bpy.types.Material:
    """Returns the material of sclera and cornea; `metre` is its length in the scene's units."""
    material = new_material("Eyeball", (1.0, 0.97, 0.93))
    graph = NodeGraph(material.node_tree)
    place = graph.attribute(EYE_ATTRIBUTE).outputs["Vector"]
    x, y, z = graph.node("SeparateXYZ", {0: place}).outputs
    yellowing, wetness, shadow = _parts(graph, STATE_OF_EYE)
    angle = graph.math("ARCCOSINE", z)
    colour = _sclera_colour(graph, place, (x, y), angle, (yellowing, shadow))
    rough = graph.math("SUBTRACT", 0.36, graph.math("MULTIPLY", wetness, 0.24))
    uneven = graph.noise(place, 9.0, 3.0)
    bump = graph.node("Bump", {"Height": uneven, "Distance": 0.0004 * metre, "Strength": 0.10}).outputs[0]
    sclera = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": rough,
            "IOR": 1.36,
            "Subsurface Weight": 0.7,
            "Subsurface Radius": (1.0, 0.5, 0.35),
            "Subsurface Scale": 0.0012 * metre,
            "Normal": bump,
        },
    ).outputs[0]
    fresnel = graph.math("MULTIPLY", graph.node("Fresnel", {"IOR": _CORNEA}).outputs[0], _SHINE, clamp=True)
    gloss_rough = graph.math("SUBTRACT", 0.10, graph.math("MULTIPLY", wetness, 0.08))
    gloss = graph.node("BsdfGlossy", {"Roughness": gloss_rough, "Color": (1.0, 1.0, 1.0, 1.0)}).outputs[0]
    clear = graph.node("BsdfTransparent").outputs[0]
    bent = graph.node("BsdfRefraction", {"IOR": _HUMOUR, "Roughness": 0.0}).outputs[0]
    path = graph.node("LightPath").outputs
    passing = graph.math("MAXIMUM", path["Is Shadow Ray"], path["Is Diffuse Ray"])
    cornea = graph.ramp(angle, float(LIMBUS) * 0.88, float(LIMBUS) * 1.14, 1.0, 0.0)
    for target, through in (("CYCLES", bent), ("EEVEE", clear)):
        surface = _mixed(graph, fresnel, through, gloss)
        if target == "CYCLES":
            surface = _mixed(graph, passing, surface, clear)
        surface = _mixed(graph, cornea, sclera, surface)
        graph.node("OutputMaterial", {"Surface": surface}, target=target)
    material.surface_render_method = "DITHERED"
    return material


def make_cornea(eyeball: bpy.types.Material) -> bpy.types.Material:
    """Returns the eyeball's material once more, for what lies before the iris: clear in solid shading."""
    material = eyeball.copy()
    material.name = "Cornea"
    material.diffuse_color = (1.0, 1.0, 1.0, 0.05)
    return material


def _sclera_colour(graph: NodeGraph, place, across, angle, state):
    """Adds the nodes of the white of the eye: veins, red towards the corners, shade under the lid."""
    x, y = across
    yellowing, shadow = state
    white = graph.mix(yellowing, (0.49, 0.472, 0.468), (0.44, 0.375, 0.30))
    pigment = graph.attribute(PIGMENT_ATTRIBUTE).outputs["Fac"]
    white = graph.mix(pigment, white, graph.mix(1.0, white, _PIGMENTED_WHITE, "MULTIPLY"))
    cloud = graph.noise(place, 5.0, 3.0)
    white = graph.mix(
        graph.ramp(cloud, 0.3, 0.7, 0.0, 0.35), white, graph.mix(1.0, white, (0.93, 0.86, 0.80), "MULTIPLY")
    )
    aside = graph.math("ABSOLUTE", x)
    veins = graph.node("SeparateXYZ", {0: graph.attribute(LOOK_OF_EYE).outputs["Vector"]}).outputs[2]
    corners = graph.math(
        "MULTIPLY", graph.ramp(aside, 0.42, 0.95), graph.math("MULTIPLY_ADD", veins, 0.7, 0.25)
    )
    white = graph.mix(graph.math("MULTIPLY", corners, 0.55), white, (0.50, 0.31, 0.27))
    turn = graph.math("ARCTAN2", y, x)
    lines = None
    for around, along, width, seed in ((3.2, 1.7, 0.020, 0.0), (6.5, 3.2, 0.016, 7.3)):
        bent = graph.noise(place, 6.0 + around, 3.0)
        turned = graph.math("ADD", turn, graph.math("MULTIPLY", graph.math("SUBTRACT", bent, 0.5), 1.5))
        spot = graph.node(
            "CombineXYZ",
            {
                0: graph.math("MULTIPLY", graph.math("COSINE", turned), around),
                1: graph.math("MULTIPLY", graph.math("SINE", turned), around),
                2: graph.math("MULTIPLY_ADD", angle, along, seed),
            },
        ).outputs[0]
        ridge = graph.math("ABSOLUTE", graph.math("SUBTRACT", graph.noise(spot, 1.0, 2.0, 0.45), 0.5))
        line = graph.ramp(ridge, 0.0, width, 1.0, 0.0)
        lines = line if lines is None else graph.math("MAXIMUM", lines, line)
    patches = graph.ramp(graph.noise(place, 3.0, 1.0), 0.36, 0.62, 0.15, 1.0)
    reach = graph.math("MULTIPLY", graph.ramp(aside, 0.42, 0.95, 0.08, 1.0), graph.ramp(angle, 0.62, 0.85))
    strength = graph.math(
        "MULTIPLY", graph.math("MULTIPLY", lines, patches), graph.math("MULTIPLY", reach, veins)
    )
    white = graph.mix(graph.math("MULTIPLY", strength, 0.9), white, (0.48, 0.13, 0.09))
    limbus = graph.ramp(angle, float(LIMBUS) * 1.0, float(LIMBUS) * 1.30, 0.55, 0.0)
    white = graph.mix(limbus, white, (0.19, 0.17, 0.17))
    return graph.mix(
        graph.math("MULTIPLY", shadow, 0.72), white, graph.mix(1.0, white, (0.38, 0.30, 0.27), "MULTIPLY")
    )


def make_iris(metre: float) -> bpy.types.Material:
    """Returns the material of the iris and its pupil; `metre` is its length in the scene's units."""
    material = new_material("Iris", (0.015, 0.01, 0.008))
    graph = NodeGraph(material.node_tree)
    pupil, seed, _veins = _parts(graph, LOOK_OF_EYE)
    _yellowing, _wetness, shadow = _parts(graph, STATE_OF_EYE)
    colours = [graph.attribute(name).outputs["Color"] for name in (IRIS_ATTRIBUTE, SECOND_ATTRIBUTE)]
    colour, height = iris_nodes(graph, colours, pupil, seed)
    colour = graph.mix(
        graph.math("MULTIPLY", shadow, 0.6), colour, graph.mix(1.0, colour, (0.3, 0.3, 0.3), "MULTIPLY")
    )
    bump = graph.node("Bump", {"Height": height, "Distance": 0.0002 * metre, "Strength": 0.5}).outputs[0]
    surface = graph.node(
        "BsdfPrincipled",
        {"Base Color": colour, "Roughness": 0.65, "Specular IOR Level": 0.12, "Normal": bump},
    ).outputs[0]
    graph.node("OutputMaterial", {"Surface": surface})
    return material


def iris_nodes(graph: NodeGraph, colours, pupil, seed):
    """Adds the nodes of an iris: fibres, collarette, crypts, the dark limbal ring and the pupil.

    Args:
        graph: of a material on a mesh with `d3dmm_eye`.
        colours: of the outer part and of the part around the pupil, linear.
        pupil: its radius as a share of the iris, a socket or a number.
        seed: of the pattern.

    Returns:
        The colour and the height of the fibres, 0 to 1.
    """
    place = graph.attribute(EYE_ATTRIBUTE).outputs["Vector"]
    x, y, _z = graph.node("SeparateXYZ", {0: place}).outputs
    radius = graph.math("SQRT", graph.math("ADD", graph.math("MULTIPLY", x, x), graph.math("MULTIPLY", y, y)))
    radius = graph.math("DIVIDE", radius, float(IRIS_RADIUS))
    rest = graph.math("MAXIMUM", graph.math("SUBTRACT", 1.0, pupil), 0.05)
    along = graph.math("DIVIDE", graph.math("SUBTRACT", radius, pupil), rest, clamp=True)
    turn = graph.math("ARCTAN2", y, x)
    shift = graph.math("MULTIPLY", seed, 17.3)
    sway = graph.math("SUBTRACT", _around(graph, turn, 4.0, along, 1.6, shift), 0.5)
    turn = graph.math("MULTIPLY_ADD", sway, 0.16, turn)
    waves = None
    for count, change, share in _FIBRES:
        noise = graph.math("SUBTRACT", _around(graph, turn, count, along, change, shift), 0.5)
        waves = graph.math("MULTIPLY_ADD", noise, share * 1.7, waves if waves is not None else 0.0)
    fibres = graph.math(
        "SUBTRACT", 1.0, graph.math("MULTIPLY", graph.math("ABSOLUTE", waves), 1.5), clamp=True
    )
    fibres = graph.math("MULTIPLY", fibres, fibres)
    edge = graph.math("MULTIPLY_ADD", _around(graph, turn, 5.0, along, 0.0, shift), 0.22, 0.20)
    inner = graph.math("SUBTRACT", along, edge)
    colour = graph.mix(graph.ramp(inner, -0.05, 0.17), colours[1], colours[0])
    ridge = graph.math("MULTIPLY", inner, 17.0)
    ridge = graph.math("EXPONENT", graph.math("MULTIPLY", graph.math("MULTIPLY", ridge, ridge), -1.0))
    light = graph.math(
        "MULTIPLY",
        graph.math("MULTIPLY_ADD", fibres, 0.85, 0.55),
        graph.math("MULTIPLY_ADD", ridge, 0.30, 1.0),
    )
    crypts = graph.ramp(_around(graph, turn, 6.5, along, 5.0, graph.math("ADD", shift, 5.0)), 0.60, 0.74)
    crypts = graph.math(
        "MULTIPLY",
        crypts,
        graph.ramp(graph.math("ABSOLUTE", graph.math("SUBTRACT", along, 0.42)), 0.1, 0.4, 0.55, 0.0),
    )
    light = graph.math("MULTIPLY", light, graph.math("SUBTRACT", 1.0, crypts))
    grey = graph.node("CombineColor", {0: light, 1: light, 2: light}).outputs[0]
    colour = graph.mix(1.0, colour, grey, "MULTIPLY")
    ring = graph.math("POWER", graph.ramp(radius, 0.70, 0.97), 1.3)
    colour = graph.mix(ring, colour, graph.mix(1.0, colours[0], (0.28, 0.29, 0.31), "MULTIPLY"))
    rim = graph.math("SUBTRACT", radius, pupil)
    colour = graph.mix(graph.ramp(rim, 0.0, 0.07, 0.75, 0.0), colour, (0.012, 0.007, 0.004))
    return graph.mix(graph.ramp(rim, -0.015, 0.012, 1.0, 0.0), colour, (0.0, 0.0, 0.0)), fibres


def _around(graph: NodeGraph, turn, count: float, along, change: float, shift):
    """Adds noise that closes around the axis: `count` times 2 pi features, `change` along the radius."""
    spot = graph.node(
        "CombineXYZ",
        {
            0: graph.math("MULTIPLY", graph.math("COSINE", turn), count),
            1: graph.math("MULTIPLY", graph.math("SINE", turn), count),
            2: graph.math("MULTIPLY_ADD", along, change, shift),
        },
    ).outputs[0]
    return graph.noise(spot, 1.0, 0.0)


def make_lids(metre: float) -> bpy.types.Material:
    """Returns the material along the lids: wet flesh in the corners, elsewhere tears."""
    material = new_material("Eye Corners and Tears", (0.58, 0.43, 0.38), 0.1)
    graph = NodeGraph(material.node_tree)
    flesh_share = graph.attribute(FLESH_ATTRIBUTE).outputs["Fac"]
    rest = graph.attribute(PLACE_ATTRIBUTE).outputs["Vector"]
    spots = graph.noise(
        graph.node("VectorMath", {0: rest, "Scale": 900.0}, operation="SCALE").outputs[0], 1.0, 3.0
    )
    colour = graph.mix(graph.ramp(spots, 0.3, 0.7), (0.50, 0.23, 0.19), (0.60, 0.35, 0.30))
    pigment = graph.attribute(PIGMENT_ATTRIBUTE).outputs["Fac"]
    edge = graph.mix(pigment, (0.40, 0.255, 0.225), (0.075, 0.040, 0.032))
    lashes = graph.math("MULTIPLY", graph.attribute(LASHES_ATTRIBUTE).outputs["Fac"], _SHADE_OF_LASHES)
    edge = graph.mix(lashes, edge, (0.03, 0.016, 0.012))
    colour = graph.mix(
        graph.math("MULTIPLY", pigment, 0.62), colour, graph.mix(1.0, colour, edge, "MULTIPLY")
    )
    colour = graph.mix(graph.ramp(flesh_share, 0.6, 0.95, 0.12, 1.0), edge, colour)
    flesh = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": 0.28,
            "IOR": 1.37,
            "Subsurface Weight": 1.0,
            "Subsurface Radius": (1.0, 0.4, 0.25),
            "Subsurface Scale": 0.0016 * metre,
            "Coat Weight": 0.25,
            "Coat Roughness": 0.06,
        },
    ).outputs[0]
    clear = graph.node("BsdfTransparent").outputs[0]
    gloss = graph.node("BsdfGlossy", {"Roughness": 0.05, "Color": (1.0, 1.0, 1.0, 1.0)}).outputs[0]
    fresnel = graph.node("Fresnel", {"IOR": 1.38}).outputs[0]
    path = graph.node("LightPath").outputs
    seen = graph.math("SUBTRACT", 1.0, graph.math("MAXIMUM", path["Is Shadow Ray"], path["Is Diffuse Ray"]))
    tears = _mixed(graph, graph.math("MULTIPLY", fresnel, seen), clear, gloss)
    graph.node("OutputMaterial", {"Surface": _mixed(graph, graph.ramp(flesh_share, 0.0, 0.35), tears, flesh)})
    material.surface_render_method = "DITHERED"
    return material


def make_unseen() -> bpy.types.Material:
    """Returns the material of the model's own eyes behind the eyeballs: no ray meets it."""
    material = new_material("Eyes Behind Eyeballs", opacity=0.0)
    graph = NodeGraph(material.node_tree)
    graph.node("OutputMaterial", {"Surface": graph.node("BsdfTransparent").outputs[0]})
    material.surface_render_method = "DITHERED"
    return material


def _parts(graph: NodeGraph, name: str):
    return graph.node("SeparateXYZ", {0: graph.attribute(name).outputs["Vector"]}).outputs


def _mixed(graph: NodeGraph, share, first, second):
    return graph.node("MixShader", {0: share, 1: first, 2: second}).outputs[0]
