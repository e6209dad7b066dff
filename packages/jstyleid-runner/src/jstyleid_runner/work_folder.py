"""A folder that a command works in, over several calls: its results for the user, and the rest."""

from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.files import remove_leftovers
from jstyleid_runner.targets import require_writable


@dataclass(frozen=True)
class WorkFolder:
    """The paths that are alike in every `--out` folder that can be gone on with."""

    root: Path

    @property
    def hidden(self) -> Path:
        """The folder of everything but the results."""
        return self.root / ".jstyleid"

    @property
    def lock(self) -> Path:
        """Held by the command that is at work."""
        return self.hidden / "run.lock"

    @property
    def native_log(self) -> Path:
        """What Jittor's compiled parts write."""
        return self.hidden / "jittor.log"

    @property
    def class_images(self) -> Path:
        """What all trainings in this folder are told not to forget."""
        return self.hidden / "class_images"

    def remove_shared_leftovers(self) -> None:
        """Remove what a killed command was writing for itself and for all its LoRAs."""
        for folder in (self.hidden, *self.class_images.glob("*")):
            remove_leftovers(folder)

    def prepare(self) -> None:
        """Make the folder, and find out whether it can be written to before any work is done."""
        require_writable(self.hidden)
