"use strict";
(() => {
  const table = document.getElementById("runs");
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const value = (row, index) => row.cells[index].textContent.trim();
  heads.forEach((head, index) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = Array.from(body.rows);
      const numbers = rows.every((row) => value(row, index) !== "" && !isNaN(value(row, index)));
      rows.sort((one, other) => {
        const [a, b] = [value(one, index), value(other, index)];
        const order = numbers ? a - b : a.localeCompare(b);
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });

  // A point of the plot and its line belong together.
  const plot = document.getElementById("plot");
  const choose = (number) => {
    for (const item of document.querySelectorAll("[data-row]")) {
      item.classList.toggle("chosen", item.dataset.row === number);
    }
  };
  const show = (event) => {
    const number = event.target.dataset.row;
    if (number === undefined) return;
    choose(number);
    body.querySelector(`tr[data-row="${number}"]`).scrollIntoView({ block: "nearest" });
  };
  plot.addEventListener("click", show);
  plot.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();  // the space bar would scroll
    show(event);
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(row.dataset.row);
  });
})();
