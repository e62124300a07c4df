"""The node group that sets eyes into a face: eyeballs, what lies along the lids, and the gaze.

It reads the posed vertices of the mesh, plain attributes and modifier inputs, so a file plays and renders
without the extension. The model's own eyes stay in the mesh, unseen: other programs receive those.
"""

from dataclasses import dataclass

import bpy

from .node_graph import NodeGraph, enabled_socket

GROUP_NAME = "D3DMM Eyes"
IRIS_INPUT = "Iris"
SECOND_INPUT = "Second Colour"
SEED_INPUT = "Iris Seed"
PUPIL_INPUT = "Pupil"
VEINS_INPUT = "Veins"
YELLOWING_INPUT = "Yellowing"
WETNESS_INPUT = "Wetness"
TARGET_INPUT = "Gaze Target"
GAZE_INPUT = "Gaze"
LIDS_INPUT = "Lids Follow"
PIGMENT_INPUT = "Pigment"
"""Of the lids' edges, 0 to 1; files before 1.0 have no such input."""
LOOK_ATTRIBUTES = {name: f"d3dmm_look_{name}" for name in ("up", "down", "left", "right")}
"""By direction as the person sees it: how the lids move when both eyes look as far as ARKit's keys reach."""
LID_ATTRIBUTE = "d3dmm_lids"
"""1 in the pocket behind the lids, 2 on the skin around an eye, 3 on the upper lid's rim, 0 elsewhere."""
EYE_ATTRIBUTE = "d3dmm_eye"
OWN_EYE_ATTRIBUTE = "d3dmm_own_eye"
"""True on the polygons of the model's own eyes."""
REST_ATTRIBUTE = "d3dmm_rest"
SIDE_ATTRIBUTE = "d3dmm_side"
LOWER_ATTRIBUTE, UPPER_ATTRIBUTE = "d3dmm_rim_lower", "d3dmm_rim_upper"
PLACE_ATTRIBUTE = "d3dmm_rim_place"
FLESH_ATTRIBUTE, PIGMENT_ATTRIBUTE = "d3dmm_flesh", "d3dmm_pigment"
LASHES_ATTRIBUTE = "d3dmm_lash_line"
"""1 at the edge of the upper lid, where roots of lashes make it dark; 0 elsewhere."""
IRIS_ATTRIBUTE, SECOND_ATTRIBUTE = "d3dmm_iris", "d3dmm_iris_second"
LOOK_OF_EYE = "d3dmm_eye_look"
"""Stored on the eyeballs: size of the pupil, seed, veins."""
STATE_OF_EYE = "d3dmm_eye_state"
"""Stored on the eyeballs: yellowing, wetness, shadow of the lids."""
LARGEST_YAW, LARGEST_RISE, LARGEST_FALL = 0.66, 0.44, 0.55
"""Radians that a gaze target can turn an eye."""
KEY_YAW, KEY_RISE, KEY_FALL = 0.471, 0.349, 0.419
"""Radians that ARKit's look keys turn an eye at their full value."""
_SKIN_OVER_CORNEA = 0.02
_FLOATS = (PUPIL_INPUT, VEINS_INPUT, YELLOWING_INPUT, WETNESS_INPUT)
DEFAULTS = {
    IRIS_INPUT: (0.075, 0.10, 0.098, 1.0),
    SECOND_INPUT: (0.16, 0.085, 0.03, 1.0),
    SEED_INPUT: 0,
    PUPIL_INPUT: 0.32,
    VEINS_INPUT: 0.4,
    YELLOWING_INPUT: 0.1,
    WETNESS_INPUT: 1.0,
    GAZE_INPUT: 0.0,
    LIDS_INPUT: 1.0,
    PIGMENT_INPUT: 0.0,
}


@dataclass(frozen=True)
class EyeParts:
    """The objects and the material that the group sets in.

    Attributes:
        eyeball: of radius 1, looks along -Y.
        lids: carries the attributes that say where its vertices hang.
        unseen: the material of the model's own eyes.
        radius: of an eyeball, in the face's space.
        anchors: of the left and of the right eye.
    """

    eyeball: bpy.types.Object
    lids: bpy.types.Object
    unseen: bpy.types.Material
    radius: float
    anchors: "tuple[EyeAnchors, EyeAnchors]"


