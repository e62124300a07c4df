"""Reads portraits of `tools/rendered_portraits.py`: a picture with its mask, and the codes that it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import UserError
from ...models.face_codes import FaceCodes
from ...models.face_renderer import Nuisance, camera_of
from ...models.residual.channels import CHANNELS, SIDE, mirrored, see_drawing

HELD_OUT_EVERY = 8
"""Each person whose number is a multiple of this is held out."""
_REMEDY = "Make them with: python -m tools.rendered_portraits --out {folder}"
FEWEST = 2


@dataclass(frozen=True)
class RenderedPortrait:
    """A picture and its truth.

    Attributes:
        person: number of the person, who may have several pictures.
        codes: what it shows.
        focal: of the camera, pixels.
        iris: (3,) linear colour.
        colour: (256, 256, 3) uint8 sRGB, not multiplied by the cover.
        cover: (256, 256) uint8, the mask.
    """

    person: int
    codes: FaceCodes
    focal: float
    iris: np.ndarray
    colour: np.ndarray
    cover: np.ndarray


def read_rendered(folder: Path) -> list[RenderedPortrait]:
    """Reads a folder's portraits in the order of their numbers; pictures without codes are left out.

    Raises:
        UserError: there are none, or a file is broken or of another size.
    """
    paths = sorted(path for path in folder.glob("*.npz") if path.stem.isdecimal())
    if len(paths) < FEWEST:
        raise UserError(f"{folder}: holds no rendered portraits.", _REMEDY.format(folder=folder))
    found = []
    for path in paths:
        try:
            with np.load(path) as stored:
                table = {name: stored[name] for name in stored.files}
            pixels = np.array(Image.open(path.with_suffix(".png")).convert("RGBA"))
            codes = FaceCodes.of(table)
            focal, iris = float(table["focal"]), table["iris"].astype(np.float32)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{path}: not a rendered portrait ({error}).",
                "Delete it and its picture, and run tools.rendered_portraits again.",
            ) from error
        if pixels.shape[:2] != (SIDE, SIDE):
            raise UserError(
                f"{path.with_suffix('.png')}: not {SIDE} pixels a side.", "Render with --size 256."
            )
        found.append(
            RenderedPortrait(int(table["person"]), codes, focal, iris, pixels[..., :3], pixels[..., 3])
        )
    return found


@dataclass(frozen=True)
class ResidualPairs:
    """Drawings and the pictures that they are to become.

    Attributes:
        channels: (N, 24, 256, 256) float16, see `channels.py`; condition: (N, 65).
        colour: (N, 3, 256, 256) uint8 sRGB; cover: (N, 256, 256) uint8.
    """

    channels: Tensor
    condition: Tensor
    colour: Tensor
    cover: Tensor

    def __len__(self) -> int:
        return len(self.channels)

    @classmethod
    def of(cls, portraits: Sequence[RenderedPortrait]) -> "ResidualPairs":
        """Draws the codes of portraits."""
        drawn = []
        for portrait in portraits:
            camera = camera_of(portrait.codes, portrait.focal, SIDE, SIDE)
            drawn.append(see_drawing(portrait.codes, camera, Nuisance(iris=tuple(portrait.iris))))
        one = torch.from_numpy
        return cls(
            torch.stack([drawing.channels.half() for drawing in drawn]),
            torch.stack([drawing.condition for drawing in drawn]),
            torch.stack([one(portrait.colour.transpose(2, 0, 1).copy()) for portrait in portraits]),
            torch.stack([one(portrait.cover.copy()) for portrait in portraits]),
        )

    def batch(
        self, rows: np.ndarray, random: np.random.Generator | None = None, side: int = SIDE
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns channels, conditions, true colours (B, 3, S, S) in 0..1 and covers (B, S, S).

        Args:
            rows: of the pairs.
            random: where there is one, pictures are cut around the head and half of them mirrored.
            side: of a cut picture.
        """
        parts = []
        for row in rows:
            top = left = 0
            if random is not None and side < SIDE:
                seen = (self.channels[row, 3] > 0) | (self.cover[row] > 0)
                places = torch.nonzero(seen).float()
                middle = places.mean(0).numpy() if len(places) else np.full(2, SIDE / 2)
                corner = middle - side / 2 + random.uniform(-0.25, 0.25, 2) * side
                top, left = (int(value) for value in corner.clip(0, SIDE - side))
            cut = (..., slice(top, top + side), slice(left, left + side))
            one = [self.channels[row][cut].float(), self.condition[row], self.colour[row][cut].float() / 255,
                   self.cover[row][cut].float() / 255]  # fmt: skip
            if random is not None and random.random() < 0.5:
                one[0], one[1] = mirrored(one[0], one[1])
                one[2], one[3] = one[2].flip(-1), one[3].flip(-1)
            parts.append(one)
        channels, condition, colour, cover = (torch.stack(part) for part in zip(*parts, strict=True))
        return channels, condition, colour, cover


def attention(channels: Tensor) -> Tensor:
    """Returns (B, H, W) how much each pixel counts: eyes, mouth, brows and beards more than skin."""

    def field(name: str) -> Tensor:
        return channels[:, CHANNELS.index(name)]

    beard = torch.stack([field(name) for name in ("moustache", "chin", "jaw")]).amax(0)
    return 1 + 3 * field("eye") + 2 * field("inside") + field("lid") + field("brow").clamp(0, 1) + 0.5 * beard
