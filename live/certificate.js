import { conjugate, displacements, EPS, eigenvalues, pNorm } from "./plane.js";

/** Weights divided by their sum. */
export function shares(weights) {
  const sum = weights.reduce((s, w) => s + w, 0);
  return Float64Array.from(weights, (w) => w / sum);
}

/** gamma_p of the moment of a plan, plus what it costs at most to give the plan the marginals A and B. */
function upperBound(plan, A, B, p, D) {
  const [n, m] = [A.length, B.length];
  const [rows, columns, moment] = [new Float64Array(n), new Float64Array(m), [0, 0, 0]];
  let [terms, size, total, farthest] = [0, 0, 0, 0];
  for (let k = 0; k < n * m; k++) {
    const mass = Math.max(plan[k], 0);
    total += mass;
    rows[Math.floor(k / m)] += mass;
    columns[k % m] += mass;
    farthest = Math.max(farthest, D[0][k]);
    if (mass === 0) continue;
    terms++;
    size += mass * D[0][k];
    for (let c = 0; c < 3; c++) moment[c] += mass * D[c][k];
  }
  const distance = (sums, shares) => shares.reduce((s, share, i) => s + Math.abs(share - sums[i]), 0);
  const mismatch = distance(rows, A) + distance(columns, B);
  const moved = mismatch + 2 * (n + m + 8) * EPS * (1 + total + mismatch);
  const slack = 3 * (terms + 8) * EPS * size;
  const [big, small] = eigenvalues(moment);
  const cost = pNorm(big + slack, Math.max(small, 0) + slack, p) * (1 + 32 * EPS);
  return { upper: cost + 2 * farthest * moved * (1 + 8 * EPS), moment, mismatch };
}

/** What the potentials g prove: f is their c-transform, the sum is divided by the polar of the positive part of Q. */
function lowerBound(q, g, A, B, p, D) {
  const [n, m] = [A.length, B.length];
  const length = Math.abs(q[0]) + Math.abs(q[1]) + Math.abs(q[2]);
  let [dual, size] = [0, 0];
  const count = (share, potential) => {
    dual += share * potential;
    size += share * Math.abs(potential);
  };
  for (let i = 0; i < n; i++) {
    let f = Infinity;
    for (let j = 0, k = i * m; j < m; j++, k++) {
      const cost = q[0] * D[0][k] + q[1] * D[1][k] + q[2] * D[2][k];
      f = Math.min(f, cost - g[j] - 16 * EPS * (D[0][k] * length + Math.abs(g[j])));
    }
    count(A[i], f);
  }
  for (let j = 0; j < m; j++) count(B[j], g[j]);
  const [big, small] = eigenvalues(q).map((z) => Math.max(z, 0) / 2 + 4 * EPS * length);
  const polar = pNorm(big, small, conjugate(p)) * (1 + 32 * EPS);
  const proved = dual - 2 * (n + m + 8) * EPS * size;
  return proved > 0 ? (proved / polar) * (1 - 4 * EPS) : 0;
}

/**
 * Bounds lower <= W^2 <= upper from a plan, a metric and potentials alone, whoever found them.
 *
 * W^2 is that of exactly the floats x, y (flat), a and b, the weights divided exactly by their sums, for the gauge
 * `p`, of the diagonal only when `axes` is true. The plan (n m masses, row by row; negative ones count as zero) need
 * not have these marginals, q = [tr Q, Q11 - Q22, 2 Q12] need not lie in K or be positive, and any g (m numbers) will
 * do: each fault makes a bound weaker, never false. What is not a number proves 0 <= W^2 <= Infinity.
 *
 * Upper: gamma is monotone, and a mass r = |rows - a|_1 + |columns - b|_1 moved over the largest distance makes the
 * plan a coupling. Lower: f_i = min_j (<Q, d_ij d_ij^T> - g_j) is feasible, Q lies below its positive part.
 * Rounding: + - x / and Math.sqrt round correctly, Math.hypot and Math.pow err by at most 4 units in the last place
 * (true of fdlibm, which V8, SpiderMonkey and JavaScriptCore use), and the largest displacement lies between 1e-100
 * and 1e100, or is 0. Each bound is then moved outward by more than the sum of its first-order rounding errors.
 *
 * @returns {{lower: number, upper: number, moment: number[], mismatch: number}} mismatch is r.
 */
export function certify({ x, y, a, b, p, axes = false }, { plan, q, g }) {
  const [A, B, D] = [shares(a), shares(b), displacements(x, y, axes)];
  const { upper, moment, mismatch } = upperBound(plan, A, B, p, D);
  const lower = lowerBound(q, g, A, B, p, D);
  return { lower, upper: Number.isNaN(upper) ? Infinity : upper, moment, mismatch };
}
