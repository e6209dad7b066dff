"""The package installs alone and brings no Jittor."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jdiff_checker

EVERY_MODULE = """
import importlib, pkgutil, sys
import jdiff_checker
light = [name for name in ("torch", "numpy", "pydantic", "typer") if name in sys.modules]
assert not light, light
for module in pkgutil.walk_packages(jdiff_checker.__path__, "jdiff_checker."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for name in jdiff_checker.__all__:
    getattr(jdiff_checker, name)
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"jittor", "jtorch", "jstyleid_core"}, loaded
assert "torch" not in loaded, "torch is imported before it is known to be torch"
"""


def test_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("jdiff-checker") == jdiff_checker.__version__


def test_no_jittor_in_the_checker_environment() -> None:
    assert importlib.util.find_spec("jittor") is None
    assert importlib.util.find_spec("jstyleid_core") is None


def test_no_module_imports_jittor_even_where_it_is_installed(tmp_path: Path) -> None:
    for name in ("jittor", "jtorch", "jstyleid_core"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemError('imported')\n")
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
