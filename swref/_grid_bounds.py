"""The discrete dynamic problem between two densities, and the bounds that any iterate of a solver gives."""

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from .gauges import Gauge, Multiple
from .gauges.door import attained


class Problem:
    """The discrete problem between densities (nx, ny) of mass one, and the bounds that any iterate gives."""

    def __init__(self, grid, rho0, rho1, gauge, d, constant_metric):
        self.grid, self.rho0, self.rho1, self.d, self.constant_metric = grid, rho0, rho1, d, constant_metric
        self.strength = max(attained(gauge, np.outer(e, e))[1] for e in np.eye(d))
        self.gauge = gauge if self.strength == 1 else gauge * (1 / self.strength)
        while isinstance(gauge, Multiple):
            gauge = gauge.gauge
        self.interior = _interior(self.gauge, d)
        self.K = _Hull(self.gauge, self.interior) if type(gauge).project is Gauge.project else self.gauge

    def displacement(self):
        """About the distance: that of the marginals in W_1, and at least a cell."""
        gap = (self.rho1 - self.rho0) * self.grid.cell
        moved = [np.abs(np.cumsum(gap.sum(1 - k))).sum() * self.grid.h[k] for k in range(self.d)]
        return max(float(np.linalg.norm(moved)), min(self.grid.h[: self.d]))

    def project(self, A):
        """On K, the entries (11, 12, 22) of each interval's matrix, or of their mean."""
        Q = np.array([entries_of(self.K.project(one)) for one in self._per_metric(A)])
        return np.broadcast_to(Q, (self.grid.n_time, 3))

    def refine(self, S):
        """Let a hull know the second moments, up to a factor, given by their entries (n_time, 3)."""
        if isinstance(self.K, _Hull):
            for one in self._per_metric(S):
                self.K.refine(one)

    def _per_metric(self, entries):
        A = entries.mean(0, keepdims=True) if self.constant_metric else entries
        return matrices_of(A)[:, : self.d, : self.d]

    def moments(self, rho, m):
        """S_k = int m m^T / rho dx, (n_time, d, d); infinite where mass moves without density."""
        m = m[: self.d]
        with np.errstate(divide="ignore"):
            v = np.divide(m, rho, out=np.zeros_like(m), where=m != 0)
        return np.einsum("atxy,btxy->tab", v, m) * self.grid.cell

    def action(self, S):
        if not np.isfinite(S).all():
            return np.inf
        S = S.mean(0, keepdims=True) if self.constant_metric else S
        return float(np.mean([self.gauge.value(one) for one in S]))

    def resting_pair(self):
        """The curve of two identical densities."""
        grid = self.grid
        if (self.rho0 == self.rho1).all():
            return np.tile(self.rho0, (grid.n_time, 1, 1)), np.zeros((2, *grid.intervals))
        return None

    def upper(self, rho, m, safe):
        """(U, (rho, m)): a solution of the continuity equation with rho >= 0, and its action."""
        grid = self.grid
        rho, m = grid.weighted_project(rho, m, grid.ends(self.rho0, self.rho1))
        bad = rho <= 0
        least = (rho[bad] / (rho[bad] - safe[0][bad])).max() if bad.any() else 0.0
        best, pair = np.inf, safe
        for more in (1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5):
            share = least + (1 - least) * more
            trial = (1 - share) * rho + share * safe[0], (1 - share) * m + share * safe[1]
            if (trial[0] <= 0).any():
                continue
            value = self.action(self.moments(*trial))
            if value >= best:  # the action is convex along the segment
                break
            best, pair = value, trial
        return best, pair

    def lower(self, phi, Q):
        """(L, phi, Q): a potential and metrics that satisfy the constraint in every cell, and their value."""
        grid = self.grid
        a, b = grid.A(phi), grid.B(phi)[: self.d]
        value = grid.cell * (np.vdot(self.rho1, phi[-1]) - np.vdot(self.rho0, phi[0]))
        best = (-np.inf, phi, Q)
        for share in 10.0 ** np.arange(-0.5, -8, -0.5):
            mixed = (1 - share) * Q + share * self.interior
            H = 0.25 * np.einsum("atxy,tab,btxy->txy", b, np.linalg.inv(mixed), b)

            def worst(size, H=H):
                return (size * a + size * size * H).max((1, 2))

            def loss(size, worst=worst):
                return grid.dt * worst(size).sum() - size * value

            size = minimize_scalar(loss, bounds=(0, 2), method="bounded", options={"xatol": 1e-5}).x
            if -loss(size) <= best[0]:  # the bound is concave in (size, share): it only falls from here
                break
            shift = grid.dt * np.append(0.0, np.cumsum(worst(size)))
            best = (-loss(size), size * phi - shift[:, None, None], mixed)
        return best

    def atoms_lower(self, phi, Q):
        """A lower bound of W^2 between atoms at cell centres: potentials made feasible by Hopf-Lax.  [Thm 3.3]

        phi(1, y) - phi(0, x) <= (y - x)^T Q (y - x) for one Q in K, here for the last potential.
        """
        from ._grid_kernels import hopf_lax

        full = np.zeros((2, 2))
        full[: self.d, : self.d] = Q
        first = hopf_lax(phi, full, *self.grid.h)
        last = -hopf_lax(-first, full, *self.grid.h)
        return max(self.grid.cell * (np.vdot(self.rho1, last) - np.vdot(self.rho0, first)), 0.0)

    def cells_upper(self, pair, safe):
        """An upper bound of W^2 between densities constant on cells: gamma of the mean moment of one exact curve.

        Fluxes are linear across each cell and constant on each interval; the density is linear in time between the
        nodes, so that the mean of 1/rho is 1 over the logarithmic mean. gamma of the time average bounds W^2 because
        W^2 is a maximum over constant metrics.  [Thm 4.2] Densities at nodes may need more of the positive solution.
        """
        nodes, safe_nodes = self._node_densities(pair[1]), self._node_densities(safe[1])
        bad = nodes[1:-1] <= 0
        least = (nodes[1:-1][bad] / (nodes - safe_nodes)[1:-1][bad]).max() if bad.any() else 0.0
        shares = least + (1 - least) * np.array([0, 1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1])
        return min(self._exact_cost((1 - s) * nodes + s * safe_nodes, (1 - s) * pair[1] + s * safe[1]) for s in shares)

    def _node_densities(self, m):
        grid = self.grid
        out = sum(np.diff(grid.fluxes(m, axis), axis=1 + axis) / grid.h[axis] for axis in range(self.d))
        nodes = np.concatenate([self.rho0[None], self.rho0 - grid.dt * np.cumsum(out, 0)])
        nodes[-1] = self.rho1  # as it is, up to rounding
        return nodes

    def _exact_cost(self, nodes, m):
        if (nodes < 0).any() or (nodes[1:-1] <= 0).any():
            return np.inf
        grid = self.grid
        F = [np.moveaxis(grid.fluxes(m, axis), 1 + axis, 0) for axis in range(self.d)]
        cells = [np.moveaxis(0.5 * (f[1:] + f[:-1]), 0, 1 + axis) for axis, f in enumerate(F)]
        steps = [np.moveaxis(f[1:] - f[:-1], 0, 1 + axis) for axis, f in enumerate(F)]
        inverse = _inverse_logarithmic_mean(nodes[:-1], nodes[1:])
        S = np.einsum("txy,atxy,btxy->ab", inverse, cells, cells)
        S[np.diag_indices(self.d)] += [(inverse * step**2).sum() / 12 for step in steps]
        S *= grid.cell * grid.dt
        return self.gauge.value(S) if np.isfinite(S).all() else np.inf


