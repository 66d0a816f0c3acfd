// The contrast (WCAG 2.2) of every visible text, curve, dot and border of a control with what lies behind it.
() => {
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => channel(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const opaque = (rgba) => rgba.length === 3 || rgba[3] === 1;
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (opaque(colour)) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const note = (kind, one, colour, ground) =>
    found.push({ kind, what: one.outerHTML.slice(0, 120), ratio: ratio(parse(colour), ground) });
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const one = words.currentNode.parentElement;
    const unseen = !one.checkVisibility() || one.closest(".unseen, script, style, noscript");
    if (unseen || !words.currentNode.data.trim()) continue;
    const style = getComputedStyle(one);
    note("text", one, one.closest("svg") ? style.fill : style.color, behind(one));
  }
  for (const chart of document.querySelectorAll(".chart")) {
    if (!chart.checkVisibility()) continue;
    const grounds = [behind(chart), parse(getComputedStyle(chart.querySelector(".band")).fill)];
    for (const ground of grounds) {
      for (const one of chart.querySelectorAll(".curve, .cursor, .dot")) {
        const { stroke, fill } = getComputedStyle(one);
        if (one.matches(".dot")) note("dot", one, fill, ground);
        else note("curve", one, stroke, ground);
      }
    }
  }
  for (const one of document.querySelectorAll(".card circle, .card .track")) {
    if (!one.checkVisibility()) continue;
    note("dot", one, getComputedStyle(one).fill, behind(one));
  }
  for (const one of document.querySelectorAll(".explorer button, .explorer select")) {
    note("border", one, getComputedStyle(one).borderTopColor, behind(one.parentElement));
  }
  return found;
}
