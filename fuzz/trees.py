"""Folders with one or several things changed: their files, their names, their kinds."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random

from fuzz.containers import LEDGER, of_pictures, of_sqlite
from fuzz.mutations import of_bytes, of_json, of_safetensors, of_toml
from fuzz.reader import Mutate

_NAMES = (
    "x",
    "é",
    "e\u0301",
    "00",
    "4",
    "04.png",
    ".hidden",
    "a b",
    "CON",
    "[red]",
    "\udcff",
    "\x1b[2J",
    "x" * 200,
    "images",
    "prompt.json",
    ".Ring.abcdefgh.part.png",
    "-o",
    "Ring.png",
    "pack-00-04",
    "ledger.sqlite-wal",
    "ledger.sqlite-journal",
)


def change(random: Random, folder: Path) -> None:
    """Change a few things in a folder."""
    for _ in range(random.choice((1, 1, 2, 3, 5))):
        paths = [
            Path(place) / name
            for place, folders, files in os.walk(folder)
            for name in (*folders, *files)
        ]
        path = random.choice(sorted(paths)) if paths else folder / "x"
        kind = random.randrange(12)
        if kind <= 5 and path.is_file() and not path.is_symlink():
            _change_file(random, path)
        elif kind == 6:
            _remove(path)
        elif kind == 7:
            target = path.with_name(random.choice(_NAMES))
            if not os.path.lexists(target) and path.exists():
                path.rename(target)
        elif kind == 8:
            _remove(path)
            path.mkdir()
        elif kind == 9:
            _remove(path)
            path.symlink_to(
                random.choice(
                    (
                        folder.parent / "watched" / "secret.txt",
                        folder.parent / "watched",
                        Path("nowhere"),
                        path,
                    )
                )
            )
        elif kind == 10:
            _remove(path)
            os.mkfifo(path)
        else:
            target = path.with_name(random.choice(_NAMES))
            if path.parent.is_dir() and (target.is_file() or not os.path.lexists(target)):
                target.write_bytes(random.randbytes(20))


def _change_file(random: Random, path: Path) -> None:
    data = path.read_bytes()
    mutate = _BY_SUFFIX.get(path.suffix, of_bytes)
    try:
        changed = mutate(random, data, [data])
    except Exception:  # it was changed before, so that its parts are not to be found
        changed = of_bytes(random, data, [data])
    path.write_bytes(changed)


_BY_SUFFIX: Mapping[str, Mutate] = {
    ".json": of_json,
    ".toml": of_toml,
    ".png": of_pictures,
    ".safetensors": of_safetensors,
    ".sqlite": of_sqlite(LEDGER),
}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


def listing(folder: Path) -> dict[str, tuple[str, str]]:
    """The kind and the content of everything in a folder, by its path in it."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            if os.path.islink(path):
                found[path] = ("link", os.readlink(path))
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = ("file", hashlib.sha256(file.read()).hexdigest())
            else:
                found[path] = ("other", "")
    return found
