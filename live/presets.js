const times = (n, at) => Array.from({ length: n }, (_, k) => at(k));
const golden = Math.PI * (3 - Math.sqrt(5));

/** n points that fill an ellipse with the half axes rx, ry around (cx, cy), as the seeds of a sunflower. */
function heap(n, cx, cy, rx, ry = rx) {
  return times(n, (k) => {
    const r = Math.sqrt((k + 0.5) / n);
    return [cx + rx * r * Math.cos(golden * k), cy + ry * r * Math.sin(golden * k)];
  });
}

/** n points on a circle around the origin. */
const ring = (n, r) => times(n, (k) => [r * Math.cos((2 * Math.PI * k) / n), r * Math.sin((2 * Math.PI * k) / n)]);

/** n points on the segment from -(x, y) to (x, y). */
const needle = (n, x, y) => times(n, (k) => [x * ((2 * k) / (n - 1) - 1), y * ((2 * k) / (n - 1) - 1)]);

/** Sources and targets by name, in the window [-1.4, 1.4] x [-1.1, 1.1]. */
export const PRESETS = {
  heaps: [
    "two heaps, two holes",
    [
      [-1, 0],
      [1, 0],
    ],
    [
      [0, -0.9],
      [0, 0.9],
    ],
  ],
  sand: [
    "two heaps of sand",
    [...heap(11, -0.95, 0, 0.2), ...heap(11, 0.95, 0, 0.2)],
    [...heap(11, 0.45, 0.78, 0.2), ...heap(11, -0.45, -0.78, 0.2)],
  ],
  ring: ["a heap and a ring", heap(24, 0.15, 0.1, 0.3), ring(24, 0.95)],
  needles: ["two needles", needle(15, 1, 0.12), needle(11, -0.1, 0.9)],
  clouds: ["two clouds", heap(30, -0.65, 0.1, 0.3, 0.75), heap(30, 0.6, -0.1, 0.7, 0.3)],
};
