"""Makes a bad photo of a good one: the face at 64 pixels, blurred, JPEG at quality 20."""

import io

import numpy as np
from PIL import Image, ImageFilter

SIZE, BLUR, QUALITY = 64, 0.8, 20
_MARGIN = 2.0


def portrait_square(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the square that portraits are cut to: four eye distances wide, as FFHQ's are.

    Args:
        points: (478, 2) landmarks, pixels.

    Returns:
        Its top left corner (2,) and its side, pixels.

    Source: Karras et al. 2019, "A Style-Based Generator Architecture for GANs", appendix A.
    """
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    mouth = points[[61, 291]].mean(0)
    middle = (right + left) / 2
    side = max(
        2 * _MARGIN * float(np.linalg.norm(left - right)),
        1.8 * _MARGIN * float(np.linalg.norm(mouth - middle)),
    )
    centre = middle + 0.1 * (mouth - middle) * 2
    return centre - side / 2, side


def degrade_photo(
    pixels: np.ndarray,
    corner: np.ndarray,
    side: float,
    size: int = SIZE,
    blur: float = BLUR,
    quality: int = QUALITY,
) -> np.ndarray:
    """Cuts a square out, shrinks, blurs and compresses it.

    Args:
        pixels: (H, W, 3) uint8.
        corner: (2,) pixels; the square may reach beyond the picture, whose mean colour is there.
        side: of the square, pixels.
        size: pixels along a side of the result.
        blur: standard deviation in the result's pixels.
        quality: of the JPEG.

    Returns:
        (size, size, 3) uint8.
    """
    image = Image.fromarray(pixels)
    mean = tuple(int(value) for value in pixels.reshape(-1, 3).mean(0))
    reach = int(np.ceil(side)) + 2
    ground = Image.new("RGB", (image.width + 2 * reach, image.height + 2 * reach), mean)
    ground.paste(image, (reach, reach))
    low = np.clip(corner + reach, 0, None)
    left, top = float(low[0]), float(low[1])
    small = ground.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    stored = io.BytesIO()
    small.filter(ImageFilter.GaussianBlur(blur)).save(stored, "JPEG", quality=quality)
    with Image.open(stored) as opened:
        return np.array(opened.convert("RGB"))
