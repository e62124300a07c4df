"""The skin's painted brows and cropped hair and the lashes' cards give way to strands.

The materials read vertex attributes, so nothing in them changes.
"""

from collections.abc import Mapping

import bpy
import numpy as np

from ...ml_backend.hair.scalp import scalp_cover
from ...ml_backend.hair.scalp_styles import SCALP_STYLES
from ..appearance.skin_material import HAIR_NODE
from ..face import attributes
from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.materials import first_material, named_node
from ..nodes.vertex_attributes import write_attribute

_UNDER_BROWS = 0.35
_UNDER_HAIR = 0.75
_NO_LASH = 2.0
"""Place along a lash beyond its tip: the cards show nothing there."""


def paint_beneath(face: bpy.types.Object, grown: Mapping[str, bpy.types.Object]) -> None:
    """Writes the attributes that paint hair: less of it where strands grow, all of it elsewhere.

    Args:
        face: with the mesh of the present model.
        grown: its hair objects by part.
    """
    mesh = face.data
    positions = dense_mesh().refine(face_model().mean)
    if len(mesh.vertices) != len(positions):
        return
    brows = attributes.brow_paint(positions)
    write_attribute(mesh, "d3dmm_brows", brows * (_UNDER_BROWS if "brows" in grown else 1.0))
    scalp = attributes.scalp_paint(positions)
    if "scalp" in grown:
        skin = dense_parts() == face_model().part_names.index("skin")
        cover = scalp_cover(positions, SCALP_STYLES[face.d3dmm_hair.scalp.style])
        scalp = np.where(skin & (scalp > 0), cover, 0) * _UNDER_HAIR
    write_attribute(mesh, "d3dmm_scalp", scalp)
    lash = attributes.lash_places(positions)
    if "lashes" in grown:
        lash[:, 1] = _NO_LASH
    write_attribute(mesh, "d3dmm_lash", lash)
    mesh.update_tag()


def tint_painted_hair(face: bpy.types.Object, colour: tuple[float, float, float]) -> None:
    """Gives the skin's painted hair the linear colour of the strands; nothing where its node was removed."""
    node = named_node(first_material(face), HAIR_NODE)
    if node is not None:
        node.outputs[0].default_value = (*colour, 1.0)
