"""The tab Score: the `result.json` of a jdiff-check, shown; nothing is computed."""

from pathlib import Path

import gradio as gr
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jstyleid_core.errors import InputError
from jstyleid_core.files import decode_text, read_regular
from jstyleid_core.json_files import parse_json
from jstyleid_core.notes import shown
from jstyleid_core.validation import problems_of
from jstyleid_runner.ui import views

_METRICS = ("dino", "hist", "fid", "lpips", "clip_iqa", "clip_r")
_PROBLEMS = 20


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Components(_Read):
    dino: float | None = None
    hist: float | None = None
    fid: float | None = None
    lpips: float | None = None
    clip_iqa: float | None = None
    clip_r: float | None = None

    @property
    def row(self) -> list[float | None]:
        return [getattr(self, metric) for metric in _METRICS]


class _Scoring(_Read):
    scoring: str
    images: int
    components: _Components
    final_score: float | None = None
    no_final_because: str | None = None
    incomplete: list[str] = Field(default_factory=list)


class _Style(_Read):
    style: str
    images: list[object]
    means: dict[str, _Components]


class _Problem(_Read):
    message: str


class CheckResult(_Read):
    """The part of the checker's result that is shown, see `jdiff_checker.result`."""

    scoring: str
    upload: str
    gt: str
    official: _Scoring | None = None
    corrected: _Scoring
    styles: list[_Style]
    problems: list[_Problem] = Field(default_factory=list)
    device: str = ""
    started: str = ""


def read_result(path: Path) -> CheckResult:
    """Read a `result.json` of jdiff-check.

    Raises:
        InputError: it is none.
    """
    try:
        content = parse_json(decode_text(read_regular(path)))
        return CheckResult.model_validate(content)
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise InputError(f"{path.name}: not a result of jdiff-check: {problem.field or 'the file'}:"
                         f" {problem.reason}. Give the result.json that it wrote.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: not readable as JSON ({error}). Give the result.json of "
                         "jdiff-check.") from error


class ScorePage:
    """The tab."""

    def build(self) -> None:
        """Make the components here in the page."""
        file = gr.File(label="result.json of jdiff-check", elem_id="score-file", height=120)
        answer = gr.HTML(elem_id="score-shown")
        file.change(self.show, file, answer, show_progress="hidden", api_visibility="private")

    def show(self, file: str | None) -> str:
        """The tables of a result."""
        if file is None:
            return ""
        try:
            return _shown(read_result(Path(file)))
        except InputError as error:
            return views.alert(shown(f"error: {error}"))


def _shown(result: CheckResult) -> Markup:
    scorings = [each for each in (result.official, result.corrected) if each]
    parts = [
        views.note(f"{result.upload} against {result.gt}, {result.started} on {result.device}; "
                   f"the scoring asked for is {result.scoring}"),
        views.table(("scoring", "images", *_METRICS, "final score"), [
            (each.scoring, each.images, *each.components.row, each.final_score)
            for each in scorings]),
    ]
    parts += [views.note(f"{each.scoring}: no final score, {each.no_final_because}")
              for each in scorings if each.no_final_because]
    parts += [views.alert(line) for line in dict.fromkeys(
        line for each in scorings for line in each.incomplete)][:_PROBLEMS]
    for scoring in [each.scoring for each in scorings]:
        rows = [(style.style, len(style.images), *style.means[scoring].row)
                for style in result.styles if scoring in style.means]
        parts += [Markup("<h3>{}</h3>").format(f"Styles, {scoring}"),
                  views.table(("style", "images", *_METRICS), rows)]
    parts += [views.alert(problem.message) for problem in result.problems[:_PROBLEMS]]
    return Markup("").join(parts)
