"""The notebook of StyleID runs in this environment, without a network."""

from run_notebooks import NOTEBOOKS, check_committed, run_notebook


def test_the_notebook_runs_and_is_committed_with_its_outputs() -> None:
    run_notebook(NOTEBOOKS / "styleid.ipynb")
    check_committed(NOTEBOOKS / "styleid.ipynb")
