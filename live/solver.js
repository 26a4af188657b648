import { certify, shares } from "./certificate.js";
import { centralMixture, smoothGauge } from "./master.js";
import { displacements, gauge, mixture } from "./plane.js";
import { Transport } from "./transport.js";

const KEPT = 8; // plans that the next call starts from
const LOOSE = 0.2; // accuracy of the master problem, in units of the gap
const DUST = 1e-9; // a plan of less weight is left out of the answer

/**
 * Cutting planes: W^2 = max over Q in K of min over plans of <Q, S>, as in swref.maxmin.
 *
 * Each metric Q costs one exact transport problem and yields a plan. The best mixture of all plans bounds W^2 from
 * above and proposes the next metric, whose transport value bounds W^2 from below. One Solver serves one picture:
 * while only points and p change, its plans are still couplings, and the next call starts from them.
 */
export class Solver {
  plans = [];

  /**
   * @param {{x, y, a, b, p, axes}} problem flat clouds, weights, exponent; with `axes` the gauge of the diagonal of S
   * @param {number} tol the relative gap to reach
   * @returns bounds and moment of `certify`, the plan (n m), metric q, potentials g, and `history`: bounds per step
   */
  solve(problem, tol = 1e-6, maxCalls = 200) {
    const { x, y, p } = problem;
    const [a, b] = [shares(problem.a), shares(problem.b)];
    const key = `${a}|${b}`;
    if (key !== this.key) Object.assign(this, { key, plans: [], transport: new Transport(a, b) });
    const D = displacements(x, y, problem.axes);
    const run = new Run(this.plans, D, p);
    let query = run.start();
    while (run.history.length < maxCalls && !run.enough(0.9 * tol))
      query = run.learn(query, this.transport.solve(query, D));
    const order = [...run.plans.keys()].sort((k, l) => (run.mix[l] ?? 0) - (run.mix[k] ?? 0));
    this.plans = order.slice(0, KEPT).map((k) => run.plans[k]);
    const found = { plan: run.plan(a.length * b.length), q: run.best.q, g: run.best.g };
    return { ...certify(problem, found), ...found, history: run.history };
  }
}

/** The state of one call: plans with their moments, and the bounds so far. */
class Run {
  constructor(plans, D, p) {
    const moments = plans.map((plan) => momentOf(plan, D));
    Object.assign(this, { D, p, plans: [...plans], moments, slack: 1e-14 * Math.max(...D[0]) });
    Object.assign(this, { weights: [], mix: [], upper: Infinity, best: { value: -Infinity }, history: [] });
  }

  /** The first metric: that of the old plans at the new points, or the steepest at the identity. */
  start() {
    for (const plan of this.plans) this.record(this.plans.map((other) => +(plan === other)));
    const fresh = this.plans.length === 0 || this.p === 1 || this.upper <= this.slack;
    return fresh ? smoothGauge([1, 0, 0], this.p, 1).q : this.propose(1e-3 * this.upper);
  }

  enough(tol) {
    return this.upper < Infinity && this.upper - this.best.value <= tol * this.upper + this.slack;
  }

  /** Keep a mixture of the plans if it is the best so far. */
  record(weights) {
    const value = gauge(mixture(this.moments, weights), this.p);
    if (value < this.upper) [this.upper, this.mix] = [value, weights];
  }

  /** Take in the plan for one metric; returns the next metric to ask. */
  learn(query, answer) {
    if (answer.value > this.best.value) this.best = { value: answer.value, q: query, g: answer.g };
    this.plans.push(answer);
    this.moments.push(momentOf(answer, this.D));
    this.record(this.plans.map((plan) => +(plan === answer)));
    const proposal = this.enough(0) ? query : this.propose(LOOSE * (this.upper - this.best.value));
    this.history.push([Math.max(this.best.value, 0), this.upper]);
    return proposal;
  }

  /** The metric at the central mixture of all plans, to an accuracy in the units of W^2. */
  propose(accuracy) {
    const [scale, count, old] = [this.upper, this.plans.length, this.weights];
    const e = Math.max(accuracy / scale, 1e-13) / 2;
    const moments = this.moments.map((s) => s.map((z) => z / scale));
    const start = old.length === 0 ? moments.map(() => 1 / count) : old;
    const { w, q } = centralMixture(moments, start, this.p, e / count, e);
    this.weights = w;
    this.record(w);
    return q;
  }

  /** The best mixture as one plan of so many cells. */
  plan(size) {
    const weights = this.mix.map((z) => (z > DUST ? z : 0));
    const [plan, sum] = [new Float64Array(size), weights.reduce((s, z) => s + z, 0)];
    for (const [k, weight] of weights.entries()) {
      const { cells, masses } = this.plans[k];
      if (weight > 0) for (const [l, cell] of cells.entries()) plan[cell] += (weight / sum) * masses[l];
    }
    return plan;
  }
}

/** The moment [t, u, v] of a plan given by cells and masses. */
export function momentOf({ cells, masses }, D) {
  return D.map((entries) => cells.reduce((sum, cell, k) => sum + masses[k] * entries[cell], 0));
}
