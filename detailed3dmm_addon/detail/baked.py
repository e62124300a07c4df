"""Stores a clip's detail as Blender's own data: Geometry Nodes sum float attributes, the skin sums images.

Frame t's displacement is mean + sum over k of coefficient[t, k] x field k, millimetres at the dense vertices.
The fine band is the same sum over images, for the first coefficients. It plays and renders without the
extension and without a backend.
"""

from dataclasses import dataclass

import bpy
import numpy as np

from ..nodes import detail_modifier as detail_modifiers
from ..nodes.detail_groups import (
    COEFFICIENT_INPUT,
    FIELD_ATTRIBUTE,
    FINE_FIELDS,
    MEAN_ATTRIBUTE,
    baked_fine_group,
    detail_group,
    group_images,
)
from ..nodes.detail_modifier import MODIFIER, OTHER_FINE, detail_modifier, fine_node, set_group
from ..nodes.map_images import make_map_image, write_channels
from ..nodes.materials import first_material
from ..nodes.modifier_inputs import input_path
from ..nodes.vertex_attributes import remove_attributes, write_attribute


@dataclass(frozen=True)
class ClipDetail:
    """The detail of a clip, from the worker or from the distilled model.

    Attributes:
        mean: (N,) float32, millimetres at the vertices.
        fields: (K, N) float32.
        coefficients: (T, K) float32, one row a frame.
        psnr_db: of the basis against the maps that it was fitted to.
        fine_mean: (R, R) float32, millimetres: the part of the maps that is finer than the vertices.
        fine_fields: (L, R, R) float32: the same for the first coefficients; L is at most K and eight.
    """

    mean: np.ndarray
    fields: np.ndarray
    coefficients: np.ndarray
    psnr_db: float
    fine_mean: np.ndarray
    fine_fields: np.ndarray

    def describe(self) -> str:
        """Returns the number of components, the closeness and the size, for the report."""
        return f"{len(self.fields)} components, {self.psnr_db:.1f} dB, {self.megabytes():.0f} MB"

    def megabytes(self) -> float:
        """Returns the size in memory, without the unused channels of the images."""
        arrays = (self.mean, self.fields, self.coefficients, self.fine_mean, self.fine_fields)
        return sum(array.nbytes for array in arrays) / 2**20


def store_baked_detail(face: bpy.types.Object, detail: ClipDetail) -> dict[tuple[str, int], np.ndarray]:
    """Puts a clip's detail on a face in place of an earlier one, and shows it.

    Args:
        face: a face with the topology it was made with.
        detail: the clip.

    Returns:
        The coefficients' curves (T,) by data path on the object and index, to be keyed.
    """
    remove_baked_detail(face)
    mesh = face.data
    modifier = detail_modifier(face) or detail_modifiers.add_modifier(face)
    write_attribute(mesh, MEAN_ATTRIBUTE, detail.mean)
    for index, field in enumerate(detail.fields):
        write_attribute(mesh, FIELD_ATTRIBUTE.format(index), field)
    set_group(modifier, detail_group(len(detail.fields)))
    if fine_node(face) is not None:
        face.data.materials[0][OTHER_FINE] = baked_fine_group(
            f"{face.name} Baked Fine Detail", _fine_images(face, detail)
        )
    settings = face.d3dmm
    settings.has_baked_detail = True
    settings.baked_components = len(detail.fields)
    settings.baked_psnr = detail.psnr_db
    settings.baked_megabytes = detail.megabytes()
    settings.detail_source = "BAKED"
    detail_modifiers.apply_detail_settings(face)
    paths = [input_path(modifier, COEFFICIENT_INPUT.format(index)) for index in range(len(detail.fields))]
    return {
        (f'modifiers["{MODIFIER}"]{path}', 0): detail.coefficients[:, index]
        for index, path in enumerate(paths)
    }


def remove_baked_detail(face: bpy.types.Object) -> None:
    """Removes a face's baked detail: inputs, attributes and images; its curves stay in their action."""
    settings = face.d3dmm
    settings.detail_source = "LIVE"
    detail_modifiers.apply_detail_settings(face)
    settings.has_baked_detail = False
    modifier = detail_modifier(face)
    if modifier is not None:
        set_group(modifier, detail_group(0))
    material = first_material(face)
    group = material.pop(OTHER_FINE, None) if material is not None else None
    if group is not None and group.users == 0:
        images = group_images(group)
        bpy.data.node_groups.remove(group)
        for image in images:
            if image.users == 0:
                bpy.data.images.remove(image)
    remove_attributes(face.data, "d3dmm_detail_")
    face.update_tag()


def _fine_images(face: bpy.types.Object, detail: ClipDetail) -> list[bpy.types.Image]:
    """Returns images of three maps each: the mean and two fields, then three fields, and so on."""
    maps = [detail.fine_mean, *detail.fine_fields[:FINE_FIELDS]]
    images = []
    for start in range(0, len(maps), 3):
        image = make_map_image(f"{face.name} Baked Fine Detail {start // 3 + 1}", len(detail.fine_mean))
        write_channels(image, maps[start : start + 3])
        images.append(image)
    return images
