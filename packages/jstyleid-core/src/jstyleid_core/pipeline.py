"""Stable Diffusion: the loaded checkpoint and text to image."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.backends import build_networks
from jstyleid_core.config import PredictionType, check_size, pixels_per_latent, size_multiple
from jstyleid_core.diffusion.ddim import Step, ddim_sampling
from jstyleid_core.diffusion.denoiser import (
    DENOISERS,
    Denoiser,
    Network,
    guided,
)
from jstyleid_core.diffusion.finite import FiniteSteps, require_finite
from jstyleid_core.diffusion.schedule import Schedule, taken_steps
from jstyleid_core.errors import InputError
from jstyleid_core.images import Size, to_array, to_images
from jstyleid_core.interfaces import Networks
from jstyleid_core.kernels.replay import Replays
from jstyleid_core.progress import OnPrediction, OnStep, Preparing
from jstyleid_core.runtime import Backend, DType, check_dtype
from jstyleid_core.runtime.jittor import Var, jt, nn
from jstyleid_core.weights.checkpoint import (
    Checkpoint,
    CheckpointSource,
    find_checkpoint,
    fingerprint,
)
from jstyleid_core.weights.loading import load_networks

Tokenizer = Callable[[Sequence[str]], NDArray[Any]]
"""Prompts to token ids (B, 77)."""

Around = Callable[[Callable[[], Var], Sequence[Var]], Sequence[Var]]
"""(predict, features) -> results: one call of `predict`, with more inputs and outputs.

