import { least, momentAt } from "./diracs.js";
import { exponentSlider, hue, panel, showBounds, speaker } from "./stage.js";
import { add, ellipse, redraw, set, slider } from "./svg.js";

const UNIT = 95; // pixels of a mass 1, seen from the origin

/** Mass 1 and mass m on a circle at an angle: what moves, what is destroyed and created, and the price at p. */
export class Circle {
  constructor(root, { p = Infinity } = {}) {
    Object.assign(this, { root, degrees: 50, m: 0.6, p, say: speaker(root) });
    const pair = add(root, "div", { class: "swl-pair" });
    const titles = ["masses as squared distances from the centre", "displacements: their ellipse"];
    const [plane, moves] = titles.map((title) => panel(pair, "-155 -125 310 250", title));
    add(plane, "circle", { r: UNIT, class: "swl-guide" });
    this.rays = add(plane, "path", { class: "swl-axis" });
    this.faded = add(plane, "path", { class: "swl-line swl-dashed" });
    this.moved = add(plane, "path", { class: "swl-line" });
    this.dots = add(plane, "g");
    add(moves, "path", { d: "M-155 0H155M0 -125V125", class: "swl-axis" });
    this.ellipse = add(moves, "ellipse", { class: "swl-line" });
    this.plane = plane;
    this.result = add(root, "div", { class: "swl-result" });
    this.account = add(root, "p", { class: "swl-soft" });
    this.angle = slider(root, "angle", { min: 0, max: 180, value: 50 }, (degrees) => this.draw({ degrees }));
    this.mass = slider(root, "mass m", { min: 0.05, max: 2, step: 0.05, value: 0.6 }, (m) => this.draw({ m }));
    this.showExponent = exponentSlider(root, (exponent) => this.draw({ p: exponent }));
    this.draw({});
  }

  draw(change) {
    Object.assign(this, change);
    const { degrees, m, p } = this;
    const angle = (degrees * Math.PI) / 180;
    const { s, lower, upper } = least(1, m, angle, p, 0, Math.sqrt(m));
    const share = s / Math.sqrt(m); // of both masses
    const at = (r, turn) => [UNIT * r * Math.cos(turn), -UNIT * r * Math.sin(turn)];
    const [a, b] = [(r) => at(r, 0), (r) => at(r * Math.sqrt(m), angle)];
    const [kept, lost] = [Math.sqrt(share), Math.sqrt(1 - share)];
    set(this.rays, { d: `M0 0L${a(1.6)}M0 0L${at(1.6, angle)}` });
    set(this.moved, { d: share > 0 ? `M${a(kept)}L${b(kept)}` : "", "stroke-width": 1 + 4 * kept });
    set(this.faded, { d: lost > 1e-4 ? `M${a(lost)}L0 0L${b(lost)}` : "", "stroke-width": 1 + 4 * lost });
    const disc = ([cx, cy], r, name) => ({ cx, cy, r, class: name });
    redraw(this.dots, "circle", [disc(a(1), 8, "swl-source"), disc(b(1), 8 * Math.sqrt(m), "swl-target")]);
    ellipse(this.ellipse, momentAt(s, 1, m, angle), UNIT);
    this.root.style.setProperty("--hue", hue(p));
    showBounds(this.result, lower, upper, "UW²");
    const percent = (z) => `${Math.round(100 * z)} %`;
    this.account.textContent = `${percent(share)} of both masses moves; ${percent(1 - share)} is destroyed here and created there.`;
    this.angle.show(`${degrees}°`);
    this.mass.show(m.toFixed(2));
    this.showExponent(p);
    set(this.plane, { "aria-label": `Mass 1 and mass ${m} at ${degrees} degrees. ${this.account.textContent}` });
    this.say(`${this.result.textContent}. ${this.account.textContent}`);
  }
}