@dataclass(frozen=True)
class EyeAnchors:
    """Vertices that tell where an eye is, in place of means over the whole mesh, which cost milliseconds.

    Keys move an eye as one piece, so sums with fixed weights stay exact.

    Attributes:
        vertices: of the model's own eye.
        centre: weights of their places whose sum is the eye's centre; together 1.
        ahead: weights whose sum points ahead; together 0.
        rim: vertices along the upper lid.
    """

    vertices: tuple[int, ...]
    centre: tuple[float, ...]
    ahead: tuple[float, ...]
    rim: tuple[int, ...]


def fill_eye_group(group: bpy.types.NodeTree, parts: EyeParts) -> None:
    """Fills an empty group of geometry nodes with interface and nodes."""
    _add_interface(group)
    graph = NodeGraph(group)
    source = graph.node("NodeGroupInput").outputs
    face = source["Geometry"]
    target = graph.node(
        "GeometryNodeObjectInfo", {"Object": source[TARGET_INPUT]}, transform_space="RELATIVE"
    ).outputs
    is_set = graph.math("GREATER_THAN", graph.node("SeparateXYZ", {0: target["Scale"]}).outputs[0], 0.0)
    gaze = graph.math("MULTIPLY", source[GAZE_INPUT], is_set)
    eyes = [
        _Eye(graph, face, left, anchors, target["Location"], gaze)
        for left, anchors in zip((True, False), parts.anchors, strict=True)
    ]
    followed = _follow_with_lids(graph, face, eyes, graph.math("MULTIPLY", gaze, source[LIDS_INPUT]))
    skin = _ride_over_corneas(graph, followed, eyes, parts)
    lids = _lids(graph, skin, eyes, parts, source[PIGMENT_INPUT])
    own = graph.node(
        "GeometryNodeSetMaterial", {"Geometry": skin, "Selection": _own_eyes(graph), "Material": parts.unseen}
    ).outputs[0]
    ball = _object(graph, parts.eyeball)
    for name, label in ((IRIS_ATTRIBUTE, IRIS_INPUT), (SECOND_ATTRIBUTE, SECOND_INPUT)):
        ball = graph.store_attribute(ball, name, "FLOAT_COLOR", source[label])
    balls = [_eyeball(graph, ball, skin, eye, source, parts.radius) for eye in eyes]
    join = graph.node("GeometryNodeJoinGeometry")
    for geometry in (*reversed(balls), lids, own):
        graph.feed(join.inputs[0], geometry)
    graph.node("NodeGroupOutput", {"Geometry": join.outputs[0]})


def _add_interface(group: bpy.types.NodeTree) -> None:
    group.is_modifier = True
    interface = group.interface
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    for name in (IRIS_INPUT, SECOND_INPUT):
        interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketColor")
    interface.new_socket(SEED_INPUT, in_out="INPUT", socket_type="NodeSocketInt")
    for name in _FLOATS:
        interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
    interface.new_socket(TARGET_INPUT, in_out="INPUT", socket_type="NodeSocketObject")
    for name in (GAZE_INPUT, LIDS_INPUT, PIGMENT_INPUT):
        interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
    for item in interface.items_tree:
        if item.in_out == "INPUT" and item.name in DEFAULTS:
            item.default_value = DEFAULTS[item.name]
        if item.in_out == "INPUT" and item.socket_type == "NodeSocketFloat":
            item.min_value = 0.0
            item.max_value = 1.0
            item.subtype = "FACTOR"
        elif item.in_out == "INPUT" and item.socket_type == "NodeSocketInt":
            item.min_value = 0


