"""Faces whose codes a training does not know: what the encoder sees of them, and pictures that the decoder
makes of its codes.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.2.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ...fitting.attributes.encode_face import encode_points, sampled_colours
from ...fitting.attributes.face_crop import face_crop
from ...fitting.attributes.levelled_face import levelled_place, levelled_points, usual_focal
from ...fitting.attributes.quick_look import look_once
from ...fitting.face_square import PictureSquare
from ...fitting.landmarks import level_frame
from ...fitting.photo_file import read_photo
from ...models.attribute_encoder import AttributeEncoder
from ...models.face_codes import NAMES, FaceCodes
from ...models.face_renderer import camera_of, draw_face
from ...simulation.portraits.coded_portrait import SIZE, linear_pixels, stored_picture

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_SIDE = 6.0
"""Inter-ocular distances that a user's photo is cut to."""


@dataclass(frozen=True)
class HiddenFace:
    """A picture of a face.

    Attributes:
        pixels: (256, 256, 3) uint8 sRGB; points: (478, 2) as detected; focal: pixels.
    """

    pixels: np.ndarray
    points: np.ndarray
    focal: float

    @classmethod
    def seen(cls, pixels: np.ndarray, focal: float | None) -> "HiddenFace | None":
        """Looks at a picture; None where it shows no face. A focal length of None is not known."""
        found = look_once(pixels)
        if found is None:
            return None
        return cls(pixels, found.points, focal or usual_focal(found.points))


def faces_of_photos(folder: Path) -> list[HiddenFace]:
    """Reads a folder of photos, each cut to a square about its largest face.

    Raises:
        UserError: it holds no photo with a face.
    """
    faces = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in ENDINGS:
            pixels = read_photo(path).pixels
            found = look_once(pixels)
            if found is None:
                continue
            level, unit = level_frame(found.points)
            square = PictureSquare(found.points.mean(0), level[0], _SIDE * unit)
            small = (square.cut(pixels, SIZE) * 255 + 0.5).astype(np.uint8)
            if (face := HiddenFace.seen(small, None)) is not None:
                faces.append(face)
    if not faces:
        raise UserError(
            f"{folder}: no photo with a face.", "Give a folder of photos of people who agree to it."
        )
    return faces


@dataclass
class Sight:
    """Inputs of the encoder for N faces.

    Attributes:
        points, crops: of the first trunk, (N, 960) and (N, 3, 192, 192).
        colours, seen, ground, turn: of the second, see `AttributeEncoder.see_colours`.
        codes: (N, n) by name in deviations, rotation and translation levelled: what is believed of them.
    """

    points: Tensor
    crops: Tensor
    colours: Tensor
    seen: Tensor
    ground: Tensor
    turn: Tensor
    codes: dict[str, Tensor]

    def rows(self, rows: np.ndarray) -> "Sight":
        """Returns some rows."""
        codes = {name: value[rows] for name, value in self.codes.items()}
        names = ("points", "crops", "colours", "seen", "ground", "turn")
        return Sight(codes=codes, **{name: getattr(self, name)[rows] for name in names})


def look_at(encoder: AttributeEncoder, faces: list[HiddenFace], codes: list[FaceCodes]) -> Sight:
    """Gathers what an encoder in evaluation mode sees of faces, with codes to believe of them."""
    rows = []
    for face, believed in zip(faces, codes, strict=True):
        levelled = levelled_points(face.points, face.focal, SIZE, SIZE)
        found, camera = encode_points(encoder, face.pixels, face.points, face.focal)
        sampled = sampled_colours(face.pixels, found, camera, levelled.unit)
        rotation, translation = levelled_place(levelled, believed, SIZE, SIZE)
        table = believed.table() | {"rotation": rotation, "translation": translation}
        one = torch.from_numpy
        crop = one(face_crop(face.pixels, levelled)).permute(2, 0, 1)
        with torch.no_grad():
            turn = encoder.see_head(one(levelled.points)[None], crop[None])["rotation"][0]
            held = {
                name: encoder.scaled(name, one(np.asarray(table[name], np.float32))[None])[0]
                for name in NAMES
            }
        rows.append(
            (
                one(levelled.points),
                crop,
                one(sampled.colours),
                one(sampled.seen),
                one(sampled.ground),
                turn,
                held,
            )
        )
    names = ("points", "crops", "colours", "seen", "ground", "turn")
    stacked = {name: torch.stack([row[column] for row in rows]) for column, name in enumerate(names)}
    return Sight(codes={name: torch.stack([row[6][name] for row in rows]) for name in NAMES}, **stacked)


def read_all(encoder: AttributeEncoder, sight: Sight) -> dict[str, Tensor]:
    """Returns the seven codes in deviations that an encoder reads, with gradients."""
    head = encoder.see_head(sight.points, sight.crops)
    return head | encoder.see_colours(sight.colours, sight.seen, sight.ground, sight.turn)


def rendered(codes: FaceCodes, like: HiddenFace, number: int = 0) -> np.ndarray:
    """Draws codes by the exact decoder before the ground of a picture, (256, 256, 3) uint8.

    The picture's own head is painted over with its ground's median, where the drawn head does not cover it.
    """
    camera = camera_of(codes, like.focal, SIZE, SIZE)
    linear = linear_pixels(like.pixels)
    ground = np.broadcast_to(np.median(linear[: SIZE // 3].reshape(-1, 3), axis=0), linear.shape)
    return stored_picture(draw_face(codes, camera, ground)[0], number)


def pictured(codes: FaceCodes, like: HiddenFace, number: int = 0) -> HiddenFace | None:
    """Draws codes and looks at the picture; None where the detector sees no face in it."""
    return HiddenFace.seen(rendered(codes, like, number), like.focal)


def without_hair(codes: FaceCodes) -> FaceCodes:
    """Returns codes whose hair code says nothing."""
    return dataclasses.replace(codes, hair=np.zeros_like(codes.hair))
