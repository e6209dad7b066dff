"""A writer of pages that need nothing else: style, script and small pictures are inside the page.

The shown text is foreign: Jinja2 escapes it, and a content security policy keeps the page from
loading anything, from other styles, and from running other scripts than its own. Pages that enlarge
pictures may load pictures of their own origin, too.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jstyleid_core.files import atomic_path

if TYPE_CHECKING:
    from jinja2 import Environment


def write_page(path: Path, name: str, *, base: str | None = None, **values: Any) -> None:
    """Write the page whose template, style and script are called `name`.

    It is written as it is rendered, so that what the template asks for piece by piece is never
    in memory as a whole.

    Args:
        path: the file; missing folders are made.
        name: name of a template in `templates`.
        base: name of a page that it extends: the style of that comes before its own, and the
            script is the same.
        values: values that the template shows.

    Raises:
        OutputError: the page cannot be written.
    """
    from markupsafe import Markup

    environment = _environment()
    looks = ("page", base, name) if base else ("page", name)
    css = "\n".join(_source(environment, f"{look}.css") for look in looks)
    script = _source(environment, f"{base or name}.js")
    parts = environment.get_template(f"{name}.html.j2").generate(
        **values, css=Markup(css), css_hash=_hash(css),
        script=Markup(script), script_hash=_hash(script),
    )
    with atomic_path(path) as temporary, open(
        # A file name that is not text cannot be encoded otherwise.
        temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
    ) as stream:
        for part in parts:
            stream.write(part)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("jstyleid_runner.reports.pages"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _hash(text: str) -> str:
    """As a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
