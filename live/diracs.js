import { smoothGauge } from "./master.js";
import { gauge, pair } from "./plane.js";

const ROUNDING = 1e-14; // more than what a few operations on numbers of size M + m lose, in units of M + m

/** The moment M a a^T + m b b^T - s (a b^T + b a^T) of unit vectors a = (1, 0) and b at an angle, as [t, u, v]. */
export function momentAt(s, M, m, angle) {
  const [c, d] = [Math.cos(angle), Math.sin(angle)];
  return [(M + m) / 2 - s * c, (M + m * (c * c - d * d)) / 2 - s * c, m * c * d - s * d];
}

/**
 * The least gauge_p of `momentAt` over s from `low` to `high`, with both bounds.
 *
 * For the metric Q of a slightly smoothed gauge the price falls in s by 2 a^T Q b, which bisection brings to zero,
 * unless an end is best. Any Q of K proves the bound <Q, M a a^T + m b b^T> - 2 max(low a^T Q b, high a^T Q b).
 *
 * @returns {{s: number, lower: number, upper: number}}
 */
export function least(M, m, angle, p, low, high) {
  const fixed = momentAt(0, M, m, angle);
  const slack = ROUNDING * (M + m);
  const bounds = (lower, upper) => ({ lower: Math.max(lower - slack, 0), upper: upper + slack });
  const at = (s) => {
    const moment = momentAt(s, M, m, angle);
    const { q } = smoothGauge(moment, p, 1e-10 * (M + m));
    const [price, fall] = [pair(q, fixed), pair(q, fixed) - pair(q, momentAt(1, M, m, angle))];
    return { ...bounds(price - Math.max(low * fall, high * fall), gauge(moment, p)), s, price, fall };
  };
  let [left, right] = [at(low), at(high)];
  if (left.fall <= 0) return left;
  if (right.fall >= 0) return right;
  for (let k = 0; k < 60; k++) {
    const middle = at((left.s + right.s) / 2);
    [left, right] = middle.fall > 0 ? [middle, right] : [left, middle];
  }
  // a mixture of both metrics, under which the price does not depend on s
  const mixed = (left.fall * right.price - right.fall * left.price) / (left.fall - right.fall);
  return { ...bounds(mixed, right.upper), s: right.s };
}
