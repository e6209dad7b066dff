"""The method StyleID: invert, record, adapt, reverse under injection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.diffusion.ddim import (
    Inversion,
    Step,
    ddim_inversion,
    ddim_sampling,
    fixed_point_inversion,
)
from jstyleid_core.diffusion.denoiser import Network, Prediction, inside_mask
from jstyleid_core.diffusion.finite import FiniteSteps
from jstyleid_core.errors import InputError
from jstyleid_core.interfaces import AttentionLayer
from jstyleid_core.progress import OnPrediction, OnStep
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.colours import match_colours, palette_of
from jstyleid_core.styleid.injection import Features, Injection, Part, QuerySource, Recording
from jstyleid_core.styleid.layers import attention_name, check_layers
from jstyleid_core.styleid.mask import Mask
from jstyleid_core.styleid.rules import InjectionRule, Projections, rule_of
from jstyleid_core.styleid.settings import StyleIDSettings
from jstyleid_core.styleid.start import start_latents
from jstyleid_core.styleid.style import Style, hash_image
from jstyleid_core.styleid.style_file import Recipe

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion

_NOISED_TOGETHER = 4
"""Timesteps of a noised style that are evaluated at once."""


class StyleID:
    """Style transfer without training (Chung et al., CVPR 2024).

    A content costs 2 n UNet evaluations, n for its inversion and n for the reversal; a style costs
    n, once.

    Example:
        >>> styleid = StyleID(model, StyleIDSettings(gamma=0.5))
        >>> style = styleid.invert_style(style_picture)
        >>> pictures = styleid.transfer([content_picture], style)
    """

    def __init__(
        self,
        model: StableDiffusion,
        settings: StyleIDSettings | None = None,
        *,
        inversion: Inversion | None = None,
        rule: InjectionRule | None = None,
    ) -> None:
        """Prepare the method on a model.

        Args:
            model: the model; its UNet is recorded and injected into.
            settings: the constants; the reference's by default.
            inversion: method that brings latents to t = T; by default the settings'.
            rule: rule of the injection in each layer and step; by default the settings'.

        Raises:
            InputError: the checkpoint's UNet lacks one of the layers.
        """
        self.model = model
        self.settings = settings or StyleIDSettings()
        self.inversion = inversion or _inversion_of(self.settings)
        self.rule = rule
        self.recipe = Recipe.of(self.settings, model)
        timesteps = model.schedule.timesteps(self.settings.steps)
        self._step_of = {timestep: step for step, timestep in enumerate(reversed(timesteps))}
        check_layers(self.recipe.layers, model.networks.unet_config)
        attentions = model.networks.attentions()
        self.attentions: dict[int, AttentionLayer] = {
            layer: attentions[attention_name(layer)] for layer in self.recipe.layers}

    def invert_style(self, image: Image.Image, on_step: OnStep | None = None) -> Style:
        """Invert a style picture and record its keys and values: n UNet evaluations.

        Args:
            image: of any size the UNet works on, which may differ from the contents'.
            on_step: called after each of the n steps.

        Raises:
            InputError: an impossible size.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        latents = self.model.encode([image])
        features: Features = {}
        watched = self._watched("inverting the style")
        noised = self.settings.inversion == "noised"
        for step in (self._noise_style if noised else self._invert_style)(latents, features):
            latents = step
            watched.add(latents)
            if on_step:
                on_step()
        watched.check()
        return Style(latents, palette_of(image), features, self.recipe, hash_image(image),
                     self.model)

    def transfer(
        self,
        contents: Sequence[Image.Image],
        style: Style | Sequence[Style],
        on_step: OnStep | None = None,
        *,
        mask: Mask | None = None,
        on_prediction: OnPrediction | None = None,
    ) -> list[Image.Image]:
        """Transfer a style to content pictures of one size, as one batch.

        Each result is the same as that of a batch of one.

        Args:
            contents: RGB pictures of one size the UNet works on.
            style: recorded with this model and these settings; of several, which may be of several
                sizes, keys and values stand side by side, and the pixels of all count in the start.
            on_step: called after each of the 2 n steps.
            mask: the part of the pictures that takes the style; all by default.
            on_prediction: called after each of the n steps of the reversal.

        Raises:
            InputError: sizes differ or are impossible, or a style was recorded otherwise.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        x0 = None
        inverting, stylising = self._watched("inverting the content"), self._watched("stylising")
        for number, step in enumerate(self.steps(contents, style, mask=mask)):
            x0 = step.x0
            if number == self.settings.steps:
                inverting.check()
            (inverting if number < self.settings.steps else stylising).add(step.latents)
            if on_prediction and number >= self.settings.steps:
                on_prediction(x0)
            if on_step:
                on_step()
        stylising.check()
        return self.finish(x0, style, mask)

    def finish(
        self, latents: Var, style: Style | Sequence[Style], mask: Mask | None = None
    ) -> list[Image.Image]:
        """Pictures of stylised latents (B, 4, h, w), with colours as the settings say."""
        pictures, share = self.model.decode(latents), self.settings.colour_match
        if not share:
            return pictures
        palettes = [each.palette for each in _listed(style) if each.palette is not None]
        return [match_colours(picture, palettes, share, mask) for picture in pictures]

    def steps(
        self, contents: Sequence[Image.Image], style: Style | Sequence[Style],
        *, mask: Mask | None = None,
    ) -> Iterator[Step]:
        """The 2 n steps of a transfer; the last one's `x0` (B, 4, h, w) is the result.

        As in the reference the predicted clean latents of the last step are decoded, not the
        latents after it.

        Raises:
            InputError: see `transfer`.
        """
        styles = self.check_styles(_listed(style))
        if len({content.size for content in contents}) != 1:
            raise InputError("contents of one batch must have one size; transfer them one by one")
        if mask and mask.size != contents[0].size:
            raise InputError(f"the mask has {mask.size} pixels, the contents {contents[0].size}")
        return self._steps(self.model.encode(contents), styles, mask)

    def check_styles(self, styles: Sequence[Style]) -> tuple[Style, ...]:
        """The references, if they were recorded with this model and these settings.

        Raises:
            InputError: one was not, or there is none.
        """
        if not styles:
            raise InputError("no style is given: give at least one")
        for style in styles:
            if style.recipe != self.recipe or style.model is not self.model:
                raise InputError(
                    f"the style was recorded with {style.recipe}, these settings need "
                    f"{self.recipe}, both with the same model. Invert the style again.")
            if self.settings.colour_match and style.palette is None:
                raise InputError("the style was read from a file without the colours of its "
                                 "picture, which colour_match needs. Invert the style again.",
                                 fields=["colour_match"])
        return tuple(styles)

    def _watched(self, what: str) -> FiniteSteps:
        return FiniteSteps(what, self.settings.steps, self.model.source)

    def _steps(
        self, latents: Var, styles: Sequence[Style], mask: Mask | None
    ) -> Iterator[Step]:
        queries: Features = {}
        inverted: dict[int, Prediction] = {}
        denoiser = self.model.denoiser(self._recorded(queries, ("query",)))
        for step in self.inversion(denoiser, latents, self.model.schedule, self.settings.steps):
            latents = step.latents
            if mask:
                bar = self.model.schedule.alpha_bar(step.timestep)
                inverted[step.timestep] = Prediction(
                    step.x0, (latents - bar**0.5 * step.x0) / (1 - bar) ** 0.5)
            yield step
        yield from self.reversal(latents, queries, styles, mask, inverted)

    def reversal(
        self, latents: Var, queries: Features, styles: Sequence[Style], mask: Mask | None = None,
        inverted: Mapping[int, Prediction] | None = None,
    ) -> Iterator[Step]:
        """The n steps from the content at t = T to the stylised picture.

        Args:
            latents: (B, 4, h, w), the content's at t = T.
            queries: the content's by timestep and layer; each is dropped once it is used.
            styles: the references of the style.
            mask: the part of the pictures that takes the style; all by default.
            inverted: predictions of the content's inversion by timestep; needed for a mask.
        """
        start = start_latents(self.settings, latents, [style.latents for style in styles])
        denoiser = self.model.denoiser(self._injected(queries, styles, mask))
        if mask:
            inside = jt.array(mask.means(self.model.scale_factor)[None, None])
            start = inside * start + (1 - inside) * latents
            denoiser = inside_mask(denoiser, inside, inverted or {})
        yield from ddim_sampling(denoiser, start, self.model.schedule, self.settings.steps)

    def _invert_style(self, latents: Var, features: Features) -> Iterator[Var]:
        """The latents after each step of the inversion; `features` gets keys and values."""
        denoiser = self.model.denoiser(self._recorded(features, self.recipe.parts))
        for step in self.inversion(denoiser, latents, self.model.schedule, self.settings.steps):
            yield step.latents

    def _noise_style(self, latents: Var, features: Features) -> Iterator[Var]:
        """The same of latents that are noised to each timestep, q(z_t | z_0), with one noise.

        No timestep depends on another, so several are evaluated at once.
        """
        noise = jt.array(np.random.default_rng(self.settings.seed).standard_normal(
            latents.shape, dtype=np.float32))
        timesteps = self.model.schedule.timesteps(self.settings.steps)
        for first in range(0, len(timesteps), _NOISED_TOGETHER):
            together = timesteps[first:first + _NOISED_TOGETHER]
            bars = [self.model.schedule.alpha_bar(timestep) for timestep in together]
            noised = [bar**0.5 * latents + (1 - bar) ** 0.5 * noise for bar in bars]
            _, recorded = self.record(jt.concat(noised, dim=0), np.array(together),
                                      self.model.empty_prompt, self.recipe.parts)
            for i, (timestep, noisy) in enumerate(zip(together, noised, strict=True)):
                # Copies: a part of an array would hold the whole.
                features[timestep] = {layer: seen.part_of_batch(i, i + 1)
                                      for layer, seen in recorded.items()}
                yield noisy

    def _recorded(self, features: Features, parts: tuple[Part, ...]) -> Network:
        """The network under the empty prompt; `features` gets what is recorded.

        Of several evaluations at one timestep the last one counts.
        """

        def evaluate(latents: Var, timestep: int) -> Var:
            out, features[timestep] = self.record(
                latents, timestep, self.model.empty_prompt, parts)
            return out

        return evaluate

    def record(
        self, latents: Var, timestep: int | NDArray[Any], context: Var, parts: tuple[Part, ...]
    ) -> tuple[Var, dict[int, Projections]]:
        """Evaluate the UNet, and record projections of each layer.

        Args:
            latents: (B, 4, h, w).
            timestep: one for the batch, or one for each example, (B,).
            context: (B, 77, C), or (1, 77, C) for the whole batch.
            parts: the projections.

        Returns:
            The prediction (B, 4, h, w), and the projections (B, N, C) by layer.
        """
        around = Recording(tuple(self.attentions.values()), parts, self.recipe.dtype)
        out, *kept = self.model.evaluate(latents, timestep, context, around=around)
        # Computed together and now: a kept but lazy projection would hold the whole graph.
        jt.sync([out, *kept])
        left = iter(kept)
        return out, {layer: Projections(**{str(part): next(left) for part in parts})
                     for layer in self.attentions}

    def _injected(
        self, queries: Features, styles: Sequence[Style], mask: Mask | None
    ) -> Network:
        masks = {layer: jt.array(mask.means(self._pixels_per_token(layer)).reshape(1, -1, 1))
                 for layer in self.attentions} if mask else {}

        def evaluate(latents: Var, timestep: int) -> Var:
            # The content's queries serve one evaluation; popping them frees their memory.
            content = {layer: seen.query for layer, seen in queries.pop(timestep).items()}
            return self.inject(latents, timestep, self.model.empty_prompt, styles,
                               query="content", queries=content, masks=masks)

        return evaluate

    def inject(
        self, latents: Var, timestep: int, context: Var, styles: Sequence[Style], *,
        query: QuerySource, queries: Mapping[int, Var], masks: Mapping[int, Var] | None = None,
    ) -> Var:
        """Evaluate the UNet under injection.

        Args:
            latents: (B, 4, h, w).
            timestep: one of the settings' steps.
            context: (B, 77, C), or (1, 77, C) for the whole batch.
            styles: the references of the style.
            query: source of the query, see `Injection`.
            queries: the query of each layer where it is not the picture's own, (B, N, C) or
                (1, N, C).
            masks: the mask (1, N, 1) of each layer, if the style acts in a part only.

        Returns:
            The prediction, (B, 4, h, w) float32.
        """
        features: list[Var] = []
        for layer in self.attentions:
            features += [queries[layer]] if query != "own" else []
            for style in styles:
                seen = style.features[timestep][layer]
                features += [seen.key, seen.value]
            features += [masks[layer]] if masks else []
        step = self._step_of[timestep]
        around = Injection(
            tuple(self.attentions.values()),
            tuple(self.rule or rule_of(self.settings, layer, step) for layer in self.attentions),
            self.model.dtype, len(styles), query, bool(masks))
        [out] = self.model.evaluate(latents, timestep, context, features, around)
        out.sync()
        return out

    def _pixels_per_token(self, layer: int) -> int:
        """The decoder's last block works on the latents' pixels, each before it on half as many."""
        levels = len(self.model.networks.unet_config.block_out_channels)
        return self.model.scale_factor * 2 ** (levels - 1 - layer // 3)


def _listed(style: Style | Sequence[Style]) -> Sequence[Style]:
    return (style,) if isinstance(style, Style) else style


def _inversion_of(settings: StyleIDSettings) -> Inversion:
    """The content's inversion, and the style's unless that is noised."""
    evaluations = settings.inversion_evaluations // settings.steps
    return ddim_inversion if evaluations == 1 else fixed_point_inversion(evaluations)
