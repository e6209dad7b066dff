"""Starting Jittor: what is checked, what is left as it was, and what happens on a cold cache."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jstyleid_core.runtime import (
    build,
    devices,
    gpus,
    onednn,
    requirements,
    startup,
    toolkit,
)
from jstyleid_core.runtime.requirements import RuntimeSetupError

PATIENCE = 300
"""Seconds for what takes one or two on an idle machine."""


def interruptible() -> None:
    """In the child: a shell that starts the tests in the background makes them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env={**os.environ, **environment}, check=False,
                          preexec_fn=interruptible)


def test_importing_the_package_is_silent_and_starts_nothing(tmp_path: Path) -> None:
    ran = python("import sys, jstyleid_core, jstyleid_core.errors, jstyleid_core.runtime\n"
                 "assert 'jittor' not in sys.modules and 'jittor_utils' not in sys.modules",
                 HOME=str(tmp_path))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


_AFTER = """
import resource, signal, ssl, sys
before = (ssl._create_default_https_context, sys.getrecursionlimit(), sys.getdlopenflags(),
          resource.getrlimit(resource.RLIMIT_STACK), signal.getsignal(signal.SIGINT))
from jstyleid_core.runtime.jittor import jt
(jt.ones((2, 2)) + 1).sync()
after = (ssl._create_default_https_context, sys.getrecursionlimit(), sys.getdlopenflags(),
         resource.getrlimit(resource.RLIMIT_STACK), signal.getsignal(signal.SIGINT))
assert before == after, (before, after)
import os, subprocess
child = subprocess.Popen(["sleep", "60"])
child.kill()                      # under Jittor's handler this ends the parent too
assert child.wait() == -signal.SIGKILL
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted as Python does")
"""


def test_starting_jittor_leaves_the_process_as_it_was() -> None:
    ran = python(_AFTER)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("interrupted as Python does\n", "", 0)


_IN_A_NOTEBOOK = """
import builtins, types, warnings
builtins.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
from jstyleid_core.runtime.jittor import jt
import numpy
warnings.simplefilter("error")
numpy.finfo(numpy.float64)
print(get_ipython().config)
"""


def test_in_a_notebook_jittor_starts_silently_and_numpy_has_no_remarks() -> None:
    ran = python(_IN_A_NOTEBOOK)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("{'IPKernelApp': {}}\n", "", 0)


_HELPERS = """
import multiprocessing, re, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray has it
from jstyleid_core.runtime.jittor import jt

def has(process, field, which):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(rf"{field}:\\s*(\\w+)", status)[1], 16) >> which - 1 & 1)

helpers = multiprocessing.active_children()
end = time.monotonic() + 600
while any(has(helper, "SigCgt", signal.SIGTERM) for helper in helpers):
    assert time.monotonic() < end
    time.sleep(0.05)
print(len(helpers) > 0, all(has(helper, "SigBlk", signal.SIGINT) for helper in helpers))
"""


def test_compiling_processes_leave_signals_to_the_command() -> None:
    """Otherwise one that ends by Ctrl-C, or does not end by SIGTERM, hangs the command's end."""
    ran = python(_HELPERS)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("True True\n", "", 0)


def test_a_compiling_process_that_begins_after_the_end_of_its_command_ends() -> None:
    """It would wait for ever where others hold the lock of its queue."""
    program = "import os\nfrom jstyleid_core.runtime import build\nbuild._begin_compiling(%s, %s)"
    ran = python(program % ("lambda: print('here')", "os.getppid()"))
    assert (ran.stdout, ran.returncode) == ("here\n", 0)
    ran = python(program % ("lambda: print('here')", "os.getpid()"))
    assert (ran.stdout, ran.returncode) == ("", -signal.SIGKILL)


