"""OpenAI's CLIP models in open_clip, from their safetensors files alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdiff_checker.environment import import_torchvision
from jdiff_checker.metrics.base import loading

if TYPE_CHECKING:
    import torch


def load_clip(file: Path, name: str, *, vision_transformer: bool) -> Any:
    """The `open_clip.CLIP` with the tensors of `file`, in float32 on the CPU.

    `vision_transformer` is the expected type of the image encoder; False means a ResNet. Messages
    use `name`.

    The architecture follows from the shapes of the tensors (heads are 64 wide, as in all models of
    OpenAI). The activation is the quick GELU of the training; with the exact GELU the features are
    wrong without an error.

    Raises:
        WeightsError: the file is damaged or not such a model.
    """
    from safetensors.torch import load_file

    import_torchvision()
    from open_clip import CLIP

    with loading(file, name):
        tensors = load_file(file)
        if ("visual.proj" in tensors) != vision_transformer:
            raise ValueError("another CLIP")
        embed_dim, vision, text = _architecture(tensors)
        model = CLIP(embed_dim, vision, text, quick_gelu=True)
        model.load_state_dict(tensors)
    return model.float().eval()


def text_embeddings(
    model: Any, texts: list[str], device: torch.device, batch: int = 64
) -> torch.Tensor:
    """Unit-length embeddings (len(texts), D) of `texts`, float32 on the CPU."""
    import torch
    from open_clip.tokenizer import SimpleTokenizer

    tokens = SimpleTokenizer(context_length=model.context_length)(texts)
    with torch.inference_mode():
        parts = [
            model.encode_text(part.to(device), normalize=True).float().cpu()
            for part in tokens.split(batch)
        ]
    return torch.cat(parts)


def _architecture(tensors: dict[str, torch.Tensor]) -> tuple[int, Any, Any]:
    from open_clip import CLIPTextCfg, CLIPVisionCfg

    def blocks(prefix: str) -> int:
        depth = prefix.count(".")
        return len({name.split(".")[depth] for name in tensors if name.startswith(prefix)})

    if "visual.proj" in tensors:
        patch = tensors["visual.conv1.weight"].shape[-1]
        grid = math.isqrt(tensors["visual.positional_embedding"].shape[0] - 1)
        vision = CLIPVisionCfg(
            layers=blocks("visual.transformer.resblocks."),
            width=tensors["visual.conv1.weight"].shape[0],
            patch_size=patch,
            image_size=patch * grid,
        )
    else:
        grid = math.isqrt(tensors["visual.attnpool.positional_embedding"].shape[0] - 1)
        stages = [blocks(f"visual.layer{stage}.") for stage in (1, 2, 3, 4)]
        vision = CLIPVisionCfg(
            layers=(stages[0], stages[1], stages[2], stages[3]),
            width=tensors["visual.layer1.0.conv1.weight"].shape[0],
            image_size=32 * grid,
        )
    width = tensors["ln_final.weight"].shape[0]
    text = CLIPTextCfg(
        context_length=tensors["positional_embedding"].shape[0],
        vocab_size=tensors["token_embedding.weight"].shape[0],
        width=width,
        heads=width // 64,
        layers=blocks("transformer.resblocks."),
    )
    return tensors["text_projection"].shape[1], vision, text
