"""Shows a face's live detail: the distilled model's immediately, the full map's later.

A float attribute holds the millimetres that the modifier displaces by. Beside it the mesh stores a digest of
its inputs: undo, save, copy and append carry both. The difference between the full map and the distilled
detail stays on while sliders move, so that nothing jumps when a drag begins; it fades as the person becomes
another.
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
from . import distilled
from .inputs import DetailInputs

CORRECTION_ATTRIBUTE = "d3dmm_correction"
"""Of the mesh: the full map's height minus the distilled one's, millimetres."""
SHOWN = "d3dmm_shown"
"""Of the mesh: digest of the inputs that the vertices show."""
FULL = "d3dmm_full"
"""Of the mesh: name of the finest map that it was given."""
PERSON = "d3dmm_corrected_person"
"""Of the mesh: identity and skin that the correction belongs to."""
LATENT = "d3dmm_latent_offset"
"""Of the object: the offset that an imported map adds to the generator's latents, flat."""
LATENT_SHAPE = (18, 512)
_ANOTHER_PERSON = 2.0
"""Standard deviations, in identity and skin together, at which the correction has faded."""


def latent_arrays(face: bpy.types.Object) -> dict[str, np.ndarray]:
    """Returns the imported map's latent for a worker's request; empty without an imported map."""
    offset = face.get(LATENT)
    return {} if offset is None else {"latent_offset": np.array(offset, np.float32).reshape(LATENT_SHAPE)}


def set_latent(face: bpy.types.Object, offset: np.ndarray, name: str) -> None:
    """Gives a face an imported map's latent.

    Args:
        face: the face.
        offset: (18, 512).
        name: of the map; no other map has it.
    """
    face[LATENT] = np.asarray(offset, float).ravel().tolist()
    face.d3dmm.imported_map = name


def clear_latent(face: bpy.types.Object) -> None:
    """Takes an imported map off a face, together with its correction of the distilled detail."""
    face.pop(LATENT, None)
    face.d3dmm.imported_map = ""
    remove_attributes(face.data, CORRECTION_ATTRIBUTE)


def show_at_once(face: bpy.types.Object, inputs: DetailInputs) -> bool:
    """Writes the distilled detail, corrected by the last full map, to the vertices.

    Args:
        face: a face; the detail of an edited mesh is sampled at its texture coordinates.
        inputs: the inputs to show, perhaps of another frame.

    Returns:
        True if the vertices showed something else before.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    mesh = face.data
    digest = inputs.digest()
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
    """Shows a full map: its coarse band on the vertices, its fine band on the skin; stores the correction.

    Args:
        face: a face.
        inputs: the inputs that the map was made from.
        full: (R, R) float32, millimetres.
    """
    mesh = face.data
    coarse, fine = split_map(full)
    uv = _vertex_uv(mesh)
    height = np.where(((uv >= 0) & (uv <= 1)).all(1), sample_map(coarse, uv), np.float32(0))
    write_attribute(mesh, LIVE_ATTRIBUTE, height)
    write_attribute(mesh, CORRECTION_ATTRIBUTE, height - _distilled_height(mesh, inputs))
    mesh[PERSON] = inputs.person().astype(float).tolist()
    mesh[SHOWN] = inputs.digest()
    mesh[FULL] = full_name(face, inputs)
    _show_fine(face, fine)
    mesh.update_tag()


def show_fine_at_once(face: bpy.types.Object, inputs: DetailInputs) -> None:
    """Shows the distilled fine band on the skin, where no full map can be made.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    _show_fine(face, distilled.fine_map(inputs, int(face.d3dmm.resolution)))
    face.data[FULL] = full_name(face, inputs)


def full_name(face: bpy.types.Object, inputs: DetailInputs) -> str:
    """Returns a short name for the finest map of some inputs at the face's resolution."""
    return f"{inputs.digest()} {face.d3dmm.resolution}"


def shown_full(face: bpy.types.Object) -> str:
    """Returns the name of the finest map that the face was given; the sliders may have moved on."""
    return face.data.get(FULL, "")


def forget_full(face: bpy.types.Object) -> None:
    """Notes that the fine map may belong to other inputs: undo does not reach into images."""
    face.data[FULL] = ""


def forget_shown(face: bpy.types.Object) -> None:
    """Notes that vertices and skin show nothing yet: the mesh was made anew."""
    for name in (SHOWN, PERSON):
        face.data.pop(name, None)
    forget_full(face)


def range_of(face: bpy.types.Object) -> tuple[float, float]:
    """Returns the least and the greatest displacement of the vertices, millimetres, without the scales."""
    values = read_attribute(face.data, LIVE_ATTRIBUTE)
    return (float(values.min()), float(values.max())) if values is not None else (0.0, 0.0)


def _show_fine(face: bpy.types.Object, fine: np.ndarray) -> None:
    image = fine_image(face)
    if image is not None:
        write_map(image, fine)


def _correction_weight(face: bpy.types.Object, inputs: DetailInputs) -> float:
    """Returns 1 for the person of the last full map, 0 for another; an imported map's correction stays."""
    if face.d3dmm.imported_map:
        return 1.0
    person = inputs.person()
    corrected = face.data.get(PERSON)
    if corrected is None or len(corrected) != len(person):
        return 0.0
    return max(0.0, 1.0 - float(np.linalg.norm(person - np.array(corrected))) / _ANOTHER_PERSON)


def _distilled_height(mesh: bpy.types.Mesh, inputs: DetailInputs) -> np.ndarray:
    if len(mesh.vertices) == dense_mesh().vertex_count:
        return distilled.height_at_vertices(inputs)
    model = distilled.distilled_model()
    uv = _vertex_uv(mesh)
    coarse = model.draw(model.coefficients(**inputs.arrays()))
    return np.where(((uv >= 0) & (uv <= 1)).all(1), sample_map(coarse, uv), np.float32(0))


def _vertex_uv(mesh: bpy.types.Mesh) -> np.ndarray:
    """Returns (N, 2) float32: one texture coordinate for each vertex, -1 where it has none."""
    if len(mesh.vertices) == dense_mesh().vertex_count:
        return distilled.skin_uv()
    uv = np.full((len(mesh.vertices), 2), -1, np.float32)
    if mesh.uv_layers:
        vertices = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", vertices)
        uv[vertices] = read_corner_uv(mesh.uv_layers[0])
    return uv
