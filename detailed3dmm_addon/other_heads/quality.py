"""Judges how well our skin was laid over a head: one figure, and the parts that it comes from."""

from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..model.arkit_keys import moved_places
from .correspondence import Correspondence
from .folds import FoldRatios
from .our_skin import REGIONS, our_movements, our_skin, region_weights
from .target_shape import TargetShape

QUALITY = "d3dmm_match"
"""Of the object: the parts of its figure, by name."""
_FAR = 0.004
"""Metres on our head: distance from the surface that halves the figure."""
_ELSEWHERE = 0.02
"""Metres on our head: median distance of the places where keys act that halves the figure."""
_ASTRAY = 0.045
"""Metres on our head: a key that acts so far away does not show what its name says."""
_LEAST_MOVE = 2e-4
_EYES_AND_TONGUE = ("eyeLook", "tongue", "jaw")


@dataclass(frozen=True)
class MatchQuality:
    """The quality of a match.

    Attributes:
        figure: 0 to 1: skin covered x closeness of the surface x agreement of the places where keys act.
        keys: share of ARKit's 52 names that have a key, 0 to 1.
        residual_mm: by region, millimetres on our head from our skin to the mesh's surface; empty where
            texture coordinates gave the match.
        places_mm: median distance of the places where a key acts on both heads, millimetres on our head.
        astray: names of keys, as ARKit names them, that act far from where their names say.
    """

    figure: float
    keys: float
    residual_mm: dict[str, float]
    places_mm: float
    astray: tuple[str, ...]


def judge_match(shape: TargetShape, match: Correspondence, folds: FoldRatios) -> MatchQuality:
    """Judges a match by what is known without the truth: surface, skin, and movement."""
    skin = our_skin()
    residual: dict[str, float] = {}
    far = 0.0
    if match.residual is not None:
        weights = region_weights()
        residual = {name: 1e3 * float(np.average(match.residual, weights=weights[name])) for name in REGIONS}
        far = float(np.mean(list(residual.values()))) / 1e3
    size = np.abs(folds.moved[:, skin.wrinkles]).max((1, 2))
    chosen = [
        index
        for index, name in enumerate(EXPRESSION_NAMES)
        if size[index] > _LEAST_MOVE and not name.startswith(_EYES_AND_TONGUE)
    ]
    apart = np.zeros(1)
    if chosen:
        areas = skin.areas() * skin.wrinkles
        ours = moved_places(skin.positions, our_movements()[chosen], areas)
        theirs = moved_places(skin.positions, folds.moved[chosen], areas)
        apart = np.linalg.norm(ours - theirs, axis=1)
    median = float(np.median(apart))
    figure = match.coverage / ((1 + (far / _FAR) ** 2) * (1 + (median / _ELSEWHERE) ** 2))
    astray = [EXPRESSION_NAMES[index] for index, way in zip(chosen, apart, strict=False) if way > _ASTRAY]
    keys = len(shape.keys) / len(EXPRESSION_NAMES)
    return MatchQuality(figure, keys, residual, 1e3 * median, tuple(astray))


def keep_quality(item: bpy.types.Object, quality: MatchQuality) -> None:
    """Stores a judgement with the object, for the panel."""
    item[QUALITY] = {
        "figure": quality.figure,
        "keys": quality.keys,
        "places_mm": quality.places_mm,
        "residual_mm": quality.residual_mm,
    }


def kept_quality(item: bpy.types.Object) -> dict | None:
    """Returns what `keep_quality` stored, as plain values, or None."""
    kept = item.get(QUALITY)
    return None if kept is None else kept.to_dict()
