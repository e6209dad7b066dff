"""Survey of an upload and its split: the images, what is missing, and the problems found.

`survey` inspects every image and matches it with a prompt. `refuse_incomplete` and `missing_from`
then decide whether the upload is complete for a scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jdiff_checker.errors import IncompleteUploadError, InputError, UploadError
from jdiff_checker.inputs.folders import (
    PROMPT_FILE,
    REFERENCES,
    FolderFiles,
    StyleFiles,
    list_folder,
    list_style,
    prompt_key,
    same_style,
    same_text,
    subfolders,
    upload_folder,
)
from jdiff_checker.inputs.images import Picture, inspect
from jdiff_checker.inputs.problems import StyleProblems, extra_style, images_beside_styles
from jdiff_checker.inputs.prompts import read_prompt_json
from jdiff_checker.inputs.split import check_upload, choose_styles, split_styles
from jdiff_checker.result import Problem
from jdiff_checker.scoring import OFFICIAL_STYLES, Scoring

_Inspected = Mapping[Path, Picture | UploadError]


@dataclass(frozen=True)
class SurveyedStyle:
    """One style: the prompts, and the readable pictures sorted by file name.

    `prompts` is empty if the prompt file of the split is missing or malformed; then no image has a
    prompt.
    """

    style: str
    prompts: tuple[str, ...]
    references: tuple[Picture, ...]
    images: tuple[UploadImage, ...]


@dataclass(frozen=True)
class Survey:
    """Result of a survey: the selected styles by name, including those that the upload lacks."""

    upload: Path
    gt: Path
    styles: tuple[SurveyedStyle, ...]
    problems: tuple[Problem, ...]


def survey(
    upload: Path,
    gt: Path,
    *,
    styles: Sequence[str] | None = None,
    workers: int = 4,
    on_progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Inspect every image of the upload and of the references, and list all problems.

    Args:
        upload: folder with `<NN>/<Prompt>.png`.
        gt: folder of the split, with `<NN>/images/*` and `<NN>/prompt.json`.
        styles: the styles to inspect; 4 is accepted for 04. None selects all styles of the split.
        workers: number of files that are read at the same time, at least 1.
        on_progress: called after each file with the number of finished files and of all files.

    Raises:
        InputError: a folder is wrong, or a style is unknown.
    """
    if workers < 1:
        raise InputError(f"workers: {workers} is too few. Give 1 or more.")
    available = split_styles(gt)
    chosen = choose_styles(gt, available, styles)
    check_upload(upload, chosen)
    listed: list[tuple[StyleFiles, tuple[str, ...], StyleProblems]] = []
    for style in chosen:
        official = styles is not None or style in OFFICIAL_STYLES
        found = StyleProblems(style, tuple(Scoring) if official else (Scoring.CORRECTED,))
        prompts = _prompts(gt / style / PROMPT_FILE, found)
        files = list_style(upload, gt, style, {prompt_key(prompt) for prompt in prompts})
        listed.append((files, prompts, found))
    paths = [path for files, _, _ in listed for path in files.images]
    inspected = _inspect_all(paths, workers, on_progress)
    surveyed: list[SurveyedStyle] = []
    problems: list[Problem] = []
    for files, prompts, found in listed:
        surveyed.append(_survey_style(upload, files, prompts, inspected, found))
        problems.extend(found.found)
    problems.extend(
        extra_style(folder.name) for folder in subfolders(upload)
        if not any(same_text(folder.name, style) for style in available)
    )
    problems.extend(images_beside_styles(list_folder(upload).images))
    return Survey(upload, gt, tuple(surveyed), tuple(problems))


def _inspect_all(
    paths: Sequence[Path], workers: int, on_progress: Callable[[int, int], None] | None
) -> dict[Path, Picture | UploadError]:
    inspected: dict[Path, Picture | UploadError] = {}
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="inspect") as pool:
        try:
            for path, result in zip(paths, pool.map(_inspect_or_error, paths), strict=True):
                inspected[path] = result
                if on_progress is not None:
                    on_progress(len(inspected), len(paths))
        finally:
            # After Ctrl-C the files that still wait must not be read to the end.
            pool.shutdown(wait=False, cancel_futures=True)
    return inspected


def _inspect_or_error(path: Path) -> Picture | UploadError:
    try:
        return inspect(path)
    except UploadError as error:
        return error


def _survey_style(
    upload: Path,
    files: StyleFiles,
    prompts: tuple[str, ...],
    inspected: _Inspected,
    problems: StyleProblems,
) -> SurveyedStyle:
    references = _readable(files.references, inspected, problems, references=True)
    if not files.references.images:
        problems.no_references()
    pictures = _readable(files.upload, inspected, problems, references=False)
    if not files.upload.images:
        problems.missing_style(_why_missing(upload, files, len(prompts)))
    found = match(prompts, files.upload.images, pictures)
    if prompts and files.upload.images:
        problems.missing_images(found.missing, len(prompts))
        problems.duplicates(found.duplicates)
        problems.extra_images(found.unmatched)
    problems.wrong_sizes(pictures)
    return SurveyedStyle(files.style, prompts, references, found.images)


