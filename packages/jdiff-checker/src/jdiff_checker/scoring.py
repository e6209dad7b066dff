"""The score: six metrics, the formula of the challenge, and two ways to compute them.

The official checker has quirks that decide leaderboard numbers. `Scoring.OFFICIAL` reproduces them,
`Scoring.CORRECTED` computes what each metric's name promises.
"""

from dataclasses import dataclass
from enum import Enum

OFFICIAL_STYLES = tuple(f"{number:02d}" for number in range(15))
"""The official checker scores these folders, however many the split has (quirk 5)."""


class _Word(str, Enum):
    """A member is its word, in messages and in files; Python 3.11 has it as `StrEnum`."""

    __str__ = str.__str__


class Scoring(_Word):
    """The two computations of the score."""

    OFFICIAL = "official"
    CORRECTED = "corrected"


class Metric(_Word):
    """The six components of the score; the values are the names that `--metrics` accepts."""

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
        """Name in tables and charts."""
        return {"dino": "DINO", "hist": "Hist", "fid": "FID", "lpips": "LPIPS",
                "clip-iqa": "CLIP-IQA", "clip-r": "CLIP-R"}[self.value]

    @property
    def higher_is_better(self) -> bool:
        """False for the two distances, FID and LPIPS."""
        return self not in (Metric.FID, Metric.LPIPS)


ALL_METRICS = tuple(Metric)


@dataclass(frozen=True)
class Quirk:
    """A deviation of the official code from the definition of a metric."""

    number: int
    subject: str
    official: str
    corrected: str
    metric: Metric | None = None
    """The affected metric; None if all are affected."""


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


def final_score(
    *, dino: float, hist: float, fid: float, lpips: float, clip_iqa: float, clip_r: float
) -> float:
    """The score of track 2 of the 4th Jittor AI challenge: style x (text + quality).

    `(0.2 DINO + 0.4 Hist + 0.4 (1 - LPIPS)) * (0.5 CLIP-R + 0.4 (20 - min(FID, 20)) / 20
    + 0.1 CLIP-IQA)`

    Args:
        dino: mean cosine similarity to the references, -1 to 1, higher is better.
        hist: mean histogram correlation, -1 to 1, higher is better.
        fid: Fréchet distance, 0 and up, lower is better; 20 and more count alike.
        lpips: mean perceptual distance, 0 to about 1, lower is better.
        clip_iqa: mean probability of "Good photo.", 0 to 1, higher is better.
        clip_r: share of images whose prompt is among the five likeliest, 0 to 1, higher is better.

    Returns:
        The final score; 1 for a perfect result.
    """
    style = style_factor(dino=dino, hist=hist, lpips=lpips)
    text_and_quality = 0.5 * clip_r + 0.4 * (20 - min(fid, 20)) / 20 + 0.1 * clip_iqa
    return style * text_and_quality


def style_factor(*, dino: float | None, hist: float | None, lpips: float | None) -> float:
    """The first factor of the formula, 0.2 DINO + 0.4 Hist + 0.4 (1 - LPIPS).

    A metric without a value is left out.
    """
    style = 0.0
    if dino is not None:
        style += 0.2 * dino
    if hist is not None:
        style += 0.4 * hist
    if lpips is not None:
        style += 0.4 * (1 - lpips)
    return style


@dataclass(frozen=True)
class PublishedRow:
    """A published result on a split of the challenge: components and final score."""

    name: str
    split: str
    dino: float
    hist: float
    fid: float
    lpips: float
    clip_iqa: float
    clip_r: float
    final: float
    """Final score, with all published digits."""


PUBLISHED = (
    PublishedRow("rank-32 LoRA, mean-image start", "A",
                 0.120226, 0.779055, 1.674596, 0.428658, 0.757711, 0.930667, 0.512078),
    PublishedRow("the same before tuning", "A",
                 0.164997, 0.829148, 2.119416, 0.409496, 0.758036, 0.810667, 0.503971),
    PublishedRow("packed LoRA, n = 28", "B",
                 0.1737, 0.7144, 3.272, 0.4154, 0.7463, 0.8586, 0.4648),
    PublishedRow("packed LoRA, n = 2", "B",
                 0.2125, 0.747, 2.813, 0.3939, 0.7451, 0.62, 0.4251),
)
