"""swref: Spectral Wasserstein distances and flows, with certificates.

A gauge is two functions; one max-min engine turns any gauge into distances, couplings and flows.
Formulas and numbering follow G. Peyre, "Muon Dynamics as a Spectral Wasserstein Flow", arXiv:2604.04891.
"""

from . import convexity, energies, gaussian_flows, geodesics, muon, sphere
from .clouds import displacement, transport
from .flows import FlowResult, flow
from .gauges import (
    Gauge,
    GaugeError,
    SpectralGauge,
    check_gauge,
    get_gauge,
    list_gauges,
    register_gauge,
)
from .gaussians import gaussian_transport, moment_lower_bound
from .grids import dynamic_transport
from .lmo import dual_norm, lmo, measure_lmo, tangent_norm
from .maxmin import NotConverged
from .sphere import spherical_transport

__version__ = "0.1.0"

__all__ = [
    "FlowResult", "Gauge", "GaugeError", "NotConverged", "SpectralGauge", "check_gauge", "convexity", "displacement",
    "dual_norm", "dynamic_transport", "energies", "flow", "gaussian_flows", "gaussian_transport", "geodesics",
    "get_gauge", "list_gauges", "lmo", "measure_lmo", "moment_lower_bound", "muon", "register_gauge", "sphere",
    "spherical_transport", "tangent_norm", "transport",
]  # fmt: skip
