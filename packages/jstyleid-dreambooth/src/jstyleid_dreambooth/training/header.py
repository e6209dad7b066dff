"""What the header of a trained LoRA says: this project's entries, ModelSpec's and kohya's.

ModelSpec 1.0.1 (`modelspec.…`) and the metadata of kohya's scripts (`ss_…`) are what tools show of
a LoRA and sort it by. An entry is there where its value is true in their sense. There is no date:
the same training gives the same bytes.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jstyleid_core.config import PredictionType
from jstyleid_core.image_files import open_image
from jstyleid_dreambooth.lora.files.modelspec import IMPLEMENTATIONS, VERSION, network_entries
from jstyleid_dreambooth.lora.weights import LoRAWeights
from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.job import TrainingJob

_STABLE_DIFFUSION_1, _STABLE_DIFFUSION_2 = 768, 1024
_THUMBNAIL = (256, 256)
_QUALITY = 80


@dataclass(frozen=True)
class TrainedOn:
    """The checkpoint of a training.

    Attributes:
        name: name of the checkpoint, without a path.
        context: width of what cross attention reads: 768 in Stable Diffusion 1, 1024 in 2.
        prediction: what its UNet predicts.
    """

    name: str
    context: int
    prediction: PredictionType

    @property
    def architecture(self) -> str:
        """ModelSpec's name; of another width than those of Stable Diffusion a general one."""
        if self.context == _STABLE_DIFFUSION_1:
            return "stable-diffusion-v1/lora"
        if self.context == _STABLE_DIFFUSION_2:
            v = self.prediction == "v_prediction"
            return f"stable-diffusion-v2-{'768-v' if v else '512'}/lora"
        return "stable-diffusion/lora"


def lora_header(job: TrainingJob, base: TrainedOn, weights: LoRAWeights) -> dict[str, Any]:
    """The entries of a LoRA's header but for the recipe's.

    Args:
        job: the training.
        base: its checkpoint.
        weights: the LoRA.

    Raises:
        InputError: a sample image cannot be read.
    """
    return {**_modelspec(job, base), **dict(_kohya(job, base)), **network_entries(weights)}


def trigger_phrase(job: TrainingJob) -> str:
    """The prompts that samples without a caption are trained with, each style's once.

    A name of an object stays open, as `{object}`.
    """
    return ", ".join(fill(job.settings.prompt, style=style.style, object="{object}")
                     for style in job.styles)


def _modelspec(job: TrainingJob, base: TrainedOn) -> dict[str, str]:
    width, height = job.settings.size
    entries = {
        "sai_model_spec": VERSION,
        "architecture": base.architecture,
        "implementation": IMPLEMENTATIONS["diffusers"],
        "title": job.name,
        "trigger_phrase": trigger_phrase(job),
        "resolution": f"{width}x{height}",
        "prediction_type": "v" if base.prediction == "v_prediction" else "epsilon",
        "thumbnail": _data_url(job.examples()[0][0]),
    }
    return {f"modelspec.{key}": value for key, value in entries.items()}


def _data_url(path: Path) -> str:
    """A picture as a small JPEG in the text of a URL."""
    picture = open_image(path)
    picture.thumbnail(_THUMBNAIL, Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def _kohya(job: TrainingJob, base: TrainedOn) -> Iterator[tuple[str, str]]:
    settings = job.settings
    if base.context in (_STABLE_DIFFUSION_1, _STABLE_DIFFUSION_2):
        second = base.context == _STABLE_DIFFUSION_2
        # Without it A1111 takes a LoRA to be for Stable Diffusion 1.
        yield "ss_v2", str(second)
        v = "_v" if base.prediction == "v_prediction" else ""
        yield "ss_base_model_version", f"sd_v{2 if second else 1}{v}"
    values = {
        "ss_sd_model_name": base.name,
        "ss_output_name": job.name,
        "ss_resolution": settings.size,
        "ss_num_train_images": len(job.examples()),
        "ss_num_reg_images": settings.prior.images if settings.prior else 0,
        "ss_prior_loss_weight": settings.prior.weight if settings.prior else None,
        "ss_batch_size_per_device": settings.batch,
        "ss_total_batch_size": settings.batch * settings.accumulation,
        "ss_gradient_accumulation_steps": settings.accumulation,
        "ss_gradient_checkpointing": settings.gradient_checkpointing,
        "ss_learning_rate": settings.learning_rate,
        "ss_lr_scheduler": settings.schedule,
        "ss_lr_warmup_steps": settings.warmup_steps,
        "ss_max_grad_norm": settings.max_grad_norm,
        "ss_max_train_steps": settings.steps,
        "ss_network_dropout": settings.dropout,
        "ss_caption_dropout_rate": settings.caption_dropout,
        "ss_enable_bucket": settings.buckets,
        "ss_seed": settings.seed,
    }
    for key, value in values.items():
        if value is not None:
            yield key, str(value)
    if tags := _tags(job):
        yield "ss_tag_frequency", json.dumps(tags, ensure_ascii=False, sort_keys=True)


def _tags(job: TrainingJob) -> Mapping[str, Mapping[str, int]]:
    """How often each tag is in the captions of each style; tags are what commas part."""
    found = {style.style: Counter(tag for _, caption in style.captioned if caption
                                  for part in caption.split(",") if (tag := part.strip()))
             for style in job.styles}
    return {style: tags for style, tags in found.items() if tags}
