"""Materials of a face, all procedural: skin with lips and pores, eyes, teeth, tongue, lashes."""

import bpy
import numpy as np

from ...ml_backend.geometry.map_bands import COARSE_RESOLUTION
from ..model.face_model import face_model
from ..nodes.detail_groups import GAIN_ATTRIBUTE, HEIGHT_ATTRIBUTE, live_fine_group
from ..nodes.detail_modifier import FINE_NODE
from ..nodes.map_images import make_map_image
from ..nodes.node_graph import NodeGraph

TONE_NODE, IRIS_NODE, HAIR_NODE, HAIR_AMOUNT_NODE = (
    "D3DMM Skin Tone",
    "D3DMM Iris Colour",
    "D3DMM Hair Colour",
    "D3DMM Hair",
)
_HAIR_COLOURS = (
    (0.018, 0.012, 0.009),
    (0.045, 0.024, 0.013),
    (0.010, 0.008, 0.008),
    (0.11, 0.065, 0.032),
    (0.028, 0.016, 0.010),
    (0.16, 0.15, 0.14),
)
_SKIN_TONES = (
    (0.0, (0.70, 0.44, 0.33)),
    (0.3, (0.58, 0.32, 0.205)),
    (0.55, (0.40, 0.19, 0.10)),
    (0.8, (0.165, 0.068, 0.034)),
    (1.0, (0.07, 0.029, 0.016)),
)
_IRIS_COLOURS = (
    (0.085, 0.038, 0.015),
    (0.07, 0.028, 0.012),
    (0.09, 0.055, 0.02),
    (0.06, 0.095, 0.135),
    (0.075, 0.10, 0.098),
    (0.055, 0.072, 0.035),
)


