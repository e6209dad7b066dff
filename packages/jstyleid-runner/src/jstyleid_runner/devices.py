"""Which device a command computes on, from `--device` and `--gpus`."""

from jstyleid_core import runtime
from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Device


def choose_device(device: Device, gpus: int | None) -> Device:
    """The device to start on.

    Raises:
        InputError: more cards are asked for than there are or than one process can use, or the two
            options contradict each other.
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
    if gpus > 1:
        raise InputError(
            f"--gpus {gpus}: this version works in one process on one GPU. Give --gpus 1."
        )
    return "cuda"
