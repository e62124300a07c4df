"""The curves of a training run's log.jsonl as one picture: a panel for each stage, a line for each figure that it logs."""

import json
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..errors import UserError

PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 720, 260, 58
BACKGROUND, AXIS, GRID_LINE, TEXT = (250, 250, 248), (70, 70, 70), (224, 224, 220), (40, 40, 40)
COLOURS = (
    (31, 97, 165),
    (196, 84, 26),
    (52, 128, 68),
    (140, 60, 140),
    (120, 100, 40),
    (0, 130, 140),
    (170, 40, 60),
    (90, 90, 90),
)
_NOT_CURVES = {"stage", "seconds", "step", "minutes_left"}


def read_log(path: Path) -> dict[str, list[dict]]:
    """Records with a step by stage, in order.

    Raises:
        UserError: the file is missing, is no log, or no stage has two records.
    """
    try:
        records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        stages: dict[str, list[dict]] = {}
        for record in records:
            if "step" in record:
                stages.setdefault(str(record["stage"]), []).append(record)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}).", "Give the log.jsonl of a training run's folder."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no training log.", "Give the log.jsonl of a training run's folder."
        ) from error
    stages = {name: rows for name, rows in stages.items() if len(rows) > 1}
    if not stages:
        raise UserError(f"{path}: no stage has logged two steps.", "Let the run go on for a while.")
    return stages


def curves_of(rows: list[dict]) -> dict[str, list[tuple[float, float]]]:
    """(step, value) of each figure that a stage's records hold; values that are no finite number are left out."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in _NOT_CURVES and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((float(row["step"]), float(value)))
    return {name: points for name, points in found.items() if len(points) > 1}


def draw_training_curve(log: Path, picture: Path) -> None:
    """Draws log.jsonl as a PNG.

    Each line is scaled to its own range, on a logarithmic scale where its values are positive and span more
    than a factor of
    four; the legend gives its first and last value.

    Raises:
        UserError: as `read_log`.
    """
    stages = read_log(log)
    image = Image.new("RGB", (PANEL_WIDTH + 300, PANEL_HEIGHT * len(stages)), BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    for index, (stage, rows) in enumerate(stages.items()):
        _draw_stage(draw, font, PANEL_HEIGHT * index, stage, rows)
    image.save(picture)


def _draw_stage(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    top: int,
    stage: str,
    rows: list[dict],
) -> None:
    left, right, upper, lower = MARGIN, PANEL_WIDTH - 16, top + 34, top + PANEL_HEIGHT - 36
    minutes = (rows[-1]["seconds"] - rows[0]["seconds"]) / 60
    draw.text((left, top + 10), f"{stage}: {minutes:.1f} minutes", fill=TEXT, font=font)
    first, last = float(rows[0]["step"]), float(rows[-1]["step"])
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + share * (right - left), lower - share * (lower - upper)
        draw.line([(x, upper), (x, lower)], fill=GRID_LINE)
        draw.line([(left, y), (right, y)], fill=GRID_LINE)
        draw.text((x, lower + 6), f"{first + share * (last - first):.0f}", fill=TEXT, font=font, anchor="ma")
    draw.rectangle([left, upper, right, lower], outline=AXIS)
    for number, (name, points) in enumerate(curves_of(rows).items()):
        colour = COLOURS[number % len(COLOURS)]
        heights = heights_of([value for _, value in points])
        line = [
            (
                left + (step - first) / max(last - first, 1e-9) * (right - left),
                lower - height * (lower - upper),
            )
            for (step, _), height in zip(points, heights, strict=True)
        ]
        draw.line(line, fill=colour, width=2, joint="curve")
        y = upper + 20 * number
        draw.line([(PANEL_WIDTH, y + 9), (PANEL_WIDTH + 22, y + 9)], fill=colour, width=3)
        draw.text(
            (PANEL_WIDTH + 30, y), f"{name}  {points[0][1]:.3g} to {points[-1][1]:.3g}", fill=TEXT, font=font
        )


def heights_of(values: list[float]) -> list[float]:
    """Values as heights in 0..1 of their own range, logarithmic where they are positive and span more than a factor of four."""
    if min(values) > 0 and max(values) > 4 * min(values):
        values = [math.log(value) for value in values]
    low, span = min(values), max(values) - min(values)
    return [(value - low) / span if span else 0.5 for value in values]
