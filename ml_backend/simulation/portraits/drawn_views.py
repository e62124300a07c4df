"""Truth for the radiance field: drawn people in the framing of `render`, without a camera's errors.

A view gives what the light falls on, pixel by pixel, beside the lit picture; places on and about a head's
surface give its geometry.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial import KDTree

from ...geometry.camera_view import Camera, rasterise_view
from ...geometry.displacement import vertex_normals
from ...geometry.srgb import to_srgb
from ...models.face_codes import FaceCodes, code_of_light
from ...models.face_renderer import (
    HeadFields,
    Nuisance,
    SkinColours,
    Surface,
    see_surface,
    surface_between,
    surface_colours,
)
from ...models.head_field.framing import view_camera
from .coded_portrait import draw_codes

LARGEST_YAW, LARGEST_PITCH = 50.0, 22.0
"""Degrees to which views turn."""
_LEVEL, _LEVEL_SPREAD = 0.26, 0.2
_ABOUT, _BOX = 0.012, (0.15, 0.15, 0.19)


@dataclass(frozen=True)
class DrawnView:
    """A view of a head and its truth, row 0 at the top.

    Attributes:
        codes: of the head; the light is of a level that suits the picture.
        camera: of the view.
        linear: (H, W, 3) lit, 0 beside the head.
        colour: (H, W, 3) sRGB under even light.
        normal: (H, W, 3) unit length, head's axes.
        mask: (H, W) bool, the head.
    """

    codes: FaceCodes
    camera: Camera
    linear: np.ndarray
    colour: np.ndarray
    normal: np.ndarray
    mask: np.ndarray


def draw_view(codes: FaceCodes, camera: Camera, random: np.random.Generator | None = None) -> DrawnView:
    """Draws a view.

    Args:
        codes: of the head; rotation and translation do not count.
        camera: of the view.
        random: exposes the light to suit the picture; None keeps the light.
    """
    seen = see_surface(HeadFields.default(), codes, camera, Nuisance())
    surface, albedo = seen.surface[None], SkinColours.default().linear(_row(codes.texture))
    linear = surface_colours(surface, albedo, _row(codes.light), _row(codes.hair))[0].numpy()
    if random is not None and len(linear):
        factor = _LEVEL / max(float(linear.mean()), 1e-4) * np.exp(random.normal(0, _LEVEL_SPREAD))
        linear = linear * factor
        codes = replace(codes, illumination=code_of_light(codes.light * factor).astype(np.float32))
    y, z, x = (surface.lobes[0, :, index].numpy() / 3**0.5 for index in (1, 2, 3))
    mask = seen.mask

    def spread(values: np.ndarray) -> np.ndarray:
        whole = np.zeros((*mask.shape, 3), np.float32)
        whole[mask] = values
        return whole

    colour = _even_colours(codes, surface)
    return DrawnView(codes, camera, spread(linear), spread(colour), spread(np.stack([x, y, z], 1)), mask)


def _even_colours(codes: FaceCodes, surface: Surface) -> np.ndarray:
    """Returns (P, 3) sRGB of a surface (1, P, ...) under even light, without gloss."""
    even = torch.zeros(1, 9, 3)
    even[:, 0] = 1
    albedo = SkinColours.default().linear(_row(codes.texture))
    colours = surface_colours(surface, albedo, even, _row(codes.hair), gloss=0.0)[0].numpy()
    return to_srgb(np.clip(colours, 0, 1)).astype(np.float32)


def random_view(first: int, number: int, size: int) -> DrawnView:
    """Draws a person in a turned view.

    Args:
        first: seed of the set's first person; number: of the view; size: pixels of a side.
    """
    face = HeadFields.default().face
    codes, _, random = draw_codes(first, number, face)
    yaw, pitch = random.uniform(-LARGEST_YAW, LARGEST_YAW), random.uniform(-LARGEST_PITCH, LARGEST_PITCH)
    return draw_view(codes, view_camera(face, yaw, pitch, size), random)


def _row(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))[None]


@dataclass(frozen=True)
class HeadPoints:
    """Places about a head, head's axes, metres.

    Attributes:
        codes: of the head.
        places: (S + F, 3), S of them at most some centimetres off the surface, the rest anywhere.
        distance: (S + F,) signed, positive outside.
        rest: (S, 3) where the first are on the mean head.
        normal: (S, 3) of the surface there, on this head.
        colour: (S, 3) of the surface there, sRGB under even light.
    """

    codes: FaceCodes
    places: np.ndarray
    distance: np.ndarray
    rest: np.ndarray
    normal: np.ndarray
    colour: np.ndarray


@lru_cache(maxsize=1)
def outer_triangles() -> np.ndarray:
    """Returns (T,) triangles of a head's, of skin and eyes, that some view of the mean face shows: not the
    inner sides of the lips, where a step outwards is a step into the other lip."""
    head = HeadFields.default()
    names = head.face.part_names
    wanted = np.isin(head.part, [names.index(name) for name in ("skin", "eye_left", "eye_right")])
    seen = np.zeros(len(head.triangles), bool)
    for yaw in range(-80, 81, 20):
        for pitch in (-30, 0, 30):
            camera = view_camera(head.face, yaw, pitch, 384)
            raster = rasterise_view(*camera.project(head.rest), head.triangles, 384, 384)
            seen[raster.triangle[raster.mask]] = True
    return np.flatnonzero(seen & wanted)


def random_points(first: int, number: int, near: int, free: int) -> HeadPoints:
    """Draws places about a person.

    Args:
        first: seed of the set's first person; number: of the person.
        near, free: how many places close to the surface, and anywhere.
    """
    head, outer = HeadFields.default(), outer_triangles()
    codes, _, random = draw_codes(first, number, head.face)
    positions = head.positions(codes)
    normals = vertex_normals(positions, head.face.polygons)
    drawn = outer[random.integers(len(outer), size=near)]
    chosen = head.triangles[drawn]
    weights = random.dirichlet((1, 1, 1), near)[..., None]
    place, rest, normal = ((values[chosen] * weights).sum(1) for values in (positions, head.rest, normals))
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    offset = random.normal(0, _ABOUT, near) * random.uniform(0, 1, near)
    upright = vertex_normals(head.rest, head.face.polygons)[chosen]
    rest_normal = (upright * weights).sum(1)
    rest_normal /= np.maximum(np.linalg.norm(rest_normal, axis=1, keepdims=True), 1e-6)
    uv = (head.uv[chosen] * weights).sum(1)
    surface = surface_between(head, rest.astype(np.float32), uv, normal, head.part[drawn])
    colour = _even_colours(codes, surface[None])
    shell = np.unique(head.triangles[outer])
    anywhere = random.uniform(-1, 1, (free, 3)) * _BOX + (0.0, -0.015, -0.02)
    apart, nearest = KDTree(positions[shell]).query(anywhere)
    outward = ((anywhere - positions[shell][nearest]) * normals[shell][nearest]).sum(1)
    return HeadPoints(
        codes,
        np.concatenate([place + normal * offset[:, None], anywhere]).astype(np.float32),
        np.concatenate([offset, np.where(outward < 0, -apart, apart)]).astype(np.float32),
        (rest + rest_normal * offset[:, None]).astype(np.float32),
        normal.astype(np.float32),
        colour,
    )
