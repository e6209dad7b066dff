"""Jittor, started: the names `jt`, `nn` and `Var` for all modules that compute.

Importing this module starts Jittor (see `jstyleid_core.runtime`), on the device already asked for
or on the one the environment variable `JSTYLEID_DEVICE` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from jstyleid_core.runtime import start

jt: Any = start()
nn: Any = jt.nn

if TYPE_CHECKING:
    Var: TypeAlias = Any  # Jittor ships no type information
else:
    Var = jt.Var

__all__ = ["Var", "jt", "nn"]
