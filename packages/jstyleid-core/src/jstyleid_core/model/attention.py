"""Attention whose computation can be replaced by name, and the transformer block around it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jstyleid_core import kernels
from jstyleid_core.interfaces import AttentionProcessor, plain_attention
from jstyleid_core.model.layers import Conv2d, GroupNorm, LayerNorm, Linear
from jstyleid_core.runtime.jittor import Var, nn


class Attention(nn.Module):
    """Multi-head attention; what happens between its projections is its processor's affair."""

    def __init__(
        self, width: int, context_width: int | None, heads: int, bias: bool = False
    ) -> None:
        self.heads = heads
        self.to_q = Linear(width, width, bias=bias)
        self.to_k = Linear(context_width or width, width, bias=bias)
        self.to_v = Linear(context_width or width, width, bias=bias)
        # A list of one, since checkpoints (and LoRA files) call the projection `to_out.0`.
        self.to_out = nn.ModuleList([Linear(width, width)])
        self.processor: AttentionProcessor = plain_attention

    def execute(self, hidden: Var, context: Var | None = None) -> Var:
        return self.processor(self, hidden, context)

    def attend(self, query: Var, key: Var, value: Var) -> Var:
        """softmax(q k^T / sqrt(d)) v over the heads; a key and value of batch 1 serve all."""
        return kernels.attention(query, key, value, self.heads)

    def attend_to(
        self, query: Var, segments: Sequence[tuple[Var, Var]], factors: Sequence[float]
    ) -> tuple[Var, Var]:
        """Attention to segments of keys in one softmax, and its log-sum-exp."""
        return kernels.attention_by_factors(query, segments, self.heads, factors)

    def project_out(self, attended: Var) -> Var:
        """The output projection, `to_out`."""
        return self.to_out[0](attended)


class GEGLU(nn.Module):
    """The gated projection into the feed-forward layer."""

    def __init__(self, width: int, inner: int) -> None:
        self.proj = Linear(width, 2 * inner)

    def execute(self, x: Var) -> Var:
        return kernels.gelu_gate(self.proj(x))


class FeedForward(nn.Module):
    """GEGLU to four times the width and back; `net.1` is the place of a dropout."""

    def __init__(self, width: int) -> None:
        self.net = nn.ModuleList([GEGLU(width, 4 * width), nn.Identity(),
                                  Linear(4 * width, width)])

    def execute(self, x: Var) -> Var:
        return self.net[2](self.net[0](x))


class BasicTransformerBlock(nn.Module):
    """Self-attention, attention to the text, feed-forward, each on a normalised residual."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        self.norm1 = LayerNorm(width)
        self.attn1 = Attention(width, None, heads)
        self.norm2 = LayerNorm(width)
        self.attn2 = Attention(width, context_width, heads)
        self.norm3 = LayerNorm(width)
        self.ff = FeedForward(width)

    def execute(self, hidden: Var, context: Var) -> Var:
        hidden = hidden + self.attn1(self.norm1(hidden))
        hidden = hidden + self.attn2(self.norm2(hidden), context)
        return hidden + self.ff(self.norm3(hidden))


class Transformer2D(nn.Module):
    """A transformer block over the pixels of a feature map, projected in and out.

    SD 2.1 projects with linear layers on tokens, SD 1.5 with 1x1 convolutions on the map.
    """

    def __init__(
        self, channels: int, context_width: int, heads: int, groups: int, linear: bool
    ) -> None:
        self.linear = linear
        self.norm = GroupNorm(groups, channels, 1e-6)
        projection = Linear if linear else partial(Conv2d, kernel_size=1)
        self.proj_in = projection(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            [BasicTransformerBlock(channels, context_width, heads)])
        self.proj_out = projection(channels, channels)

    def execute(self, x: Var, context: Var) -> Var:
        height, width = x.shape[2:]
        h = self.norm(x)
        if not self.linear:
            h = self.proj_in(h)
        h = kernels.to_tokens(h)
        if self.linear:
            h = self.proj_in(h)
        h = self.transformer_blocks[0](h, context)
        if self.linear:
            h = self.proj_out(h)
        h = kernels.to_map(h, height, width)
        if not self.linear:
            h = self.proj_out(h)
        return x + h
