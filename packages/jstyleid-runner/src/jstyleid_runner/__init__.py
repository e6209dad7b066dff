"""The `jstyleid` command: plans, runs and resumes style transfer jobs on top of `jstyleid_core`."""

from jstyleid_core.errors import spell_settings
from jstyleid_core.version import __version__

__all__ = ["__version__"]


def _as_option(name: str) -> str:
    """A setting as an option of the command line: `prior.prompt` is `--prior-prompt`."""
    return "--" + name.replace("_", "-").replace(".", "-")


spell_settings(_as_option)
