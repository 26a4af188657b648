import { eigenvalues } from "./plane.js";

const NS = "http://www.w3.org/2000/svg";

/** A new element under `parent`, of SVG below an svg; returns it. */
export function add(parent, tag, attributes = {}, text = "") {
  const svg = tag === "svg" || parent.namespaceURI === NS;
  const node = svg ? document.createElementNS(NS, tag) : document.createElement(tag);
  set(node, attributes);
  node.textContent = text;
  return parent.appendChild(node);
}

/** Set attributes; numbers to a hundredth of a pixel. */
export function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, typeof value === "number" ? +value.toFixed(2) : value);
  }
}

/** Path data of a disc, which may be one of many in a path. */
export function disc(x, y, r) {
  const [d, left] = [(2 * r).toFixed(2), (x - r).toFixed(2)];
  return `M${left} ${y.toFixed(2)}a${r.toFixed(2)} ${r.toFixed(2)} 0 1 0 ${d} 0a${r.toFixed(2)} ${r.toFixed(2)} 0 1 0 -${d} 0`;
}

/** Paths of rising opacity under `parent`; `draw(weights, data)` puts item k, with path data(k), where its weight says. */
export function shades(parent, count, attributes) {
  const paths = Array.from({ length: count }, (_, k) =>
    add(parent, "path", { ...attributes, opacity: (k + 1) / count }),
  );
  return (weights, data) => {
    const top = Math.max(...weights);
    const parts = paths.map(() => []);
    weights.forEach((w, k) => {
      if (w > 2e-3 * top) parts[Math.ceil(count * (w / top)) - 1].push(data(k));
    });
    for (const [k, path] of paths.entries()) set(path, { d: parts[k].join("") });
  };
}

/** Make `node` the ellipse of S^(1/2), S = [t, u, v]; in pixels y points down. */
export function ellipse(node, s, scale) {
  const [rx, ry] = eigenvalues(s).map((z) => Math.max(scale * Math.sqrt(Math.max(z, 0)), 0.6));
  set(node, { rx, ry, transform: `rotate(${(-Math.atan2(s[2], s[1]) * 90) / Math.PI})` });
}

/** A row with label, native range input and output; `show(text, spoken)` writes what it says. */
export function slider(root, label, attributes, onInput) {
  const row = add(root, "label", { class: "swl-row" });
  add(row, "span", {}, label);
  const input = add(row, "input", { type: "range", ...attributes });
  const output = add(row, "output");
  input.addEventListener("input", () => onInput(Number(input.value)));
  const show = (text, spoken = text) => {
    output.textContent = text;
    input.setAttribute("aria-valuetext", spoken);
  };
  return { row, input, show };
}
