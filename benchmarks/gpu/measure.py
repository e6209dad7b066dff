"""This project beside diffusers, torch and peft on a CUDA card: one command, one report.

`python benchmarks/gpu/measure.py [--minutes 8] [--out DIR] [--model FOLDER]` writes
`measurements.json` and `measurements.md` into DIR after every part. Each part is a process of its
own with a limit of time. A part that fails is recorded with what it has found, and the others go
on; the same command again runs the parts that are not done.

The side of torch may have a Python of its own (`--torch-python`) or packages of its own
(`--torch-path`). Without torch and diffusers this project is measured alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import report
from case import NO_HALF, Case
from jstyleid_core.files import write_whole
from jstyleid_core.runtime.gpus import visible_gpus

HERE = Path(__file__).resolve().parent
FORMAT = 1
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors")
LOG_LINES = 15

Side = Literal["jittor", "torch"]
Record = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One process of the measurement.

    Attributes:
        name: name in the report, and the script's first argument.
        side: side whose Python runs it.
        script: path of the script in this folder.
        seconds: longest time that it is given, or a quarter of --minutes if that is more.
        least: seconds that must be left for it to be begun.
        needs_model: whether it reads the checkpoint.
    """

    name: str
    side: Side
    script: str
    seconds: int = 110
    least: int = 20
    needs_model: bool = True


# The most valuable first. The doctor's compiles Jittor on first use, and may take longer.
PARTS = (
    Part("doctor", "jittor", "jittor_side.py", seconds=300, needs_model=False),
    Part("reference", "torch", "reference_side.py"),
    Part("networks", "jittor", "jittor_side.py"),
    Part("transfer", "jittor", "jittor_side.py"),
    Part("training-reference", "torch", "reference_steps.py"),
    Part("training", "jittor", "jittor_steps.py"),
    Part("run", "jittor", "split_run.py"),
    Part("kernels-reference", "torch", "reference_kernels.py", least=10, needs_model=False),
    Part("kernels", "jittor", "jittor_kernels.py", least=10, needs_model=False),
)


