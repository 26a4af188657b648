"""Compiled loops of the simplex and of energies: plain arrays, no callables; no fastmath where a proof needs them."""

import numpy as np

from ._njit import njit

BITS = 61  # of the lower limb of a mass: see ``_masses``


@njit(cache=True)
def _add(masses, v, high, low):
    """masses[:, v] += (high, low), in two limbs."""
    low += masses[1, v]
    carry = low >> BITS
    masses[1, v] = low - (carry << BITS)
    masses[0, v] += high + carry


@njit(cache=True)
def sums_of(masses, bounds):
    """(2, k): the sums of masses (2, n), in limbs, from bounds[l] to before bounds[l + 1]."""
    sums = np.zeros((2, len(bounds) - 1), np.int64)
    for l in range(sums.shape[1]):
        for v in range(bounds[l], bounds[l + 1]):
            _add(sums, l, masses[0, v], masses[1, v])
    return sums


@njit(cache=True)
def staircase(a, b):
    """The monotone plan of sorted points with masses a (2, n), b (2, m), of equal sum: (rows, columns, masses).

    Masses are whole numbers in two limbs. The n + m - 1 cells form a path; some may be empty.
    """
    n, m = a.shape[1], b.shape[1]
    rows, columns = np.empty(n + m - 1, np.int64), np.empty(n + m - 1, np.int64)
    masses = np.empty((2, n + m - 1), np.int64)
    left, right = a.copy(), b.copy()
    i, j = 0, 0
    for k in range(n + m - 1):
        first = left[0, i] < right[0, j] or (left[0, i] == right[0, j] and left[1, i] <= right[1, j])
        high, low = (left[0, i], left[1, i]) if first else (right[0, j], right[1, j])
        rows[k], columns[k], masses[0, k], masses[1, k] = i, j, high, low
        _add(left, i, -high, -low)
        _add(right, j, -high, -low)
        if j == m - 1 or (i < n - 1 and first):
            i = min(i + 1, n - 1)
        else:
            j += 1
    return rows, columns, masses


@njit(cache=True)
def path_potentials(x, y, rows, columns):
    """(f, g) with f_i + g_j = (x_i - y_j)^2 on the path of ``staircase``, for sorted x (n,), y (m,).

    That makes them feasible everywhere, up to rounding, because the cost is a Monge array.
    """
    f, g = np.zeros(len(x)), np.empty(len(y))
    g[0] = (x[0] - y[0]) ** 2
    for k in range(1, len(rows)):
        i, j = rows[k], columns[k]
        if i > rows[k - 1]:
            f[i] = (x[i] - y[j]) ** 2 - g[j]
        else:
            g[j] = (x[i] - y[j]) ** 2 - f[i]
    return f, g


@njit(cache=True)
def carried(path, parent, need):
    """need summed over the subtree of each node of ``path``, which lists parents first; ``need`` is used up."""
    for k in range(len(path) - 1, -1, -1):
        need[parent[path[k]]] += need[path[k]]
    return need[path]


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
                share = b[j] / (root * (root + length))  # one division instead of two
                total -= share * root * r2[j]
                slope[j] = share * (root + length)
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
