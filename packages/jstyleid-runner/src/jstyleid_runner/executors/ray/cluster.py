"""The connection to a Ray cluster, which may be started on this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jstyleid_core.errors import InputError
from jstyleid_core.runtime.processors import processors

_CONNECT = 10.0
"""Seconds for the cluster's address to answer at all."""
_HEALTH = 300.0
"""Seconds for it to say that it is a cluster. Ray asks for half a minute; its imports may take
longer than that on a machine with other work."""


@dataclass(frozen=True)
class Cluster:
    """The resources of a cluster, all nodes together.

    Attributes:
        gpus: number of GPUs.
        cpus: number of CPUs.
    """

    gpus: int
    cpus: int


@contextmanager
def ray_cluster(address: str | None, workers: int | None, gpus: int | None) -> Iterator[Cluster]:
    """A connection to a cluster, as long as the block runs.

    Args:
        address: address of a running cluster, which stays up: host:port, or `auto` for this
            machine's. Without an address a cluster is started here, and ended with the block.
        workers: CPU workers that a cluster started here has room for.
        gpus: number of GPUs to use at most; with 0 a cluster started here looks for none.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    # Before the import, which reads them. No statistics to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "--engine ray: Ray is not installed. Install it: pip install 'jstyleid-runner[ray]'",
            fields=["engine"],
        ) from error
    common = {"log_to_driver": False, "logging_level": "CRITICAL", "configure_logging": True}
    print("connecting to Ray" if address else "starting Ray", file=sys.stderr)
    try:
        if address is None:
            # A machine so busy that Ray takes it for dead is no reason to end its only node.
            os.environ.setdefault("RAY_health_check_failure_threshold", "100")
            # Workers as quick as those of the other engine, where the machine has more to do.
            os.environ.setdefault("RAY_worker_niceness", "0")
            # `local` is a cluster of its own, whatever else runs on this machine.
            ray.init("local", num_cpus=max(processors(), workers or 1), include_dashboard=False,
                     num_gpus=0 if gpus == 0 else None, **common)
        else:
            _check_address(address)
            ray.init(address, **common)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"--address {address}: cannot connect" if address else "--engine ray: cannot start"
        raise InputError(
            f"{where} ({_line(error)}). This machine must itself be a node of the cluster: `ray "
            "start --address=...`, with the same versions of Python and Ray as its other nodes."
            if address else f"{where} Ray here ({_line(error)}).",
            fields=["address"],
        ) from error
    try:
        found = ray.cluster_resources()
        yield Cluster(int(found.get("GPU", 0)), int(found.get("CPU", 0)))
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise an InputError where nothing answers; Ray itself would try for minutes."""
    if address == "auto":
        return  # Ray looks for it on this machine, and says at once if it is not there
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InputError(
            f"--address {address}: must be host:port, as `ray start --head` shows it, or auto.",
            fields=["address"],
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--address {address}: nothing answers there ({_line(error)}). Start the cluster with "
            "`ray start --head`, which shows the address, or correct it.",
            fields=["address"],
        ) from error
    check = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        ran = subprocess.run(check, capture_output=True, timeout=_HEALTH, check=False)
        healthy = ran.returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise InputError(
            f"--address {address}: what answers there is no Ray cluster, or one of another version "
            "of Ray. Give the address that `ray start --head` has shown.",
            fields=["address"],
        )


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
