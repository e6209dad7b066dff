"""The operators that both sides time: their shapes, and the work that is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from case import Device, SizeName, dtypes

Kind = Literal["attention", "group norm", "layer norm", "GEGLU", "convolution"]
CALLS = 20
"""Calls that are timed together: one alone is shorter than the time to start it."""


@dataclass(frozen=True)
class Kernel:
    """One operator on one shape.

    The shape is (batch, tokens, heads, size of a head) of attention, (batch, channels, height,
    width) of the norm over groups and the convolution, and (batch, tokens, channels) of the others.
    """

    kind: Kind
    shape: tuple[int, ...]
    dtype: str = "float16"

    @property
    def name(self) -> str:
        """The name in the report."""
        return f"{self.kind} {'x'.join(map(str, self.shape))} {self.dtype}"

    @property
    def operations(self) -> float | None:
        """Floating-point operations, of those that are limited by them."""
        if self.kind == "attention":
            batch, tokens, heads, size = self.shape
            return 4.0 * batch * tokens**2 * heads * size
        if self.kind == "convolution":
            batch, channels, height, width = self.shape
            return 2.0 * 9 * batch * channels**2 * height * width
        return None

    @property
    def traffic(self) -> float:
        """Bytes that are read and written at least."""
        numbers = 1.0
        for side in self.shape:
            numbers *= side
        arrays = {"attention": 4, "GEGLU": 3}.get(self.kind, 2)  # GEGLU reads twice its channels
        return numbers * arrays * (2 if self.dtype == "float16" else 4)


def kernels(size: SizeName, device: Device) -> list[Kernel]:
    """The operators of a size, in the number formats of a device."""
    if size == "full":
        found = [
            Kernel("attention", (1, 4096, 5, 64)),
            Kernel("attention", (4, 4096, 5, 64)),
            Kernel("attention", (1, 9216, 5, 64)),
            Kernel("attention", (1, 4096, 8, 40)),
            Kernel("attention", (1, 1024, 10, 64)),
            Kernel("attention", (1, 4096, 1, 512), "float32"),
            Kernel("group norm", (1, 320, 64, 64)),
            Kernel("layer norm", (1, 4096, 320)),
            Kernel("GEGLU", (1, 4096, 1280)),
            Kernel("convolution", (1, 320, 64, 64)),
        ]
    else:
        found = [
            Kernel("attention", (1, 64, 2, 16), "float32"),
            Kernel("group norm", (1, 32, 8, 8), "float32"),
            Kernel("layer norm", (1, 64, 32), "float32"),
            Kernel("GEGLU", (1, 64, 128), "float32"),
            Kernel("convolution", (1, 32, 8, 8), "float32"),
        ]
    return [kernel for kernel in found if kernel.dtype in dtypes(device)]
