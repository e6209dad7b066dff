"""Home folders, virtual environments and caches that Jittor cannot use: one error that says why."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jstyleid_core.doctor import quick_checks
from jstyleid_core.runtime import build, home, startup
from jstyleid_core.runtime.requirements import RuntimeSetupError
from other_user import as_nobody


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home folder with a cache of Jittor; nothing else names one."""
    folder = tmp_path / "home"
    (folder / ".cache" / "jittor").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("JITTOR_HOME", raising=False)
    return folder


def problem() -> str:
    with pytest.raises(RuntimeSetupError) as caught:
        home.checked_home([])
    return str(caught.value)


def test_the_folder_that_jittor_takes(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.checked_home([]) == own
    settings = own / ".cache" / "jittor" / "config.json"
    for content, folder in (("{}", own), ('{"JITTOR_HOME": null}', own),
                            (f'{{"JITTOR_HOME": "{tmp_path}"}}', tmp_path)):
        settings.write_text(content)
        assert home.checked_home([]) == folder
    monkeypatch.setenv("JITTOR_HOME", str(tmp_path / "new"))
    assert home.checked_home([]) == tmp_path / "new"


@pytest.mark.parametrize("content", [
    b"", b"\0\0", b"{", b"[]", b'"text"', b'{"JITTOR_HOME": 1}', b'{"JITTOR_HOME": ""}',
    b'{"JITTOR_HOME": ["/tmp"]}', b"\xff\xfe{}", b"[" * 100_000,
])
def test_broken_settings_of_jittor(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    settings = own / ".cache" / "jittor" / "config.json"
    settings.write_bytes(content)
    assert f"{settings}, which Jittor reads, is unusable: " in problem()
    assert "Remove the file, or set JITTOR_HOME" in problem()
    monkeypatch.setenv("JITTOR_HOME", str(own))  # Jittor reads them there, too
    assert f"{settings}, which Jittor reads" in problem()
    monkeypatch.setenv("JITTOR_HOME", str(tmp_path))
    assert home.checked_home([]) == tmp_path


def test_settings_that_are_a_folder(own: Path) -> None:
    (own / ".cache" / "jittor" / "config.json").mkdir()
    assert "config.json, which Jittor reads, is unusable: " in problem()


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nope", "file"])
def test_no_folder_that_can_be_written_to(
    own: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (own / "file").touch()
    monkeypatch.setenv("HOME", str(own / place))
    assert "is no folder that you may write to. Set JITTOR_HOME to one that is." in problem()


def test_a_user_without_a_home(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started with `--user 12345`."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("none")))
    assert "HOME is not set, and this user has no home folder. Set JITTOR_HOME" in problem()
    assert {check.name: check.ok for check in quick_checks()}["Disk, here"]
    monkeypatch.setenv("JITTOR_HOME", str(own))
    assert home.checked_home([]) == own


def test_another_users_home() -> None:
    def said() -> str:
        os.environ.pop("JITTOR_HOME", None)
        os.environ["HOME"] = "/root"
        return problem()

    assert "Set JITTOR_HOME to " in as_nobody(said)


@pytest.mark.parametrize("letter", list(" '\"$`\\;&|<>()*?[!#"))
def test_paths_that_a_shell_takes_apart(
    own: Path, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    monkeypatch.setattr(sys, "executable", f"/opt/my{letter}env/bin/python")
    assert f"the shell takes {letter!r} in it for something else. Make the virtual" in problem()
    monkeypatch.undo()
    if letter == " ":  # Jittor quotes this one
        return
    monkeypatch.setenv("JITTOR_HOME", str(own / f"my{letter}home"))
    assert f"the shell takes {letter!r} in it for something else. Set JITTOR_HOME" in problem()


def test_letters_that_a_shell_leaves_alone(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own / "Zürich -东京_a.b+c@d=e~1,2%3:4"
    monkeypatch.setenv("JITTOR_HOME", str(folder))
    assert home.checked_home(["/opt/Zürich/bin/python3.11-config"]) == folder


_WRITES_NOTHING_AT_HOME = """
import os
from types import SimpleNamespace
from jstyleid_core.runtime import startup
startup.ensure_built = lambda cache, *_: print(cache)
startup._import_jittor = lambda *_: SimpleNamespace(flags=SimpleNamespace())
startup.start("cpu")
print(os.environ["HOME"], os.environ.get("JITTOR_HOME"))
"""


def test_jittor_leaves_a_home_alone_that_it_does_not_compile_into(own: Path) -> None:
    """Otherwise a home that cannot be written to, or is broken, stops it whatever is set."""
    settings = own / ".cache" / "jittor" / "config.json"
    settings.write_text("broken")
    elsewhere = own / "elsewhere"
    ran = subprocess.run(
        [sys.executable, "-c", _WRITES_NOTHING_AT_HOME], capture_output=True, text=True,
        check=False, env={**os.environ, "JITTOR_HOME": str(elsewhere), "use_mkl": ""})
    assert ran.returncode == 0, ran.stderr
    cache, homes = ran.stdout.splitlines()
    assert cache.startswith(str(elsewhere))
    assert homes == f"{own} {elsewhere}"
    assert settings.read_text() == "broken"
    assert [path.name for path in settings.parent.iterdir()] == [settings.name]


@pytest.mark.parametrize(("error", "said"), [
    (OSError(errno.ENOLCK, "No locks available"), ": No locks available (its file system has no"),
    (OSError(errno.EOPNOTSUPP, "Operation not supported"), "(its file system has no locks). Set"),
    (PermissionError(errno.EACCES, "Permission denied", "/c/jittor.lock"),
     ": /c/jittor.lock: Permission denied. Set JITTOR_HOME to a folder of your own"),
])
def test_a_cache_that_cannot_be_used(own: Path, error: OSError, said: str) -> None:
    with pytest.raises(RuntimeSetupError) as caught, home.home_of_jittor(own):
        raise error
    assert said in str(caught.value)


def test_a_lock_that_the_file_system_refuses(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(RuntimeSetupError, match="its file system has no locks"), \
            home.home_of_jittor(own):
        build.ensure_built(own, "stamp", lambda *_: None)


@pytest.mark.parametrize("error", [
    ImportError("jittor_core.so: file too short"), OSError("x.so: invalid ELF header"),
    AssertionError(),
])
def test_a_damaged_cache_is_compiled_anew_after_its_removal(
    own: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails() -> SimpleNamespace:
        raise error

    monkeypatch.setattr(build, "import_jittor", fails)
    with pytest.raises(RuntimeSetupError) as caught:
        startup._import_jittor(own, None)
    assert f"remove {own} and run the same command again" in str(caught.value)
    assert (str(error) or "AssertionError") in str(caught.value)
