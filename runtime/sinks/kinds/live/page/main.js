// The page: what comes over the link is drawn, and what the user chooses changes how.

import { ClassList } from "./classes.js";
import { listen } from "./keys.js";
import { Latency, figure } from "./latency.js";
import { Link } from "./link.js";
import { decode, unpack } from "./message.js";
import { Palette } from "./patterns.js";
import { Picture } from "./picture.js";
import { showSource } from "./source.js";
import { stateOf } from "./state.js";

const FIGURES_MS = 250;
const RATE_MS = 2000; // over which rates are taken
const find = (id) => document.getElementById(id);

const picture = new Picture(find);
const latency = new Latency(find);
const classes = new ClassList(find, () => picture.drawClasses());
let [hello, beat, frame, palette] = [null, null, null, null];
let isPaused = false;
let drawnAt = [];
let made = [];
let drawnInAll = 0;

const link = new Link({
  hello(document) {
    hello = document;
    const before = palette?.shown;
    palette = new Palette(hello.classes);
    palette.hasPatterns = find("show-patterns").checked;
    if (before?.length === palette.shown.length) palette.shown = before;
    classes.fill(palette);
    classes.rows.forEach((row, id) => { row.box.checked = palette.shown[id]; });
    find("model").textContent = `${hello.name}, ${hello.precision}`;
    find("guessed").hidden = !hello.guessed.length;
    find("guessed").textContent = `not confirmed: ${hello.guessed.join(", ")}`;
    if (!find("opacity").dataset.chosen) setOpacity(100 * hello.opacity, false);
    [frame, made, drawnAt] = [null, [], []];
  },
  beat(document) {
    beat = document;
    made.push([performance.now(), beat.frames.processed + beat.frames.stale]);
    while (made.length > 2 && made[0][0] < performance.now() - 2 * RATE_MS) made.shift();
    showSource(find("source"), beat);
  },
  async frame(buffer, received) {
    const next = unpack(buffer);
    link.estimate(next.sent, received);
    const decoded = await decode(next);
    const counts = picture.draw(next, decoded, palette);
    frame = next;
    const age = link.age(frame.captured);
    drawnAt.push(performance.now());
    latency.add(frame.ms, age);
    classes.share(counts, frame.shares);
    find("boundary-label").hidden = !decoded.boundary;
    showState();
    Object.assign(document.documentElement.dataset, { frame: frame.frame, drawn: ++drawnInAll }); // for tests
    return { sent: frame.sent, frame: frame.frame };
  },
});

// A text that is written again is laid out again, even if it is the same.
function write(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

function showState() {
  const now = performance.now();
  const age = frame ? link.age(frame.captured) : null;
  const state = stateOf({ link, beat, frame, age, limit: hello?.limit_ms ?? Infinity, isPaused, now });
  for (const id of ["state", "stage", "stamp"]) find(id).dataset.level = state.level;
  write("state-sign", state.sign ?? "");
  write("state-word", state.word);
  write("state-reason", state.reason);
  find("stamp").hidden = state.level === "good" || !frame;
  write("stamp", `${state.sign} ${state.word.toUpperCase()} · ${state.reason}`);
  document.title = state.level === "good" ? "edgeseg live" : `${state.sign} ${state.word} · edgeseg live`;
  if (age !== null) {
    write("age-error", link.roundTrip === null ? "" : `, ± ${Math.ceil(link.roundTrip / 2)} ms`);
    write("age", age < 1e4 ? `${Math.round(age)} ms` : `${(age / 1e3).toFixed(1)} s`);
    find("age").dataset.level = age > hello.limit_ms ? "bad" : "good";
    find("age").dataset.ms = age;
  }
}

function showFigures() {
  const now = performance.now();
  drawnAt = drawnAt.filter((each) => each > now - RATE_MS);
  find("drawn").textContent = frame ? (drawnAt.length / (RATE_MS / 1e3)).toFixed(1) : "–";
  if (made.length > 1) {
    const [first, last] = [made[0], made.at(-1)];
    find("masks").textContent = ((last[1] - first[1]) / ((last[0] - first[0]) / 1e3)).toFixed(1);
  }
  if (frame) find("mask").textContent = `${figure(frame.ms.capture_to_mask)} ms`;
  latency.draw(hello?.deadline_ms);
}

function setOpacity(percent, isChosen = true) {
  const value = Math.round(Math.min(100, Math.max(0, percent)));
  find("opacity").value = value;
  find("opacity-shown").textContent = `${value} %`;
  find("classes").style.opacity = value / 100;
  if (isChosen) find("opacity").dataset.chosen = "yes";
}

function pause() {
  isPaused = !isPaused;
  find("pause").setAttribute("aria-pressed", isPaused);
  find("pause").textContent = isPaused ? "Go on" : "Pause";
  link.pause(isPaused);
  showState();
}

function changeTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
}

function fillScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else find("seen").requestFullscreen();
}

const click = (id) => () => find(id).click();
find("opacity").addEventListener("input", (event) => setOpacity(event.target.valueAsNumber));
find("show-classes").addEventListener("change", (event) => { find("classes").hidden = !event.target.checked; });
find("show-patterns").addEventListener("change", (event) => {
  if (!palette) return;
  palette.hasPatterns = event.target.checked;
  classes.update();
});
find("show-boundary").addEventListener("change", (event) => {
  picture.hasBoundary = event.target.checked;
  if (frame) picture.drawBoundary();
});
find("pause").addEventListener("click", pause);
find("theme").addEventListener("click", changeTheme);
find("full").addEventListener("click", fillScreen);
find("help-open").addEventListener("click", () => find("help").showModal());
document.addEventListener("visibilitychange", () => link.sayPaused());
listen({
  " ": pause,
  "+": () => setOpacity(find("opacity").valueAsNumber + 10),
  "-": () => setOpacity(find("opacity").valueAsNumber - 10),
  m: click("show-classes"),
  p: click("show-patterns"),
  b: click("show-boundary"),
  a: click("all"),
  n: click("none"),
  f: fillScreen,
  t: changeTheme,
  "?": click("help-open"),
  digit: (index) => classes.toggle(index),
});

setInterval(showFigures, FIGURES_MS);
function tick() { // the age moves on whether pictures come or not
  showState();
  setTimeout(() => requestAnimationFrame(tick), 50);
}
tick();
