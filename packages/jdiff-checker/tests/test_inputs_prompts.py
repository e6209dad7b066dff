import json
import os
from pathlib import Path

import pytest

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.prompts import (
    prompt_key,
    prompts_of_split,
    read_prompt_json,
    read_prompt_list,
)


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_prompts_are_verbatim_in_the_order_of_the_file(tmp_path):
    path = written(tmp_path / "prompt.json", b'\xef\xbb\xbf{"1": "Ring", "0": "Old Hotel"}')
    assert read_prompt_json(path) == ("Ring", "Old Hotel")


@pytest.mark.parametrize(("content", "message"), [
    ('["Ring"]', r"not a JSON object\. Write it as"),
    ("3", "not a JSON object"),
    ("{}", "no prompts"),
    ('{"0": 5}', 'key "0" holds 5, not a prompt in quotes'),
    ('{"0": null}', 'key "0" holds null'),
    ('{"0": {"a": 1}}', 'key "0" holds an object'),
    ('{"0": ["Ring"]}', 'key "0" holds a list'),
    ('{"0": " "}', 'key "0" holds an empty prompt'),
    ('{"0": "Ring", "1": "ring"}', 'key "1": "ring" is there already as "Ring"'),
    ('{"0": "A", "1": "A"}', 'key "1": "A" is there already as "A"'),
    ('{"0": "Ring", "0": "Hotel"}', 'key "0" is there twice'),
    ('{"0": "Ring",}', "broken JSON at line 1, column 1"),
    ("", "broken JSON at line 1"),
    (b'{"0": "\xff"}', "not UTF-8 text .byte 7."),
    ("[" * 100_000, "unusable JSON|broken JSON"),
])
def test_a_malformed_prompt_json_is_named_with_its_field(tmp_path, content, message):
    path = written(tmp_path / "prompt.json", content)
    with pytest.raises(InputError, match=message) as error:
        read_prompt_json(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_prompt_json_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="prompt.json: cannot be read: No such file"):
        read_prompt_json(tmp_path / "prompt.json")


@pytest.mark.parametrize("content", [
    "Ring\n old Hotel \n\nring\nWatch\n",
    "\ufeffRing\r\nold hotel\r\n  \r\nWATCH",
])
def test_a_list_is_lower_cased_stripped_and_without_doubles(tmp_path, content):
    path = written(tmp_path / "prompts.txt", content)
    assert read_prompt_list(path) == ("ring", "old hotel", "watch")


def test_a_list_may_be_json(tmp_path):
    path = written(tmp_path / "prompts.JSON", '["Ring", "", " Hotel", "ring"]')
    assert read_prompt_list(path) == ("ring", "hotel")


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.txt", "\n \n", r"no prompts\. Write one a line"),
    ("a.txt", b"\xff\xfer\x00", "not UTF-8 text"),
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
    written(tmp_path / "00" / "prompt.json", json.dumps(["Ring"]))
    with pytest.raises(InputError, match="00/prompt.json: not a JSON object"):
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
