"""Figures of the radiance field against the exact decoder, on people that no training saw."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ...datasets.map_set import HELD_OUT_SEED
from ...fitting.attributes.code_figures import picture_errors
from ...models.face_codes import SIZES, FaceCodes
from ...models.face_renderer import HeadFields, picture_of
from ...models.head_field.face_field import FaceField, draw_field
from ...models.head_field.framing import view_camera
from ...simulation.portraits.coded_portrait import draw_codes
from ...simulation.portraits.drawn_views import DrawnView, draw_view
from .field_losses import FIRST_SEED

HELD_SEED = HELD_OUT_SEED + 30_000
YAWS = (-40, -20, 0, 20, 40)
GROUND = 0.18


@lru_cache(maxsize=128)
def held_view(number: int, yaw: int, size: int) -> DrawnView:
    """Returns the exact drawing of a held-out person from a side."""
    return person_view(HELD_SEED, number, yaw, size)


def person_view(first: int, number: int, yaw: int, size: int) -> DrawnView:
    """Returns the exact drawing of a person of a set from a side, in light that suits the front view."""
    face = HeadFields.default().face
    codes, _, random = draw_codes(first, number, face)
    front = draw_view(codes, view_camera(face, 0, 0, size // 2), random)
    return draw_view(front.codes, view_camera(face, yaw, 0, size))


def shown(linear: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Returns (H, W, 3) uint8 of linear light before a grey ground, by the cover (H, W)."""
    return picture_of(GROUND + (np.clip(linear, 0, 1) - GROUND) * cover[..., None])


def exact_picture(view: DrawnView) -> np.ndarray:
    """Returns (H, W, 3) uint8 of a view."""
    return shown(view.linear, view.mask.astype(np.float32))


def psnr(made: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    """Returns decibels of pictures (H, W, 3) uint8 inside a mask (H, W)."""
    away = (made.astype(np.float64) - true)[mask]
    return float(10 * np.log10(255**2 / max(np.square(away).mean(), 1e-9)))


def compare(made: np.ndarray, true: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Returns PSNR and SSIM on the head and PSNR of the whole picture."""
    return {
        "psnr": psnr(made, true, mask),
        "ssim": picture_errors(made, true, mask)["ssim"],
        "psnr_whole": psnr(made, true, np.ones_like(mask)),
    }


def mean_codes() -> FaceCodes:
    """Returns the codes of the mean face."""
    return FaceCodes(**{name: np.zeros(size, np.float32) for name, size in SIZES.items()})


def mean_picture(yaw: int, size: int, people: int) -> np.ndarray:
    """Returns the mean of so many drawn people from a side, (size, size, 3) uint8."""
    views = [person_view(FIRST_SEED, number, yaw, size) for number in range(people)]
    return (np.mean([exact_picture(view) for view in views], 0) + 0.5).astype(np.uint8)


def view_figures(field: FaceField, people: int, yaws: Sequence[int] = YAWS) -> dict[str, float]:
    """Returns the means of `compare` over people, at the front and at the other yaws together."""
    found: dict[str, list[float]] = {}
    for number in range(people):
        views = [held_view(number, yaw, field.config.size) for yaw in yaws]
        linear, cover = draw_field([view.codes for view in views], [view.camera for view in views], field)
        for row, (yaw, view) in enumerate(zip(yaws, views, strict=True)):
            both = view.mask | (cover[row] > 0.5)
            side = "novel" if yaw else "front"
            for name, value in compare(shown(linear[row], cover[row]), exact_picture(view), both).items():
                found.setdefault(f"{side}_{name}", []).append(value)
            overlap = (view.mask & (cover[row] > 0.5)).sum() / both.sum()
            found.setdefault(f"{side}_overlap", []).append(float(overlap))
    return {name: float(np.mean(values)) for name, values in found.items()}


def baseline_figures(people: int, size: int, yaws: Sequence[int] = YAWS) -> dict[str, dict[str, float]]:
    """Returns, as `view_figures` does, how far off the mean picture of a side is, and the exact drawing of
    the mean face in each person's light."""
    face = HeadFields.default().face
    means = {yaw: mean_picture(yaw, size, 2 * people) for yaw in yaws}
    found: dict[str, dict[str, list[float]]] = {"mean_picture": {}, "mean_face": {}}
    for number in range(people):
        for yaw in yaws:
            view = held_view(number, yaw, size)
            true = exact_picture(view)
            usual = replace(mean_codes(), illumination=view.codes.illumination)
            mean = draw_view(usual, view_camera(face, yaw, 0, size))
            side = "novel" if yaw else "front"
            for name, made, mask in (
                ("mean_picture", means[yaw], view.mask),
                ("mean_face", exact_picture(mean), view.mask | mean.mask),
            ):
                for key, value in compare(made, true, mask).items():
                    found[name].setdefault(f"{side}_{key}", []).append(value)
    return {name: {key: float(np.mean(values)) for key, values in row.items()} for name, row in found.items()}


def milliseconds(field: FaceField, repeats: int = 8) -> dict[str, float]:
    """Returns the median time of one view by the field and by the exact decoder, its surface sought anew."""
    view = held_view(0, 0, field.config.size)
    times: dict[str, list[float]] = {"field_ms": [], "exact_ms": []}
    for _ in range(repeats):
        begun = time.perf_counter()
        draw_field([view.codes], [view.camera], field)
        between = time.perf_counter()
        draw_view(view.codes, view.camera)
        times["field_ms"].append(1000 * (between - begun))
        times["exact_ms"].append(1000 * (time.perf_counter() - between))
    return {name: round(float(np.median(values)), 1) for name, values in times.items()}


def sheet_rows(field: FaceField, people: int, yaws: Sequence[int] = YAWS) -> np.ndarray:
    """Returns held-out people from several sides, each row exact, the row below it by the field, uint8."""
    rows = []
    for number in range(people):
        views = [held_view(number, yaw, field.config.size) for yaw in yaws]
        linear, cover = draw_field([view.codes for view in views], [view.camera for view in views], field)
        rows.append(np.concatenate([exact_picture(view) for view in views], 1))
        rows.append(np.concatenate([shown(*pair) for pair in zip(linear, cover, strict=True)], 1))
    return np.concatenate(rows)
