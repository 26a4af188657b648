"""Every compiled loop: plain arrays in and out, no callables. No fastmath where a certificate depends on the result."""

import numpy as np
from numba import njit


@njit(cache=True)
def row_c_transform(C, g):
    """f_i = min_j C_ij - g_j, for C (n, m)."""
    n, m = C.shape
    f = np.empty(n)
    for i in range(n):
        least = C[i, 0] - g[0]
        for j in range(1, m):
            reduced = C[i, j] - g[j]
            if reduced < least:
                least = reduced
        f[i] = least
    return f


@njit(cache=True)
def column_c_transform(C, f):
    """g_j = min_i C_ij - f_i, for C (n, m), reading C row by row."""
    n, m = C.shape
    g = C[0] - f[0]
    for i in range(1, n):
        for j in range(m):
            reduced = C[i, j] - f[i]
            if reduced < g[j]:
                g[j] = reduced
    return g


@njit(cache=True)
def edges_below(C, f, g, threshold):
    """(rows, columns) of the cells with C_ij - f_i - g_j <= threshold, for C (n, m)."""
    n, m = C.shape
    count = 0
    for i in range(n):
        for j in range(m):
            count += C[i, j] - f[i] - g[j] <= threshold
    rows, columns = np.empty(count, np.int64), np.empty(count, np.int64)
    k = 0
    for i in range(n):
        for j in range(m):
            if C[i, j] - f[i] - g[j] <= threshold:
                rows[k], columns[k] = i, j
                k += 1
    return rows, columns


@njit(cache=True)
def plan_entries(P, capacity):
    """(rows, columns, masses) of the nonzero entries of a dense plan P (n, m) that has at most ``capacity``."""
    rows, columns = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    masses = np.empty(capacity)
    k = 0
    for i in range(P.shape[0]):
        for j in range(P.shape[1]):
            if P[i, j] > 0:
                if k == capacity:
                    raise ValueError("plan has more entries than a basic solution can have")
                rows[k], columns[k], masses[k] = i, j, P[i, j]
                k += 1
    return rows[:k].copy(), columns[:k].copy(), masses[:k].copy()


@njit(cache=True)
def staircase(x, a, y, b):
    """The monotone plan of sorted x (n,) and y (m,) for the cost (x - y)^2, with potentials along its path.

    Returns (rows, columns, masses, f, g); f_i + g_j = (x_i - y_j)^2 on the n + m - 1 cells of the path, which makes
    (f, g) feasible everywhere because the cost is a Monge array.
    """
    n, m = len(x), len(y)
    rows, columns = np.empty(n + m - 1, np.int64), np.empty(n + m - 1, np.int64)
    masses = np.empty(n + m - 1)
    f, g = np.empty(n), np.empty(m)
    i, j, f[0] = 0, 0, 0.0
    g[0] = (x[0] - y[0]) ** 2
    left, right = a[0], b[0]
    for k in range(n + m - 1):
        mass = min(left, right)
        rows[k], columns[k], masses[k] = i, j, mass
        left -= mass
        right -= mass
        if j == m - 1 or (i < n - 1 and left <= right):
            if i == n - 1:
                break
            i += 1
            left = a[i]
            f[i] = (x[i] - y[j]) ** 2 - g[j]
        else:
            j += 1
            right = b[j]
            g[j] = (x[i] - y[j]) ** 2 - f[i]
    return rows, columns, masses, f, g


# Sums may be reordered here, which lets them run in vector registers: no certificate depends on their last digits.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def kernel_field(x, y, b, length, gaussian):
    """p_i = sum_j b_j (k(x_i, y_j) - k(0, 0)), (n,), and its gradient in x_i, (d, n), for x (d, n), y (d, m), b (m,).

    k = exp(-r^2 / (2 length^2)) if ``gaussian``, else -(r^2 + length^2)^(1/2). Coordinates at most about one.
    """
    d, n = x.shape
    m = y.shape[1]
    potential, gradient = np.zeros(n), np.zeros((d, n))
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
                total -= b[j] * r2[j] / (root + length)
                slope[j] = b[j] / root
        potential[i] = total
        for k in range(d):
            pull = 0.0
            for j in range(m):
                pull -= slope[j] * (x[k, i] - y[k, j])
            gradient[k, i] = pull / length / length if gaussian else pull
    return potential, gradient


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
