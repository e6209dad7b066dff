"""The folder of the weights, and the check of its files against the published hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from jdiff_checker.errors import OutputError, WeightsError
from jdiff_checker.files import atomic_path, read_regular, user_cache
from jdiff_checker.result import WeightsRecord
from jdiff_checker.scoring import ALL_METRICS, Metric
from jdiff_checker.weights.published import PUBLISHED, WeightsFile, needed, size_text

MEMO = ".hashes.json"

_Entry = dict[str, int | str]


class Presence(Enum):
    """State of a file in the folder."""

    MISSING = "missing"
    PUBLISHED = "published"
    DIFFERENT = "different"
    """Another file, or a damaged or truncated file."""


@dataclass(frozen=True)
class FileState:
    """State and hash of a file in the folder."""

    presence: Presence
    sha256: str | None
    """Hash of the file in the folder; None if the file is missing."""


class WeightsFolder:
    """A folder of weights; it may not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes = HashMemo(root)

    @classmethod
    def locate(cls, given: Path | None) -> WeightsFolder:
        """The given folder, or `JDIFF_WEIGHTS`, or a folder in the user's cache.

        Raises:
            WeightsError: the path is not a folder, or the user has no home folder.
        """
        try:
            root = (given or _from_environment()).expanduser().absolute()
        except RuntimeError as error:
            raise WeightsError(
                f"no folder for the weights: {str(error).rstrip('.')}. Give it with --dir, or set "
                "JDIFF_WEIGHTS."
            ) from error
        if root.exists() and not root.is_dir():
            raise WeightsError(
                f"{root} is a file. The folder of the weights is wanted: check --dir and "
                "JDIFF_WEIGHTS.")
        return cls(root)

    def path(self, file: WeightsFile) -> Path:
        """Path of the file in the folder."""
        return self.root / file.path

    def state(self, file: WeightsFile, *, afresh: bool = False) -> FileState:
        """State of the file; `afresh` reads the file even if its hash is remembered.

        Raises:
            WeightsError: the file exists but cannot be read.
        """
        try:
            sha256 = self._hashes.sha256(file.path, afresh=afresh)
        except (FileNotFoundError, NotADirectoryError):
            return FileState(Presence.MISSING, None)
        except OSError as error:
            raise WeightsError(
                f"{self.path(file)} cannot be read: {error.strerror or error}. Check its "
                "permissions and the disk, or choose another folder."
            ) from error
        same = sha256 == file.sha256
        return FileState(Presence.PUBLISHED if same else Presence.DIFFERENT, sha256)

    def downloaded(self, file: WeightsFile) -> None:
        """Remember that the file was just downloaded and is the published one."""
        self._hashes.remember(file.path, file.sha256)

    def require(
        self, metrics: Iterable[Metric], *, allow_unpublished: bool,
        published: Sequence[WeightsFile] = PUBLISHED,
    ) -> list[WeightsRecord]:
        """Check that all files of the metrics are present, and return their records.

        Args:
            metrics: the metrics to compute.
            allow_unpublished: accept files other than the published ones; their records are marked.
            published: the files that define the metrics.

        Raises:
            WeightsError: files are missing, or not the published ones; all of them are listed.
        """
        metrics = set(metrics)
        records: list[WeightsRecord] = []
        missing: list[WeightsFile] = []
        different: list[tuple[WeightsFile, str]] = []
        for file in needed(metrics, published):
            state = self.state(file)
            if state.sha256 is None:
                missing.append(file)
                continue
            is_published = state.presence is Presence.PUBLISHED
            if not is_published and not allow_unpublished:
                different.append((file, state.sha256))
            records.append(WeightsRecord(file=file.path, sha256=state.sha256,
                                         published=is_published))
        paragraphs = []
        if missing:
            refused = _metrics_of(missing + [file for file, _ in different])
            # Hist needs no weights, so there is always something left to score.
            left = [metric for metric in ALL_METRICS if metric in metrics
                    and metric not in refused] or [Metric.HIST]
            paragraphs.append(self._missing_message(missing, left))
        if different:
            paragraphs.append(self._different_message(different))
        if paragraphs:
            raise WeightsError("\n".join(paragraphs))
        return records

    def fetch_command(self, *options: str) -> str:
        """The command that downloads into this folder, for a message."""
        return shlex.join(["jdiff-check", "weights", "fetch", "--dir", str(self.root), *options])

    def _missing_message(self, missing: list[WeightsFile], left: list[Metric]) -> str:
        lines = [f"weights are missing in {self.root}:"]
        lines += [f"  {file.path} ({file.name}, {size_text(file.size)}), for {file.metric_names}"
                  for file in missing]
        names = ",".join(_metrics_of(missing))
        lines += [f"Get them: {self.fetch_command('--metrics', names)}",
                  f"Or score without them: --metrics {','.join(left)}"]
        return "\n".join(lines)

    def _different_message(self, different: list[tuple[WeightsFile, str]]) -> str:
        lines = [f"weights in {self.root} are not the published ones (damaged, cut short, or "
                 "another version):"]
        lines += [f"  {file.path} ({file.name}), for {file.metric_names}: "
                  f"sha256 {short(sha256)} instead of {short(file.sha256)}"
                  for file, sha256 in different]
        names = ",".join(_metrics_of([file for file, _ in different]))
        lines += [f"Replace them: {self.fetch_command('--metrics', names, '--replace')}",
                  "Or score with them as they are: --unpublished-weights; the result is marked, "
                  "for its numbers compare to no others."]
        return "\n".join(lines)


