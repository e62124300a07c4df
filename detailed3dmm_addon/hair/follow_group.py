"""Node groups by which hair curves follow a face's evaluated skin; a file plays them without the extension.

A strand lies on the mean face. Short hair turns with the model's polygon around its root, so that it follows
identity, expression and wrinkles. Long hair moves with its root, and its middle and tip are carried by the
form of the head at rest: a jaw that opens does not move a bob.
"""

import bpy

from ..nodes.node_graph import NodeGraph, enabled_socket

FACE_INPUT = "Face"
SHARE_INPUT = "Viewport Share"
THICKNESS_INPUT = "Thickness"
LAST_INPUT = "Last Point"
CORNERS = "d3dmm_corners"
WEIGHTS = "d3dmm_weights"
ROOT = "d3dmm_root"
WIDE = "d3dmm_wide"
FRAME_ROWS = ("d3dmm_frame_0", "d3dmm_frame_1", "d3dmm_frame_2")
CARRIERS = ("d3dmm_middle", "d3dmm_tip")
SHARES = ("d3dmm_middle_shares", "d3dmm_tip_shares")
CARRIED_FROM = ("d3dmm_middle_from", "d3dmm_tip_from")
CHANCE = "d3dmm_chance"
REST = "rest_position"
_NAMES = {False: "D3DMM Hair on Skin", True: "D3DMM Long Hair"}


