"""What the energies share."""

from .._validation import as_cloud, as_weights

BLOCK = 2**17  # entries of a temporary array: what fits in a processor's cache


class Checked:
    """``value`` and ``force`` from one method ``value_and_force``; subclasses may give cheaper ones."""

    def value(self, x, weights=None):
        """F, a float, for particles x (n, d) and weights (n,)."""
        return self.value_and_force(x, weights)[0]

    def force(self, x, weights=None):
        """g (n, d), the gradient of the first variation at each particle."""
        return self.value_and_force(x, weights)[1]

    def _particles(self, x, weights, d=None):
        x = as_cloud("x", x, d)
        return x, as_weights("weights", weights, len(x))


def blocks(rows, columns):
    """Slices of ``rows`` such that a block of rows has about BLOCK entries."""
    size = max(1, BLOCK // columns)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
