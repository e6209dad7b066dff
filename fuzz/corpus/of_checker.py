"""Findings of the readers of `jdiff-check`."""

from __future__ import annotations

from fuzz.corpus import Found
from fuzz.readers.checker import result

FOUND = (
    Found("checker-styles", lambda: "9" * 5000, None),
    Found("result", lambda: result().replace(b'"Ring.png"', b'"\\ud800.png"'), "not readable"),
    Found("result", lambda: b'{"scoring": ' + b"[" * 900 + b"]" * 900 + b"}", "not readable"),
)
