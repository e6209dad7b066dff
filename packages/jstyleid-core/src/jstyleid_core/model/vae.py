"""The autoencoder between pictures and latents: AutoencoderKL (Rombach et al. 2022)."""

from __future__ import annotations

from jstyleid_core import kernels
from jstyleid_core.config import VAEConfig
from jstyleid_core.kernels.code import runs_on_cpu
from jstyleid_core.model.attention import Attention
from jstyleid_core.model.layers import Conv2d, Downsample, GroupNorm, ResnetBlock, Upsample
from jstyleid_core.runtime.jittor import Var, jt, nn

_EPS = 1e-6


class PixelAttention(Attention):
    """Single-head self-attention over the pixels of a feature map, on a normalised residual."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, None, heads=1, bias=True)
        self.group_norm = GroupNorm(groups, channels, _EPS)

    def execute(self, hidden: Var, context: Var | None = None) -> Var:
        attended = super().execute(kernels.to_tokens(self.group_norm(hidden)), context)
        return hidden + kernels.to_map(attended, *hidden.shape[2:])


class Middle(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, channels: int, groups: int) -> None:
        self.resnets = nn.ModuleList(
            [ResnetBlock(channels, channels, groups, _EPS, None) for _ in range(2)])
        self.attentions = nn.ModuleList([PixelAttention(channels, groups)])

    def execute(self, x: Var) -> Var:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Level(nn.Module):
    """Residual blocks at one resolution, then a change of resolution unless it is the last."""

    def __init__(
        self, channels: int, out_channels: int, depth: int, groups: int, resample: str | None
    ) -> None:
        widths = [channels] + [out_channels] * (depth - 1)
        self.resnets = nn.ModuleList([ResnetBlock(w, out_channels, groups, _EPS, None)
                                      for w in widths])
        self.downsamplers = (
            nn.ModuleList([Downsample(out_channels, padding=0)]) if resample == "down" else None)
        self.upsamplers = nn.ModuleList([Upsample(out_channels)]) if resample == "up" else None

    def samplers(self) -> list[nn.Module]:
        """The change of resolution, after the blocks; none in the last level."""
        return [*(self.downsamplers or []), *(self.upsamplers or [])]


class Encoder(nn.Module):
    """Picture (B, 3, H, W) to the moments of the posterior, (B, 2 * 4, H/8, W/8)."""

    def __init__(self, config: VAEConfig) -> None:
        channels, groups = config.block_out_channels, config.norm_num_groups
        self.conv_in = Conv2d(config.in_channels, channels[0], 3, padding=1)
        levels = []
        for i, out in enumerate(channels):
            resample = "down" if i < len(channels) - 1 else None
            levels.append(Level(channels[max(i - 1, 0)], out, config.layers_per_block, groups,
                                resample))
        self.down_blocks = nn.ModuleList(levels)
        self.mid_block = Middle(channels[-1], groups)
        self.conv_norm_out = GroupNorm(groups, channels[-1], _EPS, silu=True)
        self.conv_out = Conv2d(channels[-1], 2 * config.latent_channels, 3, padding=1)

    def execute(self, x: Var) -> Var:
        x = self.conv_in(x)
        x = _run(self.down_blocks, x)
        return self.conv_out(self.conv_norm_out(self.mid_block(x)))


class Decoder(nn.Module):
    """Latent (B, 4, h, w) to picture (B, 3, 8h, 8w)."""

    def __init__(self, config: VAEConfig) -> None:
        channels, groups = config.block_out_channels[::-1], config.norm_num_groups
        self.conv_in = Conv2d(config.latent_channels, channels[0], 3, padding=1)
        self.mid_block = Middle(channels[0], groups)
        levels = []
        for i, out in enumerate(channels):
            resample = "up" if i < len(channels) - 1 else None
            levels.append(Level(channels[max(i - 1, 0)], out, config.layers_per_block + 1, groups,
                                resample))
        self.up_blocks = nn.ModuleList(levels)
        self.conv_norm_out = GroupNorm(groups, channels[-1], _EPS, silu=True)
        self.conv_out = Conv2d(channels[-1], config.out_channels, 3, padding=1)

    def execute(self, z: Var) -> Var:
        x = self.mid_block(self.conv_in(z))
        x = _run(self.up_blocks, x)
        return self.conv_out(self.conv_norm_out(x))


def _run(levels: nn.ModuleList, x: Var) -> Var:
    """All levels; on CUDA with less memory than as one graph.

    Jittor keeps freed memory in pieces of the sizes that it had. So each level starts without the
    pieces of the ones before, which are too small for it.
    """
    for level in levels:
        for layers in (level.resnets, level.samplers()):
            for layer in layers:
                x = layer(x)
            if not runs_on_cpu():
                x.sync()
                jt.gc()
    return x


class AutoencoderKL(nn.Module):
    """Encodes pictures in [-1, 1] to unscaled latents and back."""

    def __init__(self, config: VAEConfig) -> None:
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)
        self.post_quant_conv = Conv2d(config.latent_channels, config.latent_channels, 1)

    def encode(self, pictures: Var) -> tuple[Var, Var]:
        """Mean and log-variance of the posterior, each (B, 4, H/8, W/8).

        The log-variance is clamped to [-30, 20], as everywhere since the first LDM.
        """
        moments = self.quant_conv(self.encoder(pictures))
        half = self.config.latent_channels
        return moments[:, :half], jt.clamp(moments[:, half:], -30.0, 20.0)

    def decode(self, latents: Var) -> Var:
        """Pictures (B, 3, 8h, 8w), about [-1, 1], of unscaled latents (B, 4, h, w)."""
        return self.decoder(self.post_quant_conv(latents))
