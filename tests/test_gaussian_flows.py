"""Gaussian flows against closed forms, SciPy on the moment equations, events, and clouds of particles."""

import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import quad, solve_ivp
from strategies import CONVEX, example

import swref
from swref import get_gauge
from swref.energies import Potential, TwoLayerNet
from swref.gaussian_flows import (
    GaussianKL,
    LinearNetwork,
    Quadratic,
    gaussian_flow,
    kl_flow,
    linear_network_flow,
    modal_flow,
    modal_invariant,
)

INF = np.inf
FIGURE_6 = [((1.0,), (-1.5,), (1.8,)), ((1.0,), (-0.5,), (2.0,))] + [
    (beta, (0.0, 0.0), (0.1, 10.0)) for beta in ((-1.25, -0.65), (-0.35, 1.15), (0.75, -1.10), (1.30, 0.55))
]


def schatten(p):
    return get_gauge("schatten", p=p)


def covariance(d, seed, floor=0.2):
    A = np.random.default_rng(seed).standard_normal((d, d))
    return A @ A.T / d + floor * np.eye(d)


def vector(d, seed):
    return np.random.default_rng([seed, d]).standard_normal(d)


def dual_exponent(p):
    return 1.0 if np.isinf(p) else 2 * p / (2 * p - 1)


def multiplier(F, p):
    """P = tr(F^{q/2})^{(2-q)/q} F^{q/2-1}, for an invertible moment F of the force."""
    q, (lam, U) = dual_exponent(p), np.linalg.eigh(F)
    return (lam ** (q / 2)).sum() ** ((2 - q) / q) * (U * lam ** (q / 2 - 1)) @ U.T


def kl(m, S, c, C):
    """The textbook formula."""
    ratio = np.linalg.solve(C, S)
    return (np.trace(ratio) - len(m) - np.linalg.slogdet(ratio)[1] + (m - c) @ np.linalg.solve(C, m - c)) / 2


