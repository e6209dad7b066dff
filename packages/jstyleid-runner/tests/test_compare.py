"""`jstyleid compare`: runs aligned, what differs, what is refused; nothing is written in them."""

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from jstyleid_core.errors import InputError
from jstyleid_runner.reports.comparison import Comparison, Run, compare_runs, read_run
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts
from other_user import as_nobody

HOSTILE = "a \"quoted\" 'cat' <b>&amp; 100% #1 👩‍🚀"
Invoke = Callable[..., tuple[int, str]]
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(
    make_request: Callable[..., RunRequest], fake_model: Callable[..., Any], display: LineDisplay,
    tmp_path: Path,
) -> MakeRun:
    """Make a run in the folder of this name, with a model that paints noise."""

    def make(out: str, **changes: Any) -> Path:
        run_split(make_request(out=out, **changes), fake_model(), display, RunCounts())
        return tmp_path / out

    return make


def compared(a: Path, b: Path) -> Comparison:
    return compare_runs(read_run(a), read_run(b))


def rows(found: Comparison) -> dict[str, tuple[str, str]]:
    return {row.name: (row.a, row.b) for row in (*found.about, *found.changes)}


def labels(found: Comparison) -> list[str]:
    return [shown.label for shown in found.styles[0].prompts[0].shown]


