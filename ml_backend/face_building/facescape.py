"""Reads FaceScape's published bilinear model, version 1.6.

The file is facescape_bm_v1.6_847_50_52_id.npz or one of its relatives.

Arrays used: shape_bm_core (3 V, 52, K), the core tensor, its first expression the neutral; fv_indices (F, 3
or 4) vertices and ft_indices texture coordinates of the faces, texcoords (U, 2); id_mean, id_var (K) of the
identity factors. Millimetres, Y up, facing +Z; x to the person's left. The file holds pickled tables as well;
they are never opened. It does not name its expressions: a text file beside it with the ending
`.expressions.txt` gives the 51 ARKit names after the neutral, one a line (`-` for none), in any spelling that
`expression_matching` reads. FaceScape's data are for non-commercial use and are not part of this project.
"""

from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_matching import match_columns
from ..expression_names import EXPRESSION_NAMES
from ..models.bilinear_face import BilinearFace
from .external_model import ExternalModel, to_bilinear_face
from .tucker import decompose_linear

_REMEDY = (
    "Give FaceScape's bilinear model v1.6, an .npz with shape_bm_core, fv_indices, ft_indices, texcoords, "
    "id_mean and id_var."
)
_VERTEX_MODES = 300


def read_facescape(path: Path, identity_size: int) -> BilinearFace:
    """Reads the model with its first `identity_size` factors as a `BilinearFace` (metres, Blender axes).

    Raises:
        UserError: the file, or the list of expression names beside it, is missing or has other contents.
    """
    places = _expression_places(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {
                key: file[key]
                for key in ("shape_bm_core", "fv_indices", "ft_indices", "texcoords", "id_mean", "id_var")
            }
        model = _convert(arrays, places, identity_size)
    except (OSError, KeyError, ValueError, IndexError, EOFError) as error:
        raise UserError(f"{path}: not FaceScape's bilinear model ({error}).", _REMEDY) from error
    return to_bilinear_face(model)


def _expression_places(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns by ARKit's name the places of the expressions that it sums, the neutral not counted."""
    beside = path.with_suffix(".expressions.txt")
    try:
        names = beside.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{beside}: cannot be read.",
            "FaceScape's file does not name its expressions: "
            "list the 51 ARKit names in its order, `-` for none.",
        ) from error
    matched = match_columns(names)
    used = [place for group in matched.columns.values() for place in group]
    # A shape that moves both sides is no shape of one side, and of two shapes of one name one is wrong.
    once = {place for place in used if used.count(place) == 1}
    wrong = [name for place, name in enumerate(names) if name != "-" and place not in once]
    if wrong or matched.twice or len(names) != 51:
        raise UserError(
            f"{beside}: {len(names)} names, unknown: {', '.join(wrong) or 'none'}, "
            f"twice: {', '.join(matched.twice) or 'none'}.",
            "List 51 ARKit names, `-` for none.",
        )
    return matched.columns


def _convert(
    arrays: dict[str, np.ndarray], places: dict[str, tuple[int, ...]], identity_size: int
) -> ExternalModel:
    core = np.asarray(arrays["shape_bm_core"], np.float64)
    if core.ndim != 3 or core.shape[0] % 3 or core.shape[1] != 52:
        raise ValueError(f"shape_bm_core has shape {core.shape}")
    size = min(identity_size, core.shape[2])
    mean_factors = arrays["id_mean"].astype(np.float64)
    deviation = np.sqrt(np.maximum(arrays["id_var"].astype(np.float64), 0))
    tensor = core.reshape(-1, 3, 52, core.shape[2]).transpose(3, 2, 0, 1)  # (K, 52, V, 3)
    faces = np.tensordot(mean_factors, tensor, 1)  # (52, V, 3) of the mean person
    modes = tensor[:size] * deviation[:size, None, None, None]
    faces = _axes(faces)
    modes = _axes(modes)
    middle = np.median(faces[0], axis=0)
    rest = faces[0] - middle
    deltas = np.zeros((1 + size, 52, *rest.shape))
    for name, group in places.items():
        ours = EXPRESSION_NAMES.index(name)
        for theirs in (1 + place for place in group):
            deltas[0, ours] += faces[theirs] - faces[0]
            deltas[1:, ours] += modes[:, theirs] - modes[:, 0]
    if not (np.isfinite(rest).all() and np.isfinite(deltas).all()):
        raise ValueError("values that are not finite")
    small_core, basis = decompose_linear(modes[:, 0], deltas, _VERTEX_MODES)
    polygons, uv_polygons = (_quads(arrays[key]) for key in ("fv_indices", "ft_indices"))
    uv = np.asarray(arrays["texcoords"], np.float64)[:, :2]
    if polygons.max() >= len(rest) or uv_polygons.max() >= len(uv) or len(polygons) != len(uv_polygons):
        raise ValueError("faces beyond the vertices")
    front = rest[rest[:, 1].argmin()]
    height = np.ptp(rest[:, 2])
    anchors = {  # by proportion: the nose's tip is the foremost point
        "nose_tip": front,
        "eye_left": front + (0.14 * height, 0.16 * height, 0.14 * height),
        "eye_right": front + (-0.14 * height, 0.16 * height, 0.14 * height),
    }
    none = np.zeros(len(rest), np.uint8)
    return ExternalModel(
        rest, small_core, basis, polygons, uv, uv_polygons, none, np.zeros(len(polygons), np.uint8), anchors
    )


def _axes(millimetres: np.ndarray) -> np.ndarray:
    return np.stack([millimetres[..., 0], -millimetres[..., 2], millimetres[..., 1]], axis=-1) * 0.001


def _quads(faces: np.ndarray) -> np.ndarray:
    """Returns (F, 4) from triangles or quads counted from 0 or, as in OBJ files, from 1."""
    faces = np.asarray(faces, np.int64)
    if faces.ndim != 2 or faces.shape[1] not in (3, 4):
        raise ValueError(f"faces have shape {faces.shape}")
    faces = faces - (1 if faces.min() == 1 else 0)
    return np.concatenate([faces, np.full((len(faces), 4 - faces.shape[1]), -1)], axis=1).astype(np.int32)
