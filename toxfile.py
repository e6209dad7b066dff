"""The Python of an environment: of those that `pythons` lists in tox.ini, the first that is here.

tox-uv alone would make every environment of the first one, and download it where it is missing.
"""

import functools
import shutil
import subprocess

from tox.config.loader.memory import MemoryLoader
from tox.config.sets import EnvConfigSet
from tox.plugin import impl
from tox.session.state import State


@impl
def tox_add_env_config(env_conf: EnvConfigSet, state: State) -> None:
    """Set `base_python`; where none is here, uv downloads the first."""
    env_conf.add_config("pythons", of_type=list[str], default=[], desc="Pythons, best first")
    pythons: list[str] = env_conf["pythons"]
    if pythons:
        chosen = next(filter(None, map(_path, pythons)), pythons[0])
        env_conf.loaders.insert(0, MemoryLoader(base_python=[chosen]))


@functools.cache
def _path(python: str) -> str | None:
    """Path of a Python on PATH; of the one below, where that is a virtual environment's."""
    if shutil.which(python) is None:
        return None
    ran = subprocess.run([python, "-c", "import sys; print(sys._base_executable)"],
                         capture_output=True, text=True, check=False)
    # Managers of Pythons put names on PATH that lead to no Python.
    return ran.stdout.strip() if ran.returncode == 0 else None
