"""The discrete dynamic problem between two densities, and the bounds that any iterate of a solver gives.

The bounds hold in real arithmetic, on the assumptions of ``_rounding``, for densities known to ``DENSITY`` and cells to
2 eps: L from potentials and metrics alone, whatever their violation; U from a curve alone, whatever its residual.
"""

from math import fsum

import numpy as np
from scipy.optimize import fminbound, nnls

from .._rounding import gauge_error, gauge_upper, metric_size, moment_upper, rounding
from .._validation import EPS
from ..gauges import Gauge, Multiple, get_gauge
from ..gauges.door import attained
from ..network import c_transform

DENSITY = 8 * EPS  # relative error of the densities: mass one, a floor, divided by the volume of a cell
MIXED = (1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5)  # shares of a positive curve, beyond the least
MIXED_CELLS = np.array([0, 1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1])  # the same for densities constant on cells
INTERIOR = 10.0 ** np.arange(-0.5, -8, -0.5)  # shares of an interior metric, until the bound falls: it is concave
SIZES, SIZE_ACCURACY = (0, 2), 1e-5  # where the size of the potential is sought; an error costs its square
SERIES = 1e-4  # below it arctanh(x)/x is 1 + x^2/3 to rounding
UNSEEN = 1e-5  # relative, of a gauge: what a hull may miss of it, a hundredth of the tolerance of a grid
HEAVY = 1e3  # weight of the row that makes least-squares weights sum to one


