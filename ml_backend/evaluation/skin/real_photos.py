"""Figures of the skin's fit on photographs of real people, who have no true map.

The render with the fitted colours and light against the photo, over the face; and whether two photos of one
person, neutral and smiling, give the same skin: the mean CIEDE2000 of two maps over plain skin, those of one
person against those of two (area under the curve).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...fitting.face_preview import crop_photo, draw_clay, portrait_crop
from ...fitting.photo_file import read_photo
from ...fitting.skin.fit_skin import SkinModel, fit_skin
from ...fitting.skin.photo_skin import PhotoSkin, skin_of_photo
from ...fitting.unwrap_photo import TextureDomain, unwrap_photo
from ...geometry.cielab import ciede2000, cielab
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb, to_srgb
from ...models.bilinear_face import BilinearFace
from ..evaluate_photo import paired_photos
from ..evaluate_speech import area_under_curve
from .photo_networks import FaceNetwork, PerceptualDistance
from .simulated_photos import fitted_head

ROWS = ("fit", "mean_skin", "unwrapped")
_RESOLUTION, _RENDERED = 512, 320
_SHOWN = 0.25
_CROP = slice(_RENDERED // 6, _RENDERED - _RENDERED // 6)
"""Rows and columns of the picture of a bust that networks see: the face."""


@dataclass(frozen=True)
class RealSkin:
    """A person's photo, and what was found on it.

    Attributes:
        person: whose.
        maps: by row: (128, 128, 3) CIELAB of the colours, channels last.
        known: (128, 128) bool, plain skin that is seen.
        rendered: by row what the render with these colours is against the photo, the face alone:
            `psnr_db`, and with networks `lpips` and `identity_cosine`.
        tone: of the fit, degrees.
    """

    person: str
    maps: dict[str, np.ndarray]
    known: np.ndarray
    rendered: dict[str, dict[str, float]]
    tone: float


def real_photo_figures(
    folder: Path,
    model: SkinModel,
    networks: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Measures.

    Args:
        folder: holds neutral/ and smiling/ with photos of the same names.
        model: what fits.
        networks: folder with the files that `photo_networks` names, or None.
        progress: told what was done.

    Returns:
        `psnr_db`, `lpips` and `identity_cosine` (None without networks), `same_person_auc`,
        `same_person_ciede2000`, `two_people_ciede2000`, `n_photos`, and the
        same of the `baselines`.

    Raises:
        UserError: the folder has no such pairs, or a photo cannot be read.
    """
    measured = []
    judges = None if networks is None else (PerceptualDistance(networks), FaceNetwork(networks))
    pairs = paired_photos(folder)
    for number, (person, paths) in enumerate(pairs.items()):
        for path in paths:
            found = measured_photo(person, path, model, judges)
            if found is not None:
                measured.append(found)
        progress(f"{number + 1} of {len(pairs)} real people")
    figures = {name: _row(measured, name) for name in ROWS}
    chosen = figures.pop("fit")
    return {**chosen, "n_photos": len(measured), "baselines": figures}


def _row(measured: list[RealSkin], name: str) -> dict:
    same, other = [], []
    for index, first in enumerate(measured):
        for second in measured[index + 1 :]:
            both = first.known & second.known
            if both.sum() < 50:
                continue
            apart = ciede2000(first.maps[name][both].T, second.maps[name][both].T).mean()
            (same if first.person == second.person else other).append(float(apart))
    is_same = np.arange(len(same) + len(other)) < len(same)
    return {
        **{
            figure: round(float(np.mean([item.rendered[name][figure] for item in measured])), 4)
            if figure in measured[0].rendered[name]
            else None
            for figure in ("psnr_db", "lpips", "identity_cosine")
        },
        "same_person_auc": round(float(area_under_curve(-np.array(same + other), is_same)), 4),
        "same_person_ciede2000": round(float(np.mean(same)), 2),
        "two_people_ciede2000": round(float(np.mean(other)), 2),
    }


