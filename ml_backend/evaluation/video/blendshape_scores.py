"""MediaPipe's own blendshape scores, a baseline: its network reads 146 of the points, frame by frame.

The network is in a model file of the user's, `face_landmarker.task`; the repository does not carry it.

Source: Grishchenko et al. 2023, "Blendshapes GHUM: real-time monocular facial blendshape prediction".
"""

import importlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError
from ...expression_names import EXPRESSION_NAMES
from ...fitting.landmark_networks import without_notices

FILE = "face_blendshapes.tflite"
POINTS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70,
    78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149,
    150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195,
    197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300,
    308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375,
    377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454,
    466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)  # fmt: skip
"""The points that the network reads, in its order."""
NAMES = ("_neutral", *sorted(name for name in EXPRESSION_NAMES if name != "tongueOut"))
"""The network's outputs: ARKit's names but one, in the order of the alphabet."""


@dataclass(frozen=True)
class BlendshapeScores:
    """The network.

    Attributes:
        interpreter: holds it.
    """

    interpreter: Any

    @classmethod
    def load(cls, path: str | Path) -> "BlendshapeScores":
        """Reads the network of a model file.

        Raises:
            UserError: there is no such file, or it holds no such network.
        """
        if not Path(path).is_file():
            raise UserError(f"{path}: no such file.", "Choose a face_landmarker.task.")
        try:
            with zipfile.ZipFile(path) as archive:
                content = archive.read(FILE)
            with without_notices():
                made = importlib.import_module("ai_edge_litert.interpreter").Interpreter(
                    model_content=content, num_threads=1
                )
                made.allocate_tensors()
        except (zipfile.BadZipFile, KeyError, OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{path}: holds no network of blendshapes ({str(error)[:80]}).",
                "Choose a face_landmarker.task.",
            ) from error
        return cls(made)

    def curves(self, points: np.ndarray, width: int, height: int) -> np.ndarray:
        """Returns curves (T, 52) of points (T, 478, 2); frames without a face hold the one before.

        Args:
            points: pixels.
            width, height: of the picture.
        """
        entry = self.interpreter.get_input_details()[0]
        output = self.interpreter.get_output_details()[0]
        columns = [EXPRESSION_NAMES.index(name) for name in NAMES[1:]]
        found = np.zeros((len(points), len(EXPRESSION_NAMES)))
        for frame, seen in enumerate(points):
            if not np.isfinite(seen[0, 0]):
                found[frame] = found[max(frame - 1, 0)]
                continue
            chosen = np.clip(seen[list(POINTS)], -width, 2 * max(width, height)).astype(np.float32)
            self.interpreter.set_tensor(entry["index"], chosen.reshape(entry["shape"]))
            self.interpreter.invoke()
            scores = self.interpreter.get_tensor(output["index"]).ravel()
            found[frame, columns] = scores[1:]
        return found
