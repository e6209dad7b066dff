"""Loading networks from files that may be damaged, foreign or hostile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import CheckerError, WeightsError

if TYPE_CHECKING:
    import torch


@contextmanager
def loading(file: Path, what: str) -> Iterator[None]:
    """Whatever goes wrong in the block is `file`'s fault: it is not the weights of `what`.

    The libraries that read weights raise all kinds of exceptions over a file that is not theirs.

    Raises:
        WeightsError: names the file and how to get it anew.
    """
    try:
        yield
    except (CheckerError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise WeightsError(
            f"{file}: not the weights of {what}, or damaged ({reason}). Fetch it again: "
            "jdiff-check weights fetch --replace"
        ) from error


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a state dict saved with `torch.save`, to be called within `loading`.

    `weights_only` admits tensors and plain containers; any other pickled object is refused, so
    nothing in the file is run.
    """
    import torch

    content = torch.load(file, map_location="cpu", weights_only=True)
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
