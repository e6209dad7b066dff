"""A page shown in the user's browser."""

import os
import sys
import webbrowser
from pathlib import Path


def open_page(page: Path) -> bool:
    """Open a page in the user's browser, without waiting for it; whether there is one.

    A browser in the terminal is none: it would take the terminal over.
    """
    if sys.platform == "linux" and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser:  # waits until the program ends
        return False
    return browser.open(page.resolve().as_uri())
