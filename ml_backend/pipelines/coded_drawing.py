"""A dense head in the colours of the seven codes, and the residual on its picture.

The residual is made at 256 pixels beside the exact decoder's drawing. A larger picture takes the difference
of the two on the skin, and the network's own colours in hair, which grows beyond the mesh, and at the edge.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UserError
from ..geometry.camera_view import Camera
from ..geometry.map_resampling import resample
from ..geometry.srgb import from_srgb, to_srgb
from ..geometry.texture_space import bilinear_corners
from ..models.face_codes import FaceCodes, angles_of_rotation, code_of_light
from ..models.face_renderer import FIELDS, TEXELS, HeadFields, Nuisance, surface_at, surface_colours
from ..models.residual.channels import CHANNELS, SIDE, see_drawing
from ..models.residual.render_residual import RenderResidual, default_residual
from ..models.skin.albedo_model import AlbedoModel
from ..simulation.portraits.coded_portrait import seeded_hair, seeded_texture
from ..simulation.portraits.painted_face import HeadPaint

_IRISES = ((0.05, 0.03, 0.02), (0.08, 0.04, 0.02), (0.06, 0.09, 0.13), (0.05, 0.07, 0.035))
"""Linear colours, the browns first."""
_INSIDE = 3
"""Pixels of 256 by which the drawing's edge lies inside; beyond it are the network's own colours."""


def seeded_codes(
    identity: np.ndarray, expression: np.ndarray, light: np.ndarray, camera: Camera, seed: int
) -> tuple[FaceCodes, Nuisance]:
    """Returns the codes of a face before a camera; skin, hair and irises are drawn by a seed.

    Args:
        identity: (K,); expression: (52,); light: (9, 3) in the face's axes.
        camera: of the picture.
        seed: of skin, hair and eyes.
    """
    shape = np.zeros(HeadFields.default().face.identity_size, np.float32)
    shape[: len(identity)] = identity
    texture, hair = seeded_texture(seed, shape), seeded_hair(seed)
    iris = _IRISES[int(np.random.default_rng([seed, 0xC0]).integers(len(_IRISES)))]
    codes = FaceCodes(
        shape, np.asarray(expression, np.float32), texture, code_of_light(light).astype(np.float32), hair,
        angles_of_rotation(camera.rotation).astype(np.float32), camera.translation.astype(np.float32),
    )  # fmt: skip
    return codes, Nuisance(iris=iris, seed=seed)


def texture_map(codes: FaceCodes) -> np.ndarray:
    """Returns (256, 256, 3) linear skin colour of a texture code, row 0 at the bottom."""
    model = AlbedoModel.default()
    coarse = model.colours((model.mixing[:, : len(codes.texture)] @ codes.texture).astype(np.float32))
    return from_srgb(np.clip(coarse, 0.02, 1)).transpose(1, 2, 0).astype(np.float32)


def vertex_colours(paint: HeadPaint, codes: FaceCodes, nuisance: Nuisance, albedo: np.ndarray) -> np.ndarray:
    """Returns the linear albedo (N, 3) of dense vertices: skin, painted hair, eyes and teeth.

    Args:
        paint: of the face model.
        codes: hair counts alone.
        nuisance: eyes, and the pattern of strands.
        albedo: (R, R, 3) linear skin colour, row 0 at the bottom.
    """
    head = HeadFields.default()
    rest, uv = paint.mesh.refine(head.rest), paint.mesh.vertex_uv().clip(0, 1)
    part = np.zeros(len(rest), head.face.polygon_part.dtype)
    part[paint.mesh.polygons[:, :3]] = head.face.polygon_part[paint.mesh.base_polygon][:, None]
    empty, up = np.zeros(len(rest), np.float32), np.tile([0.0, 0.0, 1.0], (len(rest), 1))
    surface = surface_at(head, rest, uv, up, empty, part, empty, nuisance)
    index, weights = bilinear_corners(uv, *albedo.shape[:2])
    surface.texels = torch.from_numpy(np.ascontiguousarray(index.reshape(len(rest), 4), np.int64))
    surface.texel_weights = torch.from_numpy(np.ascontiguousarray(weights.reshape(len(rest), 4), np.float32))
    surface.fields[:, FIELDS.index("inside")] = 0  # the picture's shade comes later
    even = torch.zeros(1, 9, 3)
    even[:, 0] = 1
    hair = torch.from_numpy(codes.hair.astype(np.float32))[None]
    return surface_colours(surface[None], _flat(albedo)[None], even, hair, 0.0, 0.0)[0].numpy()


def dense_positions(paint: HeadPaint, codes: FaceCodes) -> np.ndarray:
    """Returns (N, 3) dense vertices of codes with the volume of short hair, metres."""
    return paint.mesh.refine(HeadFields.default().positions(codes).astype(np.float32))


def _flat(albedo: np.ndarray) -> Tensor:
    """Returns (3, R R) of a map (R, R, 3)."""
    return torch.from_numpy(np.ascontiguousarray(albedo.transpose(2, 0, 1), np.float32)).flatten(1)


def _soft(values: Tensor) -> Tensor:
    """Returns (C, H, W) means over 3 x 3 pixels."""
    return functional.avg_pool2d(values[None], 3, 1, 1)[0]


def residual_network() -> RenderResidual:
    """Returns the network of the default set.

    Raises:
        UserError: the file is missing or broken.
    """
    try:
        return default_residual()
    except UserError as error:
        raise UserError(
            f"There is no residual: {error.message}", "Reinstall the extension, or use --without-residual."
        ) from error


def with_residual(
    pixels: np.ndarray,
    codes: FaceCodes,
    camera: Camera,
    nuisance: Nuisance,
    albedo: np.ndarray,
    ground: float,
    network: RenderResidual | None = None,
) -> np.ndarray:
    """Adds hair, eyes, mouth and outline to a picture of a head.

    Args:
        pixels: (S, S, 3) uint8 sRGB, the head in the colours of `vertex_colours`.
        codes: of the face; nuisance: its eyes.
        camera: of the picture.
        albedo: (R, R, 3) linear skin colour.
        ground: linear grey behind the head.
        network: None: that of the default set.

    Returns:
        (S, S, 3) uint8 sRGB.

    Raises:
        UserError: the default set has no residual.
    """
    network = network or residual_network()
    low = resample(np.ascontiguousarray(albedo.transpose(2, 0, 1)), TEXELS).astype(np.float32)
    drawing = see_drawing(codes, camera, nuisance, torch.from_numpy(low).flatten(1))
    found = network.finish(drawing)
    size = len(pixels)

    def sized(values: Tensor) -> Tensor:
        return functional.interpolate(
            values[None], (size, size), mode="bilinear", align_corners=False, antialias=size < SIDE
        )[0]

    mask = drawing.mask[None]
    inner = -functional.max_pool2d(-mask[None], _INSIDE, 1, _INSIDE // 2)[0]
    bare = 1 - (drawing.channels[CHANNELS.index("hairline")] > 0).float()[None]
    weight = sized(_soft(inner * bare))
    change = sized((found.colour[0] - drawing.picture) * mask) / sized(mask).clamp_min(0.05)
    drawn = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
    cover, edge = found.cover, found.colour[0]
    if size > SIDE:  # stairs of 256 pixels would show; colours come from where the head is
        soft = _soft(cover)
        cover, edge = soft, _soft(edge * found.cover) / soft.clamp_min(1e-4)
    colour = weight * (drawn + change) + (1 - weight) * sized(edge)
    cover = sized(cover).numpy()
    linear = from_srgb(np.clip(colour.numpy(), 0, 1)) * cover + ground * (1 - cover)
    return (to_srgb(np.clip(linear, 0, 1)).transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
