"""The experiment of Figure 5: its data against the paper's settings, its flows against the theorem."""

import numpy as np
import pytest

import swref
from swref import get_gauge
from swref.experiments import mmd


def test_the_clouds_have_the_moments_of_the_paper():
    n = 40_000
    x, y = mmd.clouds(n)
    A, scales = np.array(mmd.SHEAR), np.array(mmd.SCALES)
    noise = 5 / np.sqrt(n)  # five standard errors of a mean of unit variance
    np.testing.assert_allclose(x.mean(0), [2.8, 2.4], atol=noise * 1.7)
    np.testing.assert_allclose(np.cov(x.T), A @ A.T, atol=noise * 5)
    nearest = ((y[:, None] - np.array(mmd.CENTERS)) ** 2).sum(2).argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / n, [0.40, 0.35, 0.25], atol=noise / 2)
    for k in range(3):
        np.testing.assert_allclose(y[nearest == k].std(0), scales[k], rtol=0.05)
    for small, large in zip(mmd.clouds(10), (x, y), strict=True):
        np.testing.assert_array_equal(small, large[:10])
    assert not np.array_equal(mmd.clouds(10, seed=1)[0], x[:10])
    for small, large in zip(mmd.clouds(10, dimension=3), (x, y), strict=True):
        np.testing.assert_array_equal(small[:, :2], large[:10])
    (_, thin), (_, thick) = (cloud[:, 1:].T for cloud in mmd.clouds(n, dimension=3))
    np.testing.assert_allclose([thin.mean(), thin.std()], [0, 0.1], atol=noise * 0.1)
    np.testing.assert_allclose([thick.mean(), thick.std()], [0.5, 0.5], atol=noise * 0.5)
    np.testing.assert_allclose(np.corrcoef([thin, thick, *x.T, *y.T])[:2], np.eye(2, 6), atol=noise)
    with pytest.raises(ValueError, match="particles"):
        mmd.clouds(0)
    with pytest.raises(ValueError, match="dimension"):
        mmd.clouds(5, dimension=4)


def test_the_race_is_on_one_clock_and_its_accounts_agree():
    race = mmd.figure_5(**mmd.QUICK)
    first = [flow.energy[0] for flow in race.flows.values()]
    assert np.ptp(first) == 0
    # N*^2 = |sigma|_q^2 with q = 2, 4/3, 1 on the same force.
    sigma = race.spectra("p = 1")[0][0]
    for q, flow in zip((2, 4 / 3, 1), race.flows.values(), strict=True):
        assert flow.dissipation[0] == pytest.approx((sigma**q).sum() ** (2 / q), rel=1e-9)
        assert abs(flow.residual[-1]) <= mmd.QUICK["tol"] / 0.99 * (flow.energy[0] - flow.energy[-1])
        assert flow.positions.shape == (41, 60, 2)
        np.testing.assert_allclose(flow.snapshot_times, 20 * np.linspace(0, 1, 41) ** 2)
        np.testing.assert_array_equal(flow.positions[0], race.source)
    rows = mmd.account(get_gauge("operator"), [1e-2, 1e-3], particles=60, horizon=20.0)
    assert (rows[:, 0] <= [1.02e-2, 1.01e-3]).all()
    assert rows[1, 0] < rows[0, 0] / 3


def test_a_flow_in_space_lifts_the_velocity_of_weak_directions():
    gauges = {"p = 1": "trace", "k = 2": get_gauge("kyfan", k=2), "p = ∞": "operator"}
    race = mmd.figure_5(gauges, particles=30, dimension=3, horizon=2.0, tol=1e-2, snapshots=3)
    for name, flow in race.flows.items():
        g = swref.energies.MMD(race.target).force(flow.positions[1])
        force, velocity = (field[1] for field in race.spectra(name))
        np.testing.assert_allclose(force**2, np.linalg.eigvalsh(g.T @ g / 30)[::-1], rtol=1e-9)
        # K = {0 <= Q <= I, tr Q <= k}: Q^-1 leaves the largest force alone and evens out the two others.
        evened = {"p = 1": force, "k = 2": [force[0], *[force[1] + force[2]] * 2], "p = ∞": [force.sum()] * 3}
        assert force[0] > force[1] + force[2]
        np.testing.assert_allclose(velocity, evened[name], rtol=1e-9)
