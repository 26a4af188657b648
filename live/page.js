import { certify } from "./certificate.js";
import { PRESETS } from "./presets.js";
import { Solver } from "./solver.js";
import { LivePlan } from "./view.js";

/** Rows of points, flat; RangeError names what is wrong. */
function flat(rows, name) {
  if (!rows?.length || rows.some((row) => row.length !== 2 || !row.every(Number.isFinite))) {
    throw new RangeError(`${name} must be rows of two finite numbers, at least one`);
  }
  return Float64Array.from(rows.flat());
}

function weights(w, count, name) {
  if (w === null || w === undefined) return new Float64Array(count).fill(1);
  if (w.length !== count || !w.every((z) => z > 0 && z < Infinity)) {
    throw new RangeError(`${name} must be null or ${count} positive numbers`);
  }
  return Float64Array.from(w);
}

/**
 * W^2 between two clouds in the plane, to a relative gap of 1e-6, with both bounds proved (see `certify`).
 *
 * @param {number[][]} x rows of points
 * @param {number[][]} y rows of points
 * @param {?number[]} a weights of x, positive, divided by their sum; null: equal
 * @param {?number[]} b weights of y
 * @param {number} p exponent of the gauge, from 1 to Infinity
 * @param {boolean} axes the gauge of the diagonal of the moment; at p = Infinity block-max of the two axes
 * @returns {{lower: number, upper: number, plan: number[][]}} rows [i, j, mass] of the plan
 */
function solve(x, y, a, b, p, axes = false) {
  if (!(p >= 1)) throw new RangeError(`p must be a number from 1 to Infinity, got ${p}`);
  const problem = { x: flat(x, "x"), y: flat(y, "y"), p, axes };
  Object.assign(problem, { a: weights(a, x.length, "a"), b: weights(b, y.length, "b") });
  const { lower, upper, plan } = new Solver().solve(problem);
  const rows = Array.from(plan, (mass, k) => [Math.floor(k / y.length), k % y.length, mass]);
  return { lower, upper, plan: rows.filter(([, , mass]) => mass > 0) };
}

/** Solve while nobody waits, so that the first drag finds compiled code. */
function warmUp(left = 30) {
  const idle = window.requestIdleCallback ?? ((run) => setTimeout(run, 30));
  const [, x, y] = PRESETS.clouds;
  const moved = x.map(([s, t], k) => [s + 0.01 * left * Math.cos(k), t]);
  solve(moved, y, null, null, [Infinity, 2, 1.3][left % 3]);
  if (left > 1) idle(() => warmUp(left - 1));
}

window.swref = { solve, certify, Solver };
const roots = document.querySelectorAll("[data-swref-live]");
for (const root of roots) {
  const { preset, p, t } = root.dataset;
  new LivePlan(root, { preset, p: p && Number(p), t: t && Number(t) });
}
if (roots.length > 0) (window.requestIdleCallback ?? setTimeout)(() => warmUp());
