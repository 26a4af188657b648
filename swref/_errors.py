"""What swref raises besides ValueError."""

import numpy as np


class NotConverged(RuntimeError):
    """The tolerance was missed; ``result`` holds everything computed, with bounds that hold all the same."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result

    def __reduce__(self):  # that of exceptions forgets the second argument, and a pool then waits for ever
        return type(self), (self.args[0], self.result), vars(self)


class GaugeError(ValueError):
    """A gauge breaks an axiom, or is asked for something its axioms do not give."""


class CrossedBounds(GaugeError):
    """A lower bound above the upper one: the gauge breaks an axiom, or this package has an error. Never hidden."""


def shown(matrices):
    """The matrices by name, each on its own lines."""
    return "".join(f"\n{name} =\n{np.array2string(np.asarray(M), precision=6)}" for name, M in matrices.items())
