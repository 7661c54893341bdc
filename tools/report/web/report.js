// The gallery: filters, and a grid in which only what is near the window exists. Text from outside is only ever set as
// text; there is no markup in this file.
"use strict";

const byId = (id) => document.getElementById(id);
const gallery = JSON.parse(byId("data").textContent);
const images = gallery.images.map((row) => {
  const image = Object.fromEntries(gallery.columns.map((name, at) => [name, row[at]]));
  image.label = gallery.labels[image.label];
  image.format = gallery.formats[image.format];
  image.words = `${image.name} ${image.label}`.toLowerCase();
  return image;
});

const MISSING = {
  gone: "The image is gone",
  changed: "The image was changed since",
  undecodable: "Cannot be shown here",
  unreachable: "Storage did not give it",
};
const ORDERS = {
  least: (a, b) => a.score - b.score,
  sure: (a, b) => b.score - a.score,
  newest: (a, b) => b.at - a.at,
  name: (a, b) => (a.name < b.name ? -1 : 1),
};

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const baseName = (name) => name.slice(name.lastIndexOf("/") + 1);
const count = (number) => number.toLocaleString("en");
const counted = (number) => `${count(number)} image${number === 1 ? "" : "s"}`;

function picture(image) {
  const isKnown = Object.hasOwn(MISSING, image.picture);
  if (isKnown) return make("span", "", MISSING[image.picture]);
  const made = make("img");
  made.alt = "";
  made.src = `data:image/webp;base64,${image.picture}`;
  return made;
}

// --- filters ---------------------------------------------------------------------------------------------------------

const filters = byId("filters");
const [search, label, least, most, order] = ["search", "label", "least", "most", "order"].map(byId);
let shown = [];

const perLabel = new Map();
for (const image of images) perLabel.set(image.label, (perLabel.get(image.label) ?? 0) + 1);
for (const [name, number] of [...perLabel].sort((a, b) => b[1] - a[1])) {
  label.append(new Option(`${name} (${count(number)})`, `=${name}`));
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const [from, to] = [least.value / 100, most.value / 100];
  least.nextElementSibling.textContent = from.toFixed(2);
  most.nextElementSibling.textContent = to.toFixed(2);
  const wanted = label.value && label.value.slice(1);
  const isWanted = (image) =>
    (label.value === "" || image.label === wanted) &&
    image.score >= from &&
    (image.score <= to || to === 1) &&
    words.every((word) => image.words.includes(word));
  const groups = new Map();
  for (const image of images.filter(isWanted)) {
    if (!groups.has(image.label)) groups.set(image.label, []);
    groups.get(image.label).push(image);
  }
  const ranked = [...groups].sort((a, b) => perLabel.get(b[0]) - perLabel.get(a[0]));
  for (const [, members] of ranked) members.sort(ORDERS[order.value]);
  shown = ranked.flatMap(([, members]) => members);
  const found = shown.length === images.length ? `${counted(images.length)}.` : `${count(shown.length)} of ${counted(images.length)}.`;
  byId("found").textContent = found;
  layOut(ranked);
}

// --- the grid --------------------------------------------------------------------------------------------------------
//
// rows: one per label's heading and one per line of tiles, each with its top and height. Those near the window are
// elements, all others only numbers, so that ten thousand pictures scroll like fifty.

const grid = byId("grid");
let rows = [];
let columns = 1;
let current = 0; // the tile that Tab reaches
let ranking = [];

function layOut(ranked = ranking) {
  ranking = ranked;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const gap = rem * 0.75;
  const width = grid.clientWidth;
  columns = Math.max(2, Math.floor((width + gap) / (rem * 10.5 + gap)));
  const tileHeight = Math.round(((width - gap * (columns - 1)) / columns) * 0.75 + rem * 1.7);
  rows = [];
  let top = 0;
  let first = 0;
  const add = (row, height) => {
    rows.push({ ...row, top, height, element: null });
    top += height;
  };
  for (const [name, members] of ranked) {
    add({ name, members: members.length }, rem * (first ? 3.5 : 2.5));
    for (let at = 0; at < members.length; at += columns) {
      add({ first: first + at, last: first + Math.min(at + columns, members.length) - 1, gap }, tileHeight + gap);
    }
    first += members.length;
  }
  grid.replaceChildren();
  grid.style.height = `${top}px`;
  if (images.length && !shown.length) {
    grid.style.height = "auto";
    grid.append(make("p", "none", "No picture matches these filters."));
  }
  current = Math.max(0, Math.min(current, shown.length - 1));
  draw();
}

function draw() {
  const offset = -grid.getBoundingClientRect().top;
  const margin = innerHeight;
  const near = (row) => row.top + row.height > offset - margin && row.top < offset + innerHeight + margin;
  let place = null; // the element after which the next one belongs
  for (const row of rows) {
    const holdsCurrent = row.first <= current && current <= row.last; // and with it the focus, if that is in the grid
    if (!near(row) && !holdsCurrent) {
      row.element?.remove();
      row.element = null;
      continue;
    }
    if (!row.element) {
      row.element = row.name === undefined ? line(row) : heading(row);
      row.element.style.top = `${row.top}px`;
      if (place) place.after(row.element);
      else grid.prepend(row.element);
    }
    place = row.element;
  }
}

function heading(row) {
  const made = make("div", "row", make("h3", "", make("bdi", "", row.name), make("span", "", ` ${counted(row.members)}`)));
  made.style.height = `${row.height}px`;
  return made;
}

function line(row) {
  const made = make("div", "row");
  made.style.height = `${row.height - row.gap}px`;
  made.style.gap = `${row.gap}px`;
  made.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  for (let at = row.first; at <= row.last; at += 1) made.append(tile(at));
  return made;
}

