// One chart: curves over the path's time, the range of the base's draws in grey, and a cursor at t.

const HEIGHT = 220;
const MARGIN = { left: 44, right: 14, top: 8, bottom: 34 };
const SVG = document.querySelector("svg").namespaceURI;

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** Round numbers within [low, high], about five steps apart. */
function roundTicks([low, high]) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 5));
  const step = power * [1, 2, 5, 10].find((factor) => 5 * factor * power >= high - low);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) ticks.push(k * step);
  return ticks.map((value) => [value, value.toFixed(digits)]);
}

/** The least range that holds all finite values, with a little room. */
function rangeOf(values) {
  const finite = values.filter((value) => value !== null);
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const room = 0.05 * (high - low) || 0.5;
  return [low - room, high + room];
}

/** The outline of a curve; a value that is null leaves a gap. */
function outline(values, x, y) {
  let joined = false;
  return values
    .map((value, i) => {
      const command = value === null ? "" : `${joined ? "L" : "M"}${x(i).toFixed(2)} ${y(value).toFixed(2)}`;
      joined = value !== null;
      return command;
    })
    .join("");
}

/** The index of the time at a horizontal position, in pixels from the chart's left edge. */
function stepAt(svg, times, position) {
  const share = (position - MARGIN.left) / (svg.clientWidth - MARGIN.left - MARGIN.right);
  const t = times[0] + share * (times.at(-1) - times[0]);
  const distance = times.map((time) => Math.abs(time - t));
  return distance.indexOf(Math.min(...distance));
}

/** Draw `curves`, each {values, colour, dashes}, over `times`, with `band` [low, high] in grey. */
function drawChart(svg, { times, curves, band, range, step }) {
  const width = Math.max(120, svg.clientWidth); // 0 while the page is not laid out
  const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
  const x = (i) => left + ((times[i] - times[0]) / (times.at(-1) - times[0])) * (right - left);
  const y = (value) => bottom - ((value - range[0]) / (range[1] - range[0])) * (bottom - top);
  const [high, low] = [y(band[1]), y(band[0])];
  const parts = [element("rect", { class: "band", x: left, y: high, width: right - left, height: low - high })];
  for (const [value, text] of roundTicks(range)) {
    parts.push(element("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }));
    parts.push(element("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, text));
  }
  for (const i of [0, Math.floor(times.length / 2), times.length - 1]) {
    const text = String(Number(times[i].toFixed(2)));
    parts.push(element("text", { x: x(i), y: bottom + 17, "text-anchor": "middle" }, text));
  }
  parts.push(element("text", { x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle" }, "time t on the path"));
  parts.push(element("line", { class: "cursor", x1: x(step), x2: x(step), y1: top, y2: bottom }));
  for (const { values, colour, dashes } of curves) {
    const group = element("g", { class: `curve-${colour}` });
    group.append(element("path", { class: "curve", d: outline(values, x, y), "stroke-dasharray": dashes }));
    if (values[step] !== null) {
      group.append(element("circle", { class: "dot", cx: x(step), cy: y(values[step]), r: 4.5 }));
    }
    parts.push(group);
  }
  svg.replaceChildren(...parts);
}
