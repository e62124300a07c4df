"""Coded portraits as photographs come: hair in strands, things before the face, few and compressed pixels.

`coded_portrait.py` paints hair onto the head; the residual network, which learned from renders with strands,
makes them of it. Things are hands, sheets, bars and frames of glasses in one colour with some shade.
"""

import dataclasses
import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from ...geometry.srgb import from_srgb
from ...models.residual.channels import CHANNELS, see_drawing
from ...models.residual.render_residual import RenderResidual, default_residual
from .coded_portrait import SIZE, CodedPortrait, coded_portrait, linear_pixels, stored_picture

WITH_STRANDS, COVERED, POOR = 0.6, 0.2, 0.3
"""Shares of the portraits of a training."""
_KNOWN_LIGHT = 0.05
"""Mean change of bare skin, sRGB, above which the residual does not know a light."""
_HAIR, _PARTS = ("hairline",), ("brow", "moustache", "chin", "jaw", "inside", "eye")


def portrait_with_strands(shown: CodedPortrait, network: RenderResidual | None = None) -> CodedPortrait:
    """Returns a portrait with hair in strands, and eyes, mouth and outline as renders have them.

    Bare skin stays the exact decoder's. Where the network changes it much, the light is one that it does not
    know, and the portrait comes back as it was.

    Args:
        shown: with painted hair.
        network: None: that of the default set.

    Raises:
        UserError: the default set has no residual.
    """
    network = network or default_residual()
    drawing = see_drawing(shown.codes, shown.camera, shown.nuisance, seen=shown.seen)
    found = network.finish(drawing)
    fields = {name: drawing.channels[CHANNELS.index(name)] for name in (*_HAIR, *_PARTS)}
    hairy = torch.stack([(fields[name] > 0.05).float() for name in _PARTS]).amax(0)
    hairy = torch.maximum(hairy, (fields["hairline"] > -0.2).float() * drawing.mask)
    inner = -functional.max_pool2d(-drawing.mask[None, None], 5, 1, 2)[0, 0]
    bare = inner * (1 - hairy)
    if float(bare.sum()) > 0:
        changed = (found.colour[0] - drawing.picture).abs().mean(0)
        if float((changed * bare).sum() / bare.sum()) > _KNOWN_LIGHT:
            return shown
    weight = functional.avg_pool2d(1 - bare[None, None], 5, 1, 2, count_include_pad=False)[0]
    colour = drawing.picture + weight * (found.colour[0] - drawing.picture)
    colour = colour.permute(1, 2, 0).numpy().clip(0, 1)
    cover = found.cover[0].numpy()[..., None]
    linear = cover * from_srgb(colour) + (1 - cover) * shown.ground
    return dataclasses.replace(shown, pixels=stored_picture(linear.astype(np.float32), shown.number))


