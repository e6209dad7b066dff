"""Pages of the notebooks in docs/notebooks, with the outputs that were committed in them.

A page is Markdown, so that its equations, links, code and search are those of all other pages, and
the built site loads nothing from the Internet.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOTEBOOK = re.compile(r"\]\((\w+)\.ipynb\)")
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


@dataclass(frozen=True)
class NotebookPage:
    """A notebook as a page of the site.

    Attributes:
        markdown: the page; it stands in the folder of the notebook.
        pictures: content of each picture by its file, relative to that folder.
    """

    markdown: str
    pictures: dict[str, bytes]


def notebook_page(path: Path) -> NotebookPage:
    """The cells of a notebook with their outputs.

    Raises:
        ValueError: a cell has an output that a page cannot show.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"]
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            # A link to another notebook is one to its page.
            parts.append(_NOTEBOOK.sub(r"](\1.md)", source))
            continue
        parts.append(f"```python\n{source}\n```")
        for data in _outputs(path, cell):
            [kind] = [kind for kind in (*_PICTURES, "text/plain") if kind in data][:1]
            text = "".join(data[kind])
            if kind == "text/plain":
                parts.append(f"```{{ .text .output }}\n{text.rstrip()}\n```")
                continue
            name = f"{path.stem}-{len(pictures) + 1:02d}.{_PICTURES[kind]}"
            pictures[name] = base64.b64decode(text)
            parts.append(f"![Output of the code above]({name}){{ .output }}")
    # After the title: where to get the notebook itself.
    download = f"*This page is a notebook: [{path.name}]({path.name}){{ download }}.*"
    return NotebookPage("\n\n".join([parts[0], download, *parts[1:]]) + "\n", pictures)


def _outputs(path: Path, cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data of each output by its kind."""
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            yield {"text/plain": output["text"]}
        elif output["output_type"] in ("display_data", "execute_result"):
            yield output["data"]
        else:
            raise ValueError(f"{path}: a cell ended with {output.get('ename')}: run it again")
