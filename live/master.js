import { mixture, pair, pNorm } from "./plane.js";

/**
 * gamma_p made smooth: that of the Hermitian matrix S + e (I + sigma_y), between gamma_p(S) and gamma_p(S) + 2 e.
 *
 * @returns value, gradient q (a metric in K) and the rows of a matrix R with Hessian R^T R.
 */
export function smoothGauge([t, u, v], p, e) {
  const rho = Math.hypot(u, v, e);
  const x = t + e + rho;
  const y = (Math.max(t * t - u * u - v * v, 0) + 2 * t * e) / x; // their product over x: no cancellation
  const value = pNorm(x, y, p);
  const [a, b] = [x / value, y / value];
  const [qx, qy] = p === Infinity ? [1, 0] : [a ** (p - 1), b ** (p - 1)];
  const lean = Math.max(qx - qy, 0) / rho;
  const bend = p > 1 && p < Infinity ? Math.sqrt(((p - 1) / value) * (a * b) ** (p - 2)) : 0;
  const [turn, round, row] = [((a + b) * bend) / rho, Math.sqrt(lean) / rho, (...z) => z];
  const radial = row((b - a) * bend, turn * u, turn * v);
  const rows = row(radial, row(0, round * e, 0), row(0, 0, round * e), row(0, -round * v, round * u));
  return { value, q: [qx + qy, lean * u, lean * v], rows };
}

/** z with A z = b, without pivoting: A, which is overwritten, is positive definite but for a last row and column. */
function eliminate(A, b) {
  const [n, z] = [b.length, b.slice()];
  for (let k = 0; k < n; k++) {
    for (let i = k + 1; i < n; i++) {
      const factor = A[i][k] / A[k][k];
      for (let j = k; j < n; j++) A[i][j] -= factor * A[k][j];
      z[i] -= factor * z[k];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) z[i] -= A[i][j] * z[j];
    z[i] /= A[i][i];
  }
  return z;
}

const inner = (a, b) => a.reduce((sum, z, k) => sum + z * b[k], 0);

/**
 * The weights w of the simplex that minimise gamma_e(sum w_k s_k) - mu sum log w_k, and the metric q there; `start`
 * may lack the last weight.
 *
 * Primal-dual Newton steps in units of w, as in swref.gauges; `products` are w times the multipliers of w >= 0.
 */
export function centralMixture(moments, start, p, mu, e) {
  const at = (w) => {
    const smooth = smoothGauge(mixture(moments, w), p, e);
    return { ...smooth, merit: smooth.value - mu * w.reduce((sum, z) => sum + Math.log(z), 0) };
  };
  let w = start.length < moments.length ? admit(start, (trial) => at(trial).merit) : start;
  let [now, products] = [at(w), w.map(() => mu)];
  for (let iteration = 0; iteration < 50; iteration++) {
    const gradient = moments.map((s) => pair(now.q, s));
    const level = inner(w, gradient) - mu * w.length;
    const slope = w.map((z, k) => mu - z * (gradient[k] - level));
    const R = moments.map((s, k) => now.rows.map((row) => w[k] * pair(row, s)));
    const A = R.map((r, i) => [...R.map((s, j) => inner(r, s) + (i === j ? products[i] : 0)), w[i]]);
    const step = eliminate([...A, [...w, 0]], [...slope, 0]).slice(0, -1);
    const decrease = inner(step, slope);
    if (!(decrease > 1e-2 * mu)) break;
    let length = Math.min(1, 0.95 / Math.max(-Math.min(...step), 1e-300));
    const shortest = 1e-8 * length;
    let [trial, next] = [];
    for (; length > shortest; length /= 2) {
      trial = w.map((z, k) => z + length * z * step[k]);
      const sum = trial.reduce((s, z) => s + z, 0);
      trial = trial.map((z) => z / sum);
      next = at(trial);
      if (next.merit <= now.merit - 1e-4 * length * decrease + 1e-15 * Math.abs(now.merit)) break;
    }
    if (length <= shortest) break;
    const proposed = trial.map((z, k) => (z * (mu - products[k] * step[k])) / w[k]);
    products = proposed.map((z) => (length < 1 ? mu : Math.min(Math.max(z, 0.1 * mu), 2 * mu)));
    [w, now] = [trial, next];
  }
  return { w, q: now.q };
}

/** The weights with one more: of a few shares the one that `merit` likes best. */
function admit(w, merit) {
  const shares = [0.3, 0.03, 3e-3, 3e-4, 3e-5, 3e-6, 3e-7, 3e-8, 3e-9];
  const trials = shares.map((share) => [...w.map((z) => z * (1 - share)), share]);
  const merits = trials.map(merit);
  return trials[merits.indexOf(Math.min(...merits))];
}
