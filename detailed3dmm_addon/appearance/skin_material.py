"""The material of the skin: its image or a plain tone, blood, brows, cropped hair, relief, creases."""

import bpy
import numpy as np

from ...ml_backend.geometry.map_bands import COARSE_RESOLUTION
from ...ml_backend.models.skin.seeded_tone import SKIN_TONES, tone_of_angle
from ..nodes.detail_groups import GAIN_ATTRIBUTE, HEIGHT_ATTRIBUTE, live_fine_group
from ..nodes.detail_modifier import FINE_NODE
from ..nodes.map_images import make_map_image
from ..nodes.materials import first_material, named_node, new_material
from ..nodes.node_graph import NodeGraph
from .skin_surface import (
    coat,
    gloss_level,
    mottled,
    oil,
    plateaus,
    read_skin,
    reddened,
    relief,
    roughness,
    with_stubble,
)

TONE_NODE = "D3DMM Skin Tone"
HAIR_NODE = "D3DMM Hair Colour"
HAIR_AMOUNT_NODE = "D3DMM Hair"
ROOTS_NODE = "D3DMM Hair Roots"
"""How dark painted hair is beneath strands, 0 to 1; 1 where none grow."""
IMAGE_NODE = "D3DMM Skin Image"
SHARE_NODE = "D3DMM Skin Colour"
"""1: the image is shown, 0: the plain skin."""
MEAN_NODE = "D3DMM Mean Skin"
"""Mean colour of the image, for what shows no images."""
DARKNESS_NODE = "D3DMM Skin Darkness"
AGE_NODE = "D3DMM Skin Age"
STUBBLE_NODE = "D3DMM Stubble"
FOUNDATION_NODE = "D3DMM Foundation"
GLOSS_NODE = "D3DMM Lip Gloss"
RELIEF_NODE = "D3DMM Relief"
"""The bump; its height moves the surface instead where true displacement is on."""
RELIEF_UNIT = 0.001
"""Metres of a height of 1."""
_SHOWN_RELIEF = 1.8
"""Times its height that relief is shown as a bump. Light that entered the skin leaves by the plain normal in
Cycles, so that a bump shows in gloss alone; in skin, much of that light returns nearby and shows it too."""
SCATTER_MM = 3.2


def apply_look(face: bpy.types.Object) -> None:
    """Puts the sliders for skin tone and hair into the skin's material."""
    material = first_material(face)
    for name, value in ((TONE_NODE, face.d3dmm.skin_tone), (HAIR_AMOUNT_NODE, face.d3dmm.hair)):
        node = named_node(material, name)
        if node is not None:
            node.outputs[0].default_value = value


def tone_of(colour: np.ndarray) -> float:
    """Returns the Skin Tone whose skin is as light as a linear colour (3,)."""
    luminance = np.array([0.2126, 0.7152, 0.0722])
    tones, colours = zip(*SKIN_TONES, strict=True)
    levels = np.log(np.maximum(np.array(colours) @ luminance, 1e-4))
    return float(np.interp(np.log(max(float(colour @ luminance), 1e-4)), levels[::-1], tones[::-1]))


def shown_tone(face: bpy.types.Object) -> float:
    """Returns the Skin Tone, 0 to 1, that a face shows: that of the Skin panel's tone where it is painted."""
    settings = face.d3dmm
    return tone_of_angle(settings.skin.tone) if settings.skin.use else float(settings.skin_tone)


