"""Which prompts can be the name of a picture, on any file system the results may be copied to."""

import unicodedata

SUFFIX = ".png"
LONGEST = 255
"""Most bytes a file name may have on the file systems in use."""


def picture_name(prompt: str) -> str:
    """The file a prompt's picture is written to: the prompt, verbatim, and the suffix."""
    return prompt + SUFFIX


def naming_problem(prompt: str) -> str | None:
    """Why `prompt` cannot be a file's stem, or None when it can."""
    if not prompt.strip():
        return "it is empty"
    if prompt in {".", ".."}:
        return "it names a folder"
    if any(unicodedata.category(character) == "Cc" for character in prompt):
        return "it contains a control character"
    for separator in "/\\":
        if separator in prompt:
            return f"it contains {separator!r}, which separates folders"
    if prompt[0] in ". " or prompt[-1] in ". ":
        # Such files are hidden on some systems and lose the character on others.
        return "it begins or ends with a dot or a space"
    try:
        length = len(picture_name(prompt).encode())
    except UnicodeEncodeError:
        return "it contains half of a surrogate pair"
    if length > LONGEST:
        return f"{SUFFIX!r} added it has {length} bytes, and a file name at most {LONGEST}"
    return None


def same_file_key(prompt: str) -> str:
    """Prompts with equal keys share one file on a file system that ignores case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", prompt).casefold())
