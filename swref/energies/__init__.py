"""Energies F of a weighted cloud of particles: what a flow descends.

An energy is any object with two methods, for particles x (n, d) and weights (n,) that sum to one (None: 1/n each):

    value(x, weights) -> float     F(sum_i w_i delta_{x_i})
    force(x, weights) -> (n, d)    g(x_i), the spatial gradient of the first variation of F at x_i

The force is the gradient with respect to the coordinates of particle i *divided by its weight*: it does not depend on
how finely the measure is cut into particles, and it is defined for particles of weight zero. A third method,
``value_and_force(x, weights) -> (float, (n, d))``, may be added where computing both together saves work.

The energies here check their arguments, accept float32 and compute in float64, with memory linear in n. A result beyond
the range of float64 is inf, never NaN; so is one whose functions, given by the user, return NaN.
"""

from .attention import Attention
from .mmd import MMD
from .networks import TwoLayerNet
from .potentials import Interaction, Potential

__all__ = ["MMD", "Attention", "Interaction", "Potential", "TwoLayerNet"]
