"""Fits a face to photographs of one person: sliders, camera, colour, wrinkles.

Source: Cao et al. 2024, "DNPM", section IV-B.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..fitting.attributes.fit_start import start_of_photos
from ..fitting.camera_evidence import CameraEvidence, fit_photos
from ..fitting.clear_face import SMALL, clear_face
from ..fitting.face_fit import FaceFit, FittedView, LandmarkModel
from ..fitting.fit_confidence import FacePicture, FitConfidence, judge_fit
from ..fitting.hair.photo_hair import HairPhoto, PhotoHair, guess_hair
from ..fitting.landmark_map import LandmarkMap
from ..fitting.landmarks import FacePoints, interocular_distance
from ..fitting.photo_camera import SeenFace
from ..fitting.photo_file import Photo, read_photo
from ..fitting.skin.fit_skin import FittedSkin, SkinModel, fit_skin
from ..fitting.skin.photo_skin import skin_of_photo, without_relief
from ..fitting.unwrap_photo import TextureDomain, UnwrappedPhoto, unwrap_photo
from ..fitting.upright_face import PhotoFace, find_photo_face
from ..geometry.camera_view import Camera
from ..models.bilinear_face import BilinearFace
from ..models.skin_vector import YEARS_PER_SKIN_AGE, sample_skin

MOST_PHOTOS = 16
_WRINKLE_NETWORKS = ("image_to_displacement.safetensors", "restoration.safetensors")
_CLEAR_EYES, _BAD_EYES = 60.0, 17.0
_CLEAR_SCATTER, _BAD_SCATTER = 0.005, 0.015
_PORTRAIT_AGE, _AGE_SHOWN = (
    36.0,
    0.35,
)  # years; the share of a difference in age that shape is believed to show
_TURNED = (
    "",
    " The photo lies on its side: it was turned to find the face.",
    " The photo is upside down: it was turned to find the face.",
    " The photo lies on its side: it was turned to find the face.",
)
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class FitFromImageRequest:
    """A request to fit one person.

    Attributes:
        paths: photographs of one person; the first gives expression, camera and wrinkles.
        faces: by photo which face is meant, counted from 1 left to right; 0, or none for all photos, for the
            largest.
        landmark_model: a `face_landmarker.task` of the user's, or empty for the networks that the landmark
            library carries.
        painted_hair: whether the skin's colour keeps brows and beard as the photo shows them; else skin is
            there, for hair that grows.
    """

    paths: tuple[str, ...]
    faces: tuple[int, ...] = ()
    landmark_model: str = ""
    painted_hair: bool = True


@dataclass(frozen=True)
class FittedPhoto:
    """One photo's part of the result.

    Attributes:
        path: of the photo.
        expression: (52,) float32, 0..1.
        camera: in pixels of the photo as it was read; `size` (width, height) is that of the upright file.
        size: see there.
        residual: median landmark error in inter-ocular distances.
        confidence: how far the fit is to be trusted.
        evidence: what the camera was fitted with.
        faces: how many the photo shows.
        quarters: quarter turns against the clock that make the photo upright.
        focal_spread: standard deviation of the focal length's logarithm.
        photo, points: what was read and seen.
    """

    path: str
    expression: np.ndarray
    camera: Camera
    size: tuple[int, int]
    residual: float
    confidence: FitConfidence
    evidence: CameraEvidence
    faces: int
    quarters: int
    focal_spread: float
    photo: Photo = field(repr=False)
    points: np.ndarray = field(repr=False)

    @property
    def camera_sentence(self) -> str:
        """Says for people how the camera was fitted, and that the photo is turned or shows several faces."""
        several = f" The photo shows {self.faces} faces." if self.faces > 1 else ""
        lens = self.photo.lens_35mm
        stated = f" EXIF states {lens:.0f} mm (35 mm equivalent)." if lens is not None else ""
        turned = _TURNED[self.quarters]
        return self.evidence.sentence + stated + several + turned


@dataclass(frozen=True)
class FittedFace:
    """The result.

    Attributes:
        identity: (K,) float32, standard deviations; skin: (16,) float32.
        photos: one for each given.
        unwrapped: the first photo in the texture domain.
        colour: of the skin, from all photos.
        detail: (1024, 1024) float32 millimetres, the photo's wrinkles.
        latent_offset: (18, 512) float32, what their W+ latent has beyond the encoder's, see
            `GenerateDetailRequest`.
        detail_source: "photo", or "encoder" where the networks that read wrinkles off photos are not
            installed.
        hair: guessed from the first photo.
    """

    identity: np.ndarray
    skin: np.ndarray
    photos: tuple[FittedPhoto, ...]
    unwrapped: UnwrappedPhoto
    colour: FittedSkin
    detail: np.ndarray
    latent_offset: np.ndarray
    detail_source: str
    hair: PhotoHair


@lru_cache(maxsize=1)
def landmark_model() -> LandmarkModel:
    """Returns the embedded face at its landmarks, prepared once."""
    return LandmarkModel.of(BilinearFace.default(), LandmarkMap.default())


def degradation_of(face: FacePoints) -> float:
    """Returns 0 for a clear picture of a face to 1 for one of 64 pixels, by size and scatter."""
    by_size = np.log(_CLEAR_EYES / interocular_distance(face.points)) / np.log(_CLEAR_EYES / _BAD_EYES)
    by_scatter = np.log(max(face.scatter, 1e-4) / _CLEAR_SCATTER) / np.log(_BAD_SCATTER / _CLEAR_SCATTER)
    return float(np.clip(max(by_size, by_scatter), 0, 1))


def seen_face(photo: Photo, face: FacePoints) -> SeenFace:
    """Returns a face as the fit takes it."""
    height, width = photo.pixels.shape[:2]
    return SeenFace(face.points, width, height, photo.focal, photo.whole)


def find_in_photos(request: FitFromImageRequest, progress: Progress) -> tuple[list[Photo], list[PhotoFace]]:
    """Reads the photos and finds the face that is meant in each.

    Raises:
        UserError: no photo or too many, one cannot be read, or shows no such face.
    """
    if not 1 <= len(request.paths) <= MOST_PHOTOS:
        raise UserError(f"{len(request.paths)} photos.", f"Give 1 to {MOST_PHOTOS}, all of one person.")
    if len(request.faces) > len(request.paths):
        raise UserError(
            f"{len(request.faces)} face numbers for {len(request.paths)} photos.",
            "Give one for each photo, or none.",
        )
    photos, faces = [], []
    for index, path in enumerate(request.paths):
        progress(
            0.25 * index / len(request.paths),
            f"Looking for the face in photo {index + 1} of {len(request.paths)}",
        )
        photo = read_photo(path)
        number = request.faces[index] if index < len(request.faces) else 0
        faces.append(find_photo_face(photo.pixels, request.landmark_model or None, number or None, path))
        photos.append(photo)
    return photos, faces


def fit_seen_faces(photos: list[Photo], meant: list[PhotoFace]) -> tuple[FaceFit, list[CameraEvidence]]:
    """Fits one person to what `find_in_photos` found: the fit, and how each photo's camera was fitted.

    It starts from the attribute encoder's pass, where the set of models has one.
    """
    seen = [seen_face(photo, item.face) for photo, item in zip(photos, meant, strict=True)]
    model = landmark_model()
    start = start_of_photos([photo.pixels for photo in photos], seen, model)
    return fit_photos(model, seen, start)


def fit_from_image(request: FitFromImageRequest, progress: Progress) -> FittedFace:
    """Fits a person to photographs.

    Args:
        request: the photos.
        progress: told (share done, text); may raise to cancel.

    Returns:
        The face.

    Raises:
        UserError: a photo cannot be read or shows no face.
    """
    photos, meant = find_in_photos(request, progress)
    faces = [item.face for item in meant]
    progress(0.3, "Fitting the face and the camera")
    fit, evidence = fit_seen_faces(photos, meant)
    parts = []
    for index, photo in enumerate(photos):
        progress(0.45 + 0.3 * index / len(photos), f"Unwrapping photo {index + 1} of {len(photos)}")
        parts.append(unwrap_view(photo, faces[index], fit, index))
    fitted = tuple(
        _fitted_photo(photos[index], meant[index], fit.views[index], part.unwrapped.covered, evidence[index])
        for index, part in enumerate(parts)
    )
    unwrapped = parts[0].unwrapped
    identity = fit.identity.astype(np.float32)
    skin = likely_skin(BilinearFace.default(), identity)
    progress(0.75, "Reading the wrinkles")
    detail, offset, source = _detail(identity, skin, fitted[0].expression, unwrapped)
    progress(0.9, "Separating skin and light")
    colour = _colour(parts, detail if source == "photo" else None, request.painted_hair)
    progress(0.97, "Looking at the hair")
    first = parts[0]
    hair = guess_hair(
        HairPhoto(first.pixels, first.camera, first.positions, unwrapped.texture, unwrapped.confidence),
        colour,
        identity,
    )
    progress(1.0, fitted[0].confidence.sentence)
    return FittedFace(identity, skin, fitted, unwrapped, colour, detail, offset, source, hair)


def likely_skin(face: BilinearFace, identity: np.ndarray) -> np.ndarray:
    """Returns a skin vector (16,) that suits a shape.

    Shape tells age badly, and the model's people are older in the mean than people in photographs: skin as
    old as the shape looks would have the wrinkles of a grandparent. So the skin's age is drawn towards
    that of people in photographs.
    """
    looks, usual = face.age_years(identity), face.age_years(np.zeros(face.identity_size, np.float32))
    skin = sample_skin(0)
    skin[0] = np.clip(
        skin[0] + (_PORTRAIT_AGE + _AGE_SHOWN * (looks - usual) - looks) / YEARS_PER_SKIN_AGE, -2.5, 2.5
    )
    return skin


def photos_described(fitted: FittedFace) -> list[dict]:
    """Describes each photo for JSON: size, pose in degrees, camera and confidence."""
    photos = []
    for item in fitted.photos:
        yaw, pitch, roll = item.camera.head_angles()
        camera = item.camera
        longer = max(camera.width, camera.height)
        off_centre = (camera.principal_point - (camera.width / 2, camera.height / 2)) / longer
        photos.append(
            {
                "photo": item.path,
                "size": list(item.size),
                "sure": item.confidence.value,
                "sentence": item.confidence.sentence,
                "camera": item.camera_sentence,
                "faces": item.faces,
                "quarter_turns": item.quarters,
                "reprojection": round(item.residual, 4),
                "yaw": round(yaw, 1),
                "pitch": round(pitch, 1),
                "roll": round(roll, 1),
                "lens_35mm": item.photo.lens_35mm,
                "lens_used": item.evidence.source in ("whole", "lens"),
                "crop": "whole" if item.evidence.source == "whole" else "unknown",
                "focal_of_longer_side": round(camera.focal / longer, 4),
                "focal_spread": round(item.focal_spread, 3),
                "principal_off_centre": [round(float(value), 4) for value in off_centre],
                "distance_m": round(float(camera.translation[2]), 3),
            }
        )
    return photos


def _fitted_photo(
    photo: Photo, meant: PhotoFace, view: FittedView, covered: float, evidence: CameraEvidence
) -> FittedPhoto:
    face = meant.face
    picture = FacePicture.of(photo.pixels, face.points)
    return FittedPhoto(
        path=photo.path,
        expression=view.expression.astype(np.float32),
        camera=view.camera,
        size=photo.full_size,
        residual=float(np.median(view.residual)),
        confidence=judge_fit(view, face, degradation_of(face), covered, evidence.conflict, picture),
        evidence=evidence,
        faces=meant.count,
        quarters=meant.quarters,
        focal_spread=view.focal_spread,
        photo=photo,
        points=face.points,
    )


@dataclass(frozen=True)
class UnwrappedPart:
    """A photo with all that it was unwrapped by: pixels as used, camera of them, dense vertices (N, 3)."""

    unwrapped: UnwrappedPhoto
    pixels: np.ndarray
    camera: Camera
    positions: np.ndarray


def unwrap_view(photo: Photo, face: FacePoints, fit: FaceFit, index: int) -> UnwrappedPart:
    """Unwraps one photo of a fit, made clear first where its face is small."""
    domain, view = TextureDomain.default(), fit.views[index]
    positions = domain.mesh.refine(
        BilinearFace.default().evaluate(fit.identity.astype(np.float32), view.expression.astype(np.float32))
    )
    pixels, camera, distance = photo.pixels, view.camera, interocular_distance(face.points)
    clear = (
        clear_face(pixels, face.points, distance) if distance < SMALL else None
    )  # a large one has more pixels as it is
    if clear is not None:
        pixels = clear.laid_over(pixels)
        camera = camera.resized(pixels.shape[1], pixels.shape[0])
    return UnwrappedPart(unwrap_photo(domain, pixels, camera, positions), pixels, camera, positions)


def _colour(parts: list[UnwrappedPart], detail: np.ndarray | None, painted_hair: bool) -> FittedSkin:
    """Fits the skin's colour; `detail` (1024, 1024) is the relief of the first photo, or None."""
    model, domain = SkinModel.default(), TextureDomain.default()
    photos = []
    for index, part in enumerate(parts):
        texture, confidence = part.unwrapped.texture, part.unwrapped.confidence
        if index == 0 and detail is not None:
            from .photo_detail import relief_shading

            texture = without_relief(texture, confidence, relief_shading(detail, part.unwrapped.light))
        photos.append(
            skin_of_photo(
                domain, part.pixels, part.camera, part.positions, model.usual, (texture, confidence)
            )
        )
    covered = max(part.unwrapped.covered for part in parts)
    return fit_skin(photos, model, covered, painted_hair)


