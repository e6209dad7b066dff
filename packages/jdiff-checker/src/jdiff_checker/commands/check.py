"""`jdiff-check --upload out/ --gt data/B`: computes the score."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.commands.common import parse_metrics, parse_styles
from jdiff_checker.errors import IncompleteUploadError, InputError, OutputError, UploadError
from jdiff_checker.scoring import Scoring

if TYPE_CHECKING:
    from jdiff_checker.result import Problem

_logger = logging.getLogger("jdiff_checker")

LOG = "jdiff-check.log"
RESULT = "result.json"


def run_check(
    *,
    upload: Path | None,
    gt: Path | None,
    scoring: Scoring,
    metrics: str | None,
    styles: str | None,
    prompts: Path | None,
    weights: Path | None,
    unpublished_weights: bool,
    allow_missing: bool,
    device: str,
    workers: int | None,
    cache: Path | None,
    no_cache: bool,
    result_folder: Path,
    report: Path | None,
) -> None:
    """Check, print the tables, write `result.json` and, if asked for, the HTML report."""
    if upload is None or gt is None:
        raise InputError(
            "--upload and --gt are both needed: jdiff-check --upload out/ --gt data/B. "
            "See jdiff-check --help."
        )
    if cache is not None and no_cache:
        raise InputError("--cache and --no-cache exclude each other. Give one of them.")
    chosen_metrics, chosen_styles = parse_metrics(metrics), parse_styles(styles)

    from rich.console import Console

    from jdiff_checker.checking import check
    from jdiff_checker.commands.progress import shown_progress
    from jdiff_checker.reports.tables import print_problems, print_result
    from jdiff_checker.result import write_result

    console = Console()

    def show_problems(problems: Sequence[Problem]) -> None:
        print_problems(console, problems)
        for problem in problems:
            _logger.warning("%s: %s", problem.kind, problem.message)

    with _logged_to(result_folder / LOG):
        _logger.info("jdiff-check %s", " ".join(sys.argv[1:]))
        with shown_progress() as on_progress:
            try:
                result = check(
                    upload, gt, scoring=scoring, metrics=chosen_metrics, styles=chosen_styles,
                    prompts=prompts, weights=weights, allow_missing=allow_missing,
                    allow_unpublished_weights=unpublished_weights, device=device,
                    workers=workers, cache=cache, use_cache=not no_cache,
                    on_problems=show_problems, on_progress=on_progress,
                )
            except IncompleteUploadError as error:
                # The problems have just been shown.
                raise UploadError(f"{error.summary}; see above. {error.fix}") from error
            write_result(result, result_folder / RESULT)
            page = None
            if report is not None:
                from jdiff_checker.reports.page import write_report

                page = write_report(
                    result, report,
                    lambda done, total: on_progress("Writing the report", done, total),
                )
        print_result(console, result)
        for scored in (result.official, result.corrected):
            if scored is not None:
                _logger.info("%s: %s; final score %s", scored.scoring,
                             scored.components.model_dump(), scored.final_score)
        # Not by Rich, which would wrap the paths.
        print(f"written: {result_folder / RESULT}" + (f"\nwritten: {page}" if page else ""))


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append the log messages of the block to `path`, also the error that ends the block."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Choose another --result folder."
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        _logger.error("ended by %s: %s", type(error).__name__, error)
        raise
    finally:
        _logger.removeHandler(handler)
        handler.close()
