"""Node groups that show a face's detail: one displaces its vertices, one gives its skin what is finer than vertices.

Both read plain attributes, images and modifier inputs, so that a file plays and renders without the
extension.
"""

import bpy

GROUP_NAME = "D3DMM Detail"
BAKED_INPUT, STRENGTH_INPUT, PORES_INPUT = "Baked", "Strength", "Pores and Fine Lines"
REGIONS = (
    "forehead",
    "glabella",
    "crows_feet",
    "under_eye",
    "nose",
    "cheeks",
    "nasolabial",
    "perioral",
    "chin",
    "neck",
)
REGION_INPUTS = {name: name.replace("_", " ").title() for name in REGIONS}
COEFFICIENT_INPUT = "Coefficient {}"
LIVE_ATTRIBUTE, MEAN_ATTRIBUTE, FIELD_ATTRIBUTE = "d3dmm_live", "d3dmm_detail_mean", "d3dmm_detail_{:02d}"
REGION_ATTRIBUTE = "d3dmm_region_{}"
HEIGHT_ATTRIBUTE, GAIN_ATTRIBUTE, WEIGHTS_ATTRIBUTE = "d3dmm_height", "d3dmm_gain", "d3dmm_weights_{}"
"""What the group stores: millimetres moved; the scale of the fine band; three weights of fine maps a vector."""
FINE_IMAGES = 3
FINE_FIELDS = 3 * FINE_IMAGES - 1
"""A clip's fine band: its mean and eight fields, three to an image."""
METRES_PER_MILLIMETRE = 1e-3
LARGEST_STRENGTH = 4.0


