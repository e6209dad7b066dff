"""Memory does not grow with the number of styles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# LPIPS features are 9 MB an image: kept, those of ten more styles would be 90 MB for the references
# and 180 MB for the images. Without them the two peaks were 1 to 20 MB apart over several runs.
LIMIT_MB = 60

MEASURE = """
import json, resource, sys
from jdiff_checker import check
folder, weights = sys.argv[1:]
peaks = []
for styles in (2, 12):
    check(f"{folder}/upload", f"{folder}/split", weights=weights, allow_unpublished_weights=True,
          metrics=["lpips", "fid", "dino"], use_cache=False, workers=2,
          styles=[f"{number:02d}" for number in range(styles)])
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps(peaks))
"""


def test_the_peak_of_twelve_styles_is_that_of_two(weights: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for style in (f"{number:02d}" for number in range(12)):
        names = [tmp_path / "upload" / style / f"Prompt {place}.png" for place in range(2)]
        names.append(tmp_path / "split" / style / "images" / "sample.png")
        for name in names:
            name.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (128, 128, 3), np.uint8)
            Image.fromarray(pixels).save(name)
        prompts = {str(place): f"Prompt {place}" for place in range(2)}
        (tmp_path / "split" / style / "prompt.json").write_text(json.dumps(prompts))
    # One process: what its imports take is in both peaks. Blocks over 4 MB go back to the system
    # at once; left to itself glibc keeps up to 120 MB of them, now more, now less.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path, weights], capture_output=True, text=True,
        check=False, env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "4000000"},
    )
    assert done.returncode == 0, done.stderr
    two, twelve = json.loads(done.stdout.splitlines()[-1])
    unit = 2**20 if sys.platform == "darwin" else 2**10
    assert (twelve - two) / unit < LIMIT_MB
