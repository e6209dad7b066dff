"""The layers Stable Diffusion is made of, over the kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import kernels
from jstyleid_core.runtime.jittor import Var, jt, nn


class Linear(nn.Linear):
    """A linear layer, under the names and with the weights of Jittor's."""

    def execute(self, x: Var) -> Var:
        return kernels.linear(x, self.weight, self.bias)


class Conv2d(nn.Conv):
    """A two-dimensional convolution without groups, likewise."""

    def execute(self, x: Var) -> Var:
        return kernels.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


class GroupNorm(nn.Module):
    """Group normalisation of (B, C, ...), optionally followed by SiLU."""

    def __init__(self, groups: int, channels: int, eps: float, silu: bool = False) -> None:
        self.groups, self.eps, self.silu = groups, eps, silu
        self.weight = jt.ones((channels,))
        self.bias = jt.zeros((channels,))

    def execute(self, x: Var) -> Var:
        return kernels.group_norm(x, self.weight, self.bias, self.groups, self.eps, self.silu)


class LayerNorm(nn.Module):
    """Layer normalisation of the last axis."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        self.eps = eps
        self.weight = jt.ones((channels,))
        self.bias = jt.zeros((channels,))

    def execute(self, x: Var) -> Var:
        return kernels.layer_norm(x, self.weight, self.bias, self.eps)


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def execute(self, x: Var) -> Var:
        b, c, h, w = x.shape
        x = x.reshape(b, c, h, 1, w, 1).broadcast([b, c, h, 2, w, 2]).reshape(b, c, 2 * h, 2 * w)
        return self.conv(x)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2; the VAE pads right and bottom only, the UNet all around."""

    def __init__(self, channels: int, padding: int) -> None:
        self.padding = padding
        self.conv = Conv2d(channels, channels, 3, stride=2, padding=padding)

    def execute(self, x: Var) -> Var:
        if self.padding == 0:
            x = nn.pad(x, (0, 1, 0, 1))
        return self.conv(x)


class ResnetBlock(nn.Module):
    """Norm, SiLU, convolution, twice, around a shortcut; the time embedding comes in between."""

    def __init__(
        self, channels: int, out_channels: int, groups: int, eps: float, time_width: int | None
    ) -> None:
        self.norm1 = GroupNorm(groups, channels, eps, silu=True)
        self.conv1 = Conv2d(channels, out_channels, 3, padding=1)
        if time_width is not None:
            self.time_emb_proj = Linear(time_width, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps, silu=True)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = (
            Conv2d(channels, out_channels, 1) if channels != out_channels else None
        )

    def execute(self, x: Var, time: Var | None = None) -> Var:
        h = self.conv1(self.norm1(x))
        if time is not None:
            h = h + self.time_emb_proj(nn.silu(time)).unsqueeze(2).unsqueeze(3)
        h = self.conv2(self.norm2(h))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h


class TimestepEmbedding(nn.Module):
    """Two linear layers over the sinusoids of the timestep."""

    def __init__(self, channels: int, width: int) -> None:
        self.linear_1 = Linear(channels, width)
        self.linear_2 = Linear(width, width)

    def execute(self, sinusoids: Var) -> Var:
        return self.linear_2(nn.silu(self.linear_1(sinusoids)))


def timestep_sinusoids(
    timesteps: NDArray[Any], channels: int, flip_sin_to_cos: bool, freq_shift: float
) -> NDArray[Any]:
    """Sinusoids of timesteps (Ho et al. 2020; Vaswani et al. 2017, section 3.5).

    Args:
        timesteps: (B,) numbers.
        channels: how many sinusoids; even.
        flip_sin_to_cos: cosines first.
        freq_shift: moves the lowest frequency.

    Returns:
        (B, channels) float32.
    """
    half = channels // 2
    exponents = -math.log(10000) * np.arange(half, dtype=np.float32) / (half - freq_shift)
    angles = timesteps.astype(np.float32)[:, None] * np.exp(exponents, dtype=np.float32)[None]
    waves = [np.sin(angles), np.cos(angles)]
    return np.concatenate(waves[::-1] if flip_sin_to_cos else waves, axis=1)
