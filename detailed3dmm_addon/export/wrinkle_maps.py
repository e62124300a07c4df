"""Computes a face's wrinkle maps for game engines: one at rest, a few that are added, and their weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.image_writers import PNG_OFFSET_MM, write_png16_millimetres
from ...ml_backend.geometry.linear_models import strongest_eigenvectors
from ..actions import action_writer
from ..detail import distilled
from ..detail.inputs import detail_inputs
from ..nodes.detail_groups import (
    COEFFICIENT_INPUT,
    FIELD_ATTRIBUTE,
    FINE_FIELDS,
    GAIN_ATTRIBUTE,
    MEAN_ATTRIBUTE,
    group_images,
)
from ..nodes.detail_modifier import (
    PORES_INPUT,
    STRENGTH_INPUT,
    detail_modifier,
    fine_node,
    get_scale,
    is_baked,
)
from ..nodes.map_images import read_channels
from ..nodes.modifier_inputs import get_input
from ..nodes.vertex_attributes import read_attribute
from .skin_maps import SkinMaps, resized
from .stage import Stage

FORMAT = "detailed3dmm-wrinkles-1"
_LEFT_OUT = 0.003
"""Share of the wrinkles' energy that the maps may leave out, over all expressions and frames."""


@dataclass(frozen=True)
class WrinkleMaps:
    """Displacement as rest + sum over k of coefficient[k] x fields[k], millimetres along the normal.

    Attributes:
        rest: (R, R) float32, row 0 at the bottom.
        fields: (K, R, R) float32.
        coefficients: (T, K) float32, one row a frame of the stage.
        per_expression: (52, K) float32, coefficients of each expression alone at 1; None for a baked clip.
    """

    rest: np.ndarray
    fields: np.ndarray
    coefficients: np.ndarray
    per_expression: np.ndarray | None


def wrinkle_maps(stage: Stage, maps: SkinMaps, most_fields: int, progress) -> WrinkleMaps:
    """Computes a face's wrinkle maps for the stage's frames, baked or distilled.

    Args:
        stage: left at the last frame.
        maps: of the copy's mesh.
        most_fields: upper bound of K without a baked clip.
        progress: called with 0 to 1.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    baked = is_baked(stage.face)
    rest, fields, coefficients, table = (_of_clip if baked else _of_person)(
        stage, maps, most_fields, progress
    )
    scale = _scale_map(stage, maps)
    return WrinkleMaps(rest * scale, fields * scale, coefficients, table)


def _of_person(stage: Stage, maps: SkinMaps, most_fields: int, progress):
    """Computes principal maps of each expression alone and of the frames, relative to the face at rest."""
    model = distilled.distilled_model()
    dense = distilled.dense_fields()
    inputs = detail_inputs(stage.face)
    shown = []
    for index, frame in enumerate(stage.frames):
        stage.go_to(frame)
        shown.append(stage.key_values(EXPRESSION_NAMES))
        progress(index / len(stage.frames))
    alone = np.eye(len(EXPRESSION_NAMES), dtype=np.float32)
    expressions = np.concatenate([np.zeros_like(alone[:1]), alone, np.stack(shown)])
    coded = model.coefficients(inputs.identity, inputs.skin, expressions).astype(np.float64)
    added = coded[1:] - coded[0]
    weighing = (dense.fields.T @ dense.fields).astype(
        np.float64
    )  # (C, C): the coefficients' inner product as heights at the vertices
    power, vectors = strongest_eigenvectors(added @ weighing @ added.T)
    enough = np.flatnonzero(np.cumsum(power) >= (1 - _LEFT_OUT) * power.sum())
    count = int(min(most_fields, enough[0] + 1, (power > 1e-9 * power[0]).sum()))
    axes = vectors[:, :count].T @ added
    axes /= np.sqrt(np.einsum("kc,cd,kd->k", axes, weighing, axes) / len(dense.fields))[
        :, None
    ]  # 1 is a millimetre RMS
    coefficients = (added @ weighing @ axes.T / len(dense.fields)).astype(np.float32)
    at_rest = model.draw(coded[0].astype(np.float32), maps.resolution)
    fields = np.stack(
        [model.draw((coded[0] + axis).astype(np.float32), maps.resolution) - at_rest for axis in axes]
    )
    return at_rest, fields, coefficients[len(alone) :], coefficients[: len(alone)]


def _of_clip(stage: Stage, maps: SkinMaps, _most_fields: int, progress):
    """Returns the baked fields and the keyed coefficients."""
    face = stage.face
    count = face.d3dmm.baked_components
    modifier = detail_modifier(face)
    rows = []
    for index, frame in enumerate(stage.frames):
        stage.go_to(frame)
        evaluated = face.evaluated_get(stage.depsgraph).modifiers[modifier.name]
        rows.append([get_input(evaluated, COEFFICIENT_INPUT.format(k)) for k in range(count)])
        progress(index / len(stage.frames))
    names = [MEAN_ATTRIBUTE, *(FIELD_ATTRIBUTE.format(index) for index in range(count))]
    drawn = []
    for name in names:
        drawn.append(maps.carry(maps.spread(read_attribute(face.data, name))))
    for index, fine in enumerate(_fine_channels(face)[: 1 + min(count, FINE_FIELDS)]):
        drawn[index] = drawn[index] + resized(fine, maps.resolution)
    return drawn[0], np.stack(drawn[1:]), np.array(rows, np.float32), None


def _fine_channels(face) -> list[np.ndarray]:
    """Returns the fine maps of a face's material, three for each image."""
    node = fine_node(face)
    channels = []
    for image in group_images(node.node_tree) if node is not None else []:
        channels += list(np.moveaxis(read_channels(image), 2, 0))
    return channels


