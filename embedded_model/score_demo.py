"""Score the demo's pictures by what `jdiff-check` cannot know: what they show, and their texture.

    python embedded_model/score_demo.py demo

after `jdiff-check` has left its results in `demo/scores`. Exit code 1 says that for some style the
colours are no nearer after StyleID than before.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from classifier import recognised
from likeness import texture_distance

UPLOADS = {
    "dreambooth": "dreambooth",
    "styleid": "styleid",
    "styleid-dreambooth": "styleid-dreambooth",
    "score": "score",
    "contents of styleid": "styleid/.jstyleid/contents",
}


def colours(demo: Path) -> bool:
    """Print the official colour score of each style; return whether StyleID raises every one."""
    methods = ("contents", "dreambooth", "styleid", "styleid-dreambooth", "score")
    scores = {name: json.loads((demo / "scores" / name / "result.json").read_text())["hist_scores"]
              for name in methods}
    print("style " + " ".join(f"{name:>18}" for name in scores))
    for style in scores["contents"]:
        print(f"{style:5} " + " ".join(f"{of[style]:18.3f}" for of in scores.values()))
    return all(scores["styleid"][style] > score for style, score in scores["contents"].items())


def main() -> None:
    demo = Path(sys.argv[1])
    nearer = colours(demo)
    print("\nmethod               recognised  texture distance")
    for name, folder in UPLOADS.items():
        shares, distances = [], []
        for style in sorted((demo / "data" / "demo").iterdir()):
            samples = [Image.open(path).convert("RGB") for path in (style / "images").iterdir()]
            prompts = list(json.loads((style / "prompt.json").read_text()).values())
            pictures = [Image.open(demo / folder / style.name / f"{prompt}.png").convert("RGB")
                        for prompt in prompts]
            shares.append(recognised(pictures, [prompt.lower() for prompt in prompts]))
            distances.append(np.mean([texture_distance(picture, sample)
                                      for picture in pictures for sample in samples]))
        print(f"{name:20} {np.mean(shares):10.3f}  {np.mean(distances):16.3f}")
    if not nearer:
        sys.exit("a style's colours are no nearer after StyleID than before")


if __name__ == "__main__":
    main()
