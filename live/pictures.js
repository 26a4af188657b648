import { add, disc, ellipse, set, shades } from "./svg.js";

const [WIDTH, HEIGHT, UNIT] = [560, 440, 200]; // pixels: of the window, of a unit
const NEAR = 22; // pixels on the screen within which a pointer holds a point
const place = ({ x, y }) => [WIDTH / 2 + UNIT * x, HEIGHT / 2 - UNIT * y];

/** The large picture: points (sources filled, targets open), the ways of the plan, and the mass on its way. */
export class Scene {
  constructor(parent) {
    const frame = { class: "swl-scene", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "application" };
    this.svg = add(parent, "svg", frame);
    this.ways = shades(this.svg, 12, { class: "swl-line", "stroke-width": 1.7, "stroke-linecap": "round" });
    this.mass = add(this.svg, "path", { class: "swl-fill", stroke: "var(--paper)", "stroke-width": 0.7 });
    this.dots = add(this.svg, "g");
  }

  /** Small screens get larger points. */
  get magnified() {
    return Math.min(Math.max(500 / (this.svg.clientWidth || 500), 1), 1.6);
  }

  /** A pointer's place, and the index of the point that it touches, or -1. */
  locate(event, points) {
    const box = this.svg.getBoundingClientRect();
    const scale = WIDTH / UNIT / box.width;
    const x = (event.clientX - box.left - box.width / 2) * scale;
    const y = (box.top + box.height / 2 - event.clientY) * scale;
    const distances = points.map((point) => Math.hypot(point.x - x, point.y - y));
    const least = Math.min(...distances);
    return { x, y, index: least < NEAR * scale ? distances.indexOf(least) : -1 };
  }

  drawPoints(points, chosen) {
    const unit = (19 * this.magnified) / Math.sqrt(Math.max(10, points.length / 2));
    while (this.dots.children.length > points.length) this.dots.lastChild.remove();
    while (this.dots.children.length < points.length) {
      const group = add(this.dots, "g", { class: "swl-point" });
      add(group, "circle", { r: NEAR, fill: "transparent" });
      for (const name of ["halo", "dot"]) add(group, "circle", { class: name, fill: "none", "stroke-width": 1.8 });
    }
    for (const [k, point] of points.entries()) {
      const group = this.dots.children[k];
      const [fill, stroke] = point.target ? ["var(--paper)", "var(--ink)"] : ["var(--ink)", "var(--paper)"];
      const r = unit * Math.sqrt(point.weight);
      group.classList.toggle("chosen", k === chosen);
      set(group, { transform: `translate(${place(point)})` });
      set(group.children[1], { r: r + 4 });
      set(group.children[2], { r, fill, stroke });
    }
  }

  drawPlan(edges) {
    this.ways(edges, ({ from, to }) => `M${place(from)}L${place(to)}`);
  }

  /** The displacement interpolation at time t: each part of the mass on its straight way. */
  drawMass(edges, t) {
    const at = ({ from, to }) => place({ x: from.x + t * (to.x - from.x), y: from.y + t * (to.y - from.y) });
    const heavy = edges.filter((edge) => edge.mass > 1e-5);
    set(this.mass, { d: heavy.map((edge) => disc(...at(edge), 24 * this.magnified * Math.sqrt(edge.mass))).join("") });
  }
}

/** A small picture with a title; its numbers are in the text below the large one. */
function panel(side, title, ground) {
  const box = add(side, "div", { "aria-hidden": true });
  add(box, "p", {}, title);
  const svg = add(box, "svg", { viewBox: "-75 -66 150 132" });
  add(svg, "path", { d: ground, stroke: "var(--line)" });
  return svg;
}

/** Displacements, metric and gaps; returns a function that draws a result and its edges. */
export function sidePictures(parent) {
  const side = add(parent, "div", { class: "swl-side" });
  const cross = "M-68 0H68M0 -62V62";
  const [moves, metric] = [panel(side, "displacements", cross), panel(side, "best metric Q", cross)];
  const cloud = shades(moves, 6, { class: "swl-fill" });
  const [moment, shape] = [moves, metric].map((svg) => add(svg, "ellipse", { class: "swl-line", "stroke-width": 2 }));
  add(metric, "circle", { r: 58, fill: "none", stroke: "var(--soft)", "stroke-dasharray": "2 4" });
  const drawGaps = gapPicture(side);
  return (result, edges) => {
    const length = ({ from, to, mass }) => (mass > 1e-4 ? Math.hypot(to.x - from.x, to.y - from.y) : 0);
    const scale = 62 / Math.max(0.5, ...edges.map(length));
    cloud(edges, ({ from, to }) => disc(scale * (to.x - from.x), scale * (from.y - to.y), 2.2));
    ellipse(moment, result.moment, scale);
    const Q = result.q.map((z) => z / 2);
    ellipse(shape, Q, 58);
    drawGaps(result.history);
  };
}

function gapPicture(side) {
  const svg = panel(side, "gap, step by step", "M-41 -60V60M-41 28H70");
  const label = { x: -45, "font-size": 11, fill: "var(--soft)", "text-anchor": "end" };
  for (const [k, text] of ["1", "10⁻²", "10⁻⁴", "10⁻⁶", "10⁻⁸"].entries())
    add(svg, "text", { ...label, y: 28 * k - 53 }, text);
  const [line, stops] = ["swl-line", "swl-fill"].map((name) => add(svg, "path", { class: name, "stroke-width": 1.8 }));
  const height = (gap) => 14 * Math.min(Math.max(-Math.log10(Math.max(gap, 1e-8)), 0), 8) - 56;
  return (history) => {
    const width = 100 / Math.max(history.length - 1, 6);
    const at = history.map(([low, high], k) => [width * k - 32, height((high - low) / Math.max(high, 1e-300))]);
    set(line, { d: `M${at.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` });
    set(stops, { d: at.map(([x, y]) => disc(x, y, 2.6)).join("") });
  };
}