class Problem:
    """The discrete problem between densities (nx, ny) of mass one, and the bounds that any iterate gives.

    ``gauge`` is that of dimension d, and ``strength`` its largest value of a direction, by which it is divided. On the
    line, d = 1, nothing moves across, and gamma(s) = gamma(1) s: the trace in the plane says the same.
    """

    def __init__(self, grid, rho0, rho1, gauge, d, equal=False):
        """``equal``: the densities are equal as given, and not by rounding; then they rest in the solution ``safe``."""
        self.grid, self.rho0, self.rho1, self.equal = grid, rho0, rho1, equal
        self.strength = max(attained(gauge, np.outer(e, e))[1] for e in np.eye(d))
        gauge = get_gauge("trace") if d == 1 else gauge
        self.gauge = gauge if d == 1 or self.strength == 1 else gauge * (1 / self.strength)
        while isinstance(gauge, Multiple):
            gauge = gauge.gauge
        self.interior, self.unit = interior(self.gauge), self.gauge.value(np.eye(2))
        self.K = _Hull(self.gauge, self.interior) if type(gauge).project is Gauge.project else self.gauge
        self.safe = grid.positive_pair(rho0, rho1)
        if equal or (rho0 == rho1).all():
            self.safe = np.tile(rho0, (grid.n_time, 1, 1)), np.zeros((2, *grid.intervals))

    def displacement(self):
        """About the distance: that of the marginals in W_1, and at least a cell."""
        gap = (self.rho1 - self.rho0) * self.grid.cell
        moved = [np.abs(np.cumsum(gap.sum(1 - k))).sum() * self.grid.h[k] for k in (0, 1)]
        return max(float(np.linalg.norm(moved)), min(self.grid.h))

    def project(self, A):
        """On K, the entries (11, 12, 22) of each interval's matrix."""
        return np.array([entries_of(self.K.project(one)) for one in matrices_of(A)])

    def refine(self, S):
        """Let a hull know the second moments, up to a factor, given by their entries (n_time, 3)."""
        if isinstance(self.K, _Hull):
            for one in matrices_of(S):
                self.K.refine(one)

    def moments(self, rho, m):
        """S_k = int m m^T / rho dx, (n_time, 2, 2); infinite where mass moves without density."""
        with np.errstate(divide="ignore"):
            v = np.divide(m, rho, out=np.zeros_like(m), where=m != 0)
        return np.einsum("atxy,btxy->tab", v, m) * self.grid.cell

    def action(self, S):
        if not np.isfinite(S).all():
            return np.inf
        return float(np.mean([self.gauge.value(one) for one in S]))

    def residue(self, rho, m):
        """At least the Euclidean norm of a correction that makes (rho, m) solve the continuity equation exactly.

        The residual of a solution is rounding, and so is its own rounding, eps times the sizes of its parts.
        """
        grid = self.grid
        g = grid.ends(self.rho0, self.rho1)
        ends, parts = np.linalg.norm(g), 2 * np.linalg.norm(rho) / grid.dt
        parts += sum(np.linalg.norm(part) / step for part, step in zip(m, grid.h, strict=True))
        error = (DENSITY + rounding(2)) * ends + rounding(4) * parts
        return grid.stability * (np.linalg.norm(grid.residual(rho, m, g)) + error)

    def certified(self, rho, m):
        """U: at least the least action, from a near solution of the continuity equation; infinite unless rho > 0.

        The corrected density is at least (1 - residue / min rho) rho, and the correction of the momentum adds to the
        root of the action, a norm of m / sqrt(rho).
        """
        if self.equal:
            return 0.0
        residue, least, S = self.residue(rho, m), rho.min(), self.moments(rho, m)
        if not (residue < 0.5 * least and np.isfinite(S).all()):
            return np.inf
        share = residue / least
        action = np.mean([gauge_upper(self.gauge, one, terms=rho[0].size + 8) for one in S]) * (1 + rounding(len(S)))
        moved = self.unit * self.grid.cell * self.grid.dt * residue * share
        return float((np.sqrt(action) + np.sqrt(moved)) ** 2 / (1 - share) * (1 + 8 * EPS))

    def upper(self, rho, m):
        """(U, sharp, (rho, m)): a near solution of the continuity equation with rho > 0; sharp: its action."""
        grid, safe = self.grid, self.safe
        rho, m = grid.weighted_project(rho, m, grid.ends(self.rho0, self.rho1))
        bad = rho <= 0
        least = (rho[bad] / (rho[bad] - safe[0][bad])).max() if bad.any() else 0.0
        best, pair = np.inf, safe
        for more in MIXED:
            share = least + (1 - least) * more
            trial = (1 - share) * rho + share * safe[0], (1 - share) * m + share * safe[1]
            value = self.certified(*trial)
            if np.isfinite(best) and value >= best:  # the action is convex along the segment
                break
            if value < best:
                best, pair = value, trial
        return best, self.action(self.moments(*pair)), pair

    def feasible_value(self, phi, Q):
        """L: the value of potentials phi and metrics Q after shifting each interval by its worst violation.

        On each interval d phi/dt + grad phi^T Q^-1 grad phi / 4 is bounded from above in every cell, the determinant of
        Q from below. Shifting lowers the value by as much as the potential, because the masses are exactly one.
        """
        grid = self.grid
        middle = 0.5 * (phi.max() + phi.min())
        ends = phi[-1] - middle, phi[0] - middle
        size = np.abs(phi - middle).max()
        a, b = grid.A(phi), grid.B(phi - middle)
        slope = [2 * EPS * size / step for step in grid.h]  # rounding of b: of differences of averages over time
        H = _quadratic_upper(Q, b, slope)
        worst = (a + 4 * EPS * np.abs(a) + H).max((1, 2))
        terms = np.concatenate([(grid.cell * self.rho1 * ends[0]).ravel(), (-grid.cell * self.rho0 * ends[1]).ravel()])
        shifts = grid.dt * worst
        error = (DENSITY + rounding(4)) * fsum(np.abs(terms)) + rounding(4) * fsum(np.abs(shifts))
        value = fsum(terms) - fsum(shifts) - error
        return value / max(metric_size(self.gauge, one) for one in Q) * (1 - 4 * EPS) if value > 0 else value

    def lower(self, phi, Q):
        """(L, sharp, phi, Q): a potential and metrics that satisfy the constraint in every cell, and their value."""
        grid = self.grid
        a, b = grid.A(phi), grid.B(phi)
        value = grid.cell * (np.vdot(self.rho1, phi[-1]) - np.vdot(self.rho0, phi[0]))
        best = (-np.inf, phi, Q)
        for share in INTERIOR:
            mixed = (1 - share) * Q + share * self.interior
            H = 0.25 * np.einsum("atxy,tab,btxy->txy", b, np.linalg.inv(mixed), b)

            def worst(size, H=H):
                return (size * a + size * size * H).max((1, 2))

            def loss(size, worst=worst):
                return grid.dt * worst(size).sum() - size * value

            size = fminbound(loss, *SIZES, xtol=SIZE_ACCURACY)
            if -loss(size) <= best[0]:  # the bound is concave in (size, share): it only falls from here
                break
            shift = grid.dt * np.append(0.0, np.cumsum(worst(size)))
            best = (-loss(size), size * phi - shift[:, None, None], mixed)
        return self.feasible_value(*best[1:]), *best

    def atoms_lower(self, phi, Q):
        """A lower bound of W^2 between atoms at cell centres: potentials made feasible by Hopf-Lax.  [Thm 3.3]

        phi(1, y) - phi(0, x) <= (y - x)^T Q (y - x) for one Q in K, here for the last potential.
        """
        grid, (lam, U) = self.grid, np.linalg.eigh(Q)
        L = U * np.sqrt(np.maximum(lam, 0))
        images = (np.indices(grid.shape).reshape(2, -1).T * grid.h) @ L
        first = -c_transform(images, images, phi.ravel())
        last = c_transform(images, images, -first)
        sides = np.multiply(grid.shape, grid.h)
        error = 16 * EPS * (2 * Q.diagonal() @ sides**2 + np.abs(first).max() + np.abs(last).max())
        terms = grid.cell * np.concatenate([self.rho1.ravel() * last, -self.rho0.ravel() * first])
        error += (DENSITY + rounding(4)) * fsum(np.abs(terms))
        return max((fsum(terms) - error) / metric_size(self.gauge, L @ L.T) * (1 - 4 * EPS), 0.0)

    def cells_upper(self, m):
        """An upper bound of W^2 between densities constant on cells: gamma of the mean moment of one exact curve.

        Fluxes are linear across each cell and constant on each interval; the density is linear in time between the
        nodes, so that the mean of 1/rho is 1 over the logarithmic mean. gamma of the time average bounds W^2 because
        W^2 is a maximum over constant metrics.  [Thm 3.3, 4.2]
        The fluxes are m; densities at nodes may need more of the solution ``safe``.
        """
        if self.equal:
            return 0.0
        safe = self.safe[1]
        nodes, safe_nodes = self._node_densities(m), self._node_densities(safe)
        bad = nodes[1:-1] <= 0
        least = (nodes[1:-1][bad] / (nodes - safe_nodes)[1:-1][bad]).max() if bad.any() else 0.0
        shares = least + (1 - least) * MIXED_CELLS
        return min(self._exact_cost((1 - s) * nodes + s * safe_nodes, (1 - s) * m + s * safe) for s in shares)

    def _node_densities(self, m):
        """Those that the fluxes leave at the nodes, and at the last one rho1, which they reach up to rounding."""
        nodes = np.concatenate([self.rho0[None], self.rho0 - self.grid.dt * np.cumsum(self.grid.outflow(m), 0)])
        nodes[-1] = self.rho1
        return nodes

    def _exact_cost(self, nodes, m):
        """An upper bound of W^2 from fluxes m: tau, which bounds the error of the nodes, is added to all densities.

        That moves the ends by at most the mass tau |domain|, and what the fluxes fail to bring to rho1 moves too: at
        most the diameter each.
        """
        if (nodes < 0).any() or (nodes[1:-1] <= 0).any():
            return np.inf
        S = self._exact_moment(nodes, m)
        return moment_upper(self.gauge, S, m.size + 16, self._end_error(m)) if np.isfinite(S).all() else np.inf

    def _exact_moment(self, nodes, m):
        """The integral over time of int m m^T / rho dx along the curve."""
        grid = self.grid
        F = [grid.fluxes(m, axis) for axis in (0, 1)]
        cells = [0.5 * _sum(f, 1 + axis) for axis, f in enumerate(F)]
        steps = [np.diff(f, axis=1 + axis) for axis, f in enumerate(F)]
        inverse = _inverse_logarithmic_mean(nodes[:-1], nodes[1:])
        S = np.einsum("txy,atxy,btxy->ab", inverse, cells, cells)
        S[np.diag_indices(2)] += [(inverse * step**2).sum() / 12 for step in steps]
        return S * (grid.cell * grid.dt)

    def _end_error(self, m):
        """At least what moving the ends may cost, a distance."""
        grid = self.grid
        missed = np.abs(self.rho0 - self.rho1 - grid.dt * self.grid.outflow(m).sum(0))
        moved = self.rho0 + self.rho1 + grid.dt * self.grid.outflow(np.abs(m), _sum).sum(0)
        error = (DENSITY + rounding(grid.n_time + 12)) * moved
        tau = (missed + error).max()
        sides = np.multiply(grid.shape, grid.h)
        mass = grid.cell * (2 * tau * missed.size + 0.5 * (missed + error).sum()) * (1 + rounding(missed.size))
        # three distances, of masses that add up to ``mass``
        return np.sqrt(3 * self.unit * (sides @ sides) * mass) * (1 + gauge_error(2))