def _prompts(path: Path, problems: StyleProblems) -> tuple[str, ...]:
    if not path.is_file():
        problems.no_prompts(None)
        return ()
    try:
        return read_prompt_json(path)
    except InputError as error:
        problems.no_prompts(str(error).removeprefix(f"{path}: "))
        return ()


def _readable(
    folder: FolderFiles, inspected: _Inspected, problems: StyleProblems, *, references: bool
) -> tuple[Picture, ...]:
    """The readable pictures of a folder; unreadable and unusual files are reported as problems."""
    pictures: list[Picture] = []
    errors: list[tuple[Path, Exception]] = []
    for path in folder.images:
        result = inspected[path]
        if isinstance(result, Picture):
            pictures.append(result)
        else:
            errors.append((path, result))
    problems.unreadable(errors, references=references)
    problems.mixed_sizes(pictures, references=references)
    problems.not_images(folder.others, references=references)
    problems.converted(pictures, references=references)
    problems.not_applied(pictures, references=references)
    return tuple(pictures)


def _why_missing(upload: Path, files: StyleFiles, prompts: int) -> str:
    style = files.style
    if not files.upload.exists:
        alike = [folder.name for folder in subfolders(upload) if same_style(folder.name, style)]
        if alike:
            return f"no folder of this name in the upload. Is it {alike[0]}? Rename it to {style}."
        count = f"its {prompts} images" if prompts else "its images"
        return f"no folder in the upload. Add the folder {style} with {count}."
    if list_folder(upload_folder(upload, style) / REFERENCES).images:
        return (f"no images in the upload's folder, but some in {style}/{REFERENCES}. "
                f"Results belong into {style} itself.")
    return "no images in the upload's folder. Add them."


@dataclass(frozen=True)
class UploadImage:
    """An image of the upload, and the matching prompt of the split, if there is one."""

    picture: Picture
    prompt: str | None


@dataclass(frozen=True)
class Matching:
    """The readable images with their prompts, and everything that does not match."""

    images: tuple[UploadImage, ...]
    missing: tuple[str, ...]
    """Prompts without a file; an unreadable file counts as a file."""
    duplicates: tuple[tuple[Path, str], ...]
    """Second files of a prompt, each with a text that names the prompt and the first file."""
    unmatched: tuple[Path, ...]
    """Readable files without a prompt."""


def match(
    prompts: Sequence[str], files: Sequence[Path], pictures: Sequence[Picture]
) -> Matching:
    """Match file stems to prompts, with case and outer spaces ignored.

    Of several files for one prompt the first readable one is the prompt's image. `files` are all,
    `pictures` those that can be read, both sorted by name.
    """
    by_key = {prompt_key(prompt): prompt for prompt in prompts}
    readable = {picture.path for picture in pictures}
    taken: dict[str, Path] = {}
    # Readable files first: an unreadable one must not keep its prompt from another file.
    for path in sorted(files, key=lambda path: path not in readable):
        prompt = by_key.get(prompt_key(path.stem))
        if prompt is not None:
            taken.setdefault(prompt, path)
    owners = {path: prompt for prompt, path in taken.items()}
    duplicates: list[tuple[Path, str]] = []
    unmatched: list[Path] = []
    for path in files:
        prompt = by_key.get(prompt_key(path.stem))
        if prompt is None:
            if path in readable:
                unmatched.append(path)
        elif taken[prompt] != path:
            duplicates.append((path, f"{prompt} beside {taken[prompt].name}"))
    return Matching(
        images=tuple(UploadImage(one, owners.get(one.path)) for one in pictures),
        missing=tuple(prompt for prompt in prompts if prompt not in taken),
        duplicates=tuple(duplicates),
        unmatched=tuple(unmatched),
    )


def official_styles(survey: Survey, selected: Sequence[str] | None) -> tuple[str, ...]:
    """The styles of the official scoring: the selected ones, or those of the fixed 15 that exist.

    `selected` is the argument of the survey. The result is empty if the split has none of the 15.
    """
    return tuple(
        one.style for one in survey.styles if selected is not None or one.style in OFFICIAL_STYLES
    )


def covered_styles(
    scoring: Scoring, survey: Survey, selected: Sequence[str] | None
) -> tuple[str, ...]:
    """The styles of a scoring; the corrected scoring covers all surveyed styles."""
    if scoring is Scoring.OFFICIAL:
        return official_styles(survey, selected)
    return tuple(one.style for one in survey.styles)


def refuse_incomplete(survey: Survey, scoring: Scoring) -> None:
    """Refuse an upload that is incomplete for the scoring.

    Raises:
        IncompleteUploadError: something is missing; the message lists every problem.
    """
    lines = [problem.message for problem in survey.problems if scoring in problem.stops]
    if lines:
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise IncompleteUploadError(
            f"{survey.upload}: {count}, so no {scoring} score", lines,
            "Add what is missing, or pass --allow-missing to score what is there.",
        )


def missing_from(survey: Survey, scoring: Scoring, styles: Collection[str]) -> list[str]:
    """Problems within `styles` that make the scoring incomplete, one sentence each."""
    return [
        problem.message for problem in survey.problems
        if scoring in problem.stops and problem.style in styles
    ]
