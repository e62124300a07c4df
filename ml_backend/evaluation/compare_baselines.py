"""Fits the rows that Detailed3DMM is measured beside, to the same people."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..datasets.map_set import MapSet
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.distilled_detail import DistilledDetail
from .detail_baselines import PrincipalMaps, Ridge, fit_multilayer, fit_principal_maps
from .vertex_baselines import VertexBaseline, fit_vertex_baseline

VERTEX_COUNTS = (1700, 5000)


@dataclasses.dataclass
class Baselines:
    """The rows beside the model's own.

    Attributes:
        model: for the generator that the vertex encoders share.
        space: principal components of the training maps.
        regressions: ridge rows by name.
        multilayer: mlp_pca.
        mean: (R, R) mean map.
        vertices: vertex encoders by name.
        distilled: the distilled detail that is shipped.
    """

    model: Detailed3DMM
    space: PrincipalMaps
    regressions: dict[str, Ridge]
    multilayer: torch.nn.Module
    mean: Tensor
    vertices: dict[str, VertexBaseline]
    distilled: DistilledDetail

    def make(
        self, identity: np.ndarray, skin: np.ndarray, expressions: np.ndarray, truth: Tensor
    ) -> dict[str, Tensor]:
        """Makes maps (E, R, R) by row, of one person (K,), (16,) under expressions (E, 52).

        `truth` (E, R, R) is there for its projection.
        """
        count = len(expressions)
        resolution = truth.shape[-1]
        people = np.repeat(identity[None], count, 0), np.repeat(skin[None], count, 0)
        condition = torch.from_numpy(np.concatenate(people, 1))
        faces = torch.from_numpy(expressions)
        found = {"zero": torch.zeros_like(truth), "mean": self.mean.expand(count, -1, -1)}
        for name, regression in self.regressions.items():
            found[name] = self.space.draw(regression(condition, faces))
        with torch.inference_mode():
            found["mlp_pca"] = self.space.draw(self.multilayer(torch.cat([condition, faces], 1)))
        for name, encoder in self.vertices.items():
            found[name] = torch.from_numpy(
                encoder.displacement(self.model, identity, skin, expressions, resolution)
            )
        found["distilled"] = torch.from_numpy(self.distilled.displacement(*people, expressions, resolution))
        found["truth_pca"] = self.space.draw(self.space.project(truth))
        return found


def fit_baselines(
    model: Detailed3DMM,
    face: BilinearFace,
    sets: dict[str, MapSet],
    resolution: int,
    minutes: float,
    tell: Callable[[str], None],
) -> Baselines:
    """Fits the rows to the training people.

    Args:
        model: the model that is measured.
        face: the face model.
        sets: training maps, `coarse` and perhaps `fine`.
        resolution: R of the rows.
        minutes: training time of each network among them.
        tell: told what is under way.
    """
    coarse = sets["coarse"]
    fine = sets.get("fine", sets["coarse"])
    tell("principal components of the training maps")
    space = fit_principal_maps(coarse, fine, resolution)
    tell("ridge regressions")
    regressions = {
        "ridge": Ridge.fit(coarse, space.coefficients, products=False),
        "ridge_products": Ridge.fit(coarse, space.coefficients, products=True),
    }
    tell("mlp_pca")
    multilayer = fit_multilayer(coarse, space.coefficients, minutes)
    vertices = {}
    for count in VERTEX_COUNTS:
        tell(f"vertex encoder of {count}")
        vertices[f"vertices_{count}"] = fit_vertex_baseline(model, face, coarse, count, minutes)
    mean = space.draw(space.coefficients.mean(0, keepdim=True))[0]
    return Baselines(model, space, regressions, multilayer, mean, vertices, DistilledDetail.load())
