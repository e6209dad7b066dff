"""Command lines about LoRAs that cannot work: one message, and Jittor is not even started."""

from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from jstyleid_core import runtime
from jstyleid_runner.options import to_settings
from jstyleid_runner.storage.layout import LoRAFolder
from jstyleid_runner.storage.lock import folder_lock

Invoke = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("no_jittor", "data")

STYLEID = "--method styleid uses no LoRA. Leave this out, or give another --method."
DREAMBOOTH = "--method dreambooth stylises nothing. Leave this out, or give another --method."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train", "Missing option '--split'"),
        ("train --split X", "--split X: no folder data/X. There are E, N, S."),
        ("train --split S --styles 7", "data/S: no style 7. There are 00, 04."),
        ("train --split S --pack 00,7", "data/S: no style 7. There are 00, 04."),
        ("train --split S --pack ,", "--pack ,: names no style"),
        ("train --split S --pack 00", "--pack 00: a pack takes two styles or more. Give --styles"),
        ("train --split S --pack 00,04 --styles 00", "--styles, --pack: give one of them"),
        ("train --split S --preset best", "'best' is not one of 'baseline', 'tuned'"),
        ("train --split S --steps 0", "'--steps'"),
        ("train --split S --rank 0", "'--rank'"),
        ("train --split S --alpha 0", "--alpha 0.0: Input should be greater than 0"),
        ("train --split S --dropout 1", "--dropout 1.0: Input should be less than 1"),
        ("train --split S --targets ,", "--targets ,: names no layer"),
        ("train --split S --text-targets ,", "--text-targets ,: names no layer"),
        ("train --split S --lr 0", "--learning-rate 0.0: Input should be greater than 0"),
        ("train --split S --learning-rate nan", "--learning-rate nan: Input should be"),
        ("train --split S --up-rate-ratio -1", "--up-rate-ratio -1.0: "),
        ("train --split S --schedule step", "'step' is not one of 'constant', 'linear', 'cosine'"),
        ("train --split S --warmup-steps -1", "'--warmup-steps'"),
        ("train --split S --weight-decay -1", "--weight-decay -1.0: "),
        ("train --split S --max-grad-norm -1", "--max-grad-norm -1.0: "),
        ("train --split S --accumulation 0", "'--accumulation'"),
        ("train --split S --batch 0", "'--batch'"),
        ("train --split S --size 1x", "--size 1x: not a size"),
        ("train --split S --enlarge 0.5", "--enlarge 0.5: "),
        ("train --split S --crops 0", "'--crops'"),
        ("train --split S --prompt {what}", "--prompt '{what}': {what} is nothing it can name"),
        ("train --split S --prior --prior-prompt {style}", "--prior-prompt '{style}': {style}"),
        ("train --split S --prior --prior-weight 0", "--prior-weight 0.0: "),
        ("train --split S --prior-weight 1", "--prior-weight: this training is without prior"),
        ("train --split S --preset tuned --no-prior --prior-images 3", "--prior-images: this"),
        ("train --split S --seed -1", "'--seed'"),
        ("train --split S --checkpoint-every 0", "'--checkpoint-every'"),
        ("train --split S --validate-every 0", "'--validate-every'"),
        ("run --split S --keep-checkpoints 0", "'--keep-checkpoints'"),
        ("run --split S --sample-prompt x", "--sample-prompt: nothing is drawn without --sample-e"),
        (
            "run --split S --sample-every 5 --sample-prompt x --validation-prompts 2",
            "--validation-prompts: --sample-prompt says what is drawn. Leave one of them out.",
        ),
        (
            "train --split S --sample-every 5 --sample-prompt {what}",
            "--sample-prompt '{what}': {what} is nothing it can name. It may name {style}.",
        ),
        ("run --split S --method styleid --sample-every 5", STYLEID),
        (
            "train --split S --validation-prompts 2",
            "--validation-prompts: nothing is drawn without --sample-every",
        ),
        ("train --split S --out text", "--out text/.jstyleid: cannot write there"),
        ("train --split N", "data/N/00/images/1.png: its name says no object"),
        ("train --split N --prior", "data/N/00/images/1.png: its name says no object"),
        ("train --split E", "data/E/00: no images. Put the style's sample images into"),
        ("run --split E", "data/E/00: no images."),
        ("run --split S --method styleid --lora loras", f"--lora: {STYLEID}"),
        ("run --split S --method styleid --rank 4 --lr 1", f"--rank, --learning-rate: {STYLEID}"),
        ("run --split S --method styleid --preset baseline", f"--preset: {STYLEID}"),
        ("run --split S --method styleid --no-gradient-checkpointing", STYLEID),
        ("run --split S --method styleid --train-steps 4", STYLEID),
        ("run --split S --method dreambooth --gamma 0.75", f"--gamma: {DREAMBOOTH}"),
        ("run --split S --method dreambooth --reference first", f"--reference: {DREAMBOOTH}"),
        (
            "run --split S --method direct --rank 2",
            "--rank: --method direct uses no LoRA.",
        ),
        (
            "run --split S --method direct-dreambooth --gamma 0.3 --content-steps 9",
            "--gamma: --method direct-dreambooth stylises while it draws, and has no content.",
        ),
        (
            "run --split S --method direct --content-steps 9",
            "--content-steps: the drawing is stylised in its own steps. Give their number by",
        ),
        (
            "run --split S --content-trajectory --start mean",
            "--start: --content-trajectory stylises from the noise",
        ),
        (
            "run --split S --negative-query",
            "--negative-query: belongs to --method direct or direct-dreambooth.",
        ),
        (
            "run --split S --method dreambooth --rule joint --steps 3",
            f"--steps, --rule: {DREAMBOOTH}",
        ),
        ("run --split S --lora loras --rank 4", "--rank: nothing is trained with --lora."),
        ("run --split S --lora none", "--lora none: no such folder or file."),
        ("run --split S --lora loras", "--lora loras: no LoRA for style 00. Looked for"),
        ("run --split S --lora text", "text: "),
        ("run --split S --train-steps 0", "'--train-steps'"),
        ("run --split S --lr -1", "--learning-rate -1.0: "),
        ("run --split S --strength 0.5", "--strength: belongs to --start mean."),
        ("run --split S --start mean --strength 0", "--strength 0.0: "),
        ("run --split S --start mean --strength 1.1", "--strength 1.1: "),
        (
            "run --split S --start mean --strength 0.1 --content-steps 3",
            "strength = 0.1 with 3 steps",
        ),
        ("run --split S --start image", "'image' is not one of 'noise', 'mean'"),
        ("run --split S --template {object}", "--template '{object}': {object} is nothing"),
        ("run --split S --template {prompt", "--template '{prompt': expected '}'"),
        ("run --split S --templates none.json", "none.json: cannot be read"),
        ("run --split S --templates bad.json", 'bad.json: key "07" is no style of the split.'),
        ("run --split N --preset tuned", "data/N/00/images/1.png: its name says no object"),
        ("generate -o o.png", "nothing to draw. Give a PROMPT, or --split"),
        ("generate Ring --split S -o o", "PROMPT 'Ring' and --split S exclude each other."),
        ("generate --split S -o o", "--split S takes one --lora, the folder of the styles' LoRAs"),
        ("generate --split S -o o --lora a --lora b", "--split S takes one --lora"),
        ("generate --split S -o o --lora none", "--lora none: no such folder or file."),
        ("generate --split X -o o --lora loras", "--split X: no folder data/X."),
        ("generate --split S -o o --lora loras --strength 0.5", "--strength: belongs to --start"),
        (
            "generate Ring -o o.png --styles 00 --start mean",
            "--styles, --start: belongs to --split. Leave this out, or PROMPT.",
        ),
        ("generate Ring -o o.png --force", "--force: belongs to --split."),
    ],
)
def test_bad_input(
    data: Path,
    tmp_path: Path,
    write_style: Callable[..., Path],
    invoke: Invoke,
    arguments: str,
    message: str,
) -> None:
    images = write_style(data / "N", "00", ("Ring",)) / "images"
    (images / "apple.png").rename(images / "1.png")
    (write_style(data / "E", "00", ("Ring",)) / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "text").write_text("no folder")
    (tmp_path / "bad.json").write_text('{"07": "{prompt}"}')
    (tmp_path / "loras").mkdir()
    if arguments.startswith("train --split N"):
        arguments += " --prompt {object}" * ("--prior" not in arguments)
    code, stderr = invoke(*arguments.split())
    assert message in stderr
    assert code == 2
    assert "Traceback" not in stderr


