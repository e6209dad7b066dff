"""Functions that Typer is to see with other parameters than they are written with."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name, to be named only: their order does not matter."""
    found = inspect.signature(function).parameters
    return {name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in found.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD}


def option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """One more parameter."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def give_signature(
    function: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> None:
    """Let a function that takes any keywords be seen with these parameters."""
    listed = list(parameters)
    function.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
