"""Compiled loops of the energies."""

import numpy as np

from .._njit import njit


# Sums may be reordered here, which lets them run in vector registers: no certificate depends on their last digits.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def kernel_field(x, y, b, length, gaussian, potential, gradient):
    """sum_j b_j (k(x_i, y_j) - k(0, 0)) into potential (n,), and its gradient in x_i into gradient (d, n).

    x (d, n), y (d, m), b (m,), k = exp(-r^2 / (2 length^2)) if ``gaussian``, else -(r^2 + length^2)^(1/2). Coordinates
    at most about one.
    """
    d, n = x.shape
    m = y.shape[1]
    r2, slope = np.empty(m), np.empty(m)
    for i in range(n):
        r2[:] = 0.0
        for k in range(d):
            for j in range(m):
                r2[j] += (x[k, i] - y[k, j]) ** 2
        total = 0.0
        if gaussian:
            for j in range(m):
                t = -0.5 * r2[j] / length / length
                if t > -0.5:  # k - k(0, 0) and k, each to full relative precision
                    drop = np.expm1(t)
                    k_ij = 1.0 + drop
                else:
                    k_ij = np.exp(t)
                    drop = k_ij - 1.0
                total += b[j] * drop
                slope[j] = b[j] * k_ij
        else:
            for j in range(m):
                root = np.sqrt(r2[j] + length**2 + 1e-300)
                share = b[j] / (root * (root + length))  # one division instead of two
                total -= share * root * r2[j]
                slope[j] = share * (root + length)
        potential[i] = total
        for k in range(d):
            pull = 0.0
            for j in range(m):
                pull -= slope[j] * (x[k, i] - y[k, j])
            gradient[k, i] = pull / length / length if gaussian else pull


# Attention of n heads on one sequence of m tokens. Heads are the last axis everywhere, so that every inner loop is a
# plain sum over contiguous memory, which the compiler vectorizes; NumPy's own exp, vectorized too, goes in between.


@njit(cache=True)
def attention_logits(q, k, P):
    """P[j, i] = <q_j, k_i> - max_i' <q_j, k_i'>, for queries and keys (head_dim, m, n) and P (m, m, n)."""
    head_dim, m, n = q.shape
    top = np.empty(n)
    for j in range(m):
        top[:] = -np.inf
        for i in range(m):
            for h in range(n):
                P[j, i, h] = q[0, j, h] * k[0, i, h]
            for c in range(1, head_dim):
                for h in range(n):
                    P[j, i, h] += q[c, j, h] * k[c, i, h]
            for h in range(n):
                top[h] = max(top[h], P[j, i, h])
        for i in range(m):
            for h in range(n):
                P[j, i, h] -= top[h]


@njit(cache=True)
def attention_average(P, v, u):
    """Scale the rows of P (m, m, n) to sum one, and u[:, j] = sum_i P[j, i] v[:, i], for v, u (head_dim, m, n)."""
    head_dim, m, n = v.shape
    total = np.empty(n)
    u[:] = 0
    for j in range(m):
        total[:] = 0
        for i in range(m):
            for h in range(n):
                total[h] += P[j, i, h]
        for h in range(n):
            total[h] = 1 / total[h]
        for i in range(m):
            for h in range(n):
                P[j, i, h] *= total[h]
            for c in range(head_dim):
                for h in range(n):
                    u[c, j, h] += P[j, i, h] * v[c, i, h]


@njit(cache=True)
def attention_gradient(P, q, k, v, u, du, dq, dk, dv):
    """Derivatives (dq, dk, dv) of a loss by queries, keys and values, from its derivative du by the averages u.

    All (head_dim, m, n), and P (m, m, n). The derivative by the logits of row j is P[j, i] <du_j, v_i - u_j>.
    """
    head_dim, m, n = q.shape
    dq[:], dk[:], dv[:] = 0, 0, 0
    mean, dlogit = np.empty(n), np.empty(n)
    for j in range(m):
        mean[:] = 0
        for c in range(head_dim):
            for h in range(n):
                mean[h] += du[c, j, h] * u[c, j, h]
        for i in range(m):
            for h in range(n):
                dlogit[h] = -mean[h]
            for c in range(head_dim):
                for h in range(n):
                    dlogit[h] += du[c, j, h] * v[c, i, h]
                    dv[c, i, h] += P[j, i, h] * du[c, j, h]
            for h in range(n):
                dlogit[h] *= P[j, i, h]
            for c in range(head_dim):
                for h in range(n):
                    dq[c, j, h] += dlogit[h] * k[c, i, h]
                    dk[c, i, h] += dlogit[h] * q[c, j, h]
