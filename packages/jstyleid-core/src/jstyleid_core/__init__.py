"""Stable Diffusion 2.1, DDIM inversion and StyleID attention injection in Jittor.

Importing this package is instant and silent. Jittor starts, and on first use compiles itself, when
one of the names below is first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jstyleid_core.lazy import lazy_names
from jstyleid_core.version import __version__

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion
    from jstyleid_core.styleid.method import StyleID
    from jstyleid_core.styleid.settings import StyleIDSettings
    from jstyleid_core.styleid.style import Style

__all__ = ["StableDiffusion", "Style", "StyleID", "StyleIDSettings", "__version__"]

__getattr__ = lazy_names(__name__, {
    "StableDiffusion": "jstyleid_core.pipeline",
    "Style": "jstyleid_core.styleid.style",
    "StyleID": "jstyleid_core.styleid.method",
    "StyleIDSettings": "jstyleid_core.styleid.settings",
})
