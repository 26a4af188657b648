"""Weighted point clouds: the distance users call, its oracle and its certificate."""

from .distance import CloudOracle, TransportResult, displacement, transport
from .pairs import PairwiseResult, pairwise

__all__ = ["CloudOracle", "PairwiseResult", "TransportResult", "displacement", "pairwise", "transport"]
