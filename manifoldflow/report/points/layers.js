// What the globe and the flat maps share: numbers read from the page, colours, dots, shading and the canvas itself.

const data = JSON.parse(document.getElementById("explorer-data").textContent);
const SHARES = [0.5, 0.75, 0.9, 0.99]; // of the mass, in the regions that are shaded, from dark to pale
const STRENGTHS = [0.85, 0.55, 0.32, 0.15];
const OUTSIDE = 255; // in a shading: off the space
const DENSEST = 254;
const CURSOR = 6; // radius, in pixels
const END = 4;

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A column of coordinates; NaN where a point is outside the axis' range. */
function column(text, { low, high }) {
  const whole = new Int16Array(bytes(text).buffer);
  const middle = (low + high) / 2;
  const scale = (high - low) / 2 / 32767;
  return Float64Array.from(whole, (value) => (value === -32768 ? NaN : middle + scale * value));
}

function columns(texts) {
  return texts.map((text, i) => column(text, data.axes[i]));
}

const layers = data.layers.map((layer) => columns(layer.columns));
const samples = data.models.map((model) => columns(model.columns));
const shades = data.models.map((model) => model.shade && bytes(model.shade));
const paths = data.paths.map((path) => path.points.map(columns));

/** The style sheet's colour of that name. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Red, green and blue of a colour written as #rrggbb. */
function channels(text) {
  return [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
}

/** How strongly a level of a shading is drawn, from 0 to 1; levels between two regions blend over a narrow edge. */
const STRENGTH = Float64Array.from({ length: DENSEST + 1 }, (_, level) => {
  const share = level / DENSEST;
  return SHARES.reduce((below, edge, i) => {
    const inside = Math.min(1, Math.max(0, (edge + 0.004 - share) / 0.008));
    return below + inside * (STRENGTHS[i] - (STRENGTHS[i + 1] ?? 0));
  }, 0);
});

/** The level of a shading at shares of its width and height, between its grid's middles; `round`: its ends meet. */
function levelAt(shade, rows, count, across, up, round) {
  const x = across * count - 0.5;
  const y = Math.min(rows - 1, Math.max(0, up * rows - 0.5));
  let left = Math.floor(x);
  const low = Math.min(rows - 2, Math.floor(y));
  const [right, above] = [x - left, y - low];
  let next = left + 1;
  if (round) {
    left = (left + count) % count;
    next %= count;
  } else {
    left = Math.max(0, left);
    next = Math.min(count - 1, next);
  }
  const [a, b] = [shade[low * count + left], shade[low * count + next]];
  const [c, d] = [shade[(low + 1) * count + left], shade[(low + 1) * count + next]];
  if (a !== OUTSIDE && b !== OUTSIDE && c !== OUTSIDE && d !== OUTSIDE) {
    return (1 - above) * ((1 - right) * a + right * b) + above * ((1 - right) * c + right * d);
  }
  const inside = [a, b, c, d].filter((level) => level !== OUTSIDE);
  return inside.length > 0 ? Math.min(...inside) : DENSEST;
}

/** A square picture of `size` pixels a side; `level(x, y)` gives the level of a pixel, or -1 for none. */
function shading(size, level) {
  const picture = new OffscreenCanvas(size, size);
  const context = picture.getContext("2d");
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer); // alpha, blue, green, red
  const [red, green, blue] = channels(colour("shade"));
  const hue = (blue << 16) | (green << 8) | red;
  const inks = Uint32Array.from({ length: 4 * DENSEST + 1 }, (_, quarter) => {
    const [low, share] = [Math.floor(quarter / 4), (quarter % 4) / 4];
    const strength = STRENGTH[low] + share * ((STRENGTH[low + 1] ?? 0) - STRENGTH[low]);
    return hue | (Math.round(255 * strength) << 24);
  });
  for (let y = 0, at = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1, at += 1) {
      const found = level(x, y);
      if (found >= 0) pixels[at] = inks[Math.round(4 * found)];
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

/** Make a canvas as sharp as the screen; returns its context and its side in CSS pixels. */
function prepared(canvas) {
  const side = Math.max(120, canvas.clientWidth);
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(side * scale);
  canvas.height = canvas.width;
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / side, 0, 0, canvas.width / side, 0, 0);
  context.clearRect(0, 0, side, side);
  return [context, side];
}

/** Dots at [x, y] pairs; fewer points are drawn larger. */
function drawDots(context, places, name) {
  const radius = places.length > 1500 ? 1.2 : 1.8;
  context.fillStyle = colour(name);
  context.globalAlpha = 0.75;
  context.beginPath();
  for (const [x, y] of places) {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fill();
  context.globalAlpha = 1;
}

/** Stroke what `trace` draws, in a border of the page's colour that sets it off from what lies below. */
function strokePath(context, path, trace, faint = false) {
  context.lineJoin = "round";
  context.lineCap = "round";
  for (const [width, name] of faint ? [[1.6, `curve-${path.colour}`]] : [[5, "page"], [2.6, `curve-${path.colour}`]]) {
    context.beginPath();
    trace();
    context.setLineDash(faint ? [2, 5] : name === "page" ? [] : path.dashes.split(" ").filter(Boolean).map(Number));
    context.lineWidth = width;
    context.strokeStyle = colour(name);
    context.stroke();
  }
  context.setLineDash([]);
}

function drawMark(context, [x, y], fill, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.strokeStyle = colour(radius === END ? "ink" : "page");
  context.lineWidth = 2;
  context.fill();
  context.stroke();
}

/** The layers of points that are shown: [columns, name of their colour]. */
function shownPoints(state) {
  const shown = state.layers.map((number) => [layers[number], `dots-${number}`]);
  return state.samples ? [...shown, [samples[state.model], "dots-2"]] : shown;
}
