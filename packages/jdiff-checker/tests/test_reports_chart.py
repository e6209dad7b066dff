"""The dot plots that hold a result against the published ones."""

from xml.etree import ElementTree

from jdiff_checker.reports.chart import panels
from jdiff_checker.result import CheckResult, Components, ScoringResult
from jdiff_checker.scoring import PUBLISHED, Metric, Scoring


def result() -> CheckResult:
    official = Components(dino=0.2, hist=0.5, fid=7.654, lpips=0.4, clip_iqa=0.7, clip_r=0.75)
    corrected = official.model_copy(update={"fid": 2.5, "clip_iqa": None})
    return CheckResult(
        scoring=Scoring.OFFICIAL, metrics=[metric.value for metric in Metric], upload="made",
        gt="data/B", styles=[], problems=[], prompts=[], prompts_from="the list", weights=[],
        versions={}, device="cpu", started="2025-01-01T00:00:00Z", seconds=1.0,
        official=ScoringResult(scoring=Scoring.OFFICIAL, styles=["00"], images=1,
                               components=official, final_score=0.43219),
        corrected=ScoringResult(scoring=Scoring.CORRECTED, styles=["00"], images=1,
                                components=corrected, final_score=None),
    )


def test_panels_are_well_formed_and_hold_every_row() -> None:
    drawn = panels(result())
    assert len(drawn) == 7
    names = ["This result, official", "This result, corrected",
             *(f"{row.split}: {row.name}" for row in PUBLISHED)]
    for panel, metric in zip(drawn, (None, *Metric), strict=True):
        svg = ElementTree.fromstring(panel)
        rows = list(svg.iter("g"))
        assert [group.findtext("text") for group in rows] == names
        lower = metric in (Metric.FID, Metric.LPIPS)
        assert f"{'lower' if lower else 'higher'} is better" in svg.attrib["aria-label"]
        # Not computed: a dash, and no dot.
        missing = metric in (None, Metric.CLIP_IQA)
        assert (rows[1].find("circle") is None) == missing
        assert (rows[1].findall("text")[1].text == "–") == missing


def test_panels_place_larger_values_further_right() -> None:
    fid = ElementTree.fromstring(panels(result())[1 + list(Metric).index(Metric.FID)])
    places = [(float(group.findall("text")[1].text or ""), float(dot.attrib["cx"]))
              for group in fid.iter("g") if (dot := group.find("circle")) is not None]
    assert len(places) == 6
    assert sorted(places) == sorted(places, key=lambda place: place[1])
    assert {"7.654", "3.272"} <= {text.text for text in fid.iter("text")}
