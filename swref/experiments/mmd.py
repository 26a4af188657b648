"""A sheared Gaussian cloud flows to a mixture under the energy distance, several gauges on one clock.  [Figure 5]"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._validation import check_count
from ..energies import MMD
from ..flows import FlowResult, flow
from ..gauges import Gauge, get_gauge
from ..lmo import measure_lmo

SEED = 0
PARTICLES = 200  # of the source, and of the target
WEIGHTS = (0.40, 0.35, 0.25)  # of the components of the target
CENTERS = ((-3.4, -1.1), (-0.6, 3.0), (3.8, -2.5))
SCALES = ((0.55, 0.30), (0.35, 0.65), (0.45, 0.35))  # standard deviations along the axes
SHEAR = ((1.4, 0.8), (-0.3, 0.6))  # the source is A z + SHIFT, z standard normal
SHIFT = (2.8, 2.4)
THIN, THICK, RAISED = 0.1, 0.5, 0.5  # third coordinates, not in the paper: THIN z, and RAISED + THICK z for the target
GAUGES = {"p = 1": get_gauge("trace"), "p = 2": get_gauge("schatten", p=2), "p = ∞": get_gauge("operator")}
HORIZON = 100.0  # of the intrinsic clock; the paper counts 6000 Euler steps instead
TOL = 1e-3
QUICK = {"particles": 60, "horizon": 20.0, "tol": 1e-2}  # options of ``figure_5`` for a page


def clouds(particles: int = PARTICLES, seed: int = SEED, dimension: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """(source, target), each (particles, dimension). The seed draws them separately; smaller clouds begin larger ones.

    In dimension 3 the planar clouds get a third coordinate in which there is little to do: a flat source, a thicker
    target. Only there is a Ky Fan gauge neither the trace nor the operator gauge.
    """
    particles = check_count("particles", particles)
    if dimension not in (2, 3):
        raise ValueError(f"dimension: expected 2 or 3, got {dimension!r}")
    z = np.random.default_rng([seed, 0]).standard_normal((particles, 2))
    draws = np.random.default_rng([seed, 1]).standard_normal((particles, 2))
    share = np.random.default_rng([seed, 2]).random(particles)
    component = np.searchsorted(np.cumsum(WEIGHTS)[:-1], share, side="right")
    target = np.array(CENTERS)[component] + np.array(SCALES)[component] * draws
    source = z @ np.array(SHEAR).T + SHIFT
    if dimension == 2:
        return source, target
    low, high = (np.random.default_rng([seed, k]).standard_normal(particles) for k in (3, 4))
    return np.column_stack([source, THIN * low]), np.column_stack([target, RAISED + THICK * high])


@dataclass(frozen=True)
class Race:
    """Flows of one energy from one start, by the name of their gauge."""

    source: np.ndarray  # (n, d)
    target: np.ndarray  # (n, d)
    gauges: dict[str, Gauge]  # by name
    flows: dict[str, FlowResult]  # by the name of their gauge

    def spectra(self, name: str) -> tuple[np.ndarray, ...]:
        """Singular values in L2(mu) of the force and of its measure LMO, each (s, d), at the snapshots of a flow."""
        energy, flow = MMD(self.target), self.flows[name]
        forces = [energy.force(x, flow.weights) for x in flow.positions]
        fields = forces, [measure_lmo(g, self.gauges[name], flow.weights) for g in forces]
        roots = np.sqrt(flow.weights)[:, None]
        return tuple(np.linalg.svd(roots * np.array(field), compute_uv=False) for field in fields)


def figure_5(
    gauges: Mapping[str, str | Gauge] = GAUGES, *, particles: int = PARTICLES, dimension: int = 2,
    horizon: float = HORIZON, tol: float = TOL, snapshots: int = 41, seed: int = SEED,
) -> Race:  # fmt: skip
    """The ``Race`` of Figure 5 for ``gauges`` {name: gauge}; snapshots at equal steps of the square root of time.

    ``particles``, ``dimension`` and ``seed`` as in ``clouds``; ``horizon`` and ``tol`` are the flow's t_end and tol.
    """
    source, target = clouds(particles, seed, dimension)
    options = {"t_end": horizon, "tol": tol, "snapshot_times": horizon * np.linspace(0, 1, snapshots) ** 2}
    gauges = {name: get_gauge(gauge) for name, gauge in gauges.items()}
    flows = {name: flow(MMD(target), source, gauge, **options) for name, gauge in gauges.items()}
    return Race(source, target, gauges, flows)


def account(gauge: str | Gauge, tols: Sequence[float], **options: Any) -> np.ndarray:
    """(len(tols), 4): |residual| / decrease, steps, force evaluations and last energy of one flow at each tolerance.

    The flow is that of ``figure_5`` for this gauge, with these options.
    """
    rows = []
    for tol in tols:
        result = figure_5({"flow": gauge}, tol=tol, snapshots=2, **options).flows["flow"]
        rows.append((result.relative_residual, len(result.times) - 1, result.evaluations, result.energy[-1]))
    return np.array(rows)
