"""`jstyleid init`: a folder to begin in, with a file of options and a place for the styles."""

from pathlib import Path

from typer.core import TyperCommand

from jstyleid_core.files import whole_folder
from jstyleid_runner.options.starter_file import starter_file

SPLIT = "styles"
CONFIG = "run.toml"

_README = """\
# The styles

Each style is a folder here, with a number for a name:

```
{split}/
    00/
        images/
            apple.png       a handful of images of the style; PNG, JPEG, WebP and others
            red_boat.jpg    the name says what an image shows
            red_boat.txt    if you like: the prompt that this image is trained with
        prompt.json         what is to be drawn in the style
    01/
        ...
```

`prompt.json` numbers the prompts. Each becomes an image, `out/00/Ring.png`:

```json
{{"0": "Ring", "1": "Hotel", "2": "A cat on a roof"}}
```

Then, in the folder of `{config}`:

```
jstyleid plan --config {config}    # what there is to do; finds what is missing here
jstyleid run --config {config}     # trains a LoRA for each style, draws, and stylises
```
"""


def make_folder(folder: Path, run: TyperCommand) -> Path:
    """Make a folder with `run.toml` and an empty split, whole or not at all.

    Args:
        folder: the folder, not there or empty.
        run: the command `jstyleid run`, which has the options.

    Returns:
        The folder of the split.

    Raises:
        OutputError: the folder holds something, or cannot be written.
    """
    split = Path("data", SPLIT)
    with whole_folder(folder) as temporary:
        (temporary / CONFIG).write_text(
            starter_file(run, "run", {"split": SPLIT}), encoding="utf-8")
        (temporary / split).mkdir(parents=True)
        (temporary / split / "README.md").write_text(
            _README.format(split=SPLIT, config=CONFIG), encoding="utf-8")
    return folder / split
