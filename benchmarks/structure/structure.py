"""Figures of the source's structure: sizes, import circles, the path of one picture.

``tox -e structure [-- --root DIR]``, where DIR is a clone of this repository, this one by default.
Only ``packages/*/src/**/*.py`` is counted. Printed are:

1. For each package, the number of files, their lines in all (blank ones and comments, too), the
   median of the files' lines, and the longest file.
2. Import circles: groups of modules each of which imports every other one, be it through others;
   at module level only, and with the imports in functions. What is under `TYPE_CHECKING` is left
   out. An import is one of the module that is named, not of the packages above it, which Python
   imports, too.
3. The path of a picture: ``jstyleid run --method styleid`` makes one picture of the demo's split
   with the embedded model, on the CPU, at 64 pixels, with one step in each direction. Counted is
   all that happens until the picture has its final name, in the process of the command
   (`parent`) and in that of its worker:

   - *functions*: functions and methods of the project that are called at least once, lambdas too;
     *files*: the files that they are in. Comprehensions belong to the function they are in.
     Neither running a module's body nor what is called by one counts: importing is no step.
   - *moves*: calls of a function in another file than that of the caller. The caller is the
     nearest function of the project on the stack, so that a call by way of a library, a callback
     for example, counts as well; a call without such a caller, as of a thread's function, does
     not. Neither a return nor going on with a generator is a move. Loops count each time, and so
     this figure differs slightly from run to run: processes wait for each other in loops.
   - *different moves*: the same, but a line that calls a function in another file counts once for
     each such function. This is what a reader follows.

   The files with the most different moves follow: how many lead into the file and how many out of
   it, and how often it is entered, loops included.
4. How scattered two subjects are: the files with the word `gamma`, an option, in the runner; and
   the files of each package that name class images.

It runs in the Jittor environment. The trace is written by `traced_run.py`.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

import traced_run

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS = {
    "the option gamma": (re.compile(r"\bgamma\b"), "jstyleid-runner"),
    "class images": (re.compile("class_images|ClassImage"), ""),
}
"""Words, and the package they are looked for in; an empty name stands for every package."""
OPTIONS = ("--split", "demo", "--method", "styleid", "--styles", "00", "--prompts", "1",
           "--model", "embedded", "--device", "cpu", "--size", "64",
           "--content-steps", "1", "--steps", "1")
SHOWN = 15
_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


class Source(NamedTuple):
    """A file of a package."""

    package: str
    module: str
    path: Path
    text: str


class Call(NamedTuple):
    """A call of a function of the project."""

    caller: str
    line: int
    file: str
    function: str

    @property
    def moves(self) -> bool:
        """Whether it leads from one file to another."""
        return self.caller not in ("", self.file)


def sources(root: Path) -> list[Source]:
    """Read the files of all packages."""
    found = []
    for folder in sorted(root.glob("packages/*/src")):
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder)
            parts = inside.parent.parts if path.stem == "__init__" else inside.with_suffix("").parts
            text = path.read_text(encoding="utf-8")
            found.append(Source(folder.parent.name, ".".join(parts), inside, text))
    return found


def by_package(files: Iterable[Source]) -> dict[str, list[Source]]:
    """Group files by their package."""
    groups: dict[str, list[Source]] = {}
    for file in files:
        groups.setdefault(file.package, []).append(file)
    return groups


def imports(nodes: Iterable[ast.AST], functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Find the imports in a piece of source, with or without those in functions."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in _TYPES_ONLY:
            yield from imports(node.orelse, functions)
        elif functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(ast.iter_child_nodes(node), functions)


def imported(file: Source, known: Container[str], functions: bool) -> set[str]:
    """Return the modules of the project that a module imports."""
    package = file.module if file.path.stem == "__init__" else file.module.rpartition(".")[0]
    names: set[str] = set()
    for node in imports([ast.parse(file.text)], functions):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        else:
            base = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                names.add(inner if inner in known else base)
    return {name for name in names if name in known}


def circles(files: Sequence[Source], functions: bool) -> list[tuple[str, ...]]:
    """Return the groups of modules that import each other."""
    known = {file.module for file in files}
    arrows = {file.module: imported(file, known, functions) for file in files}
    reached: dict[str, set[str]] = {}
    for name in arrows:
        found: set[str] = set()
        ahead = arrows[name]
        while ahead:
            found |= ahead
            ahead = {further for module in ahead for further in arrows[module]} - found
        reached[name] = found
    return sorted({tuple(sorted(other for other in reached[name] if name in reached[other]))
                   for name in reached if name in reached[name]})


def trace(root: Path, folder: Path) -> dict[str, list[Call]]:
    """Make a picture under the tracer and return each process's calls until it was there."""
    packages = sorted(str(path) for path in root.glob("packages/jstyleid-*/src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages),
                   traced_run.FOLDER: str(folder)}
    data = folder / "data"
    # The module is looked for by its file's name, since it is in another package in older commits.
    (split,) = (file.module for file in sources(root) if file.path.name == "demo_split.py")
    draw = f"import pathlib, {split} as demo; demo.draw_split(pathlib.Path({str(data / 'demo')!r}))"
    run = ["run", *OPTIONS, "--data", str(data), "--out", str(folder / "out")]
    for command in (["-c", draw], [traced_run.__file__, *run]):
        ran = subprocess.run([sys.executable, *command], env=environment, cwd=folder,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
        if ran.returncode:
            sys.exit(f"{ran.stdout}\nthe run ended with exit code {ran.returncode}")
    end = int((folder / traced_run.WRITTEN).read_text(encoding="utf-8"))
    found = {}
    for path in sorted(folder.glob("*.calls")):
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        calls = [Call(caller, int(line), file, function)
                 for time, caller, line, file, function in lines if int(time) <= end]
        if calls:  # Jittor's helpers are processes, too, but run nothing of the project
            found[path.stem] = calls
    return found


def print_sizes(files: Sequence[Source]) -> None:
    """Print how large each package is."""
    print(f"{'package':20}{'files':>6}{'lines':>8}{'median':>8}  longest file")
    for package, group in by_package(files).items():
        lines = {file.path.as_posix(): len(file.text.splitlines()) for file in group}
        longest = max(lines, key=lines.__getitem__)
        print(f"{package:20}{len(lines):6}{sum(lines.values()):8}"
              f"{statistics.median(lines.values()):8g}  {longest} ({lines[longest]})")


def print_circles(files: Sequence[Source]) -> None:
    """Print the import circles of each package."""
    packages = {file.module: file.package for file in files}
    top, all_of_them = circles(files, functions=False), circles(files, functions=True)
    print(f"\n{'import circles':20}{'at module level':>17}{'with functions':>16}")
    for package in by_package(files):
        at_top, anywhere = (
            [group for group in groups if package in {packages[name] for name in group}]
            for groups in (top, all_of_them))
        print(f"{package:20}{len(at_top):17}{len(anywhere):16}")
        for group in sorted({*at_top, *anywhere}):
            print(f"    {', '.join(group)}")


def print_path(processes: Mapping[str, Sequence[Call]]) -> None:
    """Print the figures of a picture's path, and its busiest files."""
    everything = [call for calls in processes.values() for call in calls]
    print("\nthe path of a picture, until it is written")
    print(f"{'process':20}{'files':>6}{'functions':>11}{'different moves':>17}{'moves':>8}")
    for name, calls in (*processes.items(), ("all", everything)):
        moves = [call for call in calls if call.moves]
        print(f"{name:20}{len({call.file for call in calls}):6}"
              f"{len({(call.file, call.function) for call in calls}):11}"
              f"{len(set(moves)):17}{len(moves):8}")
    files = sorted({call.file for call in everything})
    packages = Counter(file.partition("/")[0] for file in files)
    print(f"files of {', '.join(f'{package}: {number}' for package, number in packages.items())}")
    for name, calls in processes.items():
        moves = [call for call in calls if call.moves]
        into = Counter(call.file for call in set(moves))
        out = Counter(call.caller for call in set(moves))
        entered = Counter(call.file for call in moves)
        title = f"{name}: the files with the most moves"
        print(f"\n{title:48}{'into':>6}{'out of':>8}{'entered':>9}")
        # Most moves first, and by name where there are as many.
        ranked = sorted((-number, file) for file, number in (into + out).items())
        for _, file in ranked[:SHOWN]:
            print(f"{file:48}{into[file]:6}{out[file]:8}{entered[file]:9}")


def print_subjects(files: Sequence[Source]) -> None:
    """Print which files name each of the subjects."""
    for subject, (words, only) in SUBJECTS.items():
        print(f"\nfiles that name {subject}")
        for package, group in by_package(files).items():
            if package.startswith(only):
                named = [file for file in group if words.search(file.text)]
                names = ", ".join(file.path.relative_to(file.path.parts[0]).as_posix()
                                  for file in named)
                print(f"{package:20}{len(named):6}  {names}".rstrip())


def main() -> None:
    """Print the figures of a clone."""
    parser = argparse.ArgumentParser(description="Figures of the source's structure.")
    parser.add_argument("--root", type=Path, default=ROOT, help="a clone of this repository")
    root: Path = parser.parse_args().root.resolve()
    if sys.version_info < (3, 11):
        parser.error("needs Python 3.11 or newer, whose code objects tell their qualified names")
    files = sources(root)
    print_sizes(files)
    print_circles(files)
    with tempfile.TemporaryDirectory() as folder:
        print_path(trace(root, Path(folder)))
    print_subjects(files)


if __name__ == "__main__":
    main()
