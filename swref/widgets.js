// The browser half of swref.widgets.Explore, used twice: inlined in a static page, and as an anywidget in a notebook.
// A frame is a list of layers; a layer's numbers are float32 at [offset, count] of one shared buffer.
const SVG = "http://www.w3.org/2000/svg";

const STYLE = `
.swref-explore{color:var(--pst-color-text-base,var(--jp-content-font-color1,CanvasText));font:14px system-ui,sans-serif;max-width:40rem}
.swref-explore svg{display:block;width:100%;height:auto}
.swref-explore .swref-rows{display:grid;grid-template-columns:auto 1fr minmax(3.5rem,auto);gap:0 .7rem;align-items:center;margin-top:.3rem}
.swref-explore .swref-rows input{min-width:6rem;min-height:1.9rem;margin:0}
.swref-explore .swref-rows select{grid-column:span 2;justify-self:start;min-width:8rem;font:inherit;color:inherit;background:var(--pst-color-background,var(--jp-layout-color1,Canvas));padding:.2rem}
.swref-explore .swref-rows label{font-style:italic}
.swref-explore .swref-rows output{font-variant-numeric:tabular-nums}
.swref-explore .swref-note{min-height:1.4em;white-space:pre-line;font-variant-numeric:tabular-nums}
.swref-explore .swref-badge{float:right;font-size:12px;border:1px solid currentColor;border-radius:1em;padding:0 .6em;opacity:.75}
.swref-explore .swref-badge.live{border-color:#2a9d8f;opacity:1}
.swref-explore .swref-badge.error{border-color:#c8553d;opacity:1}`;

function add(parent, tag, attributes = {}, text = null) {
  const svg = parent.namespaceURI === SVG || tag === "svg";
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  return parent.appendChild(node);
}

const ink = (color) => (color === "ink" || color === "muted" ? "currentColor" : color);
const fade = (color) => (color === "muted" ? 0.5 : 1);

// Elements of nearly equal weight share one path, so that thousands of them stay a dozen nodes.
function byWeight(n, weight, levels = 12) {
  const groups = new Map();
  const top = weight ? weight.reduce((a, b) => Math.max(a, b), Number.MIN_VALUE) : 1;
  for (let i = 0; i < n; i++) {
    const level = weight ? Math.ceil((levels * weight[i]) / top) / levels : 1;
    if (level <= 0) continue;
    if (!groups.has(level)) groups.set(level, []);
    groups.get(level).push(i);
  }
  return groups;
}

