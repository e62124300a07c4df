"""The paper's other encoders, from vertices instead of coefficients, taught for comparison."""

import dataclasses
import itertools

import numpy as np
import torch

from ..datasets.map_set import MapSet
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.vertex_encoder import VertexEncoder
from ..training.steps import TrainingRun


@dataclasses.dataclass
class VertexBaseline:
    """A vertex encoder with the vertices that it reads.

    Attributes:
        network: the encoder.
        chosen: (V,) indices into the face's vertices.
        face: the face model.
        parameters: how many numbers it learned.
    """

    network: VertexEncoder
    chosen: np.ndarray
    face: BilinearFace
    parameters: int

    @torch.inference_mode()
    def displacement(
        self,
        model: Detailed3DMM,
        identity: np.ndarray,
        skin: np.ndarray,
        expressions: np.ndarray,
        resolution: int,
    ) -> np.ndarray:
        """Makes maps (E, R, R) of one person, millimetres.

        The model's generator and gate run from this encoder's latents.
        """
        rest = np.zeros((1, expressions.shape[1]), np.float32)
        vertices = torch.from_numpy(
            posed_vertices(self.face, identity, np.concatenate([rest, expressions]), self.chosen)
        )
        skins = torch.from_numpy(np.repeat(skin[None], len(vertices), 0))
        latents = self.network(vertices, skins) + model.generator.mean_latent.cpu()
        return model.between(
            latents[:1].expand(len(expressions), -1, -1), latents[1:], expressions, resolution
        )


def posed_vertices(
    face: BilinearFace, identity: np.ndarray, expressions: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """(E, 3 V) float32: the chosen vertices of one identity (K,) under expressions (E, 52), metres."""
    neutral, deltas = face.shapes(identity)
    flat = np.asarray(deltas, np.float32)[:, chosen].reshape(len(deltas), -1)
    return (np.asarray(neutral, np.float32)[chosen].ravel() + expressions @ flat).astype(np.float32)


def fit_vertex_baseline(
    model: Detailed3DMM,
    face: BilinearFace,
    maps: MapSet,
    count: int,
    minutes: float,
    steps: int = 1_000_000,
    people: int = 1000,
) -> VertexBaseline:
    """Teaches an encoder from `count` vertices the latents of the model's own encoder.

    Teaching by latents costs a hundredth of teaching by maps. It bounds the baseline by its teacher: the row
    tells whether vertices say what coefficients say, not which loss is better.

    Args:
        model: teacher, and the generator of the baseline's maps.
        face: the face model.
        maps: training people and expressions; its maps are not read.
        count: vertices, spread evenly over the skin's.
        minutes, steps: bounds of the training.
        people: at most so many rows' worth of people are used, times 8.
    """
    skin_vertices = np.unique(np.asarray(face.polygons)[np.asarray(face.polygon_part) == 0])
    skin_vertices = skin_vertices[skin_vertices >= 0]
    pool = skin_vertices if len(skin_vertices) >= count else np.arange(face.vertex_count)
    chosen = pool[np.linspace(0, len(pool) - 1, min(count, len(pool))).astype(int)]
    rows = np.arange(min(len(maps), 8 * people))
    vertices = np.empty((len(rows), 3 * len(chosen)), np.float32)
    changes = np.flatnonzero(np.r_[True, (maps.identity[rows][1:] != maps.identity[rows][:-1]).any(1), True])
    for start, stop in itertools.pairwise(changes):
        vertices[start:stop] = posed_vertices(face, maps.identity[start], maps.expression[start:stop], chosen)
    with torch.inference_mode():
        parts = np.array_split(rows, max(1, len(rows) // 512))
        wanted = torch.cat(
            [model.latent(maps.identity[p], maps.skin[p], maps.expression[p]).cpu() for p in parts]
        )
        wanted = wanted - model.generator.mean_latent.cpu()
    spread = wanted.var(0).mean(-1, keepdim=True).clamp_min(1e-9)
    torch.manual_seed(0)
    config = model.encoder.config
    network = VertexEncoder(len(chosen), config.skin_size, config.hidden, config.latent_width, config.styles)
    network.mean.copy_(torch.from_numpy(vertices.mean(0)))
    network.deviation.fill_(float((vertices - vertices.mean(0)).std()))
    inputs = torch.from_numpy(vertices)
    skins = torch.from_numpy(maps.skin[rows])
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-4, weight_decay=0.01)
    random = torch.Generator().manual_seed(0)
    settings = {"steps": steps, "minutes": minutes, "rate": 5e-4}
    for step in TrainingRun().steps("vertices", {"adam": optimiser}, [], settings):
        batch = torch.randint(len(rows), (128,), generator=random)
        error = network(inputs[batch], skins[batch]) - wanted[batch]
        step.descend((error.square() / spread).mean())
    parameters = sum(p.numel() for p in network.parameters())
    return VertexBaseline(network.eval().requires_grad_(False), chosen, face, parameters)
