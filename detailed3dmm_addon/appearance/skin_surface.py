"""Parts of the skin's material: mottle, blood, stubble, relief at two scales, roughness, coat."""

from dataclasses import dataclass

import bpy
import numpy as np

from ..face.attributes import BEARD_ATTRIBUTE, SURFACE_ATTRIBUTE
from ..nodes.node_graph import NodeGraph
from ..nodes.strain_modifier import STRAIN_ATTRIBUTE

PORES_NODE = "D3DMM Pores"
"""Height of pores and lines, millimetres, at most 0; exports read it."""
PLATEAUS_NODE = "D3DMM Plateaus"
"""Fine relief as it is shaded, millimetres; materials of earlier files lack it."""
_SHALLOW, _LESS, _FLATTER = 0.12, 0.2, 0.4
"""Depth up to which fine relief loses a share; share that is taken off what stands out.

The maps have a real scan's power in each octave but are as often up as down, which looks like orange peel;
skin is plateaus between furrows."""
_MOTTLE = ((170.0, 3.0, 0.038), (450.0, 2.0, 0.025), (1000.0, 2.0, 0.03), (1400.0, 2.0, 0.045))
"""Layers of mottle from 6 to .7 mm, which the image's texels cannot hold: scale, octaves, greatest share.

With the film of oil they bring the contrast of red light at .7 to 1.5 mm to two thirds of the photographs'
on the forehead and nine tenths on cheeks; without them it was half and three quarters."""
_FILM = ((700.0, 2.0), (1300.0, 2.0))
"""Scale and octaves of the film of oil, which breaks up between pores; gloss in pores is less."""
_BLOOD_LIGHT = (-0.12, -0.34, -0.25)
_BLOOD_DARK = (-0.08, -0.15, -0.02)
"""Change of the logarithm of linear reflectance with that of the blood, at tone 45 and at -45 degrees.

Source: the optics of `simulation/pigment`."""
_BLOOD_GAIN = 2.2
"""Share by which an expression changes blood beyond the area's change.

Source: Jimenez et al. 2010, "A practical appearance model for dynamic facial color": measured haemoglobin
moves by more than half between a neutral and a strained face."""


@dataclass(frozen=True)
class Skin:
    """Sockets that the parts share.

    Attributes:
        graph: of the material.
        rest: places on the mean face, metres: they stay with the skin.
        darkness: 0 light to 1 dark skin.
        age: 0 young to about 1 old.
        lips, scalp: 0..1.
        shine, moist, pores: 0..1.
        across, along: strain across and along the face, 0 at rest.
        blood: what area and dial leave, 0 at rest.
    """

    graph: NodeGraph
    rest: bpy.types.NodeSocket
    darkness: bpy.types.NodeSocket
    age: bpy.types.NodeSocket
    lips: bpy.types.NodeSocket
    scalp: bpy.types.NodeSocket
    shine: bpy.types.NodeSocket
    moist: bpy.types.NodeSocket
    pores: bpy.types.NodeSocket
    across: bpy.types.NodeSocket
    along: bpy.types.NodeSocket
    blood: bpy.types.NodeSocket


def read_skin(graph: NodeGraph, rest, lips, scalp, darkness, age) -> Skin:
    """Adds the nodes that read the mesh's attributes."""
    surface = graph.node("SeparateXYZ", {0: graph.attribute(SURFACE_ATTRIBUTE).outputs["Vector"]}).outputs
    strain = graph.node("SeparateXYZ", {0: graph.attribute(STRAIN_ATTRIBUTE).outputs["Vector"]}).outputs
    return Skin(graph, rest, darkness, age, lips, scalp, *surface, *strain)


def mottled(skin: Skin, colour) -> bpy.types.NodeSocket:
    """Adds mottle that the image's texels cannot hold."""
    graph = skin.graph
    value = None
    for scale, octaves, share in _MOTTLE:
        layer = graph.ramp(graph.noise(skin.rest, scale, octaves), 0.3, 0.7, 1 - share, 1 + share)
        value = layer if value is None else graph.math("MULTIPLY", value, layer)
    return graph.node("VectorMath", {0: colour, "Scale": value}, operation="SCALE").outputs[0]


def oil(skin: Skin) -> bpy.types.NodeSocket:
    """Adds the film of oil, 0 to 1, about a half in the mean."""
    graph = skin.graph
    layers = [graph.ramp(graph.noise(skin.rest, *kind), 0.35, 0.65) for kind in _FILM]
    return graph.math("MULTIPLY", graph.math("ADD", *layers), 0.5)


