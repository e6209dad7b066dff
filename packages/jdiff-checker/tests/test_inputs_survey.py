import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from jdiff_checker.errors import InputError, UploadError
from jdiff_checker.inputs.survey import (
    Survey,
    covered_styles,
    missing_from,
    official_styles,
    refuse_incomplete,
    survey,
)
from jdiff_checker.result import Problem
from jdiff_checker.scoring import Scoring

BOTH = [Scoring.OFFICIAL, Scoring.CORRECTED]
PROMPTS = ("Ring", "Old Hotel")


def draw(path: Path, size: tuple[int, int] = (512, 512), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)
    return path


def add_style(folder: Path, style: str, prompts: Sequence[str] = PROMPTS) -> None:
    """A whole style on both sides."""
    for name in ("a.png", "b.png"):
        draw(folder / "gt" / style / "images" / name, (32, 32))
    numbered = dict(enumerate(prompts))
    (folder / "gt" / style / "prompt.json").write_text(json.dumps(numbered))
    for prompt in prompts:
        draw(folder / "upload" / style / f"{prompt}.png")


@pytest.fixture
def folder(tmp_path) -> Path:
    add_style(tmp_path, "04")
    return tmp_path


def look(folder: Path, styles: Sequence[str] | None = None, **options) -> Survey:
    return survey(folder / "upload", folder / "gt", styles=styles, **options)


def only_problem(folder: Path, kind: str, styles: Sequence[str] | None = None) -> Problem:
    """The one problem there is."""
    (problem,) = look(folder, styles).problems
    assert problem.kind == kind
    return problem


def of_kind(found: Survey, kind: str) -> list[Problem]:
    return [problem for problem in found.problems if problem.kind == kind]


# --- what is there -----------------------------------------------------------------------------


def test_a_prompt_that_begins_with_a_dot_has_a_hidden_picture(folder):
    add_style(folder, "05", ["...and a cat", "A dog."])
    for other in (".hidden.png", "._...and a cat.png", ".A dog..ab12cd34.part.png"):
        draw(folder / "upload" / "05" / other)
    found = look(folder, ["5"])
    assert found.problems == ()
    assert [(image.picture.name, image.prompt) for image in found.styles[0].images] == [
        ("...and a cat.png", "...and a cat"), ("A dog..png", "A dog.")]


@pytest.mark.parametrize("asked", ["Na\u0308he", "N\u00e4he"])
def test_style_folders_are_one_whether_their_letters_are_composed_or_not(folder, asked):
    add_style(folder, "N\u00e4he", ["Ring"])
    (folder / "upload" / "N\u00e4he").rename(folder / "upload" / "Na\u0308he")
    found = look(folder, [asked])
    assert found.problems == ()
    assert [len(style.images) for style in found.styles] == [1]
    assert look(folder).problems == ()


def test_a_whole_upload_has_no_problems(folder):
    add_style(folder, "02", ["Ship"])
    found = look(folder)
    assert found.problems == ()
    assert (found.upload, found.gt) == (folder / "upload", folder / "gt")
    assert [style.style for style in found.styles] == ["02", "04"]
    style = found.styles[1]
    assert style.prompts == PROMPTS
    assert [picture.name for picture in style.references] == ["a.png", "b.png"]
    assert [(image.picture.name, image.prompt) for image in style.images] == [
        ("Old Hotel.png", "Old Hotel"), ("Ring.png", "Ring"),
    ]
    for scoring in Scoring:
        refuse_incomplete(found, scoring)
        assert missing_from(found, scoring, ["02", "04"]) == []


def test_names_match_whatever_their_case_suffix_and_outer_spaces(folder):
    upload = folder / "upload" / "04"
    (upload / "Ring.png").unlink()
    (upload / "Old Hotel.png").unlink()
    draw(upload / "RING.JPG")
    draw(upload / " old hotel .PNG")
    found = look(folder)
    assert found.problems == ()
    assert {image.picture.name: image.prompt for image in found.styles[0].images} == {
        "RING.JPG": "Ring", " old hotel .PNG": "Old Hotel",
    }


def test_hidden_things_are_passed_over_without_a_word(folder):
    for place in ("gt", "upload"):
        (folder / place / ".cache" / "00").mkdir(parents=True)
        (folder / place / "04" / ".DS_Store").write_text("x")
    (folder / "upload" / "04" / "._Ring.png").write_text("x")
    (folder / "gt" / "04" / "images" / ".hidden.png").write_text("x")
    assert look(folder).problems == ()


