// Flat maps: two of the columns across and up, with periodic sides where they are angles; or a triangle of three parts.

const ROOM = { left: 52, right: 14, top: 14, bottom: 46 };
const ROOM_OF_TRIANGLE = { left: 26, right: 26, top: 30, bottom: 40 };
const DETAIL_OF_MAP = 320;
const FIFTHS = [0.2, 0.4, 0.6, 0.8];

function makeMap(canvas) {
  const triangle = data.kind === "ternary";

  /** Functions from the columns to pixels. */
  function scales(state, side) {
    const room = triangle ? ROOM_OF_TRIANGLE : ROOM;
    const [across, up] = [data.axes[state.across], data.axes[state.up]];
    const width = side - room.left - room.right;
    const height = triangle ? (width * Math.sqrt(3)) / 2 : side - room.top - room.bottom;
    const top = triangle ? (side - height) / 2 : room.top;
    return {
      across,
      up,
      box: [room.left, top, width, height],
      x: (value) => room.left + ((value - across.low) / (across.high - across.low)) * width,
      y: (value) => top + height - ((value - up.low) / (up.high - up.low)) * height,
    };
  }

  /** The points' places in pixels, without those outside the map. */
  function places(points, state, { x, y }) {
    return Array.from(points[state.across], (value, i) => [x(value), y(points[state.up][i])]).filter(
      (place) => !place.some(Number.isNaN),
    );
  }

  /** Values of a column along a path without jumps from one side to the other. */
  function unrolled(values, { low, high, periodic }) {
    if (!periodic) return Array.from(values);
    const turn = high - low;
    let shift = 0;
    return Array.from(values, (value, i) => {
      if (i > 0) shift -= turn * Math.round((value - values[i - 1]) / turn);
      return value + shift;
    });
  }

  /** By how many turns copies of a path are to be drawn, so that all of it is seen. */
  function turns(values, { low, high, periodic }) {
    if (!periodic) return [0];
    const known = values.filter((value) => !Number.isNaN(value));
    const tiles = [Math.min(...known), Math.max(...known)].map((value) => Math.floor((value - low) / (high - low)));
    return Array.from({ length: tiles[1] - tiles[0] + 1 }, (_, i) => -(tiles[0] + i) * (high - low));
  }

  function tracePath(context, points, state, { across, up, x, y }) {
    const [a, b] = [unrolled(points[state.across], across), unrolled(points[state.up], up)];
    for (const right of turns(a, across)) {
      for (const above of turns(b, up)) {
        let joined = false;
        a.forEach((value, i) => {
          const place = [x(value + right), y(b[i] + above)];
          const known = !place.some(Number.isNaN);
          if (known) context[joined ? "lineTo" : "moveTo"](...place);
          joined = known;
        });
      }
    }
  }

  function drawShade(context, state, { across, box }) {
    const [left, top, width, height] = box;
    const shade = shades[state.model];
    const [rows, count] = data.models[state.model].shape;
    const picture = shading(DETAIL_OF_MAP, (x, y) => {
      const [right, above] = [(x + 0.5) / DETAIL_OF_MAP, 1 - (y + 0.5) / DETAIL_OF_MAP];
      return levelAt(shade, rows, count, right, above, across.periodic);
    });
    context.drawImage(picture, left, top, width, height);
  }

  function write(context, words, x, y, { align = "center", angle = 0, name = "soft" } = {}) {
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.font = "12px system-ui, sans-serif";
    context.textAlign = align;
    context.textBaseline = "middle";
    context.fillStyle = colour(name);
    context.fillText(words, 0, 0);
    context.restore();
  }

  function outline(context, { box: [left, top, width, height] }) {
    context.beginPath();
    if (triangle) {
      context.moveTo(left, top + height);
      context.lineTo(left + width, top + height);
      context.lineTo(left + width / 2, top);
      context.closePath();
    } else {
      context.rect(left, top, width, height);
    }
  }

  function drawAxes(context, { across, up, x, y, box: [left, top, width, height] }) {
    context.strokeStyle = colour("line");
    context.lineWidth = 0.7;
    const ticks = (axis) => (axis.ticks.length > 0 ? axis.ticks : roundTicks([axis.low, axis.high]));
    context.beginPath();
    for (const [value, words] of ticks(across)) {
      context.moveTo(x(value), top);
      context.lineTo(x(value), top + height);
      write(context, words, x(value), top + height + 13);
    }
    for (const [value, words] of ticks(up)) {
      context.moveTo(left, y(value));
      context.lineTo(left + width, y(value));
      write(context, words, left - 7, y(value), { align: "right" });
    }
    context.stroke();
    write(context, across.label, left + width / 2, top + height + 34, { name: "ink" });
    write(context, up.label, 11, top + height / 2, { angle: -Math.PI / 2, name: "ink" });
  }

  /** Grid lines of fifths of each part, their numbers, and the corners' names. */
  function drawTriangle(context, { box: [left, top, width, height] }) {
    const corners = [[left, top + height], [left + width, top + height], [left + width / 2, top]];
    const between = (from, to, share) => from.map((value, i) => value + share * (to[i] - value));
    context.strokeStyle = colour("line");
    context.lineWidth = 0.7;
    context.beginPath();
    const pushes = [[8, 12], [14, -4], [-17, 0]];
    corners.forEach((corner, part) => {
      const [empty, other] = [corners[(part + 1) % 3], corners[(part + 2) % 3]];
      for (const share of FIFTHS) {
        const [start, end] = [between(empty, corner, share), between(other, corner, share)];
        context.moveTo(...start);
        context.lineTo(...end);
        write(context, share.toFixed(1), ...start.map((value, i) => value + pushes[part][i]));
      }
    });
    context.stroke();
    const options = [{ align: "left" }, { align: "right" }, { align: "center" }];
    corners.forEach(([x, y], part) => {
      const place = [[2, y + 34], [2 * left + width - 2, y + 34], [x, y - 16]][part];
      write(context, `all ${data.corners[part]}`, ...place, { ...options[part], name: "ink" });
    });
  }

  function draw(state) {
    const [context, side] = prepared(canvas);
    const scale = scales(state, side);
    outline(context, scale);
    context.fillStyle = colour("card");
    context.fill();
    context.save();
    outline(context, scale);
    context.clip();
    if (state.shaded && shades[state.model]) drawShade(context, state, scale);
    context.restore();
    if (triangle) drawTriangle(context, scale);
    else drawAxes(context, scale);
    for (const [points, name] of shownPoints(state)) drawDots(context, places(points, state, scale), name);
    context.save();
    outline(context, scale);
    context.clip();
    for (const path of state.chosen) {
      strokePath(context, path, () => tracePath(context, paths[path.number][state.pair], state, scale));
    }
    context.restore();
    outline(context, scale);
    context.setLineDash(scale.across.periodic ? [6, 4] : []);
    context.lineWidth = 1.2;
    context.strokeStyle = colour("soft");
    context.stroke();
    context.setLineDash([]);
    drawMarks(context, state, scale);
  }

  function drawMarks(context, state, { x, y }) {
    const mark = (path, step, fill, size) => {
      const points = paths[path.number][state.pair];
      const place = [x(points[state.across][step]), y(points[state.up][step])];
      if (!place.some(Number.isNaN)) drawMark(context, place, fill, size);
    };
    for (const path of state.chosen.slice(0, 1)) {
      for (const end of [0, data.times.length - 1]) mark(path, end, colour("page"), END);
    }
    for (const path of state.chosen) mark(path, state.step, colour(`curve-${path.colour}`), CURSOR);
  }

  return { draw, pairChanged: () => null, placeText: () => "" };
}
