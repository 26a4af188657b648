"""Exact transport for one metric: a network simplex on a matrix of costs, or without one in up to three dimensions.

masses          weights as integers, exact couplings      dense           the solver that reads a matrix
tree_kernels    a spanning tree and its pivots            multiscale      the solver that does not
dense_kernels   pricing in a matrix                       search          points of least reduced cost, by k-d trees
kernels         that search, and pricing on arcs          refine          a tree of clusters becomes one of their parts
basic_kernels   exact sums, monotone plans                basis           a tree, its masses, cells and potentials
points          points as rows, in k-d order
"""

from .basis import BasicPlan, staircase
from .dense import NetworkSimplex
from .masses import Masses
from .multiscale import MOST_DIMENSIONS, MultiscaleSimplex
from .search import c_transform

__all__ = ["MOST_DIMENSIONS", "BasicPlan", "Masses", "MultiscaleSimplex", "NetworkSimplex", "c_transform", "staircase"]
