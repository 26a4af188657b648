"""The transport problem for one cost matrix: exact masses, and a network simplex that starts from its last answer."""

from .dense import BasicPlan, NetworkSimplex
from .masses import Masses

__all__ = ["BasicPlan", "Masses", "NetworkSimplex"]