def test_progress_counts_every_file_and_threads_share_the_work(folder):
    seen: list[tuple[int, int]] = []
    threads = set()

    def on_progress(done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.current_thread())

    look(folder, workers=2, on_progress=on_progress)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert threads == {threading.current_thread()}


def test_an_interruption_during_progress_comes_through(folder):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(folder, on_progress=stop)


def test_no_workers_are_an_input_error(folder):
    with pytest.raises(InputError, match="workers: 0"):
        look(folder, workers=0)


# --- what stops a scoring ----------------------------------------------------------------------


def test_missing_style(folder):
    add_style(folder, "05")
    for path in (folder / "upload" / "05").iterdir():
        path.unlink()
    problem = only_problem(folder, "missing-style")
    assert (problem.style, problem.file, problem.stops) == ("05", None, BOTH)
    assert problem.message == "05: no images in the upload's folder. Add them."
    draw(folder / "upload" / "05" / "images" / "Ring.png")
    (problem,) = of_kind(look(folder), "missing-style")
    assert problem.message == ("05: no images in the upload's folder, but some in 05/images. "
                               "Results belong into 05 itself.")


def test_missing_style_without_a_folder(folder):
    add_style(folder, "05")
    (folder / "upload" / "05").rename(folder / "moved")
    problem = only_problem(folder, "missing-style")
    assert problem.message == ("05: no folder in the upload. Add the folder 05 with its 2 images.")
    assert look(folder).styles[1].images == ()
    (folder / "moved").rename(folder / "upload" / "5")
    problem, extra = look(folder).problems
    assert "Is it 5? Rename it to 05." in problem.message
    assert extra.kind == "extra-style"


def test_missing_images_are_one_problem(folder):
    (folder / "upload" / "04" / "Ring.png").unlink()
    problem = only_problem(folder, "missing-image")
    assert problem.message == "04: no image for the prompt Ring. Add 04/Ring.png."
    assert (problem.style, problem.file, problem.stops) == ("04", None, BOTH)
    prompts = [f"Thing {number}" for number in range(8)]
    add_style(folder, "04", [*prompts, "Ring"])
    for prompt in prompts:
        (folder / "upload" / "04" / f"{prompt}.png").unlink()
    (folder / "upload" / "04" / "Old Hotel.png").unlink()
    problem = only_problem(folder, "missing-image")
    assert problem.message == (f"04: no image for 8 of 9 prompts: {', '.join(prompts)}. "
                               "Add 04/Thing 0.png and so on.")


def test_unreadable_image_is_not_missing_too(folder):
    (folder / "upload" / "04" / "Ring.png").write_text("no image")
    problem = only_problem(folder, "unreadable")
    assert (problem.style, problem.file, problem.stops) == ("04", "Ring.png", BOTH)
    assert problem.message == (
        "04/Ring.png: not a PNG, JPEG, WebP, TIFF or similar image, whatever its name says. "
        "Save it again as an RGB PNG."
    )
    assert [image.picture.name for image in look(folder).styles[0].images] == ["Old Hotel.png"]


def test_unreadable_reference(folder):
    path = folder / "gt" / "04" / "images" / "b.png"
    path.write_bytes(path.read_bytes()[:50])
    problem = only_problem(folder, "unreadable")
    assert (problem.file, problem.stops) == ("images/b.png", BOTH)
    assert problem.message.startswith("04/images/b.png: damaged or cannot be decoded: ")
    assert len(look(folder).styles[0].references) == 1


def test_a_link_to_nowhere_is_unreadable(folder):
    path = folder / "upload" / "04" / "Ring.png"
    path.unlink()
    path.symlink_to(folder / "gone.png")
    assert "cannot be read: No such file" in only_problem(folder, "unreadable").message


def test_many_unreadable_files_become_one_problem(folder):
    prompts = [f"P{number}" for number in range(7)]
    add_style(folder, "05", prompts)
    for prompt in prompts:
        (folder / "upload" / "05" / f"{prompt}.png").write_text("no image")
    problem = only_problem(folder, "unreadable")
    assert problem.file is None
    assert problem.message == ("05: 7 images cannot be read: P0.png, P1.png, P2.png, P3.png, "
                               "P4.png and 2 more. Save them again as RGB PNG.")


