"""Measures how far wrinkles are read off photographs: crow's feet and nasolabial folds of people who smile.

The estimate is the network's own map, before the generator cleans it. Energy is the mean square of its band
between pores and form. Rows of ratios, smiling over neutral:
  photo       a face at rest with young, calm skin is expected in both pictures: pores and no wrinkles, so
              that all wrinkles come from the picture
  at_rest     the map expected of the neutral photo's face at rest goes with both pictures
  expected    what the detail encoder makes of the two fitted expressions; no picture
  fit         the network with the expectation of each picture's own fit, as a photo fit uses it
  code        a control: the neutral picture twice, once with the expectation of the smile
  mirrored    a control: the neutral picture and its mirror image, which show the same wrinkles

Place: correlation of the change of the estimate from neutral to smiling with the change of the picture's
brightness, a valley being darker, beside the correlation with other people's pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..fitting.unwrap_photo import TextureDomain
from ..geometry.dense_face import dense_face_mesh
from ..layers.band_limits import shrink
from ..models.bilinear_face import BilinearFace
from ..models.image_to_displacement import DARKEST, ImageToDisplacement
from ..pipelines.fit_from_image import (
    FitFromImageRequest,
    find_in_photos,
    fit_seen_faces,
    likely_skin,
    unwrap_view,
)
from ..pipelines.generate_detail import GenerateDetailRequest, generate_detail
from ..pipelines.photo_detail import estimate_from_texture, photo_networks
from ..simulation.relief.strain import gaussian_blur

REGIONS = ("crows_feet", "nasolabial")
ROWS = ("photo", "at_rest", "expected", "fit", "code", "mirrored")
FINE_MM, COARSE_MM = 1.0, 6.0
"""Standard deviations of the blurs between which energy is measured: waves of about 4 to 30 mm, no pores."""
AIM = 1.5
CALM = {0: -2.5, 1: -1.5}
"""Entries of a skin vector without wrinkles: age beyond the geometry's, tendency."""
_MIRRORED_LIGHT = np.array([1, 1, 1, -1, -1, 1, 1, -1, 1], np.float32)[:, None]


