import { mixture, pair, pNorm } from "./plane.js";

/**
 * gamma_p made smooth: that of the Hermitian matrix S + e (I + sigma_y), between gamma_p(S) and gamma_p(S) + 2 e.
 *
 * @returns value, gradient q (a metric in K) and four directions whose squares sum to the Hessian.
 */
export function smoothGauge([t, u, v], p, e) {
  const rho = Math.hypot(u, v, e);
  const x = t + e + rho;
  const y = (Math.max(t * t - u * u - v * v, 0) + 2 * t * e) / x; // the product of the eigenvalues, without cancellation
  const value = pNorm(x, y, p);
  const [a, b] = [x / value, y / value];
  const [qx, qy] = p === Infinity ? [1, 0] : [a ** (p - 1), b ** (p - 1)];
  const lean = Math.max(qx - qy, 0) / rho;
  const along = p > 1 && p < Infinity ? Math.sqrt(((p - 1) / value) * (a * b) ** (p - 2)) : 0;
  const turn = ((a + b) * along) / rho;
  const round = Math.sqrt(lean) / rho;
  const squares = [
    [(b - a) * along, turn * u, turn * v],
    [0, round * e, 0],
    [0, 0, round * e],
    [0, -round * v, round * u],
  ];
  return { value, q: [qx + qy, lean * u, lean * v], squares };
}

/** The Cholesky factor, row by row, of diag(diagonal) + sum_r row_r row_r^T. */
function cholesky(diagonal, rows) {
  const L = [];
  for (let i = 0; i < diagonal.length; i++) {
    const line = new Array(i + 1);
    L.push(line);
    for (let j = 0; j <= i; j++) {
      let s = i === j ? diagonal[i] : 0;
      for (const row of rows) s += row[i] * row[j];
      for (let k = 0; k < j; k++) s -= line[k] * L[j][k];
      line[j] = i === j ? Math.sqrt(Math.max(s, 1e-300)) : s / L[j][j];
    }
  }
  return L;
}

/** Solve L L^T z = b. */
function backSolve(L, b) {
  const z = b.slice();
  for (let i = 0; i < z.length; i++) {
    for (let j = 0; j < i; j++) z[i] -= L[i][j] * z[j];
    z[i] /= L[i][i];
  }
  for (let i = z.length - 1; i >= 0; i--) {
    for (let j = i + 1; j < z.length; j++) z[i] -= L[j][i] * z[j];
    z[i] /= L[i][i];
  }
  return z;
}

const inner = (a, b) => a.reduce((sum, z, k) => sum + z * b[k], 0);

/**
 * The weights w of the simplex that minimise gamma_e(sum w_k s_k) - mu sum log w_k, and the metric there.
 *
 * Primal-dual Newton steps in units of w, as in swref.gauges; `products` are w times the multipliers of w >= 0.
 */
export function centralMixture(moments, start, p, mu, e) {
  const at = (w) => {
    const smooth = smoothGauge(mixture(moments, w), p, e);
    return { ...smooth, merit: smooth.value - mu * w.reduce((sum, z) => sum + Math.log(z), 0) };
  };
  let [w, now, products] = [start, at(start), start.map(() => mu)];
  for (let iteration = 0; iteration < 50; iteration++) {
    const gradient = moments.map((s) => pair(now.q, s));
    const level = inner(w, gradient) - mu * w.length;
    const slope = w.map((z, k) => z * (gradient[k] - level) - mu);
    const rows = now.squares.map((axis) => w.map((z, k) => z * pair(axis, moments[k])));
    const L = cholesky(products, rows);
    const [down, normal] = [backSolve(L, slope), backSolve(L, w)];
    const shift = inner(w, down) / inner(w, normal);
    const step = down.map((z, k) => shift * normal[k] - z);
    const decrease = -inner(step, slope);
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

/** Weights with one more of the share, among a few, that `merit` likes best. */
export function admit(w, merit) {
  let [least, chosen] = [Infinity, w];
  for (let share = 0.3; share > 1e-9; share /= 10) {
    const trial = [...w.map((z) => z * (1 - share)), share];
    const value = merit(trial);
    if (value >= least) break;
    [least, chosen] = [value, trial];
  }
  return chosen;
}
