"""Weighted point clouds: the distance users call, its oracle and its certificate."""

from .distance import CloudOracle, TransportResult, displacement, transport
from .exact import exact_transport
from .pairs import PairwiseResult, pairwise

__all__ = [
    "CloudOracle", "PairwiseResult", "TransportResult", "displacement", "exact_transport", "pairwise", "transport",
]  # fmt: skip
