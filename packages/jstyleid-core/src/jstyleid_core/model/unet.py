"""The denoising network: UNet2DConditionModel of SD 1.x and 2.x (Rombach et al. 2022).

Four levels down, a middle, four levels up; every block on the way down leaves its output for its
counterpart on the way up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import kernels
from jstyleid_core.config import UNetConfig
from jstyleid_core.interfaces import BlockRunner, run_directly
from jstyleid_core.model.attention import Attention, Transformer2D
from jstyleid_core.model.layers import (
    Conv2d,
    Downsample,
    GroupNorm,
    ResnetBlock,
    TimestepEmbedding,
    Upsample,
    timestep_sinusoids,
)
from jstyleid_core.runtime.jittor import Var, jt, nn


class Level(nn.Module):
    """One resolution on the way down or up: residual blocks, each with a transformer or without."""

    run_block: BlockRunner = staticmethod(run_directly)

    def __init__(
        self, config: UNetConfig, widths: list[tuple[int, int]], heads: int, attention: bool
    ) -> None:
        time_width = 4 * config.block_out_channels[0]
        self.resnets = nn.ModuleList(
            [ResnetBlock(i, o, config.norm_num_groups, config.norm_eps, time_width)
             for i, o in widths])
        self.attentions = _transformers(config, widths, heads) if attention else None

    def block(self, index: int, time: Var, context: Var, *parts: Var) -> Var:
        """The residual block of this index and the transformer after it.

        Args:
            index: number of the block in this level.
            time, context: time embedding and text embeddings.
            parts: the feature map; on the way up also the one kept from the way down.
        """
        resnet = self.resnets[index]
        attention = None if self.attentions is None else self.attentions[index]

        def compute(time: Var, context: Var, *parts: Var) -> Var:
            x = resnet(parts[0] if len(parts) == 1 else kernels.join_channels(*parts), time)
            return x if attention is None else attention(x, context)

        layers = [resnet] if attention is None else [resnet, attention]
        return self.run_block(compute, layers, time, context, *parts)


class DownLevel(Level):
    """Blocks, then half the resolution; every result is kept for the way up."""

    def __init__(
        self, config: UNetConfig, widths: list[tuple[int, int]], heads: int, attention: bool,
        last: bool,
    ) -> None:
        super().__init__(config, widths, heads, attention)
        self.downsamplers = None if last else nn.ModuleList([Downsample(widths[-1][1], padding=1)])

    def execute(self, x: Var, time: Var, context: Var) -> tuple[Var, list[Var]]:
        kept = []
        for index in range(len(self.resnets)):
            x = self.block(index, time, context, x)
            kept.append(x)
        if self.downsamplers is not None:
            x = self.downsamplers[0](x)
            kept.append(x)
        return x, kept


class UpLevel(Level):
    """Blocks, each with a feature map kept on the way down, then twice the resolution."""

    def __init__(
        self, config: UNetConfig, widths: list[tuple[int, int]], heads: int, attention: bool,
        last: bool,
    ) -> None:
        super().__init__(config, widths, heads, attention)
        self.upsamplers = None if last else nn.ModuleList([Upsample(widths[-1][1])])

    def execute(self, x: Var, time: Var, context: Var, kept: list[Var]) -> Var:
        for index in range(len(self.resnets)):
            x = self.block(index, time, context, x, kept.pop())
        return x if self.upsamplers is None else self.upsamplers[0](x)


class MiddleLevel(nn.Module):
    """Residual block, transformer, residual block at the lowest resolution."""

    run_block: BlockRunner = staticmethod(run_directly)

    def __init__(self, config: UNetConfig, width: int, heads: int) -> None:
        time_width = 4 * config.block_out_channels[0]
        self.resnets = nn.ModuleList(
            [ResnetBlock(width, width, config.norm_num_groups, config.norm_eps, time_width)
             for _ in range(2)])
        self.attentions = _transformers(config, [(width, width)], heads)

    def execute(self, x: Var, time: Var, context: Var) -> Var:
        before, attention, after = self.resnets[0], self.attentions[0], self.resnets[1]

        def compute(time: Var, context: Var, x: Var) -> Var:
            return after(attention(before(x, time), context), time)

        return self.run_block(compute, [before, attention, after], time, context, x)


class UNet(nn.Module):
    """Predicts noise or velocity of a latent, as the checkpoint was trained to."""

    def __init__(self, config: UNetConfig) -> None:
        self.config = config
        channels, heads, depth = config.block_out_channels, config.heads, config.layers_per_block
        self.conv_in = Conv2d(config.in_channels, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], 4 * channels[0])

        levels, width, kept = [], channels[0], [channels[0]]
        for i, out in enumerate(channels):
            last = i == len(channels) - 1
            widths = [(width, out)] + [(out, out)] * (depth - 1)
            levels.append(DownLevel(config, widths, heads[i],
                                    "CrossAttn" in config.down_block_types[i], last))
            kept += [out] * (depth if last else depth + 1)
            width = out
        self.down_blocks = nn.ModuleList(levels)

        self.mid_block = MiddleLevel(config, channels[-1], heads[-1])

        levels, width = [], channels[-1]
        for i, out in enumerate(reversed(channels)):
            widths = []
            for _ in range(depth + 1):
                widths.append((width + kept.pop(), out))
                width = out
            last = i == len(channels) - 1
            levels.append(UpLevel(config, widths, heads[-1 - i],
                                  "CrossAttn" in config.up_block_types[i], last))
        self.up_blocks = nn.ModuleList(levels)

        self.conv_norm_out = GroupNorm(config.norm_num_groups, channels[0], config.norm_eps, True)
        self.conv_out = Conv2d(channels[0], config.out_channels, 3, padding=1)

    def execute(self, sample: Var, waves: Var, context: Var) -> Var:
        """One evaluation of the network.

        Args:
            sample: (B, 4, H, W) latents; H and W multiples of 8 (of 2 per level but the last).
            waves: (B, C) from `waves`.
            context: (B, 77, cross_attention_dim) text embeddings.

        Returns:
            (B, 4, H, W): the noise (epsilon) or the velocity (v), by the checkpoint's kind.
        """
        time = self.time_embedding(waves.cast(sample.dtype))

        x = self.conv_in(sample)
        kept = [x]
        for level in self.down_blocks:
            x, outputs = level(x, time, context)
            kept += outputs
        x = self.mid_block(x, time, context)
        for level in self.up_blocks:
            x = level(x, time, context, kept)
        return self.conv_out(self.conv_norm_out(x))

    def waves(self, timestep: int | NDArray[Any], batch: int) -> Var:
        """The sinusoids of timesteps, (B, C) float32.

        Args:
            timestep: one for the batch, or one for each example, (B,), in [0, 1000).
            batch: the number of examples B.
        """
        config = self.config
        steps = np.broadcast_to(np.asarray(timestep), (batch,))
        return jt.array(timestep_sinusoids(steps, config.block_out_channels[0],
                                           config.flip_sin_to_cos, config.freq_shift))

    def set_block_runner(self, runner: BlockRunner) -> None:
        """Compute every block with `runner`; the default is `run_directly`."""
        for level in (*self.down_blocks, self.mid_block, *self.up_blocks):
            level.run_block = runner

    def attentions(self) -> dict[str, Attention]:
        """All attentions by path, `up_blocks.1.attentions.0.transformer_blocks.0.attn1`, ….

        Returns:
            The layers in the order of evaluation.
        """
        found: dict[str, Attention] = {}
        blocks = [(f"down_blocks.{i}", block) for i, block in enumerate(self.down_blocks)]
        blocks += [("mid_block", self.mid_block)]
        blocks += [(f"up_blocks.{i}", block) for i, block in enumerate(self.up_blocks)]
        for path, block in blocks:
            for j, transformer in enumerate(block.attentions or []):
                inner = f"{path}.attentions.{j}.transformer_blocks.0"
                for name in ("attn1", "attn2"):
                    found[f"{inner}.{name}"] = getattr(transformer.transformer_blocks[0], name)
        return found


def _transformers(config: UNetConfig, widths: list[tuple[int, int]], heads: int) -> nn.ModuleList:
    return nn.ModuleList([
        Transformer2D(out, config.cross_attention_dim, heads, config.norm_num_groups,
                      config.use_linear_projection)
        for _, out in widths])
