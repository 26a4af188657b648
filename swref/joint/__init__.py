"""Interior point methods on potentials, or couplings, and metric at once: where cutting planes take too many calls."""

from .gaussians import gaussian_steps
from .hybrid import solve

__all__ = ["gaussian_steps", "solve"]