def reddened(skin: Skin, colour) -> bpy.types.NodeSocket:
    """Adds blood: skin that is squeezed holds more of it for its area, stretched skin less."""
    graph = skin.graph
    amount = graph.math("MULTIPLY", skin.blood, _BLOOD_GAIN)
    amount = graph.math("MAXIMUM", graph.math("MINIMUM", amount, 1.1), -0.9)
    slope = graph.mix(skin.darkness, _BLOOD_LIGHT, _BLOOD_DARK)
    change = graph.node("VectorMath", {0: slope, "Scale": amount}, operation="SCALE").outputs[0]
    factor = graph.node("VectorMath", {0: change, 1: (1.0, 1.0, 1.0)}, operation="ADD").outputs[0]
    return graph.node("VectorMath", {0: colour, 1: factor}, operation="MULTIPLY").outputs[0]


def with_stubble(skin: Skin, colour, hair, amount) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Adds roots of a beard, one to each cell of a lattice of .9 mm.

    Returns:
        The colour, and how much of a root lies at each place, 0..1.
    """
    graph = skin.graph
    beard = graph.attribute(BEARD_ATTRIBUTE).outputs["Fac"]
    cells = graph.node("TexVoronoi", {"Vector": skin.rest, "Scale": 1150.0}, feature="F1")
    dot = graph.ramp(cells.outputs["Distance"], 0.10, 0.24, 1.0, 0.0)
    chosen = graph.node("SeparateColor", {0: cells.outputs["Color"]}).outputs[0]
    there = graph.math("MULTIPLY", graph.math("MULTIPLY", beard, amount), 1.25)
    roots = graph.math("MULTIPLY", dot, graph.math("LESS_THAN", chosen, there))
    shown = graph.math("MULTIPLY", roots, graph.ramp(amount, 0.0, 0.4, 0.45, 0.85))
    return graph.mix(shown, colour, hair), roots


def plateaus(graph: NodeGraph, fine) -> bpy.types.NodeSocket:
    """Adds the nodes of `plateaus_of`."""
    bent = graph.math("TANH", graph.math("DIVIDE", fine, _SHALLOW))
    kept = graph.math("MULTIPLY_ADD", bent, -_LESS * _SHALLOW, fine)
    node = graph.node(
        "Math",
        {0: graph.math("MAXIMUM", kept, 0.0), 1: -_FLATTER, 2: kept},
        operation="MULTIPLY_ADD",
        name=PLATEAUS_NODE,
    )
    node.label = "Plateaus (mm)"
    return node.outputs[0]


def plateaus_of(fine: np.ndarray) -> np.ndarray:
    """Returns fine relief, millimetres, as it is shaded: less where shallow, flatter where it stands out."""
    kept = fine - _LESS * _SHALLOW * np.tanh(fine / _SHALLOW)
    return kept - _FLATTER * np.maximum(kept, 0)


def relief(skin: Skin) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Adds pores and lines between cells, which stretch flat and gather deep with the strain.

    Returns:
        Their height in millimetres, at most 0, and the cavity 0..1.
    """
    graph = skin.graph
    bent = graph.node(
        "VectorMath",
        {
            0: graph.node("TexNoise", {"Vector": skin.rest, "Scale": 900.0, "Detail": 1.0}).outputs["Color"],
            1: (4e-4, 4e-4, 4e-4),
            2: skin.rest,
        },
        operation="MULTIPLY_ADD",
    ).outputs[0]
    coarse = graph.ramp(_borders(graph, bent, 1100.0), 0.0, 0.22, 1.0, 0.0)
    fine = graph.ramp(_borders(graph, bent, 2400.0), 0.0, 0.25, 1.0, 0.0)
    holes = graph.node("TexVoronoi", {"Vector": skin.rest, "Scale": 780.0}, feature="F1")
    pit = graph.math("MULTIPLY", graph.ramp(holes.outputs["Distance"], 0.08, 0.34, 1.0, 0.0), skin.pores)
    pit = graph.math("MULTIPLY", pit, graph.ramp(graph.noise(skin.rest, 300.0, 1.0), 0.35, 0.65))
    stretch = graph.math("ADD", skin.across, skin.along)
    depth = graph.ramp(stretch, -0.35, 0.45, 1.9, 0.25)
    depth = graph.math("MULTIPLY", depth, graph.math("MULTIPLY_ADD", skin.age, 0.35, 0.9))
    cells = graph.math("MULTIPLY_ADD", fine, 0.017, graph.math("MULTIPLY", coarse, 0.034))
    height = graph.math("MULTIPLY_ADD", pit, 0.046, cells)
    height = graph.math("MULTIPLY", graph.math("MULTIPLY", height, depth), -1.0)
    height = graph.math("SUBTRACT", height, _gathers(skin))
    flat = graph.math("SUBTRACT", 1.0, graph.math("MULTIPLY", skin.lips, 0.6))
    named = graph.node("Math", {0: height, 1: flat}, operation="MULTIPLY", name=PORES_NODE)
    named.label = "Pores (mm)"
    height = named.outputs[0]
    cavity = graph.math("MULTIPLY_ADD", coarse, 0.55, graph.math("MULTIPLY", pit, 0.6), clamp=True)
    return height, cavity


