"""What this process did with its emulated card, as numbers.

counters = DeviceCounters()
counters.reset()
...  # compute
print(counters.read()["copies_to_host"])
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any


class DeviceCounters:
    """The counters of the runtime's stand-in that this process has loaded."""

    def __init__(self, libraries: Path | None = None) -> None:
        """Find the stand-in.

        Args:
            libraries: the toolkit's folder of libraries; the loader's usual places if not given.

        Raises:
            OSError: there is no runtime.
            AttributeError: the runtime is a real one.
        """
        name = "libcudart.so" if libraries is None else str(libraries / "libcudart.so")
        runtime = ctypes.CDLL(name)
        self._report = runtime.fake_cuda_report
        self._report.restype = ctypes.c_char_p
        self._reset = runtime.fake_cuda_reset
        self._reset.restype = None

    def read(self) -> dict[str, Any]:
        """All counters by name: counts, bytes, and `kernels`, the launches by kernel."""
        counters: dict[str, Any] = json.loads(self._report())
        return counters

    def reset(self) -> None:
        """Set the counters to zero; the peak starts again from the memory in use."""
        self._reset()
