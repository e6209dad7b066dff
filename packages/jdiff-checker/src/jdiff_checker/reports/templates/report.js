"use strict";
(() => {
  const table = document.getElementById("images-table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const said = document.getElementById("filter-count");

  // Cells without a number go last, whichever the direction.
  const compareNumbers = (column, sign) => (one, other) => {
    const a = one.cells[column].dataset.value;
    const b = other.cells[column].dataset.value;
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (Number(a) - Number(b));
  };
  const compareTexts = (column, sign) => (one, other) =>
    sign * one.cells[column].textContent.trim().localeCompare(
      other.cells[column].textContent.trim(), undefined, { numeric: true });

  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      const compare = header.dataset.kind === "number" ? compareNumbers : compareTexts;
      const compared = compare(column, ascending ? 1 : -1);
      // The numbers of styles that are not counted come from the other scoring.
      const leftOut = (row) => row.classList.contains("left-out");
      rows.sort((one, other) => leftOut(one) - leftOut(other) || compared(one, other));
      body.append(...rows);
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    });
  });

  const box = document.getElementById("filter");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => texts.get(row).includes(word));
      if (!row.hidden) shown += 1;
    }
    said.textContent = `${shown} of ${rows.length} images`;
  };
  box.addEventListener("input", filter);
  box.closest("[hidden]").hidden = false;
  filter();

  // On paper nothing can be opened.
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = Array.from(closed());
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
})();
