"""Hair over the forehead: told by colours that contradict the codes, and then left out of a second look.

The encoder's colours are those of 400 places. Where a fringe covers most of the forehead, dark places may
count as skin in the dark; the cheeks are then several times as bright as the codes draw them.
"""

import dataclasses
from functools import lru_cache

import numpy as np
import torch

from ...models.face_codes import FaceCodes
from ...models.face_renderer import HeadFields, SkinColours, Surface, surface_between, surface_colours
from .head_places import HeadPlaces

_BELOW_BROWS = 0.02
"""Metres above the model's origin: skin below it is seldom covered."""
_CONTRADICTION = 0.5
"""Mean logarithm by which skin below the brows is brighter or darker than its codes say."""
_COVERED = 0.5
"""Of the brightness of the skin below the brows: darker places above them are hair."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def contradicted(codes: FaceCodes, colours: np.ndarray, seen: np.ndarray) -> bool:
    """Tells whether the skin below the brows is of quite another brightness than its codes draw it.

    Args:
        codes: of one pass.
        colours: (P, 3) linear, of the head's places.
        seen: (P,) above 0 where a place is seen.
    """
    chosen = _lower_skin()
    there = seen[chosen] > 0
    if not there.any():
        return False
    with torch.no_grad():
        drawn = surface_colours(
            _lower_surface(),
            SkinColours.default().linear(torch.from_numpy(codes.texture)[None]),
            torch.from_numpy(codes.light.astype(np.float32))[None],
            torch.from_numpy(codes.hair)[None],
        )[0].numpy()
    ratio = np.log(np.maximum(colours[chosen], 1e-4) / np.maximum(drawn, 1e-4))
    return bool(abs(np.median(ratio[there], 0).mean()) > _CONTRADICTION)


def without_fringe(colours: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Returns (P,) which places are seen, without those of the forehead that hair covers.

    Args:
        colours: (P, 3) linear, of the head's places.
        seen: (P,) as sampled.
    """
    places = HeadPlaces.default()
    level = colours @ _LUMINANCE
    lower = _lower_skin()
    usual = np.median(level[lower][seen[lower] > 0])
    above = places.skin & (places.mean[:, 2] > _BELOW_BROWS)
    return np.where(above & (level < _COVERED * usual), 0, seen).astype(seen.dtype)


@lru_cache(maxsize=1)
def _lower_skin() -> np.ndarray:
    """Returns the numbers of the head's places on the skin below the brows."""
    places = HeadPlaces.default()
    return np.flatnonzero(places.skin & (places.mean[:, 2] < _BELOW_BROWS))


@lru_cache(maxsize=1)
def _lower_surface() -> Surface:
    """Returns the mean face's surface (1, P) at these places."""
    head, places, chosen = HeadFields.default(), HeadPlaces.default(), _lower_skin()
    vertices = places.vertices[chosen]
    surface = surface_between(
        head, head.rest[vertices], head.uv[vertices], places.normals[chosen], head.face.vertex_part[vertices]
    )
    return Surface(*(getattr(surface, item.name)[None] for item in dataclasses.fields(surface)))
