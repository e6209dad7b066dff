"""What a result looks like in the terminal."""

import io
import re

from rich.console import Console

from jdiff_checker.reports.formatting import format_change, format_value, printable
from jdiff_checker.reports.tables import print_problems, print_result
from jdiff_checker.result import (
    CheckResult,
    Components,
    ImageScores,
    Problem,
    ScoringResult,
    StyleScores,
    WeightsRecord,
)
from jdiff_checker.scoring import Metric, Scoring

OFFICIAL, CORRECTED = Scoring.OFFICIAL, Scoring.CORRECTED


def style(name: str, official: Components | None, corrected: Components) -> StyleScores:
    image = ImageScores(file="Ring.png", prompt="Ring", sha256="00", width=8, height=8)
    means = {CORRECTED: corrected} | ({OFFICIAL: official} if official else {})
    return StyleScores(style=name, prompts=2, references=[], images=[image], means=means)


def result(**changes: object) -> CheckResult:
    one = Components(dino=0.1111, hist=0.7, fid=2.5, lpips=0.4, clip_iqa=0.75, clip_r=1.0)
    two = Components(dino=0.2222, hist=0.6, fid=3.25, lpips=0.5, clip_iqa=0.65, clip_r=0.5)
    content = {
        "scoring": OFFICIAL, "metrics": [metric.value for metric in Metric], "upload": "made",
        "gt": "data/B",
        "official": ScoringResult(
            scoring=OFFICIAL, styles=["00", "01"], images=2, final_score=0.43219,
            components=Components(dino=0.1667, hist=0.65, fid=4.1234, lpips=0.45, clip_iqa=0.7,
                                  clip_r=0.75),
            notes=["FID: only the last style is compared"]),
        "corrected": ScoringResult(
            scoring=CORRECTED, styles=["00", "01", "15"], images=3, final_score=None,
            no_final_because="CLIP-R was not asked for.", components=Components(dino=0.3456)),
        "styles": [style("00", one, one), style("01", two, two), style("15", None, one)],
        "problems": [], "prompts": ["ring", "hotel"], "prompts_from": "a list of [mine]",
        "weights": [], "versions": {"torch": "2.9.0"}, "device": "cpu",
        "started": "2025-01-01T00:00:00Z", "seconds": 12.34,
    }
    return CheckResult.model_validate(content | changes)


def printed(checked: CheckResult) -> list[str]:
    console = Console(record=True, width=160, file=io.StringIO())
    print_result(console, checked)
    return console.export_text().splitlines()


def row(lines: list[str], first: str) -> list[str]:
    return next(line.split() for line in lines if line.split()[:1] == [first])


def test_styles_of_the_scoring_and_the_overall_row() -> None:
    lines = printed(result())
    assert row(lines, "00") == ["00", "1", "0.1111", "0.7000", "2.500", "0.4000", "0.7500",
                                "1.0000"]
    assert row(lines, "overall") == ["overall", "2", "0.1667", "0.6500", "4.123", "0.4500",
                                     "0.7000", "0.7500"]
    assert not [line for line in lines if line.split()[:1] == ["15"]]
    header = next(line for line in lines if "CLIP-IQA ↑" in line)
    assert "FID* ↓" in header
    assert "DINO ↑" in header
    assert any("its few images alone" in line for line in lines)


def test_both_scorings_side_by_side_and_why_one_has_no_final_score() -> None:
    lines = printed(result())
    assert row(lines, "DINO")[-2:] == ["0.1667", "0.3456"]
    assert row(lines, "Hist")[-2:] == ["0.6500", "–"]
    assert row(lines, "final")[-2:] == ["0.4322", "–"]
    assert "corrected: no final score: CLIP-R was not asked for." in lines


def test_the_final_score_is_the_last_line() -> None:
    assert printed(result())[-1] == "Final score, official scoring: 0.4322"
    corrected = printed(result(scoring=CORRECTED))
    assert corrected[-1] == ("No final score, corrected scoring: CLIP-R was not asked for.")
    assert row(corrected, "15")[2] == "0.1111"


def test_notes_prompts_and_quirk_6() -> None:
    text = "\n".join(printed(result()))
    assert "FID: only the last style is compared" in text
    assert "CLIP-R's 2 prompts come from a list of [mine]." in text
    assert "Scored on cpu in 12.3 s." in text
    assert "histogram score under clip_iqa_score" in text
    assert "clip_iqa_score" not in "\n".join(printed(result(scoring=CORRECTED)))


def test_incomplete_uploads_say_what_is_missing() -> None:
    scored = result().official
    assert scored is not None
    incomplete = scored.model_copy(update={"incomplete": ["01: no image for the prompt Hotel."]})
    assert any("no image for the prompt Hotel" in line
               for line in printed(result(official=incomplete)))


def test_no_official_scores() -> None:
    lines = printed(result(scoring=CORRECTED, official=None))
    assert row(lines, "DINO")[-2:] == ["–", "0.3456"]
    assert any(line.startswith("official: no scores") for line in lines)


def test_unpublished_weights_are_told_first_and_beside_the_score() -> None:
    weights = [WeightsRecord(file="dino.pth", sha256="ab", published=False)]
    lines = printed(result(weights=weights))
    warned = [number for number, line in enumerate(lines) if "unpublished weights: dino" in line]
    assert warned[0] < 3
    assert len(lines) - warned[1] <= 3
    assert "unpublished weights" in lines[-1]
    assert "unpublished" not in "\n".join(printed(result()))


def test_best_and_worst_are_coloured_by_direction() -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    print_result(console, result())
    html = console.export_html(inline_styles=True)
    found = {value: colour for colour, value in re.findall(
        r'<span style="color: (#\w+)[^>]*> *([\d.]+) *</span>', html)}
    green, red = "#008000", "#800000"
    assert (found["0.2222"], found["0.1111"]) == (green, red)
    assert (found["2.500"], found["3.250"]) == (green, red)


def test_problems_that_stop_come_first() -> None:
    problems = [
        Problem(kind="extra-image", style="00", file="x.png", message="00/x.png: no prompt."),
        *(Problem(kind="missing-image", style="00", file=None, message=f"00: no {name}.",
                  stops=[CORRECTED]) for name in ("Ring", "Hotel", "Bee")),
    ]
    console = Console(record=True, width=160, file=io.StringIO())
    print_problems(console, problems)
    lines = [line.strip() for line in console.export_text().splitlines()]
    assert lines[:2] == ["Stops a strict check (3)", "missing image (3, corrected)"]
    assert sum(line.startswith("- 00: no ") for line in lines) == 3
    assert lines[-3:] == ["Worth knowing (1)", "extra image (1)", "- 00/x.png: no prompt."]


def test_no_problems_print_nothing() -> None:
    console = Console(record=True, file=io.StringIO())
    print_problems(console, [])
    assert console.export_text() == ""


def test_values() -> None:
    assert format_value(1.23456) == "1.2346"
    assert format_value(1.23456, Metric.FID) == "1.235"
    assert format_value(None) == format_value(float("nan")) == "–"
    assert format_change(0.5) == "+0.5000"
    assert format_change(0.0) == "0"
    assert printable("a\x1b[31m\n\udcff é") == "a\\x1b[31m\\n\\udcff é"
