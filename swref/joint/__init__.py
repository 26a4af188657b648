"""Interior point methods on potentials, or couplings, and metric at once: where cutting planes take too many calls."""

from .hybrid import solve

__all__ = ["solve"]
