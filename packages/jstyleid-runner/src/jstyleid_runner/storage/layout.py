"""The paths inside an `--out` folder, and which names its files may have.

Results are for the user; everything else is below `.jstyleid`.
"""

import os
import shutil
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PosixPath

from jstyleid_core.errors import InputError, OutputError
from jstyleid_core.files import is_leftover, remove_leftovers
from jstyleid_core.notes import note_once

SUFFIX = ".png"
_SHOWN = 5
"""Names that a note lists."""
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
    if is_leftover(Path(picture_name(prompt))):
        return "such names have the files that a stopped run was writing"
    try:
        length = len(picture_name(prompt).encode())
    except UnicodeEncodeError:
        return "it contains half of a surrogate pair"
    if length > LONGEST:
        return f"with {SUFFIX!r} it has {length} bytes, and a file name at most {LONGEST}"
    return None


_REFUSED_ELSEWHERE = '<>:"|?*\\'
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
            *(f"{port}{number}" for port in ("COM", "LPT") for number in "123456789¹²³")}


def refused_elsewhere(name: str) -> str | None:
    """Why Windows and its file systems refuse or hide a file or folder of this name, if they do.

    Disks of cameras and phones (exFAT), NTFS and shares of Windows have one rule.
    """
    found = [letter for letter in name if letter in _REFUSED_ELSEWHERE or ord(letter) < ord(" ")]
    if found:
        return f"it contains {found[0]!r}"
    if name.partition(".")[0].strip().upper() in _DEVICES:
        return "it is the name of a device on Windows"
    if name[-1] in ". ":
        return "it ends with a dot or a space, which Windows takes away"
    if name[0] == ".":
        return "it begins with a dot, so that it is hidden"
    return None


