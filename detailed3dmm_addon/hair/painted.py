"""The skin's painted brows and cropped hair and the lashes' cards give way to strands.

The materials read vertex attributes, so nothing in them changes.
"""

from collections.abc import Mapping

import bpy
import numpy as np

from ...ml_backend.hair.pigments import mixed_colour
from ...ml_backend.hair.scalp import scalp_cover
from ...ml_backend.hair.scalp_styles import SCALP_STYLES
from ..appearance.skin_material import HAIR_NODE, ROOTS_NODE
from ..face import attributes
from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.materials import first_material, named_node
from ..nodes.vertex_attributes import write_attribute

_UNDER_BROWS = 0.35
_UNDER_HAIR = 0.75
_WHITE_ROOTS = 0.85
"""By how much hair without pigment darkens the skin at its roots less."""
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
    roots = named_node(first_material(face), ROOTS_NODE)
    if roots is not None and "scalp" not in grown:
        roots.outputs[0].default_value = 1.0
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


def tint_painted_hair(face: bpy.types.Object, melanin: float, redness: float, grey: float) -> None:
    """Gives the skin's painted hair the colour of the strands; nothing where its nodes were removed.

    Args:
        face: whose first material is its skin's.
        melanin: 0 white to 1 black.
        redness: 0 brown to 1 red.
        grey: share of strands without pigment; between those the skin shows.
    """
    material = first_material(face)
    for name, value in (
        (HAIR_NODE, (*mixed_colour(melanin, redness, grey), 1.0)),
        (ROOTS_NODE, 1 - _WHITE_ROOTS * grey),
    ):
        node = named_node(material, name)
        if node is not None:
            node.outputs[0].default_value = value