def _inverse_logarithmic_mean(a, b):
    """log(b/a) / (b - a) for a, b >= 0: the mean of 1/x between them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (b - a) / (a + b)
        ratio = np.where(np.abs(x) < 1e-4, 1 + x * x / 3, np.arctanh(x) / x)
        return 2 * ratio / (a + b)


class _Hull:
    """The hull of the supports met so far, in place of K: for a gauge that has no projection of its own."""

    def __init__(self, gauge, first):
        self.gauge, self.atoms = gauge, first[None]

    def refine(self, S):
        """Add the support of S if the hull underestimates its gauge by more than a relative 1e-5."""
        value = self.gauge.value(S)
        if value > (1 + 1e-5) * np.tensordot(self.atoms, S, 2).max():
            self.atoms = np.concatenate([self.atoms, attained(self.gauge, S, value)[0][None]])

    def project(self, A):
        """min |sum_j theta_j Q_j - A| over weights: least squares with a heavy row that makes their sum one."""
        rows = np.column_stack([self.atoms.reshape(len(self.atoms), -1), np.full(len(self.atoms), 1e3)])
        theta = nnls(rows.T, np.append(A.ravel(), 1e3))[0]
        return np.tensordot(theta / theta.sum(), self.atoms, 1)


def _interior(gauge, d):
    """A positive definite element of K: the mean of supports, added until no direction is missing."""
    atoms = [attained(gauge, np.eye(d))[0]]
    for _ in range(d):
        u = np.linalg.eigh(np.mean(atoms, 0))[1][:, 0]
        atoms.append(attained(gauge, np.outer(u, u))[0])
    return np.mean(atoms, 0)


def entries_of(Q):
    """Entries 11, 12, 22 of symmetric matrices of order 1 or 2."""
    if Q.shape[-1] == 1:
        return Q[..., 0, 0, None] * np.array([1.0, 0.0, 0.0])
    return np.stack([Q[..., 0, 0], Q[..., 0, 1], Q[..., 1, 1]], -1)


def matrices_of(q):
    return q[..., [0, 1, 1, 2]].reshape(*q.shape[:-1], 2, 2)