def _borders(graph: NodeGraph, place, scale: float) -> bpy.types.NodeSocket:
    cells = graph.node("TexVoronoi", {"Vector": place, "Scale": scale}, feature="DISTANCE_TO_EDGE")
    return cells.outputs["Distance"]


def _gathers(skin: Skin) -> bpy.types.NodeSocket:
    """Adds fine lines across the compression of either direction, millimetres deep."""
    graph = skin.graph
    total = None
    for strain, scale in ((skin.across, (2600.0, 500.0, 420.0)), (skin.along, (420.0, 420.0, 2600.0))):
        place = graph.node("VectorMath", {0: skin.rest, 1: scale}, operation="MULTIPLY").outputs[0]
        lines = graph.ramp(graph.noise(place, 1.0, 2.0), 0.40, 0.62)
        squeezed = graph.ramp(strain, -0.04, -0.30, 0.0, 0.030)
        term = graph.math("MULTIPLY", lines, squeezed)
        total = term if total is None else graph.math("ADD", total, term)
    assert total is not None
    return total


def gloss_level(skin: Skin, cavity, film) -> bpy.types.NodeSocket:
    """Adds the specular level: less in pores, on lips and where the film of oil is thin."""
    graph = skin.graph
    level = graph.math("MULTIPLY_ADD", cavity, -0.12, 0.50)
    level = graph.math("MULTIPLY", level, graph.math("MULTIPLY_ADD", skin.lips, -0.4, 1.0))
    return graph.math("MULTIPLY", level, graph.math("MULTIPLY_ADD", film, 1.5, 0.2))


def roughness(skin: Skin, cavity, foundation, gloss, roots) -> bpy.types.NodeSocket:
    """Adds the roughness: oily where the face shines, rough in pores, by age, strain and make-up."""
    graph = skin.graph
    value = graph.ramp(graph.noise(skin.rest, 260.0, 4.0), 0.3, 0.7, 0.45, 0.57)
    value = graph.math("MULTIPLY_ADD", skin.shine, -0.14, value)
    value = graph.math("MULTIPLY_ADD", cavity, 0.10, value)
    value = graph.math("MULTIPLY_ADD", skin.age, 0.05, value)
    stretch = graph.math("ADD", skin.across, skin.along)
    value = graph.math("ADD", value, graph.ramp(stretch, -0.4, 0.5, 0.10, -0.10))
    value = graph.math("MULTIPLY_ADD", foundation, 0.08, value)
    value = graph.math("MULTIPLY_ADD", roots, 0.10, value)
    value = graph.math("MULTIPLY_ADD", skin.scalp, 0.2, value)
    value = _blend(graph, skin.moist, value, 0.42)
    lips = graph.math("MULTIPLY_ADD", gloss, -0.18, 0.42)
    return _blend(graph, skin.lips, value, lips)


def coat(skin: Skin, foundation, gloss, film) -> bpy.types.NodeSocket:
    """Adds the weight of the second lobe: a film of oil, thin with age and powder, thick under lipstick."""
    graph = skin.graph
    value = graph.math("MULTIPLY_ADD", skin.age, -0.035, 0.10)
    value = graph.math("MULTIPLY_ADD", skin.shine, 0.09, value)
    value = graph.math("MULTIPLY_ADD", foundation, -0.04, value, clamp=True)
    value = graph.math("MULTIPLY", value, graph.math("SUBTRACT", 1.0, skin.scalp, clamp=True))
    value = graph.math("MULTIPLY", value, graph.math("MULTIPLY_ADD", film, 2.3, 0.2))
    value = _blend(graph, skin.moist, value, 0.35)
    return _blend(graph, skin.lips, value, graph.math("MULTIPLY_ADD", gloss, 0.37, 0.05))


def _blend(graph: NodeGraph, share, first, second) -> bpy.types.NodeSocket:
    """Adds first + share x (second - first) of numbers."""
    return graph.math("MULTIPLY_ADD", share, graph.math("SUBTRACT", second, first), first)
