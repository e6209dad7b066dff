"""What tells one checkpoint from another: a digest of everything that decides its results."""

from __future__ import annotations

import hashlib
import json

from jstyleid_core.config import ScheduleConfig, TextConfig, UNetConfig, VAEConfig
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.model.tokenizer import CLIPTokenizer
from jstyleid_core.weights.layout import Checkpoint


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over configurations, schedule, tokens and weights; reads every file, loads nothing.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    folder = checkpoint.folder
    scheduler = ScheduleConfig.read(folder / "scheduler" / "scheduler_config.json")
    text = TextConfig.read(folder / "text_encoder" / "config.json")
    configs = [UNetConfig.read(folder / "unet" / "config.json"),
               VAEConfig.read(folder / "vae" / "config.json"), text]
    schedule = Schedule.from_config(scheduler)
    digest = hashlib.sha256()
    described = [*(config.model_dump() for config in configs), scheduler.prediction_type,
                 schedule.steps_offset, schedule.final_alpha_cumprod]
    digest.update(json.dumps(described, sort_keys=True).encode())
    digest.update(schedule.alphas_cumprod.tobytes())
    tokenizer = CLIPTokenizer(folder / "tokenizer", text.max_position_embeddings)
    digest.update(tokenizer([""]).tobytes())
    for component in ("text_encoder", "vae", "unet"):
        for file in checkpoint.weights(component):
            with open(file, "rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
