import { shares } from "./certificate.js";
import { displacements } from "./plane.js";
import { momentOf } from "./solver.js";
import { Transport } from "./transport.js";

/**
 * Cutting planes on one segment of metrics: Q(s) = (1 + s)/2 e e^T + (1 - s)/2 f f^T, s from -1 to 1, with the axes
 * e, f turned by `angle`. Its gauge is the larger of e^T S e and f^T S f, block-max in the turned axes.
 *
 * Each problem asks for the least bill at one s, first at 0. Its plan is a line [a, b] above the least bills, a + b s,
 * that touches them there; the next s is the top of the lowest lines. x and y are flat clouds of equal weights.
 *
 * @returns {{bill: function, steps: object[]}} bill(s), exact; steps {s, value, line, cells, top, lower, roof},
 *   with lower <= W^2 <= roof, until the two agree to 1e-9
 */
export function climb(x, y, angle) {
  const D = displacements(x, y);
  const transport = new Transport(...[x, y].map((z) => shares(new Float64Array(z.length / 2).fill(1))));
  const [c, d] = [Math.cos(2 * angle), Math.sin(2 * angle)];
  const ask = (s) => {
    const { cells, masses } = transport.solve([1, s * c, s * d], D);
    const moment = momentOf({ cells, masses }, D);
    const line = [moment[0], c * moment[1] + d * moment[2]];
    return { s, value: line[0] + line[1] * s, line, cells };
  };
  const steps = [];
  for (let [s, lower, roof] = [0, 0, Infinity]; steps.length < 20 && !(roof - lower <= 1e-9 * lower); ) {
    const step = ask(s);
    const lines = [...steps.map(({ line }) => line), step.line];
    const height = (z) => Math.min(...lines.map(([a, b]) => a + b * z));
    const meet = lines.flatMap(([a, b]) => lines.map(([e, f]) => (e - a) / (b - f))).filter((z) => Math.abs(z) < 1);
    s = [0, -1, 1, ...meet].reduce((best, z) => (height(z) > height(best) ? z : best));
    [lower, roof] = [Math.max(lower, step.value), height(s)];
    steps.push({ ...step, top: s, lower, roof });
  }
  return { bill: (s) => ask(s).value, steps };
}
