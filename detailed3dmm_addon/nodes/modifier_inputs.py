"""Reads and writes the inputs of a Geometry Nodes modifier.

They are custom properties of the modifier up to Blender 5.1, properties of its interface from 5.2 on.
"""

import bpy

from .detail_groups import input_identifiers


def _holder(modifier: bpy.types.NodesModifier, identifier: str) -> tuple[object, str]:
    """Returns the holder of an input, and the name of its property for `layout.prop`."""
    interface = getattr(modifier, "properties", None)
    return (
        (modifier, f'["{identifier}"]')
        if interface is None
        else (getattr(interface.inputs, identifier), "value")
    )


def get_input(modifier: bpy.types.NodesModifier, name: str):
    """Returns an input's value, by its name in the node group."""
    identifier = input_identifiers(modifier.node_group)[name]
    holder, _ = _holder(modifier, identifier)
    return modifier[identifier] if holder == modifier else holder.value


def set_input(modifier: bpy.types.NodesModifier, name: str, value) -> None:
    """Sets an input, by its name in the node group; the caller tags the object."""
    identifier = input_identifiers(modifier.node_group)[name]
    holder, _ = _holder(modifier, identifier)
    if holder == modifier:
        modifier[identifier] = value
    else:
        holder.value = value


def input_values(modifier: bpy.types.NodesModifier) -> dict[str, object]:
    """Returns the values of all inputs by name, without geometries; empty without a node group."""
    group = modifier.node_group
    names = input_identifiers(group) if group is not None else {}
    interface = getattr(modifier, "properties", None)
    if interface is None:
        return {name: modifier[identifier] for name, identifier in names.items() if identifier in modifier}
    holders = {name: getattr(interface.inputs, identifier, None) for name, identifier in names.items()}
    return {name: holder.value for name, holder in holders.items() if hasattr(holder, "value")}


def input_slider(modifier: bpy.types.NodesModifier, name: str) -> tuple[object, str]:
    """Returns an input's data and property for `layout.prop`."""
    return _holder(modifier, input_identifiers(modifier.node_group)[name])


def input_path(modifier: bpy.types.NodesModifier, name: str) -> str:
    """Returns the end of the data path of an input's curve or driver: the part after `modifiers["..."]`."""
    identifier = input_identifiers(modifier.node_group)[name]
    return (
        f'["{identifier}"]'
        if getattr(modifier, "properties", None) is None
        else f".properties.inputs.{identifier}.value"
    )
