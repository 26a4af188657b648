"""Gaussians: the distance users call, its oracle and its certificate."""

from .distance import GaussianOracle, GaussianResult, gaussian_transport, moment_lower_bound

__all__ = ["GaussianOracle", "GaussianResult", "gaussian_transport", "moment_lower_bound"]
