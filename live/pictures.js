import { add, ellipse, redraw, set } from "./svg.js";

const [WIDTH, HEIGHT, UNIT] = [560, 440, 200]; // pixels: of the window, of a unit
const NEAR = 22; // pixels on the screen within which a pointer holds a point
const place = ({ x, y }) => [WIDTH / 2 + UNIT * x, HEIGHT / 2 - UNIT * y];

/** The large picture: points (sources filled, targets open), the ways of the plan, and the mass on its way. */
export class Scene {
  constructor(parent) {
    const frame = { class: "swl-scene", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "application" };
    this.svg = add(parent, "svg", frame);
    const names = ["swl-line swl-ways", "swl-fill swl-mass", "swl-dots"];
    [this.ways, this.mass, this.dots] = names.map((name) => add(this.svg, "g", { class: name }));
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
    const circle = (point, r, name) => {
      const [cx, cy] = place(point);
      return { cx, cy, r, class: name };
    };
    const discs = points.flatMap((point, k) => {
      const r = unit * Math.sqrt(point.weight);
      const halo = circle(point, k === chosen ? r + 4 : 0, "swl-halo");
      return [halo, circle(point, r, point.target ? "swl-target" : "swl-source"), circle(point, NEAR, "swl-grip")];
    });
    redraw(this.dots, "circle", discs);
  }

  drawPlan(edges) {
    const top = Math.max(...edges.map((edge) => edge.mass));
    const way = ({ from, to, mass }) => ({ d: `M${place(from)}L${place(to)}`, opacity: mass / top });
    redraw(this.ways, "path", edges.map(way));
  }

  /** The displacement interpolation at time t: each part of the mass on its straight way. */
  drawMass(edges, t) {
    const parts = edges.map(({ from, to, mass }) => {
      const [cx, cy] = place({ x: from.x + t * (to.x - from.x), y: from.y + t * (to.y - from.y) });
      return { cx, cy, r: 24 * this.magnified * Math.sqrt(mass) };
    });
    redraw(this.mass, "circle", parts);
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
  const cloud = add(moves, "g", { class: "swl-fill" });
  const [moment, shape] = [moves, metric].map((svg) => add(svg, "ellipse", { class: "swl-line" }));
  add(metric, "circle", { r: 58, class: "swl-guide" });
  const drawGaps = gapPicture(side);
  return (result, edges) => {
    const steps = edges.map(({ from, to, mass }) => ({ x: to.x - from.x, y: from.y - to.y, mass }));
    const scale = 62 / Math.max(0.5, ...steps.map(({ x, y, mass }) => (mass > 1e-4 ? Math.hypot(x, y) : 0)));
    const top = Math.max(...steps.map((step) => step.mass));
    const dot = ({ x, y, mass }) => ({ cx: scale * x, cy: scale * y, r: 2.2, opacity: mass / top });
    redraw(cloud, "circle", steps.map(dot));
    ellipse(moment, result.moment, scale);
    const Q = result.q.map((z) => z / 2);
    ellipse(shape, Q, 58);
    drawGaps(result.history);
  };
}

function gapPicture(side) {
  const svg = panel(side, "gap, step by step", "M-41 -60V60M-41 28H70");
  for (const [k, text] of ["1", "10⁻²", "10⁻⁴", "10⁻⁶", "10⁻⁸"].entries())
    add(svg, "text", { x: -72, y: 28 * k - 53 }, text);
  const line = add(svg, "path", { class: "swl-line" });
  const stops = add(svg, "g", { class: "swl-fill" });
  const height = (gap) => 14 * Math.min(Math.max(-Math.log10(Math.max(gap, 1e-8)), 0), 8) - 56;
  return (history) => {
    const width = 100 / Math.max(history.length - 1, 6);
    const at = history.map(([low, high], k) => [width * k - 32, height((high - low) / Math.max(high, 1e-300))]);
    set(line, { d: `M${at.join("L")}` });
    redraw(
      stops,
      "circle",
      at.map(([cx, cy]) => ({ cx, cy, r: 2.6 })),
    );
  };
}
