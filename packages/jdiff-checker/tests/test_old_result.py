"""A result of version 0.1.0, made before the modules were rearranged, stays readable.

`old_result.json` is the result of `jdiff-check --upload out --gt data/S --metrics hist` for two
small images; the paths in it were shortened.
"""

import json
from pathlib import Path

from typer.testing import CliRunner

from jdiff_checker.cli import app
from jdiff_checker.result import read_result, write_result
from jdiff_checker.scoring import Metric

OLD = Path(__file__).with_name("old_result.json")


def test_it_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    result = read_result(OLD)
    assert result.metrics == [Metric.HIST]
    assert result.official.components.hist == -0.014059567412158037
    write_result(result, tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(OLD.read_text())


def test_it_can_be_compared_with() -> None:
    done = CliRunner().invoke(app, ["compare", str(OLD), str(OLD)])
    assert done.exit_code == 0, done.output
    assert "Identical: the same images and references" in done.output
