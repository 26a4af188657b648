import { fall, momentOfRows } from "./flow.js";
import { panel } from "./picture.js";
import { heap } from "./presets.js";
import { hue, nameOf, Player, speaker, still } from "./stage.js";
import { add, ellipse, redraw, set } from "./svg.js";

const [UNIT, LAP, END, FRAMES] = [58, 9000, 1.8, 60]; // pixels, milliseconds, time of the flow, states kept
const FRAME = [344, 156]; // pixels; at p = infinity the outermost grain goes 2.8 units to the side
const SOURCE = heap(48, 0.03, 0.68, 0.9, 0.28);
const TARGET = [...heap(24, -0.75, -0.7, 0.33, 0.28), ...heap(24, 0.75, -0.7, 0.33, 0.28)];
const TIMES = Array.from({ length: FRAMES + 1 }, (_, k) => END * (k / FRAMES) ** 2); // slow at first
const CAPTION = `Two equal clouds fall towards the same two heaps, each down its own steepest slope. In the corner, how
  strong the force is in every direction (dashes: stronger downwards than sideways) and how fast the grains move (line).
  Under p\u00a0=\u00a01 they move as the force says. Under p\u00a0=\u00a0∞ they move as fast sideways as down, and the
  cloud parts while it falls.`;

const flat = (rows) => Float64Array.from(rows.flat());
const rows = (x) => Array.from({ length: x.length / 2 }, (_, i) => [x[2 * i], x[2 * i + 1]]);
const round = (s) => s.map((z) => z / (s[0] + Math.hypot(s[1], s[2]))); // the longer axis is 1

/** One cloud with its flow, the ellipses of force and velocity, and what is left of the energy. */
class Cloud {
  constructor(parent, p) {
    const chart = panel(parent, UNIT, "", { style: `--hue: ${hue(p)}` }, FRAME);
    redraw(chart.layer("swl-hole"), "circle", TARGET, (point) => chart.disc(point, 3.5));
    [this.trails, this.dots] = ["swl-line swl-trail", "swl-fill swl-mass"].map((name) => chart.layer(name));
    const inset = chart.layer("", "g", { transform: "translate(-146 -52)" });
    [this.force, this.speed] = ["swl-guide", "swl-line"].map((name) => add(inset, "ellipse", { class: name }));
    Object.assign(this, { chart, p, states: fall(flat(SOURCE), flat(TARGET), p, TIMES) });
  }

  /** The state at time END s^2, between two kept ones on straight ways; returns it as text. */
  draw(s) {
    const k = Math.min(Math.floor(s * FRAMES), FRAMES - 1);
    const [now, next, share] = [this.states[k], this.states[k + 1], s * FRAMES - k];
    const x = rows(now.x.map((z, i) => z + share * (next.x[i] - z)));
    redraw(this.dots, "circle", x, (point) => this.chart.disc(point, 3.2));
    const seen = [...this.states.slice(0, k + 1).map((state) => rows(state.x)), x];
    redraw(this.trails, "path", x, (_, i) => ({ d: this.chart.line(seen.map((points) => points[i])) }));
    const near = share < 0.5 ? now : next;
    ellipse(this.force, round(momentOfRows(near.force)), 20);
    ellipse(this.speed, round(momentOfRows(near.velocity)), 20);
    const left = (now.energy + share * (next.energy - now.energy)) / this.states[0].energy;
    const text = `p = ${nameOf(this.p)} · energy ${Math.round(100 * left)} %`;
    this.chart.title.textContent = text;
    set(this.chart.svg, { "aria-label": `A cloud falls. ${text}.` });
    return text;
  }
}

/** Two equal clouds fall under p = 1 and p = infinity: the energy distance flows down as `swref.flow` lets it. */
export class Falling {
  constructor(root) {
    const pair = add(root, "div", { class: "swl-pair swl-wide" });
    const [clouds, say] = [[1, Infinity].map((p) => new Cloud(pair, p)), speaker(root)];
    this.player = new Player(root, "time", { lap: LAP, time: (s) => END * s * s, reset: true }, (s) => {
      const texts = clouds.map((cloud) => cloud.draw(s));
      if (!this.player?.playing) say(texts.join("; "));
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
