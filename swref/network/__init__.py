"""Exact transport for one quadratic cost in up to three dimensions, without a matrix: see ``multiscale``."""

from .multiscale import MOST_DIMENSIONS, MultiscaleSimplex
from .search import c_transform

__all__ = ["MOST_DIMENSIONS", "MultiscaleSimplex", "c_transform"]
