"""The method StyleID: invert, record, adapt, reverse under injection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from jstyleid_core.diffusion.ddim import Inversion, Step, ddim_inversion, ddim_sampling
from jstyleid_core.diffusion.denoiser import Denoiser, Network
from jstyleid_core.errors import InputError
from jstyleid_core.interfaces import AttentionLayer, processors
from jstyleid_core.progress import OnStep
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.injection import (
    Features,
    InjectionRule,
    Injector,
    Projections,
    Recorder,
    adain,
    styleid_rule,
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
        self.rule = rule or styleid_rule(self.settings.gamma, self.settings.temperature)
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
        """
        latents = self.model.encode([image])
        features: Features = {}
        for step in self._invert(latents, features, _key_and_value):
            latents = step.latents
            if on_step:
                on_step()
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
        """
        x0 = None
        for step in self.steps(contents, style):
            x0 = step.x0
            if on_step:
                on_step()
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

    def _steps(self, latents: Var, style: Style) -> Iterator[Step]:
        queries: Features = {}
        for step in self._invert(latents, queries, _query):
            latents = step.latents
            yield step
        if self.settings.adain:
            latents = adain(latents, style.latents, self.settings.adain_eps)
        denoiser = self._denoiser(lambda network: self._injected(network, queries, style.features))
        yield from ddim_sampling(denoiser, latents, self.model.schedule, self.settings.steps)

    def _invert(
        self, latents: Var, features: Features, part: Callable[[Projections], Projections]
    ) -> Iterator[Step]:
        denoiser = self._denoiser(lambda network: self._recorded(network, features, part))
        return self.inversion(denoiser, latents, self.model.schedule, self.settings.steps)

    def _denoiser(self, wrap: Callable[[Network], Network]) -> Denoiser:
        """The model under the empty prompt, without guidance, with processors by `wrap`."""
        return self.model.denoiser(wrap(self.model.network(self.model.empty_prompt)))

    def _recorded(
        self, network: Network, features: Features, part: Callable[[Projections], Projections]
    ) -> Network:
        def evaluate(latents: Var, timestep: int) -> Var:
            seen = features[timestep] = {}
            recorders = {attention: Recorder(self._keep(seen, layer, part))
                         for layer, attention in self.attentions.items()}
            with processors(recorders):
                out = network(latents, timestep)
            # Computed together and now: a kept but lazy projection would hold the whole graph.
            jt.sync([out, *(v for p in seen.values() for v in (p.query, p.key, p.value)
                            if v is not None)])
            return out

        return evaluate

    def _keep(
        self, seen: dict[int, Projections], layer: int, part: Callable[[Projections], Projections]
    ) -> Callable[[Projections], None]:
        def keep(projections: Projections) -> None:
            seen[layer] = _cast(part(projections), self.recipe.dtype)

        return keep

    def _injected(self, network: Network, queries: Features, styles: Features) -> Network:
        def evaluate(latents: Var, timestep: int) -> Var:
            # The content's queries serve one evaluation; popping them frees their memory.
            content = queries.pop(timestep, {})
            dtype = self.model.dtype
            injectors = {
                attention: Injector(self.rule, _cast(content[layer], dtype),
                                    _cast(styles[timestep][layer], dtype))
                for layer, attention in self.attentions.items()}
            with processors(injectors):
                out = network(latents, timestep)
            out.sync()
            return out

        return evaluate


def _query(seen: Projections) -> Projections:
    return Projections(query=seen.query)


def _key_and_value(seen: Projections) -> Projections:
    return Projections(key=seen.key, value=seen.value)


def _cast(seen: Projections, dtype: str) -> Projections:
    parts = (seen.query, seen.key, seen.value)
    return Projections(*(part if part is None else part.cast(dtype) for part in parts))
