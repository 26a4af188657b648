"""Gaussians: Newton on the metric, with barriers for K and for correlations of norm at most one.

    max_{Q in K} <Q, S0 + S1 + D D^T> - 2 |F1^T Q F0|_*;   dual: min gamma(moment(C)) over |C| <= 1, K = F0 C^T F1^T.

A barrier mu log det(I - C^T C) turns 2 sigma into a smooth function of the singular values of F1^T Q F0 = U sigma V^T,
with the feasible C = U c(sigma) V^T. Its second derivative acts by four products of matrices (Daleckii and Krein), so
Newton's equation is solved by conjugate gradients, in coordinates where the part of K is the identity.
"""

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from .._validation import symmetrize
from .body import side_of

SHRINK = 0.1  # of mu, once Newton's step gains less than mu per dimension
PRODUCTS, RESIDUAL = 400, 1e-2  # of conjugate gradients: at most, and to what norm, relative
STAY = 20  # Newton steps with one mu; more get nowhere
SHORTEST = 1e-6  # step; shorter ones get nowhere
ARMIJO, FLAT = 1e-4, 1e-12  # part of the predicted gain that a step must have, up to rounding of the objective
BACK = 0.95  # of the way to the boundary


def gaussian_steps(oracle, gauge, body, solution, tol):
    """Newton steps as the engine's expert, from the middle of K and with a large mu: elsewhere they would stay short.

    For p = 2, p = inf and Ky Fan; for other p the engine was the faster.
    """
    if body.exponent not in (1, 2):
        return
    d, curve = oracle.dimension, _Smoothing(oracle)
    Q, mu = body.size * d ** (-1 / body.exponent) * np.eye(d), 0.5 * solution.upper / d
    at = curve.at(Q, mu)
    side = side_of(body, Q, at.moment, mu)
    stayed = 0
    while stayed < STAY and mu > np.finfo(float).eps * tol * solution.upper:
        side.scale(at.moment)
        R, normal, rest = side.ascent(at.moment, mu)
        dQ, dt = _newton(side, at, R, normal, rest)
        change = side.change(dQ)
        ap, ad = (min(1.0, BACK * step) for step in side.lengths(change))
        gain = float(np.vdot(R, dQ))
        ad = _search(curve, side, at, dQ, ad, gain, mu)
        if ad is None:
            return
        side.move(ap, ad, dQ, dt, change)
        if (inside := side.trial(side.Q)) is None:
            return
        side.Q = inside[0]
        stayed += 1
        if gain < mu * len(Q):
            mu, stayed = SHRINK * mu, 0
        at = curve.at(side.Q, mu)
        Q = side.inside()
        yield Q, (oracle.evaluate(Q)[0], at.moment, curve.correlation(at))


def _search(curve, side, at, dQ, step, gain, mu):
    """The first of ``step``, step/2, ... that raises the smoothed objective as it should, or None."""
    start = at.value + mu * side.trial(side.Q)[1]
    while step > SHORTEST:
        trial = side.trial(symmetrize(side.Q + step * dQ))
        if trial is not None:
            change = curve.at(trial[0], mu).value + mu * trial[1] - start
            if change >= ARMIJO * step * gain - FLAT * abs(start):
                return step
        step /= 2
    return None


class _At:
    """The smoothed objective at one Q: its value, and the moment, which is its gradient."""

    def __init__(self, F0, F1, shift, Q, mu):
        self.U, self.s, self.Vt = np.linalg.svd(F1.T @ Q @ F0)
        root = np.hypot(mu, 2 * self.s)
        self.c, self.rest, self.mu = 2 * self.s / (mu + root), 2 * mu / (mu + root), mu  # rest = 1 - c^2
        self.P, self.R = F1 @ self.U, F0 @ self.Vt.T
        steps = np.column_stack([self.P * self.c - self.R, self.P * np.sqrt(self.rest), shift])
        self.moment = steps @ steps.T
        self.value = float(np.vdot(Q, self.moment) - mu * np.log(self.rest).sum())

    def hessian(self, V):
        """Y -> minus the second derivative along V Y V^T, in the coordinates V."""
        s, c, slope = self.s, self.c, self.rest**2 / (self.mu * (1 + self.c**2))
        gap, total = s[:, None] - s, s[:, None] + s
        near = np.abs(gap) <= 1e-6 * total
        even = np.where(near, 0.5 * (slope[:, None] + slope), (c[:, None] - c) / np.where(near, 1, gap))
        ratio = 2 / (self.mu + np.hypot(self.mu, 2 * s))  # c/s
        odd = np.where(total > 0, (c[:, None] + c) / np.where(total > 0, total, 1), ratio)
        P, R = V.T @ self.P, V.T @ self.R

        def product(Y):
            B = P.T @ Y @ R
            T = P @ (0.5 * (even * (B + B.T) + odd * (B - B.T))) @ R.T
            return T + T.T

        return product


class _Smoothing:
    """The smoothed objective between the Gaussians of an oracle; the thinner factor is padded by zero columns."""

    def __init__(self, oracle):
        self.ranks = oracle.F0.shape[1], oracle.F1.shape[1]
        self.size, self.shift = max(self.ranks), oracle.shift
        self.F0, self.F1 = (np.pad(F, ((0, 0), (0, self.size - F.shape[1]))) for F in (oracle.F0, oracle.F1))

    def at(self, Q, mu):
        return _At(self.F0, self.F1, self.shift, Q, mu)

    def correlation(self, at):
        """(C, T): the correlation of the two standard normals, and T T^T = I - C C^T."""
        first, second = self.ranks
        return ((at.U * at.c) @ at.Vt)[:second, :first], (at.U * np.sqrt(at.rest))[:second]


def _newton(side, at, R, normal, rest):
    """(dQ, dt) with H dQ + (the side's part) + dt normal = R, <normal, dQ> = rest, by projected conjugate gradients."""
    root, hessian, V = np.sqrt(side.D), at.hessian(side.V), side.V

    def product(X):
        return hessian(X / root) / root + X

    normal, right = (V.T @ normal @ V) / root, (V.T @ R @ V) / root
    size = np.vdot(normal, normal)

    def project(X):
        return X - normal * (np.vdot(normal, X) / size)

    start = normal * (rest / size)
    b, shape = project(right - product(start)).ravel(), start.shape
    make: Any = LinearOperator  # it has two signatures
    operator = make((len(b), len(b)), lambda v: project(product(v.reshape(shape))).ravel(), dtype=np.float64)
    X = start + cg(operator, b, rtol=RESIDUAL, maxiter=PRODUCTS)[0].reshape(shape)
    dt = np.vdot(normal, right - product(X)) / size
    return V @ (X / root) @ V.T, dt
