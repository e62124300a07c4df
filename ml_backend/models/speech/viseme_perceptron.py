"""The baseline of the speech networks: a perceptron from a fifth of a second of log-mel to 14 visemes."""

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ...asset_files import ASSETS
from ...audio.log_mel import BANDS
from ...files.network_file import read_network_file
from ...phonetics.phones import PAUSE, PHONES

VISEMES: tuple[tuple[str, ...], ...] = (
    (PAUSE,),
    ("P", "B", "M"),
    ("F", "V"),
    ("TH", "DH"),
    ("T", "D", "N", "L"),
    ("K", "G", "NG", "HH"),
    ("S", "Z"),
    ("SH", "ZH", "CH", "JH"),
    ("R", "ER"),
    ("AA", "AE", "AY", "AW"),
    ("AH", "EH"),
    ("IY", "IH", "EY", "Y"),
    ("AO", "OW", "OY"),
    ("UW", "UH", "W"),
)
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
    """Reads the file that `train viseme-perceptron` writes.

    Raises:
        UserError: the file is missing or broken.
    """
    return read_network_file(
        path, lambda config: VisemePerceptron(), "viseme perceptron", older_config=lambda metadata: {}
    )
