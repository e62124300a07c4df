"""Builds shader node trees in few words."""

import bpy


class ShaderGraph:
    """A node tree under construction; sockets are passed around like values."""

    def __init__(self, tree: bpy.types.NodeTree, keep: bool = False):
        """Empties the tree.

        Args:
            tree: of a material or world.
            keep: goes on with what is there.
        """
        if not keep:
            tree.nodes.clear()
        self.tree = tree

    def node(self, kind: str, inputs: dict | None = None, **properties) -> bpy.types.Node:
        """Adds a node.

        Args:
            kind: `bl_idname` without the `ShaderNode` in front.
            inputs: by socket name or index: another node's output socket, or a constant.
            properties: attributes of the node, `name` among them.
        """
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in properties.items():
            setattr(node, name, value)
        for socket, value in (inputs or {}).items():
            self.feed(node.inputs[socket], value)
        node.location = (200 * (len(self.tree.nodes) % 8), -220 * (len(self.tree.nodes) // 8))
        return node

    def feed(self, socket: bpy.types.NodeSocket, value) -> None:
        """Links a socket to another node's output, or sets its constant."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, *operands, clamp: bool = False) -> bpy.types.NodeSocket:
        """A scalar operation on sockets and numbers."""
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
        """A named attribute of the mesh."""
        return self.node("Attribute", attribute_name=name, attribute_type="GEOMETRY")

    def noise(
        self, vector, scale: float, detail: float = 2.0, roughness: float = 0.5
    ) -> bpy.types.NodeSocket:
        """Fractal noise, about 0.5 on average."""
        return self.node(
            "TexNoise", {"Vector": vector, "Scale": scale, "Detail": detail, "Roughness": roughness}
        ).outputs[0]
