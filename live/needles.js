import { least, momentAt } from "./diracs.js";
import { Picture } from "./picture.js";
import { gauge } from "./plane.js";
import { hue, nameOf } from "./stage.js";
import { add, ellipse, redraw, set } from "./svg.js";

const [UNIT, MOVE, COUNT] = [38, 30, 90]; // pixels of a standard deviation in each picture, draws that are shown
const DRAWS = Array.from({ length: COUNT }, (_, k) => {
  const r = Math.sqrt(-2 * Math.log((k + 0.5) / COUNT)); // pairs of independent normal numbers
  return [r * Math.cos(2.39996 * k), r * Math.sin(2.39996 * k)];
});

/** Two normal laws on lines at an angle, a plan of correlation c between them, its cost and the least, for three p. */
export class Needles extends Picture {
  constructor(root) {
    super(root, [UNIT, MOVE], ["needles and plan", "displacements"], { degrees: 60, c: 1 });
    const [plan, moves] = this.charts;
    this.ways = plan.layer("swl-line swl-trail");
    plan.layer("swl-bold", "path", { d: plan.line([-2.5, 2.5].map((z) => [z, 0])) });
    this.turned = plan.layer("swl-line", "path");
    moves.layer("swl-axis", "path", { d: "M-155 0H155M0 -125V125" });
    [this.cloud, this.ellipse] = [moves.layer("swl-fill swl-trail"), moves.layer("swl-line", "ellipse")];
    this.dial("degrees", "angle", { min: 0, max: 180 }, (z) => `${z}°`);
    this.dial("c", "correlation", { min: -1, max: 1, step: 0.01 }, (z) => z.toFixed(2));
    const table = add(root, "div", { class: "swl-table" });
    this.rows = [1, 2, Infinity].map((p) => {
      const row = add(table, "div", { class: "swl-panel", style: `--hue: ${hue(p)}` });
      const cells = [`p = ${nameOf(p)}`, "", ""].map((text) => add(row, "span", {}, text));
      this.button(row, "take its c", () => this.set({ c: this.best(p).s }));
      return { p, cells };
    });
    this.account = add(root, "p", { class: "swl-soft" });
    this.set({});
  }

  best(p) {
    return least(1, 1, this.angle, p, -1, 1);
  }

  draw() {
    const [[plan, moves], { angle, c }] = [this.charts, this];
    const at = (r) => [r * Math.cos(angle), r * Math.sin(angle)];
    const ends = DRAWS.map(([z, noise]) => [[z, 0], at(c * z + Math.sqrt(1 - c * c) * noise)]);
    redraw(this.ways, "path", ends, (pair) => ({ d: plan.line(pair) }));
    redraw(this.cloud, "circle", ends, ([[x], [a, b]]) => moves.disc([a - x, b], 2.5));
    set(this.turned, { d: plan.line([at(-2.5), at(2.5)]) });
    const moment = momentAt(c, 1, 1, angle);
    ellipse(this.ellipse, moment, MOVE);
    const gaps = this.rows.map(({ p, cells }) => {
      const { lower, upper } = this.best(p);
      cells[1].textContent = `this plan ${gauge(moment, p).toFixed(4)}`;
      cells[2].textContent = `least ${upper.toFixed(4)}`;
      return upper - lower;
    });
    const open = Math.max(...gaps).toExponential(0);
    this.account.textContent = `A metric proves each least cost: no plan costs less by more than ${open}.`;
    set(moves.svg, { "aria-label": `Displacements at ${this.degrees} degrees and correlation ${c.toFixed(2)}` });
    this.say(this.rows.map(({ cells }) => cells.map((cell) => cell.textContent).join(" ")).join("; "));
  }
}
