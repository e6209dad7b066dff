"""Which backend the tests are run on: the same tests serve both."""

from __future__ import annotations

import os
from typing import Any


def backend() -> Any:
    """Return the backend that `JSTYLEID_TEST_BACKEND` names, the native one without it."""
    return os.environ.get("JSTYLEID_TEST_BACKEND", "native")
