"""Small random weights for `jdiff-check`, in the layout of its weights folder.

    python reference/checker_weights.py DIR [--seed N]

The networks have the architectures of the published ones with fewer and narrower layers (SqueezeNet
and Inception's first layers in full size). Scores from them are numbers without a meaning; the
checker says so wherever it prints them. Made by transformers and torchvision, not by the checker.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from jdiff_checker.environment import import_torchvision

Tensors = dict[str, torch.Tensor]


def write(folder: Path, seed: int = 0) -> None:
    """Write every file that the checker's weights folder holds."""
    import_torchvision()
    torch.manual_seed(seed)
    for name in ("dinov2-base", "clip-vit-l-14", "clip-rn50", "lpips", "fid"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    dinov2().save_pretrained(folder / "dinov2-base")
    save_file(clip_vit_tensors(clip_vit()), folder / "clip-vit-l-14/open_clip_model.safetensors",
              {"format": "pt"})
    save_file(clip_rn50_tensors(), folder / "clip-rn50/open_clip_model.safetensors",
              {"format": "pt"})
    torch.save(squeezenet_tensors(), folder / "lpips/squeezenet1_1-b8a52dc0.pth")
    torch.save(inception_tensors(), folder / "fid/pt_inception-2015-12-05-6726825d.pth")


def dinov2(*, full_size: bool = False) -> torch.nn.Module:
    """A transformers DINOv2 with two layers of width 64, or ViT-B/14."""
    from transformers import Dinov2Config, Dinov2Model

    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Dinov2Config(image_size=518, patch_size=14, **({} if full_size else small))
    return _lively(Dinov2Model(config))


def clip_vit() -> torch.nn.Module:
    """A transformers CLIP with OpenAI's activation, two layers of width 64 in both towers."""
    from transformers import CLIPConfig, CLIPModel

    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
             "num_attention_heads": 1, "hidden_act": "quick_gelu", "projection_dim": 64}
    text = {**tower, "vocab_size": 49408, "max_position_embeddings": 77,
            "bos_token_id": 49406, "eos_token_id": 49407}
    vision = {**tower, "image_size": 224, "patch_size": 14}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))
    return _lively(model)


def clip_vit_tensors(model: torch.nn.Module) -> Tensors:
    """The tensors of a transformers CLIP under open_clip's names."""
    state = model.state_dict()
    vision, text = "vision_model", "text_model"
    tensors = {
        "logit_scale": state["logit_scale"],
        "visual.class_embedding": state[f"{vision}.embeddings.class_embedding"],
        "visual.conv1.weight": state[f"{vision}.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": state[f"{vision}.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
        "token_embedding.weight": state[f"{text}.embeddings.token_embedding.weight"],
        "positional_embedding": state[f"{text}.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        # transformers' own spelling
        tensors[f"visual.ln_pre.{kind}"] = state[f"{vision}.pre_layrnorm.{kind}"]
        tensors[f"visual.ln_post.{kind}"] = state[f"{vision}.post_layernorm.{kind}"]
        tensors[f"ln_final.{kind}"] = state[f"{text}.final_layer_norm.{kind}"]
    for theirs, ours in ((vision, "visual.transformer"), (text, "transformer")):
        for layer in range(2):
            _block(state, f"{theirs}.encoder.layers.{layer}", f"{ours}.resblocks.{layer}", tensors)
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def _block(state: Tensors, theirs: str, ours: str, tensors: Tensors) -> None:
    names = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
             "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for kind in ("weight", "bias"):
        for source, target in names.items():
            tensors[f"{ours}.{target}.{kind}"] = state[f"{theirs}.{source}.{kind}"]
        tensors[f"{ours}.attn.in_proj_{kind}"] = torch.cat(
            [state[f"{theirs}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
        )


def clip_rn50_tensors() -> Tensors:
    """A CLIP with a narrow modified ResNet, under the names that open_clip and piq share."""
    from open_clip import CLIP, CLIPTextCfg, CLIPVisionCfg

    model = CLIP(64, CLIPVisionCfg(layers=(1, 2, 1, 1), width=16, image_size=224),
                 CLIPTextCfg(width=64, heads=1, layers=2), quick_gelu=True)
    # OpenAI's weights are half precision, and piq rounds whatever it is given to that.
    return {name: tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in _lively(model).state_dict().items()}


def squeezenet_tensors() -> Tensors:
    """torchvision's SqueezeNet 1.1, randomly initialised."""
    return dict(import_torchvision().models.squeezenet1_1(weights=None).state_dict())


def inception_tensors() -> Tensors:
    """The first three convolutions of the FID Inception network."""
    tensors: Tensors = {}
    for name, inputs, outputs in (("Conv2d_1a_3x3", 3, 32), ("Conv2d_2a_3x3", 32, 32),
                                  ("Conv2d_2b_3x3", 32, 64)):
        tensors[f"{name}.conv.weight"] = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
        for kind in ("weight", "running_var"):
            tensors[f"{name}.bn.{kind}"] = torch.rand(outputs) + 0.5
        for kind in ("bias", "running_mean"):
            tensors[f"{name}.bn.{kind}"] = torch.randn(outputs) / 2
    return tensors


def _lively(model: torch.nn.Module) -> torch.nn.Module:
    """Give norms and biases values of their own, so that a mistaken one shows."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            elif "position" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
        for name, buffer in model.named_buffers():
            if "running_mean" in name:
                buffer.normal_(0, 0.1)
            elif "running_var" in name:
                buffer.uniform_(0.5, 1.5)
    return model.eval()


def main() -> None:
    """Write the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