class _Eye:
    """The sockets of one eye: its centre, and the angles at which a clip and the gaze target hold it."""

    def __init__(self, graph: NodeGraph, face, left: bool, anchors: EyeAnchors, target, gaze):
        self.left = left
        self.rim = anchors.rim
        places = [_place_of(graph, face, vertex) for vertex in anchors.vertices]
        self.centre = _weighted(graph, places, anchors.centre)
        ahead = _weighted(graph, places, anchors.ahead)
        self.clip_yaw, self.clip_pitch = _angles(graph, ahead)
        to_target = _vector_math(graph, "SUBTRACT", target, self.centre)
        yaw, pitch = _angles(graph, to_target)
        yaw = _clamped(graph, yaw, -LARGEST_YAW, LARGEST_YAW)
        pitch = _clamped(graph, pitch, -LARGEST_FALL, LARGEST_RISE)
        self.yaw = _mixed(graph, gaze, self.clip_yaw, yaw)
        self.pitch = _mixed(graph, gaze, self.clip_pitch, pitch)
        minus = graph.math("MULTIPLY", self.pitch, -1.0)
        turn = graph.node("CombineXYZ", {0: minus, 1: 0.0, 2: self.yaw}).outputs[0]
        self.rotation = graph.node("FunctionNodeEulerToRotation", {0: turn}).outputs[0]
        self.axis = graph.node(
            "FunctionNodeRotateVector", {"Vector": (0.0, -1.0, 0.0), "Rotation": self.rotation}
        ).outputs[0]


def _follow_with_lids(graph: NodeGraph, face, eyes: list[_Eye], amount):
    """Adds the nodes that move the lids by what the gaze target turns an eye beyond the clip."""
    offsets = []
    for eye in eyes:
        moved = None
        for name, angle, reach, sign in (
            ("up", "pitch", KEY_RISE, 1.0),
            ("down", "pitch", KEY_FALL, -1.0),
            ("left", "yaw", KEY_YAW, 1.0),
            ("right", "yaw", KEY_YAW, -1.0),
        ):
            now, before = (
                graph.math("MAXIMUM", graph.math("MULTIPLY", getattr(eye, kind), sign / reach), 0.0)
                for kind in (angle, f"clip_{angle}")
            )
            change = graph.math("MULTIPLY", graph.math("SUBTRACT", now, before), amount)
            shift = _vector_math(graph, "SCALE", graph.vector_attribute(LOOK_ATTRIBUTES[name]), scale=change)
            moved = shift if moved is None else _vector_math(graph, "ADD", moved, shift)
        offsets.append(moved)
    x = graph.node("SeparateXYZ", {0: graph.vector_attribute(REST_ATTRIBUTE)}).outputs[0]
    offset = _switch(graph, "VECTOR", graph.math("GREATER_THAN", x, 0.0), offsets[1], offsets[0])
    moved = graph.node(
        "GeometryNodeSetPosition", {"Geometry": face, "Selection": _around_eyes(graph), "Offset": offset}
    ).outputs[0]
    return _switch(graph, "GEOMETRY", graph.math("GREATER_THAN", amount, 0.0), face, moved)


def _ride_over_corneas(graph: NodeGraph, face, eyes: list[_Eye], parts: EyeParts):
    """Adds the nodes that lift the lids over the bulge of the cornea, wherever it looks."""
    x = graph.node("SeparateXYZ", {0: graph.vector_attribute(REST_ATTRIBUTE)}).outputs[0]
    is_left = graph.math("GREATER_THAN", x, 0.0)
    centre = _switch(graph, "VECTOR", is_left, eyes[1].centre, eyes[0].centre)
    axis = _switch(graph, "VECTOR", is_left, eyes[1].axis, eyes[0].axis)
    position = graph.node("GeometryNodeInputPosition").outputs[0]
    offset = _vector_math(graph, "SUBTRACT", position, centre)
    direction = _vector_math(graph, "NORMALIZE", offset)
    cosine = graph.node("VectorMath", {0: direction, 1: axis}, operation="DOT_PRODUCT").outputs["Value"]
    angle = graph.math("ARCCOSINE", cosine)
    bulge = graph.ramp(angle, 0.12, 0.58, 0.085 + _SKIN_OVER_CORNEA, 0.0)
    wanted = graph.math("MULTIPLY", graph.math("ADD", bulge, 1.0), parts.radius)
    length = graph.node("VectorMath", {0: offset}, operation="LENGTH").outputs["Value"]
    lift = graph.math("MAXIMUM", graph.math("SUBTRACT", wanted, length), 0.0)
    lifted = _vector_math(graph, "SCALE", direction, scale=lift)
    return graph.node(
        "GeometryNodeSetPosition",
        {"Geometry": face, "Selection": _around_eyes(graph, True), "Offset": lifted},
    ).outputs[0]