def test_names_without_objects_do_not_matter_where_nothing_asks_for_them(
    data: Path, invoke: Invoke
) -> None:
    images = data / "S" / "00" / "images"
    (images / "apple.png").rename(images / "1.png")
    arguments = ["train", "--split", "S", "--prior", "--prior-prompt", "an image"]
    code, stderr = invoke(*arguments)
    # As far as starting Jittor.
    assert (code, "Jittor was started" in stderr) == (1, True)


def test_the_objects_of_styles_that_are_not_chosen_count_too(data: Path, invoke: Invoke) -> None:
    images = data / "S" / "04" / "images"
    (images / "apple.png").rename(images / "1.png")
    code, stderr = invoke("train", "--split", "S", "--styles", "00", "--prior")
    assert code == 2
    assert "data/S/04/images/1.png: its name says no object" in stderr


def test_ctrl_c(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "start", stop)
    assert invoke("train", "--split", "S") == (
        130,
        "stopped; 0 of 2 LoRAs done; run the same command to continue",
    )


def test_two_trainings_in_one_folder(tmp_path: Path, invoke: Invoke) -> None:
    folder = LoRAFolder(tmp_path / "loras")
    folder.prepare()
    with folder_lock(folder):
        code, stderr = invoke("train", "--split", "S")
    assert code == 2
    assert "--out loras: another run, process" in stderr


def test_a_crash_is_in_the_log(invoke: Invoke) -> None:
    code, stderr = invoke("train", "--split", "S")
    assert code == 1
    assert stderr.endswith("loras/.jstyleid/fault.log")
    assert "AssertionError: Jittor was started" in Path("loras/.jstyleid/fault.log").read_text()


def test_weights_and_biases_that_is_not_installed(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        to_settings, "find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)]))
    for _ in range(2):
        code, stderr = invoke("run", "--split", "S", "--wandb", "styles")
        assert (code, stderr) == (2, "error: --wandb styles: the package wandb is not installed. "
                                     "Install it: pip install 'jstyleid-runner[wandb]'")
        (tmp_path / "wandb").mkdir(exist_ok=True)  # what a run of it leaves is no package


def test_a_variable_with_a_path_that_holds_spaces(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSTYLEID_GENERATE_LORA", "no such file.safetensors:0.5\n")
    code, said = invoke("generate", "a boat", "--out", "boat.png")
    assert code == 2
    assert "no such file.safetensors does not exist" in said
