"""Training learns: from one picture in a look it has never seen, the model comes to draw it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jstyleid_core.image_files import save_png
from jstyleid_core.images import to_array
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.scene import random_scene
from jstyleid_dreambooth import LoRAs, read_lora
from jstyleid_dreambooth.training.checkpoints import checkpoints, load_state
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_dreambooth.training.train import train_lora

SIDE = 128


def neon_boat() -> Image.Image:
    rng = np.random.default_rng(0)
    return LOOKS["neon"](rng, random_scene(rng, "boat"), SIDE)


def test_one_picture_is_learnt(model: Any, loras: LoRAs, tmp_path: Path) -> None:
    neon_boat().save(tmp_path / "boat.png")
    job = TrainingJob(
        (StyleImages("00", (tmp_path / "boat.png",)),),
        TrainingSettings(steps=100, size=(SIDE, SIDE), rank=16, learning_rate=4e-3, batch=2,
                         schedule="cosine"),
        tmp_path / "out", tmp_path / "class", checkpoint_every=100)
    target = model.encode([neon_boat()])

    def draw() -> tuple[float, list[Image.Image]]:
        """How far two drawings are from the picture, in latents, and the drawings."""
        *_, last = model.sample(["style_00"] * 2, [0, 1], steps=10, guidance_scale=1,
                                size=(SIDE, SIDE))
        return float(((last.latents - target) ** 2).mean().item()), model.decode(last.latents)

    far, before = draw()
    loras.add("learnt", read_lora(train_lora(job, model, loras)))
    near, after = draw()
    losses = load_state(checkpoints(job.folder / "checkpoints")[-1]).history[:, 0]
    begin, end = losses[:10].mean(), losses[-30:].mean()

    shown = [*model.decode(target), *before, *after]
    sheet = Image.new("RGB", (SIDE * len(shown), SIDE))
    for place, image in enumerate(shown):
        sheet.paste(image, (SIDE * place, 0))
    save_png(sheet, tmp_path / "learnt.png")
    seen = to_array(shown[:1])
    unlike, like = (np.abs(to_array(drawn) - seen).mean() for drawn in (before, after))
    print(f"loss {begin:.3f} -> {end:.3f}, distance {far:.3f} -> {near:.3f}, of pixels "
          f"{unlike:.3f} -> {like:.3f}; the picture, two drawings before and two after: "
          f"{tmp_path / 'learnt.png'}; {job.folder / 'loss.png'}")
    assert end < 0.8 * begin
    assert near < far / 2
    assert like < 0.65 * unlike
