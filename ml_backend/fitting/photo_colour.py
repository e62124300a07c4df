"""Brings a photograph to sRGB: by ICC profile, Adobe RGB's mark in EXIF, or PNG's primaries.

Source: ICC.1:2022 (profiles); Exif 2.32 with DCF 2.0 (interoperability index R03); W3C "PNG", chunks cHRM and
gAMA.
"""

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms

_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""Chromaticities x and y of white, red, green, blue."""
_ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ADOBE_GAMMA = 563 / 256
_SAME_PRIMARIES = 0.01
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_MODES = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab ": "LAB"}
"""The kind of colours in an ICC profile, and Pillow's mode that holds them."""


def to_srgb_colours(image: Image.Image) -> Image.Image:
    """Returns a picture with its colours in sRGB; one that states no other colours comes back as it is.

    Transparency is kept. A profile that is damaged, or of another kind of colours than the picture, is passed
    over, as viewers do.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return image
    profile = image.info.get("icc_profile")
    if profile:
        return _by_profile(image, profile)
    if _is_adobe_rgb(image):
        return _by_primaries(image, _ADOBE_RGB, _ADOBE_GAMMA)
    primaries, gamma = image.info.get("chromaticity"), image.info.get("gamma")
    if primaries is not None and gamma and "srgb" not in image.info:
        other_primaries = np.abs(np.array(primaries) - _SRGB).max() > _SAME_PRIMARIES
        if other_primaries or abs(gamma - 1 / 2.2) > _SAME_PRIMARIES:
            return _by_primaries(image, tuple(primaries), 1 / gamma)
    return image


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except OSError:  # damaged: viewers take the picture for sRGB
        return image
    mode = _MODES.get(getattr(source.profile, "xcolor_space", ""))
    colour, alpha = _without_alpha(image)
    if mode is None or (mode in ("CMYK", "LAB")) != (colour.mode in ("CMYK", "LAB")):
        return image
    if mode == "L" and colour.mode != "L":
        return image
    if mode == "RGB" and colour.mode == "L":
        colour = colour.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            colour,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.NOOPTIMIZE | ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:  # a profile for other devices, such as printers' named colours
        return image
    return image if converted is None else _with_alpha(converted, alpha)


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Returns True if EXIF marks the picture as Adobe RGB: DCF's interoperability index R03."""
    exif = image.getexif().get_ifd(ExifTags.IFD.Exif)
    index = image.getexif().get_ifd(ExifTags.IFD.Interop).get(1, "")
    if isinstance(index, bytes):
        index = index.decode("ascii", "replace")
    return str(index).strip("\0 ") == "R03" and exif.get(0xA001, 0xFFFF) != 1


def _by_primaries(image: Image.Image, chromaticities: tuple[float, ...], gamma: float) -> Image.Image:
    """Converts colours that are given by chromaticities (8,) and one exponent."""
    colour, alpha = _without_alpha(image)
    values = np.asarray(colour.convert("RGB"), np.float32) / 255
    matrix = np.linalg.inv(_to_xyz(_SRGB)) @ _to_xyz(chromaticities)
    linear = np.clip(values**gamma @ matrix.T.astype(np.float32), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _with_alpha(Image.fromarray((encoded * 255 + 0.5).astype(np.uint8)), alpha)


def _to_xyz(chromaticities: tuple[float, ...]) -> np.ndarray:
    """Returns (3, 3) from linear colours to XYZ under the white of sRGB, adapted after Bradford."""
    points = np.array(chromaticities, np.float64).reshape(4, 2)
    xyz = np.stack([points[:, 0], points[:, 1], 1 - points.sum(1)], 1) / points[:, 1:]
    white, primaries = xyz[0], xyz[1:].T
    matrix = primaries * np.linalg.solve(primaries, white)
    target = np.array([_SRGB[0], _SRGB[1], 1 - _SRGB[0] - _SRGB[1]]) / _SRGB[1]
    adaptation = np.diag((_BRADFORD @ target) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ adaptation @ _BRADFORD @ matrix


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode in ("P", "PA", "RGBa", "La") or (image.mode == "RGB" and "transparency" in image.info):
        image = image.convert("RGBA" if image.mode != "P" or "transparency" in image.info else "RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        return image.convert(image.mode[:-1]), alpha
    return (image.convert("RGB") if image.mode in ("YCbCr", "HSV", "RGBX") else image), None


def _with_alpha(image: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is not None:
        image.putalpha(alpha)
    return image