def assign_materials(face: bpy.types.Object, seed: int) -> None:
    """Gives a new face one material slot a part, the skin first.

    Args:
        face: its polygons' material indices are part indices.
        seed: chooses the colours of irises and hair.
    """
    eyes = _make_eyes(f"{face.name} Eyes", _IRIS_COLOURS[seed % len(_IRIS_COLOURS)])
    teeth = _make_teeth(f"{face.name} Teeth")
    by_part = {
        "skin": _make_skin(f"{face.name} Skin", _HAIR_COLOURS[seed // 5 % len(_HAIR_COLOURS)]),
        "eye_left": eyes,
        "eye_right": eyes,
        "teeth_upper": teeth,
        "teeth_lower": teeth,
        "tongue": _make_tongue(f"{face.name} Tongue"),
        "lashes": _make_lashes(f"{face.name} Lashes"),
    }
    for part in face_model().part_names:
        face.data.materials.append(by_part[part])
    apply_look(face)


def apply_look(face: bpy.types.Object) -> None:
    """Puts the sliders for skin tone and hair into the skin's material."""
    material = face.data.materials[0] if face.data.materials else None
    nodes = material.node_tree.nodes if material is not None and material.node_tree is not None else {}
    for name, value in ((TONE_NODE, face.d3dmm.skin_tone), (HAIR_AMOUNT_NODE, face.d3dmm.hair)):
        node = nodes.get(name)
        if node is not None:
            node.outputs[0].default_value = value


def tone_of(colour: np.ndarray) -> float:
    """The Skin Tone whose skin is as light as a linear colour (3,)."""
    luminance = np.array([0.2126, 0.7152, 0.0722])
    tones, colours = zip(*_SKIN_TONES, strict=True)
    levels = np.log(np.maximum(np.array(colours) @ luminance, 1e-4))
    return float(np.interp(np.log(max(float(colour @ luminance), 1e-4)), levels[::-1], tones[::-1]))


def _new_graph(name: str) -> tuple[bpy.types.Material, NodeGraph]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    return material, NodeGraph(material.node_tree)


def _finish(graph: NodeGraph, surface: bpy.types.NodeSocket) -> None:
    graph.node("OutputMaterial", {"Surface": surface})


def _make_skin(name: str, hair_colour: tuple[float, float, float]) -> bpy.types.Material:
    material, graph = _new_graph(name)
    rest = graph.attribute("d3dmm_rest").outputs["Vector"]
    tone = graph.node("Value", name=TONE_NODE, label="Skin Tone").outputs[0]
    gain = graph.attribute(GAIN_ATTRIBUTE).outputs["Fac"]
    hair = graph.node("RGB", name=HAIR_NODE, label="Hair Colour").outputs[0]
    hair.default_value = (*hair_colour, 1.0)
    lip_edge = graph.ramp(graph.attribute("d3dmm_lips").outputs["Fac"], 0.3, 0.75)
    colour = _skin_colour(graph, rest, tone, lip_edge)
    scalp = _scalp_cover(graph, rest)
    brows = _brow_cover(graph, rest)
    stubble = graph.ramp(graph.noise(rest, 1500.0, 2.0), 0.35, 0.65, 0.68, 1.0)
    colour = graph.mix(graph.math("MULTIPLY", scalp, stubble), colour, hair)
    colour = graph.mix(brows, colour, graph.mix(1.0, hair, (0.6, 0.6, 0.6), "MULTIPLY"))
    roughness = graph.ramp(graph.noise(rest, 260.0, 3.0), 0.3, 0.7, 0.41, 0.56)
    roughness = graph.math("SUBTRACT", roughness, graph.math("MULTIPLY", lip_edge, 0.14))
    roughness = graph.math("ADD", roughness, graph.math("MULTIPLY", scalp, 0.25))
    fine = graph.math("MULTIPLY", _fine_height(graph, rest, name), gain)
    colour = _shade_creases(graph, colour, fine)
    height = graph.math(
        "ADD",
        fine,
        graph.math("MULTIPLY", graph.math("MULTIPLY", scalp, graph.noise(rest, 1100.0, 2.0)), 0.6),
    )
    bump = graph.node("Bump", {"Height": height, "Distance": 0.001, "Strength": 1.0})
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": roughness,
            "Specular IOR Level": 0.42,
            "Subsurface Weight": graph.math("SUBTRACT", 0.7, graph.math("MULTIPLY", scalp, 0.6)),
            "Subsurface Radius": (1.0, 0.36, 0.18),
            "Subsurface Scale": 0.0011,
            "Normal": bump.outputs[0],
        },
        subsurface_method="RANDOM_WALK_SKIN",
    )
    _finish(graph, surface.outputs[0])
    return material


def _skin_colour(graph: NodeGraph, rest, tone, lip_edge):
    """Melanin by tone, mottled; blood in cheeks, nose and lips; a few freckles."""
    redness = graph.attribute("d3dmm_redness").outputs["Fac"]
    palette = graph.node("ValToRGB", {"Fac": tone})
    _set_stops(palette.color_ramp, _SKIN_TONES)
    mottled = graph.ramp(graph.noise(rest, 55.0, 5.0, 0.65), 0.3, 0.7, 0.84, 1.1)
    colour = graph.mix(
        1.0,
        palette.outputs[0],
        graph.node("CombineColor", {0: mottled, 1: mottled, 2: mottled}).outputs[0],
        "MULTIPLY",
    )
    flush = graph.math("MULTIPLY", redness, graph.ramp(graph.noise(rest, 90.0, 3.0), 0.25, 0.75, 0.35, 0.8))
    colour = graph.mix(flush, colour, graph.mix(1.0, colour, (1.0, 0.66, 0.60), "MULTIPLY"))
    freckles = graph.ramp(graph.noise(rest, 420.0, 2.0, 0.4), 0.66, 0.74, 0.0, 0.28)
    colour = graph.mix(freckles, colour, graph.mix(1.0, colour, (0.72, 0.52, 0.42), "MULTIPLY"))
    lips = graph.mix(1.0, colour, graph.mix(tone, (0.90, 0.50, 0.48), (0.80, 0.62, 0.60)), "MULTIPLY")
    return graph.mix(lip_edge, colour, lips)