def draw_thing(random: np.random.Generator, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws something between the camera and the face.

    Args:
        random: source of chance.
        eyes: (2, 2) pixels, the picture's left eye first.

    Returns:
        How far it covers each pixel (256, 256), 0..1, and its linear colour (256, 256, 3).
    """
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    unit = max(float(np.linalg.norm(eyes[1] - eyes[0])), 8.0)
    middle = eyes.mean(0)
    kind = int(random.integers(4))
    if kind == 3:  # glasses
        width, radius = random.uniform(0.03, 0.09) * unit, random.uniform(0.30, 0.42) * unit
        square = random.uniform(2, 5)
        inside = np.full((SIZE, SIZE), np.inf)
        for eye in eyes + (0, 0.05 * unit):
            away = (np.abs(column - eye[0]) / radius) ** square
            away = away + (np.abs(row - eye[1]) / (0.8 * radius)) ** square
            inside = np.minimum(inside, away ** (1 / square) * radius)
        rims = np.abs(inside - radius) < width / 2
        along = (eyes[1] - eyes[0]) / unit
        across = (column - middle[0]) * along[1] - (row - middle[1]) * along[0]
        beside = (column - middle[0]) * along[0] + (row - middle[1]) * along[1]
        bridge = (np.abs(across) < width / 2) & (np.abs(beside) < 0.5 * unit - radius)
        cover = (rims | bridge).astype(np.float64)
    else:
        place = middle + unit * np.array([random.normal(0, 0.9), random.uniform(-0.6, 2.2)])
        angle = random.uniform(0, np.pi)
        along = (column - place[0]) * np.cos(angle) + (row - place[1]) * np.sin(angle)
        across = (row - place[1]) * np.cos(angle) - (column - place[0]) * np.sin(angle)
        if kind == 0:  # a hand, a cup
            wave = gaussian_filter(random.standard_normal((SIZE, SIZE)), 0.15 * unit)
            edge = 0.15 * wave / max(float(wave.std()), 1e-9)
            long, wide = random.uniform(0.3, 1.1) * unit, random.uniform(0.2, 0.6) * unit
            cover = ((along / long) ** 2 + (across / wide) ** 2 < 1 + edge).astype(np.float64)
        elif kind == 1:  # a sheet, a phone
            sides = np.abs(along) < random.uniform(0.2, 0.8) * unit
            cover = (sides & (np.abs(across) < random.uniform(0.15, 0.6) * unit)).astype(np.float64)
        else:  # a bar, a strand, a cable
            cover = (np.abs(across) < random.uniform(0.02, 0.15) * unit).astype(np.float64)
    soft = gaussian_filter(cover, random.uniform(0.4, 1.5))
    shade = gaussian_filter(random.standard_normal((SIZE, SIZE)), random.uniform(2, 12))
    shade = np.exp(0.15 * shade / max(float(shade.std()), 1e-9))
    colour = random.uniform(0.02, 0.8) * np.exp(random.normal(0, 0.35, 3))
    return soft, shade[..., None] * colour.clip(0.005, 0.95)


def portrait_with_thing(shown: CodedPortrait, random: np.random.Generator) -> CodedPortrait:
    """Returns a portrait with something before the face, in the face's light."""
    rest = shown.seen.rest
    rows, columns = np.nonzero(shown.seen.mask)
    eyes = []
    for side in (-1, 1):
        at = np.array([side * 0.032, rest[:, 1].min() + 0.03, 0.03])
        nearest = int(np.argmin(np.square(rest[:, ::2] - at[::2]).sum(1)))
        eyes.append((columns[nearest] + 0.5, rows[nearest] + 0.5))
    eyes = np.array(sorted(eyes))
    cover, colour = draw_thing(random, eyes)
    level = np.exp(shown.codes.illumination[:3])
    linear = linear_pixels(shown.pixels)
    thing = (colour * level).astype(np.float32)
    covered = cover[..., None] * thing + (1 - cover[..., None]) * linear
    return dataclasses.replace(shown, pixels=stored_picture(covered.astype(np.float32), shown.number))


def poor_portrait(shown: CodedPortrait, random: np.random.Generator) -> CodedPortrait:
    """Returns a portrait that was small, soft and compressed, at the size that it had before."""
    size = round(SIZE / float(np.exp(random.uniform(np.log(1.3), np.log(5)))))
    small = np.asarray(Image.fromarray(shown.pixels).resize((size, size), Image.Resampling.BOX), np.float32)
    soft = gaussian_filter(small, (*[random.uniform(0, 1)] * 2, 0))
    stored = io.BytesIO()
    Image.fromarray((soft + 0.5).clip(0, 255).astype(np.uint8)).save(
        stored, "JPEG", quality=int(random.integers(15, 95))
    )
    large = Image.open(stored).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return dataclasses.replace(shown, pixels=np.array(large))


def training_portrait(
    first: int, number: int, made: Callable[[int, int], CodedPortrait] = coded_portrait
) -> CodedPortrait:
    """Makes a portrait of a training's set: some have strands, something before the face, few pixels.

    Args:
        first, number: as of `coded_portrait`.
        made: makes the portrait with painted hair.

    Raises:
        UserError: the default set has no residual.
    """
    random = np.random.default_rng([first, number, 0x5E])
    strands, covered, poor = random.random(3) < (WITH_STRANDS, COVERED, POOR)
    shown = made(first, number)
    if strands:
        shown = portrait_with_strands(shown)
    if covered:
        shown = portrait_with_thing(shown, random)
    if poor:
        shown = poor_portrait(shown, random)
    return shown


def _random(first: int, number: int) -> np.random.Generator:
    return np.random.default_rng([first, number, 0x5F])


VARIATIONS: dict[str, Callable[[int, int], CodedPortrait]] = {
    "strands": lambda first, number: portrait_with_strands(coded_portrait(first, number)),
    "things": lambda first, number: portrait_with_thing(
        coded_portrait(first, number), _random(first, number)
    ),
    "few_pixels": lambda first, number: poor_portrait(coded_portrait(first, number), _random(first, number)),
}
"""Makers of portraits with one variation each, of the first person's seed and a number."""
