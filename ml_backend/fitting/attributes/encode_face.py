"""One look at a photograph and one pass of the encoder: the seven codes of its face."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from ...geometry.camera_view import Camera
from ...geometry.srgb import from_srgb
from ...models.attribute_encoder import DARKEST, AttributeEncoder
from ...models.face_codes import FaceCodes, rotation_of_angles
from .covered_forehead import contradicted, without_fringe
from .face_crop import face_crop
from .head_places import HeadPlaces
from .levelled_face import levelled_points, place_face, usual_focal

_PIXELS = 40.0
"""Inter-ocular pixels at which colours are sampled: finer is noise, hairs and pores."""
_LINEAR = from_srgb(np.arange(256, dtype=np.float32) / 255).astype(np.float32)


@dataclass(frozen=True)
class SampledColours:
    """Inputs of the encoder's second trunk.

    Attributes:
        colours: (P, 3) float32 linear; seen: (P,) float32; ground: (12,) float32 logarithms.
        pixels: (P, 2) int, column and row of each place, inside the picture.
    """

    colours: np.ndarray
    seen: np.ndarray
    ground: np.ndarray
    pixels: np.ndarray


def place_pixels(codes: FaceCodes, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the head's places lie, (P, 2) int, and which are seen (P,) bool, if the codes are
    right."""
    places = HeadPlaces.default()
    found, _ = camera.project(places.positions(codes.shape, codes.expression))
    at = np.floor(found).astype(np.int64)
    inside = ((at >= 0) & (at < (camera.width, camera.height))).all(1)
    return at.clip(0, (camera.width - 1, camera.height - 1)), inside & places.facing(camera.rotation)


def sampled_colours(pixels: np.ndarray, codes: FaceCodes, camera: Camera, unit: float) -> SampledColours:
    """Samples a picture at the head's places.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        codes: with shape, expression, rotation, translation as found.
        camera: of the picture with them.
        unit: inter-ocular pixels.
    """
    at, seen = place_pixels(codes, camera)
    reach = max(0, int(unit / _PIXELS) // 2)
    steps = np.arange(-reach, reach + 1)
    total = np.zeros((len(at), 3), np.float32)
    for down in steps:
        for across in steps:
            column = (at[:, 0] + across).clip(0, camera.width - 1)
            row = (at[:, 1] + down).clip(0, camera.height - 1)
            total += _LINEAR[pixels[row, column]]
    return SampledColours(
        total / len(steps) ** 2, seen.astype(np.float32), ground_colours(pixels, at[seen]), at
    )


def ground_colours(pixels: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Returns (12,) float32 logarithms: mean of the picture, of its upper corners, of the rest beside the
    head, and of its brightest parts, by colour.

    Args:
        pixels: (H, W, 3) uint8.
        head: (P, 2) pixels of the head.
    """
    step = max(1, min(pixels.shape[:2]) // 64)
    small = _LINEAR[pixels[::step, ::step]]
    height, width = small.shape[:2]
    corners = np.concatenate(
        [
            small[: height // 4, : width // 5].reshape(-1, 3),
            small[: height // 4, -width // 5 :].reshape(-1, 3),
        ]
    )
    low, high = (head.min(0) // step, head.max(0) // step) if len(head) else ((0, 0), (0, 0))
    beside = np.ones((height, width), bool)
    beside[low[1] : high[1] + 1, low[0] : high[0] + 1] = False
    rest = small[beside] if beside.any() else corners
    bright = np.quantile(small.reshape(-1, 3), 0.97, axis=0)
    return (
        np.log(np.maximum([small.mean((0, 1)), corners.mean(0), rest.mean(0), bright], DARKEST))
        .ravel()
        .astype(np.float32)
    )


def encode_points(
    encoder: AttributeEncoder,
    pixels: np.ndarray,
    points: np.ndarray,
    focal: float | None = None,
    *,
    for_transfer: bool = True,
) -> tuple[FaceCodes, Camera]:
    """Reads the codes of a face whose landmarks are there.

    Args:
        encoder: in evaluation mode.
        pixels: (H, W, 3) uint8 sRGB.
        points: (478, 2) pixels.
        focal: of the camera in pixels; None: unknown, the face is then `USUAL_DISTANCE` away.
        for_transfer: with the configuration's gains; without them the codes are least wrong in the mean.

    Returns:
        The codes, and the camera.
    """
    height, width = pixels.shape[:2]
    face = levelled_points(points, focal or usual_focal(points), width, height)
    with torch.no_grad():
        crop = torch.from_numpy(face_crop(pixels, face)).permute(2, 0, 1)[None]
        made = encoder.see_head(torch.from_numpy(face.points)[None], crop)
        table = {name: encoder.unscaled(name, value)[0].numpy() for name, value in made.items()}
        table["expression"] = table["expression"].clip(0, 1)
        table["rotation"], table["translation"] = place_face(
            face, table["rotation"], table["translation"], width, height
        )
        empty = {"texture": np.zeros(48), "illumination": np.zeros(27), "hair": np.zeros(16)}
        codes = FaceCodes.of(table | empty)
        camera = Camera(
            rotation_of_angles(codes.rotation),
            codes.translation.astype(np.float64),
            face.focal,
            width,
            height,
        )
        sampled = sampled_colours(pixels, codes, camera, face.unit)
        found = _read_colours(encoder, made, sampled, for_transfer)
        first = FaceCodes.of(codes.table() | found)
        if contradicted(first, sampled.colours, sampled.seen):
            seen = without_fringe(sampled.colours, sampled.seen)
            found = _read_colours(encoder, made, dataclasses.replace(sampled, seen=seen), for_transfer)
    return FaceCodes.of(codes.table() | found), camera


def _read_colours(
    encoder: AttributeEncoder, made: dict[str, torch.Tensor], sampled: SampledColours, for_transfer: bool
) -> dict[str, np.ndarray]:
    """Returns the codes of colour beside those of form, in their units."""
    colour = encoder.see_colours(
        torch.from_numpy(sampled.colours)[None],
        torch.from_numpy(sampled.seen)[None],
        torch.from_numpy(sampled.ground)[None],
        made["rotation"],
    )
    config = encoder.config
    gains = {"shape": config.shape_gain, "expression": config.expression_gain, "hair": config.hair_gain}
    if not for_transfer:
        gains = {}
    read = {"shape": made["shape"], "expression": made["expression"]} | colour
    found = {
        name: encoder.unscaled(name, value * gains.get(name, 1.0))[0].numpy() for name, value in read.items()
    }
    found["expression"] = found["expression"].clip(0, 1)
    return found
