"""Places our head roughly on a head of another maker, by where each expression acts on both."""

import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.geometry.similarity import Similarity, fit_similarity
from ..model.arkit_keys import moved_places
from .orientation import check_orientation
from .our_skin import our_movements, our_skin
from .target_shape import TargetShape

_FEWEST_PLACES = 6
_KEPT = 0.75
"""Share of the expressions that the alignment is fitted to; the others are outliers."""
_FARTHEST_PLACE = 0.035
"""Metres on our head: greatest median distance of the places where an expression acts on both."""


def place_head(shape: TargetShape) -> Similarity:
    """Places our head roughly on the mesh, whose faces must look outwards.

    Raises:
        UserError: the expressions do not lie as on a head, or faces are inside out.
    """
    placement = place_by_expressions(shape)
    skin = our_skin()
    wrinkling = skin.triangles[skin.wrinkles[skin.triangles].all(1)]
    check_orientation(shape, placement, skin.positions, wrinkling)
    return placement


def place_by_expressions(shape: TargetShape) -> Similarity:
    """Fits the similarity from our head to the mesh: each expression acts at one place on both.

    A key that is relative to another one may be drawn from that key or from the basis. Both are tried, and
    for each key the place that lies more as on our head counts.

    Raises:
        UserError: too few expressions move the mesh, or they do not lie as on a head.
    """
    skin = our_skin()
    usable = [name for name in shape.keys if not name.startswith(("eyeLook", "tongue", "jaw"))]
    starts = (False, True) if shape.has_relatives() else (False,)
    places = np.stack([_acting_places(shape, usable, basis) for basis in starts])
    acts = np.isfinite(places).all((0, 2))
    names = [name for name, acting in zip(usable, acts, strict=True) if acting]
    if len(names) < _FEWEST_PLACES:
        raise UserError(
            f"{shape.name}: too few of its shape keys are ARKit expressions that move something.",
            "Add brows, smile, blink.",
        )
    chosen = [EXPRESSION_NAMES.index(name) for name in names]
    ours = moved_places(skin.positions, our_movements()[chosen], skin.areas())
    theirs = places[:, acts]
    fits = [_fit_most(ours, candidate) for candidate in theirs]
    similarity, errors = min(fits, key=lambda fit: np.median(fit[1]))
    if len(theirs) > 1:
        nearest = np.linalg.norm(similarity(ours) - theirs, axis=2).argmin(0)
        similarity, errors = _fit_most(ours, theirs[nearest, np.arange(len(ours))])
    if np.median(errors) > _FARTHEST_PLACE:
        raise UserError(
            f"{shape.name}: its expressions do not lie as on a human head.",
            "Check the names of its shape keys, and that the mesh is the skin of the head.",
        )
    return similarity


def _acting_places(shape: TargetShape, names: list[str], basis: bool) -> np.ndarray:
    """Returns (E, 3): the place where each expression acts, NaN for those that move nothing."""
    if not names:
        return np.zeros((0, 3))
    areas = shape.areas()
    places = np.full((len(names), 3), np.nan)
    for index, name in enumerate(names):
        delta = shape.deltas(name, basis)
        if np.abs(delta).max() > 0:
            places[index] = moved_places(shape.positions, delta[None], areas)[0]
    return places


def _fit_most(ours: np.ndarray, theirs: np.ndarray) -> tuple[Similarity, np.ndarray]:
    """Fits a similarity to most of the places (E, 3).

    Returns:
        The similarity, and the error of each place (E,), metres on our head.
    """
    weights = np.ones(len(ours))
    for _ in range(3):
        similarity = fit_similarity(ours, theirs, weights)
        errors = np.linalg.norm(similarity(ours) - theirs, axis=1) / similarity.scale
        weights = (errors <= np.quantile(errors, _KEPT)).astype(float)
    return similarity, errors
