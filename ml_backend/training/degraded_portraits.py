"""Small pictures as they come: shrunk by one method or another, out of focus, noisy, compressed as JPEG."""

import io

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ..fitting.painted_portrait import SIZE

SMALL = SIZE // 4
_METHODS = (Image.Resampling.LANCZOS, Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
_MOST_BLUR, _MOST_NOISE = 1.3, 7.0  # small pixels; grey levels


def degrade(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(256, 256, 3) uint8 to a poor (64, 64, 3) uint8: four in five are blurred, two in five noisy, nine in ten compressed."""
    image = Image.fromarray(picture).resize((SMALL, SMALL), _METHODS[random.integers(len(_METHODS))])
    if random.random() < 0.8:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, _MOST_BLUR)))
    if random.random() < 0.4:
        noise = random.standard_normal((SMALL, SMALL, 3)) * random.uniform(0, _MOST_NOISE)
        image = Image.fromarray((np.asarray(image) + noise + 0.5).clip(0, 255).astype(np.uint8))
    if random.random() < 0.9:
        quality = (random.integers(15, 40), random.integers(40, 96), 95)[random.choice(3, p=(0.35, 0.3, 0.35))]
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=int(quality))
        image = Image.open(stored).convert("RGB")
    return np.array(image)


def vary(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same picture (256, 256, 3) uint8 in another exposure, mirrored by chance, at times grey, moved by up to four pixels."""
    if random.random() < 0.5:
        picture = picture[:, ::-1]
    picture = np.roll(picture, tuple(random.integers(0, 5, 2)), (0, 1)).astype(np.float32) / 255
    if random.random() < 0.15:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    picture = np.clip(picture * random.uniform(0.7, 1.3) + random.uniform(-0.1, 0.1), 0, 1) ** random.uniform(0.6, 1.6)
    return (picture * 255 + 0.5).astype(np.uint8)


def small_and_clear(pictures: list[np.ndarray], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Poor pictures (B, 3, 64, 64) and what they should become (B, 3, 128, 128), float32 in 0..1, of (256, 256, 3) uint8."""
    poor = np.stack([degrade(picture, random) for picture in pictures])
    clear = np.stack([np.asarray(Image.fromarray(one).resize((2 * SMALL, 2 * SMALL), Image.Resampling.LANCZOS)) for one in pictures])
    found = [torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255 for values in (poor, clear)]
    return found[0], found[1]
