"""People whom no training saw, their true maps, and what is measured of maps made for them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..datasets.map_set import HELD_OUT_SEED, person
from ..datasets.sampled_expressions import FACES, named_face, sample_expressions
from ..losses.map_reconstruction import percentile_span
from ..models.bilinear_face import BilinearFace
from ..simulation.relief.face_chart import FaceChart
from ..simulation.relief.skin_simulation import SkinSimulation
from . import detail_behaviour as behaviour
from .detail_fidelity import FidelityTotals, SpectrumBins, TrueMaps

PEOPLE_FOR_SPREAD = 8
VARIETY_FACES = 6


def held_out_expressions(count: int) -> np.ndarray:
    """Returns (count, 52) expressions, the same for everybody: the named faces first, then drawn ones."""
    named = np.stack([named_face(name) for name in FACES])[:count]
    drawn = sample_expressions(max(0, count - len(named)), np.random.default_rng(HELD_OUT_SEED))
    return np.concatenate([named, drawn]).astype(np.float32)


class HeldOutPeople:
    """Held-out people under the same expressions, and the simulation that gives their true maps.

    Attributes:
        simulation: at the resolution of the maps.
        mask: (R, R) bool, the face.
        expressions: (E, 52).
        with_rest: (1 + E, 52), the face at rest before them.
        people: identity (K,) and skin (16,) of each.
        bins: for the spectrum.
        window: texels in 2 mm.
        regions: (R, R) weights by name, 0 outside the mask.
        peak, deviation: percentile span and standard deviation of the truth inside the mask, millimetres.
    """

    def __init__(self, people: int, expressions: int, resolution: int):
        face = BilinearFace.default()
        self.simulation = SkinSimulation(face, resolution=resolution)
        self.mask = self.simulation.mask.cpu()
        self.expressions = held_out_expressions(expressions)
        rest = np.zeros((1, self.expressions.shape[1]), np.float32)
        self.with_rest = np.concatenate([rest, self.expressions])
        self.people = [person(face, HELD_OUT_SEED + number) for number in range(people)]
        scale = self.chart.scale
        self.bins = SpectrumBins(resolution, scale, self.mask)
        self.window = max(3, round(2.0 / (sum(scale) / 2) * resolution))
        weights = behaviour.region_weights(face, resolution)
        self.regions = {name: weight * self.mask for name, weight in weights.items()}
        self.peak, self.deviation = self._spread()

    @property
    def chart(self) -> FaceChart:
        """The chart of the mean face."""
        return self.simulation.mean_skin.chart

    @torch.inference_mode()
    def truth(self, identity: np.ndarray, skin: np.ndarray, expressions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Simulates a person under expressions (E, 52).

        Returns:
            (E, R, R) millimetres, also outside the mask, and the strain (E, 3, G, G).
        """
        state = self.simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
        maps = self.simulation.displacement(state, torch.from_numpy(expressions)[None])[0]
        return maps, behaviour.person_strain(state, expressions)

    def compared(self, truth: Tensor) -> TrueMaps:
        """Prepares true maps (B, R, R), 0 outside the mask, for comparison."""
        return TrueMaps(truth, self.mask, self.deviation, self.bins, self.window)

    def totals(self) -> FidelityTotals:
        """Returns empty sums for one way of making maps."""
        return FidelityTotals(self.peak, self.bins)

    def _spread(self) -> tuple[float, float]:
        rows = np.linspace(0, len(self.people) - 1, min(PEOPLE_FOR_SPREAD, len(self.people))).astype(int)
        chosen = [self.people[row] for row in rows]
        maps = torch.cat([self.truth(identity, skin, self.expressions)[0] for identity, skin in chosen])
        return percentile_span(maps.numpy(), self.mask.numpy()), float(maps[:, self.mask].std())


@dataclass
class BehaviourRows:
    """Placement, direction and persistence of made and true wrinkles, one entry or more a person.

    Attributes:
        people: whose regions, mask and chart count.
    """

    people: HeldOutPeople
    placement: list[dict[str, float]] = field(default_factory=list)
    placement_truth: list[dict[str, float]] = field(default_factory=list)
    angles: list[Tensor] = field(default_factory=list)
    angles_truth: list[Tensor] = field(default_factory=list)
    persistence: list[float] = field(default_factory=list)

    def add(self, made: Tensor, truth: Tensor, strain: Tensor) -> None:
        """Adds a person's maps (1 + E, R, R), the first at rest, beside the truth and its strain."""
        regions = self.people.regions
        chart = self.people.chart
        true_change = truth[1:] - truth[:1]
        self.placement.append(behaviour.placement(made[1:] - made[:1], strain[1:], regions))
        self.placement_truth.append(behaviour.placement(true_change, strain[1:], regions))
        self.angles.append(behaviour.line_angles(made[1:], made[0], strain[1:], chart))
        self.angles_truth.append(behaviour.line_angles(truth[1:], truth[0], strain[1:], chart))
        self.persistence += behaviour.persistence(made[1:], made[0], true_change, self.people.mask)

    def figures(self) -> dict:
        """Returns the figures by the keys of `evaluate detail --json`."""
        return {
            "placement": _mean_of(self.placement),
            "placement_truth": _mean_of(self.placement_truth),
            "direction_deg": round(float(torch.cat(self.angles).median()), 2),
            "direction_deg_truth": round(float(torch.cat(self.angles_truth).median()), 2),
            "persistence": round(float(np.mean(self.persistence)), 4),
        }


def _mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}