def short(sha256: str) -> str:
    """The beginning of a hash, enough to distinguish files."""
    return sha256[:12]


def _metrics_of(files: list[WeightsFile]) -> list[Metric]:
    return [metric for metric in ALL_METRICS if any(metric in file.metrics for file in files)]


def _from_environment() -> Path:
    named = os.environ.get("JDIFF_WEIGHTS")
    if named:
        return Path(named)
    return user_cache() / "weights"


def sha256_of(path: Path) -> str:
    """The hash of a file's content, read in full."""
    digest = hashlib.sha256()
    if not path.is_file():  # a pipe might never end
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    with open(path, "rb") as content:
        while part := content.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


class HashMemo:
    """The hashes of a folder's files, kept in `.hashes.json` in the same folder.

    Reading gigabytes for every check would take longer than some of the metrics. A file counts as
    unchanged while its size, modification time and inode are the same.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # In a read-only folder, hashes are remembered for this process only.
        self._own: dict[str, _Entry] = {}

    def sha256(self, path: str, *, afresh: bool = False) -> str:
        """The hash of the file at `path` inside the folder.

        Args:
            path: relative to the folder.
            afresh: read the file even if its hash is known.

        Raises:
            OSError: the file is missing or cannot be read.
        """
        before = self._identity(path)
        if not afresh:
            for entries in (self._own, self._stored()):
                entry = entries.get(path, {})
                sha256 = entry.get("sha256")
                if isinstance(sha256, str) and entry == {**before, "sha256": sha256}:
                    return sha256
        sha256 = sha256_of(self._root / path)
        # The hash of a file that changed during reading is never valid.
        if self._identity(path) == before:
            self._keep(path, {**before, "sha256": sha256})
        return sha256

    def remember(self, path: str, sha256: str) -> None:
        """Store a hash that was computed elsewhere, for the present file.

        Raises:
            OSError: the file is missing.
        """
        self._keep(path, {**self._identity(path), "sha256": sha256})

    def _identity(self, path: str) -> _Entry:
        status = (self._root / path).stat()
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}

    def _stored(self) -> dict[str, _Entry]:
        # The memo only saves time: if it is unreadable, the files are read again.
        try:
            stored = json.loads(read_regular(self._root / MEMO))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(stored, dict):
            return {}
        return {path: entry for path, entry in stored.items() if isinstance(entry, dict)}

    def _keep(self, path: str, entry: _Entry) -> None:
        self._own[path] = entry
        # Shared folders are often read-only; there the files are read again, which takes time only.
        with contextlib.suppress(OutputError), atomic_path(self._root / MEMO) as temporary:
            text = json.dumps(self._stored() | self._own, indent=1, sort_keys=True)
            temporary.write_text(text + "\n", encoding="utf-8")
