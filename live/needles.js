import { least, momentAt } from "./diracs.js";
import { gauge } from "./plane.js";
import { hue, nameOf, panel, speaker } from "./stage.js";
import { add, ellipse, redraw, set, slider } from "./svg.js";

const [UNIT, COUNT] = [52, 90]; // pixels of a standard deviation, draws that are shown
const DRAWS = Array.from({ length: COUNT }, (_, k) => {
  const r = Math.sqrt(-2 * Math.log((k + 0.5) / COUNT)); // pairs of independent normal numbers
  return [r * Math.cos(2.39996 * k), r * Math.sin(2.39996 * k)];
});

/** Two normal laws on lines at an angle, a plan of correlation c between them, its cost and the least, for three p. */
export class Needles {
  constructor(root) {
    Object.assign(this, { degrees: 60, c: 1, say: speaker(root), rows: [] });
    const pair = add(root, "div", { class: "swl-pair" });
    const titles = ["two needles, and the plan", "its displacements, and their ellipse"];
    const [plan, moves] = titles.map((title) => panel(pair, "-155 -125 310 250", title));
    this.ways = add(plan, "g", { class: "swl-line swl-trail" });
    this.needles = ["swl-bold", "swl-line swl-pale"].map((name) => add(plan, "path", { class: name }));
    add(moves, "path", { d: "M-155 0H155M0 -125V125", class: "swl-axis" });
    this.cloud = add(moves, "g", { class: "swl-fill swl-trail" });
    this.moves = moves;
    this.ellipse = add(moves, "ellipse", { class: "swl-line" });
    this.angle = slider(root, "angle", { min: 0, max: 180, value: 60 }, (degrees) => this.draw({ degrees }));
    this.grip = slider(root, "correlation c", { min: -1, max: 1, step: 0.01, value: 1 }, (c) => this.draw({ c }));
    const table = add(root, "div", { class: "swl-table" });
    for (const p of [1, 2, Infinity]) {
      const line = add(table, "div", { class: "swl-panel", style: `--hue: ${hue(p)}` });
      const row = [1, 2, 3].map(() => add(line, "span"));
      const button = add(line, "button", { type: "button" }, "take its c");
      button.addEventListener("click", () => this.draw({ c: this.best(p).s }));
      this.rows.push([p, row]);
    }
    this.account = add(root, "p", { class: "swl-soft" });
    this.draw({});
  }

  best(p) {
    return least(1, 1, (this.degrees * Math.PI) / 180, p, -1, 1);
  }

  draw(change) {
    Object.assign(this, change);
    const { degrees, c } = this;
    const angle = (degrees * Math.PI) / 180;
    const v = [UNIT * Math.cos(angle), -UNIT * Math.sin(angle)];
    const rest = Math.sqrt(Math.max(1 - c * c, 0));
    const ends = DRAWS.map(([z, noise]) => [[UNIT * z, 0], v.map((w) => w * (c * z + rest * noise))]);
    redraw(
      this.ways,
      "path",
      ends.map(([from, to]) => ({ d: `M${from}L${to.map((z) => z.toFixed(1))}` })),
    );
    redraw(
      this.cloud,
      "circle",
      ends.map(([[x], [a, b]]) => ({ cx: a - x, cy: b, r: 2.5 })),
    );
    set(this.needles[0], { d: `M${-2.5 * UNIT} 0H${2.5 * UNIT}` });
    set(this.needles[1], { d: `M${v.map((z) => -2.5 * z)}L${v.map((z) => 2.5 * z)}` });
    const moment = momentAt(c, 1, 1, angle);
    ellipse(this.ellipse, moment, UNIT);
    const gaps = [];
    const texts = this.rows.map(([p, [name, cost, bound]]) => {
      const { lower, upper } = this.best(p);
      name.textContent = `p = ${nameOf(p)}`;
      cost.textContent = `this plan ${gauge(moment, p).toFixed(4)}`;
      bound.textContent = `least ${upper.toFixed(4)}`;
      gaps.push(upper - lower);
      return `${name.textContent}: ${cost.textContent}, ${bound.textContent}`;
    });
    const open = Math.max(...gaps);
    this.account.textContent = `A metric proves each least cost: no plan costs less by more than ${open.toExponential(0)}.`;
    this.angle.show(`${degrees}°`);
    this.grip.input.value = c;
    this.grip.show(c.toFixed(2));
    set(this.moves, { "aria-label": `Displacements at ${degrees} degrees and correlation ${c.toFixed(2)}` });
    this.say(texts.join("; "));
  }
}
