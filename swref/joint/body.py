"""The side of K: what the interior point needs of the body K = {0 <= Q <= cap I, |Q|_{S_r} <= size} of a gauge.

A side holds a metric Q and the multipliers of K. ``scale`` finds V (d, d) and D (d, d) > 0 such that, for dQ = V Y V^T,
the linearised multipliers change by minus V^-T (D * Y) V^-1: both Newton systems then see a diagonal matrix.
"""

import numpy as np

from .._validation import symmetrize


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
        self.Z = [mu * np.linalg.inv(P) for P in self._primal()]
        rest = -self._multiplier(M)
        self.t = -(np.trace(rest) / d if len(self.Z) == 2 else np.linalg.eigvalsh(rest)[0])
        lam, U = np.linalg.eigh(self.t * np.eye(d) + rest)
        for sign, k in zip(self.signs, range(2), strict=False):
            self.Z[k] = self.Z[k] + (U * np.maximum(sign * lam, 0)) @ U.T
        self.count = d * len(self.Z)

    def _primal(self):
        return [self.Q, self.cap * np.eye(len(self.Q)) - self.Q][: len(self.signs)]

    def _multiplier(self, M):
        return M + sum(sign * Z for sign, Z in zip(self.signs, self.Z, strict=True))

    def scale(self):
        self.pairs = [Pairing(P, Z) for P, Z in zip(self._primal(), self.Z, strict=True)]
        self.gap = sum(float((p.lam**2).sum()) for p in self.pairs)
        self.V, self.D = self.pairs[0].F, np.ones_like(self.Q)
        if len(self.pairs) == 2:
            _, s, Vt = np.linalg.svd(self.pairs[1].inverse @ self.V)
            self.V, self.D = self.V @ Vt.T, 1 + np.outer(s, s) ** 2
        self.normal = np.eye(len(self.Q))

    def residuals(self, M):
        """What is left of the equation for M (d, d), and of tr Q = size."""
        return self._multiplier(M) - self.t * self.normal, self.size - np.trace(self.Q)

    def pull(self, target, change=None):
        """What the linearised products ask of the equation for M; with the second-order terms of ``change``."""
        crosses = [0.0] * len(self.pairs) if change is None else [symmetrize(u @ v) for u, v in change]
        self.X = [p.pull(target, cross) for p, cross in zip(self.pairs, crosses, strict=True)]
        terms = zip(self.signs, self.pairs, self.X, strict=True)
        return sum(sign * p.inverse.T @ X @ p.inverse for sign, p, X in terms)

    def change(self, dQ):
        """The scaled changes (u, v) of each pair."""
        scaled = [sign * p.inverse @ dQ @ p.inverse.T for sign, p in zip(self.signs, self.pairs, strict=True)]
        return [(u, X - u) for u, X in zip(scaled, self.X, strict=True)]

    def lengths(self, change):
        """The longest steps (of the multipliers, of Q)."""
        return tuple(min(p.longest(c[k]) for p, c in zip(self.pairs, change, strict=True)) for k in (1, 0))

    def gap_after(self, ap, ad, change):
        return sum(
            float(np.vdot(np.diag(p.lam) + ad * u, np.diag(p.lam) + ap * v))
            for p, (u, v) in zip(self.pairs, change, strict=True)
        )

    def move(self, ap, ad, dQ, dt, change):
        self.Q, self.t = symmetrize(self.Q + ad * dQ), self.t + ap * dt
        steps = [p.inverse.T @ v @ p.inverse for p, (_, v) in zip(self.pairs, change, strict=True)]
        self.Z = [symmetrize(Z + ap * step) for Z, step in zip(self.Z, steps, strict=True)]

    def inside(self):
        """A metric of K next to Q."""
        lam, U = np.linalg.eigh(self.Q)
        lam = np.clip(lam, 0, self.cap)
        return (U * (lam * min(1.0, self.size / lam.sum()))) @ U.T


class Smooth:
    """|Q|_{S_r} = size with 1 < r < inf: M = t Q^(r-1), so K needs no barrier. t scales with the gauge."""

    smooth, gap, count = True, 0.0, 0

    def __init__(self, body, Q, M, mu):
        self.r, self.size, self.Q = body.exponent, body.size, Q
        self.t = float(np.vdot(Q, M)) / self.size**self.r

    def scale(self):
        lam, self.V = np.linalg.eigh(self.Q)
        self.lam = lam = np.abs(lam)
        self.powers = lam ** (self.r - 1)
        gap, middle = lam[:, None] - lam, 0.5 * (lam[:, None] + lam)
        near = np.abs(gap) <= 1e-5 * middle
        slope = (self.r - 1) * np.where(near, middle, 1) ** (self.r - 2)
        across = (self.powers[:, None] - self.powers) / np.where(near, 1, gap)
        self.D = self.t * np.where(near, slope, across)
        self.normal = (self.V * self.powers) @ self.V.T

    def residuals(self, M):
        return M - self.t * self.normal, (self.size**self.r - (self.lam**self.r).sum()) / self.r

    def pull(self, target, change=None):
        return np.zeros_like(self.Q)

    def change(self, dQ):
        return dQ

    def lengths(self, dQ):
        if self.r == 2:  # a sphere is smooth without Q > 0
            return np.inf, np.inf
        root = 1 / np.sqrt(self.lam)
        inner = (self.V.T @ dQ @ self.V) * root[:, None] * root
        return np.inf, 1 / max(-np.linalg.eigvalsh(inner)[0], 1e-300)

    def gap_after(self, ap, ad, change):
        return 0.0

    def move(self, ap, ad, dQ, dt, change):
        self.Q, self.t = symmetrize(self.Q + ad * dQ), self.t + ap * dt

    def inside(self):
        lam, U = np.linalg.eigh(self.Q)
        lam = np.maximum(lam, 0)
        norm = lam.max() * ((lam / lam.max()) ** self.r).sum() ** (1 / self.r)
        return (U * (lam * min(1.0, self.size / norm))) @ U.T
