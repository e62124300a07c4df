"""Node groups that show a face's detail: one displaces its vertices, one gives its skin the fine band.

Both read plain attributes, images and modifier inputs, so a file plays and renders without the extension.
"""

import bpy

from .neighbour_nodes import ABOVE, BESIDE, OPPOSITE, SIDE, chosen_neighbours, neighbour
from .node_graph import NodeGraph, enabled_socket

GROUP_NAME = "D3DMM Detail"
BAKED_INPUT = "Baked"
STRENGTH_INPUT = "Strength"
PORES_INPUT = "Pores and Fine Lines"
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
LIVE_ATTRIBUTE = "d3dmm_live"
MEAN_ATTRIBUTE = "d3dmm_detail_mean"
FIELD_ATTRIBUTE = "d3dmm_detail_{:02d}"
REGION_ATTRIBUTE = "d3dmm_region_{}"
HEIGHT_ATTRIBUTE = "d3dmm_height"
"""Stored by the group: the displacement, millimetres."""
GAIN_ATTRIBUTE = "d3dmm_gain"
"""Stored by the group: the scale of the fine band."""
WEIGHTS_ATTRIBUTE = "d3dmm_weights_{}"
"""Stored by the group: the weights of three fine maps a vector."""
FINE_IMAGES = 3
FINE_FIELDS = 3 * FINE_IMAGES - 1
"""Fields of a clip's fine band: with its mean they are three to an image."""
TWIN_ATTRIBUTE = "d3dmm_twin"
"""Of a head with doubled vertices: the number of the first vertex at the same place."""
SEAM_ATTRIBUTE = "d3dmm_seam"
"""Of half a head under a mirror: the plane's normal at the vertices that meet their copies, 0 elsewhere."""
METRES_PER_MILLIMETRE = 1e-3
LARGEST_STRENGTH = 4.0


def detail_group(components: int) -> bpy.types.NodeTree:
    """Returns the geometry nodes for a number of baked components, which faces share.

    Displacement along the normal = (live, or mean + sum of coefficient x field) x strength x regions.

    Args:
        components: K; 0 for live detail alone.
    """
    group, is_new = _named_group(f"{GROUP_NAME} {components}" if components else GROUP_NAME, components, 2)
    if is_new:
        _fill(group, components)
    return group


