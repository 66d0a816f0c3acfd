// The explorer. Its state is that of its form's controls; every change of one of them updates all that is shown.

const data = JSON.parse(document.getElementById("explorer-data").textContent);
const form = document.getElementById("explorer");
const part = Object.fromEntries([...form.querySelectorAll("[id]")].map((one) => [one.id, one]));
const cards = [...form.querySelectorAll(".card")];
const boxes = [...form.querySelectorAll("[name=method]")];
const last = data.times.length - 1;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const FRAME = 300; // milliseconds
const REST = 700; // how long a change stands before it is spoken
let playing = null;
let speaking = null;
let pointerAt = null;

function figure(value, quantity) {
  if (value === null) return "n/a";
  if (quantity === "statistic") return value.toFixed(3);
  if (value < 0.0005) return "< 0.001";
  return value > 0.9995 ? "> 0.999" : value.toFixed(3);
}

/** Show the image at a step, cut from the strip that stands further down the page. */
function drawImage(canvas, strip, step) {
  const width = (strip.naturalWidth + data.gap) / data.times.length - data.gap;
  const height = strip.naturalHeight;
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").drawImage(strip, step * (width + data.gap), 0, width, height, 0, 0, width, height);
  const [, rows, columns] = data.shape;
  const side = Math.max(1, Math.floor(144 / Math.max(rows, columns))); // screen pixels for one of the image
  canvas.style.width = `${columns * side}px`;
}

function updateCard(card, method, pair, step) {
  const canvas = card.querySelector("canvas");
  drawImage(canvas, document.getElementById(`strip-${pair}-${method.number}`), step);
  canvas.setAttribute("aria-label", `Image by ${method.base}, ${method.path}, at t = ${data.times[step].toFixed(2)}`);
  for (const quantity of ["typicality", "realism"]) {
    const value = method[quantity][pair][step];
    const shown = card.querySelector(`[data-quantity=${quantity}]`);
    shown.value = value ?? "";
    shown.textContent = figure(value, quantity);
    const dot = card.querySelector(`[data-meter=${quantity}]`);
    dot.setAttribute("visibility", value === null ? "hidden" : "visible");
    dot.setAttribute("cx", `${100 * (value ?? 0)}%`);
  }
}

/** The charts to show: one for all paths, or for the statistic one a base, since bases differ in what it is. */
function charts(chosen, quantity) {
  if (quantity !== "statistic") {
    const title = quantity === "typicality" ? "Typicality" : "Realism";
    return [{ title, methods: chosen, band: data.usual[quantity], range: [0, 1] }];
  }
  return [...new Set(chosen.map((method) => method.base_number))].map((number) => {
    const all = data.methods.filter((method) => method.base_number === number);
    const methods = all.filter((method) => chosen.includes(method));
    const [low, , high] = all[0].band;
    const range = rangeOf([low, high, ...all.flatMap((method) => method.statistic.flat())]); // the same for every pair
    return { title: `${all[0].base}: ${all[0].statistic_name}`, methods, band: [low, high], range };
  });
}

function newPanel() {
  const panel = document.createElement("figure");
  panel.className = "panel";
  const legend = document.createElement("ul");
  legend.className = "legend";
  panel.append(document.createElement("figcaption"), element("svg", { class: "chart", role: "img" }), legend);
  part.panels.append(panel);
  return panel;
}

function legendItem(key, name, value) {
  const item = document.createElement("li");
  const number = document.createElement("span");
  number.className = "value";
  number.textContent = value;
  item.append(key, name, number);
  return item;
}

function updatePanel(panel, { title, methods, band, range }, quantity, pair, step) {
  const [caption, svg, legend] = panel.children;
  caption.textContent = title;
  svg.setAttribute("aria-label", `${title} over time, one curve a path; the slider moves the cursor`);
  const curves = methods.map((method) => ({ ...method, values: method[quantity][pair] }));
  drawChart(svg, { times: data.times, curves, band, range, step });
  const grey = element("svg", { class: "key", "aria-hidden": "true" });
  grey.append(element("rect", { class: "band", x: 0.5, y: 0.5, width: 27, height: 9 }));
  legend.replaceChildren(
    ...methods.map((method) => {
      const key = boxes[method.number].parentElement.querySelector("svg").cloneNode(true);
      return legendItem(key, `${method.base}, ${method.path}`, figure(method[quantity][pair][step], quantity));
    }),
    legendItem(grey, "90 % of draws", band.map((value) => value.toFixed(3)).join(" to ")),
  );
}

/** What the controls say. */
function state() {
  return {
    pair: part.pair.selectedIndex,
    step: part.time.valueAsNumber,
    quantity: form.elements.quantity.value,
    chosen: data.methods.filter((method) => boxes[method.number].checked),
  };
}

function show() {
  const { pair, step, quantity, chosen } = state();
  const t = `t = ${data.times[step].toFixed(2)}`;
  part.now.textContent = t;
  part.time.setAttribute("aria-valuetext", t);
  part.nothing.hidden = chosen.length > 0;
  for (const card of cards) card.hidden = !boxes[card.dataset.method].checked;
  for (const method of chosen) updateCard(cards[method.number], method, pair, step);
  const wanted = chosen.length > 0 ? charts(chosen, quantity) : [];
  while (part.panels.children.length < wanted.length) newPanel();
  [...part.panels.children].forEach((panel, i) => {
    panel.hidden = i >= wanted.length;
    if (!panel.hidden) updatePanel(panel, wanted[i], quantity, pair, step);
  });
}

function speak() {
  const { pair, step, quantity, chosen } = state();
  const values = chosen.map((one) => `${one.base}, ${one.path}: ${figure(one[quantity][pair][step], quantity)}`);
  part.spoken.textContent = `${quantity} at t = ${data.times[step].toFixed(2)}. ${values.join("; ")}`;
}

function update() {
  show();
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
  part.play.textContent = calm.matches ? "Step" : "Play";
}

function advance() {
  moveTo(part.time.valueAsNumber + 1);
  if (part.time.valueAsNumber === last) pause();
}

function turnPair(by) {
  const count = data.pairs.length;
  part.pair.selectedIndex = (part.pair.selectedIndex + by + count) % count;
  update();
}

/** Let the pointer on a chart move t: a mouse that hovers, a finger that taps or drags. */
function point(event) {
  if (!event.target.matches(".chart")) return;
  pause();
  const step = stepAt(event.target, data.times, event.offsetX);
  if (step !== part.time.valueAsNumber) moveTo(step);
}

part.play.addEventListener("click", () => {
  if (playing !== null) {
    pause();
  } else if (calm.matches) {
    moveTo((part.time.valueAsNumber + 1) % (last + 1));
  } else {
    if (part.time.valueAsNumber === last) moveTo(0);
    playing = setInterval(advance, FRAME);
    part.play.textContent = "Pause";
  }
});
part.previous.addEventListener("click", () => turnPair(-1));
part.next.addEventListener("click", () => turnPair(1));
part.time.addEventListener("input", pause);
form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
part.panels.addEventListener("pointerdown", point);
addEventListener("pointermove", (event) => {
  const rests = event.clientX === pointerAt; // the page scrolls under a mouse at rest
  pointerAt = event.clientX;
  if (!rests && playing === null) point(event);
});
calm.addEventListener("change", pause);
addEventListener("resize", show);

const strips = [...document.querySelectorAll(".strips img")];
await Promise.allSettled(strips.map((image) => image.decode()));
form.hidden = false;
pause();
show();