def colour_described(colour: FittedSkin) -> dict:
    """Describes a fitted skin for JSON: tone and its interval in degrees, sliders, coefficients."""
    return {
        "tone": round(colour.tone, 1),
        "interval": [round(colour.low, 1), round(colour.high, 1)],
        "sure": colour.sure,
        "sentence": colour.sentence,
        "traits": colour.traits,
        "coefficients": [round(float(value), 4) for value in colour.coefficients],
        "light": np.round(colour.light.astype(float), 4).tolist(),
        "iris": None if colour.iris is None else np.round(colour.iris.astype(float), 4).tolist(),
    }


def _detail(identity: np.ndarray, skin: np.ndarray, expression: np.ndarray, unwrapped: UnwrappedPhoto):
    """Returns the wrinkles' map (1024, 1024), their latent's offset (18, 512) and their source."""
    from .generate_detail import GenerateDetailRequest, detail_model, generate_detail

    model = detail_model()
    own = generate_detail(GenerateDetailRequest(identity, skin, expression, 1024))
    if not all((ASSETS / name).is_file() for name in _WRINKLE_NETWORKS):
        return (
            own,
            np.zeros((model.generator.config.style_count, model.generator.config.latent_width), np.float32),
            "encoder",
        )
    from .photo_detail import detail_from_texture

    detail, latent = detail_from_texture(
        unwrapped.texture, unwrapped.confidence * TextureDomain.default().face, unwrapped.light, own
    )
    return (
        detail,
        latent - model.latent(identity[None], skin[None], expression[None])[0].cpu().numpy(),
        "photo",
    )
