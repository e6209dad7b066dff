"""The metrics of `jdiff-check` as others implement them, over the small weights of the tests.

Each function takes a folder that `checker_weights.write` filled. Nothing of the checker is called:
transformers, torchmetrics (with piq's CLIP and torch-fidelity's Inception inside) and torchvision
do all the work. Where those would download weights, they are handed the folder's.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

import checker_weights
import clip_vocabulary
from jdiff_checker.environment import import_torchvision

import_torchvision()  # before transformers and torchmetrics look for it

import transformers  # noqa: E402

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC

SIZES = ((512, 512), (224, 224), (640, 401), (333, 517), (512, 48), (37, 61), (1500, 1000))
"""Square, wide, tall, flat, tiny and large: long sides that round down and odd crop margins."""


def pictures(sizes: Sequence[tuple[int, int]], seed: int = 0) -> list[Image.Image]:
    """A picture of its own for every (width, height): soft colours, sharp discs, a little noise."""
    return [_picture(np.random.default_rng([seed, place]), *size)
            for place, size in enumerate(sizes)]


def _picture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    coarse = Image.fromarray(random.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    picture = coarse.resize((width, height), BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = int(random.integers(width)), int(random.integers(height))
        radius = int(random.integers(1, 2 + min(width, height) // 4))
        red, green, blue = (int(value) for value in random.integers(0, 256, 3))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), (red, green, blue))
    noisy = np.asarray(picture).astype(int) + random.integers(-9, 10, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@contextmanager
def one_thread() -> Iterator[None]:
    """The networks are so small that threads would wait for one another most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def byte_tensor(image: Image.Image) -> torch.Tensor:
    """(1, 3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def dino_features(
    folder: Path, images: Sequence[Image.Image], *, normed: bool = True, **settings: Any
) -> torch.Tensor:
    """transformers' DINOv2 behind its own processor; `settings` deviate from the published ones."""
    published: dict[str, Any] = {
        "do_resize": True, "size": {"shortest_edge": 256}, "resample": BICUBIC,
        "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "do_convert_rgb": True,
    }
    processor = _pillow_processor("BitImageProcessor")(**{**published, **settings})
    model = transformers.Dinov2Model.from_pretrained(folder / "dinov2-base").eval()
    with torch.inference_mode():
        inputs = processor(images=list(images), return_tensors="pt")
        outputs = model(**inputs, output_hidden_states=True)
    return outputs.pooler_output if normed else outputs.hidden_states[-1][:, 0]


class ClipRetrieval:
    """transformers' CLIP as the official checker asks it: which texts fit an image best?"""

    def __init__(self, folder: Path, vocabulary: Path) -> None:
        """`vocabulary` is an empty folder, for the tokenizer's files."""
        torch.manual_seed(0)
        checker_weights.dinov2()  # drawn before the CLIP
        self.model = checker_weights.clip_vit()
        stored = load_file(folder / "clip-vit-l-14/open_clip_model.safetensors")
        for name, tensor in checker_weights.clip_vit_tensors(self.model).items():
            assert torch.equal(tensor, stored[name]), f"{name} is not what {folder} holds"
        self.tokenizer = clip_tokenizer(vocabulary)

    def with_activation(self, name: str) -> ClipRetrieval:
        """The same weights under another activation than OpenAI's quick GELU."""
        config = copy.deepcopy(self.model.config)
        config.text_config.hidden_act = config.vision_config.hidden_act = name
        other = copy.copy(self)
        other.model = transformers.CLIPModel(config).eval()
        other.model.load_state_dict(self.model.state_dict())
        return other

    def outputs(
        self, images: Sequence[Image.Image], texts: Sequence[str], **settings: Any
    ) -> Any:
        """What the model says; `settings` deviate from the processor's published ones."""
        processor = _pillow_processor("CLIPImageProcessor")(**settings)
        inputs = processor(images=list(images), return_tensors="pt")
        inputs |= self.tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            return self.model(**inputs)

    def top5(
        self, images: Sequence[Image.Image], texts: Sequence[str], **settings: Any
    ) -> list[list[tuple[str, float]]]:
        """The five likeliest of `texts` and their probabilities, for each image."""
        odds = self.outputs(images, texts, **settings).logits_per_image.softmax(dim=1)
        values, places = torch.topk(odds, 5)
        return [[(texts[place], value) for place, value in zip(*row, strict=True)]
                for row in zip(places.tolist(), values.tolist(), strict=True)]


