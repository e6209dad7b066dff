"""The card of a trained LoRA, `README.md` as Hugging Face shows it beside a model."""

from __future__ import annotations

import json
import shlex

from jstyleid_core.files import write_whole
from jstyleid_dreambooth.lora.files.writing import FILE_NAME
from jstyleid_dreambooth.prompts import DRAWING_TEMPLATE, fill
from jstyleid_dreambooth.training.header import TrainedOn, trigger_phrase
from jstyleid_dreambooth.training.job import TrainingJob

CARD_NAME = "README.md"

_TAGS = ("text-to-image", "diffusers", "lora", "dreambooth", "stable-diffusion",
         "stable-diffusion-diffusers")

_CARD = """\
---
base_model: {base}
library_name: diffusers
instance_prompt: {trigger}
tags:
{tags}
---

# {title}

A LoRA for {base_text}, trained by DreamBooth with JStyleID on {count}: {steps} steps at
{width} x {height} pixels, rank {rank}, seed {seed}. The header of the file has all settings.

Prompts that it was trained with:

{prompts}

## Use

With diffusers, in this folder:

```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained({base_python})
pipeline.load_lora_weights(".", weight_name="{file}")
pipeline({example_python}).images[0].save("picture.png")
```

With JStyleID:

```
jstyleid generate {example_shell} --model {base_shell} --lora {file} -o picture.png
```

## {pictures_title}

{pictures}
"""


def write_card(job: TrainingJob, base: TrainedOn) -> None:
    """Write the card of a training's LoRA into its folder, whole or not at all.

    Raises:
        OutputError: it cannot be written.
        InputError: a prompt names the object, and a sample's name has none.
    """
    write_whole(job.folder / CARD_NAME, card(job, base).encode(errors="replace"))


def card(job: TrainingJob, base: TrainedOn) -> str:
    """The text of the card. The same training with the same pictures drawn has the same."""
    settings, examples = job.settings, job.examples()
    names = [f"{style.style}/{image.name}" for style in job.styles for image in style.images]
    drawn = job.validation_sheet.is_file()
    example = fill(DRAWING_TEMPLATE, prompt="a lighthouse", style=job.styles[0].style)
    width, height = settings.size
    return _CARD.format(
        base=_yaml(base.name), trigger=_yaml(trigger_phrase(job)),
        tags="\n".join(f"- {tag}" for tag in _TAGS),
        title=_line(f"LoRA {job.name}"), base_text=_line(base.name),
        count="1 image" if len(examples) == 1 else f"{len(examples)} images",
        steps=settings.steps, width=width, height=height, rank=settings.rank, seed=settings.seed,
        prompts=_block(dict.fromkeys(prompt for _, prompt in examples)),
        base_python=json.dumps(base.name), example_python=json.dumps(example), file=FILE_NAME,
        example_shell=shlex.quote(_line(example)), base_shell=shlex.quote(_line(base.name)),
        pictures_title="Images" if drawn else "Training images",
        pictures=("The training images, and a column for each prompt drawn on the way.\n\n"
                  f"![training images and drawn ones]({job.validation_sheet.name})"
                  if drawn else _block(names)),
    )


def _yaml(text: str) -> str:
    """A text in YAML, of which JSON's texts are a part."""
    return json.dumps(text, ensure_ascii=False)


def _line(text: str) -> str:
    """A text without signs that begin a new line or move a cursor."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _block(lines: object) -> str:
    """Lines as they are: nothing in an indented block is Markdown."""
    return "\n".join(f"    {_line(str(line))}" for line in lines)  # type: ignore[attr-defined]
