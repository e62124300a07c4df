"""The residual network's channels: a drawing, and all that the exact decoder knows of each of its pixels.

Directions are in the camera's axes (x to the right, y down, z away), places on the mean face.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from ...geometry.camera_view import Camera
from ...geometry.srgb import to_srgb
from ...hair.coded_hair import DESCRIBED, described_hair
from ..face_codes import FaceCodes, rotation_of_angles
from ..face_renderer import (
    FIELDS,
    HeadFields,
    Nuisance,
    SeenSurface,
    SkinColours,
    hair_colour,
    see_surface,
    surface_colours,
)

SIDE = 256
"""Pixels of a drawing that the network sees."""
CHANNELS = (
    "red", "green", "blue", "mask", "normal_x", "normal_y", "normal_z", "rest_x", "rest_y", "rest_z",
    "column", "row", "hairline", "brow", "lid", "moustache", "chin", "jaw", "inside", "eye", "hollow",
    "hair_red", "hair_green", "hair_blue",
)  # fmt: skip
CONDITION = 46 + DESCRIBED
"""Numbers that are the same all over a picture: hair (16), light (27), rotation (3), the hair's cut (19)."""
_UNIT = 0.1
"""Metres that count as 1."""
_ABOVE, _LARGEST_LIGHT = 0.015, 3.0
_FIRST_HARMONIC = 3**0.5
_LEAST_SHADE = 0.04


@dataclasses.dataclass(frozen=True)
class SeenDrawing:
    """A drawing with its channels.

    Attributes:
        channels: (24, 256, 256) float32, `CHANNELS`.
        condition: (65,) float32.
    """

    channels: Tensor
    condition: Tensor

    @property
    def mask(self) -> Tensor:
        """(256, 256) float32, 1 where the head is drawn."""
        return self.channels[3]

    @property
    def picture(self) -> Tensor:
        """(3, 256, 256) sRGB, black beside the head."""
        return self.channels[:3]


def see_drawing(
    codes: FaceCodes,
    camera: Camera,
    nuisance: Nuisance | None = None,
    albedo: Tensor | None = None,
    head: HeadFields | None = None,
    seen: SeenSurface | None = None,
) -> SeenDrawing:
    """Draws a face at 256 pixels with the exact decoder, and gathers what it knows of each pixel.

    Args:
        codes: of the face; its rotation and translation are in the camera.
        camera: of a square picture; another size is drawn at 256.
        nuisance: what no code says.
        albedo: (3, 64 * 64) linear skin colour, or None for that of the texture code.
        head: of the face model; None: the embedded one.
        seen: from `see_surface` at 256 pixels, if it is there already.
    """
    head, nuisance = head or HeadFields.default(), nuisance or Nuisance()
    camera = camera.resized(SIDE, SIDE)
    seen = seen or see_surface(head, codes, camera, nuisance)
    one = torch.from_numpy
    light, hair = one(codes.light.astype(np.float32)), one(codes.hair.astype(np.float32))
    surface = seen.surface
    with torch.no_grad():
        skin = SkinColours.default().linear(one(codes.texture)[None]) if albedo is None else albedo[None]
        drawn = surface_colours(
            surface[None], skin, light[None], hair[None], nuisance.gloss, nuisance.hollow, nuisance.blotches
        )[0]
        lit = torch.maximum(surface.lobes @ light, _LEAST_SHADE * light[:1].clamp_min(1e-3))
        painted_hair = hair_colour(hair)
    found = np.zeros((len(CHANNELS), SIDE, SIDE), np.float32)
    mask = seen.mask
    found[:3, mask] = to_srgb(np.clip(drawn.numpy(), 0, 1)).T
    found[3] = mask
    turned = surface.lobes.numpy()[:, [3, 1, 2]] / _FIRST_HARMONIC @ camera.rotation.T
    found[4:7, mask] = turned.T
    found[7:10, mask] = (seen.rest / _UNIT).T
    found[10:12] = _places(camera)
    fields = dict(zip(FIELDS, surface.fields.numpy().T, strict=True))
    brow = np.clip(1.25 - fields["brow_off"], 0, 1) * fields["brow_taper"]
    eye = (1 - fields["skin"]) * (1 - fields["inside"])
    rows = (
        np.tanh(fields["hairline"] / _ABOVE), brow, fields["lid"], fields["moustache"], fields["chin"],
        fields["jaw"], fields["inside"], eye, fields["hollow"],
    )  # fmt: skip
    found[12:21, mask] = np.stack(rows)
    even = (painted_hair * light[0]).numpy()
    found[21:] = to_srgb(np.clip(even, 0, 1))[:, None, None]
    found[21:, mask] = to_srgb(np.clip((painted_hair * lit).numpy(), 0, 1)).T
    return SeenDrawing(one(found), condition_of(codes))


def _places(camera: Camera) -> np.ndarray:
    """Returns (2, 256, 256): each pixel's place beside the head's origin in its plane, units of 0.1 m."""
    (column, row), depth = (values[0] for values in camera.project(np.zeros((1, 3))))
    step = depth / camera.focal / _UNIT
    pixels = np.arange(SIDE) + 0.5
    return np.stack(np.meshgrid((pixels - column) * step, (pixels - row) * step)).astype(np.float32)


def condition_of(codes: FaceCodes) -> Tensor:
    """Returns (65,) float32 of codes: hair, light with its first band in the camera's axes, rotation, cut."""
    light = np.clip(codes.illumination, -_LARGEST_LIGHT, _LARGEST_LIGHT).copy()
    bands = light[3:].reshape(8, 3)
    towards = bands[[2, 0, 1]].T @ rotation_of_angles(codes.rotation).T  # x, y, z by colour
    bands[:3] = towards.T
    return torch.from_numpy(
        np.concatenate(
            [codes.hair, light[:3], bands.ravel(), codes.rotation / 30, described_hair(codes.hair)]
        ).astype(np.float32)
    )


def mirrored(channels: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the channels (..., 24, H, W) and condition (..., 65) of a mirrored picture."""
    flipped = channels.flip(-1).clone()
    for name in ("normal_x", "rest_x", "column"):
        index = CHANNELS.index(name)
        flipped[..., index, :, :] = -flipped[..., index, :, :]
    turned = condition.clone()
    for band in (0, 3, 6):  # x; then xy and xz of the second band, which stay in the face's axes
        turned[..., 19 + 3 * band : 22 + 3 * band] *= -1
    turned[..., 43] *= -1  # yaw
    turned[..., 45] *= -1  # roll
    return flipped, turned
