"""Training learns: on one picture the small checkpoint comes to draw that picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from jstyleid_core.images import save_png, to_array
from jstyleid_dreambooth import LoRAs, read_lora
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_dreambooth.training.state import checkpoints, load_state
from jstyleid_dreambooth.training.train import train_lora

SIDE = 128
# All layers: a network with random weights has to learn everything, not a style alone.
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
           "time_emb_proj", "conv", "conv1", "conv2", "conv_shortcut", "conv_in", "conv_out")


class Quiet:
    """A watcher that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *what: None


def picture() -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), (240, 200, 40))
    pen = ImageDraw.Draw(image)
    pen.ellipse((24, 24, 104, 104), fill=(30, 60, 160))
    pen.rectangle((54, 10, 74, 118), fill=(200, 30, 60))
    return image


def test_one_picture_is_learnt(model: Any, loras: LoRAs, tmp_path: Path) -> None:
    picture().save(tmp_path / "emblem.png")
    job = TrainingJob(
        (StyleImages("00", (tmp_path / "emblem.png",)),),
        TrainingSettings(steps=150, size=(SIDE, SIDE), rank=16, learning_rate=1e-2, targets=TARGETS,
                         batch=2, warmup_steps=10, schedule="cosine", weight_decay=0),
        tmp_path / "out", tmp_path / "class", checkpoint_every=150)
    target = model.encode([picture()])

    def draw() -> tuple[float, list[Image.Image]]:
        """How far two drawings are from the picture, in latents, and the drawings."""
        *_, last = model.sample(["style_00"] * 2, [0, 1], steps=20, guidance_scale=1,
                                size=(SIDE, SIDE))
        return float(((last.latents - target) ** 2).mean().item()), model.decode(last.latents)

    far, before = draw()
    loras.add("learnt", read_lora(train_lora(job, model, loras, Quiet())))
    near, after = draw()
    losses = load_state(checkpoints(job.folder / "checkpoints")[-1]).history[:, 0]
    begin, end = losses[:10].mean(), losses[-30:].mean()

    shown = [*model.decode(target), *before, *after]
    sheet = Image.new("RGB", (SIDE * len(shown), SIDE))
    for place, image in enumerate(shown):
        sheet.paste(image, (SIDE * place, 0))
    save_png(sheet, tmp_path / "learnt.png")
    print(f"loss {begin:.3f} -> {end:.3f}, distance {far:.3f} -> {near:.3f}; the picture, two "
          f"drawings before and two after: {tmp_path / 'learnt.png'}; {job.folder / 'loss.png'}")
    assert end < begin / 4
    assert near < far / 5
    seen = to_array(shown[:1])
    assert np.abs(to_array(after) - seen).mean() < 0.5 * np.abs(to_array(before) - seen).mean()
