"""Gives a face attributes of another one: shape, expression, skin, light, pose; of a photo or a face file.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views".
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.face_file import FaceParameters, read_face
from ..models.bilinear_face import BilinearFace
from ..models.earlier_face import carry_face
from ..models.face_attributes import ATTRIBUTES, REGION_PREFIXES, FaceAttributes, transferred

Progress = Callable[[float, str], None]
_LEAST_SURE = 0.35
"""Confidence below which a photo's face is too doubtful to take something from it."""


@dataclass(frozen=True)
class TransferRequest:
    """A request to transfer attributes.

    Attributes:
        source: a photo, or a face file (.json).
        target: the face file that changes.
        amounts: by attribute, 0 to 2.
        regions: of an expression.
        face_number: which face of a photo, counted from 1, left to right; 0 for the largest.
        landmark_model: a `face_landmarker.task` of the user's, or empty.
        fit: whether a photo is fitted by iteration, some seconds, instead of read in one pass.
    """

    source: str
    target: str
    amounts: dict[str, float]
    regions: tuple[str, ...] = tuple(REGION_PREFIXES)
    face_number: int = 0
    landmark_model: str = ""
    fit: bool = False


def attributes_of_file(path: str | Path) -> tuple[FaceAttributes, str]:
    """Reads the attributes of a face file.

    Returns:
        The attributes, and a sentence for the user where the face was carried over from an earlier model.

    Raises:
        UserError: the file is broken or of an unknown model.
    """
    stored, said = carry_face(read_face(path), BilinearFace.default(), str(path))
    return FaceAttributes(stored.identity, stored.expression, stored.skin, stored.light, stored.pose), said


def attributes_of_photo(
    path: str, face_number: int, landmark_model: str, progress: Progress
) -> tuple[FaceAttributes, str]:
    """Fits a face to a photo and returns its attributes.

    Returns:
        The attributes, and a sentence on how sure they are.

    Raises:
        UserError: the photo cannot be read, shows no face, or one that is too doubtful.
    """
    from .fit_from_image import FitFromImageRequest, fit_from_image

    numbers = (face_number,) if face_number else ()
    fitted = fit_from_image(FitFromImageRequest((path,), numbers, landmark_model), progress)
    photo = fitted.photos[0]
    if photo.confidence.value < _LEAST_SURE:
        raise UserError(
            f"{path}: the face is too unsure to take something from it: {photo.confidence.sentence}",
            "Use a clearer photo, with the face from the front and nothing before it.",
        )
    pose = np.array(photo.camera.head_angles(), np.float32)
    attributes = FaceAttributes(fitted.identity, photo.expression, fitted.skin, fitted.unwrapped.light, pose)
    return attributes, photo.confidence.sentence


def transfer_attributes(request: TransferRequest, progress: Progress) -> tuple[FaceParameters, str]:
    """Makes the target's face with the source's attributes.

    Args:
        request: source, target, amounts.
        progress: told (share done, text); may raise to cancel.

    Returns:
        The face for `write_face`, and a sentence for the user.

    Raises:
        UserError: a file cannot be read, an attribute or a region is unknown, an amount is out of range, or
            the source does not show an attribute.
    """
    check_amounts(request.amounts, request.regions)
    target, said_target = attributes_of_file(request.target)
    if Path(request.source).suffix.lower() == ".json":
        source, said = attributes_of_file(request.source)
    elif request.fit:
        source, said = attributes_of_photo(
            request.source, request.face_number, request.landmark_model, progress
        )
    else:
        from .encode_photo import encode_photo

        encoded = encode_photo(request.source, request.face_number, request.landmark_model)
        source, said = encoded.attributes(), f"Read in one pass, {encoded.milliseconds:.0f} ms."
    missing = [name for name in request.amounts if name not in source.known]
    if missing:
        raise UserError(
            f"{request.source}: shows no {' and no '.join(missing)}.",
            f"It knows {', '.join(source.known)}. A face file keeps light and pose when `fit` wrote it.",
        )
    changed = transferred(target, source, request.amounts, request.regions)
    expression = np.zeros(52, np.float32) if changed.expression is None else changed.expression
    face = FaceParameters(
        changed.shape,
        changed.skin,
        expression,
        BilinearFace.default().fingerprint(),
        changed.light,
        changed.pose,
    )
    return face, " ".join(filter(None, (said_target, said)))


def check_amounts(amounts: dict[str, float], regions: tuple[str, ...]) -> None:
    """Checks names and amounts of a transfer.

    Raises:
        UserError: nothing is asked for, a name is unknown, or an amount is out of range.
    """
    if not amounts:
        raise UserError("No attribute is to be transferred.", f"Name some of {', '.join(ATTRIBUTES)}.")
    for name, amount in amounts.items():
        if name not in ATTRIBUTES:
            raise UserError(f"{name!r} is not an attribute of a face.", f"Use {', '.join(ATTRIBUTES)}.")
        if not 0 <= amount <= 2:
            raise UserError(
                f"The amount of {name} is {amount:g}.", "0 is nothing, 1 all of it, 2 exaggerates most."
            )
    for region in regions:
        if region not in REGION_PREFIXES:
            raise UserError(
                f"{region!r} is not a region of an expression.", f"Use {', '.join(REGION_PREFIXES)}."
            )
