"""The attention energy, re-exported by ``swref.energies``. Numba is imported on first use."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._session import silent
from .._validation import as_array, check_count, no_nan
from .base import Checked


class Attention(Checked):
    """F(mu) = 1/(2N) sum_s |H_mu(z_s) - y_s|^2, H_mu = int phi(., x) dmu(x): an average of attention heads.  [Fig. 4]

    A head x = (Q, K, V, O), each (head_dim, d_T), acts on a sequence z of m tokens, the rows z_j in R^{d_T}, by
    phi(z, x)_j = O^T sum_i softmax_i(<Q z_j, K z_i> / sqrt(head_dim)) V z_i. The squares are summed over the m tokens
    and the d_T coordinates of a sequence, and averaged over the N sequences only.

    tokens, targets: (N, m, d_T). Heads are the rows of x (n, d), d = 4 head_dim d_T: Q, K, V, O in this order, each
    flattened row by row (``split`` undoes it). ``weights`` (n,) sum to one, None means 1/n. Time O(N n m^2 head_dim),
    memory O(n m^2), float64. Logits are shifted by their maximum: large ones do not overflow.

    A result beyond the range of float64 is inf, never NaN. Raises ValueError for malformed input.
    """

    def __init__(self, tokens: ArrayLike, targets: ArrayLike, head_dim: int):
        self.tokens = as_array("tokens", tokens, 3)
        self.targets = as_array("targets", targets, 3, self.tokens.shape)
        self.head_dim = check_count("head_dim", head_dim)
        self.dimension = 4 * self.head_dim * self.tokens.shape[2]

    def __repr__(self):
        N, m, d_T = self.tokens.shape
        return f"Attention(N={N}, m={m}, d_T={d_T}, head_dim={self.head_dim})"

    def split(self, x: ArrayLike) -> tuple[np.ndarray, ...]:
        """(Q, K, V, O), each (n, head_dim, d_T), of the heads x (n, d)."""
        x = self._particles(x, None)[0]
        return tuple(x.reshape(len(x), 4, self.head_dim, -1).swapaxes(0, 1))

    @silent
    def predict(self, x: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
        """H_mu(z_s), (N, m, d_T), for heads x (n, d)."""
        x, weights = self._particles(x, weights)
        Q, K, V, weighted_O = self._parameters(x, weights)[:4]
        return no_nan(np.array([_output(u, weighted_O) for *_, u in self._sequences(Q, K, V)]))

    @silent
    def value(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        """F(mu), a float."""
        residual = self.predict(x, weights) - self.targets
        return float(no_nan((residual**2).sum() / (2 * len(residual))))

    @silent
    def value_and_force(self, x: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, np.ndarray]:
        """(value, force) for the price of the force: the value is met on the way."""
        from .kernels import attention_gradient

        x, weights = self._particles(x, weights)
        Q, K, V, weighted_O, O = self._parameters(x, weights)
        gradient = np.zeros((4, *Q.shape))
        dq, dk, dv = np.empty((3, self.head_dim, self.tokens.shape[1], len(x)))
        total = 0.0
        for z, y, (P, q, k, v, u) in zip(self.tokens, self.targets, self._sequences(Q, K, V), strict=True):
            residual = _output(u, weighted_O) - y
            total += (residual**2).sum()
            attention_gradient(P, q, k, v, u, residual @ O, dq, dk, dv)
            for part, (left, right) in zip(gradient, ((z, dq), (z, dk), (z, dv), (residual, u)), strict=True):
                part += left.T @ right
        gradient[0] /= np.sqrt(self.head_dim)  # the logits were scaled in Q
        force = gradient.reshape(-1, len(x)).T / len(self.tokens)
        return float(no_nan(total / (2 * len(self.tokens)))), no_nan(np.ascontiguousarray(force))

    @silent
    def effective_tokens(self, x: ArrayLike, weights: ArrayLike | None = None) -> float:
        """N_eff = (sum_i P_ji^2)^(-1), between 1 and m: how many tokens a row attends to.

        Averaged over the m rows j, the N sequences, and the heads with their weights.
        """
        x, weights = self._particles(x, weights)
        Q, K, V = self._parameters(x, weights)[:3]
        counts = [(1 / np.einsum("jih,jih->jh", P, P)).mean(0) for P, *_ in self._sequences(Q, K, V)]
        return float(no_nan(np.mean(counts, axis=0) @ weights))

    def _parameters(self, x, weights):
        """Q / sqrt(head_dim), K, V, weights * O and O, each (head_dim, d_T, n): the kernels want heads last."""
        Q, K, V, O = np.ascontiguousarray(x.T).reshape(4, self.head_dim, -1, len(x))
        return Q / np.sqrt(self.head_dim), K, V, O * weights, O

    def _sequences(self, Q, K, V):
        """Per sequence (P, q, k, v, u): attention (m, m, n); queries, keys, values, averages (head_dim, m, n).

        The arrays are overwritten by the next sequence: one sequence at a time is what keeps memory at O(n m^2).
        """
        from .kernels import attention_average, attention_logits

        m, n = self.tokens.shape[1], Q.shape[2]
        P, u = np.empty((m, m, n)), np.empty((self.head_dim, m, n))
        for z in self.tokens:
            q, k, v = z @ Q, z @ K, z @ V
            attention_logits(q, k, P)
            np.exp(P, out=P)
            attention_average(P, v, u)
            yield P, q, k, v, u


def _output(u, weighted_O):
    """sum_h w_h O_h^T u_h, (m, d_T), from u (head_dim, m, n) and w O (head_dim, d_T, n)."""
    return (u @ weighted_O.swapaxes(1, 2)).sum(0)
