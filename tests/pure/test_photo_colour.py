"""Photographs with other colour profiles than sRGB are brought to it."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000, rgb2lab

from ml_backend.fitting.photo_file import read_photo

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65, WHITE_D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SPACES = {
    "Display P3": (D65, ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), None),
    "Adobe RGB": (D65, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 563 / 256),
    "ProPhoto": (WHITE_D50, ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 1.8),
}
"""White, primaries and exponent; None for the curve of sRGB."""
SRGB = (D65, ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), None)


def to_d50(space):
    """(3, 3) from linear colours to XYZ under D50."""
    white, primaries, _ = space
    xyz = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in (white, *primaries)]
    matrix = np.stack(xyz[1:], 1) * np.linalg.solve(np.stack(xyz[1:], 1), xyz[0])
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ xyz[0]))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix


def linear(values, gamma):
    if gamma is not None:
        return values**gamma
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values, gamma):
    if gamma is not None:
        return values ** (1 / gamma)
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


def profile(space):
    """An ICC profile, version 2, of three primaries and one curve."""

    def fixed(values):
        return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)

    matrix, gamma = to_d50(space), space[2]
    curve = linear(np.linspace(0, 1, 1024), gamma)
    table = struct.pack(">4sII", b"curv", 0, 1024) + (curve * 65535 + 0.5).astype(">u2").tobytes()
    text = struct.pack(">4sII", b"desc", 0, 5) + b"test\0" + bytes(78)
    tags = {
        b"desc": text,
        b"cprt": struct.pack(">4sI", b"text", 0) + b"none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(D50),
    }
    tags |= {
        name: b"XYZ \0\0\0\0" + fixed(matrix[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), table)
    index, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        index += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"none",
        0x02400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        bytes(12),
        b"acsp",
    )
    head += bytes(28) + fixed(D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + index + body


def skin_patches():
    """(6, 8, 3) linear sRGB: skin from dark to light in several lights."""
    tones = np.array([[0.70, 0.44, 0.33], [0.45, 0.26, 0.17], [0.2, 0.1, 0.06], [0.10, 0.045, 0.027]])
    levels = np.linspace(0.5, 1.2, 8)[:, None]
    rows = [tone * levels for tone in tones]
    return np.stack([*rows, np.repeat(levels * 0.5, 3, 1), tones[0] * levels * (0.8, 1.0, 1.2)])


def shown(space, size=16):
    """The patches in a colour space as an 8-bit picture."""
    values = skin_patches() @ (np.linalg.inv(to_d50(space)) @ to_d50(SRGB)).T
    pixels = (encoded(np.clip(values, 0, 1), space[2]) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels.repeat(size, 0).repeat(size, 1))


def difference(photo, space=SRGB, size=16):
    """Levels of 255 from the exact conversion at most, and the median CIEDE2000 from the patches.

    Eight bits on both sides cost 0.2 to 0.3 of a unit by themselves.
    """
    stored = np.asarray(shown(space))[size // 2 :: size, size // 2 :: size] / 255
    exact = linear(stored, space[2]) @ (np.linalg.inv(to_d50(SRGB)) @ to_d50(space)).T
    exact = encoded(np.clip(exact, 0, 1), None)
    seen = photo.pixels[size // 2 :: size, size // 2 :: size] / 255
    truth = np.clip(encoded(skin_patches(), None), 0, 1)
    apart = deltaE_ciede2000(rgb2lab(truth), rgb2lab(seen))
    return float(np.abs(seen - exact).max() * 255), float(np.median(apart))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("name", SPACES)
def test_profiles_of_wide_colours_are_converted(tmp_path, name, suffix):
    path = tmp_path / f"photo{suffix}"
    more = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    shown(SPACES[name]).save(path, icc_profile=profile(SPACES[name]), **more)
    levels, apart = difference(read_photo(path), SPACES[name])
    assert levels < 0.6 and apart < 0.35 if suffix != ".jpg" else levels < 6 and apart < 0.7


def test_without_the_profile_the_colours_would_be_others(tmp_path):
    shown(SPACES["ProPhoto"]).save(tmp_path / "photo.png")
    assert difference(read_photo(tmp_path / "photo.png"))[1] > 2


def test_srgb_transparent_damaged_and_foreign_profiles_leave_the_picture_readable(tmp_path):
    picture = shown(SRGB)
    for index, data in enumerate(
        (
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
            profile(SRGB),
            b"no profile" * 20,
        )
    ):
        picture.save(tmp_path / f"{index}.png", icc_profile=data)
        assert difference(read_photo(tmp_path / f"{index}.png"))[0] < 0.6
    wide = shown(SPACES["Display P3"])
    wide.putalpha(255)
    wide.save(tmp_path / "alpha.png", icc_profile=profile(SPACES["Display P3"]))
    assert difference(read_photo(tmp_path / "alpha.png"), SPACES["Display P3"])[0] < 0.6
    grey = picture.convert("L")
    grey.save(tmp_path / "grey.png", icc_profile=profile(SPACES["Display P3"]))
    assert np.ptp(read_photo(tmp_path / "grey.png").pixels, axis=2).max() <= 1
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", icc_profile=profile(SRGB))
    assert read_photo(tmp_path / "cmyk.jpg").pixels.shape == (96, 128, 3)


def test_adobe_rgb_by_exif_and_primaries_of_png_are_converted(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    shown(SPACES["Adobe RGB"]).save(tmp_path / "marked.jpg", quality=100, subsampling=0, exif=exif)
    assert difference(read_photo(tmp_path / "marked.jpg"), SPACES["Adobe RGB"])[1] < 0.6
    from PIL.PngImagePlugin import PngInfo

    white, primaries, gamma = SPACES["Adobe RGB"]
    chunks = PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", round(100000 / gamma)))
    chunks.add(
        b"cHRM",
        struct.pack(">8I", *(round(value * 100000) for point in (white, *primaries) for value in point)),
    )
    shown(SPACES["Adobe RGB"]).save(tmp_path / "primaries.png", pnginfo=chunks)
    assert difference(read_photo(tmp_path / "primaries.png"), SPACES["Adobe RGB"])[0] < 0.6


def test_giant_pictures_are_refused_before_they_are_decoded(tmp_path):
    import zlib

    from ml_backend.errors import UserError

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for name, side in (("giant", 25_000), ("bomb", 40_000)):
        head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        body = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        (tmp_path / f"{name}.png").write_bytes(body)
        with pytest.raises(UserError, match="more than 400 megapixels"):
            read_photo(tmp_path / f"{name}.png")