def _named_group(name: str, components: int, edition: int = 1) -> tuple[bpy.types.NodeTree, bool]:
    """Returns the group of a name, and True if it is new: with its sockets, without nodes.

    Files keep the groups of earlier editions.
    """
    mark = name if edition == 1 else f"{name} edition {edition}"
    for existing in bpy.data.node_groups:
        if existing.get("d3dmm") == mark and not existing.library:
            return existing, False
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group["d3dmm"] = mark
    group.is_modifier = True
    interface = group.interface
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    interface.new_socket(BAKED_INPUT, in_out="INPUT", socket_type="NodeSocketBool")
    for label in (STRENGTH_INPUT, PORES_INPUT, *REGION_INPUTS.values()):
        socket = interface.new_socket(label, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.default_value = 1.0
        socket.min_value = 0.0
        socket.max_value = LARGEST_STRENGTH
    for index in range(components):
        interface.new_socket(COEFFICIENT_INPUT.format(index), in_out="INPUT", socket_type="NodeSocketFloat")
    return group, True


def other_head_group(components: int, doubled: bool, halved: bool) -> bpy.types.NodeTree:
    """Returns the geometry nodes for heads of other makers.

    Displacement along the normal = (mean + sum of coefficient x field) x strength x regions; a coefficient
    below 0, of a key that is turned round, counts as 0.

    Args:
        components: K, at least 1.
        doubled: vertices with one number in `TWIN_ATTRIBUTE` move along their common normal.
        halved: vertices stay in the plane whose normal `SEAM_ATTRIBUTE` holds, where it is not 0.
    """
    name = f"{GROUP_NAME} Mesh {components}{' Doubled' if doubled else ''}{' Half' if halved else ''}"
    group, is_new = _named_group(name, components)
    if is_new:
        graph = NodeGraph(group)
        source = graph.node("NodeGroupInput").outputs
        coefficients = [
            graph.math("MAXIMUM", source[COEFFICIENT_INPUT.format(index)], 0.0) for index in range(components)
        ]
        gain = graph.math("MULTIPLY", _region_gain(graph, source), source[STRENGTH_INPUT])
        height = graph.math("MULTIPLY", _baked_height(graph, coefficients), gain)
        normal = _common_normal(graph) if doubled else None
        if halved:
            normal = _normal_in_seam(graph, normal)
        geometry = _displaced(graph, source["Geometry"], height, normal)
        graph.node("NodeGroupOutput", {"Geometry": geometry})
    return group


def input_identifiers(group: bpy.types.NodeTree) -> dict[str, str]:
    """Returns the identifiers under which a modifier holds a group's inputs, by the input's name."""
    return {
        item.name: item.identifier
        for item in group.interface.items_tree
        if item.item_type == "SOCKET" and item.in_out == "INPUT"
    }


def _fill(group: bpy.types.NodeTree, components: int) -> None:
    graph = NodeGraph(group)
    source = graph.node("NodeGroupInput").outputs
    coefficients = [source[COEFFICIENT_INPUT.format(index)] for index in range(components)]
    height = graph.named_attribute(LIVE_ATTRIBUTE)
    if components:
        height = graph.switch(source[BAKED_INPUT], height, _baked_height(graph, coefficients))
    gain = graph.math("MULTIPLY", _region_gain(graph, source), source[STRENGTH_INPUT])
    height = graph.math("MULTIPLY", height, gain)
    geometry = _displaced(graph, source["Geometry"], height, *_quick_normal(graph, source["Geometry"]))
    fine_gain = graph.math("MULTIPLY", gain, source[PORES_INPUT])
    geometry = graph.store_attribute(geometry, GAIN_ATTRIBUTE, "FLOAT", fine_gain)
    if components:
        geometry = _store_weights(graph, geometry, [1.0, *coefficients[:FINE_FIELDS]])
    graph.node("NodeGroupOutput", {"Geometry": geometry})


def _baked_height(graph: NodeGraph, coefficients: list[bpy.types.NodeSocket]) -> bpy.types.NodeSocket:
    """Adds the nodes of mean + sum of coefficient x field, millimetres."""
    height = graph.named_attribute(MEAN_ATTRIBUTE)
    for index, coefficient in enumerate(coefficients):
        field = graph.named_attribute(FIELD_ATTRIBUTE.format(index))
        height = graph.math("MULTIPLY_ADD", field, coefficient, height)
    return height


def _region_gain(graph: NodeGraph, source) -> bpy.types.NodeSocket:
    """Adds the nodes of 1 + sum of region weight x (region scale - 1); 1 at once where no scale differs."""
    gain: bpy.types.NodeSocket | float = 1.0
    differs: bpy.types.NodeSocket | float = 0.0
    for name, label in REGION_INPUTS.items():
        change = graph.math("SUBTRACT", source[label], 1.0)
        differs = graph.math("ADD", differs, graph.math("ABSOLUTE", change))
        weight = graph.named_attribute(REGION_ATTRIBUTE.format(name))
        gain = graph.math("MULTIPLY_ADD", weight, change, gain)
    return graph.switch(graph.math("GREATER_THAN", differs, 0.0), 1.0, gain)


def _quick_normal(graph: NodeGraph, geometry) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Adds the nodes of a vertex's normal by the lines between opposite neighbours, and of its sign.

    The mesh's own normals, which Blender makes from the angles of all polygons, take three milliseconds. They
    are used where the mesh has not the vertices for which the neighbours were chosen.
    """
    fits, count = chosen_neighbours(graph, geometry)
    position = graph.node("GeometryNodeInputPosition").outputs[0]
    lines = []
    for names in zip((BESIDE, ABOVE), OPPOSITE, strict=True):
        ends = (neighbour(graph, position, name) for name in names)
        lines.append(graph.node("VectorMath", dict(enumerate(ends)), operation="SUBTRACT").outputs[0])
    crossed = graph.node("VectorMath", dict(enumerate(lines)), operation="CROSS_PRODUCT").outputs[0]
    normal = graph.node("VectorMath", {0: crossed}, operation="NORMALIZE").outputs[0]
    switch = graph.node("GeometryNodeSwitch", input_type="VECTOR")
    own = graph.node("GeometryNodeInputNormal").outputs[0]
    for socket, value in (("Switch", fits), ("False", own), ("True", normal)):
        graph.feed(enabled_socket(switch.inputs, socket), value)
    side = graph.switch(fits, 1.0, graph.math("DIVIDE", graph.named_attribute(SIDE), count))
    return enabled_socket(switch.outputs, "Output"), side


def _common_normal(graph: NodeGraph) -> bpy.types.NodeSocket:
    """Adds the nodes of the mean normal of the vertices at one place."""
    normal = graph.node("GeometryNodeInputNormal").outputs[0]
    twin = graph.named_attribute(TWIN_ATTRIBUTE)
    total = graph.node(
        "GeometryNodeAccumulateField", {"Value": normal, "Group ID": twin}, data_type="FLOAT_VECTOR"
    ).outputs["Total"]
    return graph.node("VectorMath", {0: total}, operation="NORMALIZE").outputs[0]


def _normal_in_seam(graph: NodeGraph, normal=None) -> bpy.types.NodeSocket:
    """Adds the nodes that lay normals, the mesh's own by default, into the plane of a half's seam."""
    if normal is None:
        normal = graph.node("GeometryNodeInputNormal").outputs[0]
    plane = graph.node(
        "GeometryNodeInputNamedAttribute", {"Name": SEAM_ATTRIBUTE}, data_type="FLOAT_VECTOR"
    ).outputs["Attribute"]
    across = graph.node("VectorMath", {0: normal, 1: plane}, operation="PROJECT").outputs[0]
    within = graph.node("VectorMath", {0: normal, 1: across}, operation="SUBTRACT").outputs[0]
    return graph.node("VectorMath", {0: within}, operation="NORMALIZE").outputs[0]


def _displaced(graph: NodeGraph, geometry, height, normal=None, side=1.0) -> bpy.types.NodeSocket:
    """Adds the nodes that store a height in millimetres and move vertices by it along their normals, or along
    others times 1 or -1.

    What is stored is evaluated once; the move reads it.
    """
    if normal is None:
        normal = graph.node("GeometryNodeInputNormal").outputs[0]
    geometry = graph.store_attribute(geometry, HEIGHT_ATTRIBUTE, "FLOAT", height)
    towards = graph.math("MULTIPLY", side, METRES_PER_MILLIMETRE)
    metres = graph.math("MULTIPLY", graph.named_attribute(HEIGHT_ATTRIBUTE), towards)
    offset = graph.node("VectorMath", {0: normal, "Scale": metres}, operation="SCALE")
    move = graph.node("GeometryNodeSetPosition", {"Geometry": geometry, "Offset": offset.outputs[0]})
    return move.outputs["Geometry"]


def _store_weights(graph: NodeGraph, geometry, weights: list) -> bpy.types.NodeSocket:
    """Adds the nodes that store the weights of the fine maps, three to a vector."""
    for image, start in enumerate(range(0, len(weights), 3)):
        vector = graph.node("CombineXYZ", dict(enumerate(weights[start : start + 3])))
        name = WEIGHTS_ATTRIBUTE.format(image)
        geometry = graph.store_attribute(geometry, name, "FLOAT_VECTOR", vector.outputs[0])
    return geometry


def live_fine_group(name: str, image: bpy.types.Image) -> bpy.types.NodeTree:
    """Returns shader nodes of the millimetres that one grey image holds at the skin's texture coordinates."""
    graph = _new_fine_group(name)
    graph.node("NodeGroupOutput", {0: _texture(graph, image)})
    return graph.tree


def baked_fine_group(name: str, images: list[bpy.types.Image]) -> bpy.types.NodeTree:
    """Returns shader nodes that sum images of three fields each, times the stored weights; millimetres."""
    graph = _new_fine_group(name)
    total = None
    for index, image in enumerate(images):
        weights = graph.node("Attribute", attribute_name=WEIGHTS_ATTRIBUTE.format(index)).outputs["Vector"]
        product = graph.node("VectorMath", {0: _texture(graph, image), 1: weights}, operation="DOT_PRODUCT")
        term = product.outputs["Value"]
        total = term if total is None else graph.math("ADD", total, term)
    graph.node("NodeGroupOutput", {0: total})
    return graph.tree


def group_images(group: bpy.types.NodeTree | None) -> list[bpy.types.Image]:
    """Returns the images of a fine group, in order."""
    nodes = group.nodes if group is not None else ()
    return [node.image for node in nodes if node.bl_idname == "ShaderNodeTexImage" and node.image is not None]


def _new_fine_group(name: str) -> NodeGraph:
    group = bpy.data.node_groups.new(name, "ShaderNodeTree")
    group.interface.new_socket("Millimetres", in_out="OUTPUT", socket_type="NodeSocketFloat")
    return NodeGraph(group)


def _texture(graph: NodeGraph, image: bpy.types.Image) -> bpy.types.NodeSocket:
    uv = graph.node("UVMap", uv_map="UVMap").outputs[0]
    texture = graph.node("TexImage", {"Vector": uv}, image=image, extension="EXTEND", interpolation="Cubic")
    return texture.outputs["Color"]
