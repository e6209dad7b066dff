"""Which device a command computes on, from `--device` and `--gpus`."""

from jstyleid_core import runtime
from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Device
from jstyleid_runner.executors.process import Place, places_on_cards, places_on_cpu


def choose_device(device: Device, gpus: int | None) -> Device:
    """The device to start on.

    Raises:
        InputError: more cards are asked for than there are, or the two options contradict each
            other.
    """
    if gpus is None:
        return device
    if gpus == 0:
        if device == "cuda":
            raise InputError("--gpus 0 and --device cuda contradict each other. Leave one out.")
        return "cpu"
    if device == "cpu":
        raise InputError(f"--gpus {gpus} and --device cpu contradict each other. Leave one out.")
    names = [gpu.name for gpu in runtime.visible_gpus()]
    if not names:
        raise InputError(
            f"--gpus {gpus}: this machine has no GPU that can be used. Leave the option out, or "
            "give --gpus 0."
        )
    if gpus > len(names):
        raise InputError(
            f"--gpus {gpus}: this machine has {len(names)} ({', '.join(names)}). Give at most "
            f"{len(names)}."
        )
    return "cuda"


def choose_places(device: Device, gpus: int | None, workers: int | None) -> list[Place]:
    """The place of each worker: one a GPU, or processes that share the processors.

    Args:
        device: as `choose_device` gives it; `auto` is a GPU if there is one.
        gpus: how many; 1 unless given.
        workers: how many processes on the CPU; 1 unless given.

    Raises:
        InputError: processes on the CPU are asked for where a GPU is used.
    """
    if device == "auto":
        device = "cuda" if runtime.visible_gpus() else "cpu"
    if device == "cpu":
        return places_on_cpu(workers or 1)
    if workers is not None:
        raise InputError(
            f"--workers {workers}: is for the CPU; a GPU has one worker. Give --gpus, or --device "
            "cpu."
        )
    return places_on_cards(gpus or 1)