def note_names(where: str, names: Sequence[str]) -> None:
    """Note once which names other file systems refuse; the first few of them."""
    found = [(name, why) for name in dict.fromkeys(names) if (why := refused_elsewhere(name))]
    if found:
        listed = ", ".join(f"{name!r} ({why})" for name, why in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        note_once(f"{where}: names that cannot be copied everywhere: {listed}{more}")


def same_file_key(prompt: str) -> str:
    """Prompts with equal keys share one file on a file system that ignores case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", prompt).casefold())


def styles_named(text: str, available: Collection[str]) -> list[str]:
    """The styles that may be meant: 4 is 04, and letters may be composed in either way.

    A style of this very name is the only one. Otherwise 4 may be 04 and 004.
    """
    if text in available:
        return [text]
    return [style for style in available if _meaning(style) == _meaning(text)]


def style_named(text: str, available: Collection[str]) -> str | None:
    """The only style that may be meant, see `styles_named`; None if there is none, or several."""
    same = styles_named(text, available)
    return same[0] if len(same) == 1 else None


def _meaning(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    if not (composed.isascii() and composed.isdigit()):
        return composed
    return composed.lstrip("0") or "0"  # `int` refuses thousands of digits


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
        """The output of Jittor's compiled parts."""
        return self.hidden / "jittor.log"

    @property
    def fault(self) -> Path:
        """The report of a fault of the program."""
        return self.hidden / "fault.log"

    def remove_hidden_leftovers(self) -> None:
        """Remove the files a killed command was writing below the hidden folder."""
        for place, _, _ in os.walk(self.hidden):
            remove_leftovers(Path(place))

    def prepare(self) -> None:
        """Make the folder, and find out whether it can be written to before any work is done."""
        require_writable(self.hidden)


@dataclass(frozen=True)
class OutFolder(WorkFolder):
    """The paths inside the `--out` folder of a run.

    Attributes:
        styles: folder of inverted styles that other runs use, too; None for one of its own.
    """

    styles: Path | None = None

    @property
    def record(self) -> Path:
        """The record of the run: settings, model, references, versions."""
        return self.hidden / "run.json"

    @property
    def log(self) -> Path:
        """One line per job."""
        return self.hidden / "run.log"

    def picture(self, style: str, prompt: str) -> Path:
        """A result of the run."""
        return self.root / style / picture_name(prompt)

    def content(self, style: str, prompt: str) -> Path:
        """The picture that is stylised."""
        return self.hidden / "contents" / style / picture_name(prompt)

    def lora(self, style: str) -> Path:
        """The folder of the LoRA that the run trains for a style."""
        return self.hidden / "loras" / style

    def inverted(self, style: str, number: int = 0) -> Path:
        """The inverted reference of this number, while the style's pictures are being made."""
        name = f"{style}/{number}" if number else style
        return (self.styles or self.hidden / "styles") / f"{name}.safetensors"

    @property
    def ledger(self) -> Path:
        """The ledger of all jobs."""
        return self.hidden / "ledger.sqlite"

    @property
    def timeline(self) -> Path:
        """The timeline page."""
        return self.hidden / "timeline.html"

    @property
    def gallery(self) -> Path:
        """The gallery page."""
        return self.root / "gallery.html"

    def sheet(self, style: str) -> Path:
        """The style's contact sheet."""
        return self.hidden / "sheets" / f"{style}.png"

    def remove_leftovers(self, styles: Iterable[str]) -> None:
        """Remove the files a killed run was writing. Finished files have other names."""
        self.remove_hidden_leftovers()
        for folder in (self.root, *(self.root / style for style in styles)):
            remove_leftovers(folder)


@dataclass(frozen=True)
class LoRAFolder(WorkFolder):
    """The paths inside the `--out` folder of a training."""

    @property
    def record(self) -> Path:
        """The record of the trainings, with their checkpoint."""
        return self.hidden / "train.json"

    @property
    def log(self) -> Path:
        """One line per LoRA."""
        return self.hidden / "train.log"

    def lora(self, name: str) -> Path:
        """The folder of one LoRA: of a style, or of a pack of styles."""
        return self.root / name


class FolderPath(PosixPath):
    """A path that was written with a slash at its end, which means a folder."""


CONTACT_SHEET = "contact-sheet"
"""Stem of the overview that several results get."""


def picture_target(out: Path, stem: str) -> Path:
    """The picture `--out` means: a file, or `stem` in a folder."""
    if not is_folder(out):
        if out.suffix.lower() != SUFFIX:
            raise InputError(
                f"--out {out}: pictures are written as PNG. Name a {SUFFIX} file or a folder.",
                fields=["out"],
            )
        return out
    stem = stem.strip()
    if problem := naming_problem(stem):
        raise InputError(
            f"--out {out}: {stem!r} cannot be a file name in it, because {problem}. "
            f"Name a {SUFFIX} file.",
            fields=["out"],
        )
    note_names(f"--out {out}", [picture_name(stem)])
    return out / picture_name(stem)


def picture_targets(out: Path, stems: Sequence[str]) -> list[Path]:
    """A picture in the folder `out` for each stem; equal stems are numbered."""
    if not is_folder(out):
        raise InputError(f"--out {out}: several styles need a folder, not a file.", fields=["out"])
    taken = {CONTACT_SHEET}
    targets: list[Path] = []
    for stem in stems:
        name, number = stem, 1
        while same_file_key(name) in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(same_file_key(name))
        targets.append(picture_target(out, name))
    return targets


def remove_folder(folder: Path) -> None:
    """Remove a folder of the run and all that is in it.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(
            f"cannot remove {folder}: {error.strerror}. Remove it yourself, or choose another "
            "--out."
        ) from error


_OTHER_PICTURES = (".eps", ".heic", ".pdf", ".psd", ".svg")


def is_folder(out: Path) -> bool:
    """Whether `--out` is meant as a folder: it is one, ends with a slash, or names no picture.

    A dot alone makes no picture: `results.v2` and `gamma-0.5` are folders.
    """
    # Here, since `--help` imports this module and looks at no picture.
    from jstyleid_core.image_files import is_image_name

    return (isinstance(out, FolderPath) or out.is_dir()
            or not (is_image_name(out) or out.suffix.lower() in _OTHER_PICTURES or out.is_file()))


def require_writable(folder: Path) -> None:
    """Make `folder`, and find out whether it can be written to.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot write there: {error.strerror}. Choose another folder."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"--out {folder}: you may not write there. Choose another folder, or change its "
            "permissions."
        )
