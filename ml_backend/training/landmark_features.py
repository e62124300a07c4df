"""What the landmark library's network makes of a picture of a face, differentiably: for losses only.

MediaPipe's wheel carries the network (Apache-2.0) as a TensorFlow Lite file. It is rebuilt here from the
file, operation by operation;
no weight of it is stored elsewhere.

Source: Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs";
Grishchenko et al. 2020,
"Attention mesh: high-fidelity face mesh prediction in real-time" (the network, and its closer look at lips
and eyes).
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import UserError

CROP = 192
MESH, POINTS = 468, 478
_FILE = "modules/face_landmark/face_landmark_with_attention.tflite"
_IRISES = (468, 473)
_SAME = 0


class LandmarkFeatures(nn.Module):
    """(B, 3, 192, 192) sRGB in 0..1 to features of every resolution, and the points. Nothing in it is learned further.

    Raises:
        UserError: the landmark library is missing, or carries no such network.
    """

    def __init__(self):
        super().__init__()
        schema, flexible, content = _carried_file()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        graph = model.subgraphs[0]
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        self.steps: list[tuple[str, list[int], int, Any]] = []
        arrays: dict[int, np.ndarray] = {}
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = (
                code.customCode.decode()
                if code.customCode
                else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            )
            if kind == "STRIDED_SLICE":  # from here on the points are only laid out as the library wants them
                break
            if kind == "DEQUANTIZE":
                arrays[operator.outputs[0]] = _array(model, graph.tensors[operator.inputs[0]]).astype(
                    np.float32
                )
                continue
            for tensor in operator.inputs[1:]:
                if tensor not in arrays and model.buffers[graph.tensors[tensor].buffer].data is not None:
                    arrays[tensor] = _array(model, graph.tensors[tensor])
            options = (
                operator.builtinOptions
                if operator.customOptions is None
                else flexible.Loads(bytes(operator.customOptions))
            )
            self.steps.append(
                (kind, [int(tensor) for tensor in operator.inputs], int(operator.outputs[0]), options)
            )
        self.entry = int(graph.inputs[0])
        self.sides = {step[2]: int(graph.tensors[step[2]].shape[1]) for step in self.steps}
        self.mesh = next(step[2] for step in self.steps if graph.tensors[step[2]].shape[-1] == 3 * MESH)
        self.ends = self._before_steps_down()
        self.closer = self._closer_looks()
        for kind, inputs, _, _ in self.steps:
            for place, tensor in enumerate(inputs[1:]):
                if tensor in arrays:
                    self.register_buffer(
                        f"t{tensor}",
                        torch.from_numpy(_laid_out(kind, place, arrays[tensor])),
                        persistent=False,
                    )

    def _before_steps_down(self) -> list[int]:
        """The last tensors of 96 x 96, 48 x 48, ... 6 x 6 places before the closer looks."""
        first = next(index for index, step in enumerate(self.steps) if step[0] == "Landmarks2TransformMatrix")
        strided = {
            step[1][0]
            for step in self.steps[:first]
            if step[0] == "DEPTHWISE_CONV_2D" and step[3].strideW == 2
        }
        return sorted(strided, key=lambda tensor: -self.sides[tensor])

    def _closer_looks(self) -> list[tuple[int, list[int]]]:
        """Tensors of points of lips, eyes and irises, and which points they are."""
        regions = [step[3]["subset_idxs"] for step in self.steps if step[0] == "Landmarks2TransformMatrix"]
        found = [step[2] for step in self.steps if step[0] == "TransformLandmarks"]
        irises = [list(range(first, first + 5)) for first in _IRISES]
        return list(zip(found, [regions[0], regions[1], irises[0], regions[2], irises[1]], strict=True))

    def forward(self, crops: Tensor) -> tuple[list[Tensor], Tensor]:
        """The last features of 96, 48, 24, 12 and 6 places a side, (B, C, n, n), and the points (B, 478, 2) in pixels of the crop."""
        values: dict[int, Tensor] = {self.entry: crops.contiguous(memory_format=torch.channels_last)}
        for kind, inputs, output, options in self.steps:
            values[output] = self._step(kind, inputs, options, values)
        mesh = values[self.mesh].reshape(len(crops), MESH, 3)[:, :, :2]
        points = torch.cat([mesh, mesh.new_zeros(len(crops), POINTS - MESH, 2)], 1)
        for tensor, which in self.closer:
            index = torch.tensor(which, device=points.device)[None, :, None].expand(len(crops), -1, 2)
            points = points.scatter(1, index, values[tensor])
        return [values[tensor] for tensor in self.ends], points

    def _step(self, kind: str, inputs: list[int], options: Any, values: dict[int, Tensor]) -> Tensor:
        x = values[inputs[0]]
        second = inputs[1] if len(inputs) > 1 else inputs[0]
        first = values[second] if second in values else getattr(self, f"t{second}")
        match kind:
            case "ADD":
                return x + first
            case "MUL":
                return x * first
            case "RESHAPE":
                return x.reshape(len(x), *options.newShape[1:].tolist())
            case "PRELU":
                return functional.prelu(x, first)
            case "PAD":
                return functional.pad(x, first.tolist())
            case "MAX_POOL_2D":
                return functional.max_pool2d(
                    x, (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
                )
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                stride = (options.strideH, options.strideW)
                if options.padding == _SAME:
                    x = functional.pad(
                        x,
                        [
                            *_same(x.shape[3], first.shape[3], stride[1]),
                            *_same(x.shape[2], first.shape[2], stride[0]),
                        ],
                    )
                groups = x.shape[1] if kind == "DEPTHWISE_CONV_2D" else 1
                return functional.conv2d(x, first, getattr(self, f"t{inputs[2]}"), stride, groups=groups)
            case "Landmarks2TransformMatrix":
                return _closer_frame(x[:, :, :2], options)
            case "TransformTensorBilinear":
                return _cut_out(x, first, options["output_width"], options["output_height"])
            case "TransformLandmarks":
                return x @ first[:, :2, :2].mT + first[:, None, :2, 3]
        raise UserError(
            f"The landmark library's network holds an operation that is not known here ({kind}).",
            "Install the version of mediapipe that requirements.lock names.",
        )


def _closer_frame(points: Tensor, options: dict[str, Any]) -> Tensor:
    """(B, 4, 4) from places of a closer look to places of the features: a box about some points, level with a line between two of them.

    Args:
        points: (B, 468, 2).
        options: subset_idxs, left_rotation_idx and right_rotation_idx, scale_x and scale_y of the box,
            output_width and output_height.
    """
    along = functional.normalize(
        points[:, options["right_rotation_idx"]] - points[:, options["left_rotation_idx"]], dim=-1
    )
    axes = torch.stack(
        [along, torch.stack([-along[:, 1], along[:, 0]], -1)], 1
    )  # rows: right and down of the closer look
    inside = points[:, options["subset_idxs"]] @ axes.mT
    low, high = inside.amin(1), inside.amax(1)
    size = (high - low) * points.new_tensor([options["scale_x"], options["scale_y"]])
    corner = ((low + high - size) / 2)[:, None] @ axes
    step = axes.mT * (size / size.new_tensor([options["output_width"], options["output_height"]]))[:, None]
    frame = torch.eye(4, device=points.device).repeat(len(points), 1, 1)
    frame[:, :2, :2], frame[:, :2, 3] = step, corner[:, 0]
    return frame


def _cut_out(features: Tensor, frame: Tensor, width: int, height: int) -> Tensor:
    """(B, C, height, width) of features (B, C, H, W) where a frame (B, 4, 4) says."""
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = (
        torch.stack([across, down], -1).to(features).reshape(1, -1, 2) @ frame[:, :2, :2].mT
        + frame[:, None, :2, 3]
    )
    sides = places.new_tensor([features.shape[3], features.shape[2]])
    grid = (places * 2 / sides - 1).reshape(len(features), height, width, 2)
    return functional.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)


def face_crops(pictures: Tensor, frames: Tensor) -> Tensor:
    """Squares cut out of pictures and brought to the network's size.

    Args:
        pictures: (B, 3, H, W).
        frames: (B, 2, 3) that take the square's coordinates (-1..1 right and down, 1) to the picture's, also
            -1..1.

    Returns:
        (B, 3, 192, 192); beyond a picture's edge its edge.
    """
    grid = functional.affine_grid(frames, [len(pictures), 3, CROP, CROP], align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def landmark_losses(
    network: LandmarkFeatures, found: Tensor, truth: Tensor, frames: Tensor
) -> tuple[Tensor, Tensor]:
    """How differently the landmark network sees two sets of pictures of the same faces.

    Args:
        network: that sees.
        found, truth: (B, 3, h, w) and (B, 3, H, W), sRGB in 0..1; gradients go to the first.
        frames: (B, 2, 3), see `face_crops`.

    Returns:
        The features' absolute differences over their size, mean of all resolutions; how far the points lie
        apart in distances between
        the eyes, a mean per picture (B,).
    """
    with torch.no_grad():
        wanted, points = network(face_crops(truth, frames))
        between = (points[:, [33, 133]].mean(1) - points[:, [362, 263]].mean(1)).norm(dim=-1).clamp_min(1)
    seen, at = network(face_crops(found, frames))
    apart = [(one - other).abs().mean() / other.abs().mean() for one, other in zip(seen, wanted, strict=True)]
    return torch.stack(apart).mean(), (at - points).norm(dim=-1).mean(1) / between


def _same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's SAME pads before and after."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def _laid_out(kind: str, place: int, array: np.ndarray) -> np.ndarray:
    """From TensorFlow Lite's order of axes to torch's."""
    if kind == "CONV_2D" and place == 0:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if kind == "DEPTHWISE_CONV_2D" and place == 0:
        return np.ascontiguousarray(array.transpose(3, 0, 1, 2))
    if kind == "MUL":
        return array
    if kind == "PAD":
        _, rows, columns, channels = array
        return np.concatenate([columns, rows, channels])
    return array.reshape(-1)


def _array(model: Any, tensor: Any) -> np.ndarray:
    kinds = {0: np.float32, 1: np.float16, 2: np.int32}
    return (
        np.frombuffer(bytes(model.buffers[tensor.buffer].data), kinds[tensor.type])
        .reshape(tensor.shape)
        .copy()
    )


def _carried_file() -> tuple[Any, Any, bytes]:
    """How the file is to be read, how its own operations' options are, and the file."""
    try:
        schema = importlib.import_module("mediapipe.tasks.metadata.schema_py_generated")
        flexible = importlib.import_module("flatbuffers.flexbuffers")
        folder = Path(str(importlib.import_module("mediapipe").__file__)).parent
        return schema, flexible, (folder / _FILE).read_bytes()
    except (ImportError, OSError) as error:
        raise UserError(
            f"The landmark library's network cannot be read ({error}).",
            "Install the backend again, with Python 3.11.",
        ) from error
