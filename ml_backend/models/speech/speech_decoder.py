"""The cross-modal decoder: phone posteriors, loudness and pitch to 52 ARKit curves at any frame rate."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...expression_names import EXPRESSION_NAMES
from ...phonetics.coarticulation import speech_channels
from ...phonetics.phones import PHONES

PROSODY = 3
"""Channels: loudness (nepers of power / 4 under the loud frames), voicing 0..1, and pitch (octaves around the
recording's median)."""
BIAS_SPAN = 0.4  # seconds either way over which the attention bias is learned


@dataclass(frozen=True)
class SpeechDecoderConfig:
    """Width, heads, layers; `period` is that of the periodic position encoding, seconds."""

    width: int = 96
    heads: int = 4
    layers: int = 2
    period: float = 1.0


class BiasedAttention(nn.Module):
    """Multi-head attention whose logits get a learned function of the time between query and key.

    FaceFormer (Fan et al. 2022) biases self-attention by temporal distance and lets the cross-attention see
    only the aligned audio frame; here both biases are one learned curve per head over +-0.4 s, started as a
    tent around its own delay, so heads can look a little ahead or back.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.knots = 41
        offsets = torch.linspace(-BIAS_SPAN, BIAS_SPAN, self.knots)
        delays = torch.linspace(-0.06, 0.06, heads)
        spread = 0.03 * 1.6 ** torch.arange(heads)
        self.bias = nn.Parameter(-((offsets - delays[:, None]).abs() / spread[:, None]))

    def forward(self, x: Tensor, memory: Tensor, x_times: Tensor, memory_times: Tensor) -> Tensor:
        """Returns (B, T, C) of x (B, T, C), memory (B, S, C), times (T,) and (S,) in seconds."""
        batch, count, width = x.shape
        split = (batch, -1, self.heads, width // self.heads)
        q, k, v = (
            f(y).reshape(split).transpose(1, 2)
            for f, y in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        bias = self.bias_at(memory_times[None, :] - x_times[:, None])
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.out(y.transpose(1, 2).reshape(batch, count, width))

    def bias_at(self, gap: Tensor) -> Tensor:
        """Returns the addition to the logits: gap (T, S), seconds from query to key -> (H, T, S)."""
        position = ((gap / BIAS_SPAN).clamp(-1, 1) + 1) * (self.knots - 1) / 2
        low = position.floor().long().clamp(max=self.knots - 2)
        part = position - low
        bias = self.bias[:, low] * (1 - part) + self.bias[:, low + 1] * part
        return bias.masked_fill((gap.abs() > BIAS_SPAN)[None], -1e4)


class DecoderLayer(nn.Module):
    """Self-attention over the motion, cross-attention to the speech, perceptron; each with its norm first."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.cross = BiasedAttention(width, heads)
        self.own = BiasedAttention(width, heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, memory: Tensor, x_times: Tensor, memory_times: Tensor) -> Tensor:
        x = x + self.cross(self.norms[0](x), memory, x_times, memory_times)
        y = self.norms[1](x)
        x = x + self.own(y, y, x_times, x_times)
        return x + self.perceptron(self.norms[2](x))


class SpeechDecoder(nn.Module):
    """All frames at once: learned queries at the frames' times attend to the speech around them."""

    def __init__(self, config: SpeechDecoderConfig | None = None):
        super().__init__()
        self.config = config or SpeechDecoderConfig()
        width = self.config.width
        self.read = nn.Linear(len(PHONES) + PROSODY, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(DecoderLayer(width, self.config.heads) for _ in range(self.config.layers))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, len(EXPRESSION_NAMES))
        nn.init.normal_(self.write.weight, std=0.02)
        self.channels: Tensor
        self.register_buffer("channels", torch.from_numpy(speech_channels()).float(), persistent=False)

    def forward(self, posteriors: Tensor, prosody: Tensor, speech_times: Tensor, times: Tensor) -> Tensor:
        """Decodes curves.

        Args:
            posteriors: (B, S, 40) in 0..1 over PHONES.
            prosody: (B, S, 3), see PROSODY.
            speech_times: (S,) seconds of the rows above.
            times: (T,) seconds at which curves are wanted.

        Returns:
            (B, T, 52), about 0..1; exactly 0 in the channels that speech does not move.
        """
        memory = self.read(torch.cat([posteriors, prosody], 2))
        angles = (
            times[:, None]
            / self.config.period
            * 2
            * math.pi
            * torch.arange(1, self.config.width // 2 + 1, device=times.device)
        )
        periodic = (
            torch.cat([angles.sin(), angles.cos()], 1) * 0.1
        )  # FaceFormer's periodic position encoding, in seconds instead of frames
        x = (self.start + periodic).expand(len(memory), -1, -1)
        for layer in self.layers:
            x = layer(x, memory, times, speech_times)
        return self.write(self.norm(x)) * self.channels
