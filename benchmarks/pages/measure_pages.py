"""Time and memory of the gallery and of the comparison in Chromium, at the challenge's size.

`python big_runs.py FOLDER && python measure_pages.py FOLDER` prints the table of "Pages of 2,800
pictures" in docs/measurements.md. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from big_runs import plan_of
from jstyleid_runner.reports.comparison import compare_runs, read_run
from jstyleid_runner.reports.pages.compare import write_comparison
from jstyleid_runner.reports.pages.gallery import gallery_of, write_gallery
from jstyleid_runner.storage.layout import OutFolder

SIZES = ((1280, 900), (390, 844))
SCROLL = """async (step) => {
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  const end = last + 10000;
  while (last < end) {
    scrollBy(0, step);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
    if (scrollY + innerHeight >= document.documentElement.scrollHeight - 2) scrollTo(0, 0);
  }
  return times;
}"""
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def timed(action: Callable[[], object], page: Page) -> float:
    """Milliseconds until the page has drawn what an action changed."""
    start = time.perf_counter()
    action()
    page.evaluate(FRAME)
    return (time.perf_counter() - start) * 1000


def memory(browser: Browser) -> float:
    """MB of the pages' processes, shared parts divided."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    total = 0
    for process in found["processInfo"]:
        if process["type"] == "renderer":
            rollup = Path(f"/proc/{process['id']}/smaps_rollup").read_text()
            total += int(next(line.split()[1] for line in rollup.splitlines()
                              if line.startswith("Pss:")))
    return total / 1000


def measure(path: Path, size: tuple[int, int], launch: Callable[[], Browser]) -> dict[str, Any]:
    """Open a page in a browser of its own, and use it."""
    browser = launch()
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate(FRAME)
    paint, load = page.evaluate("""[
      performance.getEntriesByName("first-contentful-paint")[0].startTime,
      performance.getEntriesByType("navigation")[0].loadEventEnd]""")
    opened = memory(browser)
    slow = sorted(page.evaluate(SCROLL, 40))
    fast = sorted(page.evaluate(SCROLL, 400))
    scrolled = memory(browser)
    page.evaluate("scrollTo(0, 0)")
    typed = timed(lambda: page.locator("#filter-text").fill("7 of"), page)
    cleared = timed(lambda: page.locator("#filter-text").fill(""), page)
    page.locator("figure.prompt .open").first.click()
    steps = sorted(timed(lambda: page.keyboard.press("ArrowRight"), page) for _ in range(50))
    looked = memory(browser)
    browser.close()
    return {
        "first paint, ms": paint, "loaded, ms": load, "MB opened": opened,
        "scroll median, ms": slow[len(slow) // 2], "99 %": slow[len(slow) * 99 // 100],
        "longest": slow[-1],
        "fast scroll median, ms": fast[len(fast) // 2], "fast 99 %": fast[len(fast) * 99 // 100],
        "fast longest": fast[-1], "MB scrolled": scrolled,
        "filter, ms": typed, "filter off, ms": cleared,
        "next picture median, ms": steps[25], "next longest": steps[-1], "MB looked": looked,
    }


def main() -> None:
    """Write both pages of the runs in a folder, and measure them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="measure pages that are there")
    options = parser.parse_args()
    folder = options.folder.resolve()
    pages = {"gallery": folder / "a" / "gallery.html", "compare": folder / "compare.html"}
    if not options.keep:
        start = time.perf_counter()
        styles = gallery_of(plan_of(folder, "a")[0], OutFolder(folder / "a"))
        write_gallery(pages["gallery"], styles, title="Split S")
        print(f"gallery written in {time.perf_counter() - start:.0f} s", flush=True)
        start = time.perf_counter()
        write_comparison(pages["compare"],
                         compare_runs(read_run(folder / "a"), read_run(folder / "b")))
        print(f"compare written in {time.perf_counter() - start:.0f} s", flush=True)
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        for name, path in pages.items():
            print(f"{name}: {path.stat().st_size / 1e6:.1f} MB")
            for size in SIZES:
                result = measure(
                    path, size, lambda: started.chromium.launch(executable_path=found))
                shown = ", ".join(f"{what} {value:.0f}" for what, value in result.items())
                print(f"{name} {size[0]}: {shown}", flush=True)


if __name__ == "__main__":
    main()
