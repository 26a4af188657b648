"""Densities on a grid: the dynamic distance, solved in space and time."""

from .distance import DynamicResult, dynamic_transport

__all__ = ["DynamicResult", "dynamic_transport"]
