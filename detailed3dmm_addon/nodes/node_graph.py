"""Builds node trees - of materials, worlds, shader groups and geometry groups - in few words."""

import bpy


class NodeGraph:
    """A node tree under construction; sockets are passed around like values.

    Args:
        tree: of a material, a world or a group; it is emptied.
        keep: adds to the nodes of the tree instead.
    """

    def __init__(self, tree: bpy.types.NodeTree, keep: bool = False):
        if not keep:
            tree.nodes.clear()
        self.tree = tree

    def node(self, kind: str, inputs: dict | None = None, **properties) -> bpy.types.Node:
        """Adds a node.

        Args:
            kind: `bl_idname`; of a shader node also without the `ShaderNode` in front.
            inputs: by socket name or index: another node's output socket, or a constant.
            properties: attributes of the node, `name` among them.
        """
        node = self.tree.nodes.new(kind if "Node" in kind else f"ShaderNode{kind}")
        for name, value in properties.items():
            setattr(node, name, value)
        for socket, value in (inputs or {}).items():
            self.feed(enabled_socket(node.inputs, socket), value)
        node.location = (200 * (len(self.tree.nodes) % 8), -220 * (len(self.tree.nodes) // 8))
        return node

    def feed(self, socket: bpy.types.NodeSocket, value) -> None:
        """Links a socket to another node's output, or sets its constant."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, *operands, clamp: bool = False) -> bpy.types.NodeSocket:
        """Adds a scalar operation on sockets and numbers."""
        node = self.node("Math", dict(enumerate(operands)), operation=operation)
        node.use_clamp = clamp
        return node.outputs[0]

    def ramp(
        self, value, low: float, high: float, to_low: float = 0.0, to_high: float = 1.0
    ) -> bpy.types.NodeSocket:
        """Maps low..high smoothly to to_low..to_high, constant outside."""
        node = self.node(
            "MapRange", {0: value, 1: low, 2: high, 3: to_low, 4: to_high}, interpolation_type="SMOOTHSTEP"
        )
        return node.outputs[0]

    def mix(self, factor, first, second, blend: str = "MIX") -> bpy.types.NodeSocket:
        """Blends two colours, each a socket or (r, g, b), linear."""
        node = self.node("Mix", data_type="RGBA", blend_type=blend)
        node.clamp_factor = True
        colour_sockets = [socket for socket in node.inputs if socket.type == "RGBA"]
        self.feed(node.inputs[0], factor)
        for socket, value in zip(colour_sockets, (first, second), strict=True):
            self.feed(socket, (*value, 1.0) if isinstance(value, tuple) and len(value) == 3 else value)
        return next(socket for socket in node.outputs if socket.type == "RGBA")

    def attribute(self, name: str) -> bpy.types.Node:
        """Adds a shader node that reads a named attribute of the mesh."""
        return self.node("Attribute", attribute_name=name, attribute_type="GEOMETRY")

    def noise(
        self, vector, scale: float, detail: float = 2.0, roughness: float = 0.5
    ) -> bpy.types.NodeSocket:
        """Adds fractal noise, about 0.5 on average."""
        return self.node(
            "TexNoise", {"Vector": vector, "Scale": scale, "Detail": detail, "Roughness": roughness}
        ).outputs[0]

    def named_attribute(self, name: str, kind: str = "FLOAT") -> bpy.types.NodeSocket:
        """Adds a geometry node that reads an attribute of the mesh: FLOAT, INT, BOOLEAN or FLOAT_VECTOR."""
        node = self.node("GeometryNodeInputNamedAttribute", {"Name": name}, data_type=kind)
        return enabled_socket(node.outputs, "Attribute")

    def vector_attribute(self, name: str) -> bpy.types.NodeSocket:
        """Adds a geometry node that reads a vector attribute of the mesh."""
        return self.named_attribute(name, "FLOAT_VECTOR")

    def at_index(self, value, index) -> bpy.types.NodeSocket:
        """Adds a geometry node that reads a vector of another vertex by its number."""
        node = self.node("GeometryNodeFieldAtIndex", data_type="FLOAT_VECTOR", domain="POINT")
        self.feed(enabled_socket(node.inputs, "Index"), index)
        self.feed(enabled_socket(node.inputs, "Value"), value)
        return enabled_socket(node.outputs, "Value")

    def store_attribute(self, geometry, name: str, kind: str, value, selection=None) -> bpy.types.NodeSocket:
        """Adds a geometry node that stores a vertex attribute.

        Args:
            geometry: socket of the mesh.
            name: of the attribute.
            kind: FLOAT or FLOAT_VECTOR.
            value: socket of the values.
            selection: socket that says at which vertices; elsewhere the attribute keeps its value, or is 0.

        Returns:
            The socket of the mesh with the attribute.
        """
        inputs = {"Geometry": geometry, "Name": name, "Value": value}
        if selection is not None:
            inputs["Selection"] = selection
        node = self.node("GeometryNodeStoreNamedAttribute", inputs, data_type=kind, domain="POINT")
        return node.outputs["Geometry"]

    def switch(self, condition, when_false, when_true) -> bpy.types.NodeSocket:
        """Adds a geometry node that chooses between two floats by a boolean."""
        inputs = {"Switch": condition, "False": when_false, "True": when_true}
        node = self.node("GeometryNodeSwitch", inputs, input_type="FLOAT")
        return enabled_socket(node.outputs, "Output")


def enabled_socket(sockets, key: str | int) -> bpy.types.NodeSocket:
    """Returns the socket of a name or index.

    Nodes of several data types have a socket of the same name for each type; a name stands for that of the
    chosen type, which alone is enabled.
    """
    if isinstance(key, int):
        return sockets[key]
    return next((socket for socket in sockets if socket.enabled and socket.name == key), None) or sockets[key]
