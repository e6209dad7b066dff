"""Drawing in a style: a prompt's picture that is stylised while it is drawn, or right after.

Both ways spare the inversion of a content that the model has drawn itself, and with it the
inversion's error:

- `StyledDrawing.draw` injects the style's keys and values while the prompt is drawn with guidance
  (StyleAligned, Hertz et al., CVPR 2024; Visual Style Prompting, Jeong et al. 2024): 2 n
  evaluations of the UNet for a picture.
- `StyledDrawing.record` keeps the noise and the queries of a drawing, and
  `StyledDrawing.transfer` stylises from them: 2 n evaluations and n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from jstyleid_core.diffusion.finite import FiniteSteps
from jstyleid_core.errors import InputError, setting
from jstyleid_core.images import Size
from jstyleid_core.pipeline import InitialLatents
from jstyleid_core.progress import OnStep
from jstyleid_core.runtime.jittor import Var
from jstyleid_core.styleid.injection import Features
from jstyleid_core.styleid.method import StyleID
from jstyleid_core.styleid.start import start_latents
from jstyleid_core.styleid.style import Style


@dataclass(frozen=True)
class Prompts:
    """The pictures to draw; the number of steps is that of the style transfer.

    Attributes:
        texts, seeds: one for each picture.
        guidance_scale: strength of the prompt; 1 is no guidance and half the work.
        negative: text to steer away from.
        size: width and height.
        start: picture that all start from, instead of noise.
    """

    texts: Sequence[str]
    seeds: Sequence[int]
    guidance_scale: float = 7.5
    negative: str = ""
    size: Size = (512, 512)
    start: InitialLatents | None = None


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Drawn contents as a style transfer needs them.

    Attributes:
        noise: (B, 4, h, w), the latents at t = T.
        queries: of each timestep and layer, (B, N, C).
    """

    noise: Var
    queries: Features


class StyledDrawing:
    """Draws prompts in a style, with the settings of a `StyleID`.

    Args:
        styleid: the method; its `steps` are those of the drawing, too.

    Example:
        >>> styleid = StyleID(model, StyleIDSettings(rule="joint"))
        >>> style = styleid.invert_style(style_picture)
        >>> [picture] = StyledDrawing(styleid).draw(Prompts(["a boat"], [0]), [style])
    """

    def __init__(self, styleid: StyleID) -> None:
        self.styleid, self.model, self.settings = styleid, styleid.model, styleid.settings

    def draw(
        self, prompts: Prompts, styles: Sequence[Style], on_step: OnStep | None = None
    ) -> list[Image.Image]:
        """Draw prompts with the style's keys and values in place: one pass.

        The query is the picture's own, so gamma has no effect. The noise is changed as the setting
        `start_latents` says, unless the drawing starts from a picture. With `negative_query` the
        negative half of the guidance meets the style with the style's own query, and draws what is
        in the reference: the guidance leads away from that, eps = eps_neg + w (eps_pos - eps_neg)
        (StyleKeeper, Jeong et al. 2025).

        Args:
            prompts: pictures to draw.
            styles: references of the style, as `StyleID.transfer` takes them.
            on_step: called after each of the n steps.

        Raises:
            InputError: as `StableDiffusion.sample` and `StyleID.transfer`, or negative queries are
                asked for with a reference of another size.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        styles = self.styleid.check_styles(styles)
        negative = self.settings.negative_query and prompts.guidance_scale != 1
        pooled = [style.latents for style in styles]
        drawn = (prompts.size[1] // self.model.scale_factor,
                 prompts.size[0] // self.model.scale_factor)
        if negative and tuple(pooled[0].shape[2:]) != drawn:
            raise InputError(
                f"{setting('negative_query')} needs a reference of the pictures' size, "
                f"{prompts.size[0]} x {prompts.size[1]}", fields=["negative_query"])

        def evaluate(latents: Var, timestep: int, context: Var) -> Var:
            queries = {layer: seen.query for layer, seen in styles[0].features[timestep].items()
                       } if negative else {}
            return self.styleid.inject(latents, timestep, context, styles,
                                       query="negative" if negative else "own", queries=queries)

        def adapted(noise: Var) -> Var:
            return start_latents(self.settings, noise, pooled)

        latents = None
        watched = self._watched("drawing in the style")
        for step in self.model.sample(
                prompts.texts, prompts.seeds, steps=self.settings.steps,
                guidance_scale=prompts.guidance_scale, negative_prompt=prompts.negative,
                size=prompts.size, start=prompts.start, evaluate=evaluate,
                adapt=None if prompts.start else adapted):
            latents = step.latents
            watched.add(latents)
            if on_step:
                on_step()
        watched.check()
        return self.styleid.finish(latents, styles)

    def record(self, prompts: Prompts, on_step: OnStep | None = None) -> Trajectory:
        """Draw prompts, and keep the noise and the queries of the prompts' half of the guidance.

        Args:
            prompts: pictures to draw.
            on_step: called after each of the n steps.

        Raises:
            InputError: as `StableDiffusion.sample`, or the drawing does not start from noise.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        if prompts.start:
            raise InputError("a drawing that is stylised from its recording starts from noise",
                             fields=["start"])
        queries: Features = {}
        noises: list[Var] = []
        count = len(prompts.texts)

        def keep(noise: Var) -> Var:
            noises.append(noise)
            return noise

        def evaluate(latents: Var, timestep: int, context: Var) -> Var:
            out, seen = self.styleid.record(latents, timestep, context, ("query",))
            batch = latents.shape[0]
            queries[timestep] = {
                layer: each if batch == count else each.part_of_batch(batch - count, batch)
                for layer, each in seen.items()}
            return out

        watched = self._watched("the drawing")
        for step in self.model.sample(
                prompts.texts, prompts.seeds, steps=self.settings.steps,
                guidance_scale=prompts.guidance_scale, negative_prompt=prompts.negative,
                size=prompts.size, evaluate=evaluate, adapt=keep):
            watched.add(step.latents)
            if on_step:
                on_step()
        watched.check()
        return Trajectory(noises[0], queries)

    def transfer(
        self, trajectory: Trajectory, styles: Sequence[Style], on_step: OnStep | None = None
    ) -> list[Image.Image]:
        """Stylise drawn contents, which are not inverted.

        Args:
            trajectory: drawn contents; serves once, since its queries are dropped on the way.
            styles: references of the style, as `StyleID.transfer` takes them.
            on_step: called after each of the n steps.

        Raises:
            InputError: a style was recorded otherwise.
            NumbersError: the numbers are not finite from some step on, which the message names.
        """
        styles = self.styleid.check_styles(styles)
        x0 = None
        watched = self._watched("stylising")
        for step in self.styleid.reversal(trajectory.noise, trajectory.queries, styles):
            x0 = step.x0
            watched.add(step.latents)
            if on_step:
                on_step()
        watched.check()
        return self.styleid.finish(x0, styles)

    def _watched(self, what: str) -> FiniteSteps:
        return FiniteSteps(what, self.settings.steps, self.model.source)
