import { REACH, Scene, sidePictures } from "./pictures.js";
import { eigenvalues } from "./plane.js";
import { PRESETS } from "./presets.js";
import { Solver } from "./solver.js";
import { add, slider } from "./svg.js";

const [MOST, HEAVIEST, LAP] = [40, 8, 3000]; // points of a kind, weight, milliseconds of one way
const MODES = { source: "adds ●", target: "adds ○", weight: "makes heavier", remove: "removes" };
const COLORS = [[217, 84, 30], [23, 143, 107], [43, 123, 186]]; // biome-ignore format: at 1/p = 0, 1/2, 1

/** The book's colour of the exponent p: linear in 1/p between orange, green and blue. */
export function hue(p) {
  const k = p > 2 ? 0 : 1;
  return `rgb(${COLORS[k].map((z, c) => Math.round(z + (2 / p - k) * (COLORS[k + 1][c] - z)))})`;
}

const nameOf = (p) => (p === Infinity ? "∞" : p.toFixed(p < 9.95 ? 2 : 0));
const clip = (z, reach) => Math.min(Math.max(z, -reach), reach);
/** Eight decimals, rounded outward: what is shown is proved. */
const decimals = (z, round) => (round(z * 1e8 * (round === Math.ceil ? 1 + 2e-16 : 1 - 2e-16)) / 1e8).toFixed(8);

/** A plan that is solved and proved anew while its points are dragged. */
export class LivePlan {
  /** `root` is filled; `preset` names an entry of PRESETS, t is the time of the geodesic. */
  constructor(root, { preset = "heaps", p = Infinity, t = 0.5 } = {}) {
    Object.assign(this, { root, p, t, axes: false, points: [], chosen: 0, mode: "source", solver: new Solver() });
    root.replaceChildren();
    root.classList.add("swl");
    const grid = add(root, "div", { class: "swl-grid" });
    this.scene = new Scene(grid);
    this.drawSide = sidePictures(grid);
    this.bounds = add(root, "div", { class: "swl-result" });
    this.account = add(root, "p", { class: "swl-soft" });
    this.spoken = add(root, "div", { class: "swl-hidden", "aria-live": "polite" });
    this.addSliders();
    this.addTools(preset);
    this.listen();
    this.load(preset);
  }

  addSliders() {
    const exponent = { min: 0, max: 100, value: Math.round(100 - 100 / this.p) };
    this.exponent = slider(this.root, "exponent p", exponent, (s) => {
      this.p = s === 100 ? Infinity : 100 / (100 - s);
      this.change(`p is ${this.p === Infinity ? "infinity" : nameOf(this.p)}`);
    });
    this.time = slider(this.root, "geodesic t", { min: 0, max: 1, step: 0.005, value: this.t }, (t) => {
      this.play(false);
      this.t = t;
    });
  }

  addTools(preset) {
    const tools = add(this.root, "div", { class: "swl-tools" });
    this.button = add(tools, "button", { type: "button", class: "swl-play" });
    this.button.addEventListener("click", () => this.play(!this.playing));
    this.play(false);
    this.select = add(tools, "select", { "aria-label": "example" });
    for (const [value, [text]] of Object.entries(PRESETS)) add(this.select, "option", { value }, text);
    this.select.value = preset;
    this.select.addEventListener("change", () => this.load(this.select.value));
    const label = add(tools, "label", {}, "a click ");
    const modes = add(label, "select");
    for (const [value, text] of Object.entries(MODES)) add(modes, "option", { value }, text);
    modes.addEventListener("change", () => {
      this.mode = modes.value;
    });
    const axes = add(tools, "label", { title: "the gauge of the diagonal of S; at p = ∞ block-max of the two axes" });
    const box = add(axes, "input", { type: "checkbox" });
    axes.append("pay per axis");
    box.addEventListener("change", () => {
      this.axes = box.checked;
      this.change(this.axes ? "axes only" : "all directions");
    });
    const text = `Keyboard: Page Up and Page Down choose a point, arrows move it (Shift: farther), + and − change its weight,
      S and T add a source or a target, Delete removes.`;
    const help = add(this.root, "p", { class: "swl-soft", id: `swl-${Math.random().toString(36).slice(2)}` }, text);
    this.scene.svg.setAttribute("aria-describedby", help.id);
  }

