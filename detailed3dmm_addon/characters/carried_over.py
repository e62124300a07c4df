"""Carries a face of an earlier model over to the present one, in the same object, mesh and shape keys."""

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.models.earlier_face import carry_identity, earlier_face
from ..actions.action_reader import curves_of
from ..appearance.face_materials import rearrange_materials
from ..appearance.skin_material import apply_look
from ..detail import baked
from ..detail import follow as live_update
from ..detail import live as live_detail
from ..face import mesh as face_mesh
from ..face.former_surface import FORMER_LAYER, FormerSurface
from ..model.face_model import direction_step, earlier_identity_of, face_model, is_of_earlier
from ..model.registry import is_face
from ..nodes.detail_modifier import SKIN_GROUP
from .photo import PHOTO_LATENT

_COEFFICIENT_PATH = "d3dmm.coefficients["


def is_edited(face: bpy.types.Object) -> bool:
    """Returns True if the mesh of a face of the earlier model has other vertices than it was made with."""
    return len(face.data.vertices) != earlier_face().mesh_vertices


def carry_over(face: bpy.types.Object, discard_edits: bool = False) -> str:
    """Makes a face of the earlier model anew on the present one.

    The person becomes the nearest one; named directions keep their sliders' values. Name, place, parents,
    collections, expressions, keys, drivers, materials and the settings of the skin stay, and so do shape keys
    and vertex groups that an artist added. Baked wrinkles, imported maps and wrinkles of a photo were made in
    the earlier texture space: they are taken off, and the sentence names them.

    Args:
        face: a face of this file in Object Mode; other objects with the same mesh are carried over with it.
        discard_edits: also where vertices were added or deleted, which undoes those edits.

    Returns:
        A sentence for the user.

    Raises:
        UserError: the face is of another model, or its mesh was edited.
    """
    earlier = earlier_face()
    if not is_of_earlier(face):
        raise UserError(f"{face.name} was not made with the earlier face model.", "It stays as it is.")
    if is_edited(face) and not discard_edits:
        raise UserError(
            f"{face.name}'s vertices were edited: carrying it over would undo the edits.",
            "Leave it as it is, or choose Discard Edits.",
        )
    carried = carry_identity(earlier_identity_of(face), face_model())
    model = face_model()
    former = FormerSurface.of(face, model.expression_names, (SKIN_GROUP, *model.regions))
    with live_update.suspended():
        lost = _take_off_detail(face)
        for owner in _users(face):
            _store_identity(owner, carried.identity)
        lost += _mute_coefficients(face)
        face_mesh.remake_mesh(face, carried.identity)
        former.put_keys_and_groups(face, carried.placement)
        rearrange_materials(face, earlier.part_names, face.d3dmm.identity_seed)
        pictures = _picture_layers(face)
        if pictures:
            former.put_texture_layer(face.data, carried.placement)
        for node in pictures:
            node.uv_map = FORMER_LAYER
        apply_look(face)
    live_detail.forget_shown(face)
    live_update.STATE.pending(face).requested = ""
    return f"{face.name} was carried over, {carried.error_mm:.1f} mm off on average" + (
        f"; {', '.join(lost)}" if lost else ""
    )


def _users(face: bpy.types.Object) -> list[bpy.types.Object]:
    """Returns the faces that share a face's mesh, itself first."""
    return [face] + [
        item for item in bpy.data.objects if item != face and item.data == face.data and is_face(item)
    ]


def _store_identity(face: bpy.types.Object, identity: np.ndarray) -> None:
    """Writes an identity into the sliders: named directions keep their values, coefficients hold the rest."""
    face_mesh.add_sliders(face)
    rest = identity.astype(np.float32)
    for item in face.d3dmm.directions:
        if item.name not in face_model().direction_names:
            item.value = 0.0  # its effect is in the identity
        elif item.value:
            rest = rest - direction_step(item.name, item.value)
    face.d3dmm.coefficients.foreach_set("value", rest)


def _take_off_detail(face: bpy.types.Object) -> list[str]:
    """Removes what was made in the earlier texture space; returns how to make it again."""
    lost = []
    if face.d3dmm.has_baked_detail:
        baked.remove_baked_detail(face)
        lost.append("bake its wrinkles again")
    if face.d3dmm.imported_map:
        lost.append(
            "import its detail map again" if PHOTO_LATENT not in face else "its photo's wrinkles went"
        )
    face.pop(PHOTO_LATENT, None)
    live_detail.clear_latent(face)
    return lost


def _mute_coefficients(face: bpy.types.Object) -> list[str]:
    """Mutes curves of principal coefficients, which mean something else now; returns a word on them."""
    curves = [curve for curve in curves_of(face) if curve.data_path.startswith(_COEFFICIENT_PATH)]
    for curve in curves:
        curve.mute = True
    return [f"{len(curves)} curves of coefficients were muted"] if curves else []


def _picture_layers(face: bpy.types.Object) -> list[bpy.types.Node]:
    """Returns the nodes that give pictures of the artist's or of a photo their texture coordinates."""
    trees = {
        item.node_tree for item in face.data.materials if item is not None and item.node_tree is not None
    }
    return [
        node
        for tree in trees
        for node in tree.nodes
        if node.bl_idname == "ShaderNodeUVMap"
        and any(link.to_node.bl_idname == "ShaderNodeTexImage" for link in node.outputs[0].links or ())
    ]
