"""What becomes of the energy-dissipation residual of each experiment when the tolerance is halved?  [Thm 5.1]

    python benchmarks/edi.py               # all sections
    python benchmarks/edi.py mmd           # one of: mmd, mlp, attention

Each line is one run: |E(0) - E(t) - int_0^t N*^2| as a fraction of E(0) - E(t), the steps, those rejected, the forces
and the last energy. ``flow`` promises a fraction of at most tol/(1 - tol); exits with an error if that does not hold.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from _sections import main

import swref
from swref.experiments import attention, mlp, mmd

FAILED = []


def table(name, energy, start, t_end, tols, **options):
    for p in (1, np.inf):
        for tol in tols:
            gauge = swref.get_gauge("schatten", p=p)
            result = swref.flow(energy, start, gauge, t_end=t_end[p], tol=tol, **options)
            share = result.relative_residual
            held = share <= tol / (1 - tol)
            print(
                f"{name:10} p = {p:<4} tol = {tol:.2e}  residual {share:.2e}  {len(result.times) - 1:5} steps "
                f"{result.rejected:4} rejected {result.evaluations:6} forces  E = {result.energy[-1]:.6g}"
                f"{'' if held else '  PROMISE BROKEN'}",
                flush=True,
            )
            if not held:
                FAILED.append(name)


def section_mmd():
    source, target = mmd.clouds()
    both = {1: mmd.HORIZON, np.inf: mmd.HORIZON}
    table("mmd", swref.energies.MMD(target), source, both, [4e-3, 2e-3, 1e-3, 5e-4])


def section_mlp():
    setting = mlp.problem()
    table("mlp", setting.energy, setting.start, {1: 20.0, np.inf: 20.0}, [1e-2, 5e-3, 2.5e-3])


def section_attention():
    for regime in attention.REGIMES:
        setting = attention.problem(regime, heads=40, sequences=16)
        ends = {1: 4.0, np.inf: 0.3}
        table(regime, setting.energy, setting.start, ends, [2e-2, 1e-2, 5e-3], cutoff=attention.CUTOFF)


if __name__ == "__main__":
    main(globals(), FAILED)
