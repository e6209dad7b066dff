"""The lock of an output folder ends with the block that holds it."""

import os
import signal
import time
from pathlib import Path

from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock


def test_a_child_that_was_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    """Jittor forks processes that compile, and they stay."""
    folder = OutFolder(tmp_path / "out")
    folder.prepare()
    with folder_lock(folder):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with folder_lock(folder):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
