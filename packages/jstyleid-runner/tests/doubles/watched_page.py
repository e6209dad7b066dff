"""A page in Chromium that is watched for what it asks for and says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 120_000
"""Milliseconds that a page on a busy machine may take for one thing."""


@contextmanager
def watched(browser: Any, address: str, width: int) -> Iterator[tuple[Any, list[str]]]:
    """The open page and the addresses it asks for, without those inside the page.

    At the end of the block it must have had neither an error nor a line for the console.
    """
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.set_default_timeout(PATIENCE)
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda request: None if request.url.startswith("data:")
               else asked.append(request.url))
    opened = context.new_page()
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(address)
    yield opened, asked
    context.close()
    assert said == []
