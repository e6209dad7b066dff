"""Where a run keeps what: the pictures for the user, everything else below `.jstyleid`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.files import remove_leftovers
from jstyleid_runner.file_names import picture_name
from jstyleid_runner.targets import require_writable


@dataclass(frozen=True)
class OutFolder:
    """The paths inside one `--out` folder."""

    root: Path

    @property
    def hidden(self) -> Path:
        """The folder of everything but the pictures."""
        return self.root / ".jstyleid"

    @property
    def record(self) -> Path:
        """What the run was: settings, model, references, versions."""
        return self.hidden / "run.json"

    @property
    def log(self) -> Path:
        """One line per job."""
        return self.hidden / "run.log"

    @property
    def lock(self) -> Path:
        """Held by the run that is at work."""
        return self.hidden / "run.lock"

    @property
    def native_log(self) -> Path:
        """What Jittor's compiled parts write."""
        return self.hidden / "jittor.log"

    def picture(self, style: str, prompt: str) -> Path:
        """A stylised picture: what the run is for."""
        return self.root / style / picture_name(prompt)

    def content(self, style: str, prompt: str) -> Path:
        """The picture that is stylised."""
        return self.hidden / "contents" / style / picture_name(prompt)

    def sheet(self, style: str) -> Path:
        """The style's contact sheet."""
        return self.hidden / "sheets" / f"{style}.png"

    def prepare(self) -> None:
        """Make the folder, and find out whether it can be written to before any work is done."""
        require_writable(self.hidden)

    def remove_leftovers(self, styles: Iterable[str]) -> None:
        """Remove the files a killed run was writing. Finished files have other names."""
        folders = [self.hidden, self.sheet("").parent]
        for style in styles:
            folders += [self.root / style, self.content(style, "").parent]
        for folder in folders:
            remove_leftovers(folder)
