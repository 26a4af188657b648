import { fall, momentOfRows } from "./flow.js";
import { heap } from "./presets.js";
import { hue, Player, speaker, still } from "./stage.js";
import { add, ellipse, redraw, set } from "./svg.js";

const [UNIT, LAP, END, FRAMES] = [120, 9000, 1.8, 60]; // pixels, milliseconds, time of the flow, states kept
const SOURCE = heap(48, 0.03, 0.68, 0.9, 0.28);
const TARGET = [...heap(24, -0.75, -0.7, 0.33, 0.28), ...heap(24, 0.75, -0.7, 0.33, 0.28)];
const TIMES = Array.from({ length: FRAMES + 1 }, (_, k) => END * (k / FRAMES) ** 2); // slow at first
const CAPTION = `Two equal clouds fall towards the same two heaps, each down its own steepest slope. Dashes: the force,
  stronger downwards than sideways. Line: the velocity. Under p = 1 it is the force. Under p = ∞ it is whitened, as fast
  sideways as down: this cloud parts while it falls.`;

const flat = (rows) => Float64Array.from(rows.flat());
const circles = (x, r) => Array.from({ length: x.length / 2 }, (_, i) => place(x, i, r));
const place = (x, i, r) => ({ cx: UNIT * x[2 * i], cy: -UNIT * x[2 * i + 1], r });
const round = (s) => s.map((z) => z / (s[0] + Math.hypot(s[1], s[2]))); // the longer axis is 1

/** One cloud with its flow, the ellipses of force and velocity, and what is left of the energy. */
class Cloud {
  constructor(parent, p, name) {
    this.name = name;
    const panel = add(parent, "div", { class: "swl-panel", style: `--hue: ${hue(p)}` });
    this.text = add(panel, "p");
    this.svg = add(panel, "svg", { class: "swl-scene", viewBox: "-172 -132 344 264", role: "img" });
    redraw(add(this.svg, "g", { class: "swl-hole" }), "circle", circles(flat(TARGET), 6));
    [this.trails, this.dots] = ["swl-line swl-trail", "swl-fill swl-mass"].map((name) => this.group(name));
    const inset = this.group("", "translate(-134 -94)");
    [this.force, this.speed] = ["swl-guide", "swl-line"].map((name) => add(inset, "ellipse", { class: name }));
    this.states = fall(flat(SOURCE), flat(TARGET), p, TIMES);
  }

  group(name, transform = "") {
    return add(this.svg, "g", { class: name, transform });
  }

  /** The state at time END s^2, between two kept ones on straight ways. */
  draw(s) {
    const k = Math.min(Math.floor(s * FRAMES), FRAMES - 1);
    const [now, next, share] = [this.states[k], this.states[k + 1], s * FRAMES - k];
    const x = now.x.map((z, i) => z + share * (next.x[i] - z));
    redraw(this.dots, "circle", circles(x, 5));
    const seen = [...this.states.slice(0, k + 1).map((state) => state.x), x];
    const way = (i) => seen.map((z) => `${(UNIT * z[i]).toFixed(1)} ${(-UNIT * z[i + 1]).toFixed(1)}`).join("L");
    redraw(
      this.trails,
      "path",
      Array.from({ length: x.length / 2 }, (_, i) => ({ d: `M${way(2 * i)}` })),
    );
    const near = share < 0.5 ? now : next;
    ellipse(this.force, round(momentOfRows(near.force)), 30);
    ellipse(this.speed, round(momentOfRows(near.velocity)), 30);
    const left = (now.energy + share * (next.energy - now.energy)) / this.states[0].energy;
    this.text.textContent = `${this.name} · energy ${Math.round(100 * left)} %`;
    set(this.svg, { "aria-label": `A cloud falls. ${this.text.textContent}.` });
  }
}

/** Two equal clouds fall under p = 1 and p = infinity: the energy distance flows down as `swref.flow` lets it. */
export class Falling {
  constructor(root) {
    const pair = add(root, "div", { class: "swl-pair" });
    const clouds = [new Cloud(pair, 1, "p = 1"), new Cloud(pair, Infinity, "p = ∞")];
    const say = speaker(root);
    const time = (s) => END * s * s;
    this.player = new Player(root, "time", { lap: LAP, time, reset: true }, (s) => {
      for (const cloud of clouds) cloud.draw(s);
      if (!this.player?.playing) say(clouds.map((cloud) => cloud.text.textContent).join("; "));
    });
    this.player.show(still() ? 0.4 : 0);
    add(root, "p", { class: "swl-soft" }, CAPTION);
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting || still()) return;
      seen.disconnect();
      this.player.play(true);
    });
    seen.observe(pair);
  }
}
