"""wav2vec 2.0 with a CTC head, written from the papers, as far as listening needs it.

Baevski et al. 2020, "wav2vec 2.0": a convolutional feature encoder over the waveform, a convolution for
relative positions, a transformer.
The two shapes of released networks: normalisation over time in the first convolution and after each block
("base"), or over channels in
every convolution and before each block ("large", and the multilingual ones of Conneau et al. 2020).
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Wav2Vec2Config:
    """The keys of a checkpoint's config.json that matter, under their own names.

    Attributes:
        conv_dim, conv_kernel, conv_stride: channels, taps and steps of each convolution over the waveform.
        conv_bias: whether they have a bias.
        feat_extract_norm: "group" (over time, first convolution only) or "layer" (over channels, every
            convolution).
        hidden_size, num_hidden_layers, num_attention_heads, intermediate_size: of the transformer.
        num_conv_pos_embeddings, num_conv_pos_embedding_groups: taps and groups of the positional convolution.
        do_stable_layer_norm: normalise before each block instead of after it.
        layer_norm_eps: of the transformer's normalisations.
        vocab_size: rows of the head.
        pad_token_id: the row that means blank.
    """

    vocab_size: int = 32
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    layer_norm_eps: float = 1e-5
    feat_extract_norm: str = "group"
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    pad_token_id: int = 0

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Wav2Vec2Config":
        """Reads a parsed config.json.

        Raises:
            ValueError: it describes a network that is not of this kind; the message says how.
        """
        kind = document.get("model_type")
        if kind != "wav2vec2":
            raise ValueError(f"its model_type is {kind}, not wav2vec2")
        for name in ("hidden_act", "feat_extract_activation"):
            if document.get(name, "gelu") != "gelu":
                raise ValueError(f"its {name} is {document[name]}, not gelu")
        for name in ("add_adapter", "adapter_attn_dim"):
            if document.get(name):
                raise ValueError(f"it has adapters ({name})")
        values = {
            field.name: document[field.name] for field in fields(cls) if document.get(field.name) is not None
        }
        for name in ("conv_dim", "conv_stride", "conv_kernel"):
            if name in values:
                values[name] = tuple(int(value) for value in values[name])
        config = cls(**values)
        config.check()
        return config

    def check(self) -> None:
        """Raises ValueError where the sizes do not fit each other, or are absurd."""
        sizes = (
            self.hidden_size,
            self.num_hidden_layers,
            self.num_attention_heads,
            self.intermediate_size,
            self.vocab_size,
        )
        numbers = (*sizes, *self.conv_dim, *self.conv_stride, *self.conv_kernel, self.num_conv_pos_embeddings)
        if not all(isinstance(value, int) and 0 < value <= 65536 for value in numbers):
            raise ValueError("its sizes are not numbers of 1 to 65536")
        if not (
            len(self.conv_dim) == len(self.conv_stride) == len(self.conv_kernel)
            and 0 < len(self.conv_dim) <= 16
        ):
            raise ValueError("its convolutions are not described alike")
        groups = self.num_conv_pos_embedding_groups
        if self.hidden_size % self.num_attention_heads or groups < 1 or self.hidden_size % groups:
            raise ValueError("its hidden_size does not split into heads and groups")
        if self.feat_extract_norm not in ("group", "layer"):
            raise ValueError(f"its feat_extract_norm is {self.feat_extract_norm}")
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError("its pad_token_id is not in the vocabulary")

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return int(torch.tensor(self.conv_stride).prod())

    @property
    def reach(self) -> int:
        """Samples that one frame hears."""
        reach, step = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            reach, step = reach + (kernel - 1) * step, step * stride
        return reach


class ConvolutionLayer(nn.Module):
    """One convolution of the feature encoder, with the normalisation that its place asks for."""

    def __init__(self, config: Wav2Vec2Config, index: int):
        super().__init__()
        width = config.conv_dim[index]
        before = config.conv_dim[index - 1] if index else 1
        self.conv = nn.Conv1d(
            before, width, config.conv_kernel[index], config.conv_stride[index], bias=config.conv_bias
        )
        self.over_time = config.feat_extract_norm == "group"
        self.layer_norm: nn.Module | None = None
        if not self.over_time:
            self.layer_norm = nn.LayerNorm(width)
        elif index == 0:
            self.layer_norm = nn.GroupNorm(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T) -> (B, C', T')
        x = self.conv(x)
        if self.layer_norm is not None:
            x = self.layer_norm(x) if self.over_time else self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        return functional.gelu(x)


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017)."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.heads = config.num_attention_heads
        width = config.hidden_size
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(
            functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        )


class FeedForward(nn.Module):
    """The transformer block's perceptron."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_dense(functional.gelu(self.intermediate_dense(x)))


