"""The workers that `--engine`, `--device`, `--gpus` and `--workers` ask for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Literal

from jstyleid_core import runtime
from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Device
from jstyleid_core.runtime.processors import processors
from jstyleid_runner.choices import EngineName
from jstyleid_runner.executors.local import LocalExecutor
from jstyleid_runner.executors.process import Slot, cpu_slots, gpu_slots
from jstyleid_runner.executors.ray.cluster import Cluster, ray_cluster
from jstyleid_runner.options.common import WorkerOptions
from jstyleid_runner.scheduling.executor import Executor
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.storage.records import versions
from jstyleid_runner.worker.payloads import Payload
from jstyleid_runner.worker.worker import WorkerSpec


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
            raise InputError(
                "--gpus 0 and --device cuda contradict each other. Leave one out.",
                fields=["gpus", "device"],
            )
        return "cpu"
    if device == "cpu":
        raise InputError(
            f"--gpus {gpus} and --device cpu contradict each other. Leave one out.",
            fields=["gpus", "device"],
        )
    names = [gpu.name for gpu in runtime.visible_gpus()]
    if not names:
        raise InputError(
            f"--gpus {gpus}: this machine has no GPU that can be used. Leave the option out, or "
            "give --gpus 0.",
            fields=["gpus"],
        )
    if gpus > len(names):
        raise InputError(
            f"--gpus {gpus}: this machine has {len(names)} ({', '.join(names)}). Give at most "
            f"{len(names)}.",
            fields=["gpus"],
        )
    return "cuda"


def choose_slots(device: Device, gpus: int | None, workers: int | None) -> list[Slot]:
    """The place of each worker: one a GPU, or processes that share the processors.

    Args:
        device: device of `choose_device`; `auto` is a GPU if there is one.
        gpus: number of GPUs; 1 unless given.
        workers: number of processes on the CPU; 1 unless given.

    Raises:
        InputError: processes on the CPU are asked for where a GPU is used, a GPU where there is
            none, or more processes than there are processors.
    """
    visible = [] if device == "cpu" else runtime.visible_gpus()
    if device == "cpu" or (device == "auto" and not visible):
        there = processors()
        if workers and workers > there:
            raise InputError(
                f"--workers {workers}: this machine has {there} processors for them. Give at "
                f"most {there}.",
                fields=["workers"],
            )
        return cpu_slots(workers or 1)
    if workers is not None:
        raise InputError(
            f"--workers {workers}: is for the CPU; a GPU has one worker. Give --gpus, or --device "
            "cpu.",
            fields=["workers", "gpus", "device"],
        )
    if not visible:
        raise InputError(
            "--device cuda: this machine has no GPU that can be used. Leave the option out, or "
            "give --device cpu.",
            fields=["device"],
        )
    return gpu_slots(visible[:gpus or 1])


def usual_batch(asked: WorkerOptions, size: tuple[int, int]) -> int:
    """The number of pictures that are computed together where `--batch` does not say.

    A GPU, and a CPU with small pictures, has little to do for one. With a large picture, a CPU is
    busy: others beside it would only come later.

    Args:
        asked: the workers.
        size: width and height of the pictures, in pixels.
    """
    if size[0] * size[1] < 512 * 512:
        return 4
    on_cpu = asked.device == "cpu" or asked.gpus == 0 or (
        asked.device == "auto" and asked.engine == "local" and not runtime.visible_gpus())
    return 1 if on_cpu else 4


@dataclass(frozen=True)
class LocalWorkers:
    """Processes of this machine, one for each slot."""

    slots: Sequence[Slot] = ()

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers."""
        return tuple(slot.name for slot in self.slots)

    def executor(self, spec: WorkerSpec, payload_of: Callable[[Task], Payload]) -> Executor:
        """The processes."""
        # They read the very files that the record was made from.
        return LocalExecutor(self.slots, replace(spec, fingerprint=None), payload_of)