def test_no_prompts(folder):
    path = folder / "gt" / "04" / "prompt.json"
    path.write_text('{"0": 5}')
    problem = only_problem(folder, "no-prompts")
    assert (problem.style, problem.file, problem.stops) == ("04", "prompt.json", BOTH)
    assert problem.message == (
        '04/prompt.json: key "0" holds 5, not a prompt in quotes. Without it nobody can say '
        "whether images are missing."
    )
    path.unlink()
    problem = only_problem(folder, "no-prompts")
    assert problem.file is None
    assert problem.message.startswith("04: no prompt.json in the split, so nobody can say")
    style = look(folder).styles[0]
    assert style.prompts == ()
    assert [image.prompt for image in style.images] == [None, None]


def test_no_references(folder):
    for path in (folder / "gt" / "04" / "images").iterdir():
        path.unlink()
    problem = only_problem(folder, "no-references")
    assert problem.stops == BOTH
    assert problem.message == ("04: no references in the split. Put the style's sample images "
                               "into its folder 04/images.")


def test_duplicate_image(folder):
    draw(folder / "upload" / "04" / "ring.jpg")
    problem = only_problem(folder, "duplicate-image")
    assert (problem.file, problem.stops) == ("ring.jpg", BOTH)
    assert problem.message == ("04/ring.jpg: a second image of the prompt Ring beside Ring.png. "
                               "Keep one file a prompt.")
    images = {image.picture.name: image.prompt for image in look(folder).styles[0].images}
    assert images == {"Old Hotel.png": "Old Hotel", "Ring.png": "Ring", "ring.jpg": None}


def test_of_duplicates_a_readable_one_is_the_prompts_image(folder):
    draw(folder / "upload" / "04" / "ring.jpg")
    (folder / "upload" / "04" / "Ring.png").write_text("no image")
    found = look(folder)
    assert [problem.kind for problem in found.problems] == ["unreadable", "duplicate-image"]
    images = {image.picture.name: image.prompt for image in found.styles[0].images}
    assert images["ring.jpg"] == "Ring"


def test_mixed_sizes_stop_the_official_scoring_only(folder):
    draw(folder / "gt" / "04" / "images" / "c.png", (40, 32))
    problem = only_problem(folder, "mixed-sizes")
    assert (problem.file, problem.stops) == (None, [Scoring.OFFICIAL])
    assert problem.message == (
        "04: the references have 2 sizes: 2 of 32 x 32, but not c.png (40 x 32). The official FID "
        "needs one size. Bring them to one."
    )
    draw(folder / "upload" / "04" / "Ring.png", (256, 256))
    assert [problem.kind for problem in look(folder).problems] == [
        "mixed-sizes", "mixed-sizes", "wrong-size"
    ]


# --- what is only noted ------------------------------------------------------------------------


def test_extra_image(folder):
    draw(folder / "upload" / "04" / "Rings.png")
    problem = only_problem(folder, "extra-image")
    assert (problem.file, problem.stops) == ("Rings.png", [])
    assert problem.message == ("04/Rings.png: belongs to none of the style's prompts. The official "
                               "scoring counts it, the corrected one leaves it out.")
    assert look(folder).styles[0].images[-1].prompt is None


def test_many_extra_images_become_one_note(folder):
    for number in range(6):
        draw(folder / "upload" / "04" / f"x{number}.png")
    problem = only_problem(folder, "extra-image")
    assert problem.message.startswith(
        "04: 6 images belong to none of the style's prompts: x0.png, x1.png, x2.png, x3.png, "
        "x4.png and 1 more. The official"
    )


def test_images_beside_the_style_folders(folder):
    draw(folder / "upload" / "Ring.png")
    problem = only_problem(folder, "extra-image")
    assert (problem.style, problem.file, problem.stops) == (None, "Ring.png", [])
    assert problem.message.startswith("Ring.png: beside the style folders, so left out.")


def test_extra_style(folder):
    draw(folder / "upload" / "99" / "Ring.png")
    problem = only_problem(folder, "extra-style")
    assert (problem.style, problem.stops) == ("99", [])
    assert problem.message == "99: the split has no such style, so the folder is left out."


