"""Poincare constants of exp(-|x|^r) in the plane for Schatten gauges, by polynomials and by finite elements.

With G_u = int grad u grad u^T dbeta the spectral Dirichlet energy is E_p(u) = |G_u^(1/2)|^2, in the Schatten norm of
exponent q = 2p/(2p - 1), which is the least <Q^-1, G_u> over K. So the constant min E_p(u) / Var(u) is the least, over
Q in K, of the spectral gap of int grad u.Q^-1 grad u dbeta; by symmetry Q is diagonal. A finite space of functions
gives upper bounds, up to quadrature and to the radius where the plane is cut. Not in the paper's first version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar
from scipy.sparse.linalg import eigsh

from .._validation import check_count, check_positive
from ..gauges import Gauge, Schatten

TAIL = 30.0  # the plane is cut where exp(-|x|^r) = exp(-TAIL)
RADIAL = 160  # nodes of the quadrature for polynomials, by Gauss and Legendre; twice the degree and 8 angles
THIN = 1e-9  # least second entry of Q, in place of zero: functions of one coordinate only
SHIFT = -0.1  # of the inverse iteration: below all eigenvalues, near the smallest


@dataclass(frozen=True, eq=False)
class Space:
    """Functions on the plane: ``mass`` (k, k), int u v, and matrices int d_a u d_b v: ``xx``, ``xy``, ``yy``."""

    mass: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    def gap(self, q: Sequence[float]) -> float:
        """The spectral gap of int (d_1 u)^2 / q_1 + (d_2 u)^2 / q_2, a float, for q (2,) positive."""
        K = self.xx / q[0] + self.yy / q[1]
        if sp.issparse(K):
            start = np.random.default_rng(0).standard_normal(K.shape[0])
            return float(np.sort(eigsh(sp.csc_array(K), 3, sp.csc_array(self.mass), sigma=SHIFT, v0=start)[0])[1])
        return float(scipy.linalg.eigh(K, self.mass, eigvals_only=True, subset_by_index=[0, 1])[1])

    def constant(self, p: float) -> tuple[float, float]:
        """(kappa, q_1) for Schatten p: min E_p(u) / Var(u), and a minimising Q = diag(q_1, q_2), q_1 >= q_2."""
        if p == 1:
            return self.gap((1.0, 1.0)), 1.0
        dual = Schatten(p).conjugate
        found = minimize_scalar(
            lambda q: self.gap((q, (1 - q**dual) ** (1 / dual))),
            bounds=(0.5 ** (1 / dual), 1 - THIN), method="bounded", options={"xatol": THIN},
        )  # fmt: skip
        return float(found.fun), float(found.x)

    def gradients(self, u: np.ndarray) -> np.ndarray:
        """G_u (2, 2) of a function u (k,)."""
        xx, xy, yy = (u @ (D @ u) for D in (self.xx, self.xy, self.yy))
        return np.array([[xx, xy], [xy, yy]])

    @cached_property
    def _inverse(self):
        return np.linalg.inv(self.mass)

    def decay(self, u: np.ndarray, gauge: Gauge, times: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """(Var(u_t), E(u_t)) at ``times``, for du/dt = div(P grad u) from u (k,).

        P is the multiplier of G_u for ``gauge``.
        To second order in the density 1 + u this is the flow of KL(. | beta), so KL = Var/2 and dKL/dt = -E.
        """

        def field(_, u):
            P = gauge.measure_multiplier(self.gradients(u))
            K = P[0, 0] * self.xx + P[0, 1] * (self.xy + self.xy.T) + P[1, 1] * self.yy
            return -self._inverse @ (K @ u)

        us = solve_ivp(field, (0, times[-1]), u, "LSODA", t_eval=times, rtol=1e-8, atol=1e-12).y.T
        moments = [self.gradients(u) for u in us]
        energies = [np.vdot(gauge.measure_multiplier(G), G) for G in moments]
        return np.array([u @ (self.mass @ u) for u in us]), np.array(energies)


def polynomials(r: float, degree: int = 12) -> Space:
    """The ``Space`` of polynomials up to ``degree``, orthonormal for exp(-|x|^r), in the order 1, x, y, xx, xy, ...

    Each is an earlier one times x or y, made orthogonal to all earlier ones (Arnoldi); derivatives go along.
    """
    check_count("degree", degree)
    x, y, w = _disc(check_positive("r", r), 2 * degree + 8)
    size = (degree + 1) * (degree + 2) // 2
    f, fx, fy = np.zeros((3, size, len(x)))
    f[0], place, count = 1, {(0, 0): 0}, 1
    for n in range(1, degree + 1):
        for k in range(n + 1):
            by, parent = (x, place[n - 1 - k, k]) if k < n else (y, place[0, n - 1])
            new = np.array([by * f[parent], by * fx[parent], by * fy[parent]])
            new[1 if k < n else 2] += f[parent]
            for _ in range(2):  # twice is enough
                overlap = f[:count] @ (w * new[0])
                new -= [overlap @ g[:count] for g in (f, fx, fy)]
            f[count], fx[count], fy[count] = new / np.sqrt(w @ new[0] ** 2)
            place[n - k, k], count = count, count + 1
    return Space((f * w) @ f.T, (fx * w) @ fx.T, (fx * w) @ fy.T, (fy * w) @ fy.T)


def finite_elements(r: float, refinements: int = 5) -> Space:
    """The ``Space`` of piecewise quadratics for exp(-|x|^r): a disc of 4 triangles, cut in 4 ``refinements`` times."""
    import skfem  # for the book and the tests only

    radius = TAIL ** (1 / check_positive("r", r))
    mesh = skfem.MeshTri.init_circle(check_count("refinements", refinements)).scaled(radius)
    basis = skfem.Basis(mesh, skfem.ElementTriP2(), intorder=6)

    def matrix(a, b):
        def form(u, v, at):
            left, right = (f if k is None else f.grad[k] for f, k in ((u, a), (v, b)))
            return left * right * np.exp(-(np.hypot(*at.x) ** r))

        return skfem.BilinearForm(form).assemble(basis)

    mass = matrix(None, None)
    return Space(*(A / mass.sum() for A in (mass, matrix(0, 0), matrix(0, 1), matrix(1, 1))))


def _disc(r, angles):
    """(x, y, weights): a quadrature for the probability measure proportional to exp(-|x|^r)."""
    radius = TAIL ** (1 / r)
    nodes, weights = np.polynomial.legendre.leggauss(RADIAL)
    rho = (nodes + 1) * radius / 2
    weights = np.repeat(weights * rho * np.exp(-(rho**r)), angles)
    angle = 2 * np.pi * np.arange(angles) / angles
    x, y = (np.outer(rho, f(angle)).ravel() for f in (np.cos, np.sin))
    return x, y, weights / weights.sum()
