"""The autoregressive decoder: speech to 52 ARKit curves, each frame made from the frames before it.

The shape is that of FaceFormer (Fan et al. 2022, "FaceFormer: Speech-Driven 3D Facial Animation with
Transformers"), which Cao et al. 2024, "DNPM", take over: the motion so far with a periodic position encoding,
causal self-attention with a temporal bias, cross-attention to the speech with an alignment bias. It listens
0.4 s ahead and looks 1 s back in each layer, so it streams with constant memory.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...expression_names import EXPRESSION_NAMES
from ...phonetics.coarticulation import speech_channels
from ...phonetics.phones import PHONES
from .speech_decoder import BIAS_SPAN, PROSODY, BiasedAttention

FRAME_RATE = 25.0
"""Frames a second that it makes, as FaceFormer does; other rates are read off between them."""
WINDOW = 25
"""Frames of the past, this one included, that a layer sees."""
_STEP = 0.01  # seconds, half of that between rows of speech


@dataclass(frozen=True)
class AutoregressiveDecoderConfig:
    """Width, heads, layers; `period` of the position encoding in frames."""

    width: int = 96
    heads: int = 4
    layers: int = 2
    period: int = 25


@dataclass
class Past:
    """The memory of a stream: the next frame's index, the last frames (N, 52), and keys and values.

    Each layer has its own keys and values (H, N, C / H).

    N is at most `keep` frames.
    """

    next: int
    keep: int
    frames: Tensor
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def rewind(self, index: int) -> None:
        """Forgets frame `index` and all after it.

        Raises:
            ValueError: that frame is too long ago, or still to come.
        """
        drop = self.next - index
        if not 0 <= drop <= self.keep - WINDOW:
            raise ValueError(
                f"frame {index}: the stream is at {self.next} and can go back {self.keep - WINDOW} frames."
            )
        if drop:
            self.frames = self.frames[:-drop]
            self.keys = [k[:, :-drop] for k in self.keys]
        self.values = [v[:, :-drop] for v in self.values]
        self.next = index


class CausalAttention(nn.Module):
    """Multi-head attention of frames to themselves and the frames before, WINDOW in all.

    The temporal bias falls with distance, with another slope in each head (FaceFormer's Eq. 3), and is
    learned from there on.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        slopes = 2.0 ** -torch.arange(1, heads + 1)
        self.bias = nn.Parameter(-slopes[:, None] * torch.arange(WINDOW))

    def split(self, x: Tensor) -> Tensor:  # (..., T, C) -> (..., H, T, C / H)
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, T, C) of all frames x (B, T, C)."""
        lag = (
            torch.arange(x.shape[1], device=x.device)[:, None]
            - torch.arange(x.shape[1], device=x.device)[None]
        )
        bias = self.bias[:, lag.clamp(0, WINDOW - 1)].masked_fill((lag < 0) | (lag >= WINDOW), -1e4)
        q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
        return self.out(
            nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
            .transpose(1, 2)
            .flatten(2)
        )

    def step(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attends from one frame to the frames before it.

        Args:
            x: (1, C).
            keys, values: of the frames before, (H, N, C / H).

        Returns:
            (1, C), and keys and values with this frame in them.
        """
        keys, values = (
            torch.cat([old, self.split(f(x))], 1) for old, f in ((keys, self.key), (values, self.value))
        )
        seen = min(WINDOW, keys.shape[1])
        logits = (
            self.split(self.query(x)) @ keys[:, -seen:].transpose(1, 2) / math.sqrt(keys.shape[2])
        )  # (H, 1, seen)
        weights = (logits + self.bias[:, :seen].flip(1)[:, None]).softmax(2)
        return self.out((weights @ values[:, -seen:]).transpose(0, 1).flatten(1)), keys, values


