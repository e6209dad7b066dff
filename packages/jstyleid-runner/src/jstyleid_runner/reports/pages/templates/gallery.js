"use strict";
(() => {
  const find = (id) => document.getElementById(id);

  // Filter: a style, and prompts that hold every word.
  const form = find("filter");
  const chosen = find("filter-style");
  const text = find("filter-text");
  const styles = Array.from(document.querySelectorAll("section.style"), (section) => ({
    section,
    prompts: Array.from(section.querySelectorAll("figure.prompt"), (figure) => ({
      figure, text: figure.dataset.prompt.toLowerCase(),
    })),
  }));
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let all = 0;
    let shown = 0;
    for (const { section, prompts } of styles) {
      const inStyle = chosen.value === "" || chosen.value === section.dataset.style;
      let some = 0;
      for (const prompt of prompts) {
        const kept = inStyle && words.every((word) => prompt.text.includes(word));
        prompt.figure.hidden = !kept;
        some += kept;
      }
      section.hidden = !(inStyle && (some || !words.length));
      all += prompts.length;
      shown += some;
    }
    find("filter-count").textContent = `${shown} of ${all} prompts`;
  };
  text.addEventListener("input", filter);
  chosen.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();

  // The enlarged view: whatever is shown, one button after the other.
  const view = find("view");
  const stage = find("view-stage");
  const compare = find("view-compare");
  const overlay = find("view-overlay");
  const cut = find("view-cut");
  let current = null;

  const enlarged = (half) => {
    const figure = document.createElement("figure");
    figure.append(half.firstElementChild.cloneNode(true));
    const caption = document.createElement("figcaption");
    caption.append(half.dataset.label);
    if (half.dataset.href) {
      const link = document.createElement("a");
      link.href = half.dataset.href;
      link.target = "_blank";
      link.rel = "noopener";
      link.textContent = "full size";
      link.setAttribute("aria-label", `Full size of the ${half.dataset.label}, in a new tab`);
      caption.append(link);
    }
    figure.append(caption);
    return figure;
  };
  const arrange = () => {
    const both = stage.querySelectorAll("img").length === 2;
    const over = both && overlay.getAttribute("aria-pressed") === "true";
    compare.hidden = !both;
    cut.hidden = !over;
    stage.classList.toggle("overlay", over);
    stage.style.setProperty("--cut", `${cut.value}%`);
  };
  const shownButtons = () => Array.from(document.querySelectorAll(
    "section.style:not([hidden]) figure:not([hidden]) > .open"));
  const show = (button) => {
    current = button;
    const buttons = shownButtons();
    find("view-title").textContent = `${button.dataset.title} · style ${button.dataset.style}`;
    find("view-place").textContent = `${buttons.indexOf(button) + 1} of ${buttons.length}`;
    stage.replaceChildren(...Array.from(button.querySelectorAll(".half"), enlarged));
    arrange();
  };
  const move = (step) => {
    const buttons = shownButtons();
    show(buttons[(buttons.indexOf(current) + step + buttons.length) % buttons.length]);
  };
  const switchOverlay = () => {
    overlay.setAttribute("aria-pressed", overlay.getAttribute("aria-pressed") !== "true");
    arrange();
  };
  document.querySelector("main").addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    show(button);
    view.showModal();
  });
  find("view-close").addEventListener("click", () => view.close());
  find("view-previous").addEventListener("click", () => move(-1));
  find("view-next").addEventListener("click", () => move(1));
  overlay.addEventListener("click", switchOverlay);
  cut.addEventListener("input", arrange);
  // Outside of the dialog's box it is the backdrop that is clicked.
  view.addEventListener("click", (event) => {
    const box = view.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (event.target === view && !inside) view.close();
  });
  view.addEventListener("close", () => {
    stage.replaceChildren();
    current.focus();
  });
  view.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "o" && !compare.hidden) switchOverlay();
    // The slider has a use of its own for them.
    if (event.target === cut) return;
    if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "ArrowRight") move(1);
    else return;
    event.preventDefault();
  });
})();
