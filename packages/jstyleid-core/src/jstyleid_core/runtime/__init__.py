"""The start of Jittor, and the devices it can use.

`start` checks the compiler and numpy, puts oneDNN where Jittor looks for it, compiles Jittor on
first use with progress, decides between CPU and CUDA, and puts back what the import changes in the
Python process. All other code gets Jittor through `jstyleid_core.runtime.jittor`.
"""

from jstyleid_core.runtime.devices import Backend, Device, DType
from jstyleid_core.runtime.gpus import GPU, visible_gpus
from jstyleid_core.runtime.requirements import RuntimeSetupError
from jstyleid_core.runtime.startup import default_dtype, redirect_native_output, start

__all__ = [
    "GPU",
    "Backend",
    "DType",
    "Device",
    "RuntimeSetupError",
    "default_dtype",
    "redirect_native_output",
    "start",
    "visible_gpus",
]
