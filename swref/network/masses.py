"""Weights as exact integers, and the coupling with exactly these marginals that is nearest to a rounded plan."""

from math import gcd

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

FINEST = 100  # bits: masses of the network simplex are multiples of 2^-FINEST
BITS = 61  # of the lower of the two limbs that hold them
SPARE = 22  # bits below a unit, for the perturbation that keeps all cells of a tree from being empty
MOST = 2 ** (SPARE - 1) - 1  # points in the first cloud
ROOM = 120  # bits: the least precision in which a plan's own masses are kept


class Masses:
    """Weights a (n,), b (m,) > 0, each divided exactly by its sum: integers over one common ``total``.

    A float is an integer times a power of two, so these are the weights that were given, not their rounded quotients.
    """

    def __init__(self, a, b):
        sources, sinks = _integers(a), _integers(b)
        first, second = sum(sources), sum(sinks)
        common = gcd(first, second)
        self.sources = [w * (second // common) for w in sources]
        self.sinks = [w * (first // common) for w in sinks]
        self.total = first // common * second

    def shares(self):
        """(a (n,), b (m,)): the weights as floats, each rounded once."""
        return tuple(np.array([w / self.total for w in side]) for side in (self.sources, self.sinks))

    def limbs(self):
        """(A (2, n), B (2, m)), int64: whole multiples of 2^-FINEST, at least one each, perturbed; equal sums.

        Weights with a small common denominator are kept exactly, all others are rounded. A unit is 2^SPARE; a source
        has one more than its units, and the first sink n more. So a part of a spanning tree without the first sink is
        never balanced: what its sources have in excess of whole units is their number.
        """
        n = len(self.sources)
        if n > MOST:
            raise ValueError(f"x: expected at most {MOST} points of positive weight, got {n}")
        unit, sides = 2**FINEST // self.total, []
        for side in (self.sources, self.sinks):
            units = {w: w * unit if unit else max((w << FINEST) // self.total, 1) for w in set(side)}
            sides.append([units[w] for w in side])
        A, B = sides
        missing = sum(B) - sum(A)
        short, weights = (A, self.sources) if missing > 0 else (B, self.sinks)
        short[weights.index(max(weights))] += abs(missing)
        A, B = [(u << SPARE) + 1 for u in A], [u << SPARE for u in B]
        B[0] += n
        return tuple(np.array([[w >> BITS for w in side], [w & (2**BITS - 1) for w in side]]) for side in (A, B))

    @staticmethod
    def as_floats(masses):
        """Masses (2, k) in limbs as floats, in units; the perturbation, of less than half a unit, is dropped."""
        high, low = masses
        return high * 2.0 ** (BITS - SPARE) + ((low + 2 ** (SPARE - 1)) >> SPARE)

    def integral(self, f, g):
        """sum_i a_i f_i + sum_j b_j g_j, rounded once; f and g are tuples of arrays (n,), (m,), to be added exactly."""
        terms = [(w, *_exact(part)) for w, parts in ((self.sources, f), (self.sinks, g)) for part in parts]
        least = min(min(exponents) for _, _, exponents in terms)
        total = sum((w * m) << (e - least) for ws, ms, es in terms for w, m, e in zip(ws, ms, es, strict=True) if m)
        return (total << least) / self.total if least > 0 else total / (self.total << -least)

    def coupling(self, rows, columns, masses, order):
        """(rows, columns, masses): an exact coupling near a plan, every mass of it correctly rounded.

        ``rows``, ``columns``, ``masses`` >= 0 (k,): distinct cells of any plan. A spanning forest of its heaviest cells
        is balanced exactly; the other cells keep their masses. Each of them is lighter than the cells of the forest on
        its cycle, so a plan whose masses are right to a relative eps stays nonnegative. What is left of a worse plan is
        scaled down, and the rest coupled along ``order``, the sources (n,) and sinks (m,) in some order.
        """
        n, size = len(self.sources), len(self.sources) + len(self.sinks)
        forest, path, parent = _spanning_forest(rows, n + columns, masses, size)
        loose = np.flatnonzero(~forest)
        shift = max(0, ROOM - self.total.bit_length()) if len(loose) else 0
        total = self.total << shift
        need = np.array([w << shift for w in self.sources] + [-w << shift for w in self.sinks] + [0], dtype=object)
        amounts = np.array([m * total >> -e for m, e in zip(*_exact(masses[loose]), strict=True)], dtype=object)
        np.subtract.at(need, rows[loose], amounts)
        np.add.at(need, n + columns[loose], amounts)
        carried = _carried(path, parent, need, exact_in_float=total < 2**53)
        inner = parent[path] < size
        child, above, upwards = path[inner], parent[path[inner]], carried[inner]
        i, j = np.append(rows[loose], np.minimum(child, above)), np.append(columns[loose], np.maximum(child, above) - n)
        amounts = np.append(amounts.astype(carried.dtype), np.where(child < n, upwards, -upwards))
        if (amounts < 0).any() or carried[~inner].any():
            i, j, amounts = self._repair(i, j, np.maximum(amounts.astype(object), 0), shift, order)
        exact = (amounts / total).astype(float)
        kept = exact > 0
        return i[kept], j[kept], exact[kept]

    def _repair(self, i, j, amounts, shift, order):
        """A coupling (i, j, amounts) of the marginals times 2^shift near integer ``amounts`` >= 0 at cells (i, j)."""
        left = [np.array([w << shift for w in side], dtype=object) for side in (self.sources, self.sinks)]
        for end, rest in zip((i, j), left, strict=True):
            np.add.at(sums := 0 * rest, end, amounts)
            amounts = amounts * rest[end] // np.maximum(sums, rest)[end]
        for end, rest in zip((i, j), left, strict=True):
            np.subtract.at(rest, end, amounts)
        sums = [np.cumsum(rest[side]) for rest, side in zip(left, order, strict=True)]
        cuts = np.unique(np.append(*sums))
        cuts = cuts[cuts > 0]  # on a line of all that is left, where a source or a sink ends
        s, t = (side[np.searchsorted(end, cuts)] for side, end in zip(order, sums, strict=True))
        return np.append(i, s), np.append(j, t), np.append(amounts, np.diff(cuts, prepend=0))


def _exact(array):
    """(mantissas, exponents), two lists of integers: array = mantissas * 2^exponents exactly."""
    mantissa, exponent = np.frexp(array)
    exponent = np.where(mantissa == 0, 0, exponent - 53)
    return (mantissa * 2.0**53).astype(np.int64).tolist(), exponent.tolist()


def _integers(weights):
    """Floats (n,) > 0 as integers with the same ratios, without a common factor."""
    if (weights == weights[0]).all():
        return [1] * len(weights)
    mantissas, exponents = _exact(weights)
    least = min(exponents)
    integers = [m << (e - least) for m, e in zip(mantissas, exponents, strict=True)]
    common = gcd(*integers)
    return [w // common for w in integers]


def _spanning_forest(first, second, masses, size):
    """(forest, path, parent): which edges are in a forest of the heaviest, and its nodes, parents first.

    An extra root, the node ``size``, joins the trees, by edges that come after all others; ``path`` leaves it out.
    """
    rank = np.empty(len(masses))
    rank[np.argsort(-masses, kind="stable")] = np.arange(1, len(masses) + 1)
    ends = np.append(first, np.full(size, size)), np.append(second, np.arange(size))
    graph = sp.csr_array((np.append(rank, np.full(size, len(masses) + 1)), ends), shape=(size + 1, size + 1))
    tree = minimum_spanning_tree(graph)
    forest = np.zeros(len(masses) + 1, dtype=bool)
    forest[tree.data.astype(int) - 1] = True
    path, parent = breadth_first_order(tree, size, directed=False)
    return forest[rank.astype(int) - 1], path[1:], parent


def _carried(path, parent, need, exact_in_float):
    """What each node of ``path`` sends to its parent, when all nodes below it are balanced: integers, (k,)."""
    from .basic_kernels import carry

    need = np.array(need, dtype=np.int64 if exact_in_float else object)
    (carry if exact_in_float else carry.py_func)(path, parent, need)
    return need[path]
