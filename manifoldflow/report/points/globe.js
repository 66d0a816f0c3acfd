// The globe: d3-geo projects coast lines, grid and paths; a turned frame of three axes places dots and shading.

const RADIANS = Math.PI / 180;
const MARGIN_OF_GLOBE = 6;
const DETAIL = 300; // pixels of the shading, across the globe
const ZOOMS = [1, 8];
const land = data.land.map((ring) => {
  const [longitude, latitude] = columns(ring);
  return Array.from(longitude, (value, i) => [value, latitude[i]]);
});
const landLines = { type: "MultiLineString", coordinates: land };

function unitVector(longitude, latitude) {
  const [a, b] = [longitude * RADIANS, latitude * RADIANS];
  return [Math.cos(b) * Math.cos(a), Math.cos(b) * Math.sin(a), Math.sin(b)];
}

/** Longitude and latitude of the middle of the globe, and how large it is. */
const home = { longitude: data.centre[0], latitude: Math.max(-60, Math.min(60, data.centre[1])), zoom: 1 };

function text([longitude, latitude]) {
  const side = (value, plus, minus) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? minus : plus}`;
  return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

function makeMap(canvas, redraw) {
  const view = { ...home };
  const vectors = new Map();
  let moving = null;
  let dragging = false; // the shading is drawn more coarsely meanwhile

  function vectorsOf(points) {
    if (!vectors.has(points)) vectors.set(points, Array.from(points[0], (value, i) => unitVector(value, points[1][i])));
    return vectors.get(points);
  }

  /** The frame: to the right, up, and toward the eye. */
  function frame() {
    const [a, b] = [view.longitude * RADIANS, view.latitude * RADIANS];
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(b) * Math.cos(a), -Math.sin(b) * Math.sin(a), Math.cos(b)];
    return [right, up, unitVector(view.longitude, view.latitude)];
  }

  function shadeOf(state, radius, side) {
    const [[rx, ry], [ux, uy, uz], [tx, ty, tz]] = frame();
    const shade = shades[state.model];
    const [rows, count] = data.models[state.model].shape;
    const half = side / 2 / radius; // of the picture, in radii
    const size = dragging ? DETAIL / 2 : DETAIL;
    return shading(size, (column, row) => {
      const x = ((2 * column + 1) / size - 1) * half;
      const y = (1 - (2 * row + 1) / size) * half;
      const rest = 1 - x * x - y * y;
      if (rest < 0) return -1;
      const depth = Math.sqrt(rest);
      const across = Math.atan2(x * ry + y * uy + depth * ty, x * rx + y * ux + depth * tx) / (2 * Math.PI) + 0.5;
      const up = Math.asin(Math.max(-1, Math.min(1, y * uz + depth * tz))) / Math.PI + 0.5;
      return levelAt(shade, rows, count, across, up, true);
    });
  }

  function dotsOf(points, radius, side) {
    const [[rx, ry], [ux, uy, uz], [tx, ty, tz]] = frame();
    const places = [];
    for (const [x, y, z] of vectorsOf(points)) {
      if (x * tx + y * ty + z * tz <= 0) continue;
      places.push([side / 2 + radius * (x * rx + y * ry), side / 2 - radius * (x * ux + y * uy + z * uz)]);
    }
    return places;
  }

  function projections(radius, side) {
    const front = d3.geoOrthographic().scale(radius).translate([side / 2, side / 2]).clipAngle(90).precision(0.3);
    const turned = [-view.longitude, -view.latitude];
    const behind = d3.geoOrthographic().scale(radius).translate([side / 2, side / 2]).clipAngle(90).precision(0.3);
    behind.reflectX(true).rotate([turned[0] + 180, -turned[1]]);
    return [front.rotate(turned), behind];
  }

  function drawPaths(context, state, front, behind, radius, side) {
    const lines = state.chosen.map((path) => {
      const [longitude, latitude] = paths[path.number][state.pair];
      return { type: "LineString", coordinates: Array.from(longitude, (value, i) => [value, latitude[i]]) };
    });
    state.chosen.forEach((path, i) => strokePath(context, path, () => d3.geoPath(behind, context)(lines[i]), true));
    state.chosen.forEach((path, i) => strokePath(context, path, () => d3.geoPath(front, context)(lines[i])));
    const toward = frame()[2];
    const seen = (place) => unitVector(...place).reduce((sum, value, i) => sum + value * toward[i], 0) > 0;
    const mark = (place, fill, size) => seen(place) && drawMark(context, front(place), fill, size);
    for (const line of lines.slice(0, 1)) {
      for (const end of [line.coordinates[0], line.coordinates.at(-1)]) mark(end, colour("page"), END);
    }
    state.chosen.forEach((path, i) => mark(lines[i].coordinates[state.step], colour(`curve-${path.colour}`), CURSOR));
  }

  function draw(state) {
    const [context, side] = prepared(canvas);
    const radius = (side / 2 - MARGIN_OF_GLOBE) * view.zoom;
    const [front, behind] = projections(radius, side);
    const trace = d3.geoPath(front, context);
    context.beginPath();
    trace({ type: "Sphere" });
    context.fillStyle = colour("card");
    context.fill();
    if (state.shaded && shades[state.model]) context.drawImage(shadeOf(state, radius, side), 0, 0, side, side);
    for (const [shape, name, width] of [[d3.geoGraticule10(), "line", 0.6], [landLines, "soft", 0.8]]) {
      context.beginPath();
      trace(shape);
      context.lineWidth = width;
      context.strokeStyle = colour(name);
      context.stroke();
    }
    for (const [points, name] of shownPoints(state)) drawDots(context, dotsOf(points, radius, side), name);
    if (state.chosen.length > 0) drawPaths(context, state, front, behind, radius, side);
    context.beginPath();
    trace({ type: "Sphere" });
    context.lineWidth = 1;
    context.strokeStyle = colour("soft");
    context.stroke();
  }

  function turn(right, up) {
    view.longitude = ((view.longitude + right + 540) % 360) - 180;
    view.latitude = Math.max(-90, Math.min(90, view.latitude + up));
    redraw();
  }

  function zoom(factor) {
    view.zoom = Math.max(ZOOMS[0], Math.min(ZOOMS[1], view.zoom * factor));
    redraw();
  }

  /** Turn until a place is in the middle, at once where motion is unwanted. */
  function face([longitude, latitude], calm) {
    cancelAnimationFrame(moving);
    const from = { ...view };
    const by = ((longitude - from.longitude + 540) % 360) - 180;
    const to = Math.max(-60, Math.min(60, latitude));
    const began = performance.now();
    const move = (now) => {
      const share = calm ? 1 : Math.min(1, Math.max(0, now - began) / 600);
      const eased = share * share * (3 - 2 * share);
      view.longitude = ((from.longitude + by * eased + 540) % 360) - 180;
      view.latitude = from.latitude + (to - from.latitude) * eased;
      redraw();
      if (share < 1) moving = requestAnimationFrame(move);
    };
    move(began);
  }

  function degrees() {
    return 180 / Math.PI / ((canvas.clientWidth / 2 - MARGIN_OF_GLOBE) * view.zoom);
  }

  canvas.addEventListener("pointerdown", (event) => {
    cancelAnimationFrame(moving);
    canvas.setPointerCapture(event.pointerId);
    dragging = true;
  });
  canvas.addEventListener("lostpointercapture", () => {
    dragging = false;
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const narrow = Math.max(0.25, Math.cos(view.latitude * RADIANS)); // near a pole, meridians lie close together
    turn((-event.movementX * degrees()) / narrow, event.movementY * degrees());
  });
  canvas.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 2 : 10) / view.zoom;
    const acts = {
      ArrowLeft: () => turn(-step, 0),
      ArrowRight: () => turn(step, 0),
      ArrowUp: () => turn(0, step),
      ArrowDown: () => turn(0, -step),
      "+": () => zoom(1.25),
      "=": () => zoom(1.25),
      "-": () => zoom(0.8),
      Home: () => back(),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  });

  function back() {
    cancelAnimationFrame(moving);
    Object.assign(view, home);
    redraw();
  }

  document.getElementById("closer").addEventListener("click", () => zoom(1.5));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("back").addEventListener("click", back);

  /** The middle of a pair's paths. */
  function middleOf(pair) {
    const sum = [0, 0, 0];
    for (const path of paths) vectorsOf(path[pair]).forEach((place) => place.forEach((value, i) => (sum[i] += value)));
    return [Math.atan2(sum[1], sum[0]) / RADIANS, Math.atan2(sum[2], Math.hypot(sum[0], sum[1])) / RADIANS];
  }

  return {
    draw,
    pairChanged: (pair, calm) => face(middleOf(pair), calm),
    placeText: (path, state) => text(paths[path.number][state.pair].map((values) => values[state.step])),
    view,
  };
}
