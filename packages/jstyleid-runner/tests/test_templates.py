"""`--template` and `--templates`: which text each prompt becomes, and what is wrong with a file."""

from pathlib import Path

import pytest

from jstyleid_core.errors import InputError
from jstyleid_runner.storage.prompts import Templates, read_templates, usual_template

STYLES = ["00", "04"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "templates.json"


def read(file: Path | None, template: str | None = None) -> Templates:
    return read_templates(template, file, "{prompt} in style_{style}", STYLES)


def test_a_lora_is_called_by_its_style() -> None:
    assert usual_template("styleid") == "{prompt}"
    assert usual_template("dreambooth") == "{prompt} in style_{style}"
    assert usual_template("styleid-dreambooth") == usual_template("dreambooth")


def test_nothing_given() -> None:
    assert read(None) == Templates("{prompt} in style_{style}", {})


def test_one_for_all() -> None:
    assert read(None, "a {prompt}") == Templates("a {prompt}", {})


def test_a_file_names_some_styles_and_all_others(file: Path) -> None:
    file.write_text('{"04": "{prompt} of {style}", "default": "{prompt}"}')
    assert read(file) == Templates("{prompt}", {"04": "{prompt} of {style}"})


def test_a_file_without_a_default_beside_a_template(file: Path) -> None:
    file.write_text('{"04": "{{{prompt}}}"}')
    assert read(file, "a {prompt}") == Templates("a {prompt}", {"04": "{{{prompt}}}"})
    assert read(file) == Templates("{prompt} in style_{style}", {"04": "{{{prompt}}}"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "not a JSON object. Write it as"),
        ('{"00": ', "broken JSON at line 1"),
        ('{"7": "a"}', 'key "7" is no style of the split. There are 00, 04, and "default"'),
        ('{"00": "a", "00": "b"}', 'key "00" is there twice'),
        ('{"00": 3}', 'key "00" holds 3, not a template in quotes'),
        ('{"00": " "}', 'key "00": the template is empty'),
        ('{"00": "{object}"}', "key \"00\" '{object}': {object} is nothing it can name"),
        ('{"default": "{prompt"}', "key \"default\" '{prompt': expected '}'"),
    ],
)
def test_unusable_files(file: Path, text: str, expected: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert expected in str(caught.value)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(InputError, match=r"templates\.json: cannot be read"):
        read(file)


def test_two_templates_for_the_other_styles(file: Path) -> None:
    file.write_text('{"default": "{prompt}"}')
    with pytest.raises(InputError, match=r'key "default" and --template .* contradict each other'):
        read(file, "a {prompt}")
