"""Device and batch size of the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdiff_checker.errors import InputError
from jdiff_checker.machine import free_memory, processors

if TYPE_CHECKING:
    import torch

_BYTES_AN_IMAGE = 600 * 2**20
"""Memory for one image in the largest network (CLIP RN50 at 512 x 512, twice), rounded up."""
_MOST = {"cpu": 8, "cuda": 64}
"""Largest batches; on CPUs larger ones are measured not to be faster, and a GPU is full before."""
_NAMES = "Use auto, cpu, cuda or cuda:N."


def choose_device(name: str) -> torch.device:
    """The device called `name`: `auto` (CUDA when it is there), `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: there is no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: no such device. {_NAMES}") from error
    if device.type not in _MOST:
        raise InputError(f"--device {name}: not supported. {_NAMES}")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise InputError(
                f"--device {name}: torch sees {count} GPUs here. Use --device cpu, or install a "
                "build of torch for your GPU."
            )
    return device


def exact_arithmetic() -> None:
    """Switch off the reduced-precision modes of GPUs that would change digits of the score."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def limit_threads() -> None:
    """Compute with no more threads than there are processors, which a container may limit."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), processors()))


def batch_size(device: torch.device) -> int:
    """Number of images whose computation fits into half of the free memory."""
    import torch

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return int(max(1, min(_MOST[device.type], free // 2 // _BYTES_AN_IMAGE)))
