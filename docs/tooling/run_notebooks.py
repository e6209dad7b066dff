"""Runs notebooks from the first cell to the last, without a network.

    python docs/tooling/run_notebooks.py NOTEBOOK...

runs them in this environment and writes the outputs into them (`tox -e notebooks`). The tests run
them, too, and leave the files as they are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LARGEST = 1_000_000
"""Bytes of a notebook with its outputs."""

_SECONDS = 600  # for a cell; Jittor may have to compile
_OFFLINE = """
def _offline(event, arguments):
    # The audit hook of this process sees every connection and every look-up of a name.
    if event == "socket.connect" and not isinstance(arguments[1], (str, bytes)):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        raise RuntimeError(f"a notebook must run without a network, and asked for {host!r}")


import sys
sys.addaudithook(_offline)
"""


def run_notebook(path: Path) -> nbformat.NotebookNode:
    """A copy of a notebook with the outputs of a run in its own folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed, or asked for a network.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(_OFFLINE))
    client = NotebookClient(notebook, timeout=_SECONDS, kernel_name="python3", record_timing=False,
                            coalesce_streams=True,
                            resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    del notebook.cells[0]
    for number, cell in enumerate(_code_cells(notebook), 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    # The Python of the machine it was run on says nothing.
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python",
                                        "name": "python3"},
                         "language_info": {"name": "python"}}
    return notebook


def check_committed(path: Path) -> None:
    """Check that a notebook is committed with the outputs of one whole run.

    Raises:
        ValueError: it is not; the message says why.
    """
    notebook = nbformat.read(path, as_version=4)
    cells = _code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    again = f"{path}: run it again: tox -e notebooks"
    if counts != list(range(1, len(cells) + 1)):
        raise ValueError(f"{again} (its cells were run in the order {counts})")
    outputs = [output for cell in cells for output in cell.outputs]
    if any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs):
        raise ValueError(f"{again} (it shows an error or a warning)")
    texts = str([output.get("text") or output.data.get("text/plain") for output in outputs])
    if str(Path.home()) in texts or tempfile.gettempdir() in texts:
        raise ValueError(f"{path}: its outputs name folders of a machine; print less of a path")
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path}: {size} bytes; at most {LARGEST}. Draw smaller pictures.")


def _code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def main(paths: list[str]) -> None:
    """Run the notebooks and write their outputs into them."""
    for path in map(Path, paths):
        executed = run_notebook(path)
        temporary = path.with_suffix(".new")
        nbformat.write(executed, temporary)
        os.replace(temporary, path)
        check_committed(path)
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
