"""What a flow returns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from .._files import load, store
from .._pictures import svg
from .._results import STATUS, Report
from .._validation import check_positive


class Falling:
    """An ``energy`` (k,) that falls along a run, read between its steps: log-linear while positive, else linear."""

    energy: np.ndarray

    def energy_at(self, where: ArrayLike, what: str = "times") -> np.ndarray:
        """The energy where the increasing array ``what``, such as "length", takes the values ``where``; an array."""
        x, E, where = getattr(self, what), self.energy, np.asarray(where, dtype=float)
        logs = np.interp(where, x, np.log(np.where(E > 0, E, np.nan)))  # NaN beside an energy that is not positive
        return np.where(np.isnan(logs), np.interp(where, x, E), np.exp(logs))

    def when(self, level: float, what: str = "times") -> float:
        """The value of the array ``what``, such as "forces" or "length", where the energy first is ``level`` of E(0).

        A float. Raises ValueError when the run ends before, and for a level outside (0, 1].
        """
        level = check_positive("level", level)
        if level > 1:
            raise ValueError(f"level: expected a share of the energy at the start, at most 1, got {level}")
        target = level * self.energy[0]
        i = int(np.argmax(self.energy <= target))
        if self.energy[i] > target:
            raise ValueError(f"level: the energy ends at {self.energy[-1] / self.energy[0]:.3g} of its start")
        x, E = (array[max(i - 1, 0) : i + 1] for array in (getattr(self, what), self.energy))
        if E[-1] > 0:
            target, E = np.log(target), np.log(E)
        return float(np.interp(-target, -E, x))


@dataclass(frozen=True, repr=False, eq=False)
class Account(Report):
    """What every flow records at its times: the energy, and the identity E(0) - E(t) = int_0^t dissipation."""

    times: np.ndarray  # (k,): intrinsic time
    energy: np.ndarray  # (k,): F
    dissipation: np.ndarray  # (k,): N*(g)^2, the squared slope
    residual: np.ndarray  # (k,): E(0) - E(t) - int_0^t dissipation; 0 but for the integrator

    def _rows(self):
        return {
            "time": f"{self.times[-1]:.6g}",
            "energy": f"{self.energy[0]:.8g} -> {self.energy[-1]:.8g}",
            "residual": f"{self.residual[-1]:.2e}",
        }


@dataclass(frozen=True, repr=False, eq=False)
class FlowResult(Falling, Account):
    """A curve of measures dx/dt = v and its account of energy. The arrays (k,) have one entry per accepted step, and
    one for the start.

    ``residual`` = E(0) - E(t) - int_0^t dissipation, absolute and cumulative; the integral is a quadrature over the
    stages of the steps and knows nothing of E. ``speed`` is N(v): Thm 5.1 says speed^2 = dissipation, and so it is,
    except while directions are below the cutoff of ``flow``. ``rank`` counts the others.
    """

    speed: np.ndarray  # (k,): N(v)
    length: np.ndarray  # (k,): of the path so far, in L2(mu)
    forces: np.ndarray  # (k,): evaluations of the force until then, with those of rejected steps
    rank: np.ndarray  # (k,): singular values of the force above the cutoff
    step_sizes: np.ndarray  # (k,): of the step that ended there; 0 at the start
    snapshot_times: np.ndarray  # (s,): those asked for
    positions: np.ndarray  # (s, n, d), at snapshot_times
    final: np.ndarray  # (n, d), at times[-1]
    weights: np.ndarray  # (n,): of the particles
    # why the run ended, a key of STATUS
    status: Literal["finished", "stationary", "max_steps", "stalled", "non-finite", "interrupted"]
    gauge: str  # its repr
    rejected: int  # steps tried in vain
    evaluations: int  # of the force, those after the last accepted step included
    next_step: float  # where a resumed run begins

    @property
    def relative_residual(self) -> float:
        """|residual| / (E(0) - E(t)) at the last time; NaN when no energy was lost."""
        fall = self.energy[0] - self.energy[-1]
        return float(abs(self.residual[-1]) / fall) if fall > 0 else np.nan

    def _rows(self):
        share = self.relative_residual
        share = "" if np.isnan(share) else f" ({share:.1e} of the decrease)"
        return {
            "gauge": self.gauge,
            "particles": f"{self.final.shape[0]} in dimension {self.final.shape[1]}",
            **(rows := super()._rows()),
            "residual": rows["residual"] + share,
            "status": f"{self.status} after {len(self.times) - 1} steps, {self.rejected} rejected, "
            f"{self.evaluations} forces: {STATUS[self.status]}",
        }

    def _picture(self):
        x, y = ((z - z.min()) / (np.ptp(z) or 1.0) for z in (self.times, self.energy))
        line = " ".join(f"{8 + 204 * a:.1f},{112 - 104 * b:.1f}" for a, b in zip(x, y, strict=True))
        return svg("energy against time", f"<polyline points='{line}' fill='none'/>", height=120)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to ``path``; ``FlowResult.load`` reads it back. Both add ".npz" to a name without it.

        A file of that name is replaced at the end, in one step: whoever stops the writing leaves the old one.
        """
        store(path, vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """The result that ``save`` wrote to ``path``. Raises ValueError for a damaged file, or one of another kind."""
        fields = load("path", path, cls.__dataclass_fields__)
        return cls(**{name: array if array.ndim else array.item() for name, array in fields.items()})
