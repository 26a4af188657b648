/**
 * Symmetric 2 x 2 matrices, Schatten gauges and their polars.
 *
 * A moment t I + [[u, v], [v, -u]] is the array [t, u, v]. A metric Q is q = [tr Q, Q11 - Q22, 2 Q12], so that
 * <Q, S> = q . s and its own t, u, v are q / 2. Clouds are flat arrays x0, y0, x1, y1, ...
 */

/** The distance from 1 to the next number. */
export const EPS = 2 ** -52;

/** The eigenvalues t + |(u, v)| and t - |(u, v)| of [t, u, v]. */
export const eigenvalues = ([t, u, v]) => [t + Math.hypot(u, v), t - Math.hypot(u, v)];

/** The p-norm (x^p + y^p)^(1/p) of x >= y >= 0, for p from 1 to Infinity. */
export const pNorm = (x, y, p) => (p === Infinity || x === 0 ? x : x * (1 + (y / x) ** p) ** (1 / p));

/** The gauge (sum lambda_i^p)^(1/p) of a moment s = [t, u, v]; eigenvalues below zero count as zero. */
export function gauge(s, p) {
  const [big, small] = eigenvalues(s);
  return pNorm(Math.max(big, 0), Math.max(small, 0), p);
}

/** The exponent of the polar gauge: 1/p + 1/p' = 1. */
export const conjugate = (p) => (p === 1 ? Infinity : p === Infinity ? 1 : p / (p - 1));

/** <Q, S> of a metric q and a moment s. */
export const pair = (q, s) => q[0] * s[0] + q[1] * s[1] + q[2] * s[2];

/** sum_k w_k s_k of moments s_k. */
export const mixture = (moments, w) => [0, 1, 2].map((c) => moments.reduce((sum, s, k) => sum + w[k] * s[c], 0));

/**
 * The moments [t, u, v] of the displacements y_j - x_i, as three arrays of n m numbers, cell (i, j) at i m + j.
 * With `axes` the off-diagonal v is left out: the gauge of diag S, block-max of the two axes if p = Infinity.
 */
export function displacements(x, y, axes = false) {
  const [n, m] = [x.length / 2, y.length / 2];
  const [t, u, v] = [0, 1, 2].map(() => new Float64Array(n * m));
  for (let k = 0; k < n * m; k++) {
    const [i, j] = [Math.floor(k / m), k % m];
    const dx = y[2 * j] - x[2 * i];
    const dy = y[2 * j + 1] - x[2 * i + 1];
    t[k] = (dx * dx + dy * dy) / 2;
    u[k] = ((dx - dy) * (dx + dy)) / 2;
    v[k] = axes ? 0 : dx * dy;
  }
  return [t, u, v];
}
