"""Starting Jittor, with everything compiled that the work will need."""

from jstyleid_core import runtime
from jstyleid_core.runtime import Device, Report


def start_compiled(device: Device, on_build: Report) -> None:
    """Start Jittor, compiling it and the kernels on first use.

    Otherwise kernels would be compiled inside the first steps, where nothing can be shown.
    """
    runtime.start(device, report=on_build)
    from jstyleid_core.warm import is_warm, warm_kernels

    if not is_warm():
        warm_kernels(on_build)


def compile_training(on_build: Report) -> None:
    """Compile the kernels of training, on first use; Jittor must be started."""
    from jstyleid_dreambooth.training.warm import is_training_warm, warm_training

    if not is_training_warm():
        warm_training(on_build)