def test_native_chatter_goes_to_the_file_and_python_keeps_its_stderr(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "native.log"
    ran = python("import os, sys\nfrom pathlib import Path\n"
                 "from jstyleid_core.runtime import redirect_native_output\n"
                 f"redirect_native_output(Path({str(log)!r}))\n"
                 "os.write(2, b'from C++')\nprint('from Python', file=sys.stderr)")
    assert ran.stderr == "from Python\n"
    assert log.read_text() == "from C++"


def test_numpy_2_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.1.0")
    with pytest.raises(RuntimeSetupError, match=r"numpy 2.1.0 .* pip install 'numpy<2'"):
        requirements.numpy_version()


@pytest.mark.parametrize("running", [(3, 9, 18), (3, 13, 0)])
def test_a_python_without_numpy_1_or_too_old_is_refused(running: tuple[int, int, int]) -> None:
    ran = python("import sys\nfrom jstyleid_core.runtime import startup\n"
                 f"sys.version_info = {running}\nstartup.start('cpu')")
    assert ran.returncode == 1
    assert "Make an environment of Python 3.10, 3.11 or 3.12" in ran.stderr


def test_an_unchecked_jittor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.3.9.14")
    monkeypatch.setattr(requirements, "has_jdiffusion", lambda: False)  # its fork is of 1.3.9
    with pytest.raises(RuntimeSetupError, match=r"pip install jittor==1.3.11"):
        requirements.jittor_version()


def test_a_missing_compiler_is_named() -> None:
    ran = python("import jstyleid_core.runtime.jittor", cc_path="/nowhere/g++")
    assert ran.returncode != 0
    assert "RuntimeSetupError: no C++ compiler: /nowhere/g++" in ran.stderr


_FOLDER = """
from types import SimpleNamespace
from jstyleid_core.runtime import requirements, startup

wanted = []
startup.ensure_built = lambda cache, *_: wanted.append(str(cache))
startup._import_jittor = lambda *_: SimpleNamespace(flags=SimpleNamespace())
if INSTRUCTIONS:
    requirements.instruction_set = lambda compiler: INSTRUCTIONS
startup.start("cpu")
print(wanted[0])
"""


def test_what_is_compiled_for_other_instructions_lies_elsewhere() -> None:
    """A home shared by machines, or a virtual one that has moved: it compiles anew there."""
    here = python("INSTRUCTIONS = None" + _FOLDER).stdout.strip()
    own = requirements.instruction_set(requirements.compiler()[0])
    assert Path(here).parent == startup.cache_folder().parent
    assert here.endswith(f"/default-for-{own}")
    elsewhere = "INSTRUCTIONS = '01234567'" + _FOLDER
    # A process that another one started takes its name along.
    for inherited in ("default", f"default-for-{own}", "default-for-01234567"):
        found = python(elsewhere, cache_name=inherited).stdout.strip()
        assert found == here.replace(own, "01234567")
    assert python(elsewhere, cache_name="mine").stdout.strip().endswith("/mine-for-01234567")


def test_instructions_are_told_apart(tmp_path: Path) -> None:
    compiler = requirements.compiler()[0]
    names = set()
    for architecture in ("x86-64", "haswell", "skylake-avx512"):
        fake = tmp_path / architecture
        fake.write_text(f"#!/bin/sh\nshift\nexec {compiler} -march={architecture} \"$@\"\n")
        fake.chmod(0o755)
        names.add(requirements.instruction_set(str(fake)))
    assert len(names) == 3
    (tmp_path / "x86-64").write_text("#!/bin/sh\necho 'bad value' >&2\nexit 1\n")
    with pytest.raises(RuntimeSetupError, match="does not accept -march=native: bad value"):
        requirements.instruction_set(str(tmp_path / "x86-64"))


def test_missing_onednn_wheels_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda _: [])
    with pytest.raises(RuntimeSetupError, match="pip install onednn-devel-cpu-gomp==2021.2.0"):
        onednn.find()


def test_onednn_links_follow_the_environment(tmp_path: Path) -> None:
    folder = tmp_path / ".cache/jittor/mkl/dnnl_lnx_2.2.0_cpu_gomp"
    for number in ("1", "2"):
        library = onednn.OneDNN(tmp_path / number / "include", tmp_path / number / "lib", "x")
        onednn.wire(tmp_path, library)
        assert (folder / "lib").readlink() == library.lib
        assert sorted(p.name for p in folder.iterdir()) == ["include", "lib"]


@pytest.mark.parametrize("value", ["gpu", ""])
def test_a_wrong_device_variable_is_named(value: str) -> None:
    ran = python("import jstyleid_core.runtime.jittor", JSTYLEID_DEVICE=value)
    assert f"JSTYLEID_DEVICE is {value!r}: it must be auto, cpu or cuda" in ran.stderr


def test_a_device_that_was_asked_for_holds_whatever_the_variable_says() -> None:
    ran = python("from jstyleid_core import runtime; runtime.start('cpu')\n"
                 "from jstyleid_core.runtime.jittor import jt; print(jt.flags.use_cuda)",
                 JSTYLEID_DEVICE="cuda")
    assert (ran.returncode, ran.stdout.split()[-1:]) == (0, ["0"]), ran.stderr


