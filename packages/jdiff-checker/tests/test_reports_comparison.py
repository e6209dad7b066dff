"""What changed between two results."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jdiff_checker.commands.compare import compare
from jdiff_checker.errors import InputError
from jdiff_checker.reports.changes import Comparison, compare_results
from jdiff_checker.reports.comparison import print_comparison
from jdiff_checker.result import (
    CheckResult,
    ClipR,
    Components,
    ImageScores,
    ReferenceImage,
    ScoringResult,
    StyleScores,
    WeightsRecord,
    write_result,
)
from jdiff_checker.scoring import Metric, Scoring

BOTH = (Scoring.OFFICIAL, Scoring.CORRECTED)


def image(file: str, dino: float, lpips: float, hit: bool, sha256: str = "00") -> ImageScores:
    guess = ClipR(label="ring", correct=hit, top5=[("ring" if hit else "cat", 0.9)])
    return ImageScores(file=file, prompt="Ring", sha256=sha256, width=8, height=8, dino=dino,
                       lpips=lpips, hist=dict.fromkeys(BOTH, 0.5),
                       clip_r=dict.fromkeys(BOTH, guess))


def style(name: str, images: list[ImageScores], sha256: str = "aa") -> StyleScores:
    count = len(images)
    means = Components(dino=sum(one.dino or 0 for one in images) / count, hist=0.5,
                       lpips=sum(one.lpips or 0 for one in images) / count)
    return StyleScores(style=name, prompts=count, images=images, means=dict.fromkeys(BOTH, means),
                       references=[ReferenceImage(file="a.png", sha256=sha256, width=8, height=8)])


def result(styles: list[StyleScores], components: Components, final: float | None = 0.4,
           **changes: Any) -> CheckResult:
    official, corrected = (
        ScoringResult(scoring=scoring, styles=[one.style for one in styles], final_score=final,
                      images=sum(len(one.images) for one in styles), components=components)
        for scoring in BOTH
    )
    content = {
        "scoring": Scoring.OFFICIAL, "metrics": [metric.value for metric in Metric],
        "upload": "made", "gt": "data/B", "official": official, "corrected": corrected,
        "styles": styles, "problems": [], "prompts": ["ring", "cat"], "prompts_from": "the list",
        "weights": [WeightsRecord(file="dino.pth", sha256="11", published=True)],
        "versions": {"torch": "2.9.0"}, "device": "cpu", "started": "2025-01-01T00:00:00Z",
        "seconds": 1.0,
    }
    return CheckResult.model_validate(content | changes)


def before(**changes: Any) -> CheckResult:
    styles = [
        style("00", [image("Ring.png", 0.2, 0.4, True), image("Cat.png", 0.2, 0.4, False)]),
        style("01", [image("Ring.png", 0.3, 0.5, True)]),
    ]
    return result(styles, Components(dino=0.25, hist=0.5, fid=3.0, lpips=0.45), **changes)


def after(**changes: Any) -> CheckResult:
    styles = [
        style("00", [image("Ring.png", 0.21, 0.4, False), image("Cat.png", 0.2, 0.4, True, "01")]),
        style("01", [image("Ring.png", 0.1, 0.6, True)]),
    ]
    return result(styles, Components(dino=0.15, hist=0.5, fid=2.0, lpips=0.5), 0.39, **changes)


def printed(comparison: Comparison) -> str:
    console = Console(record=True, width=160, file=io.StringIO())
    print_comparison(console, comparison)
    return console.export_text()


def test_differences_are_b_minus_a_and_judged_by_direction() -> None:
    found = compare_results(before(), after())
    overall = {change.metric: change for change in found.overall}
    assert overall[Metric.DINO].difference == pytest.approx(-0.1)
    assert overall[Metric.DINO].better is False
    assert overall[Metric.FID].difference == pytest.approx(-1.0)
    assert overall[Metric.FID].better is True
    assert overall[Metric.LPIPS].better is False
    assert overall[Metric.HIST].better is None
    assert overall[Metric.CLIP_R].difference is None
    assert found.final.difference == pytest.approx(-0.01)
    assert found.final.better is False
    assert found.mismatches == ()
    assert not found.identical


def test_styles_and_images_with_the_largest_change_come_first() -> None:
    found = compare_results(before(), after())
    assert [change.style for change in found.styles] == ["01", "00"]
    assert found.styles[0].term.difference == pytest.approx(-0.2 * 0.2 - 0.4 * 0.1)
    dino = found.images[Metric.DINO]
    assert [(change.style, change.file) for change in dino] == [("01", "Ring.png"),
                                                                ("00", "Ring.png")]
    assert dino[0].change.difference == pytest.approx(-0.2)
    assert dino[0].same_file
    assert found.images[Metric.HIST] == ()
    assert (found.images_in_both, found.same_files) == (3, 2)


def test_clip_r_flips_both_ways() -> None:
    found = compare_results(before(), after())
    assert [(flip.file, flip.likeliest) for flip in found.gained] == [("Cat.png", ("cat", "ring"))]
    assert [(flip.file, flip.likeliest) for flip in found.lost] == [("Ring.png", ("ring", "cat"))]


def test_styles_and_images_in_one_only() -> None:
    a, b = before(), after()
    b = b.model_copy(update={"styles": [
        style("00", [image("Ring.png", 0.2, 0.4, True), image("Bee.png", 0.2, 0.4, True)]),
        style("07", [image("Ring.png", 0.2, 0.4, True)]),
    ]})
    found = compare_results(a, b)
    assert found.styles_only == (("01",), ("07",))
    assert found.images_only == (("00/Cat.png",), ("00/Bee.png",))
    text = printed(found)
    assert "Styles only in A (1): 01." in text
    assert "Images only in B (1): 00/Bee.png." in text


def test_a_result_beside_itself_is_identical() -> None:
    found = compare_results(before(), before(seconds=9.0, started="2026-01-01T00:00:00Z"))
    assert found.identical
    assert "Identical" in printed(found)


OTHER_WEIGHTS = [WeightsRecord(file="dino.pth", sha256="22", published=True)]
UNPUBLISHED = [WeightsRecord(file="dino.pth", sha256="11", published=False)]


@pytest.mark.parametrize(("changes", "says"), [
    ({"scoring": Scoring.CORRECTED}, "A asked for the official scoring, B for the corrected one"),
    ({"metrics": ["dino", "hist"]}, "only A has clip-iqa, clip-r, fid, lpips"),
    ({"prompts": ["ring", "dog"]}, "CLIP-R chose among different prompts"),
    ({"weights": OTHER_WEIGHTS}, "Different weights: dino.pth, SHA-256 11 / 22."),
    ({"weights": UNPUBLISHED}, "B was scored with unpublished weights: dino.pth."),
    ({"versions": {"torch": "2.8.0"}}, "Different versions of torch: 2.9.0 / 2.8.0."),
])
def test_results_that_do_not_compare_say_why(changes: dict[str, Any], says: str) -> None:
    found = compare_results(before(), before(**changes))
    assert any(says in sentence for sentence in found.mismatches)
    assert not found.identical
    text = printed(found)
    assert "These results do not compare" in text
    assert says in text
    assert "do not compare, see above" in text.splitlines()[-1]


def test_other_references_do_not_compare() -> None:
    images = before().styles[1].images
    other = before().model_copy(update={
        "styles": [before().styles[0], style("01", images, sha256="bb")]
    })
    assert compare_results(before(), other).mismatches == (
        "Different references of the styles 01.",)


def test_different_scorings_are_compared_by_the_corrected_numbers() -> None:
    assert compare_results(before(), after(scoring=Scoring.CORRECTED)).scoring is Scoring.CORRECTED


def test_other_versions_and_devices_are_told_quietly() -> None:
    versions = {"torch": "2.9.0", "pillow": "13"}
    found = compare_results(before(), before(device="cuda", versions=versions))
    assert found.identical
    assert found.side_differences == ("pillow: – / 13", "device: cpu / cuda")
    assert "device: cpu / cuda" in printed(found)


def test_printed_tables_hold_the_numbers() -> None:
    text = printed(compare_results(before(), after()))
    rows = [line.split() for line in text.splitlines()]
    assert ["FID", "↓", "3.000", "2.000", "-1.000", "better"] in rows
    assert ["01/Ring.png", "0.3000", "0.1000", "-0.2000", "worse,", "though", "the", "same",
            "file"] in rows
    assert text.splitlines()[-1] == "Final score, official scoring: 0.4000 -> 0.3900 worse"


def test_without_final_scores() -> None:
    text = printed(compare_results(before(), result(after().styles, Components(), None)))
    assert "0.4000 -> –" in text.splitlines()[-1]


def test_the_command_takes_files_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(before(), tmp_path / "a" / "result.json")
    write_result(after(), tmp_path / "b.json")
    compare([tmp_path / "a", tmp_path / "b.json"])
    assert "0.4000 -> 0.3900 worse" in capsys.readouterr().out
    with pytest.raises(InputError):
        compare([tmp_path / "a", tmp_path / "missing.json"])
