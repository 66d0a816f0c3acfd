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
  canvas.style.width = `${columns * Math.max(1, Math.floor(144 / Math.max(rows, columns)))}px`; // whole pixels of the image
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
    const [first, ...others] = data.methods.filter((method) => method.base_number === number);
    const [low, , high] = first.band;
    const range = rangeOf([low, high, ...[first, ...others].flatMap((method) => method.statistic.flat())]);
    const methods = chosen.filter((method) => method.base_number === number);
    return { title: `${first.base}: ${first.name}`, methods, band: [low, high], range };
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
  const at = `at t = ${data.times[step].toFixed(2)}`;
  caption.textContent = `${title}, ${at}`;
  svg.setAttribute("aria-label", `${title} over time, one curve a path; the slider moves the cursor`);
  const curves = methods.map((method) => ({
    values: method[quantity][pair],
    number: method.number,
    dashes: data.dashes[method.number % data.dashes.length],
  }));
  drawChart(svg, { times: data.times, curves, band, range, step });
  const grey = element("svg", { class: "key", "aria-hidden": "true" });
  grey.append(element("rect", { class: "band", x: 0.5, y: 0.5, width: 27, height: 9 }));
  legend.replaceChildren(
    ...methods.map((method) => {
      const key = boxes[method.number].parentElement.querySelector("svg").cloneNode(true);
      return legendItem(key, `${method.base}, ${method.path}`, figure(method[quantity][pair][step], quantity));
    }),
    legendItem(grey, "90 % of the base’s draws", `${figure(band[0], quantity)} to ${figure(band[1], "statistic")}`),
  );
}

function update() {
  const pair = part.pair.selectedIndex;
  const step = part.time.valueAsNumber;
  const t = data.times[step].toFixed(2);
  const quantity = form.elements.quantity.value;
  const chosen = data.methods.filter((method) => boxes[method.number].checked);
  part.now.textContent = `t = ${t}`;
  part.time.setAttribute("aria-valuetext", `t = ${t}`);
  part.nothing.hidden = chosen.length > 0;
  for (const card of cards) card.hidden = !boxes[card.dataset.method].checked;
  for (const method of chosen) updateCard(cards[method.number], method, pair, step);
  const wanted = charts(chosen, quantity);
  while (part.panels.children.length < wanted.length) newPanel();
  [...part.panels.children].forEach((panel, i) => {
    panel.hidden = i >= wanted.length || chosen.length === 0;
    if (!panel.hidden) updatePanel(panel, wanted[i], quantity, pair, step);
  });
  const values = chosen.map((method) => `${method.base}, ${method.path}: ${figure(method[quantity][pair][step], quantity)}`);
  clearTimeout(speaking);
  speaking = setTimeout(() => (part.spoken.textContent = `${quantity} at t = ${t}. ${values.join("; ")}`), REST);
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
for (const kind of ["pointerdown", "pointermove"]) {
  part.panels.addEventListener(kind, (event) => {
    if (!event.target.matches(".chart") || (kind === "pointermove" && playing !== null)) return;
    pause();
    const step = stepAt(event.target, data.times, event.offsetX);
    if (step !== part.time.valueAsNumber) moveTo(step);
  });
}
calm.addEventListener("change", pause);

const strips = [...document.querySelectorAll(".strips img")];
await Promise.allSettled(strips.map((image) => image.decode()));
form.hidden = false;
pause();
update();
new ResizeObserver(update).observe(part.panels);
