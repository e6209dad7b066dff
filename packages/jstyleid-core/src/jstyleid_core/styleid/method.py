"""The method StyleID: invert, record, adapt, reverse under injection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from jstyleid_core.diffusion.ddim import Inversion, Step, ddim_inversion, ddim_sampling
from jstyleid_core.diffusion.denoiser import Network
from jstyleid_core.diffusion.finite import FiniteSteps
from jstyleid_core.errors import InputError
from jstyleid_core.interfaces import AttentionLayer
from jstyleid_core.progress import OnStep
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.injection import (
    Features,
    Injection,
    InjectionRule,
    Part,
    Projections,
    Recording,
    StyleIDRule,
    adain,
)
from jstyleid_core.styleid.settings import StyleIDSettings, attention_name
from jstyleid_core.styleid.style import Recipe, Style, hash_image

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion


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
        inversion: Inversion = ddim_inversion,
        rule: InjectionRule | None = None,
    ) -> None:
        """Prepare the method on a model.

        Args:
            model: the model; its UNet is recorded and injected into.
            settings: the constants; the reference's by default.
            inversion: method that brings latents to t = T.
            rule: rule for query, key and value; the paper's by default.

        Raises:
            InputError: the checkpoint's UNet lacks one of the layers.
        """
        self.model = model
        self.settings = settings or StyleIDSettings()
        self.inversion = inversion
        self.rule = rule or StyleIDRule(self.settings.gamma, self.settings.temperature)
        self.recipe = Recipe.of(self.settings, model)
        attentions = model.networks.attentions()
        self.attentions: dict[int, AttentionLayer] = {}
        for layer in self.recipe.layers:
            name = attention_name(layer)
            if name not in attentions:
                raise InputError(f"layer {layer}: this checkpoint's UNet has no {name}")
            self.attentions[layer] = attentions[name]

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
        for step in self._invert(latents, features, ("key", "value")):
            latents = step.latents
            watched.add(latents)
            if on_step:
                on_step()
        watched.check()
        return Style(latents, features, self.recipe, hash_image(image), self.model)

    def transfer(
        self, contents: Sequence[Image.Image], style: Style, on_step: OnStep | None = None
    ) -> list[Image.Image]:
        """Transfer a style to content pictures of one size, as one batch.

        Each result is the same as that of a batch of one.

        Args:
            contents: RGB pictures of one size the UNet works on.
            style: recorded with this model and these settings.
            on_step: called after each of the 2 n steps.

        Raises:
            InputError: sizes differ or are impossible, or the style was recorded otherwise.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        x0 = None
        inverting, stylising = self._watched("inverting the content"), self._watched("stylising")
        for number, step in enumerate(self.steps(contents, style)):
            x0 = step.x0
            if number == self.settings.steps:
                inverting.check()
            (inverting if number < self.settings.steps else stylising).add(step.latents)
            if on_step:
                on_step()
        stylising.check()
        return self.model.decode(x0)

    def steps(self, contents: Sequence[Image.Image], style: Style) -> Iterator[Step]:
        """The 2 n steps of a transfer; the last one's `x0` (B, 4, h, w) is the result.

        As in the reference the predicted clean latents of the last step are decoded, not the
        latents after it.

        Raises:
            InputError: see `transfer`.
        """
        if style.recipe != self.recipe or style.model is not self.model:
            raise InputError(
                f"the style was recorded with {style.recipe}, these settings need {self.recipe}, "
                "both with the same model. Invert the style again."
            )
        if len({content.size for content in contents}) != 1:
            raise InputError("contents of one batch must have one size; transfer them one by one")
        return self._steps(self.model.encode(contents), style)

    def _watched(self, what: str) -> FiniteSteps:
        return FiniteSteps(what, self.settings.steps, self.model.source)

    def _steps(self, latents: Var, style: Style) -> Iterator[Step]:
        queries: Features = {}
        for step in self._invert(latents, queries, ("query",)):
            latents = step.latents
            yield step
        if self.settings.adain:
            latents = adain(latents, style.latents, self.settings.adain_eps)
        network = self._injected(queries, style.features)
        yield from ddim_sampling(self.model.denoiser(network), latents, self.model.schedule,
                                 self.settings.steps)

    def _invert(
        self, latents: Var, features: Features, parts: tuple[Part, ...]
    ) -> Iterator[Step]:
        """The inversion under the empty prompt; `features` gets what is recorded."""
        denoiser = self.model.denoiser(self._recorded(features, parts))
        return self.inversion(denoiser, latents, self.model.schedule, self.settings.steps)

    def _recorded(self, features: Features, parts: tuple[Part, ...]) -> Network:
        around = Recording(tuple(self.attentions.values()), parts, self.recipe.dtype)

        def evaluate(latents: Var, timestep: int) -> Var:
            out, *kept = self.model.evaluate(latents, timestep, self.model.empty_prompt,
                                             around=around)
            # Computed together and now: a kept but lazy projection would hold the whole graph.
            jt.sync([out, *kept])
            left = iter(kept)
            features[timestep] = {
                layer: Projections(**{str(part): next(left) for part in parts})
                for layer in self.attentions}
            return out

        return evaluate

    def _injected(self, queries: Features, styles: Features) -> Network:
        around = Injection(tuple(self.attentions.values()), self.rule, self.model.dtype)

        def evaluate(latents: Var, timestep: int) -> Var:
            # The content's queries serve one evaluation; popping them frees their memory.
            content = queries.pop(timestep)
            features = [array for layer in self.attentions
                        for array in (content[layer].query, styles[timestep][layer].key,
                                      styles[timestep][layer].value)]
            [out] = self.model.evaluate(latents, timestep, self.model.empty_prompt, features,
                                        around)
            out.sync()
            return out

        return evaluate
