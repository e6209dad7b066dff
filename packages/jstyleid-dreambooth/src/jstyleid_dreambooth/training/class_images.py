"""Class images: what the model draws without the style, made once and shared by all styles."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jstyleid_core import StableDiffusion
from jstyleid_core.errors import InputError, OutputError
from jstyleid_core.files import atomic_path
from jstyleid_core.images import open_image, save_png
from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.samples import Posterior, Samples, encode
from jstyleid_dreambooth.training.settings import PriorSettings
from jstyleid_dreambooth.training.watching import Watcher

_LATENTS = "latents.safetensors"
_KEY = "jstyleid"


def class_prompts(prior: PriorSettings, objects: Sequence[str]) -> list[str]:
    """What each class image shows.

    Raises:
        InputError: the prompt names objects, and there are none.
    """
    if "{object}" not in prior.prompt:
        return [prior.prompt] * prior.images
    if not objects:
        raise InputError(
            f"--prior-prompt {prior.prompt!r}: there are no objects to fill in. Give a prompt "
            "without {object}."
        )
    return [fill(prior.prompt, object=objects[i % len(objects)]) for i in range(prior.images)]


def class_samples(
    job: TrainingJob, prior: PriorSettings, model: StableDiffusion, watch: Watcher
) -> Samples:
    """Class images as latents: read, or drawn and kept in a folder of `job.class_folder`.

    The folder's name is a digest of everything that decides the images, so that trainings with
    the same ones share them, and a stopped drawing goes on where it was. No LoRA may be active.
    """
    size, seed = job.settings.size, job.settings.seed
    prompts = class_prompts(prior, job.objects)
    facts = {"model": model.fingerprint, "prompts": prompts, "seed": seed, "steps": prior.steps,
             "guidance": prior.guidance, "size": list(size), "dtype": model.dtype}
    folder = job.class_folder / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    with _alone_in(folder, watch):
        if posteriors := _read(folder / _LATENTS):
            return Samples(posteriors, tuple(prompts), prior.weight)
        paths = [folder / f"{number:04}.png" for number in range(len(prompts))]
        _draw(paths, prompts, facts, prior, model, watch)
        found = []
        for number, path in enumerate(paths):
            watch.preparing("encoding class images", number, len(paths))
            found.append(encode(model, [open_image(path)]))
        _write(folder / _LATENTS, found)
    return Samples(tuple(found), tuple(prompts), prior.weight)


@contextlib.contextmanager
def _alone_in(folder: Path, watch: Watcher) -> Iterator[None]:
    """Let one training at a time draw into a folder; others wait, and find the images there."""
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Choose another folder, or change its "
            "permissions."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            watch.note("another training draws the class images; waiting for them")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _draw(
    paths: Sequence[Path], prompts: Sequence[str], facts: dict[str, Any], prior: PriorSettings,
    model: StableDiffusion, watch: Watcher,
) -> None:
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if not missing:
        return
    steps = prior.steps * len(missing)
    watch.stage(f"drawing {len(missing)} class images", steps,
                steps * (1 if prior.guidance == 1 else 2))
    for number in missing:
        seeds = [int(np.random.default_rng([facts["seed"], number]).integers(2**32))]
        [picture] = model.generate([prompts[number]], seeds, steps=prior.steps,
                                   guidance_scale=prior.guidance, size=tuple(facts["size"]),
                                   on_step=watch.step)
        described = {**facts, "prompts": [prompts[number]], "seed": seeds[0]}
        save_png(picture, paths[number], {_KEY: json.dumps(described)})


def _write(path: Path, posteriors: Sequence[Posterior]) -> None:
    tensors = {
        "mean": np.concatenate([posterior.mean for posterior in posteriors]),
        "deviation": np.concatenate([posterior.deviation for posterior in posteriors]),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def _read(path: Path) -> tuple[Posterior, ...]:
    if not path.exists():
        return ()
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: damaged ({error}). Remove the file: it is made again from the pictures "
            "beside it."
        ) from error
    return tuple(Posterior(tensors["mean"][i : i + 1], tensors["deviation"][i : i + 1])
                 for i in range(len(tensors["mean"])))