@dataclass(frozen=True)
class PhotoSkin:
    """A fitted photo in the texture domain.

    Attributes:
        texture: (1024, 1024, 3) linear, light included.
        confidence: (1024, 1024) 0..1, 0 off the face.
        light: (9, 3) as fitted.
        identity, expression, skin: of the fit.
    """

    texture: np.ndarray
    confidence: np.ndarray
    light: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    skin: np.ndarray

    @classmethod
    def of(cls, path: Path, landmark_model: str = "") -> "PhotoSkin":
        """Fits a photo and unwraps it.

        Raises:
            UserError: the photo cannot be read or shows no face.
        """
        photos, meant = find_in_photos(FitFromImageRequest((str(path),), (), landmark_model), _quiet)
        fit = fit_seen_faces(photos, meant)[0]
        unwrapped = unwrap_view(photos[0], meant[0].face, fit, 0).unwrapped
        identity = fit.identity.astype(np.float32)
        return cls(
            unwrapped.texture,
            unwrapped.confidence * TextureDomain.default().face,
            unwrapped.light,
            identity,
            fit.views[0].expression.astype(np.float32),
            likely_skin(BilinearFace.default(), identity),
        )

    def mirrored(self) -> "PhotoSkin":
        """Returns the skin of the photo's mirror image; identity and expression stay."""
        return replace(
            self,
            texture=np.ascontiguousarray(self.texture[:, ::-1]),
            confidence=np.ascontiguousarray(self.confidence[:, ::-1]),
            light=self.light * _MIRRORED_LIGHT,
        )

    def expected(self, expression: np.ndarray, calm: bool = False) -> np.ndarray:
        """Returns the map (1024, 1024), millimetres, that the detail encoder makes of an expression (52,).

        `calm` gives the person skin without wrinkles.
        """
        skin = self.skin.copy()
        if calm:
            skin[list(CALM)] = list(CALM.values())
        return generate_detail(GenerateDetailRequest(self.identity, skin, expression, 1024))

    def estimate(
        self, expected: np.ndarray, network: ImageToDisplacement | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the network's map (1, r, r), millimetres, and how well each texel is seen, (1, r, r)."""
        return estimate_from_texture(self.texture, self.confidence, self.light, expected, network)

    def brightness(self, size: int) -> Tensor:
        """Returns the logarithm of the picture's brightness, (1, size, size)."""
        colour = torch.from_numpy(np.ascontiguousarray(self.texture.transpose(2, 0, 1)))[None]
        return shrink(colour, size).clamp_min(DARKEST).log().mean(1)


@dataclass(frozen=True)
class PersonWrinkles:
    """One person's figures.

    Attributes:
        ratios: by row of ROWS and region, and "both" regions' energies added.
        change: (r, r) millimetres, the estimate's change from neutral to smiling, band-limited.
        brighter: (r, r) the same of the logarithm of the picture's brightness.
        weight: (r, r) 0..1, both regions as far as both pictures show them.
    """

    ratios: dict[str, dict[str, float]]
    change: Tensor
    brighter: Tensor
    weight: Tensor


@lru_cache(maxsize=1)
def region_weights(size: int) -> dict[str, Tensor]:
    """Returns the regions of the default face at a texture's size, (size, size) 0..1 each."""
    face, lookup = BilinearFace.default(), TextureDomain.default().lookup
    mesh = dense_face_mesh(face)
    weights = {}
    for name in REGIONS:
        spread = lookup.spread(mesh.refine(np.asarray(face.regions[name], np.float32))) * lookup.mask
        weights[name] = shrink(torch.from_numpy(spread.astype(np.float32))[None, None], size)[0, 0].clamp(
            0, 1
        )
    return weights


def wrinkle_band(maps: Tensor) -> Tensor:
    """Returns the part of maps (N, r, r) between pores and form, same shape and unit."""
    _, _, surface = photo_networks()
    seen = sum(region_weights(maps.shape[-1]).values()) > 0.5
    texel = float(surface.across[seen].median()), float(surface.along[seen].median())  # millimetres
    fine, coarse = (
        gaussian_blur(maps, (width / texel[0], width / texel[1])) for width in (FINE_MM, COARSE_MM)
    )
    return fine - coarse


def measure_person(
    neutral: PhotoSkin, smiling: PhotoSkin, network: ImageToDisplacement | None = None
) -> PersonWrinkles:
    """Measures one person's two photos.

    Args:
        neutral, smiling: the photos.
        network: in place of the installed one.
    """
    rest = np.zeros_like(neutral.expression)
    own = [photo.expected(photo.expression) for photo in (neutral, smiling)]
    at_rest, calm = neutral.expected(rest), neutral.expected(rest, calm=True)
    first, seen = neutral.estimate(calm, network)
    second, seen_smiling = smiling.estimate(calm, network)
    rested = [photo.estimate(at_rest, network)[0] for photo in (neutral, smiling)]
    mirror, seen_mirrored = neutral.mirrored().estimate(calm, network)
    smile_told = neutral.estimate(neutral.expected(smiling.expression), network)[0]
    fits = [
        photo.estimate(expected, network)[0] for photo, expected in zip((neutral, smiling), own, strict=True)
    ]
    size = first.shape[-1]
    expected = [shrink(torch.from_numpy(one)[None, None], size)[:, 0] for one in own]
    pairs = {
        "photo": (first, second, seen_smiling),
        "at_rest": (rested[0], rested[1], seen_smiling),
        "expected": (expected[0], expected[1], seen_smiling),
        "fit": (fits[0], fits[1], seen_smiling),
        "code": (rested[0], smile_told, seen),
        "mirrored": (first, mirror, seen_mirrored),
    }
    ratios = {
        name: energy_ratios(before, after, seen * other) for name, (before, after, other) in pairs.items()
    }
    weight = sum(region_weights(size).values()) * (seen * seen_smiling)[0]
    brightness = [photo.brightness(size) for photo in (neutral, smiling)]
    brighter = _band_where_seen(brightness[1], seen_smiling) - _band_where_seen(brightness[0], seen)
    return PersonWrinkles(ratios, wrinkle_band(second - first)[0], brighter[0], weight)


def energy_ratios(before: Tensor, after: Tensor, seen: Tensor) -> dict[str, float]:
    """Returns by region, and for "both" added, the energy of one map's wrinkles over another's.

    Args:
        before, after: (1, r, r) millimetres.
        seen: (1, r, r) 0..1.
    """
    first, second = (wrinkle_band(maps).square() for maps in (before, after))
    energies = {}
    for name, region in region_weights(before.shape[-1]).items():
        weight = region * seen
        energies[name] = [float((weight * energy).sum()) for energy in (first, second)]
    energies["both"] = np.sum(list(energies.values()), 0).tolist()
    return {name: round(after / max(before, 1e-12), 3) for name, (before, after) in energies.items()}


def wrinkle_figures(people: dict[str, PersonWrinkles]) -> dict:
    """Returns the figures of several people: ratios, how many reach the aim, where wrinkles are found."""
    ratios = {
        row: {region: [one.ratios[row][region] for one in people.values()] for region in (*REGIONS, "both")}
        for row in ROWS
    }
    own, others = [], []
    for name, one in people.items():
        own.append(weighted_correlation(one.change, one.brighter, one.weight))
        apart = [
            weighted_correlation(one.change, other.brighter, one.weight * other.weight)
            for key, other in people.items()
            if key != name
        ]
        others.append(float(np.median(apart)) if apart else 0.0)
    return {
        "n": len(people),
        "aim": f"above {AIM}",
        "reached": {
            row: {region: sum(value > AIM for value in values) for region, values in regions.items()}
            for row, regions in ratios.items()
        },
        "median": {
            row: {region: round(float(np.median(values)), 3) for region, values in regions.items()}
            for row, regions in ratios.items()
        },
        "people": {name: one.ratios for name, one in people.items()},
        "place": {
            "own_picture": round(float(np.median(own)), 3),
            "other_pictures": round(float(np.median(others)), 3),
            "own_is_nearer": int(sum(mine > theirs for mine, theirs in zip(own, others, strict=True))),
        },
    }


def weighted_correlation(one: Tensor, other: Tensor, weight: Tensor) -> float:
    """Returns the correlation of two fields under a weight, all of one shape; 0 where one is constant."""
    share = weight / weight.sum().clamp_min(1e-9)
    one, other = one - (share * one).sum(), other - (share * other).sum()
    length = (share * one.square()).sum() * (share * other.square()).sum()
    return float((share * one * other).sum() / length.sqrt()) if float(length) > 0 else 0.0


def measure_people(
    pairs: dict[str, tuple[Path, Path]],
    landmark_model: str = "",
    network: ImageToDisplacement | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Fits and measures people.

    Args:
        pairs: by person the neutral and the smiling photo.
        landmark_model: a `face_landmarker.task`, or empty.
        network: in place of the installed one.
        progress: told a line for each person.

    Returns:
        As `wrinkle_figures`.

    Raises:
        UserError: a photo cannot be read or shows no face; weights are missing.
    """
    people = {}
    for number, (name, paths) in enumerate(pairs.items()):
        neutral, smiling = (PhotoSkin.of(path, landmark_model) for path in paths)
        people[name] = measure_person(neutral, smiling, network)
        progress(f"wrinkles: {number + 1} of {len(pairs)} people")
    return wrinkle_figures(people)


def _band_where_seen(values: Tensor, seen: Tensor) -> Tensor:
    """Returns the wrinkles' band of values (1, r, r); what is not seen has the mean of the seen."""
    mean = (values * seen).sum() / seen.sum().clamp_min(1e-6)
    return wrinkle_band((values - mean) * seen)


def _quiet(share: float, text: str) -> None:
    """Drops progress."""