def fake_tool(folder: Path, name: str, output: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    (folder / name).chmod(0o755)


def test_the_choice_of_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("nvcc_path", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(toolkit, "_PLACES", ())
    monkeypatch.setattr(toolkit, "_wheels", list)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(devices, "visible_gpus", list)
    assert devices.choose("auto", tmp_path) == devices.Choice(None)
    with pytest.raises(RuntimeSetupError, match="no CUDA card is visible"):
        devices.choose("cuda", tmp_path)

    card = gpus.GPU("NVIDIA X", 1, 2, 0, "GPU-aa")
    monkeypatch.setattr(devices, "visible_gpus", lambda: [card])
    note = devices.choose("auto", tmp_path).note
    assert note is not None
    assert toolkit.INSTALL in note
    with pytest.raises(RuntimeSetupError, match="no CUDA compiler"):
        devices.choose("cuda", tmp_path)

    fake_tool(tmp_path / "bin", "nvcc", "")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert devices.choose("auto", tmp_path) == devices.Choice(
        str(tmp_path / "bin" / "nvcc"), cards=(card,))
    assert devices.choose("cpu", tmp_path).nvcc is None


def test_cuda_after_a_start_without_it_is_refused() -> None:
    ran = python("import jstyleid_core.runtime as r\nr.start('cpu')\nr.start('cuda')")
    assert "Jittor was started without CUDA in this process" in ran.stderr


_BUILD = """
import os, sys, time
from pathlib import Path
from jstyleid_core.runtime import build

cache = Path(sys.argv[1])

def until_the_others_wait(cache, log, preparing):
    with open(cache / "count", "a") as handle:
        handle.write("x")
    while len(list(cache.glob("waits-*"))) < 3:
        time.sleep(0.02)
    return True

def preparing(what, done, total):
    print(what)
    (cache / f"waits-{os.getpid()}").touch()

build._build_in_child = until_the_others_wait
build.ensure_built(cache, "stamp", preparing)
"""


def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", _BUILD, str(tmp_path)],
                                stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [worker.communicate(timeout=PATIENCE)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert (tmp_path / "count").read_text() == "x"
    waiting = "waiting for another process that compiles Jittor\n"
    assert sorted(said) == ["", waiting, waiting, waiting]


def test_a_cache_that_jittor_declares_stale_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jittor then prints `please rerun` and exits with 0; the child is started a second time."""
    fake = tmp_path / "jittor.py"
    fake.write_text("import pathlib, sys\nmark = pathlib.Path(__file__).with_name('mark')\n"
                    "if not mark.exists():\n    mark.touch()\n"
                    "    print('jit_utils updated, please rerun your command.')\n    sys.exit(0)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    seen: list[str] = []

    def preparing(what: str, done: int, total: int) -> None:
        seen.append(what)

    build.ensure_built(tmp_path, "stamp", preparing)
    assert build.is_built(tmp_path)
    assert set(seen) == {"compiling Jittor (first use only)"}
    seen.clear()
    build.ensure_built(tmp_path, "stamp", preparing)
    assert seen == []  # the stamp fits: nothing is started
    build.ensure_built(tmp_path, "another compiler", preparing)
    assert seen


def test_cpu_and_cuda_do_not_make_each_other_build_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def builds(cache: Path, *_: Any) -> bool:
        built.append(cache)
        return True

    monkeypatch.setattr(build, "_build_in_child", builds)
    for _ in range(2):
        build.ensure_built(tmp_path, "for the processor", print)
        build.ensure_built(tmp_path, "for cards", print, "cu12.4.131_sm_86")
    assert len(built) == 2
    build.forget(tmp_path)
    assert not build.is_built(tmp_path)


def test_a_failed_compilation_shows_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jittor.py").write_text("print('x.cc:1: error: no such thing')\nraise OSError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeSetupError, match="x.cc:1: error: no such thing"):
        build.ensure_built(tmp_path, "stamp", lambda *_: None)
    assert not build.is_built(tmp_path)


def test_an_interrupted_compilation_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "jittor.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n")
    program = ("from pathlib import Path\nfrom jstyleid_core.runtime.build import ensure_built\n"
               f"ensure_built(Path({str(tmp_path)!r}), 's', lambda *p: None)")
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": str(tmp_path)},
                              preexec_fn=interruptible)
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    parent.send_signal(signal.SIGINT)
    parent.wait(timeout=PATIENCE)
    child = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_warming_up_says_how_far_it_is_and_is_remembered() -> None:
    from jstyleid_core.runtime.jittor import jt
    from jstyleid_core.warm import is_warm, warm_kernels

    seen: list[tuple[str, int, int]] = []
    threads = []

    def preparing(*progress: Any) -> None:
        seen.append(progress)
        threads.append(jt.flags.use_parallel_op_compiler)

    warm_kernels(preparing)
    assert seen == [("compiling kernels", done, 10) for done in range(11)]
    assert is_warm()
    assert set(threads) == {16}
    assert jt.flags.use_parallel_op_compiler == 0


def test_only_a_warm_machine_compiles_one_by_one_from_the_start(tmp_path: Path) -> None:
    for device in ("cuda", "cpu"):
        jittor = SimpleNamespace(
            flags=SimpleNamespace(use_cuda=device == "cuda", use_parallel_op_compiler=16))
        build.mark(tmp_path, "training", "native", device == "cuda").touch()
        build.settle(jittor, tmp_path)
        assert jittor.flags.use_parallel_op_compiler == 16
        build.mark(tmp_path, "kernels", "native", device == "cuda").touch()
        build.settle(jittor, tmp_path)
        assert jittor.flags.use_parallel_op_compiler == 0
