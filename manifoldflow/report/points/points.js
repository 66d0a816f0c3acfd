// The map's controls. Their state is all that there is; every change of one of them draws all that is shown.

const form = document.getElementById("explorer");
const part = Object.fromEntries([...form.querySelectorAll("[id]")].map((one) => [one.id, one]));
const last = data.times.length - 1;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const measured = data.paths.some((path) => path.typicality !== null);
const FRAME = 4000 / Math.max(1, last); // milliseconds: a path takes four seconds
const REST = 700; // how long a change stands before it is spoken
const USUAL = [0.1, 1]; // where 90 % of the draws lie
let playing = null;
let speaking = null;
let waiting = null;
let pointerAt = null;

function checked(name) {
  return [...form.querySelectorAll(`[name=${name}]:checked`)].map((box) => Number(box.value));
}

/** What the controls say. */
function state() {
  return {
    model: part.model.selectedIndex,
    shaded: form.querySelector("[name=shade]:checked") !== null,
    layers: checked("layer"),
    samples: form.querySelector("[name=samples]:checked") !== null,
    chosen: checked("method").map((number) => data.paths[number]),
    pair: part.pair?.selectedIndex ?? 0,
    step: part.time?.valueAsNumber ?? 0,
    across: part.across?.selectedIndex ?? 0,
    up: part.up?.selectedIndex ?? Math.min(1, data.axes.length - 1),
  };
}

function figure(value) {
  if (value === null) return "n/a";
  if (value < 0.0005) return "< 0.001";
  return value > 0.9995 ? "> 0.999" : value.toFixed(3);
}

const map = makeMap(part.map, drawSoon);

/** Draw the map before the next frame, once however often it was asked for. */
function drawSoon() {
  waiting ??= requestAnimationFrame(() => {
    waiting = null;
    map.draw(state());
  });
}

function newChart() {
  const panel = document.createElement("figure");
  panel.className = "panel";
  const legend = document.createElement("ul");
  legend.className = "legend";
  panel.append(document.createElement("figcaption"), element("svg", { class: "chart", role: "img" }), legend);
  part.panels.append(panel);
  return panel;
}

function legendItem(path, now) {
  const item = document.createElement("li");
  const key = form.querySelector(`[name=method][value="${path.number}"]`).parentElement.querySelector("svg");
  const value = document.createElement("span");
  value.className = "value";
  const place = map.placeText(path, now);
  const typicality = path.typicality && figure(path.typicality[now.pair][now.step]);
  value.textContent = [place, typicality].filter(Boolean).join(" · ");
  item.append(key.cloneNode(true), path.name, value);
  return item;
}

function showChart(now) {
  const panel = part.panels.firstElementChild ?? newChart();
  const [caption, svg, legend] = panel.children;
  const curves = now.chosen
    .filter((path) => path.typicality !== null)
    .map((path) => ({ ...path, values: path.typicality[now.pair] }));
  const models = [...new Set(curves.map((path) => path.model).filter(Boolean))];
  caption.textContent = measured ? `Typicality${models.length > 0 ? ` by ${models.join(", ")}` : ""}` : "";
  svg.toggleAttribute("hidden", !measured);
  svg.setAttribute("aria-label", "Typicality over time, one curve a path; the slider moves the cursor");
  if (measured) drawChart(svg, { times: data.times, curves, band: USUAL, range: [0, 1], step: now.step });
  legend.replaceChildren(...now.chosen.map((path) => legendItem(path, now)));
}

function show() {
  const now = state();
  if (part.time) {
    const t = `t = ${data.times[now.step].toFixed(2)}`;
    part.now.textContent = t;
    part.time.setAttribute("aria-valuetext", t);
    showChart(now);
  }
  drawSoon();
}

function speak() {
  const now = state();
  const words = now.chosen.map((path) => {
    const value = path.typicality && `typicality ${figure(path.typicality[now.pair][now.step])}`;
    return `${path.name}: ${[map.placeText(path, now), value].filter(Boolean).join(", ")}`;
  });
  part.spoken.textContent = `${part.now.textContent}. ${words.join("; ")}`;
}

function update() {
  show();
  if (!part.time) return;
  clearTimeout(speaking);
  speaking = setTimeout(speak, REST);
}

function moveTo(step) {
  part.time.value = step;
  update();
}

function pause() {
  clearInterval(playing);
  playing = null;
  if (part.play) part.play.textContent = calm.matches ? "Step" : "Play";
}

function advance() {
  moveTo(part.time.valueAsNumber + 1);
  if (part.time.valueAsNumber === last) pause();
}

function play() {
  if (playing !== null) {
    pause();
  } else if (calm.matches) {
    moveTo((part.time.valueAsNumber + 1) % (last + 1));
  } else {
    if (part.time.valueAsNumber === last) moveTo(0);
    playing = setInterval(advance, FRAME);
    part.play.textContent = "Pause";
  }
}

function turnPair(by) {
  const count = data.pairs.length;
  part.pair.selectedIndex = (part.pair.selectedIndex + by + count) % count;
  map.pairChanged(part.pair.selectedIndex, calm.matches);
  update();
}

/** Let the pointer on the chart move t: a mouse that hovers, a finger that taps or drags. */
function point(event) {
  if (!event.target.matches?.(".chart")) return;
  pause();
  const step = stepAt(event.target, data.times, event.offsetX);
  if (step !== part.time.valueAsNumber) moveTo(step);
}

part.play?.addEventListener("click", play);
part.time?.addEventListener("input", pause);
part.pair?.addEventListener("input", () => map.pairChanged(part.pair.selectedIndex, calm.matches));
part.previous?.addEventListener("click", () => turnPair(-1));
part.next?.addEventListener("click", () => turnPair(1));
part.panels?.addEventListener("pointerdown", point);
addEventListener("pointermove", (event) => {
  const rests = event.clientX === pointerAt; // the page scrolls under a mouse at rest
  pointerAt = event.clientX;
  if (!rests && playing === null && event.buttons === 0) point(event);
});
form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
calm.addEventListener("change", pause);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
addEventListener("resize", show);

document.documentElement.classList.add("scripted");
form.hidden = false;
pause();
show();