def _scale_map(stage: Stage, maps: SkinMaps) -> np.ndarray:
    """Returns (R, R): the artist's strength and regions."""
    mesh = stage.face.evaluated_get(stage.depsgraph).data
    pores = get_scale(stage.face, PORES_INPUT)
    gain = read_attribute(mesh, GAIN_ATTRIBUTE)
    if gain is None or len(mesh.vertices) != len(maps.mesh.vertices) or pores <= 0:
        return np.full(
            (maps.resolution, maps.resolution),
            get_scale(stage.face, STRENGTH_INPUT),
        )
    return maps.carry(maps.spread(gain / pores))


def write_wrinkle_maps(path: Path, maps: WrinkleMaps, stage: Stage) -> Path:
    """Writes the maps as PNG16 into a folder beside a file, and their weights as JSON.

    Args:
        path: of the exported file: `x.glb` gives `x_wrinkles.json` and `x_wrinkles/*.png`.
        maps: the maps.
        stage: the coefficients belong to its frames.

    Returns:
        The JSON's path.

    Raises:
        UserError: a file cannot be written.
    """
    folder = path.parent / f"{path.stem}_wrinkles"
    folder.mkdir(exist_ok=True)

    def write(name: str, values: np.ndarray) -> dict:
        scale = max(float(np.abs(values).max()) / PNG_OFFSET_MM, 1e-6)
        write_png16_millimetres(folder / f"{name}.png", values / scale)
        return {"image": f"{folder.name}/{name}.png", "scale": scale}

    document = {
        "format": FORMAT,
        "sum": "millimetres along the normal = rest + sum of coefficient[k] * fields[k]",
        "encoding": (
            "16-bit grey; millimetres = (value / 65535 * 8 - 4) * scale; texture coordinates of the mesh"
        ),
        "rest": write("rest", maps.rest),
        "fields": [write(f"field_{index:02d}", values) for index, values in enumerate(maps.fields)],
        "fps": action_writer.scene_fps(stage.scene),
        "first_frame": stage.frames[0],
        "coefficients": np.round(maps.coefficients.astype(float), 6).tolist(),
    }
    if maps.per_expression is not None:
        document["per_expression"] = {
            name: np.round(row.astype(float), 6).tolist()
            for name, row in zip(EXPRESSION_NAMES, maps.per_expression, strict=True)
        }
    target = path.parent / f"{path.stem}_wrinkles.json"
    target.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return target