NO_WORKERS = LocalWorkers()


@dataclass(frozen=True)
class RayWorkers:
    """Actors of the Ray cluster that is connected.

    Attributes:
        workers: their names.
        on_gpus: whether each has a GPU.
    """

    workers: tuple[str, ...]
    on_gpus: bool

    def executor(self, spec: WorkerSpec, payload_of: Callable[[Task], Payload]) -> Executor:
        """The actors. Files of the checkpoint must be on every node; the pictures name it."""
        from jstyleid_runner.executors.ray.executor import RayExecutor

        source = spec.source.absolute
        return RayExecutor(
            self.workers, self.on_gpus, replace(spec, source=source), payload_of,
            methodcaller("files"), needed=source.paths, versions=versions,
        )


Workers = LocalWorkers | RayWorkers


@contextmanager
def open_workers(asked: WorkerOptions) -> Iterator[tuple[Device, Workers]]:
    """The device to start on and the workers, as long as the block runs.

    Raises:
        InputError: the options contradict each other or ask for what is not there.
    """
    if asked.engine == "local":
        if asked.address is not None:
            raise InputError(
                f"--address {asked.address}: belongs to --engine ray. Give that too, or leave "
                "this out.",
                fields=["address", "engine"],
            )
        device = choose_device(asked.device, asked.gpus)
        yield device, LocalWorkers(choose_slots(device, asked.gpus, asked.workers))
        return
    if asked.gpus and asked.device == "cpu":
        raise InputError(
            f"--gpus {asked.gpus} and --device cpu contradict each other. Leave one out.",
            fields=["gpus", "device"],
        )
    no_gpus = asked.device == "cpu" or asked.gpus == 0
    with ray_cluster(asked.address, asked.workers, 0 if no_gpus else asked.gpus) as cluster:
        workers = ray_workers(asked, cluster)
        yield ("cuda" if workers.on_gpus else "cpu"), workers


def ray_workers(asked: WorkerOptions, cluster: Cluster) -> RayWorkers:
    """A worker for each GPU of a cluster, or for as many CPUs as `--workers` says.

    Raises:
        InputError: the cluster has less than is asked for.
    """
    if asked.gpus == 0 and asked.device == "cuda":
        raise InputError(
            "--gpus 0 and --device cuda contradict each other. Leave one out.",
            fields=["gpus", "device"],
        )
    wants_gpus = asked.device == "cuda" or bool(asked.gpus)
    if wants_gpus or (asked.device == "auto" and asked.gpus is None and cluster.gpus):
        if asked.workers is not None:
            raise InputError(
                f"--workers {asked.workers}: is for the CPU; a GPU has one worker. Give --gpus, "
                "or --device cpu.",
                fields=["workers", "gpus", "device"],
            )
        if not cluster.gpus or (asked.gpus or 0) > cluster.gpus:
            wish = f"--gpus {asked.gpus}" if asked.gpus else "--device cuda"
            raise InputError(
                f"{wish}: the Ray cluster has {cluster.gpus or 'no'} GPUs. Add nodes to it with "
                "`ray start --address=...`, ask for less, or give --device cpu.",
                fields=["address", "device"],
            )
        return RayWorkers(tuple(f"gpu{n}" for n in range(asked.gpus or cluster.gpus)), True)
    count = asked.workers or 1
    if count > cluster.cpus:
        raise InputError(
            f"--workers {count}: the Ray cluster has {cluster.cpus} CPUs. Give at most that many.",
            fields=["workers"],
        )
    return RayWorkers(tuple(f"cpu{n}" for n in range(count)), False)


def dtype_of(device: Device, engine: EngineName) -> Literal["float32", "float16"]:
    """The default number format; a cluster's GPUs need not be in this machine."""
    if engine == "ray":
        return "float16" if device == "cuda" else "float32"
    return runtime.default_dtype(device)