  // ---- edits --------------------------------------------------------------------------------------------------------

  load(preset) {
    const [name, sources, targets] = PRESETS[preset];
    const make =
      (target) =>
      ([x, y]) => ({ x, y, weight: 1, target });
    this.points = [...sources.map(make(false)), ...targets.map(make(true))];
    this.chosen = 0;
    this.change(name);
  }

  get point() {
    return this.points[this.chosen];
  }

  alike(target) {
    return this.points.filter((point) => point.target === target);
  }

  move(x, y) {
    Object.assign(this.point, { x: clip(x, REACH[0]), y: clip(y, REACH[1]) });
    this.change();
  }

  insert(target, x, y) {
    if (this.alike(target).length === MOST) return this.tell(`no more than ${MOST} of a kind`);
    this.points.push({ x: 0, y: 0, weight: 1, target });
    this.chosen = this.points.length - 1;
    return this.move(x, y);
  }

  remove() {
    if (this.alike(this.point.target).length === 1) return this.tell("the last of its kind stays");
    const removed = this.describe();
    this.points.splice(this.chosen, 1);
    this.chosen = Math.min(this.chosen, this.points.length - 1);
    return this.change(`removed ${removed}`);
  }

  /** Heavier by `by`; past the heaviest, `wrap` starts again at one. */
  reweigh(by, wrap = false) {
    const weight = this.point.weight + by;
    this.point.weight = weight > HEAVIEST && wrap ? 1 : Math.min(Math.max(weight, 1), HEAVIEST);
    this.change();
  }

  choose(by) {
    const count = this.points.length;
    this.chosen = (this.chosen + by + count) % count;
    this.request();
    this.tell(this.describe());
  }

  // ---- pointer and keyboard -----------------------------------------------------------------------------------------

