"""Reading `--targets` and `--text-targets`: names of layers, as to_q,to_k."""

from jstyleid_core.errors import InputError


def layer_names(option: str, text: str | None) -> tuple[str, ...] | None:
    """The patterns an option names; None where it was left out.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(f"{option} {text}: names no layer. Give names, as to_q,to_k,to_v.")
    return names
