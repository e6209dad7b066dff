"""Checkpoints in a single file, as A1111 and ComfyUI keep them."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import original_layout
from jstyleid_core.config import Component
from jstyleid_core.errors import CheckpointError
from jstyleid_core.notes import note_once
from jstyleid_core.weights.checkpoint import (
    CheckpointSource,
    find_checkpoint,
    find_downloaded,
    fingerprint,
)
from original_layout import FULL, SMALL, Shapes, digest, write_file
from reference_sets import GOLDEN_SINGLE_FILES
from small_checkpoint import CHECKPOINTS

COMPONENTS: tuple[Component, ...] = ("unet", "vae", "text_encoder")
KINDS = ("sd15", "sd21")


@pytest.fixture(autouse=True)
def every_note(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Notes that an earlier test has caused are said again."""
    note_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        yield


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small file of each kind, with the averages of its training."""
    folder = tmp_path_factory.mktemp("single")
    return {name: write_file(folder / f"{name}.safetensors", original_layout.checkpoint(kind)
                             | original_layout.averages(kind)) for name, kind in SMALL.items()}


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoints' vocabulary, in place of CLIP's."""
    return Path(shutil.copytree(CHECKPOINTS / "tokenizer", tmp_path_factory.mktemp("vocabulary"),
                                dirs_exist_ok=True))