def test_a_style_that_was_not_selected_is_not_extra(folder):
    add_style(folder, "05")
    assert look(folder, ["04"]).problems == ()


def test_not_an_image(folder):
    (folder / "upload" / "04" / "notes.txt").write_text("x")
    (folder / "upload" / "04" / "old").mkdir()
    for name in ("Thumbs.db", "a.txt", "b.TXT", "c.txt"):  # a.png and b.png have captions
        (folder / "gt" / "04" / "images" / name).write_text("x")
    found = look(folder).problems
    assert [(problem.file, problem.stops) for problem in found] == [
        ("images/Thumbs.db", []), ("images/c.txt", []), ("notes.txt", []), ("old", []),
    ]
    assert {problem.kind for problem in found} == {"not-an-image"}
    assert found[2].message.startswith("04/notes.txt: not an image, so left out. ")
    assert found[3].message.startswith("04/old: a folder, so left out. ")


def test_wrong_size(folder):
    draw(folder / "upload" / "04" / "Ring.png", (256, 200))
    draw(folder / "upload" / "04" / "Old Hotel.png", (256, 200))
    first, second = look(folder).problems
    assert (first.kind, first.file, first.stops) == ("wrong-size", "Old Hotel.png", [])
    assert second.message == ("04/Ring.png: 256 x 200 pixels, not 512 x 512. The task asks for "
                              "512 x 512.")


def test_many_of_the_wrong_size_keep_their_sizes_in_one_note(folder):
    prompts = [f"P{number}" for number in range(6)]
    add_style(folder, "05", prompts)
    for prompt in prompts:
        draw(folder / "upload" / "05" / f"{prompt}.png", (8, 9))
    assert only_problem(folder, "wrong-size").message == (
        "05: 6 images are not 512 x 512 pixels: P0.png (8 x 9), P1.png (8 x 9), P2.png (8 x 9), "
        "P3.png (8 x 9), P4.png (8 x 9) and 1 more. The task asks for 512 x 512."
    )


def test_converted(folder):
    draw(folder / "upload" / "04" / "Ring.png", mode="RGBA")
    draw(folder / "gt" / "04" / "images" / "a.png", (32, 32), mode="L")
    reference, image = look(folder).problems
    assert (reference.kind, reference.file, reference.stops) == ("converted", "images/a.png", [])
    assert image.message == (
        "04/Ring.png: stored as RGBA, scored as RGB. The official checker fails on it or misreads "
        "it. Save it as 8-bit RGB."
    )


# --- completeness ------------------------------------------------------------------------------


def test_refusing_lists_every_problem_that_stops_the_scoring(folder):
    add_style(folder, "05")
    (folder / "upload" / "04" / "Ring.png").unlink()
    (folder / "upload" / "05" / "Ring.png").write_text("no image")
    draw(folder / "gt" / "05" / "images" / "c.png", (8, 8))
    draw(folder / "upload" / "05" / "extra.png")
    found = look(folder)
    with pytest.raises(UploadError) as error:
        refuse_incomplete(found, Scoring.OFFICIAL)
    head, *lines, last = str(error.value).split("\n")
    assert head == f"{folder / 'upload'}: 3 problems, so no official score:"
    assert [line[:3] for line in lines] == ["04:", "05:", "05/"]
    assert last == "Add what is missing, or pass --allow-missing to score what is there."
    assert missing_from(found, Scoring.OFFICIAL, ["04", "05"]) == lines
    assert missing_from(found, Scoring.OFFICIAL, ["04"]) == lines[:1]
    assert missing_from(found, Scoring.CORRECTED, ["04", "05"]) == [lines[0], lines[2]]


def test_a_style_beyond_the_fixed_15_never_stops_the_official_scoring(folder):
    add_style(folder, "15")
    (folder / "upload" / "15" / "Ring.png").unlink()
    draw(folder / "gt" / "15" / "images" / "c.png", (8, 8))
    found = look(folder)
    refuse_incomplete(found, Scoring.OFFICIAL)
    with pytest.raises(UploadError, match="1 problem, so no corrected score"):
        refuse_incomplete(found, Scoring.CORRECTED)
    assert official_styles(found, None) == ("04",)
    assert covered_styles(Scoring.OFFICIAL, found, None) == ("04",)
    assert covered_styles(Scoring.CORRECTED, found, None) == ("04", "15")