def detail_group(components: int) -> bpy.types.NodeTree:
    """The geometry nodes for a number of baked components; faces share them, 0 is for live detail alone.

    Geometry in; (live or mean + sum of coefficient x field, millimetres) x strength x regions along the
    normal; geometry out.
    """
    name = f"{GROUP_NAME} {components}" if components else GROUP_NAME
    found = next(
        (group for group in bpy.data.node_groups if group.get("d3dmm") == name and not group.library),
        None,
    )
    if found is not None:
        return found
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group["d3dmm"] = name
    group.is_modifier = True
    face = group.interface
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    face.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    face.new_socket(BAKED_INPUT, in_out="INPUT", socket_type="NodeSocketBool")
    for label in (STRENGTH_INPUT, PORES_INPUT, *REGION_INPUTS.values()):
        socket = face.new_socket(label, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.default_value, socket.min_value, socket.max_value = 1.0, 0.0, LARGEST_STRENGTH
    for index in range(components):
        face.new_socket(COEFFICIENT_INPUT.format(index), in_out="INPUT", socket_type="NodeSocketFloat")
    _fill(group, components)
    return group


def input_identifiers(group: bpy.types.NodeTree) -> dict[str, str]:
    """By an input's name the identifier under which a modifier holds its value."""
    return {
        item.name: item.identifier
        for item in group.interface.items_tree
        if item.item_type == "SOCKET" and item.in_out == "INPUT"
    }


def _fill(group: bpy.types.NodeTree, components: int) -> None:
    nodes, links = group.nodes, group.links
    source, sink = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")

    def math(operation: str, *operands) -> bpy.types.NodeSocket:
        node = nodes.new("ShaderNodeMath")
        node.operation = operation
        for socket, operand in zip(node.inputs, operands, strict=False):
            if isinstance(operand, bpy.types.NodeSocket):
                links.new(operand, socket)
            else:
                socket.default_value = operand
        return node.outputs[0]

    def attribute(name: str) -> bpy.types.NodeSocket:
        node = nodes.new("GeometryNodeInputNamedAttribute")
        node.data_type = "FLOAT"
        node.inputs["Name"].default_value = name
        return next(socket for socket in node.outputs if socket.enabled and socket.type == "VALUE")

    height = attribute(LIVE_ATTRIBUTE)
    if components:
        baked = attribute(MEAN_ATTRIBUTE)
        for index in range(components):
            coefficient = source.outputs[COEFFICIENT_INPUT.format(index)]
            baked = math("MULTIPLY_ADD", attribute(FIELD_ATTRIBUTE.format(index)), coefficient, baked)
        switch = nodes.new("GeometryNodeSwitch")
        switch.input_type = "FLOAT"
        first, second = (socket for socket in switch.inputs if socket.enabled and socket.type == "VALUE")
        links.new(
            source.outputs[BAKED_INPUT],
            next(socket for socket in switch.inputs if socket.enabled and socket.type == "BOOLEAN"),
        )
        links.new(height, first)
        links.new(baked, second)
        height = next(socket for socket in switch.outputs if socket.enabled)
    regions: bpy.types.NodeSocket | float = 1.0
    for name, label in REGION_INPUTS.items():
        change = math("SUBTRACT", source.outputs[label], 1.0)
        regions = math("MULTIPLY_ADD", attribute(REGION_ATTRIBUTE.format(name)), change, regions)
    gain = math("MULTIPLY", regions, source.outputs[STRENGTH_INPUT])
    height = math("MULTIPLY", height, gain)
    normal = nodes.new("GeometryNodeInputNormal").outputs[0]
    offset = nodes.new("ShaderNodeVectorMath")
    offset.operation = "SCALE"
    links.new(normal, offset.inputs[0])
    links.new(math("MULTIPLY", height, METRES_PER_MILLIMETRE), offset.inputs["Scale"])
    move = nodes.new("GeometryNodeSetPosition")
    links.new(source.outputs["Geometry"], move.inputs["Geometry"])
    links.new(offset.outputs[0], move.inputs["Offset"])

    def store(geometry, name: str, kind: str, value: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        node = nodes.new("GeometryNodeStoreNamedAttribute")
        node.data_type, node.domain = kind, "POINT"
        node.inputs["Name"].default_value = name
        links.new(geometry, node.inputs["Geometry"])
        links.new(value, next(socket for socket in node.inputs if socket.enabled and socket.name == "Value"))
        return node.outputs["Geometry"]

    geometry = store(move.outputs["Geometry"], HEIGHT_ATTRIBUTE, "FLOAT", height)
    geometry = store(geometry, GAIN_ATTRIBUTE, "FLOAT", math("MULTIPLY", gain, source.outputs[PORES_INPUT]))
    weights = [
        1.0,
        *(source.outputs[COEFFICIENT_INPUT.format(index)] for index in range(min(components, FINE_FIELDS))),
    ]
    for image in range((len(weights) + 2) // 3 if components else 0):
        vector = nodes.new("ShaderNodeCombineXYZ")
        for socket, weight in zip(vector.inputs, weights[3 * image : 3 * image + 3], strict=False):
            if isinstance(weight, bpy.types.NodeSocket):
                links.new(weight, socket)
            else:
                socket.default_value = weight
        geometry = store(geometry, WEIGHTS_ATTRIBUTE.format(image), "FLOAT_VECTOR", vector.outputs[0])
    links.new(geometry, sink.inputs["Geometry"])
    _lay_out(group)


def _lay_out(group: bpy.types.NodeTree) -> None:
    for index, node in enumerate(group.nodes):
        node.location = (220 * (index % 12), -200 * (index // 12))


def live_fine_group(name: str, image: bpy.types.Image) -> bpy.types.NodeTree:
    """Shader nodes: the millimetres that one grey image holds at the skin's texture coordinates."""
    group, sink = _fine_group(name)
    group.links.new(_texture(group, image), sink.inputs[0])
    _lay_out(group)
    return group


def baked_fine_group(name: str, images: list[bpy.types.Image]) -> bpy.types.NodeTree:
    """Shader nodes: images of three fields each, times the weights that the geometry nodes store, summed; millimetres."""
    group, sink = _fine_group(name)
    total = None
    for index, image in enumerate(images):
        weights = group.nodes.new("ShaderNodeAttribute")
        weights.attribute_name = WEIGHTS_ATTRIBUTE.format(index)
        product = group.nodes.new("ShaderNodeVectorMath")
        product.operation = "DOT_PRODUCT"
        group.links.new(_texture(group, image), product.inputs[0])
        group.links.new(weights.outputs["Vector"], product.inputs[1])
        term = product.outputs["Value"]
        if total is not None:
            added = group.nodes.new("ShaderNodeMath")
            group.links.new(total, added.inputs[0])
            group.links.new(term, added.inputs[1])
            term = added.outputs[0]
        total = term
    group.links.new(total, sink.inputs[0])
    _lay_out(group)
    return group


def group_images(group: bpy.types.NodeTree | None) -> list[bpy.types.Image]:
    """The images of a fine group, in order."""
    nodes = group.nodes if group is not None else ()
    return [node.image for node in nodes if node.bl_idname == "ShaderNodeTexImage" and node.image is not None]


def _fine_group(name: str) -> tuple[bpy.types.NodeTree, bpy.types.Node]:
    group = bpy.data.node_groups.new(name, "ShaderNodeTree")
    group.interface.new_socket("Millimetres", in_out="OUTPUT", socket_type="NodeSocketFloat")
    return group, group.nodes.new("NodeGroupOutput")


def _texture(group: bpy.types.NodeTree, image: bpy.types.Image) -> bpy.types.NodeSocket:
    place, texture = group.nodes.new("ShaderNodeUVMap"), group.nodes.new("ShaderNodeTexImage")
    place.uv_map = "UVMap"
    texture.image, texture.extension, texture.interpolation = image, "EXTEND", "Cubic"
    group.links.new(place.outputs[0], texture.inputs["Vector"])
    return texture.outputs["Color"]
