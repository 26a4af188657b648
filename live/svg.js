import { eigenvalues } from "./plane.js";

const NS = "http://www.w3.org/2000/svg";

/** Set attributes; numbers to a hundredth of a pixel. */
export function set(node, attributes) {
  for (const [key, z] of Object.entries(attributes)) node.setAttribute(key, typeof z === "number" ? +z.toFixed(2) : z);
}

/** A new element under `parent`, of SVG below an svg; returns it. */
export function add(parent, tag, attributes = {}, text = "") {
  const svg = tag === "svg" || parent.namespaceURI === NS;
  const node = svg ? document.createElementNS(NS, tag) : document.createElement(tag);
  set(node, attributes);
  node.textContent = text;
  return parent.appendChild(node);
}

/** Give `group` one child per item. Elements stay: a finger holds the one that it touched first. */
export function redraw(group, tag, items, attributes = (item) => item) {
  while (group.children.length > items.length) group.lastChild.remove();
  for (const [k, item] of items.entries()) set(group.children[k] ?? add(group, tag), attributes(item, k));
}

/** A picture in units of its own, with the origin in the middle and y upwards. */
export class Chart {
  constructor(parent, width, height, unit, attributes = {}) {
    const viewBox = `${-width / 2} ${-height / 2} ${width} ${height}`;
    Object.assign(this, { unit, svg: add(parent, "svg", { viewBox, ...attributes }) });
  }

  /** A new element of a class, a group unless `tag` says else. */
  layer(name, tag = "g", attributes = {}) {
    return add(this.svg, tag, { class: name, ...attributes });
  }

  /** Attributes of a circle around a point, with its radius in pixels. */
  disc([x, y], r, name = "") {
    return { cx: this.unit * x, cy: -this.unit * y, r, class: name };
  }

  /** The path through points. */
  line(points) {
    return `M${points.map(([x, y]) => `${(this.unit * x).toFixed(1)} ${(-this.unit * y).toFixed(1)}`).join("L")}`;
  }
}

/** Make `node` the ellipse of S^(1/2), S = [t, u, v]; in pixels y points down. */
export function ellipse(node, s, scale) {
  const [rx, ry] = eigenvalues(s).map((z) => Math.max(scale * Math.sqrt(Math.max(z, 0)), 0.6));
  set(node, { rx, ry, transform: `rotate(${(-Math.atan2(s[2], s[1]) * 90) / Math.PI})` });
}

/** A row with label, native range input and output; `show(text, spoken)` writes what it says. */
export function slider(root, label, attributes, onInput) {
  const row = add(root, "label", { class: "swl-row" }, label);
  const input = add(row, "input", { type: "range", ...attributes });
  const output = add(row, "output");
  input.addEventListener("input", () => onInput(Number(input.value)));
  const show = (text, spoken = text) => {
    output.textContent = text;
    input.setAttribute("aria-valuetext", spoken);
  };
  return { input, show };
}

/** A native drop-down of {value: text} with a label. */
export function choice(parent, label, options, onChange) {
  const select = add(add(parent, "label", {}, label), "select");
  for (const [value, text] of Object.entries(options)) add(select, "option", { value }, text);
  select.addEventListener("change", () => onChange(select.value));
  return select;
}
