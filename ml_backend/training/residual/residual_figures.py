"""Figures of the residual on held-out people: the drawing alone, with the residual, and a mean picture."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from ...fitting.attributes.code_figures import picture_errors
from ...geometry.srgb import from_srgb, to_srgb
from ...models.face_renderer import Nuisance, camera_of
from ...models.residual.channels import CHANNELS, SIDE, see_drawing
from ...models.residual.render_residual import RenderResidual
from .rendered_pictures import RenderedPortrait, ResidualPairs

GROUND = 0.18
"""Linear grey behind the heads of the figures."""
_MARGIN = 6


def on_ground(colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Returns (..., H, W, 3) sRGB in 0..1 of colours (..., H, W, 3) sRGB with a cover (..., H, W) on grey."""
    share = cover[..., None]
    return to_srgb(np.clip(from_srgb(np.clip(colour, 0, 1)) * share + GROUND * (1 - share), 0, 1))


def head_box(cover: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns (H, W) bool, the box around a cover and a mask (H, W) with a margin of 6 pixels."""
    rows, columns = (np.flatnonzero(((cover > 0.1) | (mask > 0)).any(axis)) for axis in (1, 0))
    box = np.zeros(cover.shape, bool)
    if len(rows):
        box[
            max(rows[0] - _MARGIN, 0) : rows[-1] + _MARGIN,
            max(columns[0] - _MARGIN, 0) : columns[-1] + _MARGIN,
        ] = 1
    return box


def _compare(made: np.ndarray, true: np.ndarray, box: np.ndarray) -> dict[str, float]:
    """Returns `db` and `ssim` of pictures (H, W, 3) in 0..1 inside a box (H, W)."""
    error = float(np.square(made - true)[box].mean())
    pixels = [(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8) for picture in (made, true)]
    return {
        "db": float(-10 * np.log10(max(error, 1e-9))),
        "ssim": picture_errors(pixels[0], pixels[1], box)["ssim"],
    }


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one > 0.5, other > 0.5
    return float((one & other).sum() / max((one | other).sum(), 1))


def residual_figures(
    network: RenderResidual, held: Sequence[RenderedPortrait], pairs: ResidualPairs, mean: np.ndarray | None
) -> dict[str, float]:
    """Returns means over people.

    Args:
        network: in evaluation mode.
        held: portraits; pairs: theirs.
        mean: (256, 256, 4) in 0..1, the mean colour and cover of other people's pictures, or None.

    Returns:
        `exact_`, `residual_`, `mean_` with `db`, `ssim` (inside the head's box) and `iou` (of masks);
        `hair_db` and `eyes_db`: of pixels that are hair's or the eyes' and mouth's, of both drawings.
    """
    rows: dict[str, list[float]] = {}
    for index in range(len(pairs)):
        channels, condition, colour, cover = pairs.batch(np.array([index]))
        with torch.inference_mode():
            found = network(channels, condition)
        mask = channels[0, 3].numpy()
        true = on_ground(colour[0].permute(1, 2, 0).numpy(), cover[0].numpy())
        box = head_box(cover[0].numpy(), mask)
        drawings = {
            "exact": (channels[0, :3].permute(1, 2, 0).numpy(), mask),
            "residual": (found.colour[0].permute(1, 2, 0).numpy(), found.cover[0].numpy()),
        }
        if mean is not None:
            drawings["mean"] = (mean[..., :3], mean[..., 3])
        field = {name: channels[0, number].numpy() for number, name in enumerate(CHANNELS)}
        parts = {
            "hair": ((field["hairline"] > 0) | (mask == 0)) & (cover[0].numpy() > 0.2),
            "eyes": (field["eye"] > 0.5) | (field["inside"] > 0.5),
        }
        for name, (shown, over) in drawings.items():
            made = on_ground(shown, over)
            for key, value in _compare(made, true, box).items():
                rows.setdefault(f"{name}_{key}", []).append(value)
            rows.setdefault(f"{name}_iou", []).append(_overlap(over, cover[0].numpy()))
            for part, chosen in parts.items():
                if name != "mean" and chosen.sum() > 8:
                    error = float(np.square(made - true)[chosen].mean())
                    rows.setdefault(f"{name}_{part}_db", []).append(-10 * np.log10(max(error, 1e-9)))
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def mean_picture(pairs: ResidualPairs) -> np.ndarray:
    """Returns (256, 256, 4) in 0..1: the mean colour, weighted by the cover, and the mean cover."""
    weights = pairs.cover.float() / 255
    total = weights.sum(0).clamp_min(1e-6)
    colour = torch.zeros(3, SIDE, SIDE)
    for index in range(len(pairs)):
        colour += pairs.colour[index].float() / 255 * weights[index]
    return np.concatenate([(colour / total).permute(1, 2, 0).numpy(), weights.mean(0)[..., None].numpy()], 2)


def milliseconds(network: RenderResidual, portrait: RenderedPortrait, repeats: int = 5) -> dict[str, float]:
    """Returns medians of milliseconds: `exact_ms` of a drawing of 256 with its channels, `residual_ms` of the
    network."""
    camera = camera_of(portrait.codes, portrait.focal, SIDE, SIDE)
    times: dict[str, list[float]] = {"exact_ms": [], "residual_ms": []}
    for _ in range(repeats):
        began = time.perf_counter()
        drawing = see_drawing(portrait.codes, camera, Nuisance(iris=tuple(portrait.iris)))
        drawn = time.perf_counter()
        network.finish(drawing)
        times["exact_ms"].append(1000 * (drawn - began))
        times["residual_ms"].append(1000 * (time.perf_counter() - drawn))
    return {name: round(float(np.median(values)), 1) for name, values in times.items()}
