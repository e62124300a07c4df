"""The baseline of the speech networks: a perceptron from .2 s of log-mel to 14 visemes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...asset_files import ASSETS
from ...audio.log_mel import BANDS
from ...errors import UserError
from ...files.tensor_file import read_tensors
from ...phonetics.phones import PAUSE, PHONES

VISEMES: tuple[tuple[str, ...], ...] = (
    (PAUSE,), ("P", "B", "M"), ("F", "V"), ("TH", "DH"), ("T", "D", "N", "L"), ("K", "G", "NG", "HH"), ("S",
    "Z"), ("SH", "ZH", "CH", "JH"),
    ("R", "ER"), ("AA", "AE", "AY", "AW"), ("AH", "EH"), ("IY", "IH", "EY", "Y"), ("AO", "OW", "OY"), ("UW",
    "UH", "W"),
)  # fmt: skip
"""The 14 classes, each by its phones; its lip shape is that of the phones' mean."""
VISEME_OF = np.array([next(i for i, members in enumerate(VISEMES) if phone in members) for phone in PHONES])
DEFAULT_FILE = ASSETS / "viseme_perceptron.safetensors"
_REACH = 5  # frames of 20 ms to either side
_HIDDEN = 96


class VisemePerceptron(nn.Module):
    """Two hidden layers; every frame on its own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear((2 * _REACH + 1) * BANDS, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, len(VISEMES)),
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Returns logits (B, T / 2, 14) of mel (B, T, 64), normalised, 100 frames a second, T even."""
        rows = nn.functional.pad(mel[:, ::2].transpose(1, 2), (_REACH, _REACH), mode="replicate")
        windows = rows.unfold(2, 2 * _REACH + 1, 1)  # (B, 64, T / 2, 11)
        return self.layers(windows.permute(0, 2, 3, 1).flatten(2))


def load_viseme_perceptron(path: Path = DEFAULT_FILE) -> VisemePerceptron:
    """Reads what `train viseme-perceptron` wrote.

    Raises:
        UserError: the file is missing or broken.
    """
    arrays, _ = read_tensors(path)
    model = VisemePerceptron()
    try:
        model.load_state_dict(
            {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
        )
    except RuntimeError as error:
        raise UserError(
            f"{path}: not weights of this version's viseme perceptron.",
            "Train it again: train viseme-perceptron.",
        ) from error
    return model.eval().requires_grad_(False)
