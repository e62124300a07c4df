"""A fit's start: identity and expressions that one pass of the attribute encoder reads in the photos."""

import numpy as np

from ...asset_files import ASSETS
from ...expression_names import mirrored_name
from ...models.attribute_encoder import FILE, AttributeEncoder, default_encoder
from ..face_fit import FitStart, LandmarkModel
from ..mirror_image import mirrored_face
from ..photo_camera import SeenFace
from .encode_face import encode_points

_AROUND = 1.2
"""Half of the side of the picture that is read, in faces."""


def start_of_photos(
    pictures: list[np.ndarray], faces: list[SeenFace], model: LandmarkModel
) -> FitStart | None:
    """Reads photos of one person and their mirror images, which are to give one person.

    Args:
        pictures: (H, W, 3) uint8 sRGB each.
        faces: the person's face in each.
        model: the face model at the landmarks.

    Returns:
        The start, with the mean of the identities; None where the set of models has no encoder, or one for
        another face model.

    Raises:
        UserError: the encoder's file is broken.
    """
    if not (ASSETS / FILE).exists():
        return None
    encoder = default_encoder()
    swapped = [model.names.index(mirrored_name(name)) for name in model.names]
    identities, expressions = [], []
    for pixels, face in zip(pictures, faces, strict=True):
        identity, expression = _read(encoder, pixels, face)
        image, image_expression = _read(encoder, np.ascontiguousarray(pixels[:, ::-1]), mirrored_face(face))
        if len(identity) != len(model.mirror):
            return None
        identities.append((identity + model.mirror @ image) / 2)
        expressions.append((expression + image_expression[swapped]) / 2)
    return FitStart(np.mean(identities, 0), expressions)


def _read(encoder: AttributeEncoder, pixels: np.ndarray, face: SeenFace) -> tuple[np.ndarray, np.ndarray]:
    """Returns identity (K,) and expression (52,) of one pass, float64."""
    if face.focal is None:
        codes, _ = encode_points(encoder, *_face_in_the_middle(pixels, face.points), for_transfer=False)
    else:
        focal = face.focal * max(face.width, face.height)
        codes, _ = encode_points(encoder, pixels, face.points, focal, for_transfer=False)
    return codes.shape.astype(np.float64), codes.expression.astype(np.float64)


def _face_in_the_middle(pixels: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts out the face, black where the picture ends, and returns its points there.

    Where the camera's axis meets a picture of an unknown lens is not known either: margins must not count.
    """
    middle = (points.min(0) + points.max(0)) / 2
    half = int(np.ceil(_AROUND * np.ptp(points, axis=0).max()))
    low = np.floor(middle).astype(int) - half
    cut = np.zeros((2 * half, 2 * half, 3), np.uint8)
    begin, end = low.clip(0), np.minimum(low + 2 * half, pixels.shape[1::-1])
    if (end > begin).all():
        (left, top), (right, bottom) = begin - low, end - low
        cut[top:bottom, left:right] = pixels[begin[1] : end[1], begin[0] : end[0]]
    return cut, points - low
