"""The notebook of the score runs in this environment, without a network; so does none that asks."""

from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from run_notebooks import NOTEBOOKS, check_committed, run_notebook


def test_the_notebook_runs_and_is_committed_with_its_outputs() -> None:
    run_notebook(NOTEBOOKS / "scoring.ipynb")
    check_committed(NOTEBOOKS / "scoring.ipynb")


def write_notebook(path: Path, source: str) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


@pytest.mark.parametrize("source", [
    "import urllib.request; urllib.request.urlopen('http://example.com')",
    "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
])
def test_a_notebook_that_asks_for_a_network_fails(source: str, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="must run without a network"):
        run_notebook(write_notebook(tmp_path / "asks.ipynb", source))


def test_a_notebook_without_outputs_is_not_to_be_committed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run it again"):
        check_committed(write_notebook(tmp_path / "fresh.ipynb", "1 + 1"))