function tile(at) {
  const image = shown[at];
  const score = make("span", image.score < 0.5 ? "unsure" : "", image.score.toFixed(2));
  const made = make(
    "button",
    "tile",
    make("span", "picture", picture(image)),
    make("span", "words", make("bdi", "", baseName(image.name)), score),
  );
  made.type = "button";
  made.dataset.at = at;
  made.tabIndex = at === current ? 0 : -1;
  made.title = image.name;
  made.setAttribute("aria-label", `${image.label}, score ${image.score.toFixed(2)}, ${image.name}`);
  return made;
}

const tileAt = (at) => grid.querySelector(`[data-at="${at}"]`);
const rowOf = (at) => rows.find((row) => row.first <= at && at <= row.last);

function makeCurrent(at) {
  const before = tileAt(current);
  if (before) before.tabIndex = -1;
  current = at;
  const row = rowOf(at);
  const top = row.top + grid.getBoundingClientRect().top;
  if (top < 0 || top + row.height > innerHeight) {
    scrollTo({ top: scrollY + top - (innerHeight - row.height) / 2, behavior: "instant" });
    draw();
  }
  const now = tileAt(at);
  now.tabIndex = 0;
  now.focus({ preventScroll: true });
}

function below(at, lines) {
  const own = rowOf(at);
  const tileRows = rows.filter((row) => row.name === undefined);
  const target = tileRows[tileRows.indexOf(own) + lines];
  return target ? Math.min(target.first + (at - own.first), target.last) : at;
}

grid.addEventListener("keydown", (event) => {
  const moves = {
    ArrowLeft: () => current - 1,
    ArrowRight: () => current + 1,
    ArrowUp: () => below(current, -1),
    ArrowDown: () => below(current, 1),
    Home: () => 0,
    End: () => shown.length - 1,
  };
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (!shown.length || !isPlain || !Object.hasOwn(moves, event.key)) return;
  event.preventDefault();
  makeCurrent(Math.max(0, Math.min(shown.length - 1, moves[event.key]())));
});
grid.addEventListener("focusin", (event) => {
  const focused = event.target.closest(".tile");
  if (!focused || Number(focused.dataset.at) === current) return;
  const before = tileAt(current);
  if (before) before.tabIndex = -1;
  current = Number(focused.dataset.at);
  focused.tabIndex = 0;
});

// --- one picture, large ----------------------------------------------------------------------------------------------

const viewer = byId("viewer");
let viewed = 0;

function view(at) {
  viewed = at;
  const image = shown[at];
  viewer.querySelector(".picture").replaceChildren(picture(image));
  byId("viewer-title").replaceChildren(make("bdi", "", image.label), ` ${image.score.toFixed(2)}`);
  byId("viewer-name").replaceChildren(make("bdi", "", image.name));
  const guesses = [];
  for (let part = 0; part < image.top.length; part += 2) {
    guesses.push(guess(gallery.labels[image.top[part]], image.top[part + 1]));
  }
  byId("viewer-top").tBodies[0].replaceChildren(...guesses);
  byId("viewer-top").hidden = guesses.length === 0;
  const facts = [
    ["Size", image.width && `${count(image.width)} × ${count(image.height)} pixels, ${image.format}`],
    ["Classified", `${new Date(image.at * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`],
    ["Waited", image.waited !== null && lasting(image.waited)],
    ["Work", image.took !== null && lasting(image.took)],
  ];
  const parts = facts.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", "", name), make("dd", "", text)]);
  byId("viewer-facts").replaceChildren(...parts);
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === shown.length - 1;
  if (!viewer.open) viewer.showModal();
}

function guess(name, score) {
  const head = make("th", "", make("bdi", "", name));
  head.scope = "row";
  const meter = make("meter");
  meter.value = score;
  meter.setAttribute("aria-label", name);
  return make("tr", "", head, make("td", "", meter), make("td", "", score.toFixed(3)));
}

function lasting(milliseconds) {
  const units = [["ms", 1, 1e3], ["s", 1e3, 6e4], ["min", 6e4, 36e5], ["h", 36e5, 864e5], ["d", 864e5, Infinity]];
  const [unit, length] = units.find(([, , limit]) => milliseconds < limit);
  const value = milliseconds / length;
  return `${value.toFixed(unit === "ms" || value >= 9.95 ? 0 : 1).replace(".0", "")} ${unit}`;
}

const step = (by) => shown[viewed + by] && view(viewed + by);
grid.addEventListener("click", (event) => {
  const clicked = event.target.closest(".tile");
  if (clicked) view(Number(clicked.dataset.at));
});
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
viewer.addEventListener("close", () => shown.length && makeCurrent(viewed));

// --- start -----------------------------------------------------------------------------------------------------------

for (const link of document.querySelectorAll("a[data-label]")) {
  link.addEventListener("click", () => {
    if (!perLabel.has(link.dataset.label)) return;
    filters.reset();
    label.value = `=${link.dataset.label}`;
    filter();
  });
}
let isDue = false;
const drawSoon = () => {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
};
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", filter);
filters.addEventListener("reset", () => setTimeout(filter)); // after the fields have their first values again
addEventListener("scroll", drawSoon, { passive: true });
addEventListener("resize", drawSoon);
let laidOutWidth = 0;
new ResizeObserver(() => {
  if (grid.clientWidth === laidOutWidth) return;
  laidOutWidth = grid.clientWidth;
  layOut();
}).observe(grid);
if (images.length) filters.hidden = false;
filter();
