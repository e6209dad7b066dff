"""`jstyleid run --engine ray` with the embedded model: whole, stopped, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import all_ready
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.scheduling.task import State

pytest.importorskip("ray")
SECONDS = 600
MARK = "JSTYLEID_TESTS_CLUSTER"
"""A variable in the environment of the cluster's processes, by which they are found."""


class Command:
    """`jstyleid run` in a process of its own."""

    def __init__(self, checkpoint: Path, data: Path, out: Path, *more: object) -> None:
        self.out = out
        options = {"--split": "S", "--data": data, "--model": checkpoint, "--out": out,
                   "--size": 64, "--steps": 1, "--content-steps": 1, "--device": "cpu"}
        words = [word for pair in options.items() for word in pair]
        self.line = [sys.executable, "-m", "jstyleid_runner", "run", *map(str, [*words, *more])]
        self.environment = {**os.environ, MARK: str(out)}

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.line, capture_output=True, text=True, timeout=SECONDS,
                              check=False, env=self.environment)

    def stop(self, how: signal.Signals, after: Callable[[], bool]) -> tuple[int, str]:
        """Start, send the signal as soon as `after` holds, and return exit code and stderr."""
        process = subprocess.Popen(
            self.line, stderr=subprocess.PIPE, text=True, env=self.environment,
            # A shell that starts the tests in the background makes its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            wait(lambda: after() or process.poll() is not None)
            assert process.poll() is None, process.stderr and process.stderr.read()
            process.send_signal(how)
            _, stderr = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return process.returncode, stderr

    def files(self) -> dict[str, bytes]:
        """The pictures, contents and LoRAs."""
        found = [*self.out.rglob("*.png"), *self.out.rglob("pytorch_lora_weights.safetensors")]
        return {str(path.relative_to(self.out)): path.read_bytes() for path in found
                if path.name != "loss.png"}


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def marked(value: str, what: bytes = b"") -> list[int]:
    """Processes with the mark in their environment whose command line contains something."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (f"{MARK}={value}".encode() in (process / "environ").read_bytes().split(b"\0")
                    and what in (process / "cmdline").read_bytes()
                    and "State:\tZ" not in (process / "status").read_text()):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_failure_threshold", "100")
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv(MARK, "cluster")
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
        started.add_node(num_cpus=1, num_gpus=0)
        yield started
        started.shutdown()


def test_two_nodes_make_what_one_process_makes(
    tmp_path: Path, checkpoint: Path, split_data: Path, cluster: Any
) -> None:
    options = ["--train-steps", 3, "--prompts", 1]
    local = Command(checkpoint, split_data, tmp_path / "local", *options)
    result = local.run()
    assert result.returncode == 0, result.stderr
    far = Command(checkpoint, split_data, tmp_path / "far", *options, "--engine", "ray",
                  "--workers", 2, "--address", cluster.address)
    far.line[1:3] = [all_ready.__file__]
    result = far.run()
    assert result.returncode == 0, result.stderr
    assert far.files() == local.files()
    assert len(far.files()) == 2 * 4  # of each style its LoRA, content, picture and sheet
    entries = read_entries(far.out / ".jstyleid" / "ledger.sqlite")
    assert {entry.worker for entry in entries} == {"cpu0", "cpu1"}
    assert {entry.state for entry in entries} == {State.DONE}
    # Inverted styles stay with the nodes, everything else is as a local run leaves it.
    assert not list(far.out.rglob("styles/*"))
    assert len(list(far.out.rglob("step-000003.safetensors"))) == 2
    assert "connecting to Ray\n" in result.stderr
    assert not [line for line in result.stderr.splitlines() if "raylet" in line or "Ray " in line]
    # The cluster stays up, and nothing of the run is left in it.
    wait(lambda: not marked("cluster", b"spawn_main"))
    assert marked("cluster", b"raylet")


def test_a_killed_command_takes_its_workers_along(
    tmp_path: Path, checkpoint: Path, split_data: Path, cluster: Any
) -> None:
    command = Command(checkpoint, split_data, tmp_path, "--train-steps", 5000, "--engine", "ray",
                      "--address", cluster.address, "--styles", "00")
    code, _ = command.stop(signal.SIGKILL, lambda: bool(marked("cluster", b"spawn_main")))
    assert code == -signal.SIGKILL
    wait(lambda: not marked("cluster", b"spawn_main"))


def test_ctrl_c_keeps_the_steps_of_a_training_on_a_node(
    tmp_path: Path, checkpoint: Path, split_data: Path
) -> None:
    command = Command(checkpoint, split_data, tmp_path, "--train-steps", 5000, "--engine", "ray",
                      "--styles", "00", "--prompts", 1)
    log = tmp_path / ".jstyleid" / "loras" / "00" / "events"
    code, stderr = command.stop(signal.SIGINT, log.exists)
    assert code == 130
    assert "stopped; 0 of 1 done; run the same command to continue" in stderr
    assert "Traceback" not in stderr
    kept = sorted((tmp_path / ".jstyleid" / "loras" / "00" / "checkpoints").iterdir())
    assert 1 <= int(kept[-1].stem.removeprefix("step-")) < 5000
    # Ray was started by the command, and is gone with it.
    wait(lambda: not marked(str(tmp_path)))
