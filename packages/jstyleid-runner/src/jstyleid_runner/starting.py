"""Starting Jittor, with everything compiled that the work will need."""

from jstyleid_core import runtime
from jstyleid_core.backends.jdiffusion.environment import check
from jstyleid_core.runtime import Backend, Device, Report


def start_compiled(device: Device, on_build: Report, backend: Backend = "native") -> None:
    """Start Jittor, compiling it and the kernels of a backend on first use.

    Otherwise kernels would be compiled inside the first steps, where nothing can be shown.

    Raises:
        RuntimeSetupError: the machine or this environment lacks something.
    """
    if backend == "jdiffusion":
        check()  # first: not after minutes of compiling
    runtime.start(device, report=on_build)
    from jstyleid_core.warm import is_warm, warm_kernels

    if not is_warm(backend):
        warm_kernels(on_build, backend)


def compile_training(on_build: Report, backend: Backend) -> None:
    """Compile the kernels of training on a backend, on first use; Jittor must be started."""
    from jstyleid_dreambooth.training.warm import is_training_warm, warm_training

    if not is_training_warm(backend):
        warm_training(on_build, backend)
