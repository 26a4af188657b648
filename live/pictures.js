import { eigenvalues } from "./plane.js";
import { add, disc, ellipse, set, shades } from "./svg.js";

const [WIDTH, HEIGHT, UNIT] = [560, 440, 200]; // pixels: of the window, of a unit
/** Points stay within this distance of the axes. */
export const REACH = [1.36, 1.06];
const NEAR = 22; // pixels on the screen within which a pointer holds a point
const place = ({ x, y }) => [WIDTH / 2 + UNIT * x, HEIGHT / 2 - UNIT * y];

/** The large picture: points (sources filled, targets open), the ways of the plan, and the mass on its way. */
export class Scene {
  constructor(parent) {
    const frame = { class: "swl-scene", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "application" };
    this.svg = add(parent, "svg", frame);
    this.drawWays = shades(this.svg, 12, { class: "swl-line", "stroke-width": 1.7, "stroke-linecap": "round" });
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
    const many = Math.max(10, points.length / 2);
    while (this.dots.children.length > points.length) this.dots.lastChild.remove();
    while (this.dots.children.length < points.length) {
      const group = add(this.dots, "g", { class: "swl-point" });
      add(group, "circle", { r: NEAR, fill: "transparent" });
      add(group, "circle", { class: "halo", fill: "none", "stroke-width": 2 });
      add(group, "circle", { class: "dot", "stroke-width": 1.7 });
    }
    points.forEach((point, k) => {
      const group = this.dots.children[k];
      const [x, y] = place(point);
      const r = ((19 * this.magnified) / Math.sqrt(many)) * Math.sqrt(point.weight);
      group.classList.toggle("chosen", k === chosen);
      set(group, { transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})` });
      set(group.children[1], { r: r + 4 });
      const [fill, stroke] = point.target ? ["var(--paper)", "var(--ink)"] : ["var(--ink)", "var(--paper)"];
      set(group.children[2], { r, fill, stroke });
    });
  }

  drawPlan(edges) {
    const data = (k) => `M${place(edges[k].from).map(Math.round)}L${place(edges[k].to).map(Math.round)}`;
    const weights = edges.map((edge) => edge.mass);
    this.drawWays(weights, data);
  }

  /** The displacement interpolation at time t: each part of the mass on its straight way. */
  drawMass(edges, t) {
    const parts = edges.map(({ from, to, mass }) => {
      const [x, y] = place({ x: from.x + t * (to.x - from.x), y: from.y + t * (to.y - from.y) });
      return mass < 1e-5 ? "" : disc(x, y, 24 * this.magnified * Math.sqrt(mass));
    });
    set(this.mass, { d: parts.join("") });
  }
}

/** A small picture with a title under `parent`. */
function panel(parent, title) {
  const box = add(parent, "div");
  add(box, "p", {}, title);
  return add(box, "svg", { viewBox: "-75 -66 150 132", role: "img" });
}

const CROSS = { d: "M-68 0H68M0 -62V62", stroke: "var(--line)" };

/** The three small pictures; returns a function that draws a result and its edges. */
export function sidePictures(parent) {
  const side = add(parent, "div", { class: "swl-side" });
  const parts = [displacementPicture(side), metricPicture(side), gapPicture(side)];
  return (result, edges) => {
    for (const draw of parts) draw(result, edges);
  };
}

function displacementPicture(side) {
  const svg = panel(side, "displacements");
  add(svg, "path", CROSS);
  const drawCloud = shades(svg, 6, { class: "swl-fill" });
  const shape = add(svg, "ellipse", { class: "swl-line", "stroke-width": 2 });
  return ({ moment }, edges) => {
    const steps = edges.map(({ from, to }) => [to.x - from.x, from.y - to.y]);
    const scale = 62 / Math.max(0.5, ...steps.map((step, k) => (edges[k].mass > 1e-4 ? Math.hypot(...step) : 0)));
    const weights = edges.map((edge) => edge.mass);
    drawCloud(weights, (k) => disc(scale * steps[k][0], scale * steps[k][1], 2.2));
    ellipse(shape, moment, scale);
    const [big, small] = eigenvalues(moment).map((z) => z.toFixed(3));
    set(svg, { "aria-label": `Displacements; their second moment has the eigenvalues ${big} and ${small}.` });
  };
}

function metricPicture(side) {
  const svg = panel(side, "best metric Q");
  add(svg, "path", CROSS);
  add(svg, "circle", { r: 58, fill: "none", stroke: "var(--soft)", "stroke-dasharray": "2 4" });
  const shape = add(svg, "ellipse", { class: "swl-line", "stroke-width": 2 });
  return ({ q }) => {
    const Q = q.map((z) => z / 2);
    ellipse(shape, Q, 58);
    const [big, small] = eigenvalues(Q).map((z) => z.toFixed(3));
    set(svg, { "aria-label": `The metric that proves the lower bound has the eigenvalues ${big} and ${small}.` });
  };
}

function gapPicture(side) {
  const svg = panel(side, "gap, step by step");
  const height = (gap) => 14 * Math.min(Math.max(-Math.log10(Math.max(gap, 1e-8)), 0), 8) - 56;
  for (const [k, text] of Object.entries({ 0: "1", 2: "10⁻²", 4: "10⁻⁴", 6: "10⁻⁶", 8: "10⁻⁸" })) {
    const look = { x: -45, y: 14 * k - 53, "font-size": 11, fill: "var(--soft)", "text-anchor": "end" };
    add(svg, "text", look, text);
  }
  add(svg, "path", { d: "M-41 -60V60M-41 28H70", stroke: "var(--soft)", "stroke-dasharray": "2 4" });
  const line = add(svg, "path", { class: "swl-line", "stroke-width": 1.8 });
  const stops = add(svg, "path", { class: "swl-fill" });
  return ({ history }) => {
    const width = 100 / Math.max(history.length - 1, 6);
    const at = history.map(([low, high], k) => [width * k - 32, height((high - low) / Math.max(high, 1e-300))]);
    set(line, { d: `M${at.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` });
    set(stops, { d: at.map(([x, y]) => disc(x, y, 2.6)).join("") });
    set(svg, {
      "aria-label": `The relative gap between the bounds after each of ${history.length} transport problems.`,
    });
  };
}
