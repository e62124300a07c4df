"""Reads ICT-FaceKit ("light" release) from one .npz.

It holds 100 identity modes of light-stage scans and ARKit-like expressions.

Arrays: neutral (V, 3), identity (I, V, 3) per standard deviation, expression (E, V, 3), expression_names (E)
with `_L`/`_R` for sides, uv (U, 2), faces and faces_uv (F, 4; the last -1 for a triangle), materials (F).
Centimetres, Y up, facing +Z. MIT licence.
"""

from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..models.bilinear_face import BilinearFace
from .external_model import ExternalModel, separate_core, to_bilinear_face

_REMEDY = "Give ICT-FaceKit's light release as one .npz (see `build-face-model --help`)."
# Material -> part; the back of the head is skin too, but its texture tile lies beside the face's.
_PARTS = {
    "M_Face": 0, "M_BackHead": 0, "M_GumsTongue": 5, "M_Teeth": 3, "M_ScleraLeft": 1, "M_IrisLeft": 1,
    "M_ScleraRight": 2, "M_IrisRight": 2,
    "M_LacrimalFluid": 6, "M_EyeBlend": 6, "M_EyeOcclusion": 6, "M_EyeLashes": 6,
}  # fmt: skip
_OTHER_TILE = {
    "M_ScleraLeft": 7,
    "M_IrisLeft": 8,
    "M_ScleraRight": 9,
    "M_IrisRight": 10,
    "M_EyeBlend": 11,
    "M_EyeOcclusion": 12,
}
_SIDES = {"Left": "_L", "Right": "_R"}


def read_ict_facekit(path: Path, identity_size: int) -> BilinearFace:
    """Reads the model, its first `identity_size` modes, as a `BilinearFace` (metres, Blender axes).

    Raises:
        UserError: the file is missing or has other contents.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        model = _convert(arrays, identity_size)
    except (OSError, KeyError, ValueError, IndexError, EOFError) as error:
        raise UserError(f"{path}: not ICT-FaceKit's arrays ({error}).", _REMEDY) from error
    return to_bilinear_face(model)


def _convert(arrays: dict[str, np.ndarray], identity_size: int) -> ExternalModel:
    neutral = _axes(arrays["neutral"])
    modes = _axes(arrays["identity"][:identity_size]).reshape(-1, neutral.size)
    names = [str(name) for name in arrays["expression_names"]]
    rows = []
    moved = []
    for index, name in enumerate(EXPRESSION_NAMES):
        found = [names.index(theirs) for theirs in _theirs(name) if theirs in names]
        if found:
            rows.append(_axes(arrays["expression"][found].sum(axis=0)).ravel())
            moved.append(index)
    if len(moved) < 40:
        raise ValueError(f"only {len(moved)} ARKit expressions")
    if not all(np.isfinite(part).all() for part in (neutral, modes, *rows)):
        raise ValueError("values that are not finite")
    materials = [str(name) for name in arrays["materials"]]
    polygon_part = np.array([_PARTS[name] for name in materials], np.uint8)
    polygons = arrays["faces"]
    uv_polygons = arrays["faces_uv"]
    vertex_part = np.full(len(neutral), 6, np.uint8)
    for part in range(6, -1, -1):  # a vertex shared by two parts is the first one's
        corners = polygons[polygon_part == part]
        vertex_part[corners[corners >= 0]] = part
    uv, uv_polygons = _own_tiles(arrays["uv"], uv_polygons, materials)
    marks = {
        f"eye_{side}": neutral[vertex_part == part].mean(axis=0) for side, part in (("left", 1), ("right", 2))
    }
    skin = np.flatnonzero((vertex_part == 0) & (np.abs(neutral[:, 0]) < 0.01))
    marks["nose_tip"] = neutral[skin[neutral[skin, 1].argmin()]]
    core = separate_core(len(modes), moved)
    return ExternalModel(
        neutral,
        core,
        np.concatenate([modes, rows]),
        polygons,
        uv,
        uv_polygons,
        vertex_part,
        polygon_part,
        marks,
    )


def _theirs(name: str) -> list[str]:
    """ICT's names of an ARKit expression; those that ICT splits into sides are both of them."""
    for side, mark in _SIDES.items():
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return [name.removesuffix(side) + mark]
    return [name, f"{name}_L", f"{name}_R"]


def _axes(centimetres: np.ndarray) -> np.ndarray:
    return np.stack([centimetres[..., 0], -centimetres[..., 2], centimetres[..., 1]], axis=-1) * 0.01


def _own_tiles(
    uv: np.ndarray, uv_polygons: np.ndarray, materials: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each material that shares the face's tile a tile of its own."""
    uv_polygons = uv_polygons.astype(np.int64).copy()
    pieces = [uv]
    count = len(uv)
    for name, tile in _OTHER_TILE.items():
        here = np.array([material == name for material in materials])
        if not here.any():
            continue
        corners = uv_polygons[here]
        used, index = np.unique(corners[corners >= 0], return_inverse=True)
        fresh = corners.copy()
        fresh[corners >= 0] = count + index
        uv_polygons[here] = fresh
        pieces.append(uv[used] - np.floor(uv[used].min(axis=0)) + (tile, 0))
        count += len(used)
    return np.concatenate(pieces), uv_polygons.astype(np.int32)