  listen() {
    const { svg } = this.scene;
    let [held, moved] = [false, false];
    const at = (event) => this.scene.locate(event, this.points);
    svg.addEventListener("pointerdown", (event) => {
      const { index } = at(event);
      held = index >= 0;
      moved = false;
      if (!held) return;
      this.chosen = index;
      svg.setPointerCapture(event.pointerId);
      this.request();
    });
    svg.addEventListener("pointermove", (event) => {
      if (!held) return;
      const { x, y } = at(event);
      moved ||= Math.hypot(this.point.x - x, this.point.y - y) > 0.02;
      if (moved) this.move(x, y);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      svg.addEventListener(end, () => {
        held = false;
      });
    }
    svg.addEventListener("click", (event) => {
      const { x, y, index } = at(event);
      const adds = this.mode === "source" || this.mode === "target";
      if (moved || adds === index >= 0) return;
      if (adds) this.insert(this.mode === "target", x, y);
      else if (this.mode === "weight") this.reweigh(1, true);
      else this.remove();
    });
    svg.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.request()).observe(svg);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { x, y } = this.point;
    const step = event.shiftKey ? 0.1 : 0.02;
    const keys = {
      ArrowLeft: () => this.move(x - step, y),
      ArrowRight: () => this.move(x + step, y),
      ArrowUp: () => this.move(x, y + step),
      ArrowDown: () => this.move(x, y - step),
      PageDown: () => this.choose(1),
      PageUp: () => this.choose(-1),
      "+": () => this.reweigh(1),
      "=": () => this.reweigh(1),
      "-": () => this.reweigh(-1),
      s: () => this.insert(false, x + 0.1, y + 0.1),
      t: () => this.insert(true, x + 0.1, y + 0.1),
      Delete: () => this.remove(),
      Backspace: () => this.remove(),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // ---- from state to picture ----------------------------------------------------------------------------------------

  /** Solve again at the next frame, and say so when the changes pause. */
  change(what = this.describe()) {
    this.stale = true;
    this.request();
    this.tell(what);
  }

  request() {
    this.waiting ??= requestAnimationFrame((now) => this.frame(now));
  }

  play(yes) {
    this.playing = yes ? performance.now() - LAP * this.t : 0;
    this.button.textContent = yes ? "❚❚ pause" : "▶ play";
    this.request();
  }

  frame(now) {
    this.waiting = null;
    if (this.playing) {
      const lap = (Math.max(now - this.playing, 0) / LAP) % 2; // there and back
      this.t = lap < 1 ? lap : 2 - lap;
      this.time.input.value = this.t;
      this.request();
    }
    this.time.show(`t = ${this.t.toFixed(2)}`);
    if (this.stale) this.solve();
    this.scene.drawPoints(this.points, this.chosen);
    this.scene.drawMass(this.edges, this.t);
  }

  solve() {
    const [sources, targets] = [this.alike(false), this.alike(true)];
    const flat = (points) => Float64Array.from(points.flatMap(({ x, y }) => [x, y]));
    const weights = (points) => Float64Array.from(points, (point) => point.weight);
    const clouds = { x: flat(sources), y: flat(targets), a: weights(sources), b: weights(targets) };
    const begin = performance.now();
    this.result = this.solver.solve({ ...clouds, p: this.p, axes: this.axes });
    this.milliseconds = performance.now() - begin;
    this.edges = [];
    this.result.plan.forEach((mass, k) => {
      const [from, to] = [sources[Math.floor(k / targets.length)], targets[k % targets.length]];
      if (mass > 0) this.edges.push({ from, to, mass });
    });
    this.stale = false;
    this.root.style.setProperty("--hue", this.axes ? "#b06d00" : hue(this.p));
    this.exponent.show(`p = ${nameOf(this.p)}`, this.p === Infinity ? "infinity" : nameOf(this.p));
    this.scene.drawPlan(this.edges);
    this.drawSide(this.result, this.edges);
    this.writeResult();
  }

  /** The bounds, with the digits in which they differ marked, and what was done for them. */
  writeResult() {
    const { lower, upper, moment, history } = this.result;
    const [low, high] = [decimals(lower, Math.floor), decimals(upper, Math.ceil)];
    let same = 0;
    while (same < low.length && low[same] === high[same]) same++;
    this.bounds.replaceChildren(low.slice(0, same));
    add(this.bounds, "i", {}, low.slice(same));
    this.bounds.append(` ≤ W² ≤ ${high.slice(0, same)}`);
    add(this.bounds, "i", {}, high.slice(same));
    const gap = (upper - lower) / Math.max(upper, 1e-300);
    const closed = gap <= 1e-6 || upper < 1e-9;
    const [big, small] = eigenvalues(moment);
    const costs = `total ${(big + small).toFixed(3)} · worst direction ${big.toFixed(3)}`;
    const work = `${history.length} transport problem${history.length > 1 ? "s" : ""} in ${this.milliseconds.toFixed(1)} ms`;
    this.account.textContent = `${costs} · ${closed ? "proved to a millionth" : "GAP STILL OPEN"} · ${work}`;
    const count = `${this.alike(false).length} sources and ${this.alike(true).length} targets`;
    const label = `Best plan from ${count} at p = ${nameOf(this.p)}: W squared lies between ${low} and ${high}.`;
    this.scene.svg.setAttribute("aria-label", label);
  }

  /** For screen readers: what changed, and from what to what W^2 went, once changes pause. */
  tell(what) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const [before, now] = [this.told, this.result?.upper.toPrecision(4)];
      this.told = now;
      const change = before === undefined || before === now ? `is ${now}` : `went from ${before} to ${now}`;
      this.spoken.textContent = `${what}. W squared ${change}.`;
    }, 400);
  }

  describe() {
    const { x, y, weight, target } = this.point;
    const rank = this.alike(target).indexOf(this.point) + 1;
    return `${target ? "target" : "source"} ${rank} at ${x.toFixed(2)}, ${y.toFixed(2)}, weight ${weight}`;
  }
}
