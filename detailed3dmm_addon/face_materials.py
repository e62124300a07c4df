"""Materials of a face, all procedural: skin with lips and pores, eyes, teeth, tongue, lashes."""

import bpy

from .detail_modifiers import FINE_NODE, STRENGTH_NODE
from .face_model import face_model
from .shader_graph import ShaderGraph

TONE_NODE, IRIS_NODE = "D3DMM Skin Tone", "D3DMM Iris Colour"
_SKIN_TONES = (
    (0.0, (0.80, 0.56, 0.46)),
    (0.3, (0.66, 0.40, 0.285)),
    (0.55, (0.44, 0.225, 0.13)),
    (0.8, (0.18, 0.078, 0.042)),
    (1.0, (0.075, 0.032, 0.019)),
)
_IRIS_COLOURS = (
    (0.12, 0.055, 0.022),
    (0.07, 0.028, 0.012),
    (0.16, 0.10, 0.035),
    (0.10, 0.17, 0.23),
    (0.14, 0.19, 0.18),
    (0.10, 0.15, 0.07),
)


def assign_materials(face: bpy.types.Object, seed: int) -> None:
    """Gives a new face one material slot a part, the skin first.

    Args:
        face: its polygons' material indices are part indices.
        seed: chooses the iris colour.
    """
    eyes = _make_eyes(f"{face.name} Eyes", _IRIS_COLOURS[seed % len(_IRIS_COLOURS)])
    teeth = _make_teeth(f"{face.name} Teeth")
    by_part = {
        "skin": _make_skin(f"{face.name} Skin"),
        "eye_left": eyes,
        "eye_right": eyes,
        "teeth_upper": teeth,
        "teeth_lower": teeth,
        "tongue": _make_tongue(f"{face.name} Tongue"),
        "lashes": _make_lashes(f"{face.name} Lashes"),
    }
    for part in face_model().part_names:
        face.data.materials.append(by_part[part])
    apply_skin_tone(face)


def apply_skin_tone(face: bpy.types.Object) -> None:
    """Puts the skin tone slider into the skin's material."""
    material = face.data.materials[0] if face.data.materials else None
    node = material.node_tree.nodes.get(TONE_NODE) if material is not None and material.node_tree is not None else None
    if node is not None:
        node.outputs[0].default_value = face.d3dmm.skin_tone


def _new_graph(name: str) -> tuple[bpy.types.Material, ShaderGraph]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    return material, ShaderGraph(material.node_tree)


def _finish(graph: ShaderGraph, surface: bpy.types.NodeSocket) -> None:
    graph.node("OutputMaterial", {"Surface": surface})


def _make_skin(name: str) -> bpy.types.Material:
    material, graph = _new_graph(name)
    uv = graph.node("UVMap", uv_map="UVMap").outputs[0]
    tone = graph.node("Value", name=TONE_NODE, label="Skin Tone").outputs[0]
    strength = graph.node("Value", name=STRENGTH_NODE, label="Detail Strength").outputs[0]
    lips = graph.attribute("d3dmm_lips").outputs["Fac"]
    redness = graph.attribute("d3dmm_redness").outputs["Fac"]
    brows = graph.attribute("d3dmm_brows").outputs["Fac"]
    palette = graph.node("ValToRGB", {"Fac": tone})
    _set_stops(palette.color_ramp, _SKIN_TONES)
    mottled = graph.ramp(graph.noise(uv, 11.0, 5.0, 0.6), 0.3, 0.7, 0.88, 1.08)
    colour = graph.mix(1.0, palette.outputs[0], graph.node("CombineColor", {0: mottled, 1: mottled, 2: mottled}).outputs[0], "MULTIPLY")
    flush = graph.math("MULTIPLY", redness, graph.ramp(graph.noise(uv, 17.0, 3.0), 0.25, 0.75, 0.25, 0.6))
    colour = graph.mix(flush, colour, graph.mix(1.0, colour, (1.0, 0.62, 0.55), "MULTIPLY"))
    lip_edge = graph.ramp(lips, 0.3, 0.75)
    lip_colour = graph.mix(1.0, colour, graph.mix(tone, (0.92, 0.50, 0.48), (0.80, 0.62, 0.60)), "MULTIPLY")
    colour = graph.mix(lip_edge, colour, lip_colour)
    colour = _add_brows(graph, uv, brows, colour)
    roughness = graph.ramp(graph.noise(uv, 60.0, 3.0), 0.3, 0.7, 0.42, 0.56)
    roughness = graph.math("SUBTRACT", roughness, graph.math("MULTIPLY", lip_edge, 0.14))
    fine = graph.node("TexImage", {"Vector": uv}, name=FINE_NODE, label="Fine Detail (mm)", extension="EXTEND", interpolation="Cubic")
    pores = graph.node("TexVoronoi", {"Vector": uv, "Scale": 260.0}, feature="SMOOTH_F1").outputs["Distance"]
    pore_height = graph.math("MULTIPLY", graph.math("SUBTRACT", pores, 0.4), 0.035)
    height = graph.math("MULTIPLY", graph.math("ADD", fine.outputs[0], pore_height), strength)
    bump = graph.node("Bump", {"Height": height, "Distance": 0.001, "Strength": 1.0})
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": roughness,
            "Specular IOR Level": 0.4,
            "Subsurface Weight": 1.0,
            "Subsurface Radius": (1.0, 0.36, 0.18),
            "Subsurface Scale": 0.0028,
            "Normal": bump.outputs[0],
        },
        subsurface_method="RANDOM_WALK_SKIN",
    )
    _finish(graph, surface.outputs[0])
    return material


