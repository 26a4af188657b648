"""Weighted point clouds: the distance users call, its oracle and its certificate."""

from .distance import CloudOracle, TransportResult, displacement, transport

__all__ = ["CloudOracle", "TransportResult", "displacement", "transport"]
