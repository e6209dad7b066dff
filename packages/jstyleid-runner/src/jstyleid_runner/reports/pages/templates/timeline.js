"use strict";
(() => {
  const chart = document.getElementById("chart");
  if (!chart) return;
  const tip = document.getElementById("tip");
  const ticks = document.getElementById("ticks");
  const whole = Math.max(Number(chart.dataset.span), 0.001);
  const tracks = Array.from(chart.querySelectorAll(".track"), (element) => ({
    element,
    svg: element.querySelector("svg"),
    marker: element.querySelector(".marker"),
    tasks: [],
    selected: null,
  }));

  // The table says what each bar means.
  const table = document.getElementById("tasks");
  const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) {
    if (row.dataset.row === undefined) continue;
    tracks[row.dataset.row].tasks.push({
      row, start: Number(row.dataset.start), end: Number(row.dataset.end),
    });
  }
  for (const track of tracks) track.tasks.sort((one, other) => one.start - other.start);

  // The part of the time that is shown.
  let from = 0;
  let length = whole;
  const width = () => ticks.clientWidth;
  const timeAt = (x) => from + ((x - ticks.getBoundingClientRect().left) / width()) * length;
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
    1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const clock = (seconds, step) => {
    const digits = step >= 1 ? 0 : 2;
    const two = (number) => String(number).padStart(2, "0");
    const rest = (seconds % 60).toFixed(digits).padStart(digits ? 5 : 2, "0");
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${two(minutes % 60)}:${rest}` : `${minutes}:${rest}`;
  };
  const drawTicks = () => {
    const rough = (length / Math.max(width(), 1)) * 90;
    const step = steps.find((each) => each >= rough) ?? Math.ceil(rough / 86400) * 86400;
    const marks = [];
    const end = from + length;
    for (let index = Math.ceil(from / step); index * step <= end; index += 1) {
      const mark = document.createElement("span");
      mark.textContent = clock(index * step, step);
      const place = (index * step - from) / length;
      // A label near the right edge goes to the left of its line.
      if (place * width() > width() - 60) {
        mark.className = "end";
        mark.style.right = `${100 - place * 100}%`;
      } else {
        mark.style.left = `${place * 100}%`;
      }
      marks.push(mark);
    }
    ticks.replaceChildren(...marks);
  };
  const mark = ({ marker, selected }) => {
    marker.hidden = !selected;
    if (!selected) return;
    marker.style.left = `${((selected.start - from) / length) * 100}%`;
    marker.style.width = `max(5px, ${((selected.end - selected.start) / length) * 100}%)`;
  };
  const look = (start, seconds) => {
    length = Math.min(Math.max(seconds, 0.02), whole);
    from = Math.min(Math.max(start, 0), whole - length);
    for (const track of tracks) {
      track.svg.setAttribute("viewBox", `${from} 0 ${length} 1`);
      mark(track);
    }
    drawTicks();
  };
  const zoom = (factor, centre = from + length / 2) => {
    const seconds = Math.min(Math.max(length * factor, 0.02), whole);
    look(centre - (centre - from) * (seconds / length), seconds);
  };

  // What a bar means.
  const tell = ({ row }, x, y) => {
    const [id, ...cells] = Array.from(row.cells, (cell) => cell.textContent);
    const title = document.createElement("b");
    title.textContent = id;
    const told = cells.flatMap((text, index) => (text ? [`${names[index + 1]}: ${text}`] : []));
    tip.replaceChildren(title, told.join("\n"));
    tip.hidden = false;
    const { width: wide, height: high } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - wide - 8))}px`;
    tip.style.top = `${Math.max(8, y + 16 + high > innerHeight ? y - high - 12 : y + 16)}px`;
  };
  const hide = () => { tip.hidden = true; };
  const taskAt = (track, x) => {
    const time = timeAt(x);
    const near = (3 / width()) * length;
    let found = null;
    let distance = near;
    for (const task of track.tasks) {
      const away = Math.max(task.start - time, time - task.end, 0);
      if (away <= distance) [found, distance] = [task, away];
    }
    return found;
  };
  const select = (track, task) => {
    track.selected = task;
    if (task && (task.end < from || task.start > from + length)) {
      look(task.start - length / 4, length);
    }
    mark(track);
    if (!task) return hide();
    const box = track.element.getBoundingClientRect();
    const place = (Math.max(task.start, from) - from) / length;
    return tell(task, box.left + place * box.width, box.bottom - 8);
  };

  for (const track of tracks) {
    let dragged = null;
    const point = (event) => {
      const task = taskAt(track, event.clientX);
      if (task) tell(task, event.clientX, event.clientY);
      else hide();
    };
    track.element.addEventListener("pointerdown", (event) => {
      dragged = { x: event.clientX, from };
      track.element.setPointerCapture(event.pointerId);
      point(event);
    });
    track.element.addEventListener("pointerup", () => { dragged = null; });
    track.element.addEventListener("pointercancel", () => { dragged = null; });
    track.element.addEventListener("pointermove", (event) => {
      if (dragged) look(dragged.from + ((dragged.x - event.clientX) / width()) * length, length);
      point(event);
    });
    track.element.addEventListener("pointerleave", hide);
    // With the control key only: without it, the page is to scroll. Pinching arrives the same way.
    track.element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX));
    }, { passive: false });
    track.element.addEventListener("blur", () => select(track, null));
    track.element.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const { tasks } = track;
      const at = tasks.indexOf(track.selected);
      const centre = track.selected ? (track.selected.start + track.selected.end) / 2 : undefined;
      const keys = {
        ArrowRight: () => select(track, tasks[Math.min(at + 1, tasks.length - 1)]),
        ArrowLeft: () => select(track, tasks[Math.max(at - 1, 0)]),
        Home: () => select(track, tasks[0]),
        End: () => select(track, tasks[tasks.length - 1]),
        Escape: () => select(track, null),
        "+": () => zoom(0.5, centre),
        "-": () => zoom(2, centre),
        0: () => look(0, whole),
      };
      if (!Object.hasOwn(keys, event.key)) return;
      keys[event.key]();
      event.preventDefault();
    });
  }
  const actions = {
    earlier: () => look(from - length / 2, length),
    later: () => look(from + length / 2, length),
    in: () => zoom(0.5),
    out: () => zoom(2),
    all: () => look(0, whole),
  };
  const tools = document.getElementById("zoom");
  tools.addEventListener("click", (event) => actions[event.target.dataset.do]?.());
  tools.hidden = false;
  addEventListener("resize", drawTicks);
  look(0, whole);
})();