def follow_group(carried: bool) -> bpy.types.NodeTree:
    """Returns the group of short hair, or that of long hair, which faces share."""
    name = _NAMES[carried]
    for existing in bpy.data.node_groups:
        if existing.get("d3dmm") == name and not existing.library:
            return existing
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group["d3dmm"] = name
    group.is_modifier = True
    interface = group.interface
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    interface.new_socket(FACE_INPUT, in_out="INPUT", socket_type="NodeSocketObject")
    for label, value in ((SHARE_INPUT, 1.0), (THICKNESS_INPUT, 1.0), (LAST_INPUT, 1.0)):
        socket = interface.new_socket(label, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.default_value = value
        socket.min_value = 0.0
    _HairGraph(group).fill(carried)
    return group


class _HairGraph(NodeGraph):
    """The nodes of one group."""

    def fill(self, carried: bool) -> None:
        """Adds all nodes."""
        source = self.node("NodeGroupInput").outputs
        face = self.node(
            "GeometryNodeObjectInfo", {"Object": source[FACE_INPUT]}, transform_space="ORIGINAL"
        ).outputs["Geometry"]
        share = self.switch(self.node("GeometryNodeIsViewport").outputs[0], 1.0, source[SHARE_INPUT])
        curves = self._thinned(source["Geometry"], share)
        curves = self._thickened(curves, share, source[THICKNESS_INPUT])
        place = self.node("GeometryNodeInputPosition").outputs[0]
        posed = self._root(face, place)
        moved = (
            self._carried(face, place, posed, source[LAST_INPUT])
            if carried
            else self._turned(face, place, posed)
        )
        out = self.node("GeometryNodeSetPosition", {"Geometry": curves, "Position": moved})
        self.node("NodeGroupOutput", {"Geometry": out.outputs[0]})

    def _thinned(self, curves, share):
        """Leaves the first part of the strands, which are in random order."""
        size = self.node("GeometryNodeAttributeDomainSize", component="CURVE")
        self.feed(size.inputs[0], curves)
        kept = self.math("MULTIPLY", enabled_socket(size.outputs, "Spline Count"), share)
        index = self.node("GeometryNodeInputIndex").outputs[0]
        surplus = self.math("GREATER_THAN", index, self.math("SUBTRACT", kept, 0.5))
        node = self.node(
            "GeometryNodeDeleteGeometry", {"Geometry": curves, "Selection": surplus}, domain="CURVE"
        )
        return node.outputs[0]

    def _thickened(self, curves, share, thickness):
        """Makes fewer strands thicker, so that they cover as much."""
        scale = self.math("DIVIDE", thickness, self.math("SQRT", self.math("MAXIMUM", share, 0.01)))
        radius = self.math("MULTIPLY", self.node("GeometryNodeInputRadius").outputs[0], scale)
        return self.node("GeometryNodeSetCurveRadius", {"Curve": curves, "Radius": radius}).outputs[0]

    def arithmetic(self, operation: str, *operands):
        """Adds an operation on vectors; the scale of SCALE comes second."""
        keys = (0, "Scale") if operation == "SCALE" else range(len(operands))
        node = self.node("VectorMath", operation=operation)
        for key, value in zip(keys, operands, strict=True):
            self.feed(node.inputs[key], value)
        return node.outputs["Value" if operation in ("DOT_PRODUCT", "LENGTH") else "Vector"]

    def each_strand(self, value):
        """Adds a node that evaluates a vector once for each strand."""
        node = self.node("GeometryNodeFieldOnDomain", domain="CURVE", data_type="FLOAT_VECTOR")
        self.feed(enabled_socket(node.inputs, "Value"), value)
        return enabled_socket(node.outputs, "Value")

    def _corner_values(self, face, values, corners: str) -> list:
        """Returns the values of a face's vertices at the three that an attribute names."""
        parts = self.node("SeparateXYZ", {0: self.vector_attribute(corners)}).outputs
        found = []
        for part in parts:
            node = self.node("GeometryNodeSampleIndex", data_type="FLOAT_VECTOR", domain="POINT")
            self.feed(node.inputs["Geometry"], face)
            self.feed(enabled_socket(node.inputs, "Value"), values)
            self.feed(enabled_socket(node.inputs, "Index"), part)
            found.append(enabled_socket(node.outputs, "Value"))
        return found

    def _weighted(self, face, values, corners: str, weights: str):
        """Returns the weighted sum of the values at three vertices."""
        shares = self.node("SeparateXYZ", {0: self.vector_attribute(weights)}).outputs
        total = None
        for value, share in zip(self._corner_values(face, values, corners), shares, strict=True):
            term = self.arithmetic("SCALE", value, share)
            total = term if total is None else self.arithmetic("ADD", total, term)
        return total

    def _root(self, face, place):
        """Returns each strand's root on the face as it shows."""
        return self.each_strand(self._weighted(face, place, CORNERS, WEIGHTS))

    def _turned(self, face, place, posed):
        """Returns points that turn with the polygon around their root."""
        first, second, third = map(self.each_strand, self._corner_values(face, place, WIDE))
        along = self.arithmetic("SUBTRACT", second, first)
        across = self.arithmetic("SUBTRACT", third, first)
        normal = self.arithmetic("CROSS_PRODUCT", along, across)
        size = self.math("SQRT", self.math("MAXIMUM", self.arithmetic("LENGTH", normal), 1e-12))
        normal = self.arithmetic("SCALE", normal, self.math("DIVIDE", 1.0, size))
        offset = self.arithmetic("SUBTRACT", place, self.vector_attribute(ROOT))
        total = posed
        for axis, row in zip((along, across, normal), FRAME_ROWS, strict=True):
            share = self.arithmetic("DOT_PRODUCT", offset, self.vector_attribute(row))
            total = self.arithmetic("ADD", total, self.arithmetic("SCALE", axis, share))
        return total

    def _carried(self, face, place, posed, last):
        """Returns points that move with their root, and with the head's form at rest towards the tip."""
        rest = self.vector_attribute(REST)
        root = self.vector_attribute(ROOT)
        begin = self.arithmetic("SUBTRACT", self._weighted(face, rest, CORNERS, WEIGHTS), root)
        middle, tip = (
            self.arithmetic(
                "SUBTRACT", self._weighted(face, rest, carriers, shares), self.vector_attribute(before)
            )
            for carriers, shares, before in zip(CARRIERS, SHARES, CARRIED_FROM, strict=True)
        )
        early = self.each_strand(self.arithmetic("SUBTRACT", middle, begin))
        late = self.each_strand(self.arithmetic("SUBTRACT", tip, middle))
        along = self.math(
            "DIVIDE",
            self.node("GeometryNodeSplineParameter").outputs["Index"],
            self.math("MULTIPLY", last, 0.5),
        )
        moved = self.arithmetic("ADD", place, self.arithmetic("SUBTRACT", posed, root))
        first_half = self.math("MINIMUM", along, 1.0)
        second_half = self.math("MAXIMUM", self.math("SUBTRACT", along, 1.0), 0.0)
        moved = self.arithmetic("ADD", moved, self.arithmetic("SCALE", early, first_half))
        return self.arithmetic("ADD", moved, self.arithmetic("SCALE", late, second_half))