def clip_tokenizer(folder: Path) -> Any:
    """transformers' tokenizer over CLIP's real vocabulary, whose files go to `folder`."""
    clip_vocabulary.write_tokenizer(folder, pad_token="<|endoftext|>")
    return transformers.CLIPTokenizer.from_pretrained(folder)


class ClipIqa:
    """torchmetrics' CLIP-IQA, prompt `quality`, over piq's CLIP."""

    def __init__(self, folder: Path, vocabulary: Path) -> None:
        """`vocabulary` is an empty folder, for the tokenizer's files."""
        from piq.feature_extractors import clip

        tensors = load_file(folder / "clip-rn50/open_clip_model.safetensors")
        self.model = clip.build_model(tensors).float().eval()
        self._processor = transformers.CLIPProcessor(
            _pillow_processor("CLIPImageProcessor")(), clip_tokenizer(vocabulary)
        )

    def __call__(self, images: Sequence[Image.Image], data_range: float) -> list[float]:
        """The scores of images given as 0 to 255."""
        from torchmetrics.functional.multimodal import clip_iqa

        with (
            mock.patch.object(clip_iqa, "_get_clip_iqa_model_and_processor",
                              return_value=(self.model, self._processor)),
            torch.inference_mode(),
        ):
            return [
                float(clip_iqa.clip_image_quality_assessment(
                    byte_tensor(image).float(), data_range=data_range, prompts=("quality",)
                ))
                for image in images
            ]

    def with_exact_gelu(self) -> ClipIqa:
        """The same weights under another activation than OpenAI's quick GELU."""
        other = copy.deepcopy(self)
        for block in other.model.transformer.resblocks:
            block.mlp.gelu = torch.nn.GELU()
        return other

    def with_positions(self) -> ClipIqa:
        """The same weights with the image positions that CLIP has and CLIP-IQA leaves out."""
        other = copy.deepcopy(self)
        visual = other.model.visual
        other.model.encode_image = lambda images, pos_embedding: visual(images, pos_embedding=True)
        return other


def inception_distance(folder: Path, *, antialias: bool = True) -> Any:
    """torchmetrics' FrechetInceptionDistance(feature=64); the folder has its first layers only."""
    from torchmetrics.image import fid

    loaded: list[Any] = []

    def load_first_layers(network: Any, tensors: dict[str, torch.Tensor]) -> None:
        loaded.append(torch.nn.Module.load_state_dict(network, tensors, strict=False))

    with mock.patch.object(fid.NoTrainInceptionV3, "load_state_dict", load_first_layers):
        metric = fid.FrechetInceptionDistance(
            feature=64, antialias=antialias,
            feature_extractor_weights_path=str(folder / "fid/pt_inception-2015-12-05-6726825d.pth"),
        )
    missing = [name for name in loaded[0].missing_keys
               if name.startswith(("Conv2d_1", "Conv2d_2")) and "num_batches" not in name]
    assert not missing, missing
    assert not loaded[0].unexpected_keys, loaded[0].unexpected_keys
    return metric


def lpips_inputs(
    images: Sequence[Image.Image], resample: Image.Resampling = BILINEAR
) -> torch.Tensor:
    """What the official checker makes of images with torchvision: 256 x 256, -1 to 1."""
    from torchvision.transforms import Compose, InterpolationMode, Lambda, Resize, ToTensor

    mode = InterpolationMode(resample.name.lower())
    transform = Compose([Resize((256, 256), mode), ToTensor(), Lambda(lambda x: x * 2 - 1)])
    return torch.stack([transform(image) for image in images])


def lpips_distances(folder: Path, first: torch.Tensor, second: torch.Tensor) -> list[float]:
    """torchmetrics' LPIPS with SqueezeNet of each of `first` to the one of `second` beside it."""
    from torchmetrics.functional.image import (
        learned_perceptual_image_patch_similarity as lpips,
    )

    with _torch_home(folder / "lpips/squeezenet1_1-b8a52dc0.pth"), torch.inference_mode():
        distances: list[float] = lpips(first, second, net_type="squeeze", reduction="none").tolist()
    return distances


@contextmanager
def _torch_home(checkpoint: Path) -> Iterator[None]:
    """torchvision finds `checkpoint` where it keeps its downloads."""
    with TemporaryDirectory() as home, mock.patch.dict(os.environ, TORCH_HOME=home):
        folder = Path(home, "hub", "checkpoints")
        folder.mkdir(parents=True)
        shutil.copy(checkpoint, folder)
        yield


def _pillow_processor(name: str) -> Any:
    """transformers' image processor that resizes with Pillow; from version 5 on it ends in Pil."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
