import { Solver } from "./solver.js";

function need(fact, text) {
  if (!fact) throw new RangeError(text);
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
export function solve(x, y, a, b, p, axes = false) {
  need(p >= 1, `p must be a number from 1 to Infinity, got ${p}`);
  const sides = { x: ["a", x, a], y: ["b", y, b] };
  for (const [name, [weight, rows, w]] of Object.entries(sides)) {
    const finite = rows.length > 0 && rows.every((row) => row.length === 2 && row.every(Number.isFinite));
    need(finite, `${name} must be rows of two finite numbers, at least one`);
    const positive = !w || (w.length === rows.length && w.every((z) => z > 0 && z < Infinity));
    need(positive, `${weight} must be null or ${rows.length} positive numbers`);
  }
  const flat = (rows) => Float64Array.from(rows.flat());
  const weights = (w, rows) => Float64Array.from(w ?? rows.map(() => 1));
  const problem = { x: flat(x), y: flat(y), a: weights(a, x), b: weights(b, y), p, axes };
  const { lower, upper, plan } = new Solver().solve(problem);
  const rows = Array.from(plan, (mass, k) => [Math.floor(k / y.length), k % y.length, mass]);
  return { lower, upper, plan: rows.filter(([, , mass]) => mass > 0) };
}
