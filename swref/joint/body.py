"""The side of K: what the interior point needs of the body K = {0 <= Q <= cap I, |Q|_{S_r} <= size} of a gauge.

A side holds a metric Q and the multipliers of K. ``scale`` finds V (d, d) and D (d, d) > 0 such that, for dQ = V Y V^T,
the linearised multipliers change by minus V^-T (D * Y) V^-1: both Newton systems then see a diagonal matrix.
"""

import numpy as np

from .._validation import symmetrize

LEAST = 1e-14  # relative: smaller eigenvalues of a moment, and smaller slopes, count as this


def side_of(body, Q, M, mu):
    """The side of ``body``, started at Q for the moment M, with products of Q and multipliers about mu."""
    return (Polyhedral if body.exponent == 1 else Smooth)(body, Q, M, mu)


class Pairing:
    """Nesterov-Todd scaling of a pair Q, Z > 0: F^-1 Q F^-T = F^T Z F = diag(lam)."""

    def __init__(self, Q, Z):
        L, R = np.linalg.cholesky(Q), np.linalg.cholesky(Z)
        U, self.lam, Vt = np.linalg.svd(R.T @ L)
        self.F, self.inverse = (L @ Vt.T) / np.sqrt(self.lam), (U / np.sqrt(self.lam)).T @ R.T

    def pull(self, target, cross):
        """The scaled X with lam o X = target I - lam^2 - ``cross``, o the symmetrized product."""
        right = np.diag(target - self.lam**2) - cross
        return 2 * right / (self.lam[:, None] + self.lam)

    def longest(self, X):
        """The step at which diag(lam) + step X stops being positive definite."""
        r = 1 / np.sqrt(self.lam)
        return 1 / max(-np.linalg.eigvalsh(X * r[:, None] * r)[0], 1e-300)


class Polyhedral:
    """tr Q = size, 0 <= Q, and Q <= cap I if cap is finite: M + Z_1 - Z_2 = t I, Z_1 Q = Z_2 (cap I - Q) = mu I."""

    smooth = False

    def __init__(self, body, Q, M, mu):
        self.size, self.cap, self.Q, d = body.size, body.cap, Q, len(Q)
        self.signs = (1, -1) if np.isfinite(self.cap) else (1,)
        self.Z = [mu * np.linalg.inv(P) for P in self._primal(self.Q)]
        rest = -self._multiplier(M)
        self.t = -(np.trace(rest) / d if len(self.Z) == 2 else np.linalg.eigvalsh(rest)[0])
        lam, U = np.linalg.eigh(self.t * np.eye(d) + rest)
        self.Z = [Z + (U * np.maximum(sign * lam, 0)) @ U.T for sign, Z in zip(self.signs, self.Z, strict=True)]
        self.count = d * len(self.Z)

    def _primal(self, Q):
        return [Q] if len(self.signs) == 1 else [Q, self.cap * np.eye(len(Q)) - Q]

    def _multiplier(self, M):
        return M + sum(sign * Z for sign, Z in zip(self.signs, self.Z, strict=True))

    def scale(self, M):
        """For the moment M: V, D, the normal of tr Q, and what is left of the equation for M and of tr Q = size."""
        self.pairs = [Pairing(P, Z) for P, Z in zip(self._primal(self.Q), self.Z, strict=True)]
        self.gap = sum(float((p.lam**2).sum()) for p in self.pairs)
        self.V, self.D = self.pairs[0].F, np.ones_like(self.Q)
        if len(self.pairs) == 2:
            _, s, Vt = np.linalg.svd(self.pairs[1].inverse @ self.V)
            self.V, self.D = self.V @ Vt.T, 1 + np.outer(s, s) ** 2
        self.normal = np.eye(len(self.Q))
        self.residuals = self._multiplier(M) - self.t * self.normal, self.size - np.trace(self.Q)

    def pull(self, target, change=None):
        """What the linearised products ask of the equation for M; with the second-order terms of ``change``."""
        crosses = [0.0] * len(self.pairs) if change is None else [symmetrize(u @ v) for u, v in change]
        self.X = [p.pull(target, cross) for p, cross in zip(self.pairs, crosses, strict=True)]
        terms = zip(self.signs, self.pairs, self.X, strict=True)
        return sum(sign * p.inverse.T @ X @ p.inverse for sign, p, X in terms)

    def ascent(self, M, mu):
        """(R, normal, rest): R is the gradient along K of <M, .> and its barrier, where <normal, dQ> = rest."""
        return self.residuals[0] + self.pull(mu), self.normal, self.residuals[1]

    def change(self, dQ):
        """The scaled changes (u, v) of each pair."""
        scaled = [sign * p.inverse @ dQ @ p.inverse.T for sign, p in zip(self.signs, self.pairs, strict=True)]
        return [(u, X - u) for u, X in zip(scaled, self.X, strict=True)]

    def lengths(self, change):
        """The longest steps (of the multipliers, of Q)."""
        return tuple(min(p.longest(c[k]) for p, c in zip(self.pairs, change, strict=True)) for k in (1, 0))

    def gap_after(self, ap, ad, change):
        pairs = zip(self.pairs, change, strict=True)
        return float(sum(np.vdot(np.diag(p.lam) + ad * u, np.diag(p.lam) + ap * v) for p, (u, v) in pairs))

    def move(self, ap, ad, dQ, dt, change):
        self.Q, self.t = symmetrize(self.Q + ad * dQ), self.t + ap * dt
        steps = [p.inverse.T @ v @ p.inverse for p, (_, v) in zip(self.pairs, change, strict=True)]
        self.Z = [symmetrize(Z + ap * step) for Z, step in zip(self.Z, steps, strict=True)]

    def trial(self, Q):
        """(Q, log det of it and of cap I - Q), or None outside of K."""
        try:
            roots = [np.linalg.cholesky(P) for P in self._primal(Q)]
        except np.linalg.LinAlgError:
            return None
        return Q, 2 * sum(float(np.log(L.diagonal()).sum()) for L in roots)

    def inside(self):
        """A metric of K next to Q."""
        lam, U = np.linalg.eigh(self.Q)
        lam = np.clip(lam, 0, self.cap)
        return (U * (lam * min(1.0, self.size / lam.sum()))) @ U.T


