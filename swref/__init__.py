"""swref: Spectral Wasserstein distances and flows, with certificates.

A gauge is two functions; one max-min engine turns any gauge into distances, couplings and flows.
Formulas and numbering follow G. Peyre, "Muon Dynamics as a Spectral Wasserstein Flow", arXiv:2604.04891.
"""

from . import convexity, energies, gaussian_flows, geodesics, muon, sphere
from ._errors import GaugeError, NotConverged
from .clouds import PairwiseResult, TransportResult, displacement, exact_transport, pairwise, transport
from .flows import FlowResult, flow
from .gauges import Gauge, SpectralGauge, check_gauge, get_gauge, list_gauges, register_gauge
from .gaussians import GaussianResult, gaussian_transport, moment_lower_bound
from .grids import DynamicResult, dynamic_transport
from .lmo import dual_norm, lmo, measure_lmo, tangent_norm
from .sphere import SphericalResult, spherical_transport

__version__ = "0.1.0"

__all__ = [
    "DynamicResult", "FlowResult", "Gauge", "GaugeError", "GaussianResult", "NotConverged", "PairwiseResult",
    "SpectralGauge", "SphericalResult", "TransportResult", "check_gauge", "convexity", "displacement", "dual_norm",
    "dynamic_transport", "energies", "exact_transport", "flow", "gaussian_flows", "gaussian_transport", "geodesics",
    "get_gauge", "list_gauges", "lmo", "measure_lmo", "moment_lower_bound", "muon", "pairwise", "register_gauge",
    "sphere", "spherical_transport", "tangent_norm", "transport",
]  # fmt: skip
