"""Options from settings: what a user would have given for them."""

from collections.abc import Sequence

from jstyleid_core import StyleIDSettings
from jstyleid_core.styleid.strengths import Override, StrengthName
from jstyleid_runner.options.styleid import StyleIDOptions


def styleid_options(settings: StyleIDSettings) -> StyleIDOptions:
    """The options of style transfer that give these settings, see `styleid_settings`."""
    with_own = settings.rule != "styleid"
    return StyleIDOptions(
        steps=settings.steps,
        gamma=_strength("gamma", settings),
        temperature=_strength("temperature", settings),
        style_factor=_strength("style_factor", settings) if with_own else None,
        layers=_layers(settings.layers),
        injection=settings.injection,
        rule=settings.rule,
        gate=settings.gate if settings.rule == "gated" else None,
        moments=settings.moments if with_own else None,
        start_latents=settings.start_latents,
        inversion=settings.inversion,
        colour_match=settings.colour_match,
    )


def _strength(name: StrengthName, settings: StyleIDSettings) -> list[str]:
    return [repr(getattr(settings, name)),
            *(_text(override) for override in settings.overrides if override.name == name)]


def _text(override: Override) -> str:
    steps = f" steps {override.steps[0]}-{override.steps[1]}" if override.steps else ""
    return f"{_layers(override.layers)}{steps}:{override.value!r}".strip()


def _layers(layers: Sequence[int]) -> str:
    return ",".join(map(str, layers))
