import { speaker } from "./stage.js";
import { add, Chart, slider } from "./svg.js";

/** A chart under a title, with a hue of its own if `attributes` give one; `chart.title` can be written. */
export function panel(parent, unit, title, attributes = {}, size = [310, 250]) {
  const box = add(parent, "div", { class: "swl-panel", ...attributes });
  const head = add(box, "p", {}, title);
  return Object.assign(new Chart(box, ...size, unit, { class: "swl-scene", role: "img" }), { title: head });
}

/** Two charts, sliders of numbers that are fields of the picture, and a voice: `set` takes changes and calls `draw`. */
export class Picture {
  dials = [];

  constructor(root, units, titles, fields) {
    Object.assign(this, { root, say: speaker(root), ...fields });
    const pair = add(root, "div", { class: "swl-pair" });
    this.charts = titles.map((title, k) => panel(pair, units[k], title));
  }

  get angle() {
    return (this.degrees * Math.PI) / 180;
  }

  /** A slider of the field `name`; returns its input. */
  dial(name, label, attributes, text) {
    const { input, show } = slider(this.root, label, attributes, (z) => this.set({ [name]: z }));
    this.dials.push(() => {
      input.value = this[name];
      show(text(this[name]));
    });
    return input;
  }

  button(parent, text, act) {
    add(parent, "button", { type: "button" }, text).addEventListener("click", act);
  }

  set(change) {
    Object.assign(this, change);
    this.draw();
    for (const show of this.dials) show();
  }
}
