"""Detailed3DMM: detail encoder and DNPM, from identity, skin and expression to a displacement map."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.network_file import read_network_file
from ..layers.device import pick_device
from .detail_encoder import DetailEncoder, EncoderConfig
from .displacement_generator import DisplacementGenerator, GeneratorConfig, LatentPrior, PriorConfig
from .strain_gate import through_gate

GENERATOR_FILE = "dnpm.safetensors"
ENCODER_FILE = "detail_encoder.safetensors"
PRIOR_FILE = "dnpm_prior.safetensors"
_FORMER_SIZES = ("mapping_layers", "spread_rank")
"""Of the mapping network that the generator's file held once."""
FULL_PRECISION = ("millimetres",)
"""Arrays of the generator that are stored as float32."""


def whole_numbers(generator: DisplacementGenerator) -> list[str]:
    """Returns the names of the generator's large arrays, stored as int8: the fields of fine detail."""
    return [name for name in generator.state_dict() if name.endswith("basis.tiles")]


def read_generator(path: Path) -> DisplacementGenerator:
    """Reads DNPM.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """

    def build(config: dict[str, Any]) -> DisplacementGenerator:
        tables = {
            name: {int(resolution): count for resolution, count in config[name].items()}
            for name in ("constants", "channel_table")
        }
        sizes = {name: value for name, value in config.items() if name not in _FORMER_SIZES}
        return DisplacementGenerator(GeneratorConfig(**{**sizes, **tables}))

    return read_network_file(path, build, "displacement generator", former=("mapping.",))


def read_encoder(path: Path) -> DetailEncoder:
    """Reads the detail encoder; one that was trained without a gate is open everywhere.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """

    def build(config: dict[str, Any]) -> DetailEncoder:
        return DetailEncoder(EncoderConfig(**{**config, "styles": tuple(config["styles"])}))

    return read_network_file(path, build, "detail encoder", optional=("gate.activity",))


def read_prior(path: Path) -> LatentPrior:
    """Reads the prior.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """

    def build(config: dict[str, Any]) -> LatentPrior:
        sizes = {**config["encoder"], "styles": tuple(config["encoder"]["styles"])}
        return LatentPrior(PriorConfig(EncoderConfig(**sizes), config["rank"]))

    return read_network_file(path, build, "prior of latents")


class Detailed3DMM:
    """V_r of Eq. 4: the map of a face under an expression, in millimetres.

    G(E(w_id, w_exp) + mean latent) where the expression strains the skin, else the map of the same face at
    rest.

    Args:
        generator: DNPM.
        encoder: the detail encoder.
        device: where both run.

    Attributes:
        identity_size: coefficients of the bilinear face that the encoder reads.
        skin_size: width of the skin vector.
        expression_size: 52.

    Source: Cao et al. 2024, "DNPM", section III-A.
    """

    def __init__(
        self, generator: DisplacementGenerator, encoder: DetailEncoder, device: str | torch.device = "cpu"
    ):
        self.device = torch.device(device)
        self.generator = generator.to(self.device).eval()
        self.generator.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.encoder = encoder.to(self.device).eval()
        self.identity_size = encoder.config.identity_size
        self.skin_size = encoder.config.skin_size
        self.expression_size = encoder.config.expression_size
        self._resting: dict[tuple[bytes, int], np.ndarray] = {}

    @classmethod
    def load(cls, folder: str | Path = ASSETS, device: str | torch.device | None = None) -> "Detailed3DMM":
        """Reads both networks of a folder; the device is the GPU where there is one.

        Raises:
            UserError: a file is missing or broken, or the two do not fit each other.
        """
        folder = Path(folder)
        generator, encoder = read_generator(folder / GENERATOR_FILE), read_encoder(folder / ENCODER_FILE)
        if (
            sum(encoder.config.styles) != generator.config.style_count
            or encoder.config.latent_width != generator.config.latent_width
        ):
            raise UserError(
                f"{folder}: generator and encoder do not fit each other.",
                "Train the encoder for this generator.",
            )
        return cls(generator, encoder, device or pick_device())

    @classmethod
    def default(cls) -> "Detailed3DMM":
        """The networks that the repository carries."""
        return cls.load()

    @torch.inference_mode()
    def latent(self, identity: ArrayLike, skin: ArrayLike, expression: ArrayLike) -> Tensor:
        """W+ latents.

        Args:
            identity: (B, K) standard deviations.
            skin: (B, 16) skin vectors.
            expression: (B, 52) ARKit coefficients.

        Returns:
            (B, 18, 512) on the model's device.

        Raises:
            ValueError: a width disagrees.
        """
        given = [
            torch.tensor(np.asarray(values, np.float32), device=self.device)
            for values in (identity, skin, expression)
        ]
        return self.encoder(*given) + self.generator.mean_latent

    @torch.inference_mode()
    def synthesize(self, latents: Tensor, resolution: int = 1024) -> np.ndarray:
        """W+ latents (B, 18, 512) -> displacement (B, R, R) float32, millimetres, row 0 at the bottom."""
        return self.generator(latents.to(self.device), resolution).cpu().numpy()

    def displacement(
        self, identity: ArrayLike, skin: ArrayLike, expression: ArrayLike, resolution: int = 1024
    ) -> np.ndarray:
        """Displacement maps.

        Args:
            identity, skin, expression: as `latent` takes them.
            resolution: texels along a side, a power of two up to the generator's: 256 and 512 are the low
                bands of 1024.

        Returns:
            (B, R, R) float32, millimetres along the normal, row 0 at the bottom.

        Raises:
            ValueError: a width disagrees, or the generator has no such resolution.
        """
        if resolution not in self.generator.config.resolutions:
            raise ValueError(f"the generator has no resolution {resolution}")
        faces = np.atleast_2d(np.asarray(expression, np.float32))
        rest = self.latent(identity, skin, np.zeros_like(faces))
        return self.between(rest, self.latent(identity, skin, faces), faces, resolution)

    @torch.inference_mode()
    def between(
        self, rest: Tensor, latents: Tensor, expression: ArrayLike, resolution: int = 1024
    ) -> np.ndarray:
        """Maps of expressions over maps at rest, each changed only where the expression strains the skin.

        Args:
            rest: (B, 18, 512) W+ of the faces at rest; the map of the last one is kept for the next call.
            latents: (B, 18, 512) W+ of the expressions.
            expression: (B, 52) ARKit coefficients, which open the gate.
            resolution: as `displacement`.

        Returns:
            (B, R, R) float32, millimetres, row 0 at the bottom.
        """
        faces = torch.tensor(np.asarray(expression, np.float32), device=self.device)
        found = np.empty((len(faces), resolution, resolution), np.float32)
        for row, face in enumerate(faces):
            resting = self._map_at_rest(rest[row], resolution)
            if not bool(face.any()):
                found[row] = resting
                continue
            own = self.generator(latents[row : row + 1].to(self.device), resolution)
            gate = self.encoder.gate(face[None], resolution)[:, 0]
            found[row] = through_gate(torch.from_numpy(resting).to(self.device), own, gate)[0].cpu().numpy()
        return found

    def _map_at_rest(self, latent: Tensor, resolution: int) -> np.ndarray:
        key = (latent.cpu().numpy().tobytes(), resolution)
        known = self._resting.get(key)
        if known is None:
            known = self.synthesize(latent[None], resolution)[0]
            self._resting = {key: known}
        return known
