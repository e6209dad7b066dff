"""A worker's row of the timeline as SVG: one path a stage, however many tasks it holds.

A path of ten thousand rectangles is drawn at once, where as many elements would be slow. The
coordinates are seconds; the page stretches them to its width, and zooms by changing the view box.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from jstyleid_runner.pages.attempts import Attempt
from jstyleid_runner.pages.utilisation import Span

_FAILED = "failed"


def row_svg(attempts: Sequence[Attempt], whole: Span) -> str:
    """The bars of one worker's attempts, in a view of the time from `whole.start` on."""
    svg = ElementTree.Element("svg", {
        "class": "bars", "viewBox": f"0 0 {max(whole.seconds, 1e-3):.3f} 1",
        "preserveAspectRatio": "none", "aria-hidden": "true",
    })
    paths: dict[str, list[str]] = {}
    for attempt in attempts:
        paths.setdefault(attempt.entry.stage, []).append(_box(attempt.span, whole, 0.0))
        if attempt.entry.error:
            # A band at the foot of the bar, since colour alone does not tell everybody.
            paths.setdefault(_FAILED, []).append(_box(attempt.span, whole, 0.72))
    for name in sorted(paths, key=lambda name: name == _FAILED):
        ElementTree.SubElement(svg, "path", {"class": name, "d": "".join(paths[name])})
    return ElementTree.tostring(svg, encoding="unicode")


def _box(span: Span, whole: Span, top: float) -> str:
    start = span.start - whole.start
    return f"M{start:.3f} {top}h{span.seconds:.3f}V1H{start:.3f}z"
