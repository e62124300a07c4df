"""Paints a face's skin: reads the sliders, makes the map in numpy, writes it into the material's image."""

from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.asset_files import ASSETS
from ...ml_backend.geometry.skin_chart import build_skin_chart
from ...ml_backend.models.skin.albedo_model import ALBEDO_FILE, AlbedoModel
from ...ml_backend.models.skin.live_skin import MAKE_UP, TRAITS, SkinLook, SkinPainter
from ...ml_backend.models.skin.skin_sliders import SKIN_SLIDERS_FILE, SkinSliders
from ..face.attributes import mean_places
from ..model.face_model import dense_mesh, face_model
from ..nodes.map_images import write_colours
from ..nodes.materials import first_material, named_node
from .skin_material import (
    AGE_NODE,
    DARKNESS_NODE,
    FOUNDATION_NODE,
    GLOSS_NODE,
    IMAGE_NODE,
    MEAN_NODE,
    SHARE_NODE,
    STUBBLE_NODE,
)

DRAFT = 512
"""Texels along a side while sliders move."""
_SOLID = 1.5
"""Brightness of the viewport's colour in solid shading, whose lights are dim, over that of the skin."""


def missing_reason() -> str:
    """Returns the reason why no skin can be painted; empty if it can."""
    present = all((ASSETS / name).is_file() for name in (ALBEDO_FILE, SKIN_SLIDERS_FILE))
    return "" if present else "The model of skin colour is missing: reinstall the extension"


@lru_cache(maxsize=1)
def painter() -> SkinPainter:
    """Returns the painter with the package's model.

    Raises:
        UserError: a file of the model is missing or broken.
    """
    chart = build_skin_chart(face_model(), dense_mesh(), mean_places(), DRAFT)
    model = AlbedoModel.read(ASSETS / ALBEDO_FILE)
    return SkinPainter(model, SkinSliders.read(ASSETS / SKIN_SLIDERS_FILE), chart)


def look_of(face: bpy.types.Object) -> SkinLook:
    """Returns the look that a face's sliders show; of an evaluated face, the animated one."""
    skin = face.d3dmm.skin
    return SkinLook(
        float(skin.tone),
        {name: float(getattr(skin, name)) for name in TRAITS},
        int(skin.seed),
        tuple(skin.own),
        tuple(skin.lip_tint),
        {name: (tuple(getattr(skin, f"{name}_colour")), float(getattr(skin, name))) for name in MAKE_UP},
    )


def colour_image(face: bpy.types.Object) -> bpy.types.Image | None:
    """Returns the image of a face's skin colour, or None without one."""
    node = named_node(first_material(face), IMAGE_NODE)
    return node.image if node is not None else None


def is_painted(face: bpy.types.Object) -> bool:
    """Returns True if the face's material shows skin that the sliders paint."""
    return face.d3dmm.skin.use and named_node(first_material(face), IMAGE_NODE) is not None


def show_look(face: bpy.types.Object, look: SkinLook, resolution: int) -> None:
    """Paints a look into the image and the values of the face's material.

    Args:
        face: a face of this file whose material has the image's node.
        look: the sliders.
        resolution: texels along a side, 512, 1024 or 2048.

    Raises:
        UserError: a file of the model is missing or broken.
    """
    material = first_material(face)
    node = named_node(material, IMAGE_NODE)
    if material is None or node is None:
        return
    colours = painter().paint(look, resolution)
    if node.image is None:
        node.image = bpy.data.images.new(f"{face.name} Skin Colour", resolution, resolution, alpha=False)
    write_colours(node.image, colours)
    mean = painter().mean_colour(colours)
    material.diffuse_color = (*np.minimum(_SOLID * mean, 1.0).tolist(), 1.0)
    _set_values(material, look, mean)


def show_share(face: bpy.types.Object) -> None:
    """Applies the switch between the painted and the plain skin."""
    node = named_node(first_material(face), SHARE_NODE)
    if node is not None:
        node.outputs[0].default_value = 1.0 if face.d3dmm.skin.use else 0.0


def _set_values(material: bpy.types.Material, look: SkinLook, mean: np.ndarray) -> None:
    """Writes what the shader needs beside the image."""
    worn = {name: amount for name, (_, amount) in look.make_up.items()}
    values = {
        DARKNESS_NODE: float(np.clip((45 - look.tone) / 90, 0, 1)),
        AGE_NODE: float(np.clip((look.traits["age"] - 25) / 50, 0, 1.2)),
        STUBBLE_NODE: look.traits["stubble"],
        FOUNDATION_NODE: worn["foundation"],
        GLOSS_NODE: worn["lipstick"],
        MEAN_NODE: (*mean.tolist(), 1.0),
    }
    for name, value in values.items():
        node = named_node(material, name)
        if node is not None:
            node.outputs[0].default_value = value
