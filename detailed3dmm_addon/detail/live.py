"""The detail that a face shows while its sliders move: which inputs it was made from, at once from the distilled model, in full later.

A float attribute holds the millimetres that the modifier displaces by. Beside it the mesh remembers for which
inputs they
are: undo, save, copy and append carry both. What the full map had beyond the distilled one stays on while
sliders move,
so that nothing jumps when a drag begins, and fades as the person becomes another.
"""

import bpy
import numpy as np

from ...ml_backend.geometry.map_bands import split_map
from ...ml_backend.geometry.texture_space import sample_map
from ..model.face_model import dense_mesh
from ..nodes.detail_groups import LIVE_ATTRIBUTE
from ..nodes.detail_modifier import fine_image
from ..nodes.map_images import write_map
from ..nodes.vertex_attributes import read_attribute, read_corner_uv, remove_attributes, write_attribute
from . import distilled as fast_detail
from .inputs import DetailInputs

CORRECTION_ATTRIBUTE = "d3dmm_correction"
SHOWN, FULL, PERSON = "d3dmm_shown", "d3dmm_full", "d3dmm_corrected_person"
"""Of the mesh: digests of the inputs that the vertices show and that the full map was made for; whose the correction is."""
LATENT = "d3dmm_latent_offset"
"""Of the object: what an imported map adds to the generator's latents, flat."""
LATENT_SHAPE = (18, 512)
_ANOTHER_PERSON = 2.0
"""Standard deviations, in identity and skin together, at which the correction is gone."""


def latent_arrays(face: bpy.types.Object) -> dict[str, np.ndarray]:
    """What a worker's request carries beside the inputs: the imported map's latent, where there is one."""
    offset = face.get(LATENT)
    return {} if offset is None else {"latent_offset": np.array(offset, np.float32).reshape(LATENT_SHAPE)}


def set_latent(face: bpy.types.Object, offset: np.ndarray, name: str) -> None:
    """Gives a face an imported map's latent: offset (18, 512), and a name that no other map has."""
    face[LATENT] = np.asarray(offset, float).ravel().tolist()
    face.d3dmm.imported_map = name


def clear_latent(face: bpy.types.Object) -> None:
    """Takes an imported map off a face, with what it added to the distilled detail."""
    face.pop(LATENT, None)
    face.d3dmm.imported_map = ""
    remove_attributes(face.data, CORRECTION_ATTRIBUTE)


def show_at_once(face: bpy.types.Object, inputs: DetailInputs) -> bool:
    """Writes the distilled detail, corrected by the last full map, to the vertices.

    Args:
        face: a face; one with an edited mesh is followed by its texture coordinates.
        inputs: what `detail_inputs` gave, perhaps at another frame.

    Returns:
        Whether anything had to be written.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    mesh, digest = face.data, inputs.digest()
    if mesh.get(SHOWN) == digest:
        return False
    height = _distilled_height(mesh, inputs)
    weight = _correction_weight(face, inputs)
    correction = read_attribute(mesh, CORRECTION_ATTRIBUTE) if weight > 0 else None
    if correction is not None:
        height = height + weight * correction
    write_attribute(mesh, LIVE_ATTRIBUTE, height)
    mesh[SHOWN] = digest
    mesh.update_tag()
    return True


def show_full(face: bpy.types.Object, inputs: DetailInputs, full: np.ndarray) -> None:
    """Shows a full map: its coarse band on the vertices, its fine one on the skin; and keeps what the distilled one lacks.

    Args:
        face: a face.
        inputs: what the map was made from.
        full: (R, R) float32, millimetres.
    """
    mesh = face.data
    coarse, fine = split_map(full)
    uv = _vertex_uv(mesh)
    height = np.where(((uv >= 0) & (uv <= 1)).all(1), sample_map(coarse, uv), np.float32(0))
    write_attribute(mesh, LIVE_ATTRIBUTE, height)
    write_attribute(mesh, CORRECTION_ATTRIBUTE, height - _distilled_height(mesh, inputs))
    mesh[PERSON] = inputs.person().astype(float).tolist()
    mesh[SHOWN], mesh[FULL] = inputs.digest(), full_name(face, inputs)
    _show_fine(face, fine)
    mesh.update_tag()


def show_fine_at_once(face: bpy.types.Object, inputs: DetailInputs) -> None:
    """Shows what the distilled maps hold beyond the vertices, where no full map is to be had.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    _show_fine(face, fast_detail.fine_map(inputs, int(face.d3dmm.resolution)))
    face.data[FULL] = full_name(face, inputs)


def full_name(face: bpy.types.Object, inputs: DetailInputs) -> str:
    """A short name for the finest map of some inputs at the face's resolution."""
    return f"{inputs.digest()} {face.d3dmm.resolution}"


def shown_full(face: bpy.types.Object) -> str:
    """The name of the finest map that the face has been given; the sliders may have moved on."""
    return face.data.get(FULL, "")


def forget_full(face: bpy.types.Object) -> None:
    """Notes that the fine map may be another's: undo does not reach into images."""
    face.data[FULL] = ""


def range_of(face: bpy.types.Object) -> tuple[float, float]:
    """The least and the greatest displacement that the vertices show, before the artist's scales, millimetres."""
    values = read_attribute(face.data, LIVE_ATTRIBUTE)
    return (float(values.min()), float(values.max())) if values is not None else (0.0, 0.0)


def _show_fine(face: bpy.types.Object, fine: np.ndarray) -> None:
    image = fine_image(face)
    if image is not None:
        write_map(image, fine)


def _correction_weight(face: bpy.types.Object, inputs: DetailInputs) -> float:
    """1 for the person that the last full map was of, 0 for another; an imported map's stays."""
    if face.d3dmm.imported_map:
        return 1.0
    now, then = inputs.person(), face.data.get(PERSON)
    if then is None or len(then) != len(now):
        return 0.0
    return max(0.0, 1.0 - float(np.linalg.norm(now - np.array(then))) / _ANOTHER_PERSON)


def _distilled_height(mesh: bpy.types.Mesh, inputs: DetailInputs) -> np.ndarray:
    if len(mesh.vertices) == dense_mesh().vertex_count:
        return fast_detail.height_at_vertices(inputs)
    model, uv = fast_detail.distilled_model(), _vertex_uv(mesh)
    coarse = model.draw(model.coefficients(**inputs.arrays()))
    return np.where(((uv >= 0) & (uv <= 1)).all(1), sample_map(coarse, uv), np.float32(0))


def _vertex_uv(mesh: bpy.types.Mesh) -> np.ndarray:
    """(N, 2) float32: one texture coordinate for each vertex, -1 where it has none."""
    if len(mesh.vertices) == dense_mesh().vertex_count:
        return fast_detail.skin_uv()
    uv, corners = np.full((len(mesh.vertices), 2), -1, np.float32), np.empty(len(mesh.loops), np.int32)
    if mesh.uv_layers:
        mesh.loops.foreach_get("vertex_index", corners)
        uv[corners] = read_corner_uv(mesh.uv_layers[0])
    return uv
