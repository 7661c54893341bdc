// Shows one photo at a time and keeps the answers. Names and labels are hostile: they are only ever set as text. This
// file contains no markup.
"use strict";

const byId = (id) => document.getElementById(id);
const parse = (element) => JSON.parse(element.textContent);
const page = parse(byId("data"));
const photos = [...document.querySelectorAll(".about")].map(parse);
const pictures = document.querySelectorAll(".photo"); // as text: a picture is decoded when it is near the one shown
const labels = page.labels.map(([label, shown]) => ({ label, shown, folded: fold(shown) }));
const shownLabels = new Map([...photos.flatMap((photo) => photo.choices), ...page.labels].map(([label, shown]) => [label, shown]));
const [stage, picture, choices, query, found, notice] = ["stage", "picture", "choices", "query", "found", "notice"].map(byId);

function create(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Lower case without accents, so that "bussard" finds "Mäusebussard" and "mause" too. */
function fold(text) {
  return text.normalize("NFD").replace(/\p{Mark}/gu, "").toLowerCase();
}

const formatNumber = (number) => number.toLocaleString("en");
const say = (text) => (byId("status").textContent = text);

// --- answers ---------------------------------------------------------------------------------------------------------
//
// log: [photo, label or null for unsure, time] for each answer ever given and not undone; the last one of a photo counts.

const storageKey = `review ${page.id}`;
let log = [];
let answers = new Map(); // photo -> { label, at }
let current = 0;
let savedLength = 0; // of the log, when it was last saved to a file
let isKept = true; // by the browser, when the tab closes

function readLog() {
  try {
    const kept = JSON.parse(localStorage.getItem(storageKey) ?? "{}");
    const isAnswer = (each) => Array.isArray(each) && photos[each[0]] && (each[1] === null || typeof each[1] === "string");
    log = (kept.log ?? []).filter(isAnswer);
    current = photos[kept.current] ? kept.current : 0;
    savedLength = kept.savedLength ?? 0;
  } catch {
    log = []; // refused, or not ours
  }
  replay();
}

function replay() {
  answers = new Map();
  for (const [photo, label, at] of log) answers.set(photo, { label, at });
}

function writeLog() {
  try {
    localStorage.setItem(storageKey, JSON.stringify({ log, current, savedLength }));
    isKept = true;
  } catch {
    if (isKept) notify("This browser keeps no answers when the tab closes: save them before you leave.");
    isKept = false;
  }
}

function answer(label) {
  if (answers.get(current)?.label !== label) log.push([current, label, new Date().toISOString()]);
  replay();
  if (isKept) notice.hidden = true;
  const next = nextUnanswered();
  const given = `${display(label)}.`;
  if (next === null) {
    show(current, `${given} All photos are reviewed.`);
    notify("All photos are reviewed. Save the corrections, then import the file.");
    byId("save").focus();
  } else {
    show(next, given);
    stage.focus({ preventScroll: true });
  }
}

function nextUnanswered() {
  for (let step = 1; step < photos.length; step += 1) {
    const at = (current + step) % photos.length;
    if (!answers.has(at)) return at;
  }
  return null;
}

function undo() {
  if (!log.length) return;
  const [photo] = log.pop();
  savedLength = Math.min(savedLength, log.length);
  replay();
  show(photo, "Undone.");
}

function save() {
  const reviews = [...answers].sort(([one], [other]) => one - other).map(([at, { label, at: time }]) => {
    const { blob_name, etag, label: seen, score, model, model_version } = photos[at];
    return { blob_name, etag, label: seen, reviewed_label: label, at: time, score, model, model_version };
  });
  const file = new Blob([JSON.stringify({ ...page.corrections, reviews }, null, 1)], { type: "application/json" });
  const link = create("a");
  link.href = URL.createObjectURL(file);
  link.download = "corrections.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download has begun by then
  savedLength = log.length;
  writeLog();
  draw();
  notify(`Saved ${formatNumber(reviews.length)} reviews as corrections.json. Import them: python -m tools review import corrections.json --by NAME`);
}

function notify(text) {
  notice.textContent = text;
  notice.hidden = false;
}

const display = (label) => (label === null ? "Unsure" : (shownLabels.get(label) ?? label));

// --- the photo -------------------------------------------------------------------------------------------------------

const images = new Map(); // photo -> its element, for the photos near the one shown

function image(at) {
  if (!images.has(at)) {
    const element = create("img");
    element.alt = `Photo ${at + 1}`;
    element.decoding = "sync"; // it is decoded ahead, so that it appears in one frame with its labels
    element.src = `data:image/webp;base64,${pictures[at].textContent}`;
    images.set(at, element);
  }
  return images.get(at);
}

function loadNear() {
  const near = [current, nextUnanswered() ?? current, current + 1, current + 2, current + 3, current - 1];
  for (const at of images.keys()) if (!near.includes(at)) images.delete(at);
  for (const at of near) if (photos[at]) image(at).decode().catch(() => {});
}

function show(at, before = "") {
  current = at;
  closeSearch();
  draw();
  writeLog();
  loadNear();
  const [, label, score] = photos[at].choices[0] ?? [null, "no label", null];
  say(`${before} Photo ${at + 1} of ${photos.length}: ${label} ${formatScore(score)}.`);
}

const formatScore = (score) => (score === null ? "" : score.toFixed(2));

function draw() {
  const photo = photos[current];
  picture.replaceChildren(image(current));
  picture.classList.remove("zoomed");
  const caption = [create("bdi", "", photo.name)];
  if (photo.taken_at) caption.push(create("span", "", photo.taken_at));
  if (photo.decoded_fraction !== null) {
    caption.push(create("span", "damage", `damaged, ${Math.floor(photo.decoded_fraction * 100)} % decoded`));
  }
  caption.push(create("span", "", `${formatNumber(current + 1)} of ${formatNumber(photos.length)}`));
  byId("caption").replaceChildren(...caption);

  const given = answers.get(current);
  const offered = [...photo.choices];
  if (given && given.label !== null && !offered.some(([label]) => label === given.label)) {
    offered.push([given.label, display(given.label), null]);
  }
  choices.replaceChildren(...offered.map((choice, at) => create("li", "", choiceButton(choice, at, given))));
  byId("unsure").setAttribute("aria-pressed", String(given?.label === null));

  byId("progress").max = photos.length;
  byId("progress").value = answers.size;
  byId("count").textContent = `${formatNumber(answers.size)} of ${formatNumber(photos.length)} reviewed`;
  byId("save").disabled = answers.size === 0;
  byId("save").textContent = log.length > savedLength ? `Save ${formatNumber(answers.size)}` : "Save";
  byId("back").disabled = current === 0;
  byId("forward").disabled = current === photos.length - 1;
  byId("undo").disabled = log.length === 0;
  const last = log.at(-1);
  byId("undone").replaceChildren("Undo", ...(last ? [create("span", "", ": ", create("bdi", "", display(last[1])))] : []));
}

function choiceButton([label, shown, score], at, given) {
  const isGiven = given?.label === label;
  const isMarked = given ? isGiven : at === 0; // what Enter accepts
  const hints = create("span", "hints", create("kbd", "", String(at + 1)), ...(isMarked ? [" ", create("kbd", "enter", "Enter")] : []));
  hints.setAttribute("aria-hidden", "true");
  const button = create("button", isMarked ? "marked" : "", hints, create("bdi", "", shown), create("span", "score", formatScore(score)));
  button.type = "button";
  button.title = shown;
  button.dataset.label = label;
  button.setAttribute("aria-pressed", String(isGiven));
  button.setAttribute("aria-keyshortcuts", isMarked ? `${at + 1} Enter` : String(at + 1));
  return button;
}

// --- search among all labels -----------------------------------------------------------------------------------------

const MAX_FOUND = 50;
let active = 0; // index of the option that Enter takes

function search() {
  const text = query.value.trim();
  const words = fold(text).split(/\s+/);
  const starts = (each) => (each.folded.startsWith(words[0]) ? 0 : 1);
  const matches = labels.filter((each) => words.every((word) => each.folded.includes(word)));
  const options = matches.sort((a, b) => starts(a) - starts(b)).slice(0, MAX_FOUND).map(({ label, shown }) => option(label, shown));
  if (text && !labels.some(({ label }) => label === text)) options.push(option(text, text, "New label: "));
  found.replaceChildren(...options);
  found.hidden = options.length === 0;
  query.setAttribute("aria-expanded", String(!found.hidden));
  activate(0);
}

function option(label, shown, before = "") {
  const element = create("li", "", before, create("bdi", "", shown));
  element.setAttribute("role", "option");
  element.dataset.label = label;
  return element;
}

function activate(at) {
  active = Math.max(0, Math.min(found.children.length - 1, at));
  [...found.children].forEach((element, index) => {
    element.id = `option-${index}`;
    element.setAttribute("aria-selected", String(index === active));
  });
  query.setAttribute("aria-activedescendant", found.children.length ? `option-${active}` : "");
  found.children[active]?.scrollIntoView({ block: "nearest" });
}

function closeSearch() {
  query.value = "";
  found.hidden = true;
  query.setAttribute("aria-expanded", "false");
  query.removeAttribute("aria-activedescendant");
}

query.addEventListener("input", search);
query.addEventListener("focus", () => {
  search();
  if (matchMedia("(max-width: 46rem)").matches) byId("search").scrollIntoView(); // a phone's keyboard covers half of it
});
query.addEventListener("blur", closeSearch);
query.addEventListener("keydown", (event) => {
  if (event.isComposing) return; // Enter completes a character of another script
  if (event.key === "ArrowDown") activate(active + 1);
  else if (event.key === "ArrowUp") activate(active - 1);
  else if (event.key === "Enter" && found.children[active]) answer(found.children[active].dataset.label);
  else if (event.key === "Escape") stage.focus();
  else return;
  event.preventDefault();
});
found.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus until the click
found.addEventListener("click", (event) => {
  const chosen = event.target.closest("li");
  if (chosen) answer(chosen.dataset.label);
});

// --- keys and buttons ------------------------------------------------------------------------------------------------

function move(to) {
  if (photos[to] && to !== current) show(to);
}

/** Show the photo three times as large around the pointer, or as a whole again. */
function zoom() {
  picture.classList.toggle("zoomed");
}

function pan(event) {
  const box = picture.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  picture.firstElementChild.style.transformOrigin = `${x * 100}% ${y * 100}%`;
}

function accept() {
  if (answers.has(current)) answer(answers.get(current).label);
  else if (photos[current].choices.length) answer(photos[current].choices[0][0]);
}

const moves = {
  ArrowLeft: () => move(current - 1),
  ArrowRight: () => move(current + 1),
  Home: () => move(0),
  End: () => move(photos.length - 1),
};
const once = { Enter: accept, u: () => answer(null), z: undo, "/": () => query.focus(), "+": zoom };

function handleKey(event) {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const target = event.target;
  const isTyping = target === query || (event.key === "Enter" && target.closest("button, summary, input"));
  if (!isPlain || isTyping || !byId("shortcuts").checked) return;
  // On a French keyboard the digits need Shift, so the place of the key counts as well.
  const digit = /^[1-9]$/.test(event.key) ? event.key : /^Digit([1-9])$/.exec(event.code)?.[1];
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (Object.hasOwn(moves, key)) {
    moves[key]();
  } else if (event.repeat) {
    return; // a key held down answers one photo
  } else if (Object.hasOwn(once, key)) {
    once[key]();
  } else if (digit) {
    choices.querySelectorAll("button")[digit - 1]?.click();
  } else {
    return;
  }
  event.preventDefault();
}

function start() {
  byId("loading").hidden = true;
  if (!photos.length) {
    byId("loading").textContent = "There is no photo to review.";
    byId("loading").hidden = false;
    return;
  }
  document.addEventListener("keydown", handleKey);
  choices.addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (chosen) answer(chosen.dataset.label);
  });
  picture.addEventListener("pointermove", pan);
  picture.addEventListener("click", (event) => {
    pan(event);
    zoom();
  });
  byId("unsure").addEventListener("click", () => answer(null));
  byId("back").addEventListener("click", () => move(current - 1));
  byId("forward").addEventListener("click", () => move(current + 1));
  byId("undo").addEventListener("click", undo);
  byId("save").addEventListener("click", save);
  addEventListener("storage", (event) => {
    if (event.key !== storageKey) return; // another tab shows this page
    readLog();
    draw();
  });
  addEventListener("beforeunload", (event) => {
    if (!isKept && log.length > savedLength) event.preventDefault();
  });
  byId("main").hidden = false;
  readLog();
  show(current);
  stage.focus({ preventScroll: true });
}

start();
