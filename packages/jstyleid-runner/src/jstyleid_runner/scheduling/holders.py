"""Which nodes hold files that one worker made for the others, and how they get them."""

from pathlib import Path
from typing import Any


class Holders:
    """Files by the paths that orders name them by.

    A content goes to the object store when another node first asks for it, and from there to any
    number of nodes.
    """

    def __init__(self) -> None:
        self._nodes: dict[Path, dict[str, Any]] = {}
        self._contents: dict[Path, Any] = {}

    def add(self, path: Path, node: str, actor: Any) -> None:
        """A file is on a node, and this actor there can be asked for it."""
        self._nodes.setdefault(path, {})[node] = actor

    def content(self, path: Path, node: str) -> Any:
        """A reference to the file for a node; None where nobody has it, or the node itself does."""
        holders = self._nodes.get(path, {})
        if node in holders or not (holders or path in self._contents):
            return None
        if path not in self._contents:
            self._contents[path] = next(iter(holders.values())).take.remote(path)
        return self._contents[path]

    def lost(self, actor: Any) -> None:
        """An actor is gone: it can be asked for nothing any more."""
        for path, holders in self._nodes.items():
            for node in [node for node, other in holders.items() if other is actor]:
                del holders[node]
                # It may have been asked, and not have answered.
                self._contents.pop(path, None)