def kl_by_ode(m0, S0, c, C, p, t):
    """(m, S) at t by SciPy on Prop. H.9."""
    d, precision = len(m0), np.linalg.inv(C)

    def field(_, y):
        m, S = y[:d], y[d:].reshape(d, d)
        H, b = precision - np.linalg.inv(S), precision @ (m - c)
        P = multiplier(H @ S @ H + np.outer(b, b), p)
        return np.append(-P @ b, (P @ (np.eye(d) - precision @ S) + (np.eye(d) - S @ precision) @ P).ravel())

    y = solve_ivp(field, (0, t), np.append(m0, S0.ravel()), "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    return y[:d], y[d:].reshape(d, d)


def assert_account(result):
    """Energies fall at the rate N*^2: central differences of energies know nothing of forces."""
    assert (np.diff(result.energy) <= 1e-12 * result.energy[0]).all()
    fall = result.energy[0] - result.energy[-1]
    assert np.abs(result.residual).max() <= 1e-4 * fall
    assert abs(result.residual[0]) <= 1e-14 * result.energy[0]


# -- KL -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d, seed", [(1, 0), (2, 1), (3, 2)])
def test_at_p_1_the_kl_flow_is_that_of_ornstein_and_uhlenbeck(d, seed):
    m0, S0, c, C = vector(d, 0), covariance(d, seed), vector(d, 1), covariance(d, seed + 10)
    result = kl_flow(m0, S0, c, C, "trace", t_end=1.5)
    for t, m, S in zip(result.times, result.mean, result.covariance, strict=True):
        decay = scipy.linalg.expm(-t * np.linalg.inv(C))
        np.testing.assert_allclose(m, c + decay @ (m0 - c), atol=1e-6)
        np.testing.assert_allclose(S, C + decay @ (S0 - C) @ decay, atol=1e-6)
        np.testing.assert_allclose(S, S.T, rtol=0, atol=0)
    assert_account(result)
    np.testing.assert_allclose(result.energy[[0, -1]], [kl(m0, S0, c, C), kl(m, S, c, C)], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("p", [1.3, 2, 6, INF])
def test_the_kl_flow_solves_the_moment_equations(p):
    m0, S0, c, C = vector(2, 0), covariance(2, 1), vector(2, 1), covariance(2, 2)
    t = 0.15  # at p = inf, before a direction arrives: there the equations are smooth
    result = kl_flow(m0, S0, c, C, schatten(p), t_end=t)
    assert set(result.run.rank) == {2}
    m, S = kl_by_ode(m0, S0, c, C, p, t)
    np.testing.assert_allclose(result.mean[-1], m, atol=3e-6)
    np.testing.assert_allclose(result.covariance[-1], S, atol=3e-6)


def event_driven(S0, C, t_end):
    """(S at t_end, times of arrival) for p = inf and equal means: a step stops where a force becomes zero.

    Then H = C^-1 - S^-1 is singular; it stays so when the velocity is computed from the other singular values.
    """
    d, precision = len(S0), np.linalg.inv(C)
    t, y, rank, arrivals = 0.0, S0.ravel(), len(S0), []

    def field(_, y):
        S = y.reshape(d, d)
        H = precision - np.linalg.inv(S)
        _, s, axes = np.linalg.svd(np.linalg.cholesky(S).T @ H)
        P = s[:rank].sum() * (axes[:rank].T / s[:rank]) @ axes[:rank]
        return -(P @ H @ S + S @ H @ P).ravel()

    def arrives(_, y):
        lam = np.linalg.eigvalsh(precision - np.linalg.inv(y.reshape(d, d)))
        return np.prod(lam[np.argsort(-np.abs(lam))][:rank])

    arrives.terminal = True
    while t < t_end:
        options = {"events": arrives if rank > 1 else None, "rtol": 1e-10, "atol": 1e-12, "max_step": 0.01}
        part = solve_ivp(field, (t, t_end), y, "DOP853", **options)
        t, y = part.t[-1], part.y[:, -1]
        if part.status == 1:
            arrivals.append(t)
            rank -= 1
    return y.reshape(d, d), arrivals


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_at_p_infinity_the_kl_flow_agrees_with_events_beyond_an_arrival(seed):
    S0, C = covariance(2, seed), covariance(2, seed + 20)
    S, arrivals = event_driven(S0, C, 0.6)
    assert len(arrivals) == 1
    result = kl_flow(np.zeros(2), S0, np.zeros(2), C, "operator", t_end=0.6, tol=1e-5)
    np.testing.assert_allclose(result.covariance[-1], S, atol=2e-5)
    ranks = result.run.rank
    assert set(ranks[result.run.times < arrivals[0] - 0.01]) == {2}
    assert set(ranks[result.run.times > arrivals[0] + 0.01]) == {1}


def test_at_p_infinity_standard_deviations_arrive_one_after_the_other():
    # Equal means, diagonal: f_i = s_i - 1/s_i, s_i' = -sign(f_i) sum |f_j|, until s_i = 1.
    start = np.array([1.6, 0.7, 1.1])
    t, s, moving, arrivals = 0.0, start.copy(), np.ones(3, bool), []

    def field(_, s):
        f = np.where(moving, s - 1 / s, 0)
        return -np.sign(f) * np.abs(f).sum()

    while t < 0.7:
        events = [lambda _, s, j=j: s[j] - 1 for j in np.flatnonzero(moving)] if moving.sum() > 1 else []
        for event in events:
            event.terminal = True
        part = solve_ivp(field, (t, 0.7), s, "DOP853", events=events, rtol=1e-10, atol=1e-12)
        t, s = part.t[-1], part.y[:, -1]
        if part.status == 1:
            arrivals.append(t)
            moving[np.argmin(np.where(moving, np.abs(s - 1), 1))] = False
    assert len(arrivals) == 2
    result = kl_flow(np.zeros(3), np.diag(start**2), np.zeros(3), np.eye(3), "operator", t_end=0.7, tol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(result.covariance[-1])), s, atol=1e-5)


@pytest.mark.parametrize("p", [1, 1.5, 3, INF])
@pytest.mark.parametrize("d", [2, 4])
def test_an_isotropic_gaussian_closes_in_at_a_rate_that_knows_p(p, d):
    rate = 2 * d ** (1 - 1 / p)
    result = kl_flow(np.zeros(d), 3 * np.eye(d), np.zeros(d), np.eye(d), schatten(p), t_end=0.4, tol=1e-5)
    exact = 1 + 2 * np.exp(-rate * result.times)
    np.testing.assert_allclose(result.covariance, exact[:, None, None] * np.eye(d), atol=2e-5)


@pytest.mark.parametrize("name", CONVEX)
def test_the_dissipation_is_the_rate_at_which_energy_is_lost(name):
    gauge = example(name, 3)
    m0, S0, c, C = vector(3, 0), covariance(3, 1), vector(3, 5), covariance(3, 3)
    h, middle = 1e-3, 0.05
    times = [0, middle - h, middle, middle + h]
    result = kl_flow(m0, S0, c, C, gauge, t_end=middle + h, times=times, tol=1e-6)
    values = [kl(m, S, c, C) for m, S in zip(result.mean, result.covariance, strict=True)]
    assert (values[1] - values[3]) / (2 * h) == pytest.approx(result.dissipation[2], rel=1e-3)
    H = np.linalg.inv(C) - np.linalg.inv(result.covariance[2])
    b = np.linalg.solve(C, result.mean[2] - c)
    F = H @ result.covariance[2] @ H + np.outer(b, b)
    assert result.dissipation[2] == pytest.approx(np.vdot(gauge.measure_multiplier(F), F), rel=1e-6)
    assert_account(result)


# -- linear networks ----------------------------------------------------------------------------------------------


def network_start(r, s):
    return np.block([[np.diag(s), np.diag(r)], [np.diag(r), np.diag(s)]])


def modes_of(covariances):
    """(r, s) of covariances (k, 2m, 2m)."""
    m = covariances.shape[1] // 2
    diagonal = np.diagonal(covariances[:, :m, m:], axis1=1, axis2=2)
    return diagonal, np.diagonal(covariances[:, :m, :m], axis1=1, axis2=2)


@pytest.mark.parametrize("p", [1, 2, INF])
@pytest.mark.parametrize("beta, r0, s0", [FIGURE_6[0], FIGURE_6[2], FIGURE_6[4]])
def test_the_flow_of_the_full_matrix_is_the_modal_flow(beta, r0, s0, p):
    # Two routes: rows under ``swref.flow``, and modes with events; beyond rank loss and arrival, too.
    t_end, tol = (1.0, 1e-4) if len(beta) > 1 else (0.5, 1e-5)
    modal = modal_flow(beta, r0, s0, schatten(p), t_end=t_end)
    full = linear_network_flow(
        network_start(r0, s0), np.eye(len(beta)), np.diag(beta), schatten(p), t_end=t_end, tol=tol
    )
    r, s = modes_of(full.covariance)
    np.testing.assert_allclose(r, modal.r, atol=3 * tol)
    np.testing.assert_allclose(s, modal.s, atol=3 * tol)
    np.testing.assert_allclose(full.energy, modal.energy, atol=10 * tol)
    np.testing.assert_allclose(full.dissipation[0], modal.dissipation[0], rtol=1e-9)
    assert_account(modal)


def test_a_mode_that_has_arrived_does_not_hold_up_the_steps():
    # Its force is linear in a thin layer only; differences across the layer would give too small a spectral radius.
    beta, r0, s0 = FIGURE_6[2]
    result = linear_network_flow(network_start(r0, s0), np.eye(2), np.diag(beta), schatten(2), t_end=2, tol=1e-4)
    assert len(result.run.times) < 500


@pytest.mark.parametrize("p", [1, 2, 4, INF])
def test_the_invariants_hold_for_the_full_matrix_until_rank_loss_and_not_after(p):
    beta, r0, s0 = np.array([2.5]), np.array([0.0]), np.array([0.25])
    lost = modal_flow(beta, r0, s0, schatten(p), t_end=8).rank_loss_times[0]
    t_end = 2.0 if p == 1 else 1.5 * lost
    full = linear_network_flow(network_start(r0, s0), np.eye(1), np.diag(beta), schatten(p), t_end=t_end, tol=4e-7)
    invariant = modal_invariant(*modes_of(full.covariance), schatten(p))[:, 0]
    before = full.times < 0.6 * lost  # later the small variance, to a small power, shows the errors of its digits
    np.testing.assert_allclose(invariant[before], invariant[0], atol=1e-6)
    if p == 1:
        assert np.isinf(lost)
    else:
        assert invariant[-1] > 1.1 * invariant[0]


def loss_by_quadrature(beta, r0, s0, p):
    """The time at which s - r becomes zero for one mode, r0 < beta, from the invariant and one integral."""
    q = dual_exponent(p)
    eta = 1 - q / 2
    c, a_end = (s0 + r0) ** eta + (s0 - r0) ** eta, ((s0 + r0) ** eta + (s0 - r0) ** eta) ** (1 / eta)

    def time_per_variance(a):
        b = max(c - a**eta, 0) ** (1 / eta)
        speed = 2 * (beta - (a - b) / 2) * (a ** (q / 2) + b ** (q / 2)) ** ((2 - q) / q) * a ** (q / 2)
        return 1 / speed

    return quad(time_per_variance, s0 + r0, a_end, epsrel=1e-11, limit=200)[0] if beta > a_end / 2 else INF


@pytest.mark.parametrize("p", [1.5, 2, 4, INF])
@pytest.mark.parametrize("beta", [0.5, 1.2, 3.0, 40.0])
def test_rank_loss_happens_when_the_integral_says_and_beyond_the_threshold_only(p, beta):
    r0, s0 = 0.0, 0.25
    result = modal_flow([beta], [r0], [s0], schatten(p), t_end=12)
    assert result.rank_loss_times[0] == pytest.approx(loss_by_quadrature(beta, r0, s0, p), rel=1e-8)
    threshold = s0 * 2 if np.isinf(p) else s0 * 2 ** (p / (p - 1))
    assert np.isfinite(result.rank_loss_times[0]) == (beta > threshold)


def test_at_p_infinity_one_mode_is_exponential_before_rank_loss_and_logistic_after():
    # sqrt(a) + sqrt(b) = c, so r' = c^2 (beta - r); after b = 0, a = 2r and r' = 2r (beta - r).
    beta, alpha = 1.5, 0.2
    lost = np.log(beta / (beta - 2 * alpha)) / (4 * alpha)
    result = modal_flow([beta], [0], [alpha], "operator", t_end=3, times=np.linspace(0, 3, 61))
    assert result.rank_loss_times[0] == pytest.approx(lost, rel=1e-10)
    t, after = result.times, result.times > lost
    np.testing.assert_allclose(result.r[~after, 0], beta * (1 - np.exp(-4 * alpha * t[~after])), atol=1e-10)
    odds = 2 * alpha / (beta - 2 * alpha) * np.exp(2 * beta * (t[after] - lost))
    np.testing.assert_allclose(result.r[after, 0], beta * odds / (1 + odds), atol=1e-10)
    np.testing.assert_allclose(result.s[after], result.r[after], rtol=1e-12)


@pytest.mark.parametrize("beta, r0, s0", FIGURE_6)
@pytest.mark.parametrize("p", [1, 2, 4, INF])
def test_figure_6_keeps_its_invariants_and_its_account(beta, r0, s0, p):
    result = modal_flow(beta, r0, s0, schatten(p), t_end=18, times=np.linspace(0, 18, 181))
    finer = modal_flow(beta, r0, s0, schatten(p), t_end=18, times=result.times, tol=1e-13)
    np.testing.assert_allclose(result.r, finer.r, atol=1e-8)
    assert np.abs(result.residual).max() <= 1e-8 * result.energy[0]
    assert (np.diff(result.energy) <= 1e-20 * np.sum(s0)).all()
    invariant = modal_invariant(result.r, result.s, schatten(p))
    for j, lost in enumerate(result.rank_loss_times):
        kept = result.times < lost
        np.testing.assert_allclose(invariant[kept, j], invariant[0, j], rtol=1e-6)
        moved = np.abs(result.r[-1, j] - result.r[kept][-1, j]) > 0.01
        assert not (np.isfinite(lost) and moved) or abs(invariant[-1, j] / invariant[0, j] - 1) > 1e-3
    arrived = np.isfinite(result.arrival_times)
    assert arrived.sum() == (len(beta) - 1 if p > 1 else 0)
    np.testing.assert_allclose(result.r[-1, arrived], np.array(beta)[arrived], atol=1e-9)


def test_a_mode_arrives_at_its_arrival_time_and_not_before():
    beta, r0, s0 = FIGURE_6[3]
    when = modal_flow(beta, r0, s0, "operator", t_end=2).arrival_times[1]
    near = modal_flow(beta, r0, s0, "operator", t_end=2, times=[0.99 * when, when, 1.5 * when]).r[:, 1] - beta[1]
    assert abs(near[0]) > 1e-4
    np.testing.assert_allclose(near[1:], 0, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_the_modal_flow_knows_no_unit(unit):
    beta, r0, s0 = (np.array(v) for v in FIGURE_6[4])
    gauge, t = schatten(4), np.linspace(0, 2, 11)
    one = modal_flow(beta, r0, s0, gauge, t_end=2, times=t)
    other = modal_flow(beta * unit, r0 * unit, s0 * unit, gauge, t_end=2 / unit, times=t / unit)
    np.testing.assert_allclose(other.r, one.r * unit, rtol=1e-8, atol=1e-10 * unit)
    np.testing.assert_allclose(other.rank_loss_times * unit, one.rank_loss_times, rtol=1e-8)
    np.testing.assert_allclose(other.energy, one.energy * unit**2, rtol=1e-8, atol=1e-10 * unit**2)


def test_a_variance_that_is_zero_at_the_start_stays_zero():
    result = modal_flow([1.0], [0.5], [0.5], "operator", t_end=3)
    np.testing.assert_allclose(result.r[:, 0], 1 / (1 + np.exp(-2 * result.times)), atol=1e-10)
    full = linear_network_flow(network_start([0.5], [0.5]), np.eye(1), np.eye(1), "operator", t_end=3, tol=1e-5)
    np.testing.assert_allclose(modes_of(full.covariance)[0][:, 0], result.r[:, 0], atol=2e-5)
    assert np.linalg.eigvalsh(full.covariance)[:, 0].max() < 1e-12


@pytest.mark.parametrize("gauge", [schatten(1), schatten(3), get_gauge("kyfan", k=2)], ids=repr)
def test_the_rank_of_the_covariance_does_not_grow(gauge):
    A = np.random.default_rng(3).standard_normal((5, 2))
    result = linear_network_flow(A @ A.T, covariance(2, 0), np.ones((3, 2)), gauge, t_end=1, tol=1e-4)
    spectra = np.linalg.eigvalsh(result.covariance)
    assert (spectra[:, :3] < 1e-12 * spectra[:, -1:]).all()
    assert_account(result)


# -- particles, and energies of one's own -------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, INF])
def test_ten_thousand_neurons_follow_the_gaussian_they_were_drawn_from(p):
    n, gauge, rng = 10_000, schatten(p), np.random.default_rng(0)
    S0 = covariance(3, 4)
    z = rng.standard_normal((50, 2)) * [1, 0.6]
    y = z @ [1.0, -0.7] + 0.1 * rng.standard_normal(50)
    net = TwoLayerNet(z, y, activation=(lambda s: s, np.ones_like))
    x0 = rng.multivariate_normal(np.zeros(3), S0, n)
    cloud = swref.flow(net, x0, gauge, t_end=0.5, tol=1e-4)
    C, B = z.T @ z / 50, (y @ z)[None] / 50
    drawn = gaussian_flow(LinearNetwork(C, B), x0.mean(0), np.cov(x0.T, ddof=0), gauge, t_end=0.5, tol=1e-4)
    np.testing.assert_allclose(np.cov(cloud.final.T, ddof=0), drawn.covariance[-1], atol=5e-4)
    np.testing.assert_allclose(cloud.final.mean(0), drawn.mean[-1], atol=5e-4)
    floor = np.mean((y - z @ np.linalg.lstsq(z, y, rcond=None)[0]) ** 2) / 2
    assert drawn.energy[0] + floor == pytest.approx(cloud.energy[0], rel=1e-9)
    assert drawn.dissipation[0] == pytest.approx(cloud.dissipation[0], rel=1e-9)
    exact = linear_network_flow(S0, C, B, gauge, t_end=0.5, tol=1e-4).covariance[-1]
    error = np.abs(np.cov(cloud.final.T, ddof=0) - exact).max()
    assert error < 5 * np.abs(S0).max() * np.sqrt(2 / n)


@pytest.mark.parametrize("gauge", [schatten(1), schatten(2), get_gauge("kyfan", k=1)], ids=repr)
def test_a_quadratic_potential_moves_a_cloud_and_a_gaussian_alike(gauge):
    A, c, rng = covariance(2, 7), np.array([1.0, -1]), np.random.default_rng(2)
    potential = Potential(lambda x: ((x - c) @ A * (x - c)).sum(1) / 2, lambda x: (x - c) @ A)
    x0 = rng.standard_normal((40, 2)) @ [[1, 0.3], [0, 0.5]]
    cloud = swref.flow(potential, x0, gauge, t_end=0.6, tol=1e-5)
    ours = gaussian_flow(Quadratic(A, c), x0.mean(0), np.cov(x0.T, ddof=0), gauge, t_end=0.6, tol=1e-5)
    np.testing.assert_allclose(ours.mean[-1], cloud.final.mean(0), atol=5e-5)
    np.testing.assert_allclose(ours.covariance[-1], np.cov(cloud.final.T, ddof=0), atol=5e-5)
    np.testing.assert_allclose(ours.energy[[0, -1]], cloud.energy[[0, -1]], rtol=1e-4)


class Roundness:
    """tr S - log det S - d + |m|^4, an energy of one's own."""

    def value(self, m, S):
        return np.trace(S) - np.linalg.slogdet(S)[1] - len(m) + (m @ m) ** 2

    def gradient(self, m, S):
        return 4 * (m @ m) * m, np.eye(len(m)) - np.linalg.inv(S)


@pytest.mark.parametrize("energy", [Roundness(), GaussianKL([1, 0, 2], covariance(3, 8)), Quadratic(covariance(3, 9))])
@pytest.mark.parametrize("p", [1, 2, INF])
def test_any_energy_of_mean_and_covariance_keeps_its_account(energy, p):
    result = gaussian_flow(energy, vector(3, 1), covariance(3, 6), schatten(p), t_end=0.3, tol=1e-5)
    assert_account(result)


@pytest.mark.parametrize(
    "energy", [Roundness(), GaussianKL([1, 0, 2], covariance(3, 8)), Quadratic(covariance(3, 9), [1, 2, 3]),
               LinearNetwork(covariance(2, 1), np.array([[1.0, -2]]))]
)  # fmt: skip
def test_gradients_are_those_of_the_values(energy):
    m, S, rng = vector(3, 2), covariance(3, 3), np.random.default_rng(5)
    b, G = energy.gradient(m, S)
    for _ in range(5):
        dm, dS = rng.standard_normal(3), rng.standard_normal((3, 3))
        dS, h = dS + dS.T, 1e-5
        slope = (energy.value(m + h * dm, S + h * dS) - energy.value(m - h * dm, S - h * dS)) / (2 * h)
        assert slope == pytest.approx(b @ dm + np.vdot(G, dS), rel=1e-7, abs=1e-8)


def test_a_gaussian_at_the_minimum_stays():
    result = kl_flow([1, 2], np.eye(2), [1, 2], np.eye(2), "operator", t_end=1)
    np.testing.assert_allclose(result.covariance[-1], np.eye(2), rtol=1e-12)
    assert result.status == "stationary"


def test_results_have_one_row_per_time_and_say_what_they_are():
    times = [0.1, 0.2, 0.4]
    result = kl_flow([0, 0], np.eye(2), [1, 0], 2 * np.eye(2), "trace", t_end=0.5, times=times, tol=1e-3)
    np.testing.assert_array_equal(result.times, times)
    assert result.mean.shape == (3, 2)
    assert result.covariance.shape == (3, 2, 2)
    assert {len(getattr(result, name)) for name in ("energy", "dissipation", "residual")} == {3}
    assert "a Gaussian in dimension 2" in repr(result)
    modal = modal_flow([1, 2], [0, 0], [1, 1], "operator", t_end=1, times=times)
    assert modal.r.shape == modal.s.shape == (3, 2)
    assert "rank lost at" in modal._repr_html_()


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: kl_flow([0, 0], np.eye(2), [0, 0], np.diag([1.0, 0]), "trace", t_end=1), "target_cov"),
        (lambda: kl_flow([0, 0], np.diag([1.0, 0]), [0, 0], np.eye(2), "trace", t_end=1), "S0"),
        (lambda: kl_flow([0], np.eye(2), [0, 0], np.eye(2), "trace", t_end=1), "m0"),
        (lambda: kl_flow([0, 0], np.eye(2), [0, 0], np.eye(2), "trace", t_end=-1), "t_end"),
        (lambda: linear_network_flow(np.eye(2), np.zeros((1, 1)), np.eye(1), "trace", t_end=1), "B_rho"),
        (lambda: linear_network_flow(np.eye(3), np.eye(1), np.eye(1), "trace", t_end=1), "S0"),
        (lambda: modal_flow([1], [2], [1], "trace", t_end=1), "s0"),
        (lambda: modal_flow([1], [0, 0], [1], "trace", t_end=1), "r0"),
        (lambda: modal_flow([1], [0], [1], get_gauge("kyfan", k=1), t_end=1), "gauge"),
        (lambda: modal_flow([1], [0], [1], "trace", t_end=1, times=[0, 2]), "times"),
        (lambda: gaussian_flow(object(), [0], np.eye(1), "trace", t_end=1), "energy"),
        (lambda: Quadratic([[1, 2], [0, 1]]), "A"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=rf"^{named}:"):
        call()


@pytest.mark.parametrize("tol, cutoff", [(1e-6, 1e-4), (1e-3, 1e-3)])
def test_the_cutoff_is_a_ten_thousandth_or_tol_if_that_is_more(tol, cutoff):
    start = np.ones(2), np.diag([1.0, 0.3]), np.zeros(2), np.diag([2.0, 0.5]), "operator"
    default, same, other = (kl_flow(*start, t_end=1.0, tol=tol, cutoff=c) for c in (None, cutoff, cutoff / 10))
    assert (default.covariance == same.covariance).all()
    assert (default.covariance != other.covariance).any()
