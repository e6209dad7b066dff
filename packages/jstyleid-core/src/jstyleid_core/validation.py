"""Problems that pydantic finds in a user's values, for error messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError


@dataclass(frozen=True)
class Problem:
    """A value that is not allowed.

    Attributes:
        field: name of the field, `outer.inner` for a nested one; empty for the whole object.
        value: value that was given.
        reason: explanation of pydantic, or of a validator of this project.
    """

    field: str
    value: Any
    reason: str


def problems_of(error: ValidationError) -> list[Problem]:
    """Every problem of a validation, in pydantic's order."""
    return [Problem(".".join(map(str, found["loc"])), found["input"],
                    found["msg"].removeprefix("Value error, "))
            for found in error.errors()]
