import { climb } from "./climb.js";
import { Picture } from "./picture.js";
import { PRESETS } from "./presets.js";
import { hue, showBounds } from "./stage.js";
import { add, choice, redraw, set } from "./svg.js";

const [HALF, HIGH] = [140, 250]; // pixels of s = 1, and of the picture
const TOLLS = Array.from({ length: 81 }, (_, k) => k / 40 - 1);
const ABOUT = `In colour: the least bill for every split of the toll between the two axes. Dotted: one plan's bill, a
  line. Bold: the lowest lines, an upper bound; its top (ring) is asked next. Dots: what was asked, lower bounds.`;

/** Step through the cutting planes of two clouds, on the segment of metrics of two axes that the reader turns. */
export class Planes extends Picture {
  constructor(root, { preset = "sand" } = {}) {
    super(root, [105, HALF], ["plan of this problem", "bill, by toll"], { degrees: 0, problem: 1, preset });
    root.style.setProperty("--hue", hue(Infinity));
    const [clouds, bills] = this.charts;
    this.axes = clouds.layer("swl-axis", "path", { d: "M-160 0H160M0 -160V160" });
    [this.plan, this.dots] = ["swl-line swl-thin", ""].map((name) => clouds.layer(name));
    [this.lines, this.asked] = ["swl-guide", "swl-fill"].map((name) => bills.layer(name));
    [this.roof, this.curve] = ["swl-bold", "swl-line"].map((name) => bills.layer(name, "path"));
    this.top = bills.layer("swl-bold", "circle");
    this.result = add(root, "div", { class: "swl-result" });
    this.dial("degrees", "turn axes", { min: 0, max: 90 }, (z) => `${z}°`);
    this.count = this.dial("problem", "problem", { min: 1 }, (z) => `${z} of ${this.steps.length}`);
    const tools = add(root, "div", { class: "swl-tools" });
    this.button(tools, "◂ back", () => this.set({ problem: this.problem - 1 }));
    this.button(tools, "next ▸", () => this.set({ problem: this.problem + 1 }));
    const names = Object.entries(PRESETS).map(([key, [name]]) => [key, name]);
    choice(tools, "clouds ", Object.fromEntries(names), (name) => this.set({ preset: name })).value = preset;
    add(root, "p", { class: "swl-soft" }, ABOUT);
    this.set({});
  }

  draw() {
    const [clouds, bills] = this.charts;
    const [x, y] = PRESETS[this.preset].slice(1);
    const { bill, steps } = climb(...[x, y].map((rows) => Float64Array.from(rows.flat())), this.angle);
    Object.assign(this, { steps, problem: Math.min(Math.max(this.problem, 1), steps.length) });
    set(this.count, { max: steps.length });
    const now = steps[this.problem - 1];
    this.drawBills(bills, bill, steps.slice(0, this.problem), now);
    const discs = (points, name) => points.map((point) => clouds.disc(point, 4.5, name));
    redraw(this.dots, "circle", [...discs(x, "swl-source"), ...discs(y, "swl-target")]);
    const ends = (k) => [x[Math.floor(k / y.length)], y[k % y.length]];
    redraw(this.plan, "path", now.cells, (k) => ({ d: clouds.line(ends(k)) }));
    set(this.axes, { transform: `rotate(${-this.degrees})` });
    showBounds(this.result, now.lower * (1 - 1e-12), now.roof * (1 + 1e-12), "W²"); // rounding is less
    const gap = 100 * Math.max(now.roof / now.lower - 1, 0);
    add(this.result, "span", { class: "swl-soft" }, ` gap\u00a0${gap.toFixed(2)}\u00a0%`);
    const text = `Problem ${this.problem} of ${steps.length}: ${this.result.textContent}`;
    set(bills.svg, { "aria-label": text });
    this.say(text);
  }

  drawBills(chart, bill, seen, { top, roof }) {
    const hill = TOLLS.map((s) => [s, bill(s)]);
    // The first roof is the highest.
    const scale = HIGH / HALF / Math.max(...hill.map(([, z]) => z / 0.75), seen[0].roof / 0.95);
    const at = ([s, z]) => [s, scale * z - HIGH / 2 / HALF];
    const path = (points) => ({ d: chart.line(points.map(at)) });
    redraw(this.lines, "path", seen, ({ line: [a, b] }) => path([-1, 1].map((s) => [s, a + b * s])));
    const height = (s) => Math.min(...seen.map(({ line: [a, b] }) => a + b * s));
    const corners = [...TOLLS, ...seen.map((step) => step.top)].sort((s, t) => s - t);
    set(this.roof, path(corners.map((s) => [s, height(s)])));
    set(this.curve, path(hill));
    redraw(this.asked, "circle", seen, ({ s, value }) => chart.disc(at([s, value]), 4));
    set(this.top, chart.disc(at([top, roof]), 6, "swl-bold"));
  }
}
