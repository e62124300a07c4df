"""The speech encoder: log-mel to phone posteriors at 50 frames a second, with half a second of context."""

from dataclasses import dataclass

from torch import Tensor, nn

from ...audio.log_mel import BANDS
from ...phonetics.phones import PHONES

FRAME_RATE = 50.0


@dataclass(frozen=True)
class SpeechEncoderConfig:
    """Width of the frames' features, number of blocks, and taps of each block's filter along time (odd)."""

    width: int = 160
    blocks: int = 8
    taps: int = 7
    dropout: float = 0.05


class TemporalBlock(nn.Module):
    """A residual block: a depthwise filter along time and a two-layer perceptron per frame.

    Source: ConvNeXt, Liu et al. 2022, in one dimension.
    """

    def __init__(self, width: int, taps: int, dropout: float):
        super().__init__()
        self.filter = nn.Conv1d(width, width, taps, padding=taps // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.contract.bias)
        nn.init.normal_(self.contract.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        y = self.norm(self.filter(x.transpose(1, 2)).transpose(1, 2))
        return x + self.dropout(self.contract(nn.functional.gelu(self.expand(y))))


class SpeechEncoder(nn.Module):
    """Phone logits from normalised log-mel.

    The output of a frame depends on 0.5 s to either side and on nothing else, so a long recording may be cut
    into overlapping windows.
    """

    def __init__(self, config: SpeechEncoderConfig | None = None):
        super().__init__()
        self.config = config or SpeechEncoderConfig()
        width = self.config.width
        self.lift = nn.Conv1d(BANDS, width, 5, padding=2)
        self.halve = nn.Conv1d(width, width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            TemporalBlock(width, self.config.taps, self.config.dropout) for _ in range(self.config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, len(PHONES))

    def forward(self, mel: Tensor) -> Tensor:
        """Returns logits over PHONES, (B, T / 2, 40); row i is at 0.02 i + 0.005 s.

        Args:
            mel: (B, T, 64), normalised, 100 frames a second, T even.
        """
        if mel.ndim != 3 or mel.shape[2] != BANDS or mel.shape[1] % 2:
            raise ValueError(f"log-mel of shape {tuple(mel.shape)}: expected (B, even T, {BANDS}).")
        x = nn.functional.gelu(self.lift(mel.transpose(1, 2)))
        x = nn.functional.gelu(self.halve(x)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.classify(self.norm(x))
