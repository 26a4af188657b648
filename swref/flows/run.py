"""Gradient flows of an energy of particles in the geometry of a gauge, on the intrinsic clock.  [Sec. 5, Thm 5.1]"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline

from .._errors import NotConverged
from .._parallel import counter
from .._results import STATUS, TINY
from .._session import silent
from .._validation import EPS, as_array, as_times, as_tolerance, as_weights, check_count, check_methods, check_positive
from ..energies import Energy
from ..gauges import Gauge, gauge_for
from ..lmo import tangent_norm
from . import stepper
from .particles import NonFinite, Particles
from .result import FlowResult

NOISE = 64 * EPS  # energies are trusted to this fraction of the largest one met
SHORTEST = 1e-13  # a step below this fraction of t_end is given up
ZIGZAG, CAUTION = 0.2, 16.0  # error per distance that shows a stiff direction overshot; most factor on its stages
LINEAR = 0.01  # a difference of velocities above this fraction of the velocity has left the layer where it is linear
RECORDED = ("times", "energy", "dissipation", "residual", "speed", "length", "forces", "rank", "step_sizes")
REFRESH = 10  # accepted steps between estimates of the spectral radius
FIRST_CALLS, LATER_CALLS = 12, 3  # forces for such an estimate: from a random direction, from the last one
SAFETY, GROWTH, EASY = 0.8, 5.0, 1e-4  # of step sizes: margin, largest factor, error below which that factor is taken
HALVED, LEAST = 0.5, 0.1  # a rejected step shrinks at least and at most to these
SHRINK = 0.25  # of a step that met an infinite energy or force, whose error is unknown
RELAX = 0.9  # of the caution, after a step that did not overshoot
BANKED = 10  # of what earlier steps left of their share of the residual, a step may use this part
PROBE, LEAST_PROBE, INSIDE = 1e-6, 1e-8, 0.01  # lengths of differences: of the cloud, of the cloud, of the cutoff
SEEN = 1e4 * EPS  # of the coordinates: what rounding of positions hides in a difference of forces
AGREE = 1e-6  # relative: a resumed run must meet the energy and dissipation that it left


@silent
def flow(
    energy: Energy, x0: ArrayLike | None, gauge: str | Gauge, *, t_end: float, weights: ArrayLike | None = None,
    tol: float = 1e-3, n_snapshots: int = 2, snapshot_times: ArrayLike | None = None, cutoff: float | None = None,
    max_steps: int = 10_000, strict: bool = True, progress: bool = False, resume: FlowResult | None = None,
) -> FlowResult:  # fmt: skip
    """dx_i/dt = J(g)_i, the measure LMO of the force, so that dE/dt = -N*(g)^2, from x0 (n, d) to ``t_end``.  [Thm 5.1]

    ``energy``: any object with ``value(x, weights)``, a float, and ``force(x, weights)`` (n, d), the coordinate
    gradient divided by the weight; ``value_and_force`` is used when there is one. ``weights`` (n,) sum to one (None:
    1/n); particles of weight zero take no part and stay where they are. ``gauge``: a name or a ``swref.Gauge``.

    Steps: stabilised explicit Runge-Kutta-Chebyshev, second order, as many stages as the spectral radius demands (a
    flow at p > 1 is stiff wherever one direction has much less force than another). A step of length h is accepted when

      - E(t) - E(t + h) is at least half of int dissipation over the step: the descent safeguard;
      - it differs from it by at most tol/2 of it and a tenth of what earlier steps left of their share;
      - the embedded error estimate is at most tol (moved * length of the path)^(1/2), both in L2(mu).

    So E falls, and |residual| <= tol/(1 - tol) (E(0) - E(t)) up to rounding (64 eps max |E| per step), always. The
    root of the sum of squares of the position errors is at most tol times the length of the path, and the flow may
    amplify or damp them. For smooth energies both errors are proportional to tol, and the number of steps to
    tol^(-1/2). No unit enters: scaled inputs give the scaled answer. Where the force jumps, as at the kinks of few ReLU
    neurons on few data, particles can stick; then no step obeys the identity better than to some percent. A tol below
    that ends in "stalled" or "max_steps"; tol = 0.1 leaps over it, and ``residual`` tells what it did.

    Directions that have arrived: for p > 1 a direction without force stays, but one with a small force moves at finite
    speed, arrives in finite time, and explicit steps would overshoot and return for ever. So the velocity v = -P g is
    computed with the singular values of the force below ``cutoff`` (None: tol) times the largest one raised to it:
    such a direction moves in proportion to its force and closes in exponentially. v is then rescaled to
    <g, v> = -N*(g)^2, so the clock stays exact and the rule costs nothing in ``residual``; it costs speed^2 >
    dissipation, both recorded, and a delay of order cutoff. Above the cutoff nothing is changed.

    Snapshots: at ``snapshot_times`` (s,), or at ``n_snapshots`` equal steps of [0, t_end], interpolated by cubics, so
    that asking for them does not change the run. ``resume=result`` continues one: x0 None, or the x0 of the first run,
    t_end counted from its start, histories joined. ``cutoff`` and ``tol`` may change.

    Stops early when, in the time left, E would not change or no position would ("stationary"); later snapshots repeat
    the state. ``progress=True`` shows a bar. Raises NotConverged with ``.result`` after ``max_steps`` tried steps, when
    steps shrink to nothing ("stalled": the force is not the gradient of the value, or noisier than eps), on Ctrl-C,
    unless ``strict=False``; always when energy or force are not finite however short the step. ValueError for malformed
    arguments.
    """
    t_end, max_steps = check_positive("t_end", t_end), check_count("max_steps", max_steps)
    tol = as_tolerance("tol", tol)
    cutoff = tol if cutoff is None else as_tolerance("cutoff", cutoff)
    check_methods("energy", energy, "value(x, weights)", "force(x, weights)")
    x0, weights = _start(x0, weights, resume)
    gauge = gauge_for(gauge, x0.shape[1])
    if resume is not None and t_end <= resume.times[-1]:
        raise ValueError(f"t_end: expected more than {resume.times[-1]:.6g}, where resume ends, got {t_end}")
    if snapshot_times is None:
        snapshot_times = np.linspace(0, t_end, check_count("n_snapshots", n_snapshots, least=2))
    marks = list(as_times("snapshot_times", snapshot_times, t_end))
    particles = Particles(energy, gauge, weights, cutoff)
    run = _Run(particles, x0, t_end, tol, marks, resume)
    bar = "{l_bar}{bar}| t = {n:.4g}/{total:.4g} [{elapsed}]"
    with counter(progress, "flow", "", t_end, run.t, bar_format=bar) as count:
        status = run.go(max_steps, count)
    result = run.result(status)
    if status == "non-finite" or (strict and status not in ("finished", "stationary")):
        raise NotConverged(
            f"flow: {status} after {len(result.times) - 1} steps, at t = {run.t:.6g} of {t_end:.6g}: "
            f"{run.trouble or STATUS[status]}; the run is in .result",
            result,
        )
    return result


class _Run:
    """Where a run is, how it came there, and how it goes on."""

    def __init__(self, particles, x0, t_end, tol, marks, resume):
        self.particles, self.t_end, self.tol = particles, t_end, tol
        self.everyone, used = x0.copy(), particles.used
        self.x = x0[used]
        try:
            self.energy, g = particles.value_and_force(self.x)
        except NonFinite as error:
            raise ValueError(f"energy: at the start {error}") from None
        self.rate, self.rank = particles.rate(g)
        self.rejected, self.trouble, self.infinite, self.rho, self.age = 0, "", False, None, 0
        self.caution = 1.0
        self.direction = np.append(np.random.default_rng(0).standard_normal(self.x.size), 0.0)
        self.t, self.h, self.integral, self.length, self.start = 0.0, None, 0.0, 0.0, self.energy
        self.rows, self.snapshots, self.marks = [], [], marks
        if resume is not None:
            self._take_up(resume)
        else:
            self._note(0.0)
            if marks[0] == 0:
                self._snapshot(marks.pop(0), self.x)
        self.largest = max(abs(E) for _, E, *_ in self.rows)  # what rounding of energies is relative to

    def _take_up(self, old):
        for name, now in (("energy", self.energy), ("dissipation", self.rate[-1])):
            then = getattr(old, name)[-1]
            if abs(now - then) > AGREE * np.abs(getattr(old, name)).max():
                raise ValueError(f"resume: its last {name} is {then:.10g}, but this energy and gauge give {now:.10g}")
        self.t, self.h, self.rejected = float(old.times[-1]), old.next_step, old.rejected
        self.start, self.length = float(old.energy[0]), float(old.length[-1])
        self.integral = self.start - float(old.energy[-1] + old.residual[-1])
        self.particles.evaluations += old.evaluations
        self.snapshots = list(zip(old.snapshot_times, old.positions, strict=True))
        self.rows = list(zip(*(getattr(old, name) for name in RECORDED), strict=True))
        self.marks = [mark for mark in self.marks if mark > max([self.t, *old.snapshot_times])]

    def residual(self):
        return self.start - self.energy - self.integral

    def go(self, max_steps, count):
        """Step until something ends the run; returns the status."""
        tried = 0
        try:
            while self.t < self.t_end:
                then, left = self.t, self.t_end - self.t
                still = self.particles.norm(self.rate[:-1]) * left <= 8 * EPS * np.abs(self.x).max()
                if still or self.rate[-1] * left <= EPS * self.largest:
                    for mark in self.marks:
                        self._snapshot(mark, self.x)
                    return "stationary"
                if tried == max_steps:
                    return "max_steps"
                if self.h is not None and self.h < SHORTEST * self.t_end:
                    return "non-finite" if self.infinite else "stalled"
                tried += 1
                try:
                    self._step(left)
                except NonFinite as error:
                    self.trouble, self.infinite = str(error), True
                    self._reject(left if self.h is None else self.h, SHRINK)
                count(self.t - then)
        except KeyboardInterrupt:
            return "interrupted"
        return "finished"

    def _step(self, left):
        """Try one step; accept it or shorten the next."""
        y, tol, particles = np.append(self.x, 0.0), self.tol, self.particles
        longest, rho = self._look_ahead(y, left)
        h = min(longest, left, stepper.MOST_H_RHO / (rho * self.caution) if rho else left)
        h = left / 2 if h < left < 2 * h else h  # no crumb for the last step
        new = stepper.step(particles.field, y, self.rate, h, stepper.stages_for(h * rho * self.caution))
        x, gained = new[:-1].reshape(self.x.shape), new[-1]
        energy, g = particles.value_and_force(x)
        rate, rank = particles.rate(g)

        moved = particles.norm(new[:-1] - y[:-1])
        doubt = particles.norm(stepper.local_error(y, self.rate, new, rate, h)[:-1])
        missing, noise = self.energy - energy - gained, NOISE * max(self.largest, abs(energy)) + TINY
        spare = max(tol * self.integral - abs(self.residual()), 0.0)
        error = max(
            doubt / (tol * np.sqrt(moved * (self.length + moved)) + 8 * EPS * np.abs(x).max() + TINY),
            abs(missing) / (tol * gained / 2 + spare / BANKED + noise),
            -missing / (gained / 2 + noise),
        )
        if not (error <= 1 and gained >= 0):
            self.infinite, self.trouble = False, f"over {h:.3g} E fell by {gained + missing:.6g}, not {gained:.6g}"
            self._reject(h, SAFETY / np.sqrt(error))
            return

        self.caution = min(2 * self.caution, CAUTION) if doubt > ZIGZAG * moved else max(RELAX * self.caution, 1.0)
        steepest = np.linalg.norm((rate - self.rate)[:-1]) / max(np.linalg.norm((new - y)[:-1]), TINY)
        slopes = [h * one[:-1].reshape(x.shape) for one in (self.rate, rate)]
        between = CubicHermiteSpline([0, 1], [self.x, x], slopes)
        self.x, self.energy, self.rate, self.rank = x, energy, rate, rank
        then, self.t = self.t, self.t_end if h == left else self.t + h
        self.rho, self.age, self.trouble = max(rho, stepper.MARGIN * steepest), self.age + 1, ""
        self.integral, self.length = self.integral + gained, self.length + moved
        self.largest = max(self.largest, abs(energy))
        longer = h * min(GROWTH, SAFETY / np.sqrt(max(error, EASY)))
        self.h = max(longer, longest) if h < longest else longer
        self._note(h)
        while self.marks and self.marks[0] <= self.t:
            mark = self.marks.pop(0)
            self._snapshot(mark, between((mark - then) / h) if mark < self.t else x)

    def _look_ahead(self, y, left):
        """(longest step, spectral radius at y): the latter anew when it is unknown or old."""
        if self.rho is None or self.age >= REFRESH:
            spread = np.abs(self.x - self.x.mean(0)).max() or np.abs(self.x).max()
            size = spread * np.sqrt(self.x.size) or left * np.linalg.norm(self.rate[:-1])
            # Well inside the layer where the velocity is linear, well above what rounding of the positions hides.
            length = size * min(PROBE, max(LEAST_PROBE, INSIDE * self.particles.cutoff))
            shortest = SEEN * np.abs(self.x).max()
            f, calls = np.append(self.rate[:-1], 0.0), FIRST_CALLS if self.rho is None else LATER_CALLS
            while True:
                length = max(length, shortest)
                self.rho, self.direction = stepper.spectral_radius(
                    self.particles.motion, y, f, self.direction, length, calls
                )
                allowed = LINEAR * np.linalg.norm(f)
                if self.rank == self.x.shape[1] or self.rho * length <= allowed or length == shortest:
                    break
                length *= 0.5 * allowed / (self.rho * length)
            self.age = 0
        if self.h is None:
            self.h = min(left, np.sqrt(self.tol) / self.rho) if self.rho else left
        return self.h, self.rho

    def _reject(self, h, factor):
        self.rejected += 1
        self.h = h * (min(HALVED, max(LEAST, factor)) if np.isfinite(factor) else LEAST)
        if self.age > 0:
            self.rho = None

    def _note(self, h):
        slope2 = max(float(self.rate[-1]), 0.0)
        v = self.rate[:-1].reshape(self.x.shape)
        all_above = self.rank == v.shape[1] or slope2 == 0
        speed = np.sqrt(slope2) if all_above else tangent_norm(v, self.particles.gauge, self.particles.weights)
        spent = self.length, self.particles.evaluations, self.rank, h
        self.rows.append((self.t, self.energy, slope2, self.residual(), speed, *spent))  # RECORDED

    def _snapshot(self, mark, x):
        self.everyone[self.particles.used] = x
        self.snapshots.append((mark, self.everyone.copy()))

    def result(self, status):
        """Everything so far."""
        self.everyone[self.particles.used] = self.x
        return FlowResult(
            **dict(zip(RECORDED, map(np.array, zip(*self.rows, strict=True)), strict=True)),
            snapshot_times=np.array([time for time, _ in self.snapshots]),
            positions=np.array([x for _, x in self.snapshots]).reshape(-1, *self.everyone.shape),
            final=self.everyone.copy(),
            weights=self.particles.given,
            status=status,
            gauge=repr(self.particles.gauge),
            rejected=self.rejected,
            evaluations=self.particles.evaluations,
            next_step=float(self.h or 0),
        )


def _start(x0, weights, resume):
    """(x0, weights), checked; those of the earlier run where they are None."""
    if resume is None:
        x0 = as_array("x0", x0, 2)
        return x0, as_weights("weights", weights, len(x0))
    if not isinstance(resume, FlowResult):
        raise ValueError(f"resume: expected a FlowResult, got {type(resume).__name__}")
    if x0 is not None:
        x0 = as_array("x0", x0, 2, resume.final.shape)
        if len(resume.snapshot_times) and resume.snapshot_times[0] == 0 and not np.array_equal(x0, resume.positions[0]):
            raise ValueError("x0: expected None or the start of the run to resume, got other positions")
    if weights is not None and not np.allclose(as_weights("weights", weights, len(resume.weights)), resume.weights):
        raise ValueError("weights: expected None or those of the run to resume, got others")
    return resume.final, resume.weights
