"""A sculpted or scanned displacement map on a face: the latent that makes it, on top of which the sliders go on working."""

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
            UserError: there is no such file, or it is none of ours by its name.
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
        """What to ask first: the latent. The map counts as that of the face as it stands."""
        return "invert", {"path": str(self.path), "steps": self.steps}, detail_inputs(self.face()).arrays()

    def take_fit(self, event: Event) -> str:
        """Keeps the latent on the face, in place of an earlier one.

        Returns:
            How close the fit came, for the report.

        Raises:
            UserError: the face has gone, or the answer cannot be used.
        """
        face, offset = self.face(), np.asarray(event.arrays["latent_offset"], np.float32)
        if not np.isfinite(offset).all():
            raise UserError(
                f"{self.path.name}: no latent could be fitted.", "Check that the map is in millimetres."
            )
        live_detail.set_latent(
            face, offset, f"{self.path.name} {hashlib.sha256(offset.tobytes()).hexdigest()[:8]}"
        )
        face.d3dmm.detail_source, face.d3dmm.show_detail = "LIVE", True
        return f"{self.path.name}: fitted to {event.parameters['psnr_db']:.1f} dB; the sliders edit it"

    def map_request(self) -> tuple[str, dict, dict]:
        """What to ask second: the full map of the latent as the sliders stand now."""
        face = self.face()
        arrays = detail_inputs(face).arrays() | live_detail.latent_arrays(face)
        return "generate", {"resolution": int(face.d3dmm.resolution)}, arrays

    def take_map(self, event: Event, asked: dict[str, np.ndarray]) -> None:
        """Shows the map.

        Args:
            event: the worker's answer.
            asked: the arrays of `map_request`.

        Raises:
            UserError: the face has gone.
        """
        face = self.face()
        inputs = DetailInputs(asked["identity"], asked["skin"], asked["expression"], face.d3dmm.imported_map)
        live_detail.show_full(face, inputs, event.arrays["map"])

    def face(self) -> bpy.types.Object:
        """The face as it is now.

        Raises:
            UserError: it has been deleted.
        """
        face = find_face(self.uid)
        if face is None:
            raise UserError(
                "The face was deleted while its map was fitted.", "Undo, or import the map onto another face."
            )
        return face
