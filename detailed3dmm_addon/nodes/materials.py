"""Materials and their nodes: a new material, its shader, a node by its name."""

import bpy

_SHADER = "ShaderNodeBsdfPrincipled"


def new_material(
    name: str, solid: tuple[float, float, float] = (0.8, 0.8, 0.8), opacity: float = 1.0
) -> bpy.types.Material:
    """Returns a new material with a node tree; before Blender 5.0 the nodes have to be switched on.

    Args:
        name: of the material.
        solid: linear colour that the viewport shows in solid shading, where shaders do not count.
        opacity: 0 to 1, likewise.
    """
    material = bpy.data.materials.new(name)
    material.diffuse_color = (*solid, opacity)
    if material.node_tree is None:
        material.use_nodes = True
    return material


def principled_shader(material: bpy.types.Material | None) -> bpy.types.Node | None:
    """Returns a material's first Principled BSDF, or None without one."""
    nodes = material.node_tree.nodes if material is not None and material.node_tree is not None else ()
    return next((node for node in nodes if node.bl_idname == _SHADER), None)


def named_node(material: bpy.types.Material | None, name: str) -> bpy.types.Node | None:
    """Returns a material's node by its name, or None where an artist removed it."""
    if material is None or material.node_tree is None:
        return None
    return material.node_tree.nodes.get(name)


def first_material(item: bpy.types.Object) -> bpy.types.Material | None:
    """Returns the material of an object's first slot, which is a face's skin; None without one."""
    return item.data.materials[0] if item.data.materials else None
