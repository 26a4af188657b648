import { displacements, eigenvalues } from "./plane.js";

/** The moment [t, u, v] (see plane.js) of n rows x0, y0, x1, y1, ..., each of weight 1/n. */
export const momentOfRows = (rows) =>
  displacements([0, 0], rows).map((entries) => entries.reduce((sum, z) => sum + z, 0) / entries.length);

/**
 * Energy distance F = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), k = -(r^2 + epsilon^2)^(1/2), of flat clouds,
 * and its force: n times the gradient in each x_i. As `swref.energies.MMD` with equal weights.
 *
 * @returns {{energy: number, force: Float64Array}}
 */
export function energyDistance(x, y, epsilon) {
  const force = new Float64Array(x.length);
  const mean = (from, to, factor) => {
    const pairs = (from.length * to.length) / 4;
    let sum = 0;
    for (let i = 0; i < from.length; i += 2) {
      for (let j = 0; j < to.length; j += 2) {
        const [dx, dy] = [from[i] - to[j], from[i + 1] - to[j + 1]];
        const r = Math.sqrt(dx * dx + dy * dy + epsilon * epsilon);
        sum -= r;
        if (from !== x) continue;
        force[i] -= (2 * factor * dx) / r / (to.length / 2);
        force[i + 1] -= (2 * factor * dy) / r / (to.length / 2);
      }
    }
    return sum / pairs;
  };
  const energy = mean(x, x, 1) + mean(y, y, 0) - 2 * mean(x, y, -1);
  return { energy, force };
}

/**
 * The velocity of `swref.flow` for a force g of particles of equal weight, with the Schatten gauge p.
 *
 * v = -c g sum_i r_i^(q - 2) e_i e_i^T with q = 2p / (2p - 1), the singular values s_i and axes e_i of g in L2, and
 * r_i = max(s_i, cutoff s_1). The scale c makes -<g, v> = |s|_q^2, whatever was raised.
 */
export function velocity(g, p, cutoff) {
  const s = momentOfRows(g);
  const values = eigenvalues(s).map((z) => Math.sqrt(Math.max(z, 0)));
  if (values[0] === 0) return g.map(() => 0);
  const q = p === Infinity ? 1 : (2 * p) / (2 * p - 1);
  const [big, small] = values.map((z) => Math.max(z, cutoff * values[0]) ** (q - 2));
  const slope2 = (values[0] ** q + values[1] ** q) ** (2 / q);
  const c = slope2 / (values[0] ** 2 * big + values[1] ** 2 * small);
  const length = Math.hypot(s[1], s[2]) || 1;
  const [same, lean] = [(c * (big + small)) / 2, (c * (big - small)) / 2 / length];
  return g.map((z, k) => {
    const other = k % 2 ? g[k - 1] : g[k + 1];
    return -same * z - lean * ((k % 2 ? -s[1] : s[1]) * z + s[2] * other);
  });
}

/**
 * The flow of the energy distance to y from x (flat clouds) in the geometry of gauge p: its states at `times`.
 *
 * Bogacki and Shampine's pair of orders 3 and 2. A step's error, root mean square over particles, is at most `tol`
 * times its length in time. Singular values of the force below `cutoff` of the largest count as that much.
 *
 * @returns {{x: Float64Array, energy: number, force: Float64Array, velocity: Float64Array}[]} one state per time
 */
export function fall(x, y, p, times, { epsilon = 0.05, cutoff = 0.04, tol = 1e-3 } = {}) {
  const at = (z) => {
    const { energy, force } = energyDistance(z, y, epsilon);
    return { x: z, energy, force, velocity: velocity(force, p, cutoff) };
  };
  let [t, h, now] = [0, 1e-3, at(Float64Array.from(x))];
  return times.map((end) => {
    while (t < end) {
      const step = Math.min(h, end - t);
      const go = (...terms) => now.x.map((z, k) => terms.reduce((s, [w, v]) => s + step * w * v[k], z));
      const one = now.velocity;
      const two = at(go([1 / 2, one])).velocity;
      const three = at(go([3 / 4, two])).velocity;
      const next = at(go([2 / 9, one], [1 / 3, two], [4 / 9, three]));
      const error = one.map((v, k) => (-5 * v) / 72 + two[k] / 12 + three[k] / 9 - next.velocity[k] / 8);
      const size = Math.sqrt(error.reduce((s, z) => s + z * z, 0) / (x.length / 2));
      const accepted = size <= tol;
      if (accepted) [t, now] = [step === end - t ? end : t + step, next];
      if (!accepted || step === h) h = step * Math.min(Math.max(0.9 * Math.sqrt(tol / size), 0.2), 3);
    }
    return now;
  });
}
