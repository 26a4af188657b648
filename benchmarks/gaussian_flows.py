"""How accurate are the flows of moments? Each section compares with an independent route; CPU time.

    python benchmarks/gaussian_flows.py            # all sections, about five minutes
    python benchmarks/gaussian_flows.py figure6    # one of: figure6, rows, ou, particles, constants

figure6     the 24 modal flows of Figure 6: drift of the invariants, residual and times of rank loss as tol falls
rows        the same two-mode flows as d + 1 rows under ``swref.flow``, against the modal equations
ou          KL at p = 1 against the matrix exponential, error and seconds as tol falls
particles   10,000 particles under ``swref.flow`` with the matching energy against the moments they start from
constants   Poincare constants of exp(-|x|^r) by polynomials and by finite elements, both refined once
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.linalg
from _sections import main, median_seconds

import swref
from swref import gaussian_flows
from swref.experiments import linear_networks, poincare

failed = set()


def claim(name, holds):
    if not holds:
        failed.add(name)


def section_figure6():
    tols = 1e-8 / 2.0 ** np.arange(0, 13, 2)
    seconds, account = median_seconds(lambda: linear_networks.account(tols), 1)
    print(f"  24 flows at {len(tols)} tolerances, each a quarter of the one before: {seconds:.1f} s")
    lost = np.isfinite(account[:, -1, 2])
    for k, tol in enumerate(tols):
        moved = np.abs(account[lost, k, 2] - account[lost, -1, 2]).max()
        drift, residual = account[:, k, :2].max(0)
        print(f"  tol {tol:.1e}: drift {drift:.1e}, residual / E(0) {residual:.1e}, rank loss off by {moved:.1e}")
    for (beta, r0, s0, p), (drift, residual, time) in zip(linear_networks.cases(), account[:, -1], strict=True):
        print(f"  beta {beta}, r {r0}, s {s0}, p {p}: drift {drift:.0e}, residual {residual:.0e}, lost {time:.8f}")
    claim("figure6", account[:, -1, 0].max() < 1e-8 and account[:, -1, 1].max() < 1e-8)


def section_rows():
    for p in linear_networks.EXPONENTS:
        gauge = swref.get_gauge("schatten", p=p)
        for tol in (1e-4, 1e-5):
            worst, total = 0.0, 0.0
            for beta in linear_networks.TWO_TARGETS:
                r0, s0 = np.zeros(2), np.array(linear_networks.TWO_SPREADS)
                modal = gaussian_flows.modal_flow(beta, r0, s0, gauge, t_end=2)
                start, data = np.diag([*s0, *s0]), (np.eye(2), np.diag(beta))
                seconds, rows = median_seconds(
                    lambda a=(start, *data, gauge), tol=tol: gaussian_flows.linear_network_flow(*a, t_end=2, tol=tol), 1
                )
                r = np.diagonal(rows.covariance[:, :2, 2:], axis1=1, axis2=2)
                worst, total = max(worst, np.abs(r - modal.r).max()), total + seconds
            print(f"  p {p}, tol {tol:.0e}: r off by {worst:.1e} over four flows to t = 2, {total:.1f} s")
            claim("rows", worst < 5 * tol)


def section_ou():
    rng = np.random.default_rng(0)
    A, B, m0, c = *rng.normal(size=(2, 3, 3)), *rng.normal(size=(2, 3))
    S0, C = A @ A.T + 0.1 * np.eye(3), B @ B.T + 0.3 * np.eye(3)
    for tol in (1e-5, 1e-6, 1e-7):
        seconds, run = median_seconds(lambda t=tol: gaussian_flows.kl_flow(m0, S0, c, C, "trace", t_end=1, tol=t), 1)
        errors = []
        for t, m, S in zip(run.times, run.mean, run.covariance, strict=True):
            decay = scipy.linalg.expm(-t * np.linalg.inv(C))
            errors += [np.abs(m - c - decay @ (m0 - c)).max(), np.abs(S - C - decay @ (S0 - C) @ decay).max()]
        steps = len(run.run.times) - 1
        print(f"  tol {tol:.0e}: error {max(errors):.1e}, {steps} steps, {seconds:.2f} s")
        claim("ou", max(errors) < tol)


def section_particles():
    rng, n = np.random.default_rng(1), 10_000
    z = rng.standard_normal((60, 2)) * [1, 0.5]
    y = z @ [1.0, -0.6]
    network = swref.energies.TwoLayerNet(z, y, activation=(lambda s: s, np.ones_like))
    moments = gaussian_flows.LinearNetwork(z.T @ z / 60, (y @ z)[None] / 60)
    S = np.diag([0.3, 0.2, 0.2])
    x = rng.multivariate_normal(np.zeros(3), S, n)
    for p in (1, 2, np.inf):
        gauge, options = swref.get_gauge("schatten", p=p), {"t_end": 1, "tol": 1e-4}
        slow, cloud = median_seconds(lambda a=(network, x, gauge), o=options: swref.flow(*a, **o), 1)
        first = x.mean(0), np.cov(x.T, ddof=0)
        quick, own = median_seconds(
            lambda a=(moments, *first, gauge), o=options: gaussian_flows.gaussian_flow(*a, **o), 1
        )
        law = gaussian_flows.gaussian_flow(moments, np.zeros(3), S, gauge, **options)
        last = np.cov(cloud.final.T, ddof=0)
        off = [np.abs(last - flow.covariance[-1]).max() for flow in (own, law)]
        print(
            f"  p {p}: own moments {off[0]:.1e}, the law's {off[1]:.1e} (1/sqrt(n) = 0.01); {slow:.1f} s, {quick:.1f} s"
        )
        claim("particles", off[0] < 1e-3 and off[1] < 0.02)


def section_constants():
    print("  polynomials of degree 12, and their change from degree 8 and from elements (5 refinements, 4)")
    for r in (1.5, 2, 3, 4, 8):
        spaces = [poincare.polynomials(r, k) for k in (12, 8)] + [poincare.finite_elements(r, k) for k in (5, 4)]
        for p in (1, 2, np.inf):
            best, *others = (space.constant(p)[0] for space in spaces)
            print(f"  r {r}, p {p}: {best:.6f}", *(f"{other - best:+.1e}" for other in others))
            claim("constants", max(abs(other - best) for other in others) < 2e-3)


if __name__ == "__main__":
    main(globals(), failed)
