"""The errors this package raises, each with a message a user can act on.

A message names the file, the field and the fix. The command line ends with the class's `exit_code`.
"""


class CheckerError(Exception):
    """Base of everything this package raises on purpose."""

    exit_code = 1


class InputError(CheckerError):
    """What the user gave cannot be used: a file, an option or a combination of them."""

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
    """Weights a metric needs are missing, damaged or not the published ones."""


class BrokenEnvironmentError(InputError):
    """The Python environment cannot compute scores: jtorch in torch's place, broken installs."""


class OutputError(InputError):
    """A result cannot be written where the user asked for it."""
