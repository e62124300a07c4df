"""Draws a face from several sides with the second decoder: the radiance field of heads, without a mesh.

It draws 256 pixels; other sizes are resampled. Wrinkles and irises of the file's own are beyond it.
"""

import numpy as np
import torch
from torch.nn import functional

from ..asset_files import ASSETS
from ..errors import UserError
from ..fitting.attributes.code_figures import nearest_texture
from ..geometry.srgb import to_srgb
from ..models.bilinear_face import BilinearFace
from ..models.face_codes import FaceCodes, code_of_light
from ..models.head_field.face_field import FILE, FaceField, draw_field
from ..models.head_field.framing import view_camera
from ..simulation.portraits.coded_portrait import seeded_hair, seeded_texture
from ..simulation.portraits.drawn_views import LARGEST_PITCH, LARGEST_YAW
from .render_face import EXPOSURE, GROUND, SOFT_LIGHT, RenderFaceRequest


def render_field(request: RenderFaceRequest) -> list[np.ndarray]:
    """Draws the views.

    Args:
        request: as for the exact decoder; `skin`, `detail` and `residual` do not count.

    Returns:
        (size, size, 3) uint8 sRGB for each pair of angles, row 0 at the top, before the same grey ground as
        the exact decoder's.

    Raises:
        UserError: the package has no weights of the field, the face is of another model, or an angle is
            beyond what the field learned.
    """
    check_angles(request.angles)
    field = load_field()
    codes = codes_of_request(request, field)
    face = BilinearFace.default()
    pictures = []
    for yaw, pitch in request.angles:
        linear, cover = draw_field([codes], [view_camera(face, yaw, pitch, field.config.size)], field)
        shown = GROUND + (np.clip(linear[0], 0, 1) - GROUND) * cover[0, ..., None]
        pictures.append((resized(to_srgb(shown), request.size) * 255 + 0.5).astype(np.uint8))
    return pictures


def check_angles(angles: tuple[tuple[float, float], ...]) -> None:
    """Checks the angles of views.

    Raises:
        UserError: one is beyond what the field learned.
    """
    for yaw, pitch in angles:
        if abs(yaw) > LARGEST_YAW or abs(pitch) > LARGEST_PITCH:
            raise UserError(
                f"The radiance field has not learned a view of yaw {yaw:g} and pitch {pitch:g}.",
                f"Use yaw -{LARGEST_YAW:g} to {LARGEST_YAW:g} and pitch -{LARGEST_PITCH:g} to "
                f"{LARGEST_PITCH:g}, or --decoder exact.",
            )


def load_field() -> FaceField:
    """Returns the package's field.

    Raises:
        UserError: there are no weights, or they are broken.
    """
    if not (ASSETS / FILE).exists():
        raise UserError(
            f"The radiance field has no weights: {ASSETS / FILE} is missing.",
            "Use --decoder exact, reinstall the extension, or make them: "
            "python -m ml_backend train attribute-field --install",
        )
    return FaceField.default()


def codes_of_request(request: RenderFaceRequest, field: FaceField) -> FaceCodes:
    """Returns the codes of a request; skin and hair are the seed's.

    Raises:
        UserError: the face is of another model than the field's.
    """
    config = field.config
    if (len(request.identity), len(request.expression)) != (config.shape, config.expression):
        raise UserError(
            "The radiance field belongs to another face model: "
            f"it takes {config.shape} numbers of identity, the face has {len(request.identity)}.",
            "Use --decoder exact, or train the field on this face model.",
        )
    light = (SOFT_LIGHT if request.light is None else request.light) * EXPOSURE
    shape = np.asarray(request.identity, np.float32)
    if request.albedo is None:
        texture = seeded_texture(request.seed, shape)
    else:
        texture = nearest_texture(request.albedo)
    return FaceCodes(
        shape, np.asarray(request.expression, np.float32), texture, code_of_light(light).astype(np.float32),
        seeded_hair(request.seed), np.zeros(3, np.float32), np.zeros(3, np.float32),
    )  # fmt: skip


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """Returns a square picture (S, S, 3) of 0..1 at another size, (size, size, 3)."""
    if len(picture) == size:
        return picture
    tensor = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    larger = functional.interpolate(tensor, (size, size), mode="bicubic", antialias=True)[0].clamp(0, 1)
    return larger.permute(1, 2, 0).numpy()
