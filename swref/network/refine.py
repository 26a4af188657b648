"""From the plan of clusters to one of their parts: a feasible spanning tree, by staircases."""

import numpy as np

from .basis import staircase


def partner_slopes(P, first, second, masses):
    """(N, 3): point minus the mean of its partners in a plan, half the gradient of its potential."""
    mass = np.bincount(first, masses, len(P)) + np.bincount(second, masses, len(P))
    slope = np.empty((len(P), 3))
    for k in range(3):
        sums = np.bincount(first, masses * P[second, k], len(P)) + np.bincount(second, masses * P[first, k], len(P))
        slope[:, k] = P[:, k] - sums / np.maximum(mass, np.finfo(float).tiny)
    return slope


def refined(tree, n, P, first, fine_P, fine_masses):
    """(rows, columns, masses) of a spanning tree of parts in a spanning tree of clusters, n of them sources.

    The parts of node v of ``tree``, at P[v], are first[v] .. first[v + 1] - 1, at ``fine_P`` (F, >= 3), of masses (2,
    F). Each node deals its parts to its cells, in one direction, and each cell couples the parts of its two ends. All
    these staircases are two long ones: where one ends and the next begins, the path has an empty cell.
    """
    (child,) = np.nonzero(tree["parent"] >= 0)
    parent = tree["parent"][child]
    cell = np.tile(np.arange(len(child)), 2)
    node, partner = np.append(child, parent), np.append(parent, child)
    direction = _directions(P, node, partner)
    owner = np.repeat(np.arange(len(tree)), np.diff(first))
    parts = np.lexsort(((direction[owner] * fine_P[:, :3]).sum(1), owner))
    ends = np.lexsort(((direction[node] * P[partner, :3]).sum(1), node))
    flows = np.array([tree["high"][child], tree["low"][child]])
    i, j, masses = _without_empty(*staircase(fine_masses[:, parts], flows[:, cell[ends]]))
    part, piece_cell, of_source = parts[i], cell[ends[j]], node[ends[j]] < n

    left, right = np.flatnonzero(of_source), np.flatnonzero(~of_source)
    left, right = (side[np.argsort(piece_cell[side], kind="stable")] for side in (left, right))
    runs = [_runs(fine_P[part[side], :3], piece_cell[side], len(child)) for side in (left, right)]
    against = (runs[0] * runs[1]).sum(1) < 0
    place = np.where(against[piece_cell[right]], -1, 1) * np.arange(len(right))
    right = right[np.lexsort((place, piece_cell[right]))]
    i, j, masses = _without_empty(*staircase(masses[:, left], masses[:, right]))
    return part[left[i]], part[right[j]] - first[n], masses


def _directions(P, node, partner):
    """(N, 3): from the mean of the partners of every node to the farthest one."""
    count = np.bincount(node)
    mean = np.column_stack([np.bincount(node, P[partner, k]) for k in range(3)]) / count[:, None]
    step = P[partner, :3] - mean[node]
    order = np.lexsort(((step**2).sum(1), node))
    return step[order[np.cumsum(count) - 1]]


def _runs(points, group, groups):
    """(groups, 3): last minus first point of every group; the points come sorted by group."""
    start = np.searchsorted(group, np.arange(groups + 1))
    return points[start[1:] - 1] - points[start[:-1]]


def _without_empty(rows, columns, masses):
    kept = masses.any(0)
    return rows[kept], columns[kept], masses[:, kept]
