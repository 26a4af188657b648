"""The continuity equation on a space-time grid: difference operators, their adjoints, and projections on its solutions.

Potentials live at the n_time + 1 time nodes, (n_time + 1, nx, ny); densities and momenta on the n_time intervals,
(n_time, nx, ny), at cell centres. Time lasts 1. The line is a plane with ny = 1, where all y-differences vanish.
"""

import numpy as np
from scipy import fft


class SpaceTime:
    """Cells of sides h = (hx, hy), intervals of length dt = 1/n_time, no flux through the boundary.

    rho, m solve the discrete continuity equation when A^T rho + B^T m = ends(rho0, rho1). Time nodes hold
    rho_k - dt div m, so that each rho is the mean of the densities at the two nodes of its interval, and div m is that
    of the fluxes through the faces, each the mean of m in the two cells that share it.
    """

    def __init__(self, n_time, shape, h):
        self.n_time, self.shape, self.h = n_time, shape, h
        self.dt, self.cell = 1 / n_time, h[0] * h[1]
        self.nodes, self.intervals = (n_time + 1, *shape), (n_time, *shape)
        half = 0.5 * np.pi * np.arange(n_time + 1) / n_time
        self._time = ((2 * np.sin(half) / self.dt) ** 2)[:, None, None]
        x, y = ((np.sin(np.pi * np.arange(n) / n) / step) ** 2 for n, step in zip(shape, h, strict=True))
        self._space = (np.cos(half) ** 2)[:, None, None] * (x[:, None] + y)
        symbol = self._time + self._space
        symbol[0, 0, 0] = np.inf
        # For f of mean zero, (A psi, B psi) with psi = solve(f, 1, 1) is at most ``stability`` |f|: the end nodes have
        # half the weight.
        self.stability = 1.01 * np.sqrt(2 / symbol.min())
        self.midpoints = (np.arange(n_time) + 0.5) / n_time

    def A(self, phi) -> np.ndarray:
        """d phi/dt on the intervals."""
        return np.diff(phi, axis=0) / self.dt

    def At(self, rho) -> np.ndarray:
        return -np.diff(rho, axis=0, prepend=0, append=0) / self.dt

    def B(self, phi) -> np.ndarray:
        """The gradient of phi on the intervals, by central differences; (2, n_time, nx, ny)."""
        f, b = np.pad(0.5 * (phi[1:] + phi[:-1]), ((0, 0), (1, 1), (1, 1)), mode="edge"), np.empty((2, *self.intervals))
        np.subtract(f[:, 2:, 1:-1], f[:, :-2, 1:-1], out=b[0])
        np.subtract(f[:, 1:-1, 2:], f[:, 1:-1, :-2], out=b[1])
        return b / np.multiply(2, self.h)[:, None, None, None]

    def Bt(self, m) -> np.ndarray:
        out = self.outflow(m)
        return -0.5 * np.concatenate([out[:1], out[1:] + out[:-1], out[-1:]])

    def outflow(self, m, across=np.diff) -> np.ndarray:
        """Fluxes through the faces of each cell, their differences or what ``across`` makes of them, per unit of time.

        (n_time, nx, ny); the differences are div m.
        """
        return np.add(*(across(self.fluxes(m, axis), axis=1 + axis) / self.h[axis] for axis in (0, 1)))

    def fluxes(self, m, axis) -> np.ndarray:
        """Fluxes through all faces across an axis: one more than cells along it, zero on the boundary."""
        cells = np.moveaxis(m[axis], 1 + axis, 0)
        F = np.zeros((len(cells) + 1, *cells.shape[1:]))
        F[1:-1] = 0.5 * (cells[1:] + cells[:-1])
        return np.moveaxis(F, 0, 1 + axis)

    def ends(self, rho0, rho1) -> np.ndarray:
        """The right-hand side of the continuity equation."""
        g = np.zeros(self.nodes)
        g[0], g[-1] = -rho0 / self.dt, rho1 / self.dt
        return g

    def solve(self, f, time, space):
        """psi of mean zero with (time A^T A + space B^T B) psi = f, for f of mean zero: cosines in all three axes."""
        f = f.copy()
        f[[0, -1]] *= 2  # the end nodes have half the weight
        g = fft.dct(fft.dctn(f, type=2, axes=(1, 2), norm="ortho", overwrite_x=True), type=1, axis=0, overwrite_x=True)
        symbol = time * self._time + space * self._space
        symbol[0, 0, 0] = 1
        g /= symbol
        g[0, 0, 0] = 0
        g = fft.idct(g, type=1, axis=0, overwrite_x=True)
        return fft.idctn(g, type=2, axes=(1, 2), norm="ortho", overwrite_x=True)

    def residual(self, rho, m, g) -> np.ndarray:
        return g - self.At(rho) - self.Bt(m)

    def project(self, rho, m, g) -> tuple[np.ndarray, np.ndarray]:
        """The nearest solution of the continuity equation, in the Euclidean metric: exact, but not positive."""
        psi = self.solve(self.residual(rho, m, g), 1.0, 1.0)
        return rho + self.A(psi), m + self.B(psi)

    def weighted_project(self, rho, m, g, *, background=1e-3, steps=25, tol=1e-8) -> tuple[np.ndarray, np.ndarray]:
        """A near solution in the metric with weight 1/rho, which moves little mass where there is little.

        Conjugate gradients, preconditioned by ``solve`` between diagonal scalings, then the exact ``project`` of what
        is left; 25 steps or 60 gave the same action to 1e-3. rho >= 0; ``background`` times its mean is added to the
        weight.
        """
        W = rho + background * rho.mean()
        root = np.sqrt(np.concatenate([W[:1], 0.5 * (W[1:] + W[:-1]), W[-1:]]))
        psi, r = np.zeros(self.nodes), self.residual(rho, m, g)
        goal = tol**2 * np.vdot(r, r)
        direction, old = None, 0.0
        for _ in range(steps):
            if np.vdot(r, r) <= goal:
                break
            z = self.solve(r / root, 1.0, 1.0) / root
            new = np.vdot(r, z)
            if not new > 0:  # what is left is constant: the rounding of the masses
                break
            direction = z if direction is None else z + new / old * direction
            image = self.At(W * self.A(direction)) + self.Bt(W * self.B(direction))
            step, old = new / np.vdot(direction, image), new
            psi += step * direction
            r -= step * image
        return self.project(rho + W * self.A(psi), m + W * self.B(psi), g)

    def positive_pair(self, rho0, rho1) -> tuple[np.ndarray, np.ndarray]:
        """A solution with rho > 0: straight interpolation, mixed with the uniform density between the ends."""
        t = self.midpoints[:, None, None]
        share = 3.8 * t * (1 - t)
        rho = (1 - share) * ((1 - t) * rho0 + t * rho1) + share * rho0.mean()
        tiny = 1e-6  # of the correction goes into rho: the last time mode, which has no gradient, needs it
        psi = self.solve(self.ends(rho0, rho1) - self.At(rho), tiny, 1.0)
        return rho + tiny * self.A(psi), self.B(psi)
