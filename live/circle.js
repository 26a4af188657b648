import { least, momentAt } from "./diracs.js";
import { Picture } from "./picture.js";
import { exponentSlider, hue, showBounds } from "./stage.js";
import { add, ellipse, set } from "./svg.js";

const UNIT = 80; // pixels of a mass 1, seen from the origin; a mass 2 is 1.41 away from it
const percent = (z) => `${Math.round(100 * z)} %`;

/** Mass 1 and mass m on a circle at an angle: what moves, what is destroyed and created, and the price at p. */
export class Circle extends Picture {
  constructor(root, { p = Infinity } = {}) {
    super(root, [UNIT, UNIT], ["radius²: mass", "displacements"], { degrees: 50, m: 0.6, p });
    const [plane, moves] = this.charts;
    plane.layer("swl-guide", "circle", { r: UNIT });
    const names = ["swl-guide", "swl-axis", "swl-line swl-dashed", "swl-line"];
    [this.nearest, this.rays, this.faded, this.moved] = names.map((name) => plane.layer(name, "path"));
    plane.layer("", "circle", plane.disc([1, 0], 8, "swl-source"));
    this.target = plane.layer("", "circle");
    moves.layer("swl-axis", "path", { d: "M-155 0H155M0 -125V125" });
    this.ellipse = moves.layer("swl-line", "ellipse");
    this.result = add(root, "div", { class: "swl-result" });
    this.account = add(root, "p", { class: "swl-soft" });
    this.dial("degrees", "angle", { min: 0, max: 180 }, (z) => `${z}°`);
    this.dial("m", "mass m", { min: 0.05, max: 2, step: 0.05 }, (z) => z.toFixed(2));
    const showExponent = exponentSlider(root, (exponent) => this.set({ p: exponent }));
    this.dials.push(() => showExponent(this.p));
    this.set({});
  }

  draw() {
    const [[plane], { angle, degrees, m, p }] = [this.charts, this];
    const { s, lower, upper } = least(1, m, angle, p, 0, Math.sqrt(m));
    const share = s / Math.sqrt(m); // of both masses
    const [kept, lost] = [Math.sqrt(share), Math.sqrt(1 - share)];
    const [a, b] = [(r) => [r, 0], (r) => [r * Math.cos(angle), r * Math.sin(angle)]];
    const legs = (r) => [a(r), b(r * Math.sqrt(m))];
    const flat = p === Infinity && degrees <= 90 && m <= 1; // the price is that of the way to a segment
    set(this.nearest, { d: flat ? plane.line([a(1), b(Math.min(Math.cos(angle), Math.sqrt(m)))]) : "" });
    set(this.rays, { d: plane.line([a(1.6), [0, 0], b(1.6)]) });
    set(this.moved, { d: share > 0 ? plane.line(legs(kept)) : "" });
    set(this.faded, { d: lost > 1e-4 ? plane.line([a(lost), [0, 0], b(lost * Math.sqrt(m))]) : "" });
    set(this.target, plane.disc(legs(1)[1], 8 * Math.sqrt(m), "swl-target"));
    ellipse(this.ellipse, momentAt(s, 1, m, angle), UNIT);
    this.root.style.setProperty("--hue", hue(p));
    showBounds(this.result, lower, upper, "UW²");
    const rest = `${percent(1 - share)} is destroyed here and created there.`;
    this.account.textContent = `${percent(share)} of both masses moves; ${rest}`;
    set(plane.svg, { "aria-label": `Mass 1 and mass ${m} at ${degrees} degrees. ${this.account.textContent}` });
    this.say(`${this.result.textContent}. ${this.account.textContent}`);
  }
}
