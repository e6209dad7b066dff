"""Tokens that were added to a checkpoint's vocabulary, as textual inversion does; no Jittor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jstyleid_core.errors import CheckpointError
from jstyleid_core.model.tokenizer import CLIPTokenizer
from small_checkpoint import CHECKPOINTS

START, END, PAD = 1512, 1513, 0

# CLIPTokenizer of transformers 5.23.0 with `add_tokens(["<sks>", "<Cat-Toy>"])`
WANTED = {
    "a <sks> dog": [320, 1514, 725],
    "a <SKS>dog": [320, 1514, 725],
    "x<sks>y": [343, 1514, 344],
    "<cat-toy> <Cat-Toy>!": [1515, 1515, 0],
    "two<sks><sks>": [83, 86, 334, 1514, 1514],
    "a  <sks>\n house": [320, 1514, 745],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tokenizer of a small checkpoint of SD 2.1; 1514 tokens."""
    shutil.copytree(CHECKPOINTS / "tokenizer", tmp_path, dirs_exist_ok=True)
    shutil.copytree(CHECKPOINTS / "sd21-v" / "tokenizer", tmp_path, dirs_exist_ok=True)
    return tmp_path


def write(path: Path, **fields: Any) -> None:
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | fields))


def ids(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    [found] = tokenizer([text]).tolist()
    assert found[0] == START
    end = found.index(END)
    assert set(found[end + 1:]) == {PAD}
    return found[1:end]


@pytest.mark.parametrize("layout", ["added_tokens.json", "tokenizer_config.json", "both"])
@pytest.mark.parametrize("text", WANTED)
def test_ids_are_those_of_transformers(folder: Path, layout: str, text: str) -> None:
    if layout != "tokenizer_config.json":
        write(folder / "added_tokens.json", **{"<sks>": 1514, "<Cat-Toy>": 1515})
    if layout != "added_tokens.json":
        written = {"1514": {"content": "<sks>", "normalized": True, "special": False},
                   "1515": {"content": "<Cat-Toy>", "normalized": True, "special": False},
                   "1512": {"content": "<|startoftext|>", "normalized": True, "special": True}}
        write(folder / "tokenizer_config.json", added_tokens_decoder=written)
    tokenizer = CLIPTokenizer(folder, rows=1516)
    assert ids(tokenizer, text) == WANTED[text]
    assert tokenizer.learned == {"<sks>": 1514, "<Cat-Toy>": 1515}


def test_one_that_is_not_normalised_is_found_as_it_is_written_only(folder: Path) -> None:
    token = {"content": "<sks>", "normalized": False, "special": True}
    write(folder / "tokenizer_config.json", added_tokens_decoder={"1514": token})
    tokenizer = CLIPTokenizer(folder)
    # CLIPTokenizer of transformers 5.23.0
    assert ids(tokenizer, "a <sks>") == [320, 1514]
    assert ids(tokenizer, "a <SKS>") == [320, 283, 82, 74, 338, 285]


def test_ids_may_leave_gaps(folder: Path) -> None:
    write(folder / "added_tokens.json", **{"<late>": 1600})
    assert ids(CLIPTokenizer(folder), "a <late> dog") == [320, 1600, 725]


def test_without_added_tokens_nothing_is_learned(folder: Path) -> None:
    assert CLIPTokenizer(folder, rows=1514).learned == {}


def test_the_padding_may_be_an_added_token(folder: Path) -> None:
    write(folder / "added_tokens.json", **{"[PAD]": 1514})
    write(folder / "special_tokens_map.json", pad_token="[PAD]")
    assert CLIPTokenizer(folder)(["a"])[0, :5].tolist() == [START, 320, END, 1514, 1514]


def test_more_tokens_than_embeddings(folder: Path) -> None:
    write(folder / "added_tokens.json", **{"<sks>": 1514})
    with pytest.raises(CheckpointError, match=f"{folder}: the token '<sks>' has the id 1514, but "
                                              "the text encoder has embeddings of 1514 tokens"):
        CLIPTokenizer(folder, rows=1514)


@pytest.mark.parametrize("content", [{"<sks>": 7}, {"a</w>": 1514}])
def test_an_id_that_is_taken(folder: Path, content: dict[str, int]) -> None:
    write(folder / "added_tokens.json", **content)
    with pytest.raises(CheckpointError, match="the added token .* Replace the tokenizer's files"):
        CLIPTokenizer(folder)


@pytest.mark.parametrize("decoder", [[1], {"x": {"content": "a"}}, {"1514": {}}, {"1514": "<a>"}])
def test_broken_files(folder: Path, decoder: Any) -> None:
    write(folder / "tokenizer_config.json", added_tokens_decoder=decoder)
    with pytest.raises(CheckpointError, match=r"_config.json: added_tokens_decoder.* cannot be"):
        CLIPTokenizer(folder)