def measured_photo(
    person: str, path: Path, model: SkinModel, judges: tuple[PerceptualDistance, FaceNetwork] | None = None
) -> RealSkin | None:
    """Fits one photo; None where no face is found."""
    pixels = read_photo(path).pixels
    head = fitted_head(pixels)
    if head is None:
        return None
    camera, identity, expression = head
    domain = TextureDomain.default(_RESOLUTION)
    positions = domain.mesh.refine(BilinearFace.default().evaluate(identity, expression))
    photo = skin_of_photo(domain, pixels, camera, positions, model.usual)
    fitted = fit_skin([photo], model)
    before = unwrap_photo(domain, pixels, camera, positions)
    mean = model.prior.model.mean.reshape(3, model.prior.model.resolution, -1)
    usual = from_srgb(np.clip(resample(mean, _RESOLUTION), 0.01, 1)).transpose(1, 2, 0)
    level = np.average(before.texture.reshape(-1, 3), axis=0, weights=_plain(photo, domain).ravel())
    level = level / np.average(before.albedo.reshape(-1, 3), axis=0, weights=_plain(photo, domain).ravel())
    own = np.average(usual.reshape(-1, 3), axis=0, weights=_plain(photo, domain).ravel())
    seen = np.average(before.albedo.reshape(-1, 3), axis=0, weights=_plain(photo, domain).ravel())
    maps = {
        "fit": (fitted.albedo, fitted.light),
        "mean_skin": (usual, before.light * (seen / own)),
        "unwrapped": (before.albedo, before.light * level),
    }
    window = portrait_crop(camera, positions)[1]
    shown = crop_photo(pixels, window, _RENDERED) / 255
    face = _face_in_picture(domain, positions, camera, window)
    rendered = {}
    for name, (albedo, light) in maps.items():
        drawn, mask = draw_clay(
            domain, positions, camera, window, _RENDERED, None, albedo.astype(np.float32), light
        )
        picture = np.where((face & mask)[..., None], to_srgb(np.clip(drawn, 0, 1)), shown)
        square = np.square(picture - shown)[face & mask].mean()
        rendered[name] = {"psnr_db": float(-10 * np.log10(max(float(square), 1e-9)))}
        if judges is not None:
            near, far = (one[_CROP, _CROP] for one in (shown, picture))
            one, other = judges[1](near), judges[1](far)
            rendered[name]["lpips"] = judges[0](near, far)
            rendered[name]["identity_cosine"] = float(
                one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            )
    known = _plain(photo, domain)[2::4, 2::4] > _SHOWN
    return RealSkin(
        person,
        {name: cielab(_small(albedo).T).T for name, (albedo, _) in maps.items()},
        known,
        rendered,
        fitted.tone,
    )


def _plain(photo: PhotoSkin, domain: TextureDomain) -> np.ndarray:
    """Returns (R, R) 0..1: plain skin that the photo shows."""
    return photo.confidence * domain.skin + 1e-9


def _small(albedo: np.ndarray) -> np.ndarray:
    """Returns (128, 128, 3) means over blocks of 4 x 4 texels."""
    size = albedo.shape[0] // 4
    return np.clip(albedo.reshape(size, 4, size, 4, 3).mean((1, 3)), 0, 1)


def _face_in_picture(
    domain: TextureDomain, positions: np.ndarray, camera, window: tuple[float, float, float]
) -> np.ndarray:
    """Returns (S, S) bool, the face in the window: not neck, scalp and ears."""
    white = np.repeat(domain.face[..., None], 3, 2).astype(np.float32)
    even = np.zeros((9, 3), np.float32)
    even[0] = 1
    drawn, mask = draw_clay(
        domain, positions, camera, window, _RENDERED, None, white, even, np.zeros((_RENDERED, _RENDERED, 3))
    )
    return (drawn[..., 0] > 0.5) & mask
