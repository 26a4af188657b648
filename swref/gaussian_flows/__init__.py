"""Flows that keep a Gaussian Gaussian, and the modes of linear networks.  [App. F, Prop. 5.3, Prop. H.9]

An energy F(m, S) of mean and covariance has the affine force g(x) = H (x - m) + b with H = 2 dF/dS and b = dF/dm. Its
flow moves a Gaussian as it moves the r + 1 rows (r + 1)^(1/2) [A^T; m^T], A A^T = S, A (d, r), as particles of equal
weight: forces and velocities have the same second moments, so N, N* and the clock agree for every gauge. So
``gaussian_flow`` is ``swref.flow``, and S may be singular; its rank never grows.

An energy is any object with two methods:

    value(m, S) -> float                          F
    gradient(m, S) -> ((d,), (d, d))              dF/dm and dF/dS, the latter as if the entries of S were independent
"""

from .energies import GaussianKL, LinearNetwork, Quadratic
from .modes import ModalFlowResult, modal_flow, modal_invariant
from .moments import GaussianFlowResult, gaussian_flow, kl_flow, linear_network_flow

__all__ = [
    "GaussianFlowResult", "GaussianKL", "LinearNetwork", "ModalFlowResult", "Quadratic", "gaussian_flow", "kl_flow",
    "linear_network_flow", "modal_flow", "modal_invariant",
]  # fmt: skip
