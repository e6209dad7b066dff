"""The interface between the methods and a checkpoint's networks, for every backend.

Sampling, StyleID and LoRA files are written once, above `Networks`. The native networks
(`jstyleid_core.backends.native`) and JDiffusion's (`jstyleid_core.backends.jdiffusion`) implement
it; no code above depends on the backend.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from jstyleid_core.config import UNetConfig, VAEConfig
from jstyleid_core.runtime import Backend
from jstyleid_core.runtime.jittor import Var, nn


class AttentionLayer(Protocol):
    """One attention layer of a UNet, for a processor. Layers are hashable by identity."""

    @property
    def heads(self) -> int:
        """The number of heads that C is divided into."""
        ...

    processor: AttentionProcessor
    """The computation between the projections; `processors` replaces it."""

    def to_q(self, hidden: Var) -> Var:
        """The query projection, LoRAs included: (B, N, C) to (B, N, C)."""
        ...

    def to_k(self, source: Var) -> Var:
        """The key projection: (B, M, C') to (B, M, C)."""
        ...

    def to_v(self, source: Var) -> Var:
        """The value projection: (B, M, C') to (B, M, C)."""
        ...

    def attend(self, query: Var, key: Var, value: Var) -> Var:
        """softmax(q k^T / sqrt(d)) v over the heads; a key and value of batch 1 serve all."""
        ...

    def attend_to(
        self, query: Var, segments: Sequence[tuple[Var, Var]], factors: Sequence[float]
    ) -> tuple[Var, Var]:
        """Attention to one or two segments of keys and values in one softmax.

        Args:
            query: (B, N, C).
            segments: key and value of each, (B, M, C), or (1, M, C) for the whole batch.
            factors: positive factor of each segment's scores, beside 1 / sqrt(d).

        Returns:
            The result (B, N, C), and the log-sum-exp of the scores, (B, heads, N) float32.
        """
        ...

    def project_out(self, attended: Var) -> Var:
        """The output projection, `to_out.0`: (B, N, C) to (B, N, C)."""
        ...


class AttentionProcessor(Protocol):
    """The computation of an attention layer; methods replace it to change the network."""

    def __call__(self, attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
        """Compute the attention's output.

        Args:
            attention: the layer.
            hidden: (B, N, C) tokens of the picture.
            context: (B, M, C') tokens to attend to; None for self-attention.

        Returns:
            (B, N, C).
        """
        ...


class Networks(Protocol):
    """UNet, autoencoder and text encoder of one loaded checkpoint.

    Attributes:
        backend: name of the backend, recorded in metadata only.
        unet_config, vae_config: configurations from the checkpoint.
        dtype: number format of UNet and text encoder, `float32` or (on CUDA) `float16`.
        unet, vae, text_encoder: the modules; linear and convolution layers have diffusers'
            names, which LoRAs refer to. The modules' calls differ between backends.
    """

    dtype: str

    @property
    def backend(self) -> Backend:
        """Name of the backend that built these networks."""
        ...

    @property
    def unet_config(self) -> UNetConfig:
        """Configuration of the UNet."""
        ...

    @property
    def vae_config(self) -> VAEConfig:
        """Configuration of the autoencoder."""
        ...

    @property
    def unet(self) -> nn.Module:
        """The denoising network."""
        ...

    @property
    def vae(self) -> nn.Module:
        """The autoencoder."""
        ...

    @property
    def text_encoder(self) -> nn.Module:
        """CLIP's text transformer."""
        ...

    def time_input(self, timestep: int | NDArray[Any], batch: int) -> Var:
        """What the UNet is told of the timestep, as an array, for `predict`.

        Args:
            timestep: one for the batch, or one for each example, (B,), in [0, 1000).
            batch: the number of examples B.
        """
        ...

    def predict(self, latents: Var, timestep: int | NDArray[Any] | Var, context: Var) -> Var:
        """Evaluate the UNet once.

        Args:
            latents: (B, 4, h, w), scaled; of any float type.
            timestep: one for the batch, one for each example, (B,), in [0, 1000), or an array from
                `time_input`.
            context: (B, 77, C) text embeddings; of any float type.

        Returns:
            (B, 4, h, w) float32: noise or velocity, as the checkpoint predicts. Gradients flow to
            LoRAs unless the caller stops them.
        """
        ...

    def encode(self, pictures: Var) -> tuple[Var, Var]:
        """Mean and log-variance, each (B, 4, H/8, W/8), unscaled, of (B, 3, H, W) in [-1, 1].

        The log-variance is clamped to [-30, 20].
        """
        ...

    def decode(self, latents: Var) -> Var:
        """Pictures (B, 3, 8h, 8w), about [-1, 1], of unscaled latents (B, 4, h, w)."""
        ...

    def embed(self, ids: Var) -> Var:
        """The last normalised states (B, 77, C) of token ids (B, 77)."""
        ...

    def drop_text_encoder(self) -> None:
        """Forget the text encoder; `embed` and `text_encoder` are not used any more."""
        ...

    def attentions(self) -> Mapping[str, AttentionLayer]:
        """All attentions of the UNet by path, in the order of evaluation.

        A path is `up_blocks.1.attentions.0.transformer_blocks.0.attn1`, ….
        """
        ...

    def set_block_runner(self, runner: BlockRunner) -> None:
        """Compute every block of the UNet with `runner`; the default is `run_directly`.

        Raises:
            InputError: this backend's blocks cannot be computed one by one.
        """
        ...


class BlockRunner(Protocol):
    """The computation of the UNet's blocks; gradient checkpointing replaces it."""

    def __call__(
        self, block: Callable[..., Var], layers: Sequence[nn.Module], *inputs: Var
    ) -> Var:
        """Compute `block(*inputs)`; `layers` are the modules with the block's weights."""
        ...


def run_directly(block: Callable[..., Var], layers: Sequence[nn.Module], *inputs: Var) -> Var:
    """The default runner: compute the block."""
    return block(*inputs)


def plain_attention(attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
    """The default processor: ordinary attention."""
    source = hidden if context is None else context
    query, key, value = attention.to_q(hidden), attention.to_k(source), attention.to_v(source)
    return attention.project_out(attention.attend(query, key, value))


@contextlib.contextmanager
def processors(replacements: Mapping[AttentionLayer, AttentionProcessor]) -> Iterator[None]:
    """Replace the processors of some attentions within the block."""
    originals = {attention: attention.processor for attention in replacements}
    try:
        for attention, processor in replacements.items():
            attention.processor = processor
        yield
    finally:
        for attention, processor in originals.items():
            attention.processor = processor
