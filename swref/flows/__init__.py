"""Gradient flows of an energy of particles in the geometry of a gauge, on the intrinsic clock.  [Sec. 5, Thm 5.1]"""

from .particles import descent_velocity
from .result import FlowResult
from .run import flow

__all__ = ["FlowResult", "descent_velocity", "flow"]
