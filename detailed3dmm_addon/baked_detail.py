"""The animation's detail as native data: float attributes summed by Geometry Nodes with keyframed inputs.

Frame t's displacement is mean + sum over k of coefficient[t, k] x field k, millimetres at the dense vertices. It needs no
extension and no backend to play or render. The coefficients are inputs of the modifier, keyframed on the object.
"""

import bpy
import numpy as np

from . import detail_modifiers
from .detail_modifiers import BAKED_MODIFIER, METRES_PER_MILLIMETRE

MEAN_ATTRIBUTE = "d3dmm_detail_mean"
FIELD_ATTRIBUTE = "d3dmm_detail_{:02d}"
HEIGHT_ATTRIBUTE = "d3dmm_height"
STRENGTH_INPUT = "Strength"


def store_baked_detail(face: bpy.types.Object, mean: np.ndarray, fields: np.ndarray) -> tuple[str, ...]:
    """Puts a detail basis on a face's vertices, and the modifier that sums it after the shape keys.

    Args:
        face: a face with the topology it was made with.
        mean: (N,) float32, millimetres.
        fields: (K, N) float32.

    Returns:
        The data paths, on the object, of the K coefficients.
    """
    remove_baked_detail(face)
    mesh = face.data
    _write_attribute(mesh, MEAN_ATTRIBUTE, mean)
    for index, field in enumerate(fields):
        _write_attribute(mesh, FIELD_ATTRIBUTE.format(index), field)
    modifier = face.modifiers.new(BAKED_MODIFIER, "NODES")
    modifier.node_group = _build_group(f"{face.name} Baked Detail", len(fields))
    modifier.show_in_editmode = True
    live = face.modifiers.find(detail_modifiers.LIVE_MODIFIER)
    face.modifiers.move(len(face.modifiers) - 1, live if live >= 0 else 0)
    identifiers = _input_identifiers(modifier.node_group)
    for index in range(len(fields)):
        modifier[identifiers[f"Coefficient {index}"]] = 0.0
    face.d3dmm.has_baked_detail = True
    face.d3dmm.detail_source = "BAKED"
    detail_modifiers.apply_detail_settings(face)
    return tuple(f'modifiers["{BAKED_MODIFIER}"]["{identifiers[f"Coefficient {index}"]}"]' for index in range(len(fields)))


def remove_baked_detail(face: bpy.types.Object) -> None:
    """Removes a face's baked detail: modifier, node group, attributes; its curves go with the action that holds them."""
    modifier = face.modifiers.get(BAKED_MODIFIER)
    if modifier is not None:
        group = modifier.node_group
        face.modifiers.remove(modifier)
        if group is not None and group.users == 0:
            bpy.data.node_groups.remove(group)
    attributes = face.data.attributes
    for name in [found.name for found in attributes if found.name.startswith("d3dmm_detail_")]:
        attributes.remove(attributes[name])
    face.d3dmm.has_baked_detail = False
    face.d3dmm.detail_source = "LIVE"
    detail_modifiers.apply_detail_settings(face)


def set_baked_strength(modifier: bpy.types.NodesModifier, strength: float) -> None:
    """Scales the baked displacement.

    Args:
        modifier: the one that `store_baked_detail` made.
        strength: 1 is life-like.
    """
    if modifier.node_group is not None:
        modifier[_input_identifiers(modifier.node_group)[STRENGTH_INPUT]] = float(strength)
        modifier.id_data.update_tag()


def _write_attribute(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    attribute = mesh.attributes.new(name, "FLOAT", "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(values, np.float32))


def _input_identifiers(group: bpy.types.NodeTree) -> dict[str, str]:
    return {item.name: item.identifier for item in group.interface.items_tree if item.item_type == "SOCKET" and item.in_out == "INPUT"}


def _build_group(name: str, count: int) -> bpy.types.NodeTree:
    """Geometry in; mean + sum of coefficient x field, times strength, along the normal; geometry out."""
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group.is_modifier = True
    face = group.interface
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    face.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    face.new_socket(STRENGTH_INPUT, in_out="INPUT", socket_type="NodeSocketFloat").default_value = 1.0
    for index in range(count):
        face.new_socket(f"Coefficient {index}", in_out="INPUT", socket_type="NodeSocketFloat")
    nodes, links = group.nodes, group.links
    source, sink = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    height = _named(nodes, MEAN_ATTRIBUTE)
    for index in range(count):
        term = nodes.new("ShaderNodeMath")
        term.operation = "MULTIPLY_ADD"
        links.new(_named(nodes, FIELD_ATTRIBUTE.format(index)), term.inputs[0])
        links.new(source.outputs[f"Coefficient {index}"], term.inputs[1])
        links.new(height, term.inputs[2])
        height = term.outputs[0]
        term.location = (220 * index, -160)
    metres = nodes.new("ShaderNodeMath")
    metres.operation = "MULTIPLY"
    metres.inputs[1].default_value = METRES_PER_MILLIMETRE
    links.new(source.outputs[STRENGTH_INPUT], metres.inputs[0])
    distance = nodes.new("ShaderNodeMath")
    distance.operation = "MULTIPLY"
    links.new(height, distance.inputs[0])
    links.new(metres.outputs[0], distance.inputs[1])
    offset = nodes.new("ShaderNodeVectorMath")
    offset.operation = "SCALE"
    links.new(nodes.new("GeometryNodeInputNormal").outputs[0], offset.inputs["Vector"])
    links.new(distance.outputs[0], offset.inputs["Scale"])
    move = nodes.new("GeometryNodeSetPosition")
    links.new(source.outputs["Geometry"], move.inputs["Geometry"])
    links.new(offset.outputs["Vector"], move.inputs["Offset"])
    store = nodes.new("GeometryNodeStoreNamedAttribute")  # millimetres, for the skin's shader
    store.data_type, store.domain = "FLOAT", "POINT"
    store.inputs["Name"].default_value = HEIGHT_ATTRIBUTE
    links.new(move.outputs["Geometry"], store.inputs["Geometry"])
    links.new(height, next(socket for socket in store.inputs if socket.enabled and socket.type == "VALUE"))
    links.new(store.outputs["Geometry"], sink.inputs["Geometry"])
    for place, node in enumerate((source, metres, distance, offset, move, store, sink)):
        node.location = (220 * (count + place - 5), 120)
    source.location = (-300, 0)
    return group


def _named(nodes: bpy.types.Nodes, name: str) -> bpy.types.NodeSocket:
    node = nodes.new("GeometryNodeInputNamedAttribute")
    node.data_type = "FLOAT"
    node.inputs["Name"].default_value = name
    node.hide = True
    return next(socket for socket in node.outputs if socket.enabled and socket.type == "VALUE")