def _scalp_cover(graph: NodeGraph, rest):
    """Where closely cropped hair grows, with an uneven edge, times the Hair slider."""
    scalp = graph.attribute("d3dmm_scalp").outputs["Fac"]
    uneven = graph.math(
        "ADD", scalp, graph.math("MULTIPLY", graph.math("SUBTRACT", graph.noise(rest, 240.0, 3.0), 0.5), 0.9)
    )
    amount = graph.node("Value", name=HAIR_AMOUNT_NODE, label="Hair").outputs[0]
    return graph.math(
        "MULTIPLY", graph.math("MULTIPLY", graph.ramp(uneven, 0.3, 0.95), graph.ramp(scalp, 0.0, 0.3)), amount
    )


def _brow_cover(graph: NodeGraph, rest):
    """Eyebrows: short strokes, denser in the middle of the brow."""
    brows = graph.attribute("d3dmm_brows").outputs["Fac"]
    stretched = graph.node(
        "Mapping", {"Vector": rest, "Scale": (330.0, 100.0, 1500.0), "Rotation": (0.0, 0.35, 0.0)}
    ).outputs[0]
    strokes = graph.math("SUBTRACT", graph.noise(stretched, 1.0, 1.0), 0.5)
    cover = graph.ramp(graph.math("ADD", brows, graph.math("MULTIPLY", strokes, 1.1)), 0.35, 0.8)
    return graph.math("MULTIPLY", cover, graph.ramp(brows, 0.05, 0.4, 0.0, 0.88))


def _shade_creases(graph: NodeGraph, colour, fine):
    """Darkens and reddens the bottom of creases, where light is caught."""
    depth = graph.math(
        "ADD", graph.attribute(HEIGHT_ATTRIBUTE).outputs["Fac"], graph.math("MULTIPLY", fine, 2.0)
    )
    crease = graph.ramp(depth, -0.03, -0.40, 0.0, 0.6)
    return graph.mix(crease, colour, graph.mix(1.0, colour, (0.50, 0.34, 0.29), "MULTIPLY"))


def _fine_height(graph: NodeGraph, rest, name: str):
    """Millimetres for the bump: what the full map has beyond the displacement, and pores."""
    image = make_map_image(f"{name} Fine Detail", COARSE_RESOLUTION)
    group = live_fine_group(f"{name} Fine Detail", image)
    fine = graph.node("Group", name=FINE_NODE, label="Fine Detail (mm)", node_tree=group)
    pores = graph.node("TexVoronoi", {"Vector": rest, "Scale": 1300.0}, feature="SMOOTH_F1").outputs[
        "Distance"
    ]
    grain = graph.math("MULTIPLY", graph.math("SUBTRACT", graph.noise(rest, 700.0, 3.0), 0.5), 0.05)
    pore_height = graph.math("ADD", graph.math("MULTIPLY", pores, 0.035), grain)
    return graph.math("ADD", fine.outputs[0], pore_height)


def _make_eyes(name: str, iris_colour: tuple[float, float, float]) -> bpy.types.Material:
    material, graph = _new_graph(name)
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
    _finish(graph, surface.outputs[0])
    return material


def _make_teeth(name: str) -> bpy.types.Material:
    material, graph = _new_graph(name)
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
    _finish(graph, surface.outputs[0])
    return material


def _make_tongue(name: str) -> bpy.types.Material:
    material, graph = _new_graph(name)
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
    _finish(graph, surface.outputs[0])
    return material


def _make_lashes(name: str) -> bpy.types.Material:
    material, graph = _new_graph(name)
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
    _finish(graph, surface.outputs[0])
    return material


def _set_stops(ramp: bpy.types.ColorRamp, stops) -> None:
    while len(ramp.elements) < len(stops):
        ramp.elements.new(1.0)
    for element, (position, colour) in zip(ramp.elements, stops, strict=True):
        element.position, element.color = position, (*colour, 1.0)
