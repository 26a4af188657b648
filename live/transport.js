import { EPS, pair } from "./plane.js";

/** Masses as whole numbers of equal sum, about 2^50: sums of them are exact, and empty cells are seen. */
function wholeUnits(a, b) {
  const share = a.length * b.length; // so that equal weights stay equal
  const total = share * 2 ** Math.floor(50 - Math.log2(share));
  const [A, B] = [a, b].map((w) => Float64Array.from(w, (z) => Math.max(Math.round(z * total), 1)));
  const surplus = A.reduce((s, z) => s + z, 0) - B.reduce((s, z) => s + z, 0);
  const short = surplus < 0 ? A : B;
  short[short.indexOf(Math.max(...short))] += Math.abs(surplus);
  return [A, B];
}

/**
 * Exact transport of small clouds for one metric after another: a network simplex that starts from its last tree.
 *
 * Nodes are the n sources, then the m targets. The tree is rooted at a source and stays strongly feasible (an empty
 * cell hangs a source below a target; Cunningham 1976), so that ties cannot make it cycle.
 */
export class Transport {
  /** The north-west corner plan of a and b, shares that sum to one. */
  constructor(a, b) {
    const [n, m] = [a.length, b.length];
    const size = n + m;
    Object.assign(this, { n, m, cost: new Float64Array(n * m) });
    for (const name of ["parent", "depth"]) this[name] = new Int32Array(size);
    for (const name of ["flow", "potential"]) this[name] = new Float64Array(size);
    const [A, B] = wholeUnits(a, b);
    this.total = A.reduce((sum, z) => sum + z, 0);
    this.parent[0] = -1;
    let [i, j, left, right, newSource] = [0, 0, A[0], B[0], false];
    for (;;) {
      const mass = Math.min(left, right);
      const [child, parent] = newSource ? [i, n + j] : [n + j, i];
      this.parent[child] = parent;
      this.flow[child] = mass;
      left -= mass;
      right -= mass;
      if (i === n - 1 && j === m - 1) return;
      newSource = j === m - 1 || (left === 0 && i < n - 1);
      if (newSource) left = A[++i];
      else right = B[++j];
    }
  }

  /** The cell of the edge from v to its parent. */
  cell(v) {
    const { parent, n, m } = this;
    return v < n ? v * m + parent[v] - n : parent[v] * m + v - n;
  }

  /** Depth and potential of node v, after those of its parent. */
  settle(v) {
    const { parent, depth, potential } = this;
    if (depth[v] >= 0) return;
    if (parent[v] >= 0) this.settle(parent[v]);
    depth[v] = parent[v] < 0 ? 0 : depth[parent[v]] + 1;
    potential[v] = parent[v] < 0 ? 0 : this.cost[this.cell(v)] - potential[parent[v]];
  }

  /** Depths and potentials of the whole tree. */
  refresh() {
    this.depth.fill(-1);
    for (let v = 0; v < this.depth.length; v++) this.settle(v);
  }

  /** Let the cell of source i and target node j enter the tree. */
  pivot(i, j) {
    const { parent, depth, flow, n } = this;
    let [u, v] = [i, j];
    while (u !== v) {
      if (depth[u] >= depth[v]) u = parent[u];
      else v = parent[v];
    }
    const apex = u;
    let [mass, leaving, entering] = [Infinity, -1, i];
    for (u = i; u !== apex; u = parent[u]) if (u < n && flow[u] < mass) [mass, leaving] = [flow[u], u];
    for (v = j; v !== apex; v = parent[v]) if (v >= n && flow[v] <= mass) [mass, leaving, entering] = [flow[v], v, j];
    for (u = i; u !== apex; u = parent[u]) flow[u] += u < n ? -mass : mass;
    for (v = j; v !== apex; v = parent[v]) flow[v] += v < n ? mass : -mass;
    let [node, above, carried] = [entering, i + j - entering, mass];
    for (let last = false; !last; ) {
      // hang the path from the entering cell to the leaving one the other way round
      last = node === leaving;
      const [up, old] = [parent[node], flow[node]];
      parent[node] = above;
      flow[node] = carried;
      [above, node, carried] = [node, up, old];
    }
    this.refresh();
  }

  /** Plan (cells, masses), potentials g and value, optimal for the metric q; D: the displacements as they are now. */
  solve(q, D) {
    const { n, m, cost, potential } = this;
    let top = 0;
    for (let k = 0; k < n * m; k++) {
      cost[k] = Math.max(pair(q, [D[0][k], D[1][k], D[2][k]]), 0);
      top = Math.max(top, cost[k]);
    }
    this.refresh();
    for (let i = 0, quiet = 0; quiet < n; i = (i + 1) % n, quiet++) {
      let [least, worst] = [-4 * EPS * top, -1];
      for (let j = 0, k = i * m; j < m; j++, k++) {
        const reduced = cost[k] - potential[i] - potential[n + j];
        if (reduced < least) [least, worst] = [reduced, j];
      }
      if (worst < 0) continue;
      this.pivot(i, n + worst);
      quiet = -1;
    }
    const nodes = [...this.parent.keys()].filter((v) => this.parent[v] >= 0 && this.flow[v] > 0);
    const [cells, masses] = [nodes.map((v) => this.cell(v)), nodes.map((v) => this.flow[v] / this.total)];
    const value = cells.reduce((sum, cell, k) => sum + masses[k] * cost[cell], 0);
    return { cells, masses, g: potential.slice(n), value };
  }
}