def _add_brows(graph: ShaderGraph, uv, brows, colour):
    """Eyebrows: short strokes of hair colour, denser in the middle of the brow."""
    stretched = graph.node("Mapping", {"Vector": uv, "Scale": (90.0, 500.0, 1.0), "Rotation": (0.0, 0.0, 0.0)}).outputs[0]
    strokes = graph.noise(stretched, 1.0, 1.0)
    cover = graph.ramp(graph.math("ADD", brows, graph.math("MULTIPLY", graph.math("SUBTRACT", strokes, 0.5), 0.9)), 0.35, 0.75)
    cover = graph.math("MULTIPLY", cover, graph.ramp(brows, 0.05, 0.35, 0.0, 0.85))
    return graph.mix(cover, colour, (0.035, 0.02, 0.012))


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
    spokes = graph.node("CombineXYZ", {0: around[0], 1: around[1], 2: graph.math("MULTIPLY", radius, 3.0)}).outputs[0]
    fibres = graph.ramp(graph.noise(spokes, 2.0, 4.0, 0.7), 0.3, 0.7, 0.45, 1.75)
    iris = graph.mix(1.0, iris_value, graph.node("CombineColor", {0: fibres, 1: fibres, 2: fibres}).outputs[0], "MULTIPLY")
    collarette = graph.ramp(radius, 0.20, 0.33, 0.55, 0.0)
    iris = graph.mix(collarette, iris, graph.mix(1.0, iris, (2.2, 1.6, 1.0), "MULTIPLY"))
    limbus = graph.ramp(radius, 0.39, 0.47)
    iris = graph.mix(limbus, iris, (0.012, 0.010, 0.010))
    pupil = graph.ramp(radius, 0.165, 0.19, 1.0, 0.0)
    iris = graph.mix(pupil, iris, (0.0, 0.0, 0.0))
    local = graph.attribute("d3dmm_eye").outputs["Vector"]
    veins = graph.ramp(
        graph.node("TexVoronoi", {"Vector": local, "Scale": 7.0}, feature="DISTANCE_TO_EDGE").outputs["Distance"], 0.0, 0.035, 0.35, 0.0
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
    bump = graph.node("Bump", {"Height": graph.noise(place, 220.0, 2.0), "Distance": 0.0006, "Strength": 0.8}).outputs[0]
    surface = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": (0.52, 0.16, 0.145, 1.0),
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
    length = graph.math("ADD", graph.math("MULTIPLY", chance, 0.35), graph.math("ADD", graph.math("MULTIPLY", upper, 0.3), 0.35))
    left = graph.math("SUBTRACT", 1.0, graph.math("DIVIDE", across, length), clamp=True)
    width = graph.math("MULTIPLY", left, graph.math("ADD", graph.math("MULTIPLY", upper, 0.18), 0.12))
    alpha = graph.math("LESS_THAN", beside, width)
    surface = graph.node(
        "BsdfPrincipled", {"Base Color": (0.012, 0.009, 0.007, 1.0), "Roughness": 0.5, "Specular IOR Level": 0.2, "Alpha": alpha}
    )
    _finish(graph, surface.outputs[0])
    return material


def _set_stops(ramp: bpy.types.ColorRamp, stops) -> None:
    while len(ramp.elements) < len(stops):
        ramp.elements.new(1.0)
    for element, (position, colour) in zip(ramp.elements, stops, strict=True):
        element.position, element.color = position, (*colour, 1.0)
