"""Inputs for tests: gauges, PSD matrices, forces, weights. Zero, rank-deficient and badly scaled ones included."""

import numpy as np
from hypothesis import strategies as st

import swref
from swref.gauges.registry import gauge_class

EPS = np.finfo(float).eps
TINY = np.finfo(float).tiny
CONVEX = [name for name in swref.list_gauges() if gauge_class(name).convex]


class TwoFunctions(swref.Gauge):
    """Another gauge with all but ``value`` and ``support`` forgotten: what every default must reproduce."""

    def __init__(self, gauge):
        self.gauge, self.dimension = gauge, gauge.dimension

    def __repr__(self):
        return f"TwoFunctions({self.gauge!r})"

    def value(self, S):
        return self.gauge.value(S)

    def support(self, S):
        return self.gauge.support(S)


class TwoSpectralFunctions(swref.SpectralGauge):
    """A spectral gauge with all but ``phi`` and ``dphi`` forgotten."""

    def __init__(self, gauge):
        self.gauge = gauge

    def __repr__(self):
        return f"TwoSpectralFunctions({self.gauge!r})"

    def phi(self, lam):
        return self.gauge.phi(lam)

    def dphi(self, lam):
        return self.gauge.dphi(lam)


def example(name, d):
    """An instance of a registered gauge for dimension d."""
    return gauge_class(name).example(d)


def spectral_gauges(d):
    """Spectral gauges with a closed form everywhere."""
    schatten = [swref.get_gauge("schatten", p=p) for p in (1, 1.3, 2, 7, np.inf)]
    return schatten + [swref.get_gauge("kyfan", k=k) for k in range(1, d + 1)]


def compositions(d):
    """Gauges built from gauges, in dimension d."""
    trace, frobenius, operator = swref.get_gauge("trace"), swref.get_gauge("schatten", p=2), swref.get_gauge("operator")
    A = np.random.default_rng(d).standard_normal((d, d + 1))
    return [
        trace + operator,
        swref.gauges.maximum(frobenius, 0.9 * trace, 1.5 * operator),
        0.25 * frobenius,
        frobenius.congruence(A),
        swref.get_gauge("block-max", blocks=[1] * d, scales=np.linspace(1, 2, d)),
        swref.get_gauge("block-sum", blocks=[range(0, d, 2), range(1, d, 2)][: min(d, 2)], gauge="schatten", p=3),
        example("block-max", d) + 0.1 * trace,
    ]


def orthogonal(d, seed):
    """An orthogonal (d, d) matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


seeds = st.integers(0, 2**32 - 1)
scales = st.sampled_from([1.0, 1e-150, 1e-7, 1e5, 1e150])
_singular_values = st.sampled_from([1.0, 1.0, 0.5, 0.1, 1e-3, 1e-6, 0.0])


@st.composite
def forces(draw, n=None, d=None, scaled=True):
    """(n, d) arrays with prescribed singular values, repeated ones and zeros among them, at any scale."""
    n = draw(st.integers(1, 8)) if n is None else n
    d = draw(st.integers(1, 5)) if d is None else d
    r = min(n, d)
    s = np.array(draw(st.lists(_singular_values, min_size=r, max_size=r)))
    seed = draw(seeds)
    G = (orthogonal(n, seed)[:, :r] * s) @ orthogonal(d, seed + 1)[:r]
    return G * draw(scales) if scaled else G


@st.composite
def psd(draw, d=None, scaled=True):
    """(d, d) positive semidefinite matrices with prescribed eigenvalues, zeros among them, at any scale."""
    G = draw(forces(n=8, d=d, scaled=False))
    S = G.T @ G
    return S * draw(scales) if scaled else S


@st.composite
def weights(draw, n):
    """(n,) weights that sum to one: equal, random, spread over twelve decades, or partly zero."""
    kind, rng = draw(st.sampled_from(["equal", "random", "spread", "zeros"])), np.random.default_rng(draw(seeds))
    w = {"equal": np.ones(n), "spread": np.geomspace(1, 1e-12, n)}.get(kind, rng.uniform(0.1, 1, n))
    if kind == "zeros":
        w[rng.permutation(n)[: n // 2]] = 0
    return w / w.sum()