def _lids(graph: NodeGraph, skin, eyes: list[_Eye], parts: EyeParts, pigment):
    """Adds the nodes that hang wet line and caruncle between the lids."""
    shape = graph.store_attribute(_object(graph, parts.lids), PIGMENT_ATTRIBUTE, "FLOAT", pigment)
    is_left = graph.named_attribute(SIDE_ATTRIBUTE)
    centre = _switch(graph, "VECTOR", is_left, eyes[1].centre, eyes[0].centre)
    lower, upper = (_on_rim(graph, skin, name) for name in (LOWER_ATTRIBUTE, UPPER_ATTRIBUTE))
    share, sink, rise = graph.node("SeparateXYZ", {0: graph.vector_attribute(PLACE_ATTRIBUTE)}).outputs
    place = _mixed_vector(graph, share, lower, upper)
    offset = _vector_math(graph, "SUBTRACT", place, centre)
    length = graph.node("VectorMath", {0: offset}, operation="LENGTH").outputs["Value"]
    radius = graph.math("ADD", _mixed(graph, sink, length, parts.radius), rise)
    away = _vector_math(graph, "SCALE", _vector_math(graph, "NORMALIZE", offset), scale=radius)
    position = _vector_math(graph, "ADD", centre, away)
    hung = graph.node("GeometryNodeSetPosition", {"Geometry": shape, "Position": position}).outputs[0]
    return graph.node("GeometryNodeGeometryToInstance", {0: hung}).outputs[0]


def _on_rim(graph: NodeGraph, skin, name: str):
    """Adds the nodes of a place between two vertices of the skin."""
    first, second, share = graph.node("SeparateXYZ", {0: graph.vector_attribute(name)}).outputs
    return _mixed_vector(graph, share, *(_place_of(graph, skin, index) for index in (first, second)))


def _eyeball(graph: NodeGraph, ball, skin, eye: _Eye, source, radius: float):
    """Adds the nodes of one eyeball with the values that its materials read."""
    seed = graph.math("ADD", source[SEED_INPUT], 0.0 if eye.left else 0.37)  # alike, not the same
    look = graph.node("CombineXYZ", {0: source[PUPIL_INPUT], 1: seed, 2: source[VEINS_INPUT]}).outputs[0]
    ball = graph.store_attribute(ball, LOOK_OF_EYE, "FLOAT_VECTOR", look)
    ball = graph.store_attribute(ball, PIGMENT_ATTRIBUTE, "FLOAT", source[PIGMENT_INPUT])
    size = (radius,) * 3
    placed = graph.node(
        "GeometryNodeTransform",
        {"Geometry": ball, "Translation": eye.centre, "Rotation": eye.rotation, "Scale": size},
    ).outputs[0]
    shadow = _shadow_of_lids(graph, skin, eye)
    state = graph.node(
        "CombineXYZ", {0: source[YELLOWING_INPUT], 1: source[WETNESS_INPUT], 2: shadow}
    ).outputs[0]
    stored = graph.store_attribute(placed, STATE_OF_EYE, "FLOAT_VECTOR", state)
    return graph.node("GeometryNodeGeometryToInstance", {0: stored}).outputs[0]


