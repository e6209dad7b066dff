"""Reading tensors from torch's `.pth` files without running what is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import WeightsError

if TYPE_CHECKING:
    import torch


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a state dict saved with `torch.save`.

    `weights_only` admits tensors and plain containers; any other pickled object is refused.

    Raises:
        WeightsError: the file is damaged or holds something else.
    """
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{file}: not a file of tensors ({str(error).splitlines()[0]}). Fetch it again: "
            "jdiff-check weights fetch --replace"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{file}: holds a {type(content).__name__}, not named tensors.")
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
