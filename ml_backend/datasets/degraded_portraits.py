"""Small pictures as they come: shrunk by one method or another, out of focus, noisy, compressed as JPEG."""

import io

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ..simulation.portraits.painted_portrait import SIZE

SMALL = SIZE // 4
_METHODS = (
    Image.Resampling.LANCZOS,
    Image.Resampling.LANCZOS,
    Image.Resampling.BICUBIC,
    Image.Resampling.BOX,
)
_MOST_BLUR, _MOST_NOISE = 1.3, 7.0  # small pixels; grey levels
_LOOKED_AT, _TURNED, _MOVED = (
    (1.3, 1.6),
    3.0,
    0.03,
)  # sides of a detector's square over the face's; degrees; shares of the face's size


def degrade(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Makes a poor (64, 64, 3) uint8 picture of a (256, 256, 3) one.

    Four in five are blurred, two in five noisy, nine in ten compressed.
    """
    image = Image.fromarray(picture).resize((SMALL, SMALL), _METHODS[random.integers(len(_METHODS))])
    if random.random() < 0.8:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, _MOST_BLUR)))
    if random.random() < 0.4:
        noise = random.standard_normal((SMALL, SMALL, 3)) * random.uniform(0, _MOST_NOISE)
        image = Image.fromarray((np.asarray(image) + noise + 0.5).clip(0, 255).astype(np.uint8))
    if random.random() < 0.9:
        quality = (random.integers(15, 40), random.integers(40, 96), 95)[
            random.choice(3, p=(0.35, 0.3, 0.35))
        ]
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=int(quality))
        image = Image.open(stored).convert("RGB")
    return np.array(image)


def vary(
    picture: np.ndarray, frame: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same picture in another exposure, mirrored by chance, at times grey, moved by up to four pixels.

    Args:
        picture: (256, 256, 3) uint8.
        frame: (2, 3), where its face is, see `face_frames`.
        random: chance.

    Returns:
        The picture and its frame.
    """
    frame = frame.copy()
    if random.random() < 0.5:
        picture = picture[:, ::-1]
        frame[0, 1:], frame[1, 0] = -frame[0, 1:], -frame[1, 0]
    shift = random.integers(0, 5, 2)
    frame[:, 2] += 2 * shift[::-1] / SIZE
    picture = np.roll(picture, tuple(shift), (0, 1)).astype(np.float32) / 255
    if random.random() < 0.15:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    picture = np.clip(picture * random.uniform(0.7, 1.3) + random.uniform(-0.1, 0.1), 0, 1) ** random.uniform(
        0.6, 1.6
    )
    return (picture * 255 + 0.5).astype(np.uint8), frame


def small_and_clear(pictures: list[np.ndarray], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Makes pairs of poor and clear pictures.

    Args:
        pictures: (256, 256, 3) uint8 each.
        random: source of randomness.

    Returns:
        (B, 3, 64, 64) and (B, 3, 128, 128), float32 in 0..1.
    """
    poor = np.stack([degrade(picture, random) for picture in pictures])
    clear = np.stack(
        [
            np.asarray(Image.fromarray(one).resize((2 * SMALL, 2 * SMALL), Image.Resampling.LANCZOS))
            for one in pictures
        ]
    )
    tensors = [torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255 for values in (poor, clear)]
    return tensors[0], tensors[1]


def looked_at(frames: np.ndarray, random: np.random.Generator) -> Tensor:
    """Returns squares about faces as a landmark detector cuts them out, a little off by chance.

    Args:
        frames: (B, 2, 3).
        random: source of randomness.

    Returns:
        (B, 2, 3) float32.
    """
    moved = np.empty(frames.shape, np.float32)
    for index, frame in enumerate(frames):
        size, turn = random.uniform(*_LOOKED_AT), np.radians(random.normal(0, _TURNED))
        square = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        moved[index, :, :2] = frame[:, :2] @ square
        moved[index, :, 2] = frame[:, 2] + frame[:, :2] @ random.normal(0, _MOVED, 2)
    return torch.from_numpy(moved)