def make_skin(name: str, hair_colour: tuple[float, float, float]) -> bpy.types.Material:
    """Returns the skin of a new face; it shows the plain tone until it is given an image."""
    material = new_material(name)
    graph = NodeGraph(material.node_tree)
    rest = graph.attribute("d3dmm_rest").outputs["Vector"]
    tone = _value(graph, TONE_NODE, "Skin Tone")
    hair = graph.node("RGB", name=HAIR_NODE, label="Hair Colour").outputs[0]
    hair.default_value = (*hair_colour, 1.0)
    lip_edge = graph.ramp(graph.attribute("d3dmm_lips").outputs["Fac"], 0.3, 0.75)
    scalp = _scalp_cover(graph, rest)
    darkness, age = _value(graph, DARKNESS_NODE, "Darkness"), _value(graph, AGE_NODE, "Age")
    foundation = _value(graph, FOUNDATION_NODE, "Foundation")
    gloss = _value(graph, GLOSS_NODE, "Lip Gloss")
    skin = read_skin(graph, rest, lip_edge, scalp, darkness, age)
    plain = _skin_colour(graph, rest, tone, lip_edge)
    graph.node("RGB", name=MEAN_NODE, label="Mean Skin")
    colour = graph.mix(_value(graph, SHARE_NODE, "Skin Colour"), plain, mottled(skin, _skin_image(graph)))
    colour, roots = with_stubble(skin, reddened(skin, colour), hair, _value(graph, STUBBLE_NODE, "Stubble"))
    stubble = graph.ramp(graph.noise(rest, 1500.0, 2.0), 0.35, 0.65, 0.68, 1.0)
    beneath = _value(graph, ROOTS_NODE, "Hair Roots")
    beneath.default_value = 1.0
    shown = graph.math("MULTIPLY", scalp, beneath)
    colour = graph.mix(graph.math("MULTIPLY", shown, stubble), colour, hair)
    colour = graph.mix(_brow_cover(graph, rest), colour, graph.mix(1.0, hair, (0.6, 0.6, 0.6), "MULTIPLY"))
    gain = graph.attribute(GAIN_ATTRIBUTE).outputs["Fac"]
    cells, cavity = relief(skin)
    film = oil(skin)
    fine = plateaus(graph, graph.math("MULTIPLY", _fine_height(graph, name), gain))
    colour = _shade_creases(graph, colour, fine)
    height = graph.math("MULTIPLY_ADD", cells, graph.math("MINIMUM", gain, 2.0), fine)
    height = graph.math("MULTIPLY_ADD", roots, 0.03, height)
    hairs = graph.math("MULTIPLY", graph.math("MULTIPLY", scalp, graph.noise(rest, 1100.0, 2.0)), 0.6)
    bump = graph.node(
        "Bump",
        {
            "Height": graph.math("ADD", height, hairs),
            "Distance": RELIEF_UNIT * _SHOWN_RELIEF,
            "Strength": 1.0,
        },
        name=RELIEF_NODE,
    )
    scatter = graph.ramp(darkness, 0.0, 1.0, 1.0, 0.69)
    radius = graph.node("VectorMath", {0: (1.0, 0.36, 0.18), "Scale": scatter}, operation="SCALE")
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": roughness(skin, cavity, foundation, gloss, roots),
            "IOR": 1.4,
            "Specular IOR Level": gloss_level(skin, cavity, film),
            "Subsurface Weight": graph.math("SUBTRACT", 1.0, graph.math("MULTIPLY", scalp, 0.85)),
            "Subsurface Radius": radius.outputs[0],
            "Subsurface Scale": SCATTER_MM / 1000,
            "Coat Weight": coat(skin, foundation, gloss, film),
            "Coat Roughness": 0.22,
            "Coat IOR": 1.4,
            "Normal": bump.outputs[0],
        },
        subsurface_method="RANDOM_WALK",
    )
    graph.node("OutputMaterial", {"Surface": surface.outputs[0]})
    return material


def _value(graph: NodeGraph, name: str, label: str):
    return graph.node("Value", name=name, label=label).outputs[0]


def _skin_image(graph: NodeGraph):
    """Adds the node of the skin's image, which is given to it when it is painted."""
    place = graph.node("UVMap", uv_map="UVMap").outputs[0]
    node = graph.node("TexImage", {"Vector": place}, name=IMAGE_NODE, extension="EXTEND")
    node.interpolation = "Cubic"
    return node.outputs["Color"]


