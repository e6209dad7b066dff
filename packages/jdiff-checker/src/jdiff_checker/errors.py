"""The errors of this package. Each message names the file, the field and the fix.

The command line ends with the `exit_code` of the class.
"""

import re

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tabs and ends of lines: they move a terminal's cursor, or turn the order of letters."""
_LONGEST_LINE, _KEPT = 2500, (1500, 800)


def shown(message: str) -> str:
    """A message as a terminal may show it: it may quote names and values of foreign files.

    Control characters are escaped, and of a line of thousands of characters the middle is left out.
    """
    plain = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], message)
    first, last = _KEPT
    return "\n".join(
        line if len(line) <= _LONGEST_LINE else f"{line[:first]} [...] {line[-last:]}"
        for line in plain.split("\n"))


class CheckerError(Exception):
    """Base class of the errors of this package."""

    exit_code = 1


class InputError(CheckerError):
    """An unusable input: a file, an option, or a combination of options."""

    exit_code = 2


class UploadError(InputError):
    """The images to score, or the references, are incomplete or cannot be read."""


class IncompleteUploadError(UploadError):
    """A strict check refuses the upload; the message lists every problem."""

    def __init__(self, summary: str, problems: list[str], fix: str) -> None:
        super().__init__("\n".join([f"{summary}:", *problems, fix]))
        self.summary = summary
        self.fix = fix


class WeightsError(InputError):
    """The weights of a metric are missing, damaged, or not the published files."""


class BrokenEnvironmentError(InputError):
    """The Python environment cannot compute scores: jtorch instead of torch, broken installs."""


class OutputError(InputError):
    """A file cannot be written at the place that the user chose."""
