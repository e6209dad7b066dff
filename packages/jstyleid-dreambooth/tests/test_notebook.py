"""The notebook of a training runs in this environment, without a network."""

from run_notebooks import NOTEBOOKS, check_committed, run_notebook


def test_the_notebook_runs_and_is_committed_with_its_outputs() -> None:
    run_notebook(NOTEBOOKS / "lora.ipynb")
    check_committed(NOTEBOOKS / "lora.ipynb")
