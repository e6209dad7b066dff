"""StyleID's settings from the options of a command."""

from jstyleid_core import StyleIDSettings
from jstyleid_core.styleid.settings import parse_layers


def method_settings(
    *, steps: int, gamma: float, temperature: float, layers: str, adain: bool, injection: bool
) -> StyleIDSettings:
    """The settings object the options describe.

    Raises:
        InputError: a value is not allowed.
    """
    return StyleIDSettings.create(
        steps=steps,
        gamma=gamma,
        temperature=temperature,
        layers=parse_layers(layers),
        adain=adain,
        injection=injection,
    )