def state(folder: Path) -> list[tuple[str, int, bytes]]:
    return [(str(path), path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in (folder, *sorted(folder.rglob("*")))]


def test_prompts_are_aligned_and_what_differs_is_told(make_run: MakeRun, tmp_path: Path) -> None:
    a = make_run("a", styles=["00"])
    b = make_run("b", prompts=2, styleid={"steps": 4, "gamma": 0.3})
    found = compared(a, b)
    assert found.counts == {"both": 2, "A": 1, "B": 2}
    assert [(style.name, style.only_in) for style in found.styles] == [("00", None), ("04", "B")]
    first, _, third = found.styles[0].prompts
    assert (first.prompt, first.only_in, first.pairs) == ("Ring", None, "0-1 0-2 1-2")
    assert [(shown.label, shown.path) for shown in first.shown] == [
        ("content", OutFolder(a).content("00", "Ring")), ("A", OutFolder(a).picture("00", "Ring")),
        ("B", OutFolder(b).picture("00", "Ring"))]
    assert (third.prompt, third.only_in) == ("Two Words", "A")
    assert [(shown.label, shown.why) for shown in third.shown] == [
        ("content A", ""), ("A", ""), ("B", "not in B")]
    assert third.pairs == "0-1 1-2"
    assert [(row.name, row.a, row.b) for row in found.changes] == [("styleid.gamma", "0.75", "0.3")]
    assert rows(found)["pictures"] == ("3 of 3", "4 of 4")
    assert rows(found)["folder"] == (str(a), str(b))


def test_contents_that_differ_are_shown_apart(make_run: MakeRun) -> None:
    found = compared(make_run("a"), make_run("b", seed=1))
    assert labels(found) == ["content A", "A", "content B", "B"]
    assert found.styles[0].prompts[0].pairs == "0-1 2-3 1-3"
    assert rows(found)["seed"] == ("0", "1")


def test_a_run_without_contents(make_run: MakeRun) -> None:
    drawn = make_run("a", method="dreambooth", reference=None, styleid=None, styles=["00"])
    found = compared(drawn, make_run("b"))
    assert labels(found) == ["A", "content B", "B"]
    assert found.styles[0].prompts[0].pairs == "1-2 0-2"
    assert rows(found)["method"] == ("dreambooth", "styleid")
    assert [row.name for row in found.changes] == ["method", "reference", "styleid"]
    assert rows(found)["styleid"][0] == "nothing"
    assert "gamma 0.75, temperature 1.5" in rows(found)["styleid"][1]


def test_other_references_are_named(make_run: MakeRun) -> None:
    same = compared(make_run("a"), make_run("b", styleid={"steps": 4, "gamma": 0.3}))
    assert [style.references for style in same.styles] == [None, None]
    found = compared(make_run("c", reference="all"), make_run("b", force=True))
    assert found.styles[0].references == ("apple.png, ball.png", "apple.png")


def test_an_unfinished_run(make_run: MakeRun) -> None:
    a, b = make_run("a"), make_run("b")
    OutFolder(a).picture("00", "Ring").unlink()
    OutFolder(a).picture("04", "Hotel").unlink()
    with sqlite3.connect(OutFolder(a).ledger) as ledger:
        ledger.execute("UPDATE task SET state = 'quarantined' WHERE id = 'picture/04/Hotel'")
    ledger.close()
    with folder_lock(OutFolder(b)):
        found = compared(a, b)
    assert rows(found)["pictures"] == (
        "4 of 6, unfinished, 1 failed", f"6 of 6, a run is at work, process {os.getpid()}")
    why = {(style.name, prompt.prompt): [shown.why for shown in prompt.shown if shown.why]
           for style in found.styles for prompt in style.prompts}
    assert why[("00", "Ring")] == ["not made yet"]
    assert why[("04", "Hotel")] == ["failed"]
    assert sum(map(bool, why.values())) == 2
    assert not found.changes


def test_a_run_of_the_first_version(make_run: MakeRun) -> None:
    old = Path(__file__).parent / "old_run" / "out"
    found = compared(old, make_run("b"))
    assert found.counts == {"both": 2, "A": 0, "B": 4}
    assert rows(found)["method"] == ("styleid-dreambooth", "styleid")


@pytest.mark.usefixtures("no_jittor")
def test_the_command(make_run: MakeRun, invoke: Invoke, tmp_path: Path) -> None:
    make_run("a")
    make_run("b", prompts=2, styleid={"steps": 4, "gamma": 0.3})
    before = state(tmp_path / "a"), state(tmp_path / "b")
    assert invoke("compare", "a", "b") == (0, "writing the page 1/16 writing the page 16/16")
    assert (state(tmp_path / "a"), state(tmp_path / "b")) == before
    page = (tmp_path / "compare.html").read_text()
    links = re.findall(r'data-href="([^"]*)"', page)
    assert len(links) == page.count("<img") == 6 + 6 + 4  # a content for both
    assert all((tmp_path / unquote(unescape(link))).is_file() for link in links)
    assert "not in B" in page


@pytest.mark.usefixtures("no_jittor")
def test_another_users_folders(make_run: MakeRun, tmp_path: Path) -> None:
    a, b = make_run("a"), make_run("b", guidance=5.0)
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:  # all that pytest made, also by several processes
        if parent == Path(tempfile.gettempdir()):
            break
        os.chmod(parent, 0o755)
    before = state(a), state(b)
    assert as_nobody(lambda: str(compared(a, b).counts)) == "{'both': 6, 'A': 0, 'B': 0}"
    OutFolder(a).record.chmod(0o600)
    if os.geteuid() == 0:
        assert "Permission denied" in as_nobody(lambda: str(compared(a, b).counts))
        OutFolder(a).record.chmod(0o644)
    assert (state(a), state(b)) == before


@pytest.mark.usefixtures("no_jittor")
@pytest.mark.parametrize(("words", "message"), [
    ("nowhere b", "nowhere: no run there. Give the folder of a run, as --out named it."),
    ("a data", "data: no run there. Give the folder of a run"),
    ("a top", "top: no run there. There are runs in top/a."),
    ("a a/", "a, a: one and the same run. Give two."),
    ("a link", "a, link: one and the same run. Give two."),
    ("a c", "a, c: no prompt of a style is in both. The first has 3 prompts of split S, styles 00, "
            "the second 3 prompts of split S, styles 04. Give two runs of one split."),
    ("a b -o page.png", "--out page.png: the page is an .html file. Name one."),
    ("a b -o data", "--out data: the page is an .html file. Name one."),
    ("a b -o a/00/Ring.png/x.html", "cannot write"),
    ("a broken", "run.json: not a record this version can read"),
    ("a no-ledger", "ledger.sqlite: no ledger there."),
    ("a", "Missing argument 'OUT_B'"),
])
def test_what_is_refused(
    make_run: MakeRun, invoke: Invoke, tmp_path: Path, words: str, message: str
) -> None:
    a = make_run("a", styles=["00"])
    make_run("b", styles=["00"])
    make_run("c", styles=["04"])
    (tmp_path / "top").mkdir()
    shutil.copytree(a, tmp_path / "top" / "a")
    (tmp_path / "link").symlink_to(a)
    for name, file in (("broken", "run.json"), ("no-ledger", "ledger.sqlite")):
        shutil.copytree(a, tmp_path / name)
        damaged = tmp_path / name / ".jstyleid" / file
        damaged.unlink() if file.endswith("sqlite") else damaged.write_text("{")
    before = state(a)
    code, said = invoke("compare", *words.split())
    assert (code, message in said) == (2, True), said
    assert state(a) == before
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(("id", "style"), [
    ("picture/../../secret", ".."), ("picture/00/../../secret", "00"), ("picture/04/Ring", "00"),
    ("picture/00/", "00"), ("picture", "00"),
])
def test_a_ledger_that_leads_out_of_its_folder(
    make_run: MakeRun, id: str, style: str, tmp_path: Path
) -> None:
    a = make_run("a", styles=["00"])
    with sqlite3.connect(OutFolder(a).ledger) as ledger:
        ledger.execute("UPDATE task SET id = ?, style = ? WHERE id = 'picture/00/Ring'",
                       (id, style))
    ledger.close()
    with pytest.raises(InputError, match="names no picture of a run"):
        read_run(a)


def test_names_are_text(
    make_run: MakeRun, data: Path, tmp_path: Path, invoke: Invoke,
    write_style: Callable[..., Path],
) -> None:
    write_style(data / "S", "<i>04", (HOSTILE, "Ring"))
    make_run("a")
    made = make_run("b", negative="</td><script>alert(1)</script>")
    made.rename(tmp_path / "<script>b")
    code, said = invoke("compare", "a", "<script>b", "-o", "pages/page.html")
    assert code == 0, said
    page = (tmp_path / "pages" / "page.html").read_text()
    assert page.count("<script>") == 1
    assert "<b>" not in page
    assert "<i>04" not in page
    assert HOSTILE in [unescape(text) for text in re.findall(r'data-prompt="([^"]*)"', page)]
    for link in re.findall(r'data-href="([^"]*)"', page):
        assert (tmp_path / "pages" / unquote(unescape(link))).is_file()


def test_a_run_that_has_a_prompt(make_run: MakeRun) -> None:
    run: Run = read_run(make_run("a", styles=["00"]))
    assert run.has("00", "Ring")
    assert not run.has("04", "Ring")
    assert not run.has("00", "ring")
