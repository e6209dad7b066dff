"""JDiffusion's UNet, autoencoder and text encoder behind the interface `Networks`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.backends.jdiffusion import no_checkpointing
from jstyleid_core.backends.jdiffusion.attention import JDiffusionAttention, take_attentions
from jstyleid_core.backends.jdiffusion.importing import contained, jdiffusion
from jstyleid_core.backends.jdiffusion.layers import put_right
from jstyleid_core.config import Architecture, UNetConfig, VAEConfig
from jstyleid_core.interfaces import BlockRunner, run_directly
from jstyleid_core.runtime import Backend
from jstyleid_core.runtime.jittor import Var, jt, nn

# Fields that have one value here, which is what JDiffusion builds without being asked.
_NEWER_THAN_JDIFFUSION = {"mid_block_add_attention", "use_quant_conv", "use_post_quant_conv",
                          "shift_factor", "latents_mean"}


class JDiffusionNetworks:
    """The `Networks` of JDiffusion.

    The modules are filled from safetensors by this project's own loading, which converts every
    tensor to the wanted number format; JDiffusion's `torch_dtype` and `.to` do nothing.

    Attributes:
        unet, vae, text_encoder: the modules.
        unet_config, vae_config: configurations from the checkpoint.
        dtype: number format of UNet and text encoder, `float32` or (on CUDA) `float16`.
    """

    backend: Backend = "jdiffusion"

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module,
        text_encoder: nn.Module,
        unet_config: UNetConfig,
        vae_config: VAEConfig,
        dtype: str,
    ) -> None:
        self.unet, self.vae, self.text_encoder = unet, vae, text_encoder
        self.unet_config, self.vae_config, self.dtype = unet_config, vae_config, dtype
        for network in (unet, vae, text_encoder):
            put_right(network)
        self._attentions = take_attentions(unet)
        # The UNet asks for this by `.to(dtype=...)`, which does nothing: all would become float32.
        waves = unet.time_proj.execute
        unet.time_proj.execute = lambda steps: waves(steps).cast(self.dtype)

    @classmethod
    def build(cls, architecture: Architecture, dtype: str) -> JDiffusionNetworks:
        """Networks of random weights, to be filled from a checkpoint.

        Raises:
            RuntimeSetupError: the environment is not JDiffusion's.
        """
        library = jdiffusion()
        unet, vae, text = architecture.unet, architecture.vae, architecture.text
        # Here `attention_head_dim` means heads, too, and `num_attention_heads` is refused.
        described = unet.model_dump(exclude={"num_attention_heads"})
        with contained():
            return cls(
                library.UNet2DConditionModel.from_config(
                    {**described, "attention_head_dim": unet.heads}),
                library.AutoencoderKL.from_config(vae.model_dump(exclude=_NEWER_THAN_JDIFFUSION)),
                _text_encoder(text.model_dump()),
                unet, vae, dtype,
            )

    def time_input(self, timestep: int | NDArray[Any], batch: int) -> Var:
        """The timesteps, one a picture; see `Networks.time_input`."""
        return jt.array(np.broadcast_to(np.asarray(timestep, np.int32), (batch,)))

    def predict(self, latents: Var, timestep: int | NDArray[Any] | Var, context: Var) -> Var:
        """Evaluate the UNet once; see `Networks.predict`."""
        given = isinstance(timestep, int | np.integer | np.ndarray)
        steps = self.time_input(timestep, latents.shape[0]) if given else timestep
        sample, context = latents.cast(self.dtype), context.cast(self.dtype)
        with contained():
            return self.unet(sample, steps, context).sample.float32()

    def encode(self, pictures: Var) -> tuple[Var, Var]:
        """Mean and log-variance of pictures; see `Networks.encode`."""
        with contained():
            posterior = self.vae.encode(pictures).latent_dist
        return posterior.mean, posterior.logvar

    def decode(self, latents: Var) -> Var:
        """Pictures of unscaled latents; see `Networks.decode`."""
        with contained():
            return self.vae.decode(latents).sample

    def embed(self, ids: Var) -> Var:
        """States of token ids; see `Networks.embed`."""
        with contained():
            return self.text_encoder(ids).last_hidden_state

    def drop_text_encoder(self) -> None:
        """Forget the text encoder; see `Networks.drop_text_encoder`."""
        del self.text_encoder

    def set_block_runner(self, runner: BlockRunner) -> None:
        """Only `run_directly` is possible: JDiffusion's own checkpointing is an empty function.

        Raises:
            InputError: another runner.
        """
        if runner is not run_directly:
            raise no_checkpointing()

    def attentions(self) -> dict[str, JDiffusionAttention]:
        """All attentions of the UNet, by path."""
        return self._attentions


def _text_encoder(config: dict[str, Any]) -> nn.Module:
    transformers = importlib.import_module("transformers")
    utilities = importlib.import_module("transformers.modeling_utils")
    # Its weights come from the checkpoint; making initial ones fails in the fork.
    with utilities.no_init_weights():
        return transformers.CLIPTextModel(transformers.CLIPTextConfig.from_dict(config))