function drawLayer(parent, layer, floats, X, Y) {
  const slice = (range) => range && floats.subarray(range[0], range[0] + range[1]);
  const xy = slice(layer.xy), weight = slice(layer.weight);
  const color = ink(layer.color), alpha = fade(layer.color);
  const P = (i) => `${X(xy[2 * i]).toFixed(2)} ${Y(xy[2 * i + 1]).toFixed(2)}`;
  if (layer.kind === "curve") {
    let d = "";
    for (let i = 0; i < xy.length / 2; i++) d += (i ? "L" : "M") + P(i);
    add(parent, "path", {
      d: d + (layer.closed ? "Z" : ""), stroke: color, "stroke-width": layer.size, "stroke-opacity": alpha,
      "stroke-dasharray": layer.dash ? "5 4" : "none", fill: layer.fill ? color : "none", "fill-opacity": 0.18 * alpha,
    });
  } else if (layer.kind === "points") {
    for (const [level, members] of byWeight(xy.length / 2, weight)) {
      const r = layer.size * Math.sqrt(level);
      const d = members.map((i) => `M${P(i)}m${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join("");
      add(parent, "path", { d, fill: color, "fill-opacity": 0.85 * alpha });
    }
  } else if (layer.kind === "segments") {
    for (const [level, members] of byWeight(xy.length / 4, weight)) {
      const d = members.map((i) => `M${P(2 * i)}L${P(2 * i + 1)}`).join("");
      add(parent, "path", { d, stroke: color, "stroke-width": layer.size, "stroke-opacity": level * alpha, fill: "none" });
    }
  } else if (layer.kind === "text") {
    add(parent, "text", {
      x: X(xy[0]), y: Y(xy[1]), fill: color, "fill-opacity": fade(layer.color), "font-size": layer.size,
      "text-anchor": "middle", "dominant-baseline": "middle",
    }, layer.text);
  }
}

function drawAxes(svg, spec, X, Y) {
  const [x0, x1, y0, y1] = spec.limits, line = { stroke: "currentColor", "stroke-opacity": 0.5, fill: "none" };
  const label = { fill: "currentColor", "font-size": 12, "text-anchor": "middle" };
  add(svg, "path", { d: `M${X(x0)} ${Y(y1)}V${Y(y0)}H${X(x1)}`, ...line });
  for (const [value, text] of spec.axes.xticks) {
    add(svg, "path", { d: `M${X(value)} ${Y(y0)}v4`, ...line });
    add(svg, "text", { ...label, x: X(value), y: Y(y0) + 19 }, text);
  }
  for (const [value, text] of spec.axes.yticks) {
    add(svg, "path", { d: `M${X(x0)} ${Y(value)}h-4`, ...line });
    add(svg, "text", { ...label, x: X(x0) - 7, y: Y(value) + 4, "text-anchor": "end" }, text);
  }
  const middle = (Y(y0) + Y(y1)) / 2;
  add(svg, "text", { ...label, x: (X(x0) + X(x1)) / 2, y: spec.size[1] - 4 }, spec.axes.xlabel);
  add(svg, "text", { ...label, x: 12, y: middle, transform: `rotate(-90 12 ${middle})` }, spec.axes.ylabel);
}

// `ask(at)`, when given, asks a kernel for the frame at the slider positions `at`; the answer comes through `answer`.
export function mount(root, spec, floats, ask = null) {
  root.classList.add("swref-explore");
  add(root, "style", {}, STYLE);
  const badge = ask && add(root, "span", { class: "swref-badge" });
  const [width, height] = spec.size, [x0, x1, y0, y1] = spec.limits;
  const left = spec.axes ? 70 : 0, bottom = spec.axes ? 48 : 0, top = spec.axes ? 8 : 0, right = spec.axes ? 12 : 0;
  const X = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const Y = (y) => top + ((y1 - y) / (y1 - y0)) * (height - top - bottom);
  const svg = add(root, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  add(add(svg, "clipPath", { id: clip }), "rect",
    { x: left, y: top, width: width - left - right, height: height - top - bottom });
  if (spec.axes) drawAxes(svg, spec, X, Y);
  const stage = add(svg, "g", { "clip-path": `url(#${clip})` });
  const note = add(root, "div", { class: "swref-note", "aria-live": "polite" });

  const show = (layers, numbers, labels) => {
    stage.replaceChildren();
    layers.forEach((layer) => drawLayer(stage, layer, numbers, X, Y));
    note.textContent = layers.filter((layer) => layer.kind === "note").map((layer) => layer.text).join("\n");
    const said = spec.sliders.map((slider, k) => `${slider.name} = ${labels[k]}`);
    svg.setAttribute("aria-label", `${spec.description} ${said.join(", ")}. ${note.textContent}`);
    inputs.forEach((input, k) => {
      if (spec.sliders[k].choice) return; // a menu shows its value itself
      input.setAttribute("aria-valuetext", said[k]);
      outputs[k].textContent = labels[k];
    });
  };
  const stored = () => {
    const at = inputs.map((input) => Math.round(input.value));
    const index = at.reduce((sum, i, k) => sum * spec.sliders[k].labels.length + i, 0);
    show(spec.frames[index], floats, at.map((i, k) => spec.sliders[k].labels[i]));
  };
  const say = (text, kind) => { badge.textContent = text; badge.className = `swref-badge ${kind}`; };

  let waiting = false, again = false, late = false, timer = 0;
  const move = () => {
    if (!ask || late) stored();
    if (!ask) return;
    if (waiting) { again = true; return; }
    waiting = true;
    timer = setTimeout(() => { late = true; stored(); say("waiting for the kernel: nearest stored picture", ""); }, 1000);
    ask(inputs.map((input) => Number(input.value)));
  };
  const answer = (message, numbers) => {
    clearTimeout(timer);
    waiting = late = false;
    if (message.error) { stored(); say(message.error, "error"); }
    else { show(message.layers, numbers, message.labels); say("kernel live", "live"); }
    if (again) { again = false; move(); }
  };

  const inputs = [], outputs = [], rows = add(root, "div", { class: "swref-rows" });
  for (const slider of spec.sliders) {
    const id = `${clip}-${inputs.length}`;
    add(rows, "label", { for: id }, slider.name);
    const own = { id, "data-lm-suppress-shortcuts": "true" }; // else JupyterLab folds headings with its arrow keys
    const input = slider.choice ? add(rows, "select", own) : add(rows, "input", {
      ...own, type: "range", min: 0, max: slider.labels.length - 1, step: ask ? slider.step : 1, value: slider.start,
    });
    if (slider.choice) slider.labels.forEach((label, k) => add(input, "option", { value: k }, label));
    input.value = slider.start;
    input.addEventListener("input", move);
    inputs.push(input);
    outputs.push(slider.choice ? null : add(rows, "output", { for: id }));
  }
  stored();
  if (ask) say("kernel live", "live");
  return answer;
}

export function mountStatic(key, spec, base64) {
  const floats = new Float32Array(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  for (const root of document.querySelectorAll(`[data-swref="${key}"]:empty`)) mount(root, spec, floats);
}

const asFloats = (view) =>
  new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

export default {
  render({ model, el }) {
    const view = Math.random().toString(36).slice(2); // one model may be shown in several cells
    let answer = null;
    const listen = (message, buffers) => {
      if (message.view !== view) return;
      if (message.type === "frames" && !answer) {
        answer = mount(add(el, "div"), message.spec, asFloats(buffers[0]),
          (at) => model.send({ type: "frame", view, at }));
      } else if (message.type === "frame" && answer) answer(message, buffers.length ? asFloats(buffers[0]) : null);
    };
    model.on("msg:custom", listen);
    model.send({ type: "hello", view });
    return () => model.off("msg:custom", listen);
  },
};
