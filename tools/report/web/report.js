// Draws the gallery: filters, a grid that keeps only the rows near the window in the document, and a viewer. Names and
// labels are hostile: they are only ever set as text. This file contains no markup.
"use strict";

const byId = (id) => document.getElementById(id);
const gallery = JSON.parse(byId("data").textContent);
const images = gallery.images.map((row) => {
  const image = Object.fromEntries(gallery.columns.map((name, at) => [name, row[at]]));
  image.label = gallery.labels[image.label];
  image.format = gallery.formats[image.format];
  image.searchText = `${image.name} ${image.label} ${image.decoded_fraction === null ? "" : "damaged"}`.toLowerCase();
  return image;
});

const MISSING = {
  deleted: "The image was deleted",
  changed: "The image has changed",
  undecodable: "The image cannot be decoded here",
  unreachable: "Storage refused or failed",
};
const ORDERS = {
  lowest: (a, b) => a.score - b.score,
  highest: (a, b) => b.score - a.score,
  newest: (a, b) => b.classified_at - a.classified_at,
  name: (a, b) => (a.name < b.name ? -1 : 1),
};

function create(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

const baseName = (name) => name.slice(name.lastIndexOf("/") + 1);
const formatNumber = (number) => number.toLocaleString("en");
const countImages = (number) => `${formatNumber(number)} image${number === 1 ? "" : "s"}`;

function thumbnail(image) {
  if (Object.hasOwn(MISSING, image.thumbnail)) return create("span", "", MISSING[image.thumbnail]);
  const element = create("img");
  element.alt = "";
  element.src = `data:image/webp;base64,${image.thumbnail}`;
  return element;
}

// --- filters ---------------------------------------------------------------------------------------------------------

const filters = byId("filters");
const [search, label, minScore, maxScore, order] = ["search", "label", "min-score", "max-score", "order"].map(byId);
let shown = [];

const perLabel = new Map();
for (const image of images) perLabel.set(image.label, (perLabel.get(image.label) ?? 0) + 1);
for (const [name, number] of [...perLabel].sort((a, b) => b[1] - a[1])) {
  label.append(new Option(`${name} (${formatNumber(number)})`, `=${name}`));
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const [from, to] = [minScore.value / 100, maxScore.value / 100];
  minScore.nextElementSibling.textContent = from.toFixed(2);
  maxScore.nextElementSibling.textContent = to.toFixed(2);
  const chosenLabel = label.value && label.value.slice(1);
  const matches = (image) =>
    (label.value === "" || image.label === chosenLabel) &&
    image.score >= from &&
    (image.score <= to || to === 1) &&
    words.every((word) => image.searchText.includes(word));
  const groups = new Map();
  for (const image of images.filter(matches)) {
    if (!groups.has(image.label)) groups.set(image.label, []);
    groups.get(image.label).push(image);
  }
  const ranked = [...groups].sort((a, b) => perLabel.get(b[0]) - perLabel.get(a[0]));
  for (const [, members] of ranked) members.sort(ORDERS[order.value]);
  shown = ranked.flatMap(([, members]) => members);
  const found = shown.length === images.length ? `${countImages(images.length)}.` : `${formatNumber(shown.length)} of ${countImages(images.length)}.`;
  byId("found").textContent = found;
  layOut(ranked);
}

// --- the grid --------------------------------------------------------------------------------------------------------
//
// rows: one per heading of a label and one per row of tiles, each with its top and height in pixels. Only rows near the
// window have elements, so that ten thousand pictures scroll like fifty.

const grid = byId("grid");
let rows = [];
let columns = 1;
let laidOutWidth = 0; // of the grid, in pixels
let current = 0; // index of the tile that Tab reaches
let groups = []; // [label, images] pairs as last laid out

function layOut(newGroups = groups) {
  groups = newGroups;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const gap = rem * 0.75;
  const width = grid.clientWidth;
  const hadFocus = grid.contains(document.activeElement);
  laidOutWidth = width;
  columns = Math.max(2, Math.floor((width + gap) / (rem * 10.5 + gap)));
  const tileHeight = Math.round(((width - gap * (columns - 1)) / columns) * 0.75 + rem * 1.7);
  rows = [];
  let top = 0;
  let first = 0;
  const add = (row, height) => {
    rows.push({ ...row, top, height, element: null });
    top += height;
  };
  for (const [name, members] of groups) {
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
    grid.append(create("p", "no-match", "No picture matches these filters."));
  }
  current = Math.max(0, Math.min(current, shown.length - 1));
  draw();
  if (hadFocus) tileAt(current)?.focus({ preventScroll: true });
}

function draw() {
  const offset = -grid.getBoundingClientRect().top;
  const margin = innerHeight;
  const near = (row) => row.top + row.height > offset - margin && row.top < offset + innerHeight + margin;
  let previous = null; // the element of the row above
  for (const row of rows) {
    const holdsCurrent = row.first <= current && current <= row.last; // it may have the focus
    if (!near(row) && !holdsCurrent) {
      row.element?.remove();
      row.element = null;
      continue;
    }
    if (!row.element) {
      row.element = row.name === undefined ? tileRow(row) : headingRow(row);
      row.element.style.top = `${row.top}px`;
      if (previous) previous.after(row.element);
      else grid.prepend(row.element);
    }
    previous = row.element;
  }
}

function headingRow(row) {
  const element = create("div", "row", create("h3", "", create("bdi", "", row.name), create("span", "", ` ${countImages(row.members)}`)));
  element.style.height = `${row.height}px`;
  return element;
}

function tileRow(row) {
  const element = create("div", "row");
  element.style.height = `${row.height - row.gap}px`;
  element.style.gap = `${row.gap}px`;
  element.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  for (let at = row.first; at <= row.last; at += 1) element.append(tile(at));
  return element;
}

function tile(at) {
  const image = shown[at];
  const score = create("span", image.score < 0.5 ? "low-score" : "", image.score.toFixed(2));
  const element = create(
    "button",
    "tile",
    create("span", "picture", thumbnail(image), ...damageMark(image)),
    create("span", "caption", create("bdi", "", baseName(image.name)), score),
  );
  element.type = "button";
  element.dataset.at = at;
  element.tabIndex = at === current ? 0 : -1;
  element.title = image.name;
  const damage = image.decoded_fraction === null ? "" : `damaged, ${percent(image.decoded_fraction)} decoded, `;
  element.setAttribute("aria-label", `${image.label}, score ${image.score.toFixed(2)}, ${damage}${image.name}`);
  return element;
}

const percent = (share) => `${Math.floor(share * 100)} %`;

function damageMark(image) {
  if (image.decoded_fraction === null) return [];
  const mark = create("span", "damage", `damaged, ${percent(image.decoded_fraction)} decoded`);
  mark.title = `${percent(image.decoded_fraction)} of the height could be decoded`;
  return [mark];
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

function moveRows(at, distance) {
  const row = rowOf(at);
  const tileRows = rows.filter((each) => each.name === undefined);
  const target = tileRows[tileRows.indexOf(row) + distance];
  return target ? Math.min(target.first + (at - row.first), target.last) : at;
}

grid.addEventListener("keydown", (event) => {
  const moves = {
    ArrowLeft: () => current - 1,
    ArrowRight: () => current + 1,
    ArrowUp: () => moveRows(current, -1),
    ArrowDown: () => moveRows(current, 1),
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

// --- the viewer: one picture, large --------------------------------------------------------------------------------------

const viewer = byId("viewer");
let viewed = 0;

function view(at) {
  viewed = at;
  const image = shown[at];
  viewer.querySelector(".picture").replaceChildren(thumbnail(image));
  byId("viewer-title").replaceChildren(create("bdi", "", image.label), ` ${image.score.toFixed(2)}`);
  byId("viewer-name").replaceChildren(create("bdi", "", image.name));
  const predictions = [];
  for (let part = 0; part < image.predictions.length; part += 2) {
    predictions.push(predictionRow(gallery.labels[image.predictions[part]], image.predictions[part + 1]));
  }
  byId("viewer-predictions").tBodies[0].replaceChildren(...predictions);
  byId("viewer-predictions").hidden = predictions.length === 0;
  const details = [
    ["Size", image.width && `${formatNumber(image.width)} × ${formatNumber(image.height)} pixels, ${image.format}`],
    ["Damaged", image.decoded_fraction !== null && `${percent(image.decoded_fraction)} of the height could be decoded`],
    ["Classified", `${new Date(image.classified_at * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`],
    ["Waiting", image.queue_delay_ms !== null && formatDuration(image.queue_delay_ms)],
    ["Processing", image.duration_ms !== null && formatDuration(image.duration_ms)],
  ];
  const parts = details.filter(([, text]) => text).flatMap(([name, text]) => [create("dt", "", name), create("dd", "", text)]);
  byId("viewer-details").replaceChildren(...parts);
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === shown.length - 1;
  if (!viewer.open) viewer.showModal();
}

function predictionRow(name, score) {
  const head = create("th", "", create("bdi", "", name));
  head.scope = "row";
  const meter = create("meter");
  meter.value = score;
  meter.setAttribute("aria-label", name);
  return create("tr", "", head, create("td", "", meter), create("td", "", score.toFixed(3)));
}

function formatDuration(milliseconds) {
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
let isDrawScheduled = false;
const scheduleDraw = () => {
  if (isDrawScheduled) return;
  isDrawScheduled = true;
  requestAnimationFrame(() => {
    isDrawScheduled = false;
    draw();
  });
};
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", filter);
filters.addEventListener("reset", () => setTimeout(filter)); // runs after the browser has reset the fields
addEventListener("scroll", scheduleDraw, { passive: true });
addEventListener("resize", scheduleDraw);
new ResizeObserver(() => {
  if (grid.clientWidth !== laidOutWidth) layOut();
}).observe(grid);
if (images.length) filters.hidden = false;
filter();
