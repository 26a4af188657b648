"""The network simplex: bases and pivots; and exact transport without a matrix in up to three dimensions.

tree_kernels    a spanning tree and its pivots           basis         its masses, cells and potentials
dense_kernels   pricing in a matrix (``_simplex``)       search        points of least reduced cost, by k-d trees
kernels         that search, and pricing on arcs         refine        a tree of clusters becomes one of their parts
                                                         multiscale    the solver
"""

from .multiscale import MOST_DIMENSIONS, MultiscaleSimplex
from .search import c_transform

__all__ = ["MOST_DIMENSIONS", "MultiscaleSimplex", "c_transform"]
