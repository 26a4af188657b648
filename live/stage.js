import { add, slider } from "./svg.js";

/** Whether the reader asked for less motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The book's colour of the exponent p: linear in 1/p between orange, green and blue. */
export const hue = (p) =>
  p > 2 ? `color-mix(in srgb, #178f6b ${200 / p}%, #d9541e)` : `color-mix(in srgb, #2b7bba ${200 / p - 100}%, #178f6b)`;

/** The exponent as text. */
export const nameOf = (p) => (p === Infinity ? "∞" : p.toFixed(p < 9.95 && p % 1 ? 2 : 0));

/** A slider of 1/p, from p = 1 to infinity; returns a function that shows p. */
export function exponentSlider(root, onChange) {
  const control = slider(root, "exponent p", { min: 0, max: 100 }, (s) => onChange(100 / (100 - s)));
  return (p) => {
    control.input.value = Math.round(100 - 100 / p);
    control.show(`p = ${nameOf(p)}`, p === Infinity ? "infinity" : nameOf(p));
  };
}

/** Eight decimals, rounded outward: what is shown is proved. */
const decimals = (z, up) =>
  ((up ? Math.ceil(z * 1e8 * (1 + 2e-16)) : Math.floor(z * 1e8 * (1 - 2e-16))) / 1e8).toFixed(8);

/** Write lower <= name <= upper into `node`, the digits that the gap leaves open marked; returns both as text. */
export function showBounds(node, lower, upper, name) {
  const [low, high] = [decimals(lower, false), decimals(upper, true)];
  const units = Math.round(1e8 * (high - low));
  const open = new RegExp(`[\\d.]{${units === 0 ? 0 : String(units).length}}$`);
  const [from, to] = [low, high].map((text) => text.replace(open, "<i>$&</i>"));
  node.innerHTML = `${from} ≤ ${name} ≤ ${to}`;
  return [low, high];
}

/** For screen readers: returns a function that says a text, or what a function answers, once changes pause. */
export function speaker(root) {
  const place = add(root, "div", { class: "swl-hidden", "aria-live": "polite" });
  let timer;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      place.textContent = typeof text === "function" ? text() : text;
    }, 400);
  };
}

/**
 * A slider of time from 0 to 1 with the buttons play and, on request, start again; readers who want no motion see no
 * play button. `onTime(t)` draws, `time(t)` is shown. With `back` time runs to and fro, else it stops at the end.
 */
export class Player {
  constructor(root, label, { t = 0, lap, time = (t) => t, back = false, reset = false }, onTime) {
    Object.assign(this, { t, lap, time, back, onTime });
    const moved = (now) => {
      this.play(false);
      this.show(now);
    };
    this.slider = slider(root, label, { min: 0, max: 1, step: 0.005, value: t }, moved);
    this.tools = add(root, "div", { class: "swl-tools" });
    this.button = add(this.tools, "button", { type: "button", class: "swl-play" });
    this.button.addEventListener("click", () => this.play(!this.playing));
    if (reset) add(this.tools, "button", { type: "button" }, "↺ start again").addEventListener("click", () => moved(0));
    this.play(false);
  }

  show(t) {
    this.t = t;
    this.slider.input.value = t;
    this.slider.show(`t = ${this.time(t).toFixed(2)}`);
    this.onTime(t);
  }

  play(yes) {
    if (yes && !this.back && this.t === 1) this.t = 0;
    const begin = performance.now() - this.lap * this.t;
    this.playing = yes;
    this.button.textContent = yes ? "❚❚ pause" : "▶ play";
    cancelAnimationFrame(this.waiting);
    const tick = (now) => {
      const lap = Math.max(now - begin, 0) / this.lap;
      this.show(this.back ? 1 - Math.abs(1 - (lap % 2)) : Math.min(lap, 1));
      if (!this.back && lap >= 1) this.play(false);
      else this.waiting = requestAnimationFrame(tick);
    };
    if (yes) this.waiting = requestAnimationFrame(tick);
  }
}
