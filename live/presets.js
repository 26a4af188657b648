const times = (n, at) => Array.from({ length: n }, (_, k) => at(k));
const onCircle = (r, angle, s = r) => [r * Math.cos(angle), s * Math.sin(angle)];

/** n points that fill an ellipse with half axes r, s around (x, y), as the seeds of a sunflower. */
export function heap(n, x, y, r, s = r) {
  const seed = (k) => onCircle(r * Math.sqrt((k + 0.5) / n), 2.39996 * k, s * Math.sqrt((k + 0.5) / n));
  return times(n, seed).map(([u, v]) => [x + u, y + v]);
}

const needle = (n, x, y) => times(n, (k) => (2 * k) / (n - 1) - 1).map((s) => [s * x, s * y]);
const two = (x, y, r) => [...heap(11, x, y, r), ...heap(11, -x, -y, r)];

/** Name, sources and targets, in the window [-1.4, 1.4] x [-1.1, 1.1]. */
export const PRESETS = {
  heaps: ["two heaps, two holes", needle(2, 1, 0), needle(2, 0, 0.9)],
  sand: ["two heaps of sand", two(0.95, 0, 0.2), two(0.45, 0.78, 0.2)],
  ring: ["a heap and a ring", heap(24, 0.15, 0.1, 0.3), times(24, (k) => onCircle(0.95, (Math.PI * k) / 12))],
  needles: ["two needles", needle(15, 1, 0.12), needle(11, -0.1, 0.9)],
  clouds: ["two clouds", heap(30, -0.65, 0.1, 0.3, 0.75), heap(30, 0.6, -0.1, 0.7, 0.3)],
};
