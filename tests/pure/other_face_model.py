"""Makes another face model out of one: the same heads, no coefficient, vertex or texel in its place."""

import dataclasses

import numpy as np

SHIFT = np.array([0.0, 0.004, -0.006], np.float32)
"""Metres by which the other model's origin lies elsewhere."""
LEFT_OUT = "neck_width"
"""The named direction that the other model lacks."""


def make_other_model(face, modes: int | None = None, seed: int = 5):
    """Returns a model with a turned identity basis, more vertices in another order, and another chart.

    Args:
        face: a `BilinearFace`.
        modes: of identity that stay, the strongest; all by default.
        seed: of the turn and the order.
    """
    random = np.random.default_rng(seed)
    size = face.identity_size
    turn = np.linalg.qr(random.standard_normal((size, size)))[0].astype(np.float32)  # new modes in old ones
    if modes is not None:
        shapes = face.core[1:, 0] @ face.basis
        turn = np.linalg.svd(shapes @ shapes.T)[0].T[:modes].astype(np.float32)
    core = np.concatenate([face.core[:1], np.einsum("no,oeb->neb", turn, face.core[1:])])
    skin = np.flatnonzero((face.polygon_part == 0) & (face.polygons[:, 3] >= 0))
    poked = np.sort(random.choice(skin, 500, replace=False))
    count = face.vertex_count
    order = random.permutation(count + len(poked))  # new vertex -> old or added one
    place = np.argsort(order)

    def extended(values, axis):
        middle = np.take(values, face.polygons[poked], axis).mean(axis + 1)
        both = np.concatenate([values, middle.astype(values.dtype)], axis)
        return np.take(both, order, axis)

    basis = extended(face.basis.reshape(len(face.basis), count, 3), 1).reshape(len(face.basis), -1)
    polygons, uv, uv_polygons, part = _poked(face, poked)
    chosen = [index for index, name in enumerate(face.direction_names) if name != LEFT_OUT][::-1]
    return dataclasses.replace(
        face,
        mean=extended(face.mean, 0) + SHIFT,
        core=core,
        basis=basis,
        direction_names=tuple(face.direction_names[index] for index in chosen),
        direction_units=tuple(face.direction_units[index] for index in chosen),
        directions=(face.directions @ turn.T)[chosen],
        direction_ranges=face.direction_ranges[chosen],
        attributes=np.concatenate([face.attributes[:, :1], face.attributes[:, 1:] @ turn.T], 1),
        people=face.people @ turn.T,
        polygons=np.where(polygons < 0, -1, place[polygons]).astype(np.int32),
        uv=uv,
        uv_polygons=uv_polygons,
        vertex_part=np.concatenate([face.vertex_part, np.zeros(len(poked), np.uint8)])[order],
        polygon_part=part,
        regions={name: extended(weights, 0) for name, weights in face.regions.items()},
        landmarks={name: place[indices].astype(np.int32) for name, indices in face.landmarks.items()},
        _cache={},
    )


def _poked(face, poked):
    """Returns polygons, uv, uv polygons and parts with some quads made four triangles; the chart mirrored."""
    kept = np.ones(len(face.polygons), bool)
    kept[poked] = False
    first, first_uv = face.vertex_count, len(face.uv)
    corners, corners_uv = [], []
    for index, polygon in enumerate(poked):
        for corner in range(4):
            following = (corner + 1) % 4
            around, around_uv = face.polygons[polygon], face.uv_polygons[polygon]
            corners.append([around[corner], around[following], first + index, -1])
            corners_uv.append([around_uv[corner], around_uv[following], first_uv + index, -1])
    uv = np.concatenate([face.uv, face.uv[face.uv_polygons[poked]].mean(1)])
    on_skin = uv[:, 0] <= 1
    uv[on_skin, 0] = 1 - uv[on_skin, 0]
    return (
        np.concatenate([face.polygons[kept], corners]).astype(np.int32),
        uv.astype(np.float32),
        np.concatenate([face.uv_polygons[kept], corners_uv]).astype(np.int32),
        np.concatenate([face.polygon_part[kept], np.zeros(len(corners), np.uint8)]),
    )
