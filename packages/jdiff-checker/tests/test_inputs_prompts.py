import json
import os
from pathlib import Path

import pytest

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.folders import prompt_key
from jdiff_checker.inputs.prompts import (
    prompts_of_split,
    read_prompt_json,
    read_prompt_list,
)
from prompt_cases import CASES


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_prompts_as_people_write_them(tmp_path, case):
    path = written(tmp_path / "prompt.json", case.content)
    if case.refused is None:
        assert read_prompt_json(path) == case.prompts
    else:
        with pytest.raises(InputError) as error:
            read_prompt_json(path)
        assert str(error.value).startswith(f"{path}: ")
        assert case.refused in str(error.value)


def test_a_prompt_json_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="prompt.json: cannot be read: No such file"):
        read_prompt_json(tmp_path / "prompt.json")


@pytest.mark.parametrize("content", [
    "Ring\n old Hotel \n\nring\nWatch\n",
    "\ufeffRing\r\nold hotel\r\n  \r\nWATCH",
    "Ring\r\nold hotel\r\nwatch".encode("utf-16"),
])
def test_a_list_is_lower_cased_stripped_and_without_doubles(tmp_path, content):
    path = written(tmp_path / "prompts.txt", content)
    assert read_prompt_list(path) == ("ring", "old hotel", "watch")


def test_a_list_may_be_json(tmp_path):
    path = written(tmp_path / "prompts.JSON", '["Ring", "", " Hotel", "ring"]')
    assert read_prompt_list(path) == ("ring", "hotel")


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.txt", "\n \n", r"no prompts\. Write one a line"),
    ("a.txt", b"r\xff\xfe", "not UTF-8 text"),
    ("a.txt", b"\xff\xfer", "not UTF-8 text"),
    ("a.json", "[]", "no prompts"),
    ("a.json", '{"0": "Ring"}', "not a JSON list"),
    ("a.json", '"Ring"', "not a JSON list"),
    ("a.json", '["Ring", 4]', "item 1 is 4, not a prompt in quotes"),
    ("a.json", '["Ring"', "broken JSON"),
])
def test_an_unusable_list_is_named(tmp_path, name, content, message):
    path = written(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        read_prompt_list(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_list_that_is_a_folder_or_not_there_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "gone.txt"):
        with pytest.raises(InputError, match="cannot be read"):
            read_prompt_list(path)


def test_the_prompts_of_a_split_are_unique_in_order_of_appearance(tmp_path):
    written(tmp_path / "01" / "prompt.json", '{"0": "Ship", "1": "RING"}')
    written(tmp_path / "00" / "prompt.json", '{"0": "Ring", "1": "Old Hotel"}')
    (tmp_path / "02" / "images").mkdir(parents=True)
    assert prompts_of_split(tmp_path) == ("ring", "old hotel", "ship")


def test_a_split_with_a_malformed_or_no_prompt_json_has_no_list(tmp_path):
    (tmp_path / "00" / "images").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no style has a prompt\.json"):
        prompts_of_split(tmp_path)
    written(tmp_path / "00" / "prompt.json", json.dumps("Ring"))
    with pytest.raises(InputError, match="00/prompt.json: not prompts in a JSON object"):
        prompts_of_split(tmp_path)


def test_a_prompt_and_a_stem_are_compared_without_case_spaces_and_composition():
    assert prompt_key(" RING ") == prompt_key("Ring")
    assert prompt_key("Caf\u00e9") == prompt_key("cafe\u0301")
    assert prompt_key("Ring") != prompt_key("Rings")


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_lists_are_read():
    data = Path(os.environ["JSTYLEID_SPLIT_DATA"])
    listed = read_prompt_list(data / "clip_r_prompts.txt")
    assert len(listed) == 215
    assert listed.count("watch") == 1
    assert set(prompts_of_split(data / "B")) <= set(listed)