def header_only(path: Path, shapes: Shapes, header: dict[str, str] | None = None,
                number: str = "F16") -> Path:
    """A file of these tensors whose numbers, all zero, take no place on the disk."""
    entries: dict[str, Any] = {"__metadata__": header or {}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(np.prod(shape))
        entries[name] = {"dtype": number, "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    os.truncate(path, 8 + len(head) + end)
    return path


def small(kind: str = "sd21", **more: tuple[int, ...]) -> Shapes:
    return original_layout.checkpoint(SMALL[kind]) | more


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_those_of_diffusers(
    files: dict[str, Path], kind: str, component: Component
) -> None:
    """Name by name, shape by shape, number by number: those of `from_single_file`."""
    wanted = json.loads(GOLDEN_SINGLE_FILES.read_text())[kind][component]
    found = {}
    for name, tensor in find_checkpoint(files[kind]).tensors(component).items():
        array = tensor.map()
        if component == "vae" and ".attentions." in name and array.ndim == 4:
            array = array[:, :, 0, 0]  # as `load_module` takes a convolution of one pixel
        found[name] = digest(array)
    assert found == wanted


@pytest.mark.parametrize(("kind", "heads", "layers", "act"), [
    ("sd15", (8, 8, 8, 8), 12, "quick_gelu"), ("sd21", (5, 10, 20, 20), 23, "gelu")])
def test_the_published_architectures(
    tmp_path: Path, kind: str, heads: tuple[int, ...], layers: int, act: str
) -> None:
    """At full size: the configurations that diffusers' folders of the same models have."""
    file = header_only(tmp_path / "model.safetensors", original_layout.checkpoint(FULL[kind]))
    found = find_checkpoint(file).architecture
    unet, vae, text = found.unet, found.vae, found.text
    assert (unet.heads, unet.use_linear_projection) == (heads, kind == "sd21")
    assert (unet.in_channels, unet.block_out_channels) == (4, (320, 640, 1280, 1280))
    assert unet.down_block_types == ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    assert unet.up_block_types == ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    assert (unet.layers_per_block, vae.layers_per_block) == (2, 2)
    assert (vae.block_out_channels, vae.latent_channels) == ((128, 256, 512, 512), 4)
    assert vae.scaling_factor == 0.18215
    assert (text.vocab_size, text.num_hidden_layers, text.hidden_act) == (49408, layers, act)
    assert text.hidden_size == unet.cross_attention_dim == 64 * text.num_attention_heads
    schedule = find_checkpoint(file).schedule_config
    assert (schedule.steps_offset, schedule.set_alpha_to_one) == (1, False)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_the_published_sizes_is_there(tmp_path: Path, kind: str) -> None:
    """686 + 248 + 196 or 372 tensors are loaded, as many as diffusers' networks have."""
    file = header_only(tmp_path / "model.safetensors", original_layout.checkpoint(FULL[kind]))
    found = find_checkpoint(file)
    assert [len(found.tensors(component)) for component in COMPONENTS] == [
        686, 248, 196 if kind == "sd15" else 372]


def load(file: Path, vocabulary: Path, **others: Any) -> Any:
    from jstyleid_core import StableDiffusion

    return StableDiffusion.load(
        CheckpointSource(str(file), tokenizer=str(vocabulary), **others))


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_loaded_draws(files: dict[str, Path], vocabulary: Path, kind: str) -> None:
    model = load(files[kind], vocabulary)
    assert model.name == f"{kind}.safetensors"
    assert model.prediction_type == ("v_prediction" if kind == "sd21" else "epsilon")
    [picture] = model.generate(["a ring"], [0], steps=2, size=(64, 64))
    assert picture.size == (64, 64)
    pad = 0 if kind == "sd21" else 1513
    assert model.tokenizer(["a"])[0, 3:].tolist() == [pad] * 74


def test_one_in_half_precision_without_the_averages(tmp_path: Path, vocabulary: Path) -> None:
    file = write_file(tmp_path / "pruned.safetensors", small("sd15"), dtype="float16")
    model = load(file, vocabulary)
    [wanted] = load_file(file)["model.diffusion_model.out.2.bias"][None].astype(np.float32)
    assert (model.unet.conv_out.bias.numpy() == wanted).all()


@pytest.mark.parametrize(("kind", "header", "extra", "wanted", "noted"), [
    ("sd15", {}, {}, "epsilon", False), ("sd21", {}, {}, "v_prediction", True),
    ("sd21", {"modelspec.prediction_type": "epsilon"}, {}, "epsilon", False),
    ("sd21", {"modelspec.prediction_type": "v"}, {}, "v_prediction", False),
    ("sd15", {"modelspec.prediction_type": "v"}, {}, "v_prediction", False),
    ("sd21", {"modelspec.architecture": "stable-diffusion-v2-512"}, {}, "epsilon", False),
    ("sd21", {"modelspec.architecture": "stable-diffusion-v2-768-v"}, {}, "v_prediction", False),
    ("sd15", {}, {"v_pred": np.zeros(0)}, "v_prediction", False),
    ("sd21", {}, {"global_step": np.array(875000)}, "epsilon", False),
    ("sd21", {}, {"global_step": np.array(110000)}, "v_prediction", True),
])
def test_what_the_unet_predicts(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str,
    header: dict[str, str], extra: dict[str, Any], wanted: str, noted: bool,
) -> None:
    file = tmp_path / "model.safetensors"
    save_file(load_file(files[kind]) | extra, file, header)
    assert find_checkpoint(file).schedule_config.prediction_type == wanted
    said = [text for text in caplog.messages if "v_prediction is taken" in text]
    assert bool(said) is noted
    assert all(f"{file}: " in text and "give prediction epsilon" in text for text in said)
    for other in ("epsilon", "v_prediction"):
        caplog.clear()
        note_once.cache_clear()
        found = find_checkpoint(CheckpointSource(str(file), prediction=other))
        assert found.schedule_config.prediction_type == other
        assert "is taken" not in caplog.text


def test_an_unknown_prediction(files: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(load_file(files["sd21"]), file, {"modelspec.prediction_type": "flow"})
    with pytest.raises(CheckpointError, match=f"{file}: modelspec.prediction_type = 'flow'.*give "
                                              "prediction"):
        _ = find_checkpoint(file).schedule_config
    assert find_checkpoint(CheckpointSource(str(file), prediction="epsilon")).schedule_config


def test_zero_snr_with_its_mark(tmp_path: Path) -> None:
    file = header_only(tmp_path / "model.safetensors", small("sd15", v_pred=(0,), ztsnr=(0,)))
    assert find_checkpoint(file).schedule_config.rescale_betas_zero_snr
    with pytest.raises(CheckpointError, match="rescale_betas_zero_snr needs"):
        _ = find_checkpoint(CheckpointSource(str(file), prediction="epsilon")).schedule_config


@pytest.mark.parametrize("folder", [False, True])
def test_the_prediction_of_a_folder_can_be_given(
    folder: bool, files: dict[str, Path], tmp_path: Path
) -> None:
    source = CHECKPOINTS / "sd21-v" if folder else files["sd21"]
    found = find_checkpoint(CheckpointSource(str(source), prediction="epsilon"))
    assert found.schedule_config.prediction_type == "epsilon"


OTHERS: dict[str, Shapes] = {
    "Stable Diffusion XL": {"conditioner.embedders.1.model.ln_final.weight": (64,)},
    "Stable Diffusion XL's refiner": {"conditioner.embedders.0.model.ln_final.weight": (64,)},
    "Stable Diffusion 3": {"model.diffusion_model.joint_blocks.0.x.weight": (64,)},
    "FLUX": {"model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale": (64,)},
    "a ControlNet": {"control_model.time_embed.0.weight": (64,)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_files_of_other_models_are_named(tmp_path: Path, what: str) -> None:
    file = header_only(tmp_path / "model.safetensors", small() | OTHERS[what])
    with pytest.raises(CheckpointError, match=f"{file} holds {what}.*Give a checkpoint of Stable"):
        _ = find_checkpoint(file).architecture


@pytest.mark.parametrize(("shapes", "what"), [
    ({"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (4, 4)}, "a LoRA"),
    ({"unet.mid_block.attentions.0.proj_in.lora_A.weight": (4, 4)}, "a LoRA"),
    ({"emb_params": (2, 768)}, "an embedding of textual inversion"),
    ({"down_blocks.0.resnets.0.norm1.weight": (32,)}, "the UNet alone, in diffusers' names"),
    ({"decoder.up.0.block.0.norm1.weight": (32,)}, "an autoencoder alone"),
    ({"text_model.final_layer_norm.weight": (64,)}, "a text encoder alone"),
    ({"weight": (3,)}, "no UNet"), ({}, "no UNet"),
    ({"double_blocks.0.img_attn.norm.key_norm.scale": (4,)}, "FLUX"),
])
def test_files_that_are_no_checkpoint_are_named(
    tmp_path: Path, shapes: Shapes, what: str
) -> None:
    file = header_only(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError, match=f"{file} holds {what}"):
        _ = find_checkpoint(file).architecture


@pytest.mark.parametrize(("channels", "what"), [
    (9, "an inpainting model"), (5, "a depth model"), (8, "InstructPix2Pix")])
def test_unets_of_other_kinds(tmp_path: Path, channels: int, what: str) -> None:
    shapes = small() | {"model.diffusion_model.input_blocks.0.0.weight": (32, channels, 3, 3)}
    file = header_only(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError, match=f"{file}: in_channels = {channels}.*{what}"):
        _ = find_checkpoint(file).architecture


def test_the_unet_of_unclip(tmp_path: Path) -> None:
    shapes = small() | {"model.diffusion_model.label_emb.0.0.weight": (128, 64)}
    with pytest.raises(CheckpointError, match="unCLIP"):
        _ = find_checkpoint(header_only(tmp_path / "model.safetensors", shapes)).architecture


def test_what_belongs_to_no_network_is_accounted_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harmless = {"model_ema.decay": (), "logvar": (1000,), "global_step": (),
                "cond_stage_model.model.attn_mask": (77, 77),
                "first_stage_model.loss.logvar": ()}
    file = header_only(tmp_path / "model.safetensors", small() | harmless)
    _ = find_checkpoint(file).architecture
    assert [text for text in caplog.messages if str(file) in text] == [
        f"{file}: the averages of the weights (model_ema) are not used, as in diffusers"]
    strange = {f"strange.{number}": (1,) for number in range(5)}
    file = header_only(tmp_path / "other.safetensors", small() | strange)
    _ = find_checkpoint(file).architecture
    assert caplog.messages[-1] == (
        f"{file}: not used, since they belong to none of the networks: strange.0, strange.1, "
        "strange.2 and 2 more")


def test_of_two_text_encoders_one_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
    file = header_only(tmp_path / "model.safetensors", small("sd21", **{other: (64,)}))
    assert find_checkpoint(file).architecture.text.hidden_act == "gelu"
    assert caplog.messages[-1].endswith(other)


def test_the_folder_of_a_single_file_is_told_from_one_of_diffusers(files: dict[str, Path]) -> None:
    folder = files["sd21"].parent
    with pytest.raises(CheckpointError, match=f"{folder} is no folder in diffusers layout.*"
                                              f"Give a single file with model: {files['sd15']} or"):
        find_checkpoint(folder)


def test_names_of_the_text_encoder_without_their_first_part(tmp_path: Path) -> None:
    """As transformers has written them for a while."""
    renamed = {name.replace("transformer.text_model.", "transformer."): shape
               for name, shape in small("sd15").items()}
    plain, other = (find_checkpoint(header_only(tmp_path / f"{number}.safetensors", shapes))
                    for number, shapes in enumerate((small("sd15"), renamed)))
    assert other.architecture == plain.architecture
    assert other.tensors("text_encoder").keys() == plain.tensors("text_encoder").keys()


def test_a_text_encoder_that_was_pruned_of_its_last_layer(tmp_path: Path) -> None:
    shapes = without("cond_stage_model.model.transformer.resblocks.23.")
    found = find_checkpoint(header_only(tmp_path / "model.safetensors", shapes))
    assert found.architecture.text.num_hidden_layers == 23


def test_weights_in_eight_bits_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    head = json.dumps({"model.diffusion_model.out.2.bias": {
        "dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(CheckpointError, match="is stored as F8_E4M3, which is not supported"):
        _ = find_checkpoint(file).architecture


def without(beginning: str) -> Shapes:
    return {name: shape for name, shape in small().items() if not name.startswith(beginning)}


def test_what_is_missing_or_too_much_in_a_network(tmp_path: Path, vocabulary: Path) -> None:
    prefix = "model.diffusion_model."
    shapes = small("sd15") | {f"{prefix}input_blocks.1.2.strange": (3,)}
    del shapes[f"{prefix}out.2.bias"]
    file = header_only(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError) as refusal:
        load(file, vocabulary)
    message = str(refusal.value)
    assert str(file) in message
    assert "missing: conv_out.bias [4]" in message
    assert "unexpected: model.diffusion_model.input_blocks.1.2.strange [3]" in message


@pytest.mark.parametrize(("beginning", "message"), [
    ("first_stage_model.", "no autoencoder .*Give one with vae"),
    ("cond_stage_model.", "no text encoder"),
    ("model.diffusion_model.middle_block.1.", "the UNet lacks mid_block.attentions.0"),
    ("model.diffusion_model.input_blocks.", "the UNet is incomplete"),
    ("model.diffusion_model.out.2.", "the UNet lacks conv_out.weight"),
    ("first_stage_model.decoder.conv_in.", "the autoencoder lacks decoder.conv_in.weight"),
    ("cond_stage_model.model.token_embedding", "the text encoder lacks text_model.embeddings"),
])
def test_a_part_that_is_missing(tmp_path: Path, beginning: str, message: str) -> None:
    file = header_only(tmp_path / "model.safetensors", without(beginning))
    with pytest.raises(CheckpointError, match=f"{file}: {message}"):
        _ = find_checkpoint(file).architecture


@pytest.mark.parametrize(("name", "shape"), [
    ("model.diffusion_model.input_blocks.0.0.weight", ()),
    ("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", (100, 64)),
    ("cond_stage_model.model.token_embedding.weight", (7,)),
])
def test_shapes_that_make_no_sense(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    file = header_only(tmp_path / "model.safetensors", small() | {name: shape})
    with pytest.raises(CheckpointError, match=f"{file}: {name} "):
        _ = find_checkpoint(file).architecture


@pytest.mark.parametrize(("content", "message"), [
    (b"PK\x03\x04 and so on", "is a pickle, .*torch.load.*save_file"),
    (b"\x80\x02}q\x00", "is a pickle"), (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    (b"<!doctype html><html>", "a web page"), (b"", "damaged or truncated"),
    (b"\x80\x00\x00\x00\x00\x00\x00\x00{}", "damaged or truncated"),
])
def test_files_that_are_no_safetensors(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "model.ckpt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"(?s){file} is .*{message.removeprefix('is ')}"):
        _ = find_checkpoint(file).architecture


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="it is no ordinary file"):
        _ = find_checkpoint(tmp_path / "model.safetensors").architecture


def ldm_names(shapes: Shapes) -> Shapes:
    return shapes | {"loss.logvar": (), "model_ema.decay": ()}


VAE_FILES: dict[str, Callable[[Shapes], Shapes]] = {
    "original": ldm_names,
    "prefixed": lambda shapes: {f"first_stage_model.{name}": each
                                for name, each in shapes.items()},
}


@pytest.mark.parametrize("layout", VAE_FILES)
def test_a_vae_in_a_file_of_its_own(
    files: dict[str, Path], tmp_path: Path, vocabulary: Path, layout: str
) -> None:
    shapes = VAE_FILES[layout](original_layout.vae(SMALL["sd21"]))
    vae = write_file(tmp_path / "vae.safetensors", shapes, seed=1)
    plain = find_checkpoint(files["sd21"])
    given = find_checkpoint(CheckpointSource(str(files["sd21"]), vae=str(vae)))
    assert given.architecture == plain.architecture
    assert given.tensors("vae").keys() == plain.tensors("vae").keys()
    assert {tensor.file for tensor in given.tensors("vae").values()} == {vae}
    assert {tensor.file for tensor in given.tensors("unet").values()} == {files["sd21"]}
    model = load(files["sd21"], vocabulary, vae=str(vae))
    name = next(name for name in shapes if name.endswith("decoder.conv_out.bias"))
    assert (model.vae.decoder.conv_out.bias.numpy() == load_file(vae)[name]).all()
    assert model.fingerprint != fingerprint(
        find_checkpoint(CheckpointSource(str(files["sd21"]), tokenizer=str(vocabulary))))


def test_a_vae_in_diffusers_names(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from small_checkpoint import build

    folder = build("sd21-v", tmp_path / "checkpoint")
    tensors = find_checkpoint(folder).tensors("vae")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    alone = tmp_path / "some-vae.safetensors"
    shutil.copy(file, alone)
    for given in (folder, folder / "vae", file, alone):
        found = find_checkpoint(CheckpointSource(str(files["sd21"]), vae=str(given)))
        assert found.tensors("vae").keys() == tensors.keys()
        assert found.architecture.vae.block_out_channels == (32, 32, 64, 64)
    config = json.loads((folder / "vae" / "config.json").read_text()) | {"scaling_factor": 0.5}
    (folder / "vae" / "config.json").write_text(json.dumps(config))
    for given, factor in ((file, 0.5), (folder / "vae", 0.5), (alone, 0.18215)):
        found = find_checkpoint(CheckpointSource(str(files["sd21"]), vae=str(given)))
        assert found.architecture.vae.scaling_factor == factor


def test_a_vae_for_a_checkpoint_without(tmp_path: Path) -> None:
    file = header_only(tmp_path / "model.safetensors", without("first_stage_model."))
    vae = header_only(tmp_path / "vae.safetensors", original_layout.vae(SMALL["sd21"]))
    found = find_checkpoint(CheckpointSource(str(file), vae=str(vae)))
    assert found.architecture.vae.latent_channels == 4


@pytest.mark.parametrize(("shapes", "message"), [
    ({"weight": (3,)}, "no autoencoder. Give the file"),
    (original_layout.vae(SMALL["sd21"]) | {"decoder.conv_in.weight": (64, 16, 3, 3)},
     "in_channels = 4 does not fit the autoencoder, which has 16"),
])
def test_a_vae_that_does_not_fit(
    files: dict[str, Path], tmp_path: Path, shapes: Shapes, message: str
) -> None:
    vae = header_only(tmp_path / "vae.safetensors", shapes)
    with pytest.raises(CheckpointError, match=message):
        _ = find_checkpoint(CheckpointSource(str(files["sd21"]), vae=str(vae))).architecture


@pytest.mark.parametrize("name", ["/nowhere/at/all", ""])
@pytest.mark.parametrize("part", ["vae", "tokenizer"])
def test_a_part_that_is_nowhere(files: dict[str, Path], part: str, name: str) -> None:
    source = CheckpointSource(str(files["sd21"]), **{part: name})
    with pytest.raises(CheckpointError, match=f"{part} {name}: no such"):
        _ = find_checkpoint(source).tokenizer
    with pytest.raises(CheckpointError, match=f"{part} {name}: no such"):
        find_downloaded(source)


def test_a_folder_with_another_tokenizer(tmp_path: Path, vocabulary: Path) -> None:
    from small_checkpoint import build

    folder = build("sd15", tmp_path / "checkpoint")
    found = find_checkpoint(CheckpointSource(str(folder), tokenizer=str(vocabulary)))
    assert found.tokenizer(["a"])[0, :3].tolist() == [1512, 320, 1513]


def test_learned_tokens(tmp_path: Path, vocabulary: Path) -> None:
    words = Path(shutil.copytree(vocabulary, tmp_path / "words"))
    (words / "added_tokens.json").write_text('{"<sks>": 1514}')
    shapes = small() | {"cond_stage_model.model.token_embedding.weight": (1515, 64)}
    for rows, fits in ((shapes, True), (small(), False)):
        file = header_only(tmp_path / f"{fits}.safetensors", rows)
        found = find_checkpoint(CheckpointSource(str(file), tokenizer=str(words)))
        if fits:
            assert found.tokenizer(["a <sks>"])[0, :4].tolist() == [1512, 320, 1514, 1513]
        else:
            with pytest.raises(CheckpointError, match="embeddings of 1514 tokens only"):
                _ = found.tokenizer


def test_without_a_hub_the_tokenizer_is_asked_for(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="A single file brings no tokenizer.*with tokenizer"):
        _ = find_checkpoint(files["sd21"]).tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_of_the_hub_is_found_offline(
    files: dict[str, Path], tmp_path: Path, vocabulary: Path, monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    repository = tmp_path / "models--openai--clip-vit-large-patch14"
    snapshot = repository / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(vocabulary, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    [ids] = find_checkpoint(files[kind]).tokenizer(["a"])
    assert ids[:4].tolist() == [1512, 320, 1513, 0 if kind == "sd21" else 1513]