def test_a_selection_is_what_the_official_scoring_has_then(folder):
    add_style(folder, "15")
    (folder / "upload" / "15" / "Ring.png").unlink()
    found = look(folder, ["15"])
    assert official_styles(found, ["15"]) == ("15",)
    with pytest.raises(UploadError, match="15: no image for the prompt Ring"):
        refuse_incomplete(found, Scoring.OFFICIAL)


# --- the wrong folder --------------------------------------------------------------------------


def test_styles_may_be_named_without_their_zero(folder):
    add_style(folder, "14")
    assert [style.style for style in look(folder, ["14", "4"]).styles] == ["04", "14"]


def test_unknown_styles_are_listed_beside_what_there_is(folder):
    add_style(folder, "004")
    with pytest.raises(InputError, match=r"gt: no style 7, 4\. There are 004, 04\."):
        look(folder, ["04", "7", "4"])
    with pytest.raises(InputError, match="no style is named"):
        look(folder, [])


@pytest.mark.parametrize("place", ["", "gt/04", "gt/04/images"])
def test_a_gt_too_high_or_too_low_gets_the_right_one_suggested(folder, place):
    with pytest.raises(InputError) as error:
        survey(folder / "upload", folder / place, styles=None)
    assert str(error.value).startswith(f"{folder / place}: no style folders")
    assert str(error.value).endswith(f"Did you mean {folder / 'gt'}?")


@pytest.mark.parametrize("place", ["results", "", "results/deep/upload/04"])
def test_an_upload_too_high_or_too_low_gets_the_right_one_suggested(folder, place):
    upload = folder / "results" / "deep" / "upload"
    upload.parent.mkdir(parents=True)
    (folder / "upload").rename(upload)
    (folder / "gt").rename(folder / "results" / "gt")
    if place == "":
        # Only what lies at most two levels away is looked at.
        upload.rename(folder / "upload")
        upload = folder / "upload"
        (folder / "results" / "gt").rename(folder / "gt")
    gt = folder / "gt" if place == "" else folder / "results" / "gt"
    with pytest.raises(InputError) as error:
        survey(folder / place, gt, styles=None)
    assert "no folder of the styles 04." in str(error.value)
    assert str(upload) in str(error.value).partition("Did you mean")[2]


def test_an_upload_given_as_the_current_folder_gets_a_suggestion(folder, monkeypatch):
    monkeypatch.chdir(folder / "upload" / "04")
    with pytest.raises(InputError, match="Did you mean .*upload"):
        survey(Path("."), folder / "gt", styles=None)


def test_an_upload_without_anything_is_told_what_to_give(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no folder of the styles 04\. Give the folder"):
        survey(folder / "empty", folder / "gt", styles=None)
    with pytest.raises(InputError, match="empty: no style folders.*Give the folder of the split"):
        survey(folder / "upload", folder / "empty", styles=None)


def test_files_and_missing_folders_are_refused(folder):
    archive = folder / "upload.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(InputError, match="upload.zip: a file, not a folder.*unpack an archive"):
        survey(archive, folder / "gt", styles=None)
    with pytest.raises(InputError, match="gone: no such folder"):
        survey(folder / "gone", folder / "gt", styles=None)
    with pytest.raises(InputError, match="gone: no such folder"):
        survey(folder / "upload", folder / "gone", styles=None)


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_split_beside_an_upload_of_one_style(tmp_path):
    gt = Path(os.environ["JSTYLEID_SPLIT_DATA"]) / "B"
    prompts = json.loads((gt / "04" / "prompt.json").read_text()).values()
    for prompt in prompts:
        draw(tmp_path / "04" / f"{prompt}.png")
    found = survey(tmp_path, gt, styles=None)
    assert len(found.styles) == 28
    assert {len(style.references) for style in found.styles} == {3}
    assert {len(style.prompts) for style in found.styles} == {25}
    assert {problem.kind for problem in found.problems} == {"missing-style"}
    assert len(missing_from(found, Scoring.OFFICIAL, official_styles(found, None))) == 14
    assert len(missing_from(found, Scoring.CORRECTED, covered_styles(
        Scoring.CORRECTED, found, None))) == 27
    assert survey(tmp_path, gt, styles=["4"]).problems == ()
