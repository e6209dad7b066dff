"""Where a run keeps what: the pictures for the user, everything else below `.jstyleid`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.files import remove_leftovers
from jstyleid_runner.file_names import picture_name
from jstyleid_runner.work_folder import WorkFolder


@dataclass(frozen=True)
class OutFolder(WorkFolder):
    """The paths inside the `--out` folder of a run."""

    @property
    def record(self) -> Path:
        """What the run was: settings, model, references, versions."""
        return self.hidden / "run.json"

    @property
    def log(self) -> Path:
        """One line per job."""
        return self.hidden / "run.log"

    def picture(self, style: str, prompt: str) -> Path:
        """A picture asked for: what the run is for."""
        return self.root / style / picture_name(prompt)

    def content(self, style: str, prompt: str) -> Path:
        """The picture that is stylised."""
        return self.hidden / "contents" / style / picture_name(prompt)

    def lora(self, style: str) -> Path:
        """The folder of the LoRA that the run trains for a style."""
        return self.hidden / "loras" / style

    def inverted(self, style: str) -> Path:
        """What stylising takes from the style's reference, while the style is at work."""
        return self.hidden / "styles" / f"{style}.safetensors"

    @property
    def ledger(self) -> Path:
        """What became of every job."""
        return self.hidden / "ledger.sqlite"

    @property
    def timeline(self) -> Path:
        """Who did what when, as a page."""
        return self.hidden / "timeline.html"

    @property
    def gallery(self) -> Path:
        """All pictures, as a page."""
        return self.root / "gallery.html"

    def sheet(self, style: str) -> Path:
        """The style's contact sheet."""
        return self.hidden / "sheets" / f"{style}.png"

    def remove_leftovers(self, styles: Iterable[str]) -> None:
        """Remove the files a killed run was writing. Finished files have other names."""
        self.remove_shared_leftovers()
        folders = [self.root, self.sheet("").parent, self.inverted("").parent]
        for style in styles:
            folders += [self.root / style, self.content(style, "").parent]
        for folder in folders:
            remove_leftovers(folder)
