"""The networks of this project behind the interface `Networks`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.config import Architecture, UNetConfig, VAEConfig
from jstyleid_core.interfaces import BlockRunner
from jstyleid_core.model.attention import Attention
from jstyleid_core.model.text import CLIPTextEncoder
from jstyleid_core.model.unet import UNet
from jstyleid_core.model.vae import AutoencoderKL
from jstyleid_core.runtime import Backend
from jstyleid_core.runtime.jittor import Var


class NativeNetworks:
    """The `Networks` of this project.

    Attributes:
        unet, vae, text_encoder: the modules.
        dtype: number format of UNet and text encoder, `float32` or (on CUDA) `float16`.
    """

    backend: Backend = "native"

    def __init__(
        self, unet: UNet, vae: AutoencoderKL, text_encoder: CLIPTextEncoder, dtype: str
    ) -> None:
        self.unet, self.vae, self.text_encoder, self.dtype = unet, vae, text_encoder, dtype

    @classmethod
    def build(cls, architecture: Architecture, dtype: str) -> NativeNetworks:
        """Networks of random weights, to be filled from a checkpoint."""
        return cls(UNet(architecture.unet), AutoencoderKL(architecture.vae),
                   CLIPTextEncoder(architecture.text), dtype)

    @property
    def unet_config(self) -> UNetConfig:
        """Configuration of the UNet."""
        return self.unet.config

    @property
    def vae_config(self) -> VAEConfig:
        """Configuration of the autoencoder."""
        return self.vae.config

    def time_input(self, timestep: int | NDArray[Any], batch: int) -> Var:
        """The sinusoids of timesteps; see `Networks.time_input`."""
        return self.unet.waves(timestep, batch)

    def predict(self, latents: Var, timestep: int | NDArray[Any] | Var, context: Var) -> Var:
        """Evaluate the UNet once; see `Networks.predict`."""
        given = isinstance(timestep, int | np.integer | np.ndarray)
        time = self.time_input(timestep, latents.shape[0]) if given else timestep
        sample, context = latents.cast(self.dtype), context.cast(self.dtype)
        return self.unet(sample, time, context).float32()

    def encode(self, pictures: Var) -> tuple[Var, Var]:
        """Mean and log-variance of pictures; see `Networks.encode`."""
        return self.vae.encode(pictures)

    def decode(self, latents: Var) -> Var:
        """Pictures of unscaled latents; see `Networks.decode`."""
        return self.vae.decode(latents)

    def embed(self, ids: Var) -> Var:
        """States of token ids; see `Networks.embed`."""
        return self.text_encoder(ids)

    def drop_text_encoder(self) -> None:
        """Forget the text encoder; see `Networks.drop_text_encoder`."""
        del self.text_encoder

    def set_block_runner(self, runner: BlockRunner) -> None:
        """Compute every block by `runner` from now on; see `Networks.set_block_runner`."""
        self.unet.set_block_runner(runner)

    def attentions(self) -> dict[str, Attention]:
        """All attentions of the UNet, by path."""
        return self.unet.attentions()
