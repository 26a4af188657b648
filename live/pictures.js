import { add, Chart, ellipse, redraw, set } from "./svg.js";

const NEAR = 22; // pixels on the screen within which a pointer holds a point
const [CROSS, TICKS] = ["M-68 0H68M0 -62V62", ["1", "10⁻²", "10⁻⁴", "10⁻⁶", "10⁻⁸"]];

/** The large picture: points (sources filled, targets open), the ways of the plan, and the mass on its way. */
export class Scene extends Chart {
  constructor(parent) {
    super(parent, 560, 440, 200, { class: "swl-scene", tabindex: 0, role: "application" });
    const names = ["swl-line swl-ways", "swl-fill swl-mass", "swl-dots"];
    [this.ways, this.mass, this.dots] = names.map((name) => this.layer(name));
  }

  /** Small screens get larger points. */
  get magnified() {
    return Math.min(Math.max(500 / (this.svg.clientWidth || 500), 1), 1.6);
  }

  /** A pointer's place, and the index of the point that it touches, or -1. */
  locate({ clientX, clientY }, points) {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    const scale = 560 / this.unit / width;
    const [x, y] = [(clientX - left - width / 2) * scale, (top + height / 2 - clientY) * scale];
    const distances = points.map(({ at }) => Math.hypot(at[0] - x, at[1] - y));
    const least = Math.min(...distances);
    return { x, y, index: least < NEAR * scale ? distances.indexOf(least) : -1 };
  }

  drawPoints(points, chosen) {
    const unit = (19 * this.magnified) / Math.sqrt(Math.max(10, points.length / 2));
    const discs = points.flatMap(({ at, weight, target }, k) => {
      const r = unit * Math.sqrt(weight);
      const halo = this.disc(at, k === chosen ? r + 4 : 0, "swl-halo");
      return [halo, this.disc(at, r, target ? "swl-target" : "swl-source"), this.disc(at, NEAR, "swl-grip")];
    });
    redraw(this.dots, "circle", discs);
  }

  drawPlan(edges) {
    const top = Math.max(...edges.map((edge) => edge.mass));
    redraw(this.ways, "path", edges, ({ from, to, mass }) => ({ d: this.line([from.at, to.at]), opacity: mass / top }));
  }

  /** The displacement interpolation at time t: each part of the mass on its straight way. */
  drawMass(edges, t) {
    const place = ({ from, to }) => from.at.map((z, c) => z + t * (to.at[c] - z));
    const unit = 24 * this.magnified;
    redraw(this.mass, "circle", edges, (edge) => this.disc(place(edge), unit * Math.sqrt(edge.mass)));
  }
}

/** A small picture with a title; its numbers are in the text below the large one. */
function panel(side, title, ground) {
  const box = add(side, "div", { "aria-hidden": true });
  add(box, "p", {}, title);
  const chart = new Chart(box, 150, 132, 1);
  chart.layer("swl-axis", "path", { d: ground });
  return chart;
}

/** Displacements, metric and gaps; returns a function that draws a result and its edges. */
export function sidePictures(parent) {
  const side = add(parent, "div", { class: "swl-side" });
  const [moves, metric] = ["displacements", "best metric Q"].map((title) => panel(side, title, CROSS));
  const cloud = moves.layer("swl-fill");
  const [moment, shape] = [moves, metric].map((chart) => chart.layer("swl-line", "ellipse"));
  metric.layer("swl-guide", "circle", { r: 58 });
  const drawGaps = gapPicture(side);
  return (result, edges) => {
    const steps = edges.map(({ from, to }) => to.at.map((z, c) => z - from.at[c]));
    const far = Math.max(0.5, ...steps.map(([x, y], k) => (edges[k].mass > 1e-4 ? Math.hypot(x, y) : 0)));
    const top = Math.max(...edges.map((edge) => edge.mass));
    moves.unit = 62 / far;
    redraw(cloud, "circle", steps, (step, k) => ({ ...moves.disc(step, 2.2), opacity: edges[k].mass / top }));
    ellipse(moment, result.moment, moves.unit);
    const Q = result.q.map((z) => z / 2);
    ellipse(shape, Q, 58);
    drawGaps(result.history);
  };
}

function gapPicture(side) {
  const chart = panel(side, "gap, step by step", "M-41 -60V60M-41 28H70");
  for (const [k, text] of TICKS.entries()) add(chart.svg, "text", { x: -72, y: 28 * k - 53 }, text);
  const [line, stops] = [chart.layer("swl-line", "path"), chart.layer("swl-fill")];
  const height = (gap) => 56 + 14 * Math.min(Math.max(Math.log10(Math.max(gap, 1e-8)), -8), 0);
  return (history) => {
    const width = 100 / Math.max(history.length - 1, 6);
    const points = history.map(([low, high], k) => [width * k - 32, height((high - low) / Math.max(high, 1e-300))]);
    set(line, { d: chart.line(points) });
    redraw(stops, "circle", points, (point) => chart.disc(point, 2.6));
  };
}
