import { certify, shares } from "./certificate.js";
import { admit, centralMixture, smoothGauge } from "./master.js";
import { displacements, gauge, mixture } from "./plane.js";
import { Transport } from "./transport.js";

const KEPT = 8; // plans that the next call starts from
const LOOSE = 0.2; // accuracy of the master problem, in units of the gap
const STEPS = [0.35, 0.7]; // the shortest step from the best metric to the proposed one, and how it shrinks

/**
 * Cutting planes: W^2 = max over Q in K of min over plans of <Q, S>, as in swref.maxmin.
 *
 * Each metric Q costs one exact transport problem and yields a plan. The best mixture of all plans bounds W^2 from
 * above and proposes the next metric, whose transport value bounds W^2 from below. One Solver serves one picture:
 * while only points and p change, its plans are still couplings, and the next call starts from them.
 */
export class Solver {
  constructor() {
    this.plans = [];
    this.key = "";
  }

  /**
   * @param {{x, y, a, b, p, axes}} problem flat clouds, weights, exponent; with `axes` the gauge of the diagonal of S
   * @param {number} tol the relative gap to reach
   * @returns bounds and moment of `certify`, the plan (n m), metric q, potentials g, and `history`: bounds per step
   */
  solve(problem, tol = 1e-6, maxCalls = 200) {
    const { x, y, p } = problem;
    const [a, b] = [shares(problem.a), shares(problem.b)];
    const key = `${a}|${b}`;
    if (key !== this.key) Object.assign(this, { key, plans: [], transport: new Transport(x, y, a, b) });
    const D = displacements(x, y, problem.axes);
    const farthest = Math.max(...D[0]);
    const run = new Run(this.plans, D, p, 1e-14 * farthest);
    let query = run.start();
    for (let calls = 0; calls < maxCalls && !run.enough(0.9 * tol); calls++) {
      query = run.learn(query, this.transport.solve(query, D));
    }
    const { plan, plans } = run.plan(a.length * b.length, 0.05 * tol);
    this.plans = plans;
    const found = { plan, q: run.best.q, g: run.best.g };
    return { ...certify(problem, found), ...found, history: run.history };
  }
}

/** The state of one call: plans with their moments, the bounds so far, the trust in proposals. */
class Run {
  constructor(plans, D, p, slack) {
    Object.assign(this, { D, p, slack, plans: [...plans], moments: plans.map((plan) => momentOf(plan, D)) });
    Object.assign(this, { weights: [], mix: [], upper: Infinity, best: { value: -Infinity }, trust: 1, history: [] });
  }

  /** The first metric: that of the old plans at the new points, or the steepest at the identity. */
  start() {
    const count = this.plans.length;
    const round = smoothGauge([1, 0, 0], this.p, 1).q;
    if (count === 0 || this.p === 1) return round;
    for (const plan of this.plans) this.record(this.plans.map((other) => +(plan === other)));
    this.weights = this.plans.map(() => 1 / count);
    return this.upper > this.slack ? this.propose(1e-3 * this.upper) : round;
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
    const better = answer.value > this.best.value;
    if (better) this.best = { value: answer.value, q: query, g: answer.g };
    this.plans.push(answer);
    this.moments.push(momentOf(answer, this.D));
    this.record(this.plans.map((_, k) => +(k === this.plans.length - 1)));
    const proposal = this.enough(0) ? query : this.propose(LOOSE * (this.upper - this.best.value));
    this.history.push([Math.max(this.best.value, 0), this.upper]);
    const [floor, factor] = STEPS;
    this.trust = better ? Math.min(1, this.trust / factor) : Math.max(floor, factor * this.trust);
    return proposal.map((z, c) => this.trust * z + (1 - this.trust) * this.best.q[c]);
  }

  /** The metric at the central mixture of all plans, to an accuracy in the units of W^2. */
  propose(accuracy) {
    const [scale, count] = [this.upper, this.plans.length];
    const e = Math.max(accuracy / scale, 1e-13) / 2;
    const mu = e / count;
    const moments = this.moments.map((s) => s.map((z) => z / scale));
    if (this.weights.length === 0) this.weights = moments.map(() => 1 / count);
    if (this.weights.length < count) {
      const logs = (w) => w.reduce((sum, z) => sum + Math.log(z), 0);
      this.weights = admit(this.weights, (w) => smoothGauge(mixture(moments, w), this.p, e).value - mu * logs(w));
    }
    const { w, q } = centralMixture(moments, this.weights, this.p, mu, e);
    this.weights = w;
    this.record(w);
    return q;
  }

  /** The best mixture as one plan, without plans of negligible weight, and the heaviest plans for the next call. */
  plan(cells, negligible) {
    const { plans, mix } = this;
    const weight = (k) => mix[k] ?? 0; // a plan that came after the best mixture
    const order = [...plans.keys()].sort((k, l) => weight(k) - weight(l));
    let spare = negligible;
    const kept = order.filter((k) => {
      spare -= weight(k);
      return spare < 0 && weight(k) > 0;
    });
    const sum = kept.reduce((s, k) => s + weight(k), 0);
    const plan = new Float64Array(cells);
    for (const k of kept) {
      plans[k].cells.forEach((cell, l) => {
        plan[cell] += (weight(k) / sum) * plans[k].masses[l];
      });
    }
    return { plan, plans: order.slice(-KEPT).map((k) => plans[k]) };
  }
}

/** The moment [t, u, v] of a plan given by cells and masses. */
function momentOf({ cells, masses }, D) {
  return D.map((entries) => cells.reduce((sum, cell, k) => sum + masses[k] * entries[cell], 0));
}