class PastLayer(nn.Module):
    """Self-attention over the motion so far, cross-attention to the speech, a perceptron.

    Each has its norm first.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = CausalAttention(width, heads)
        self.cross = BiasedAttention(width, heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, memory: Tensor, x_times: Tensor, memory_times: Tensor) -> Tensor:
        x = x + self.own(self.norms[0](x))
        x = x + self.cross(self.norms[1](x), memory, x_times, memory_times)
        return x + self.perceptron(self.norms[2](x))


class AutoregressiveDecoder(nn.Module):
    """Makes frame n, at n / FRAME_RATE seconds, from the frames before it and the speech around it."""

    def __init__(self, config: AutoregressiveDecoderConfig | None = None):
        super().__init__()
        self.config = config or AutoregressiveDecoderConfig()
        width = self.config.width
        self.read = nn.Linear(len(PHONES) + PROSODY, width)
        self.remember = nn.Linear(len(EXPRESSION_NAMES), width)
        self.layers = nn.ModuleList(PastLayer(width, self.config.heads) for _ in range(self.config.layers))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, len(EXPRESSION_NAMES))
        nn.init.normal_(self.write.weight, std=0.02)
        self.channels: Tensor
        self.register_buffer("channels", torch.from_numpy(speech_channels()).float(), persistent=False)

    def _position(self, indices: Tensor) -> Tensor:
        """Returns FaceFormer's periodic position encoding of frame numbers (T,): (T, C)."""
        width = self.config.width
        rates = torch.exp(torch.arange(0, width, 2, device=indices.device) * (-math.log(10000.0) / width))
        angles = (indices % self.config.period)[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1) * 0.1

    def forward(
        self, posteriors: Tensor, prosody: Tensor, speech_times: Tensor, past: Tensor, first: int = 0
    ) -> Tensor:
        """Returns all frames at once, each from the true (or any) frames before it.

        It serves training and the check of `step`.

        Args:
            posteriors: (B, S, 40) in 0..1 over PHONES.
            prosody: (B, S, 3), see PROSODY.
            speech_times: (S,) seconds of the rows above.
            past: (B, T, 52), row i is what is remembered when frame `first` + i is made: the frame before it,
                zeros at the start.
            first: index of the first frame; frame n is at n / FRAME_RATE seconds.

        Returns:
            (B, T, 52), about 0..1; exactly 0 in the channels that speech does not move.
        """
        indices = first + torch.arange(past.shape[1], device=past.device)
        memory = self.read(torch.cat([posteriors, prosody], 2))
        x = self.remember(past * self.channels) + self._position(indices)
        for layer in self.layers:
            x = layer(x, memory, indices / FRAME_RATE, speech_times)
        return self.write(self.norm(x)) * self.channels

    def start(self, index: int = 0, slack: int = 0) -> Past:
        """Returns a stream that makes frame `index` next and can be rewound by `slack` frames."""
        weight = self.write.weight
        empty = weight.new_zeros(self.config.heads, 0, self.config.width // self.config.heads)
        layers = len(self.layers)
        return Past(
            index,
            WINDOW + slack,
            weight.new_zeros(0, len(EXPRESSION_NAMES)),
            [empty] * layers,
            [empty] * layers,
        )

    def step(
        self,
        past: Past,
        posteriors: Tensor,
        prosody: Tensor,
        speech_times: Tensor,
        count: int,
        origin: float = 0.0,
    ) -> Tensor:
        """Makes the stream's next `count` frames from their own past; its memory does not grow.

        Args:
            past: the stream; it moves on.
            posteriors: (S, 40), prosody (S, 3), speech_times (S,): 0.02 s apart, 0.4 s and more around the
                frames where there is speech.
            count: frames wanted.
            origin: seconds of the stream at which speech_times are 0.

        Returns:
            (count, 52), limited to 0..1, which is also what is remembered.
        """
        memory = self.read(torch.cat([posteriors, prosody], 1))
        indices = past.next + torch.arange(count)
        times = (indices.double() / FRAME_RATE - origin).float()
        positions = self._position(indices)
        lows = torch.searchsorted(speech_times, times - BIAS_SPAN - _STEP).clamp(max=len(memory) - 1).tolist()
        highs = torch.searchsorted(speech_times, times + BIAS_SPAN + _STEP).clamp(min=1).tolist()
        layers = [layer for layer in self.layers if isinstance(layer, PastLayer)]
        speech = (
            [layer.own.split(layer.cross.key(memory)) for layer in layers],
            [layer.own.split(layer.cross.value(memory)) for layer in layers],
        )
        last = past.frames[-1:] if len(past.frames) else past.frames.new_zeros(1, past.frames.shape[1])
        made = []
        for number, (low, high) in enumerate(zip(lows, highs, strict=True)):
            x = self.remember(last * self.channels) + positions[number : number + 1]
            gap = (speech_times[low:high] - times[number])[None]
            for depth, layer in enumerate(layers):
                y, keys, values = layer.own.step(layer.norms[0](x), past.keys[depth], past.values[depth])
                past.keys[depth] = keys[:, -past.keep :]
                past.values[depth] = values[:, -past.keep :]
                x = x + y
                query = layer.own.split(layer.cross.query(layer.norms[1](x)))  # (H, 1, C / H)
                near, said = (part[depth][:, low:high] for part in speech)
                weights = (
                    query @ near.transpose(1, 2) / math.sqrt(query.shape[2]) + layer.cross.bias_at(gap)
                ).softmax(2)
                x = x + layer.cross.out((weights @ said).transpose(0, 1).flatten(1))
                x = x + layer.perceptron(layer.norms[2](x))
            last = (self.write(self.norm(x)) * self.channels).clamp(0, 1)
            made.append(last)
            past.frames = torch.cat([past.frames, last])[-past.keep :]
            past.next += 1
        return torch.cat(made) if made else past.frames.new_zeros(0, past.frames.shape[1])
