"""A fit's start: identity and expressions that one pass of the attribute encoder reads in the photos."""

import numpy as np

from ...asset_files import ASSETS
from ...models.attribute_encoder import FILE, default_encoder
from ..face_fit import FitStart
from ..photo_camera import SeenFace
from .encode_face import encode_points

BELIEF = 0.0


def start_of_photos(pictures: list[np.ndarray], faces: list[SeenFace], identity_size: int) -> FitStart | None:
    """Reads photos of one person.

    Args:
        pictures: (H, W, 3) uint8 sRGB each.
        faces: the person's face in each.
        identity_size: of the face model.

    Returns:
        The start, with the mean of the identities; None where the set of models has no encoder, or one for
        another face model.

    Raises:
        UserError: the encoder's file is broken.
    """
    if not (ASSETS / FILE).exists():
        return None
    encoder = default_encoder()
    codes = [
        encode_points(encoder, pixels, face.points, face.focal and face.focal * max(face.width, face.height))[
            0
        ]
        for pixels, face in zip(pictures, faces, strict=True)
    ]
    identity = np.mean([one.shape for one in codes], 0)
    if len(identity) != identity_size:
        return None
    return FitStart(identity, [one.expression for one in codes], BELIEF)
