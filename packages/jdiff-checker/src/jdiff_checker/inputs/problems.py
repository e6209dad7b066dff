"""Messages about the problems of an upload, and the scorings that each problem stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jdiff_checker.inputs.folders import PROMPT_FILE, REFERENCES
from jdiff_checker.inputs.images import Picture
from jdiff_checker.result import Problem
from jdiff_checker.scoring import Scoring

SIDE = 512
"""Side of the images that the task requires, in pixels."""
_SHOWN = 5
"""Largest number of similar problems of a style that get a message each; more share one."""


@dataclass(frozen=True)
class _Wording:
    """Message about a kind of problem: for one file, for many files, and the advice."""

    one: str
    many: str
    advice: str
    advice_many: str | None = None


_WORDING = {
    "unreadable": _Wording("{detail}", "cannot be read", "", " Save them again as RGB PNG."),
    "duplicate-image": _Wording(
        "a second image of the prompt {detail}", "are second images of a prompt",
        " Keep one file a prompt."),
    "extra-image": _Wording(
        "belongs to none of the style's prompts", "belong to none of the style's prompts",
        " The official scoring counts it, the corrected one leaves it out.",
        " The official scoring counts them, the corrected one leaves them out."),
    "not-an-image": _Wording(
        "{detail}, so left out", "are not images, so left out",
        " The official checker takes everything in the folder for an image and fails. Take it "
        "out.",
        " The official checker takes everything in the folder for an image and fails. Take them "
        "out."),
    "wrong-size": _Wording(
        f"{{detail}} pixels, not {SIDE} x {SIDE}", f"are not {SIDE} x {SIDE} pixels",
        f" The task asks for {SIDE} x {SIDE}."),
    "converted": _Wording(
        "stored as {detail}, scored as RGB", "are not stored as RGB, but scored so",
        " The official checker fails on it or misreads it. Save it as 8-bit RGB.",
        " The official checker fails on them or misreads them. Save them as 8-bit RGB."),
    "not-applied": _Wording(
        "has {detail}, left out of the scoring", "have what is left out of the scoring",
        " The official checker leaves it out, too. Save the image as it looks, as RGB PNG.",
        " The official checker leaves it out, too. Save the images as they look, as RGB PNG."),
}
_WITHOUT_DETAIL_IN_LISTS = ("unreadable", "not-an-image")


class StyleProblems:
    """Collects the problems of one style.

    `stops` are the scorings that a missing or broken file of this style stops.
    """

    def __init__(self, style: str, stops: Sequence[Scoring]) -> None:
        self.found: list[Problem] = []
        self._style = style
        self._stops = list(stops)

    def missing_style(self, text: str) -> None:
        """The upload has no image of the style; `text` gives the reason and the fix."""
        self._add("missing-style", text, self._stops)

    def missing_images(self, prompts: Sequence[str], total: int) -> None:
        """Prompts without a file; `total` is the number of all prompts."""
        if not prompts:
            return
        if len(prompts) == 1:
            text = f"no image for the prompt {prompts[0]}. Add {self._style}/{prompts[0]}.png."
        else:
            text = (f"no image for {len(prompts)} of {total} prompts: {', '.join(prompts)}. "
                    f"Add {self._style}/{prompts[0]}.png and so on.")
        self._add("missing-image", text, self._stops)

    def no_prompts(self, reason: str | None) -> None:
        """The split has no prompts for the style; without a `reason` the file is missing."""
        if reason is None:
            text = f"no {PROMPT_FILE} in the split, so nobody can say whether images are missing."
            self._add("no-prompts", f'{text} Write one: {{"0": "Ring", "1": "Hotel"}}.',
                      self._stops)
        else:
            text = f"{reason} Without it nobody can say whether images are missing."
            self._add("no-prompts", text, self._stops, file=PROMPT_FILE)

    def no_references(self) -> None:
        """The split has no sample images of the style."""
        self._add("no-references", "no references in the split. Put the style's sample images "
                  f"into its folder {self._style}/{REFERENCES}.", self._stops)

    def unreadable(self, errors: Sequence[tuple[Path, Exception]], *, references: bool) -> None:
        """Files that `inspect` refused, with its errors."""
        # The error names the whole path; the problem names the file after the style.
        details = [
            (path, str(error).removeprefix(f"{path}: ").rstrip(".")) for path, error in errors
        ]
        self._report("unreadable", details, self._stops, references=references)

    def duplicates(self, found: Sequence[tuple[Path, str]]) -> None:
        """Second files of a prompt, each with the prompt and the first file."""
        self._report("duplicate-image", found, self._stops)

    def extra_images(self, paths: Sequence[Path]) -> None:
        """Images without a prompt."""
        self._report("extra-image", [(path, "") for path in paths], ())

    def not_images(self, paths: Sequence[Path], *, references: bool) -> None:
        """Files and folders that are no images."""
        details = [(path, "a folder" if path.is_dir() else "not an image") for path in paths]
        self._report("not-an-image", details, (), references=references)

    def wrong_sizes(self, pictures: Sequence[Picture]) -> None:
        """Images of the upload that do not have the size of the task."""
        self._report("wrong-size", [
            (picture.path, _size(picture))
            for picture in pictures if (picture.width, picture.height) != (SIDE, SIDE)
        ], ())

    def converted(self, pictures: Sequence[Picture], *, references: bool) -> None:
        """Pictures that are not RGB."""
        self._report("converted", [
            (picture.path, picture.converted_from)
            for picture in pictures if picture.converted_from is not None
        ], (), references=references)

    def not_applied(self, pictures: Sequence[Picture], *, references: bool) -> None:
        """Pictures that viewers show otherwise than their pixels are stored."""
        self._report("not-applied", [
            (picture.path, " and ".join(picture.not_applied))
            for picture in pictures if picture.not_applied
        ], (), references=references)

    def mixed_sizes(self, pictures: Sequence[Picture], *, references: bool) -> None:
        """Pictures of different sizes, which stop only the official scoring."""
        sizes = Counter(map(_size, pictures))
        if len(sizes) < 2:
            return
        usual, count = sizes.most_common(1)[0]
        others = [f"{one.name} ({_size(one)})" for one in pictures if _size(one) != usual]
        noun = "references" if references else "images"
        text = (f"the {noun} have {len(sizes)} sizes: {count} of {usual}, but not "
                f"{_listed(others)}. The official FID needs one size. Bring them to one.")
        stops = [scoring for scoring in self._stops if scoring is Scoring.OFFICIAL]
        self._add("mixed-sizes", text, stops)

    def _add(
        self, kind: str, text: str, stops: Sequence[Scoring], *, file: str | None = None
    ) -> None:
        place = self._style if file is None else f"{self._style}/{file}"
        self.found.append(Problem(kind=kind, style=self._style, file=file,
                                  message=f"{place}: {text}", stops=list(stops)))

    def _report(
        self,
        kind: str,
        found: Sequence[tuple[Path, str]],
        stops: Sequence[Scoring],
        *,
        references: bool = False,
    ) -> None:
        wording = _WORDING[kind]
        folder = f"{REFERENCES}/" if references else ""
        if len(found) <= _SHOWN:
            for path, detail in found:
                text = f"{wording.one.format(detail=detail)}.{wording.advice}"
                self._add(kind, text, stops, file=folder + path.name)
            return
        bare = kind in _WITHOUT_DETAIL_IN_LISTS
        names = [path.name if bare or not detail else f"{path.name} ({detail})"
                 for path, detail in found]
        noun = "files" if kind == "not-an-image" else "images"
        beside = f" in {REFERENCES}" if references else ""
        advice = wording.advice if wording.advice_many is None else wording.advice_many
        self._add(kind, f"{len(found)} {noun}{beside} {wording.many}: {_listed(names)}.{advice}",
                  stops)


def extra_style(folder: str) -> Problem:
    """Problem: a folder of the upload is not a style of the split."""
    return Problem(kind="extra-style", style=folder, file=None,
                   message=f"{folder}: the split has no such style, so the folder is left out.")


def images_beside_styles(paths: Sequence[Path]) -> list[Problem]:
    """Problem: images lie directly in the upload, not in the folder of a style."""
    if not paths:
        return []
    names = _listed([path.name for path in paths])
    return [Problem(
        kind="extra-image", style=None, file=paths[0].name if len(paths) == 1 else None,
        message=f"{names}: beside the style folders, so left out. Move into its style's folder "
                "what belongs there.",
    )]


def _size(picture: Picture) -> str:
    return f"{picture.width} x {picture.height}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
