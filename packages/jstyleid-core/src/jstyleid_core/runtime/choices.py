"""What a user chooses among: devices, libraries of networks and number formats."""

from typing import Literal

Backend = Literal["native", "jdiffusion"]
"""Libraries of networks, see `jstyleid_core.backends`."""
Device = Literal["auto", "cpu", "cuda"]
DType = Literal["auto", "float32", "float16"]
"""Number formats of UNet and text encoder; `auto` is float16 on CUDA and float32 on the CPU."""
