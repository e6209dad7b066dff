"""The start of Jittor, and the devices it can use.

`start` checks the compiler and numpy, puts oneDNN where Jittor looks for it, compiles Jittor on
first use with progress, decides between CPU and CUDA, and puts back what the import changes in the
Python process. All other code gets Jittor through `jstyleid_core.runtime.jittor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jstyleid_core.lazy import lazy_names
from jstyleid_core.runtime.choices import Backend, Device, DType

if TYPE_CHECKING:
    from jstyleid_core.runtime.gpus import GPU, visible_gpus
    from jstyleid_core.runtime.requirements import RuntimeSetupError
    from jstyleid_core.runtime.startup import (
        check_dtype,
        default_dtype,
        redirect_native_output,
        start,
    )

__all__ = [
    "GPU",
    "Backend",
    "DType",
    "Device",
    "RuntimeSetupError",
    "check_dtype",
    "default_dtype",
    "redirect_native_output",
    "start",
    "visible_gpus",
]

# Imported when they are first asked for: `--help` needs the choices only.
__getattr__ = lazy_names(__name__, {
    "GPU": "jstyleid_core.runtime.gpus",
    "visible_gpus": "jstyleid_core.runtime.gpus",
    "RuntimeSetupError": "jstyleid_core.runtime.requirements",
    "check_dtype": "jstyleid_core.runtime.startup",
    "default_dtype": "jstyleid_core.runtime.startup",
    "redirect_native_output": "jstyleid_core.runtime.startup",
    "start": "jstyleid_core.runtime.startup",
})
