"""Unbalanced transport on the sphere: its oracle, the distance users call, and the projection of App. I.

The cone over the sphere is R^d, with mass as squared radius, and mass may start or end at the origin. So the distance
is the least transport cost between measures of R^d that project on the given ones, and the engine applies.
"""

from .distance import SphereOracle, SphericalResult, spherical_transport
from .projection import continuity_residual, project, split

__all__ = ["SphereOracle", "SphericalResult", "continuity_residual", "project", "spherical_transport", "split"]
