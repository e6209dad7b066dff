"""The two ways to score, and the seven points in which they differ.

The official checker has quirks that decide leaderboard numbers. `Scoring.OFFICIAL` reproduces them,
`Scoring.CORRECTED` computes what each metric's name promises.
"""

from dataclasses import dataclass
from enum import StrEnum

OFFICIAL_STYLES = tuple(f"{number:02d}" for number in range(15))
"""The official checker scores these folders, however many the split has (quirk 5)."""


class Scoring(StrEnum):
    """Which computation the numbers come from."""

    OFFICIAL = "official"
    CORRECTED = "corrected"


class Metric(StrEnum):
    """The six components of the score, under the names `--metrics` takes."""

    DINO = "dino"
    HIST = "hist"
    FID = "fid"
    LPIPS = "lpips"
    CLIP_IQA = "clip-iqa"
    CLIP_R = "clip-r"

    @property
    def field(self) -> str:
        """The attribute of `Components` and the key in `result.json`."""
        return self.value.replace("-", "_")

    @property
    def label(self) -> str:
        """How tables and charts call it."""
        return {"dino": "DINO", "hist": "Hist", "fid": "FID", "lpips": "LPIPS",
                "clip-iqa": "CLIP-IQA", "clip-r": "CLIP-R"}[self.value]

    @property
    def higher_is_better(self) -> bool:
        """False for the two distances, FID and LPIPS."""
        return self not in (Metric.FID, Metric.LPIPS)


ALL_METRICS = tuple(Metric)


@dataclass(frozen=True)
class Quirk:
    """One deviation of the official code from what its metric is meant to be."""

    number: int
    subject: str
    official: str
    corrected: str
    metric: Metric | None = None
    """The metric it belongs to; None for one that concerns all."""


QUIRKS = (
    Quirk(1, "Hist, RGB",
          "the joint bin index is computed in 8 bits, so blue drops out (256 of 4,096 bins used)",
          "blue is counted (all 4,096 bins)",
          Metric.HIST),
    Quirk(2, "Hist, HSV",
          "the doubled hue wraps at 256, so blue and magenta count as red to green",
          "the hue is doubled without wrapping (and the last of the 72 classes has a bin)",
          Metric.HIST),
    Quirk(3, "FID",
          "only the last style is compared",
          "the images of all styles are compared",
          Metric.FID),
    Quirk(4, "CLIP-IQA",
          "images go in scaled to 0-255 although the network expects 0-1",
          "images go in scaled to 0-1",
          Metric.CLIP_IQA),
    Quirk(5, "styles",
          "a fixed list of 15, folders 00 to 14",
          "every style of the split"),
    Quirk(6, "summary",
          "the printed clip_iqa_score is the histogram score (the final score uses the right one)",
          "the summary shows CLIP-IQA",
          Metric.CLIP_IQA),
    Quirk(7, "images",
          "every file of a folder counts, and all must have one size",
          "only images of the split's prompts count; each is resized on its own"),
)
