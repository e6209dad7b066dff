"""Scores of style-transfer results as the Jittor AI challenge computes them; torch only.

Importing this package is instant; torch and the networks' libraries are imported by `check`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdiff_checker.checking import check
    from jdiff_checker.result import CheckResult, read_result, write_result
    from jdiff_checker.scoring import Metric, Scoring, final_score

    __version__: str

__all__ = ["CheckResult", "Metric", "Scoring", "__version__", "check", "final_score", "read_result",
           "write_result"]

_HOMES = {
    "CheckResult": "jdiff_checker.result",
    "Metric": "jdiff_checker.scoring",
    "Scoring": "jdiff_checker.scoring",
    "check": "jdiff_checker.checking",
    "final_score": "jdiff_checker.scoring",
    "read_result": "jdiff_checker.result",
    "write_result": "jdiff_checker.result",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow, and before it Ctrl-C is not handled yet

        return version("jdiff-checker")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
