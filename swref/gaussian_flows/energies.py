"""Energies of mean and covariance."""

import numpy as np

from .._validation import EPS, as_array, as_psd, as_symmetric, psd_eigh

RANGE_TOLERANCE = 1e-8  # relative: B_rho is the cross-covariance of something with covariance C_rho


class GaussianKL:
    """KL(N(m, S) | N(c, C)) = (tr C^-1 S - d - log det C^-1 S + (m - c).C^-1 (m - c)) / 2.  [Prop. H.9]

    ``target_mean`` c (d,), ``target_cov`` C (d, d) positive definite. Infinite for singular S.
    """

    def __init__(self, target_mean, target_cov):
        self.mean = as_array("target_mean", target_mean, 1)
        cov = as_psd("target_cov", target_cov, len(self.mean))
        self.precision = inverse("target_cov", cov)
        self.root = np.linalg.cholesky(self.precision)  # L L^T = C^-1

    def value(self, m, S):
        relative = np.linalg.eigvalsh(self.root.T @ S @ self.root) - 1
        if relative[0] <= -1:
            return np.inf
        shift = self.root.T @ (m - self.mean)
        return float((relative - np.log1p(relative)).sum() + shift @ shift) / 2

    def gradient(self, m, S):
        scale, lam, U = psd_eigh("S", S)
        inverse = (U / (lam * scale)) @ U.T if lam[-1] > 0 else np.full_like(S, np.inf)
        return self.precision @ (m - self.mean), (self.precision - inverse) / 2


class LinearNetwork:
    """E|M z - y|^2 / 2, less its minimum, for the linear two-layer network M = E[u v^T], (u, v) ~ N(m, S).  [App. F]

    ``C_rho`` (l, l) = E[z z^T], ``B_rho`` (k, l) = E[y z^T], so u in R^k and v in R^l. In formulas
    <(M - M*) C, M - M*> / 2 with M* C = B. ValueError when there is no such M*: then B is no cross-covariance of C.
    """

    def __init__(self, C_rho, B_rho):
        self.B = as_array("B_rho", B_rho, 2)
        self.C = as_psd("C_rho", C_rho, self.B.shape[1])
        self.best = self.B @ np.linalg.pinv(self.C, hermitian=True)
        if np.abs(self.best @ self.C - self.B).max() > RANGE_TOLERANCE * np.abs(self.B).max():
            raise ValueError("B_rho: its rows must be in the range of C_rho, or the energy has no minimum")

    def predictor(self, m, S):
        """M (k, l), the second moment of u and v."""
        k = len(self.B)
        return S[:k, k:] + np.outer(m[:k], m[k:])

    def value(self, m, S):
        error = self.predictor(m, S) - self.best
        return float(((error @ self.C) * error).sum()) / 2

    def gradient(self, m, S):
        E = (self.predictor(m, S) - self.best) @ self.C
        H = np.block([[np.zeros((len(E), len(E))), E], [E.T, np.zeros((E.shape[1], E.shape[1]))]])
        return H @ m, H / 2


class Quadratic:
    """E[(x - c).A (x - c)] / 2, a quadratic potential: A (d, d) symmetric, ``center`` c (d,), None: the origin."""

    def __init__(self, A, center=None):
        self.A = as_symmetric("A", A)
        self.center = np.zeros(len(self.A)) if center is None else as_array("center", center, 1, (len(self.A),))

    def value(self, m, S):
        shift = m - self.center
        return float((self.A * S).sum() + shift @ self.A @ shift) / 2

    def gradient(self, m, S):
        return self.A @ (m - self.center), self.A / 2


def inverse(name, S):
    """The inverse of a positive definite S, or a ValueError that names it."""
    scale, lam, U = psd_eigh(name, S)
    if not lam[-1] > len(lam) * EPS * lam[0]:
        raise ValueError(f"{name}: must be positive definite, got eigenvalue {lam[-1] * scale:.3g}")
    return (U / (lam * scale)) @ U.T
