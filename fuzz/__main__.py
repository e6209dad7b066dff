"""`python -m fuzz`: fuzz the readers of the packages that are installed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fuzz.reader import FileReader, Reader
from fuzz.readers import installed
from fuzz.running import Finding, check, folder_of, fuzz, input_of, save

_INPUTS = 10_000


def main() -> int:
    """The number of findings, at most 1, as an exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--readers", help="only these, as prompts,ledger; `list` lists all")
    parser.add_argument("--inputs", type=int, help=f"inputs of each reader (default {_INPUTS})")
    parser.add_argument("--minutes", type=float, help="the time of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".fuzz"), help="folder of findings")
    parser.add_argument(
        "--file", type=Path, help="give this file to the one reader, and show what happens"
    )
    parser.add_argument("--number", type=int, help="give the one reader the input of this number")
    arguments = parser.parse_args()
    known = {reader.name: reader for reader in installed()}
    names = arguments.readers.split(",") if arguments.readers else list(known)
    if names == ["list"]:
        print("\n".join(known))
        return 0
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(known)}")
    readers = [known[name] for name in names]
    if arguments.file or arguments.number is not None:
        [reader] = readers
        if not isinstance(reader, FileReader):
            parser.error(f"{reader.name} reads values, not files")
        return _show(
            reader,
            arguments.file.read_bytes()
            if arguments.file
            else input_of(reader, arguments.seed, arguments.number),
        )
    inputs = arguments.inputs or (10**9 if arguments.minutes else _INPUTS)
    return _run(readers, arguments.seed, inputs, arguments.minutes, arguments.out)


def _show(reader: FileReader, data: bytes) -> int:
    with folder_of(reader) as place:
        found = check(reader, place, data)
    if isinstance(found, Finding):
        print(found.what, found.details, sep="\n")
        return 1
    print("taken" if found is None else f"refused: {found}")
    return 0


def _run(readers: list[Reader], seed: int, inputs: int, minutes: float | None, out: Path) -> int:
    print(f"{'reader':24}{'inputs':>8}{'taken':>8}{'seconds':>9}  findings")
    start, findings = time.monotonic(), 0
    for number, reader in enumerate(readers):
        until = (
            float("inf")
            if minutes is None
            else (start + minutes * 60 * (number + 1) / len(readers))
        )
        report = fuzz(reader, seed, inputs, until)
        print(
            f"{report.reader:24}{report.inputs:>8}{report.taken:>8}{report.seconds:>9.1f}  "
            f"{len(report.findings)}",
            flush=True,
        )
        for finding in report.findings.values():
            findings += 1
            path = save(finding, seed, out)
            print(f"  {finding.count} x {finding.what}\n    {finding.place}")
            if isinstance(reader, FileReader):
                print(f"    python -m fuzz --readers {reader.name} --file {path}", flush=True)
            else:
                print(f"    the value: {finding.data.decode()[:300]}", flush=True)
    return min(findings, 1)


if __name__ == "__main__":
    sys.exit(main())
