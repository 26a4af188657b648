import { Scene, sidePictures } from "./pictures.js";
import { eigenvalues } from "./plane.js";
import { PRESETS } from "./presets.js";
import { Solver } from "./solver.js";
import { exponentSlider, hue, nameOf, Player, showBounds, speaker } from "./stage.js";
import { add, choice } from "./svg.js";

const [MOST, HEAVIEST, LAP] = [40, 8, 3000]; // points of a kind, weight, milliseconds of one way
const REACH = [1.36, 1.06]; // how far points go from the middle
const CLICKS = { source: "adds ●", target: "adds ○", weight: "makes heavier", remove: "removes" };
const GAUGES = {
  all: "Schatten p",
  one: "Ky Fan 1: the worst",
  two: "Ky Fan 2: the total",
  axes: "block-max of the axes",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const METRIC = `Best metric Q: prices at which even the cheapest plan is as dear as can be; what it costs is the lower
  bound. A step of length 1 costs the square of how far the ellipse reaches in its direction, at most 1 (dashes).`;
const KEYS = `Keys: Page Up and Page Down choose a point, arrows move it (Shift: farther), + and − change its weight,
  S and T add a source or a target, Delete removes.`;

/** A plan that is solved and proved anew while its points are dragged. */
export class LivePlan {
  /** `root` is filled; `preset` names an entry of PRESETS, t is the time of the geodesic. */
  constructor(root, { preset = "heaps", p = Infinity, t = 0.5 } = {}) {
    Object.assign(this, { root, p, axes: false, points: [], chosen: 0, mode: "source", solver: new Solver() });
    const grid = add(root, "div", { class: "swl-grid" });
    this.scene = new Scene(grid);
    this.drawSide = sidePictures(grid);
    this.bounds = add(root, "div", { class: "swl-result" });
    this.account = add(root, "p", { class: "swl-soft" });
    add(root, "p", { class: "swl-soft" }, METRIC);
    this.say = speaker(root);
    this.addControls(preset, t);
    this.listen();
    this.load(preset);
    this.player.show(t);
  }

  addControls(preset, t) {
    this.showExponent = exponentSlider(this.root, (p) => this.pay("all", p));
    this.player = new Player(this.root, "geodesic t", { t, lap: LAP, back: true }, () => this.request());
    const { tools } = this.player;
    const names = Object.entries(PRESETS).map(([key, [name]]) => [key, name]);
    choice(tools, "start with ", Object.fromEntries(names), (key) => this.load(key)).value = preset;
    choice(tools, "a click ", CLICKS, (mode) => Object.assign(this, { mode }));
    this.kind = choice(tools, "gauge ", GAUGES, (kind) => this.pay(kind, { two: 1, all: this.p }[kind] ?? Infinity));
    const id = `swl-${Math.random().toString(36).slice(2)}`;
    add(this.root, "p", { class: "swl-soft swl-help", id }, KEYS);
    this.scene.svg.setAttribute("aria-describedby", id);
  }

  /** Choose the gauge: `kind` is a key of GAUGES. */
  pay(kind, p) {
    Object.assign(this, { p, axes: kind === "axes" });
    this.kind.value = kind;
    this.change(kind === "all" ? `p is ${p === Infinity ? "infinity" : nameOf(p)}` : GAUGES[kind]);
  }

  // ---- edits --------------------------------------------------------------------------------------------------------

  load(preset) {
    const [name, ...clouds] = PRESETS[preset];
    this.points = clouds.flatMap((cloud, k) => cloud.map((at) => ({ at, weight: 1, target: k === 1 })));
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
    this.point.at = [x, y].map((z, c) => Math.min(Math.max(z, -REACH[c]), REACH[c]));
    this.change();
  }

  insert(target, x, y) {
    if (this.alike(target).length === MOST) return this.tell(`no more than ${MOST} of a kind`);
    this.chosen = this.points.push({ weight: 1, target }) - 1;
    return this.move(x, y);
  }

  remove() {
    if (this.alike(this.point.target).length === 1) return this.tell("the last of its kind stays");
    const said = `removed ${this.describe()}`;
    this.points.splice(this.chosen, 1);
    this.chosen = Math.min(this.chosen, this.points.length - 1);
    return this.change(said);
  }

  reweigh(weight) {
    this.point.weight = Math.min(Math.max(weight, 1), HEAVIEST);
    this.change();
  }

  choose(index) {
    this.chosen = (index + this.points.length) % this.points.length;
    this.request();
    this.tell(this.describe());
  }

  // ---- pointer and keyboard -----------------------------------------------------------------------------------------

  listen() {
    const { svg } = this.scene;
    const at = (event) => this.scene.locate(event, this.points);
    let [held, moved] = [false, false];
    svg.addEventListener("pointerdown", (event) => {
      const { index } = at(event);
      [held, moved] = [index >= 0, false];
      if (!held) return;
      svg.setPointerCapture(event.pointerId);
      this.choose(index);
    });
    svg.addEventListener("pointermove", (event) => {
      const { x, y } = at(event);
      moved ||= held && Math.hypot(this.point.at[0] - x, this.point.at[1] - y) > 0.02;
      if (held && moved) this.move(x, y);
    });
    // a finger that holds a point does not scroll; touch-action on the point alone does not see to that
    svg.addEventListener("touchmove", (event) => held && event.preventDefault(), { passive: false });
    svg.addEventListener("lostpointercapture", () => {
      held = false;
    });
    svg.addEventListener("click", (event) => moved || this.click(at(event)));
    svg.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.request()).observe(svg);
  }

  click({ x, y, index }) {
    const adds = this.mode === "source" || this.mode === "target";
    if (adds && index < 0) this.insert(this.mode === "target", x, y);
    else if (this.mode === "weight" && index >= 0) this.reweigh((this.point.weight % HEAVIEST) + 1);
    else if (this.mode === "remove" && index >= 0) this.remove();
  }

  press(event) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
    const [{ weight }, [x, y], step] = [this.point, this.point.at, shiftKey ? 0.1 : 0.02];
    if (ctrlKey || metaKey || altKey) return;
    if (key in ARROWS) this.move(x + step * ARROWS[key][0], y + step * ARROWS[key][1]);
    else if (/^Page(Up|Down)$/.test(key)) this.choose(this.chosen + (key === "PageDown" ? 1 : -1));
    else if (/^[-+=]$/.test(key)) this.reweigh(weight + (key === "-" ? -1 : 1));
    else if (/^[st]$/i.test(key)) this.insert(key.toLowerCase() === "t", x + 0.1, y + 0.1);
    else if (key === "Delete" || key === "Backspace") this.remove();
    else return;
    event.preventDefault();
  }

  // ---- from state to picture ----------------------------------------------------------------------------------------

  /** Solve again at the next frame, and say so when the changes pause. */
  change(what = this.describe()) {
    this.stale = true;
    this.request();
    this.tell(what);
  }

  request() {
    this.waiting ??= requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.waiting = null;
    if (this.stale) this.solve();
    this.scene.drawPoints(this.points, this.chosen);
    this.scene.drawMass(this.edges, this.player.t);
  }

  solve() {
    const sides = [this.alike(false), this.alike(true)];
    const [x, y] = sides.map((points) => Float64Array.from(points.flatMap(({ at }) => at)));
    const [a, b] = sides.map((points) => Float64Array.from(points, (point) => point.weight));
    const begin = performance.now();
    this.result = this.solver.solve({ x, y, a, b, p: this.p, axes: this.axes });
    const milliseconds = performance.now() - begin;
    const edge = (mass, k) => ({ from: sides[0][Math.floor(k / b.length)], to: sides[1][k % b.length], mass });
    this.edges = Array.from(this.result.plan, edge).filter(({ mass }) => mass > 0);
    this.stale = false;
    this.root.style.setProperty("--hue", this.axes ? "#b06d00" : hue(this.p));
    this.showExponent(this.p);
    this.scene.drawPlan(this.edges);
    this.drawSide(this.result, this.edges);
    this.writeResult(milliseconds);
  }

  /** The bounds, with the digits that the gap leaves open marked, and what was done for them. */
  writeResult(milliseconds) {
    const { lower, upper, moment, history } = this.result;
    const [low, high] = showBounds(this.bounds, lower, upper, "W²");
    const closed = upper - lower <= Math.max(1e-6 * upper, 1e-9) ? "proved to a millionth" : "GAP STILL OPEN";
    const [big, small] = eigenvalues(moment);
    const costs = `total ${(big + small).toFixed(3)} · worst direction ${big.toFixed(3)}`;
    const steps = `${history.length} transport problem${history.length > 1 ? "s" : ""}`;
    this.account.textContent = `${costs} · ${closed} · ${steps} in ${milliseconds.toFixed(1)} ms`;
    const plan = `Best plan of ${this.points.length} points at p = ${nameOf(this.p)}`;
    this.scene.svg.setAttribute("aria-label", `${plan}: W squared lies between ${low} and ${high}.`);
    this.told ??= upper.toPrecision(4);
  }

  /** For screen readers: what changed, and from what to what W^2 went, once changes pause. */
  tell(what) {
    if (!this.result) return; // nothing has changed yet
    this.say(() => {
      const [before, now] = [this.told, this.result.upper.toPrecision(4)];
      this.told = now;
      return `${what}. W squared ${before === now ? "is" : `went from ${before} to`} ${now}.`;
    });
  }

  describe() {
    const { at, weight, target } = this.point;
    const rank = this.alike(target).indexOf(this.point) + 1;
    return `${target ? "target" : "source"} ${rank} at ${at.map((z) => z.toFixed(2)).join(", ")}, weight ${weight}`;
  }
}
