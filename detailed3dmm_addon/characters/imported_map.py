"""A sculpted or scanned displacement map on a face, as a latent that the sliders go on editing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.process.client import Event
from ..detail import live as live_detail
from ..detail.inputs import DetailInputs, detail_inputs
from ..model.registry import find_face

MAP_SUFFIXES = (".exr", ".png", ".npy")


@dataclass
class MapImport:
    """One import, from the press of the button to its result in the scene.

    Attributes:
        uid: of the face; looked up again when the answers arrive.
        path: of the map.
        steps: of the fit.
    """

    uid: str
    path: Path
    steps: int

    def check(self) -> None:
        """Looks at the file before anything is started.

        Raises:
            UserError: there is no such file, or its suffix is not a map's.
        """
        if self.path.suffix.lower() not in MAP_SUFFIXES:
            raise UserError(
                f"{self.path.name}: not a displacement map by its name.",
                f"Choose one of {', '.join(MAP_SUFFIXES)}.",
            )
        if not self.path.is_file():
            raise UserError(
                f"{self.path.name}: no such file.", f"Choose a displacement map: {', '.join(MAP_SUFFIXES)}."
            )

    def fit_request(self) -> tuple[str, dict, dict]:
        """Returns the first request: the latent of the map, taken as the map of the face as it stands."""
        return "invert", {"path": str(self.path), "steps": self.steps}, detail_inputs(self.face()).arrays()

    def offset_of(self, fit: Event) -> np.ndarray:
        """Returns the latent of the answer to `fit_request`: (18, 512) float32.

        Raises:
            UserError: the answer cannot be used.
        """
        offset = np.asarray(fit.arrays["latent_offset"], np.float32)
        if offset.shape != live_detail.LATENT_SHAPE or not np.isfinite(offset).all():
            raise UserError(
                f"{self.path.name}: no latent could be fitted.", "Check that the map is in millimetres."
            )
        return offset

    def map_request(self, fit: Event) -> tuple[str, dict, dict]:
        """Returns the second request: the full map of the latent as the sliders stand now."""
        face = self.face()
        arrays = detail_inputs(face).arrays() | {"latent_offset": self.offset_of(fit)}
        return "generate", {"resolution": int(face.d3dmm.resolution)}, arrays

    def put_on_face(self, fit: Event, shown: Event, request: tuple[str, dict, dict]) -> str:
        """Keeps the latent on the face in place of an earlier one and shows its map; the only write.

        Args:
            fit: the answer to `fit_request`.
            shown: the answer to `map_request`.
            request: the request that `map_request` returned.

        Returns:
            The report with the closeness of the fit.

        Raises:
            UserError: the face has gone.
        """
        face = self.face()
        offset = self.offset_of(fit)
        digest = hashlib.sha256(offset.tobytes()).hexdigest()[:8]
        live_detail.set_latent(face, offset, f"{self.path.name} {digest}")
        face.d3dmm.detail_source = "LIVE"
        face.d3dmm.show_detail = True
        sent = request[2]
        inputs = DetailInputs(sent["identity"], sent["skin"], sent["expression"], face.d3dmm.imported_map)
        live_detail.show_full(face, inputs, shown.arrays["map"])
        return f"{self.path.name}: fitted to {fit.parameters['psnr_db']:.1f} dB; the sliders edit it"

    def face(self) -> bpy.types.Object:
        """Returns the face as it is now.

        Raises:
            UserError: it has been deleted.
        """
        face = find_face(self.uid)
        if face is None:
            raise UserError(
                "The face was deleted while its map was fitted.", "Undo, or import the map onto another face."
            )
        return face
