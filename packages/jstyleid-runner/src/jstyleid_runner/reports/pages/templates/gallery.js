"use strict";
(() => {
  const find = (id) => document.getElementById(id);

  // Filter: a style, and prompts that hold every word.
  const form = find("filter");
  const chosen = find("filter-style");
  const text = find("filter-text");
  const runs = find("filter-runs");  // where the page compares
  const styles = Array.from(document.querySelectorAll("section.style"), (section) => ({
    section,
    prompts: Array.from(section.querySelectorAll("figure.prompt"), (figure) => ({
      figure, text: figure.dataset.prompt.toLowerCase(),
    })),
  }));
  // Styles out of sight are neither laid out nor painted, and keep their height meanwhile: with
  // thousands of pictures, scrolling takes half of the time.
  const settle = () => {
    const sections = styles.map(({ section }) => section).filter((section) => !section.hidden);
    for (const section of sections) section.style.contentVisibility = "visible";
    const heights = sections.map((section) => (
      section.lastElementChild.getBoundingClientRect().bottom
      - section.firstElementChild.getBoundingClientRect().top));
    sections.forEach((section, index) => {
      section.style.containIntrinsicBlockSize = `${heights[index]}px`;
      section.style.contentVisibility = "auto";
    });
  };
  addEventListener("resize", settle);
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let all = 0;
    let shown = 0;
    for (const { section, prompts } of styles) {
      const inStyle = chosen.value === "" || chosen.value === section.dataset.style;
      let some = 0;
      for (const prompt of prompts) {
        const kept = inStyle && words.every((word) => prompt.text.includes(word))
          && (!runs?.value || runs.value === prompt.figure.dataset.runs);
        prompt.figure.hidden = !kept;
        some += kept;
      }
      section.hidden = !(inStyle && (some || !(words.length || runs?.value)));
      all += prompts.length;
      shown += some;
    }
    find("filter-count").textContent = `${shown} of ${all} prompts`;
    settle();
  };
  text.addEventListener("input", filter);
  chosen.addEventListener("input", filter);
  runs?.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();

  // The enlarged view: whatever is shown, one button after the other.
  const view = find("view");
  const stage = find("view-stage");
  const compare = find("view-compare");
  const choices = find("view-pairs");
  const cut = find("view-cut");
  let current = null;
  let chosenPair = choices.dataset.chosen || "";

  const nameOf = (pair) => pair.map((half) => half.dataset.label).join(" | ");
  // The small picture until the whole one is there, which it never is for a page that was moved.
  const enlarged = (half) => {
    const small = half.querySelector("img, .frame").cloneNode(true);
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
      const whole = small.cloneNode();
      whole.src = half.dataset.href;
      whole.decode().then(() => small.replaceWith(whole), () => {
        link.replaceWith("small: the page was moved, or the picture");
      });
    }
    return [small, caption];
  };
  const sideBySide = (half) => {
    const figure = document.createElement("figure");
    figure.append(...enlarged(half));
    return figure;
  };
  const oneOverTheOther = (pair) => {
    const box = document.createElement("div");
    const line = document.createElement("span");
    const captions = document.createElement("div");
    box.className = "wiped";
    line.className = "line";
    captions.className = "captions";
    for (const [picture, caption] of pair.map(enlarged)) {
      box.append(picture);
      captions.append(caption);
    }
    box.append(line);
    return [box, captions];
  };
  const setCut = () => stage.style.setProperty("--cut", `${cut.value}%`);
  const pairsOf = (halves) => (current.dataset.pairs || "").split(" ").filter(Boolean)
    .map((pair) => pair.split("-").map((index) => halves[index]))
    .filter((pair) => pair.every((half) => half.querySelector("img")));
  const arrange = () => {
    const halves = Array.from(current.querySelectorAll(".half"));
    const pairs = pairsOf(halves);
    const over = pairs.find((pair) => nameOf(pair) === chosenPair);
    stage.classList.toggle("overlay", Boolean(over));
    stage.replaceChildren(...(over ? oneOverTheOther(over) : halves.map(sideBySide)));
    setCut();
    compare.hidden = !pairs.length;
    cut.hidden = !over;
    choices.replaceChildren(...pairs.map((pair) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "control";
      button.textContent = choices.dataset.name || nameOf(pair);
      button.value = nameOf(pair);
      button.setAttribute("aria-pressed", pair === over);
      button.setAttribute("aria-keyshortcuts", "o");
      return button;
    }));
  };
  const choose = (name) => {
    const focused = choices.contains(document.activeElement);
    chosenPair = name;
    arrange();
    if (focused) (choices.querySelector("[aria-pressed=true]") || choices.firstChild).focus();
  };
  const chooseNext = () => {
    const names = Array.from(choices.children, (button) => button.value);
    choose(names[names.indexOf(chosenPair) + 1] || "");
  };
  const shownButtons = () => Array.from(document.querySelectorAll(
    "section.style:not([hidden]) figure:not([hidden]) > .open"));
  const show = (button) => {
    current = button;
    const buttons = shownButtons();
    find("view-title").textContent = `${button.dataset.title} · style ${button.dataset.style}`;
    find("view-place").textContent = `${buttons.indexOf(button) + 1} of ${buttons.length}`;
    arrange();
  };
  const beside = (button, step) => {
    const buttons = shownButtons();
    return buttons[(buttons.indexOf(button) + step + buttons.length) % buttons.length];
  };
  const stepOf = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return 0;
    return { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
  };
  const main = document.querySelector("main");
  main.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    show(button);
    view.showModal();
  });
  main.addEventListener("keydown", (event) => {
    const button = event.target.closest(".open");
    const step = stepOf(event);
    if (!button || !step) return;
    beside(button, step).focus();
    event.preventDefault();
  });
  find("view-close").addEventListener("click", () => view.close());
  find("view-previous").addEventListener("click", () => show(beside(current, -1)));
  find("view-next").addEventListener("click", () => show(beside(current, 1)));
  choices.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(button.value === chosenPair ? "" : button.value);
  });
  cut.addEventListener("input", setCut);
  // The pictures themselves can be dragged on, too.
  const drag = (event) => {
    const box = stage.querySelector(".wiped")?.getBoundingClientRect();
    if (!box || !(event.buttons & 1)) return;
    cut.value = 100 * (event.clientX - box.left) / box.width;
    setCut();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".wiped")) return;
    stage.setPointerCapture(event.pointerId);
    drag(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) drag(event);
  });
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
    if (event.key === "o" && !compare.hidden) chooseNext();
    // The slider has a use of its own for the arrows.
    const step = event.target === cut ? 0 : stepOf(event);
    if (!step) return;
    show(beside(current, step));
    event.preventDefault();
  });
})();