def _sum(F, axis):
    """F[i + 1] + F[i] along an axis."""
    F = np.moveaxis(F, axis, 0)
    return np.moveaxis(F[1:] + F[:-1], 0, axis)


def _quadratic_upper(Q, b, slope):
    """At least b^T Q^-1 b / 4, (n_time, nx, ny), for metrics Q (n_time, 2, 2) and gradients b (2, n_time, nx, ny).

    ``slope`` (2,) bounds the absolute error of b; its relative error is 4 eps.
    """
    q11, q12, q22 = (Q[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    determinant = q11 * q22 - q12 * q12 - 4 * EPS * q11 * q22

    def quadratic(x, y, cross):
        return q22 * x * x + q11 * y * y + cross

    x, y = np.abs(b)
    value = quadratic(x, y, -2 * q12 * b[0] * b[1]) + 16 * EPS * quadratic(x, y, 2 * np.abs(q12) * x * y)
    error = quadratic(*slope, cross=2 * np.abs(q12) * slope[0] * slope[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        H = (np.sqrt(np.maximum(value, 0)) + np.sqrt(error)) ** 2 / (4 * determinant) * (1 + 8 * EPS)
    return np.where(determinant > 0, H, np.inf)


def _inverse_logarithmic_mean(a, b):
    """log(b/a) / (b - a) for a, b >= 0, to a few eps: the mean of 1/x between them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (b - a) / (a + b)
        ratio = np.where(np.abs(x) < SERIES, 1 + x * x / 3, np.arctanh(x) / x)
        return np.where(np.abs(x) < 0.5, 2 * ratio / (a + b), np.log(b / a) / (b - a))


class _Hull:
    """The hull of the supports met so far, in place of K: for a gauge that has no projection of its own."""

    def __init__(self, gauge, first):
        self.gauge, self.atoms = gauge, first[None]

    def refine(self, S):
        """Add the support of S if the hull underestimates its gauge by more than ``UNSEEN``."""
        value = self.gauge.value(S)
        if value > (1 + UNSEEN) * np.tensordot(self.atoms, S, 2).max():
            self.atoms = np.concatenate([self.atoms, attained(self.gauge, S, value)[0][None]])

    def project(self, A):
        """min |sum_j theta_j Q_j - A| over weights: least squares with a heavy row that makes their sum one."""
        rows = np.column_stack([self.atoms.reshape(len(self.atoms), -1), np.full(len(self.atoms), HEAVY)])
        theta = nnls(rows.T, np.append(A.ravel(), HEAVY))[0]
        return np.tensordot(theta / theta.sum(), self.atoms, 1)


def interior(gauge):
    """A positive definite element of K: the mean of supports, added until no direction is missing."""
    atoms = [attained(gauge, np.eye(2))[0]]
    for _ in range(2):
        u = np.linalg.eigh(np.mean(atoms, 0))[1][:, 0]
        atoms.append(attained(gauge, np.outer(u, u))[0])
    return np.mean(atoms, 0)


def entries_of(Q):
    """Entries 11, 12, 22 of symmetric matrices (..., 2, 2)."""
    return Q[..., [0, 0, 1], [0, 1, 1]]


def matrices_of(q):
    return q[..., [0, 1, 1, 2]].reshape(*q.shape[:-1], 2, 2)