class Smooth:
    """|Q|_{S_r} = size with 1 < r < inf: Q = (M/t)^(p-1), 1/p + 1/r = 1. The gauge is smooth: K needs no barrier.

    The equation is linearised in M, where it stays regular when p is large and Q all but singular.
    """

    smooth, gap, count = True, 0.0, 0

    def __init__(self, body, Q, M, mu):
        self.r, self.size, self.Q = body.exponent, body.size, Q

    def scale(self, M):
        lam, self.V = np.linalg.eigh(M)
        lam, power = np.maximum(lam, LEAST * lam[-1]), 1 / (self.r - 1)
        self.t = _norm(lam, power + 1) / self.size ** (self.r - 1)
        lam = lam / self.t
        q, gap, middle = lam**power, lam[:, None] - lam, 0.5 * (lam[:, None] + lam)
        near = np.abs(gap) <= 1e-5 * middle
        slope = np.where(near, power * middle ** (power - 1), (q[:, None] - q) / np.where(near, 1, gap))
        self.D = self.t / np.maximum(slope, LEAST * slope.max())
        missing = np.diag(q) - self.V.T @ self.Q @ self.V
        self.normal = (self.V * lam) @ self.V.T
        self.residuals = self.V @ (self.D * missing) @ self.V.T, float(lam @ missing.diagonal())

    def pull(self, target, change=None):
        return np.zeros_like(self.Q)

    def ascent(self, M, mu):
        """As above, along the boundary of K at Q and not at (M/t)^(p-1): far from the solution only that ascends."""
        lam, U = np.linalg.eigh(self.Q)
        return M, (U * np.maximum(lam, 0) ** (self.r - 1)) @ U.T, 0.0

    def change(self, dQ):
        return dQ

    def lengths(self, dQ):
        return np.inf, np.inf

    def gap_after(self, ap, ad, change):
        return 0.0

    def move(self, ap, ad, dQ, dt, change):
        self.Q = symmetrize(self.Q + ad * dQ)

    def trial(self, Q):
        """(Q, scaled to the boundary of K; 0)."""
        lam, U = np.linalg.eigh(Q)
        lam = np.maximum(lam, 0)
        return (U * (lam * (self.size / _norm(lam, self.r)))) @ U.T, 0.0

    def inside(self):
        return self.trial(self.Q)[0]


def _norm(lam, p):
    return lam.max() * ((lam / lam.max()) ** p).sum() ** (1 / p)