Equal ones (`==`) do the same."""


Evaluate = Callable[[Var, int, Var], Var]
"""(latents, timestep, context) -> prediction, all of one batch: an evaluation of the UNet."""


def _alone(predict: Callable[[], Var], features: Sequence[Var]) -> Sequence[Var]:
    """The prediction and nothing else."""
    return [predict()]


@dataclass(frozen=True)
class InitialLatents:
    """A picture that sampling starts from, instead of pure noise (SDEdit, Meng et al. 2022).

    Attributes:
        latents: (1, 4, h, w), scaled, from `StableDiffusion.encode`.
        strength: share of the steps that is taken, in (0, 1].
    """

    latents: Var
    strength: float


class StableDiffusion:
    """A checkpoint of Stable Diffusion 1.x or 2.x, loaded.

    Example:
        >>> model = StableDiffusion.load("path/to/stable-diffusion-2-1")
        >>> [picture] = model.generate(["a boat"], seeds=[0])
        >>> picture.save("boat.png")

    Attributes:
        networks: UNet, autoencoder and text encoder, of one of the backends.
        tokenizer, schedule, prediction_type: the other parts of the checkpoint.
        evaluations: UNet evaluations so far, one per latent of a batch; guidance costs two.
    """

    def __init__(
        self,
        *,
        networks: Networks,
        tokenizer: Tokenizer,
        schedule: Schedule,
        prediction_type: PredictionType,
        checkpoint: Checkpoint,
    ) -> None:
        self.networks = networks
        self.tokenizer, self.schedule, self.prediction_type = tokenizer, schedule, prediction_type
        self.checkpoint, self.evaluations = checkpoint, 0
        self._replays, self._in_training = Replays(), False
        self._has_text_encoder = True

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | CheckpointSource | Checkpoint | None = None,
        *,
        dtype: DType = "auto",
        preparing: Preparing | None = None,
        backend: Backend = "native",
    ) -> StableDiffusion:
        """Load a checkpoint: a folder in diffusers layout, a single file, or one of the hub.

        Args:
            source: a folder, a .safetensors file, a hub id, a `CheckpointSource` that names other
                parts, too, or a result of `find_checkpoint`; by default `JSTYLEID_MODEL` or SD 2.1
                from the hub.
            dtype: `auto` is float16 on CUDA and float32 on the CPU, where float16 would be both
                slow and wrong.
            preparing: called with the progress of the loading.
            backend: library of the networks, see `jstyleid_core.backends`.

        Raises:
            CheckpointError: a file is missing, damaged or does not fit; the message says which.
            InputError: float16 on the CPU.
            RuntimeSetupError: this environment lacks a requirement of the backend.
        """
        on_cuda = bool(jt.flags.use_cuda)
        check_dtype(dtype, "float16" if on_cuda else "float32")
        number = ("float16" if on_cuda else "float32") if dtype == "auto" else dtype
        checkpoint = (source if isinstance(source, Checkpoint)
                      else find_checkpoint(source, half=number == "float16"))
        architecture, scheduler = checkpoint.architecture, checkpoint.schedule_config
        model = cls(
            networks=build_networks(backend, architecture, number),
            tokenizer=checkpoint.tokenizer,
            schedule=Schedule.from_config(scheduler),
            prediction_type=scheduler.prediction_type,
            checkpoint=checkpoint,
        )
        load_networks(model.networks, checkpoint, number, preparing)
        return model

    @property
    def dtype(self) -> str:
        """Number format of UNet and text encoder, `float32` or (on CUDA) `float16`.

        Latents and the arithmetic of the samplers are always float32.
        """
        return self.networks.dtype

    @property
    def backend(self) -> Backend:
        """Name of the networks' backend, for metadata."""
        return self.networks.backend

    @property
    def unet(self) -> nn.Module:
        """The denoising network's module."""
        return self.networks.unet

    @property
    def vae(self) -> nn.Module:
        """The autoencoder's module."""
        return self.networks.vae

    @property
    def text_encoder(self) -> nn.Module:
        """The text encoder's module."""
        return self.networks.text_encoder

    @property
    def source(self) -> str:
        """The folder, file or hub id that the user gave."""
        return self.checkpoint.source.model

    @property
    def name(self) -> str:
        """The checkpoint's name for files: a hub id, or a name without its path."""
        return self.checkpoint.source.name

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the checkpoint, see `jstyleid_core.weights.checkpoint`."""
        return fingerprint(self.checkpoint)

    @property
    def scale_factor(self) -> int:
        """Pixels per latent, 8."""
        return pixels_per_latent(self.networks.vae_config)

    @property
    def size_multiple(self) -> int:
        """Width and height must be multiples of this: 8 pixels a latent, halved at each level."""
        return size_multiple(self.networks.unet_config, self.networks.vae_config)

    def check_size(self, size: Size) -> None:
        """Raise an InputError that names the nearest possible sizes unless `size` is one."""
        check_size(size, self.networks.unet_config, self.networks.vae_config)

    def encode(self, images: Sequence[Image.Image]) -> Var:
        """Latents (B, 4, H/8, W/8) of RGB pictures of one size: the posterior's mode, scaled.

        Raises:
            InputError: a size the UNet cannot work on.
        """
        mean, _ = self.posterior(images)
        return mean

    def posterior(self, images: Sequence[Image.Image]) -> tuple[Var, Var]:
        """Mean and standard deviation of the latents of RGB pictures of one size, both scaled.

        Returns:
            Each (B, 4, H/8, W/8); mean + deviation * noise is a sample.

        Raises:
            InputError: a size the UNet cannot work on.
            NumbersError: the autoencoder's numbers are not finite.
        """
        for image in images:
            self.check_size(image.size)
        with jt.no_grad():
            mean, log_variance = self.networks.encode(jt.array(to_array(images)))
            factor = self.networks.vae_config.scaling_factor
            mean, deviation = mean * factor, jt.exp(0.5 * log_variance) * factor
            jt.sync([mean, deviation])
        require_finite(mean.numpy(), "encoding a picture", self.source)
        return mean, deviation

    def decode(self, latents: Var) -> list[Image.Image]:
        """RGB pictures of scaled latents (B, 4, h, w).

        Raises:
            NumbersError: latents or pictures hold numbers that are not finite.
        """
        pictures: list[Image.Image] = []
        factor = self.networks.vae_config.scaling_factor
        with jt.no_grad():
            # One at a time: the decoder needs far more memory than anything else.
            for i in range(latents.shape[0]):
                decoded = self.networks.decode(latents[i : i + 1] / factor).numpy()
                if not np.isfinite(decoded).all():
                    require_finite(latents[i].numpy(), "the denoising", self.source)
                    require_finite(decoded, "the autoencoder", self.source)
                pictures += to_images(decoded)
        return pictures

    def embed(self, prompts: Sequence[str]) -> Var:
        """Text embeddings (B, 77, C) of prompts.

        Raises:
            InputError: the text encoder was dropped.
            NumbersError: its numbers are not finite.
        """
        if not self._has_text_encoder:
            raise InputError(
                f"{self.source}: drop_text_encoder was called; load the checkpoint again to embed "
                "prompts")
        with jt.no_grad():
            embeddings = self.networks.embed(jt.array(self.tokenizer(prompts)))
            embeddings.sync()
        require_finite(embeddings.numpy(), "the text encoder", self.source)
        return embeddings

    @cached_property
    def empty_prompt(self) -> Var:
        """The embedding (1, 77, C) of the empty prompt, which inversion and StyleID use."""
        return self.embed([""])

    def drop_text_encoder(self) -> None:
        """Give the memory of the text encoder back: 0.6 GiB of SD 2.1 in float16.

        The embedding of the empty prompt is kept, so that inversion and StyleID go on; other
        prompts cannot be embedded any more.
        """
        if self._has_text_encoder:
            _ = self.empty_prompt
            self.networks.drop_text_encoder()
            self._has_text_encoder = False
            self.free_memory()

    def free_memory(self) -> None:
        """Give the memory back that is kept for later computations."""
        self._replays.forget()
        gc.collect()
        jt.gc()

    def network(self, context: Var) -> Network:
        """The UNet with its text: (latents, timestep) -> prediction.

        Args:
            context: (B, 77, C), or (1, 77, C) for one text for the whole batch.
        """
        return lambda latents, timestep: self.evaluate(latents, timestep, context)[0]

    def evaluate(
        self, latents: Var, timestep: int | NDArray[Any], context: Var,
        features: Sequence[Var] = (), around: Around = _alone,
    ) -> list[Var]:
        """Evaluate the UNet once, without gradients; on CUDA as a replay where possible.

        Args:
            latents: (B, 4, h, w), scaled.
            timestep: one for the batch, or one for each example, (B,), in [0, 1000).
            context: (B, 77, C), or (1, 77, C) for one text for the whole batch.
            features: more inputs of the evaluation, for `around`.
            around: what is done beside the prediction.

        Returns:
            What `around` returns; by default the prediction alone, (B, 4, h, w) float32.
        """
        batch = latents.shape[0]
        self.evaluations += batch
        texts = context if context.shape[0] == batch else context.expand(batch, -1, -1)

        def compute(inputs: Sequence[Var]) -> Sequence[Var]:
            sample, time, text, *rest = inputs
            return around(lambda: self.networks.predict(sample, time, text), rest)

        inputs = [latents, self.networks.time_input(timestep, batch), texts, *features]
        with jt.no_grad():
            if self._in_training:
                return list(compute(inputs))
            return self._replays.run(around, compute, inputs)

    def networks_changed(self, *, in_training: bool = False) -> None:
        """Forget what the networks have computed: their weights or layers are others now.

        Args:
            in_training: they go on changing, and nothing is replayed until the next call.
        """
        self._in_training = in_training
        if self._has_text_encoder:
            vars(self).pop("empty_prompt", None)
        self._replays.forget()

    def denoiser(self, network: Network) -> Denoiser:
        """A denoiser over a network of this checkpoint, by its kind of prediction."""
        return DENOISERS[self.prediction_type](network)

    def sample(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int = 25,
        guidance_scale: float = 7.5,
        negative_prompt: str = "",
        size: Size = (512, 512),
        start: InitialLatents | None = None,
        adapt: Callable[[Var], Var] | None = None,
        evaluate: Evaluate | None = None,
    ) -> Iterator[Step]:
        """Text to latents by DDIM with classifier-free guidance, step by step.

        A picture depends on its own prompt and seed only, not on the rest of the batch.

        Args:
            prompts: one for each picture.
            seeds: one for each picture, each at least 0.
            steps: DDIM steps.
            guidance_scale: strength of the prompt; 1 is no guidance and half the work.
            negative_prompt: text to steer away from.
            size: width and height of the pictures.
            start: start of all pictures; pure noise by default.
            adapt: changes the latents (B, 4, h, w) that the first step begins with.
            evaluate: evaluation of the UNet; plain by default. With guidance its batch holds the
                negative half first.

        Yields:
            A `Step` for each timestep; the last one's `latents` (B, 4, h, w) are the result.

        Raises:
            InputError: an impossible size, number of steps, strength, or negative seed.
        """
        self.check_size(size)
        self.schedule.stride(steps)
        taken = steps if start is None else taken_steps(steps, start.strength)
        if len(seeds) != len(prompts) or not prompts:
            raise InputError(f"{len(prompts)} prompts and {len(seeds)} seeds: give one seed each")
        context = self.embed(prompts)
        if guidance_scale != 1:
            negative = self.embed([negative_prompt]).expand(len(prompts), -1, -1)
            context = jt.concat([negative, context], dim=0)
        plain = self.network(context)
        network: Network = (lambda z, t: evaluate(z, t, context)) if evaluate else plain
        if guidance_scale != 1:
            network = guided(network, guidance_scale)
        noise = jt.array(np.concatenate([self._noise(seed, size) for seed in seeds]))
        latents = noise if start is None else self._noised(start.latents, noise, steps, taken)
        if adapt:
            latents = adapt(latents)
        return ddim_sampling(self.denoiser(network), latents, self.schedule, steps, taken)

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int = 25,
        guidance_scale: float = 7.5,
        negative_prompt: str = "",
        size: Size = (512, 512),
        start: InitialLatents | None = None,
        on_step: OnStep | None = None,
        on_prediction: OnPrediction | None = None,
    ) -> list[Image.Image]:
        """Pictures of prompts: `sample`, decoded.

        Args:
            on_step: called after each step.
            on_prediction: called after each step; all other arguments are those of `sample`.

        Raises:
            InputError: as `sample`.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        latents = None
        taken = steps if start is None else taken_steps(steps, start.strength)
        watched = FiniteSteps("the drawing", taken, self.source)
        for step in self.sample(prompts, seeds, steps=steps, guidance_scale=guidance_scale,
                                negative_prompt=negative_prompt, size=size, start=start):
            latents = step.latents
            watched.add(latents)
            if on_prediction:
                on_prediction(step.x0)
            if on_step:
                on_step()
        watched.check()
        return self.decode(latents)

    def _noised(self, latents: Var, noise: Var, steps: int, taken: int) -> Var:
        """Latents with the noise of the first timestep that is taken (Ho et al., equation 4)."""
        alpha_bar = self.schedule.alpha_bar(self.schedule.timesteps(steps)[taken - 1])
        return alpha_bar**0.5 * latents + (1 - alpha_bar) ** 0.5 * noise

    def _noise(self, seed: int, size: Size) -> NDArray[Any]:
        # numpy's generator gives the same numbers on every device and in every batch.
        if seed < 0:
            raise InputError(f"seed = {seed}: must be 0 or more", fields=["seed"])
        shape = (1, self.networks.unet_config.in_channels, size[1] // self.scale_factor,
                 size[0] // self.scale_factor)
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
