import { climb } from "./climb.js";
import { PRESETS } from "./presets.js";
import { hue, panel, showBounds, speaker } from "./stage.js";
import { add, choice, redraw, set, slider } from "./svg.js";

const [UNIT, HALF, HIGH] = [105, 140, 250]; // pixels: of the clouds, of s = 1, of the picture
const TOLLS = Array.from({ length: 81 }, (_, k) => k / 40 - 1);
const ABOUT = `Orange: the least bill for every split of the toll between the two axes. Grey: one plan's bill, a line.
  Black: the lowest lines, an upper bound; its top (ring) is asked next. Dots: what was asked, lower bounds.`;

/** Step through the cutting planes of two clouds, on the segment of metrics of two axes that the reader turns. */
export class Planes {
  constructor(root, { preset = "sand" } = {}) {
    Object.assign(this, { degrees: 0, step: 1, say: speaker(root) });
    root.style.setProperty("--hue", hue(Infinity));
    const pair = add(root, "div", { class: "swl-pair" });
    const [clouds, bills] = ["the plan of this problem", "bill, by the share of the toll"].map((title) =>
      panel(pair, `-155 ${-HIGH / 2} 310 ${HIGH}`, title),
    );
    const group = (svg, name) => add(svg, "g", { class: name });
    this.axes = add(clouds, "path", { class: "swl-axis" });
    [this.plan, this.dots] = ["swl-line swl-thin", ""].map((name) => group(clouds, name));
    [this.lines, this.curves, this.asked] = ["swl-guide", "", "swl-fill"].map((name) => group(bills, name));
    this.top = add(bills, "circle", { r: 6, class: "swl-bold" });
    this.bills = bills;
    this.result = add(root, "div", { class: "swl-result" });
    this.turn = slider(root, "turn axes", { min: 0, max: 90, value: 0 }, (degrees) => this.climb({ degrees }));
    this.count = slider(root, "problem", { min: 1, max: 2, value: 1 }, (step) => this.show(step));
    const tools = add(root, "div", { class: "swl-tools" });
    for (const [name, by] of Object.entries({ "◂ back": -1, "next ▸": 1 }))
      add(tools, "button", { type: "button" }, name).addEventListener("click", () => this.show(this.step + by));
    const names = Object.entries(PRESETS).map(([key, [name]]) => [key, name]);
    choice(tools, "clouds ", Object.fromEntries(names), (name) => this.climb({ preset: name })).value = preset;
    add(root, "p", { class: "swl-soft" }, ABOUT);
    this.climb({ preset });
  }

  /** Solve all problems anew. */
  climb(change) {
    Object.assign(this, change);
    [this.x, this.y] = PRESETS[this.preset].slice(1);
    const [x, y] = [this.x, this.y].map((rows) => Float64Array.from(rows.flat()));
    const { bill, steps } = climb(x, y, (this.degrees * Math.PI) / 180);
    this.steps = steps;
    this.hill = TOLLS.map((s) => [s, bill(s)]);
    this.scale = (0.75 * HIGH) / Math.max(...this.hill.map(([, z]) => z));
    set(this.count.input, { max: steps.length });
    this.turn.show(`${this.degrees}°`);
    this.show(Math.min(this.step, steps.length));
  }

  show(step) {
    this.step = Math.min(Math.max(step, 1), this.steps.length);
    const [seen, scale] = [this.steps.slice(0, this.step), this.scale];
    const now = seen.at(-1);
    const at = ([s, z]) => `${(HALF * s).toFixed(1)} ${(HIGH / 2 - scale * z).toFixed(1)}`;
    const path = (points) => `M${points.map(at).join("L")}`;
    const height = (s) => Math.min(...seen.map(({ line: [a, b] }) => a + b * s));
    const corners = [...TOLLS, ...this.steps.map(({ top }) => top)].sort((s, t) => s - t);
    redraw(
      this.lines,
      "path",
      seen.map(({ line: [a, b] }) => ({ d: path([-1, 1].map((s) => [s, a + b * s])) })),
    );
    redraw(this.curves, "path", [
      { d: path(corners.map((s) => [s, height(s)])), class: "swl-bold" },
      { d: path(this.hill), class: "swl-line" },
    ]);
    const disc = (s, z, r) => ({ cx: HALF * s, cy: HIGH / 2 - scale * z, r });
    redraw(
      this.asked,
      "circle",
      seen.map(({ s, value }) => disc(s, value, 4)),
    );
    set(this.top, disc(now.top, now.roof, 6));
    this.drawClouds(now);
    this.write(now);
  }

  drawClouds({ cells }) {
    const place = ([x, y]) => [UNIT * x, -UNIT * y];
    const circle = (name) => (point) => ({ cx: place(point)[0], cy: place(point)[1], r: 4.5, class: name });
    redraw(this.dots, "circle", [...this.x.map(circle("swl-source")), ...this.y.map(circle("swl-target"))]);
    const ends = cells.map((k) => [this.x[Math.floor(k / this.y.length)], this.y[k % this.y.length]]);
    redraw(
      this.plan,
      "path",
      ends.map(([from, to]) => ({ d: `M${place(from)}L${place(to)}` })),
    );
    set(this.axes, { d: "M-160 0H160M0 -160V160", transform: `rotate(${-this.degrees})` });
  }

  write({ lower, roof }) {
    showBounds(this.result, lower * (1 - 1e-12), roof * (1 + 1e-12), "W²"); // rounding is less
    const gap = roof - lower <= 1e-9 * lower ? "closed" : `${((100 * (roof - lower)) / roof).toPrecision(2)} %`;
    add(this.result, "span", { class: "swl-soft" }, ` gap ${gap}`);
    this.count.input.value = this.step;
    this.count.show(`${this.step} of ${this.steps.length}`);
    const text = `Problem ${this.step} of ${this.steps.length}: ${this.result.textContent}`;
    set(this.bills, { "aria-label": text });
    this.say(text);
  }
}
