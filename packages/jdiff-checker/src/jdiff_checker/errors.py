"""The errors of this package. Each message names the file, the field and the fix.

The command line ends with the `exit_code` of the class.
"""


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
