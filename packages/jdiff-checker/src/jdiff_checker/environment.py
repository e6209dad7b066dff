"""Checks of the Python environment, before the libraries of the networks are imported."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

from jdiff_checker.errors import BrokenEnvironmentError

_declared: list[Any] = []  # torch forgets operators whose Library object is collected


def require_torch() -> None:
    """Check that `import torch` imports the real torch.

    jtorch installs a package of the same name that runs on Jittor and gives other numbers. Jittor's
    ports of transformers and diffusers depend on jtorch.

    Raises:
        BrokenEnvironmentError: torch is missing, or jtorch is in its place.
    """
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise BrokenEnvironmentError(
            "torch is not installed. Install the checker into an environment of its own: "
            "pip install ./packages/jdiff-checker"
        )
    folders = list(found.submodule_search_locations)
    # Every build of torch has this compiled module; jtorch is Python alone.
    if importlib.machinery.PathFinder.find_spec("_C", folders) is None:
        raise BrokenEnvironmentError(
            f"the package torch in {folders[0]} is jtorch (Jittor under torch's name), which gives "
            "other numbers. Install the checker into an environment of its own, without Jittor: "
            "python -m venv eval && eval/bin/pip install ./packages/jdiff-checker"
        )


def import_torchvision() -> ModuleType:
    """Import torchvision, even if its compiled operators do not fit the installed torch.

    PyPI's torchvision is built for CUDA and cannot load its operators with a CPU-only torch. The
    import then fails on an operator that lpips, open_clip and transformers never call. This
    function declares the operators without implementing them, so that the rest works. Builds that
    fit are not changed.

    Raises:
        BrokenEnvironmentError: torchvision cannot be imported for another reason.
    """
    require_torch()
    try:
        import torchvision
    except ImportError as error:
        raise BrokenEnvironmentError(
            f"torchvision cannot be imported ({error}). Reinstall the checker: "
            "pip install --force-reinstall ./packages/jdiff-checker"
        ) from error
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _declare_missing_operators()
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision
    return torchvision


def _declare_missing_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
