"""Where `jstyleid train` keeps what: the LoRAs for the user, everything else below `.jstyleid`."""

from dataclasses import dataclass
from pathlib import Path

from jstyleid_runner.work_folder import WorkFolder


@dataclass(frozen=True)
class LoRAFolder(WorkFolder):
    """The paths inside the `--out` folder of a training."""

    @property
    def record(self) -> Path:
        """Which checkpoint was trained on."""
        return self.hidden / "train.json"

    @property
    def log(self) -> Path:
        """One line per LoRA."""
        return self.hidden / "train.log"

    def lora(self, name: str) -> Path:
        """The folder of one LoRA: of a style, or of a pack of styles."""
        return self.root / name
