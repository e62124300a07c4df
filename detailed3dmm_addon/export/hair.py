"""Hair on the stage as curves, for the formats that hold curves."""

import bpy

from ..hair.follow_group import FACE_INPUT, SHARE_INPUT
from ..hair.groom import MODIFIER, hair_part
from ..hair.parts import PARTS
from ..nodes.modifier_inputs import set_input
from .stage import Stage


def staged_hair(stage: Stage) -> str:
    """Puts a copy of the face's hair on the stage, every strand of it, and returns the end of the report."""
    strands = 0
    for item in hair_of(stage.face):
        copied = stage.track(item.copy())
        stage.scene.collection.objects.link(copied)
        copied.parent = stage.face
        copied.hide_viewport = copied.hide_render = False
        modifier = copied.modifiers.get(MODIFIER)
        if modifier is not None and modifier.node_group is not None:
            set_input(modifier, FACE_INPUT, stage.face)
            set_input(modifier, SHARE_INPUT, 1.0)
        strands += len(item.data.curves)
    return f", {strands} strands of hair" if strands else ""


def hair_of(copy: bpy.types.Object) -> list[bpy.types.Object]:
    """Returns the hair objects that a copied face's properties still name."""
    named = (hair_part(copy, part).object for part in PARTS)
    return [item for item in named if item is not None and item.type == "CURVES" and not item.hide_render]