def _skin_colour(graph: NodeGraph, rest, tone, lip_edge):
    """Adds the nodes of the skin's colour: melanin by tone, blood in cheeks, nose and lips, freckles."""
    redness = graph.attribute("d3dmm_redness").outputs["Fac"]
    palette = graph.node("ValToRGB", {"Fac": tone})
    _set_stops(palette.color_ramp, SKIN_TONES)
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
    """Adds the nodes of closely cropped hair, with an uneven edge, times the Hair slider."""
    scalp = graph.attribute("d3dmm_scalp").outputs["Fac"]
    uneven = graph.math(
        "ADD", scalp, graph.math("MULTIPLY", graph.math("SUBTRACT", graph.noise(rest, 240.0, 3.0), 0.5), 0.4)
    )
    amount = graph.node("Value", name=HAIR_AMOUNT_NODE, label="Hair").outputs[0]
    return graph.math(
        "MULTIPLY", graph.math("MULTIPLY", graph.ramp(uneven, 0.3, 0.95), graph.ramp(scalp, 0.0, 0.3)), amount
    )


def _brow_cover(graph: NodeGraph, rest):
    """Adds the nodes of the eyebrows: short strokes, denser in the middle of the brow."""
    brows = graph.attribute("d3dmm_brows").outputs["Fac"]
    stretched = graph.node(
        "Mapping", {"Vector": rest, "Scale": (330.0, 100.0, 1500.0), "Rotation": (0.0, 0.35, 0.0)}
    ).outputs[0]
    strokes = graph.math("SUBTRACT", graph.noise(stretched, 1.0, 1.0), 0.5)
    cover = graph.ramp(graph.math("ADD", brows, graph.math("MULTIPLY", strokes, 1.1)), 0.35, 0.8)
    return graph.math("MULTIPLY", cover, graph.ramp(brows, 0.05, 0.4, 0.0, 0.88))


def _shade_creases(graph: NodeGraph, colour, fine):
    """Darkens and reddens the bottom of creases, where little light comes."""
    depth = graph.math(
        "ADD", graph.attribute(HEIGHT_ATTRIBUTE).outputs["Fac"], graph.math("MULTIPLY", fine, 2.0)
    )
    crease = graph.ramp(depth, -0.03, -0.45, 0.0, 0.35)
    return graph.mix(crease, colour, graph.mix(1.0, colour, (0.60, 0.49, 0.46), "MULTIPLY"))


def _fine_height(graph: NodeGraph, name: str):
    """Adds the node of the fine band of the detail, millimetres."""
    image = make_map_image(f"{name} Fine Detail", COARSE_RESOLUTION)
    group = live_fine_group(f"{name} Fine Detail", image)
    return graph.node("Group", name=FINE_NODE, label="Fine Detail (mm)", node_tree=group).outputs[0]


def _set_stops(ramp: bpy.types.ColorRamp, stops) -> None:
    while len(ramp.elements) < len(stops):
        ramp.elements.new(1.0)
    for element, (position, colour) in zip(ramp.elements, stops, strict=True):
        element.position = position
        element.color = (*colour, 1.0)


def base_skin_colour(material: bpy.types.Material | None) -> tuple[float, float, float, float] | None:
    """Returns the linear RGBA of a skin, its image's mean or its tone ramp's; None without either."""
    share, mean = named_node(material, SHARE_NODE), named_node(material, MEAN_NODE)
    if share is not None and mean is not None and share.outputs[0].default_value > 0.5:
        return tuple(mean.outputs[0].default_value)
    tone = named_node(material, TONE_NODE)
    for link in (tone.outputs[0].links or ()) if tone is not None else ():
        if link.to_node.bl_idname == "ShaderNodeValToRGB":
            return tuple(link.to_node.color_ramp.evaluate(tone.outputs[0].default_value))
    return None