class Measurement:
    """The parts of one report: what is done, and the running of the others."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.out: Path = given.out
        self.work: Path = given.work
        self.model: Path = given.model or self.work / "checkpoint"
        self.own_model = given.model is None
        self.case = Case(given.size, given.device, self.model.absolute(), self.work.absolute())
        self.minutes: float = given.minutes
        self.deadline = time.monotonic() + 60 * given.minutes
        self.torch_python = shlex.split(given.torch_python)
        self.torch_path: str | None = given.torch_path
        self.file = self.out / "measurements.json"
        self.found: Record = self._read(given.again)
        self.missing: str | None = None

    def _read(self, again: bool) -> Record:
        """The report so far; a new one where there is none.

        Raises:
            ValueError: the report is of another case.
        """
        case = {"size": self.case.size, "device": self.case.device,
                "model": "random weights" if self.own_model else str(self.case.model)}
        if not again and self.file.is_file():
            found: Record = json.loads(self.file.read_text(encoding="utf-8"))
            if (found.get("format"), found.get("case")) != (FORMAT, case):
                raise ValueError(f"{self.file} is of {found.get('case')}, and {case} is asked for: "
                                 "give another --out, or --again to replace it")
            return found
        return {"format": FORMAT, "case": case, "machine": {}, "parts": {}}

    def run(self, only: list[str]) -> None:
        """Run all parts that are not done."""
        self.out.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        self.case.write(self.work / "case.json")
        self.found["machine"] = machine()
        if self.case.device == "cpu":
            self.found["left_out"] = f"float16: {NO_HALF}"
        self.missing = self._missing_libraries()
        for part in PARTS:
            pending = self.found["parts"].get(part.name, {}).get("state") != "done"
            if pending and (not only or part.name in only):
                self._record(part.name, self._outcome(part))

    def _record(self, name: str, outcome: Record) -> None:
        self.found["parts"][name] = outcome
        now = datetime.datetime.now(datetime.timezone.utc)
        self.found["date"] = now.strftime("%Y-%m-%d %H:%M UTC")
        write_whole(self.file, (json.dumps(self.found, indent=1) + "\n").encode())
        write_whole(self.file.with_suffix(".md"), report.markdown(self.found).encode())
        reason = outcome.get("reason", "").strip().rsplit("\n", 1)[-1]
        print(f"{name}: {outcome['state']}, {outcome['seconds']:.1f} s {reason}", flush=True)

    def _outcome(self, part: Part) -> Record:
        """What the report has of a part: it is run, unless something is in the way."""
        if part.side == "torch" and self.missing:
            return _left_out(self.missing)
        if part.needs_model and not (self.model / "model_index.json").is_file():
            made = self._make_checkpoint()
            if made:
                return made
        result = self.work / f"{part.name}.json"
        result.unlink(missing_ok=True)
        outcome = self._process(
            part.name, part.side, part.seconds, part.least,
            [str(HERE / part.script), part.name, str(self.work / "case.json"), str(result)])
        if result.is_file():  # of a part that has failed, what it had found
            outcome["result"] = json.loads(result.read_text(encoding="utf-8"))
        return outcome

    def _make_checkpoint(self) -> Record | None:
        """Write random weights; where that cannot be, the outcome of what needs them."""
        if not self.own_model:
            return _left_out(f"--model {self.model}: no model_index.json is in this folder")
        if self.case.size == "full" and self.missing:
            return _left_out(f"no checkpoint: give --model FOLDER, or torch to write one "
                             f"({self.missing})")
        fresh = self.work / "checkpoint.part"
        shutil.rmtree(fresh, ignore_errors=True)
        if self.case.size == "full":
            side: Side = "torch"
            command = [str(HERE.parent / "speed" / "write_checkpoint.py"), str(fresh),
                       "--device", self.case.device]
        else:
            side = "jittor"
            command = [str(HERE.parents[1] / "reference" / "small_checkpoint.py"), "sd21-v",
                       str(fresh)]
        outcome = self._process("checkpoint", side, 110, 20, command)
        if outcome["state"] != "done":
            return {**outcome, "reason": f"no checkpoint was written: {outcome['reason']}"}
        fresh.rename(self.model)
        return None

    def _process(
        self, name: str, side: Side, longest: int, least: int, arguments: list[str]
    ) -> Record:
        """Run a script to its end, or to the end of its time."""
        left = self.deadline - time.monotonic()
        if left < least:
            return _left_out(f"no time left of --minutes {self.minutes:g}; run the command again")
        limit = min(max(longest, 15 * self.minutes), left)  # more minutes, more for each part
        python = [sys.executable] if side == "jittor" else self.torch_python
        log = self.out / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        print(f"{name} …", file=sys.stderr, flush=True)
        start = time.monotonic()
        with log.open("w", encoding="utf-8") as lines:
            process = subprocess.Popen(
                [*python, *arguments], stdout=lines, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=self._environment(side), start_new_session=True)
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                if process.poll() is None:  # its own processes, too
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        seconds = round(time.monotonic() - start, 1)
        if code == 0:
            return {"state": "done", "seconds": seconds}
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        end = f"exit code {code}" if code is not None else f"stopped after {limit:.0f} s"
        return {"state": "failed", "seconds": seconds, "reason": "\n".join([*last, end])}

    def _environment(self, side: Side) -> dict[str, str]:
        environment = dict(os.environ)
        if side == "jittor":
            environment["JSTYLEID_DEVICE"] = self.case.device
            return environment
        # Versions of numpy and others differ between the sides.
        environment.pop("PYTHONPATH", None)
        if self.torch_path:
            environment["PYTHONPATH"] = self.torch_path
        return environment

    def _missing_libraries(self) -> str | None:
        """What the side of torch lacks, as a reason to leave its parts out."""
        code = (f"import importlib.util as u; print(*(n for n in {LIBRARIES} "
                "if u.find_spec(n) is None))")
        ran = subprocess.run([*self.torch_python, "-c", code], capture_output=True, text=True,
                             check=False, env=self._environment("torch"))
        if ran.returncode:
            return f"--torch-python {shlex.join(self.torch_python)} does not run: {ran.stderr}"
        missing = ran.stdout.split()
        return f"not installed: pip install {' '.join(missing)}" if missing else None


def machine() -> Record:
    """The cards and their driver, and the processor's cores."""
    found: Record = {"cores": len(os.sched_getaffinity(0))}
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        query = "--query-gpu=name,memory.total,driver_version"
        ran = subprocess.run([tool, query, "--format=csv,noheader"], capture_output=True, text=True,
                             check=False)
        found["cards"] = ran.stdout.strip().splitlines() if ran.returncode == 0 else []
    return found


def _left_out(reason: str) -> Record:
    return {"state": "left out", "seconds": 0.0, "reason": reason}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="for all parts; default 8")
    parser.add_argument("--out", type=Path, default=Path("gpu-measurements"),
                        help="folder of the report and of the parts' logs")
    parser.add_argument("--work", type=Path, help="folder of large files; default: in /tmp")
    parser.add_argument("--model", type=Path,
                        help="a checkpoint in diffusers layout; default: random weights")
    parser.add_argument("--torch-python", default=shlex.quote(sys.executable),
                        help="command of the Python that has torch, diffusers and peft")
    parser.add_argument("--torch-path", help="PYTHONPATH of that Python; default: none")
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", nargs="+", metavar="PART", default=[],
                        choices=[part.name for part in PARTS], help="only these parts")
    parser.add_argument("--again", action="store_true", help="repeat the parts that are done")
    given = parser.parse_args()
    if given.device == "cuda" and not visible_gpus():
        parser.error("--device cuda: no CUDA card is visible (see nvidia-smi and "
                     "CUDA_VISIBLE_DEVICES). --device cpu --size tiny tries the parts without one")
    if given.work is None:
        given.work = Path(tempfile.gettempdir(),
                          f"jstyleid-measure-{os.getuid()}-{given.size}-{given.device}")
    try:
        measurement = Measurement(given)
    except ValueError as error:
        parser.error(str(error))
    try:
        measurement.run(given.only)
    except KeyboardInterrupt:
        print("interrupted; the same command again goes on", file=sys.stderr)
        sys.exit(130)
    print(measurement.file.with_suffix(".md"))
    print(f"large files stay in {given.work}; remove it when nothing more is measured",
          file=sys.stderr)
    if any(part["state"] == "failed" for part in measurement.found["parts"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
