"""CLIP-R: does the image show what its prompt says? Share of images, 0 to 1, higher is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from jdiff_checker.result import ClipR
from jdiff_checker.scoring import Scoring

TOP = 5


def labels(file: str, prompt: str | None) -> dict[Scoring, str]:
    """The prompts to look for in an image: the official checker reads it from the file's name.

    An image without a prompt has no corrected one.
    """
    official = {Scoring.OFFICIAL: file.split(".")[0].lower()}
    return official if prompt is None else official | {Scoring.CORRECTED: prompt.lower()}


def recall(
    image: npt.NDArray[np.float32],
    label: str,
    prompts: Sequence[str],
    embeddings: Mapping[str, npt.NDArray[np.float32]],
    logit_scale: float,
) -> ClipR:
    """Whether `label` is among the five likeliest of `prompts` and itself.

    Args:
        image: unit embedding (D,) by `ClipViT`.
        label: the image's own prompt, in lower case.
        prompts: the list to choose from, in lower case.
        embeddings: unit embeddings of all of these.
        logit_scale: the model's learned factor on cosines.
    """
    choices = list(dict.fromkeys([*prompts, label]))
    texts = np.stack([embeddings[text] for text in choices]).astype(np.float64)
    logits = logit_scale * texts @ image.astype(np.float64)
    odds = np.exp(logits - logits.max())
    likeliest = np.argsort(-odds, kind="stable")[:TOP]
    top5 = [(choices[index], float(odds[index] / odds.sum())) for index in likeliest]
    return ClipR(label=label, correct=any(text == label for text, _ in top5), top5=top5)
