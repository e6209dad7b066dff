"""Reading `--styles` and `--pack`: names of style folders, as 00,04."""

from jstyleid_core.errors import InputError


def named_styles(option: str, text: str | None) -> list[str] | None:
    """The folders that an option names; None where it was left out.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return None
    names = [style.strip() for style in text.split(",") if style.strip()]
    if not names:
        raise InputError(f"{option} {text}: names no style. Give folder names, as 00,04.")
    return names
