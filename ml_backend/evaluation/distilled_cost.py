"""What the distilled detail costs: milliseconds an update, megabytes of the file."""

import statistics
import time
from pathlib import Path

import numpy as np

from ..models.distilled_detail import DEFAULT_FILE, DistilledDetail


def update_cost(path: Path = DEFAULT_FILE, points: int = 72_000, repeats: int = 30) -> dict[str, float]:
    """Times what a slider costs: new coefficients, and the displacement of every vertex.

    Args:
        path: the model.
        points: vertices.
        repeats: updates, of different expressions; the median counts.

    Returns:
        ms (an update), coefficients_ms (of it, the network), mb (the file).
    """
    model = DistilledDetail.load(path)
    random = np.random.default_rng(0)
    fields = model.fields_at(random.uniform(0.2, 0.8, (points, 2)).astype(np.float32))
    identity, skin = np.zeros(model.identity_size, np.float32), np.zeros(model.skin_size, np.float32)
    both, network = [], []
    for _ in range(repeats + 1):
        expression = random.random(model.expression_size, np.float32)
        began = time.perf_counter()
        coefficients = model.coefficients(identity, skin, expression)
        network.append(time.perf_counter() - began)
        fields.at(coefficients)
        both.append(time.perf_counter() - began)
    median = [round(1000 * statistics.median(times[1:]), 4) for times in (both, network)]
    return {"ms": median[0], "coefficients_ms": median[1], "mb": round(path.stat().st_size / 1e6, 3)}