class TransformerBlock(nn.Module):
    """Attention and perceptron, each residual, normalised before or after."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.before = config.do_stable_layer_norm
        self.attention, self.feed_forward = Attention(config), FeedForward(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = x + self.attention(self.layer_norm(x))
            return x + self.feed_forward(self.final_layer_norm(x))
        x = self.layer_norm(x + self.attention(x))
        return self.final_layer_norm(x + self.feed_forward(x))


class Wav2Vec2(nn.Module):
    """Waveform to logits over a vocabulary; parameters are named as in transformers' layout."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.conv_layers = nn.ModuleList(
            ConvolutionLayer(config, index) for index in range(len(config.conv_dim))
        )
        self.projection_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], width)
        taps = config.num_conv_pos_embeddings
        self.positions = nn.Conv1d(
            width, width, taps, padding=taps // 2, groups=config.num_conv_pos_embedding_groups
        )
        self.layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_hidden_layers))
        self.lm_head = nn.Linear(width, config.vocab_size)

    def forward(self, samples: Tensor) -> Tensor:  # (B, N) at 16 kHz -> (B, T, V)
        x = samples[:, None]
        for layer in self.conv_layers:
            x = layer(x)
        x = self.projection(self.projection_norm(x.transpose(1, 2)))
        placed = self.positions(x.transpose(1, 2))
        if self.config.num_conv_pos_embeddings % 2 == 0:
            placed = placed[:, :, :-1]
        x = x + functional.gelu(placed).transpose(1, 2)
        if not self.config.do_stable_layer_norm:
            x = self.layer_norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.layer_norm(x) if self.config.do_stable_layer_norm else x)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Takes a checkpoint's tensors, by their names in transformers' layout.

        The positional convolution is stored as direction and length of its taps (weight normalisation,
        Salimans and Kingma 2016, over all
        but the taps), under the older names weight_g and weight_v or the newer
        parametrizations.weight.original0 and 1; a plain weight is
        taken too.

        Raises:
            ValueError: one is missing or has another shape; the message names it.
        """
        renamed = {
            **{
                f"conv_layers.{rest}": f"wav2vec2.feature_extractor.conv_layers.{rest}"
                for rest in _names(self.conv_layers)
            },
            **{
                f"projection_norm.{part}": f"wav2vec2.feature_projection.layer_norm.{part}"
                for part in ("weight", "bias")
            },
            **{
                f"projection.{part}": f"wav2vec2.feature_projection.projection.{part}"
                for part in ("weight", "bias")
            },
            "positions.bias": "wav2vec2.encoder.pos_conv_embed.conv.bias",
            **{f"layer_norm.{part}": f"wav2vec2.encoder.layer_norm.{part}" for part in ("weight", "bias")},
            **{f"layers.{rest}": f"wav2vec2.encoder.layers.{rest}" for rest in _names(self.layers)},
            **{f"lm_head.{part}": f"lm_head.{part}" for part in ("weight", "bias")},
        }
        state = {}
        for own, theirs in renamed.items():
            if theirs not in tensors:
                raise ValueError(f"{theirs} is missing")
            state[own] = tensors[theirs].float()
        state["positions.weight"] = _positional_weight(tensors)
        for name, parameter in self.state_dict().items():
            if state[name].shape != parameter.shape:
                raise ValueError(
                    f"{renamed.get(name, name)} is {tuple(state[name].shape)}, not {tuple(parameter.shape)}"
                )
            if not torch.isfinite(state[name]).all():
                raise ValueError(f"{renamed.get(name, name)} holds values that are not finite")
        self.load_state_dict(state)


def _names(module: nn.Module) -> list[str]:
    return list(module.state_dict())


def _positional_weight(tensors: dict[str, Tensor]) -> Tensor:
    place = "wav2vec2.encoder.pos_conv_embed.conv."
    for length, direction in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        if place + length in tensors and place + direction in tensors:
            taps = tensors[place + direction].float()
            return (
                tensors[place + length].float()
                * taps
                / taps.square().sum((0, 1), keepdim=True).sqrt().clamp_min(1e-12)
            )
    if place + "weight" in tensors:
        return tensors[place + "weight"].float()
    raise ValueError(f"{place}weight is missing")
