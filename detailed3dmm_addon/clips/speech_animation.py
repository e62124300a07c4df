"""From a recording to a speaking, wrinkling face: what is asked of the worker, and what its answer holds."""

import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.process.client import Event
from .clip import ClipAnimation


class SpeechAnimation(ClipAnimation):
    """A clip whose curves the worker makes of a recording."""

    def speech_request(self) -> tuple[str, dict, dict]:
        """What to ask first: the curves, by layer."""
        settings = self.face().d3dmm_animation
        chosen = settings.request(self.seed, self.first_frame, self.fps) | {
            "start": self.start,
            "length": self.length,
        }
        return "animate", {"path": str(self.path), "fps": self.fps, "seed": self.seed, **chosen}, {}

    def take_speech(self, event: Event) -> None:
        """Keeps the curves, edited as the target's settings say.

        Raises:
            UserError: the worker's curves are not usable, or the target has gone.
        """
        names, arrays = tuple(event.parameters["names"]), event.arrays
        layers = {"speech": (arrays["speech"], np.zeros_like(arrays["head"]))}
        layers |= {
            name: (arrays[f"{name}_frames"], arrays[f"{name}_head"]) for name in event.parameters["layers"]
        }
        usable = sorted(names) == sorted(EXPRESSION_NAMES) and all(
            frames.ndim == 2
            and frames.shape == (len(head), len(names))
            and len(frames)
            and np.isfinite(frames).all()
            and np.isfinite(head).all()
            for frames, head in layers.values()
        )
        if not usable:
            raise UserError(
                f"{self.path.name}: no curves could be made of it.", "Check that it holds speech."
            )
        order = [names.index(name) for name in EXPRESSION_NAMES]
        self.notes = tuple(map(str, event.parameters.get("notes", ())))
        self.layers = {
            name: (np.asarray(frames, np.float32)[:, order], head) for name, (frames, head) in layers.items()
        }
        self.edit()
