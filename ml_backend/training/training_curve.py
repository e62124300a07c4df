"""Draws the curves of a run's log.jsonl: a panel for each stage, a line for each figure."""

import json
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import UserError

PANEL_INCHES = (10.2, 2.6)
DOTS_PER_INCH = 100
LINE_COLOURS = ("#1f61a5", "#c45416", "#348044", "#8c3c8c", "#786428", "#00828c", "#aa283c", "#5a5a5a")
_NOT_CURVES = {"stage", "seconds", "step", "minutes_left"}


def read_log(path: Path) -> dict[str, list[dict]]:
    """Reads the records with a step, by stage, in order.

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
    """Returns (step, value) of each figure that a stage's records hold.

    Values that are not finite are left out.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in _NOT_CURVES and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(name, []).append((float(row["step"]), float(value)))
    return {name: points for name, points in curves.items() if len(points) > 1}


def draw_training_curve(log: Path, picture: Path) -> None:
    """Draws log.jsonl as a PNG.

    Each line is scaled to its own range, on a logarithmic scale where its values are positive and span more
    than a factor of four; the legend gives its first and last value.

    Args:
        log: the log.
        picture: the PNG to write.

    Raises:
        UserError: as `read_log`.
    """
    stages = read_log(log)
    width, height = PANEL_INCHES
    figure = Figure((width, height * len(stages)), DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(len(stages), squeeze=False)[:, 0]
    for panel, (stage, rows) in zip(panels, stages.items(), strict=True):
        _draw_stage(panel, stage, rows)
    figure.savefig(picture, format="png")


def _draw_stage(panel: Axes, stage: str, rows: list[dict]) -> None:
    minutes = (rows[-1]["seconds"] - rows[0]["seconds"]) / 60
    panel.set_title(f"{stage}: {minutes:.1f} minutes", loc="left")
    panel.set_xlabel("step")
    panel.set_yticks([])
    panel.grid(True, alpha=0.4)
    panel.set_prop_cycle(color=LINE_COLOURS)
    for name, points in curves_of(rows).items():
        label = f"{name}  {points[0][1]:.3g} to {points[-1][1]:.3g}"
        panel.plot([step for step, _ in points], heights_of([value for _, value in points]), label=label)
    if panel.lines:
        panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)


def heights_of(values: list[float]) -> list[float]:
    """Returns values as heights in 0..1 of their own range.

    The scale is logarithmic where they are positive and span more than a factor of four.
    """
    if min(values) > 0 and max(values) > 4 * min(values):
        values = [math.log(value) for value in values]
    low = min(values)
    span = max(values) - low
    return [(value - low) / span if span else 0.5 for value in values]
