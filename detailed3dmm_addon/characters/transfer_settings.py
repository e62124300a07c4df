"""Properties of the Transfer panel, kept on each face as `Object.d3dmm_transfer`."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, PointerProperty, StringProperty

from ...ml_backend.models.face_attributes import ATTRIBUTES, REGION_PREFIXES
from ..model.registry import is_face


def _amount(name: str):
    return FloatProperty(
        name="Amount",
        description=f"0: nothing of the {name}; 1: all of it; beyond: exaggerated",
        default=1.0,
        min=0.0,
        max=2.0,
        soft_max=1.0,
        step=5,
        precision=2,
    )


def _region(label: str):
    return BoolProperty(
        name=label, description="Take this part of the expression", default=True, options={"ANIMATABLE"}
    )


class D3DMM_PG_transfer(bpy.types.PropertyGroup):
    """The source of a transfer, and the attributes that are taken."""

    source_kind: EnumProperty(
        name="Source",
        description="The kind of the source",
        items=(
            ("FACE", "Face", "A face in this file"),
            ("FILE", "File", "A photo or a face file"),
        ),
    )
    source_face: PointerProperty(
        name="Face",
        description="The face to take from",
        type=bpy.types.Object,
        poll=lambda _settings, item: item.type == "MESH" and is_face(item),
    )
    source_path: StringProperty(
        name="File", description="A photo, or a face file (.json), to take from", subtype="FILE_PATH"
    )
    use_shape: BoolProperty(name="Shape", description="Take the shape of the head")
    use_expression: BoolProperty(name="Expression", description="Take the expression", default=True)
    use_skin: BoolProperty(
        name="Skin", description="Take age, thickness and creases of the skin, and its tone"
    )
    use_light: BoolProperty(
        name="Light", description="Take the light of a photo: it becomes a world and area lights"
    )
    use_pose: BoolProperty(name="Pose", description="Take the turn of the head")
    use_hair: BoolProperty(
        name="Hair",
        description="Take cut, beard, brows and their colour; a photo's are guessed by a fit of seconds",
    )
    fit_photo: BoolProperty(
        name="Fit Photo",
        description="Fit a photo by iteration, some seconds, in place of reading it in one pass",
    )
    shape_amount: _amount("shape")
    expression_amount: _amount("expression")
    skin_amount: _amount("skin")
    light_amount: _amount("light")
    pose_amount: _amount("pose")
    region_brows: _region("Brows")
    region_eyes: _region("Eyes")
    region_cheeks: _region("Cheeks")
    region_mouth: _region("Mouth")

    def amounts(self) -> dict[str, float]:
        """Returns the amounts of the attributes that are switched on."""
        return {name: getattr(self, f"{name}_amount") for name in ATTRIBUTES if getattr(self, f"use_{name}")}

    def regions(self) -> tuple[str, ...]:
        """Returns the regions of the expression that are switched on."""
        return tuple(name for name in REGION_PREFIXES if getattr(self, f"region_{name}"))


def register():
    """Adds `Object.d3dmm_transfer`."""
    bpy.utils.register_class(D3DMM_PG_transfer)
    bpy.types.Object.d3dmm_transfer = PointerProperty(type=D3DMM_PG_transfer, name="Detailed3DMM Transfer")


def unregister():
    """Removes `Object.d3dmm_transfer`."""
    del bpy.types.Object.d3dmm_transfer
    bpy.utils.unregister_class(D3DMM_PG_transfer)