def _shadow_of_lids(graph: NodeGraph, skin, eye: _Eye):
    """Adds the nodes of the shadow under the upper lid: 1 at the lid, 0 from 5 mm below it."""
    position = graph.node("GeometryNodeInputPosition").outputs[0]
    height = graph.node("SeparateXYZ", {0: position}).outputs[2]
    top = None
    for vertex in eye.rim:
        here = graph.node("SeparateXYZ", {0: _place_of(graph, skin, vertex)}).outputs[2]
        top = here if top is None else graph.math("MAXIMUM", top, here)
    across = graph.node("SeparateXYZ", {0: _vector_math(graph, "SUBTRACT", position, eye.centre)}).outputs[0]
    bent = graph.math("MULTIPLY", graph.math("MULTIPLY", across, across), -22.0)
    below = graph.math("SUBTRACT", graph.math("ADD", top, bent), height)
    return graph.ramp(below, 0.0002, 0.0056, 1.0, 0.0)


def _own_eyes(graph: NodeGraph):
    """Adds the selection of the model's own eyes: of polygons, since to find them by vertices takes 5 ms."""
    node = graph.node("GeometryNodeInputNamedAttribute", {"Name": OWN_EYE_ATTRIBUTE}, data_type="BOOLEAN")
    return enabled_socket(node.outputs, "Attribute")


def _around_eyes(graph: NodeGraph, only_outside: bool = False):
    """Adds the selection of the lids with the pockets behind them, or without."""
    return graph.math("GREATER_THAN", graph.named_attribute(LID_ATTRIBUTE), 1.5 if only_outside else 0.5)


def _object(graph: NodeGraph, item: bpy.types.Object):
    return graph.node("GeometryNodeObjectInfo", {"Object": item, "As Instance": False}).outputs["Geometry"]


def _place_of(graph: NodeGraph, geometry, vertex):
    """Adds the node of a vertex's place; the vertex is a number or a socket."""
    node = graph.node("GeometryNodeSampleIndex", data_type="FLOAT_VECTOR", domain="POINT")
    position = graph.node("GeometryNodeInputPosition").outputs[0]
    for socket, value in (("Geometry", geometry), ("Value", position), ("Index", vertex)):
        graph.feed(enabled_socket(node.inputs, socket), value)
    return enabled_socket(node.outputs, "Value")


def _weighted(graph: NodeGraph, places: list, weights: tuple[float, ...]):
    """Adds the nodes of a weighted sum of places."""
    total = None
    for place, weight in zip(places, weights, strict=True):
        share = _vector_math(graph, "SCALE", place, scale=weight)
        total = share if total is None else _vector_math(graph, "ADD", total, share)
    return total


def _vector_math(graph: NodeGraph, operation: str, *operands, scale=None):
    inputs = dict(enumerate(operands)) | ({} if scale is None else {"Scale": scale})
    node = graph.node("VectorMath", operation=operation)
    for socket, value in inputs.items():
        graph.feed(node.inputs[socket], value)
    return node.outputs[0]


def _angles(graph: NodeGraph, direction):
    """Adds the nodes of a direction's angles: to the person's left, and up; radians from straight ahead."""
    x, y, z = graph.node("SeparateXYZ", {0: _vector_math(graph, "NORMALIZE", direction)}).outputs
    return graph.math("ARCTAN2", x, graph.math("MULTIPLY", y, -1.0)), graph.math("ARCSINE", z)


def _clamped(graph: NodeGraph, value, low: float, high: float):
    return graph.math("MINIMUM", graph.math("MAXIMUM", value, low), high)


def _mixed(graph: NodeGraph, share, first, second):
    return graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", second, first), share, first)


def _mixed_vector(graph: NodeGraph, share, first, second):
    return _vector_math(
        graph,
        "ADD",
        first,
        _vector_math(graph, "SCALE", _vector_math(graph, "SUBTRACT", second, first), scale=share),
    )


def _switch(graph: NodeGraph, kind: str, condition, when_false, when_true):
    inputs = {"Switch": condition, "False": when_false, "True": when_true}
    node = graph.node("GeometryNodeSwitch", input_type=kind)
    for socket, value in inputs.items():
        graph.feed(enabled_socket(node.inputs, socket), value)
    return enabled_socket(node.outputs, "Output")
