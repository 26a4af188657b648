"""Any gauge as a PyTorch optimizer, and the distance as a PyTorch loss. Needs torch: ``pip install 'swref[torch]'``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError("swref.optim needs PyTorch: pip install 'swref[torch]'") from error
from torch.autograd.function import once_differentiable

from ._validation import as_fraction
from .clouds import transport
from .gauges import Gauge, Schatten, SpectralGauge, gauge_for, get_gauge
from .lmo import lmo
from .muon import COEFFICIENTS

__all__ = ["SpectralDescent", "spectral_distance"]

NS_STEPS, NS_EPS = 5, 1e-7  # of torch.optim.Muon
CHOICES = {
    "orthogonalize": ("exact", "newton-schulz"),
    "scale": ("dual-norm", "unit", "torch"),
    "blocks": ("sum", "max"),
    "adjust_lr_fn": (None, "original", "match_rms_adamw"),
}


class SpectralDescent(torch.optim.Optimizer):
    """theta <- (1 - lr weight_decay) theta + lr D(U): steepest descent of matrices in the geometry of a gauge.

    U is the averaged gradient: B <- B + (1 - momentum) (g - B) from B = 0, and U = B, or g + momentum (B - g) with
    ``nesterov``. With J the matrix LMO of ``gauge`` (``swref.lmo``) and N* = N*(U) its dual norm, ``scale`` says

      - "dual-norm": D = J(U), as long as the gradient. The trace gauge is then gradient descent.
      - "unit": D = J(U) / N*, of length one in the norm of the gauge, whatever the gradient; zero for U = 0.
      - "torch": the unit direction times the factor r(rows, columns) of ``torch.optim.Muon``, by ``adjust_lr_fn``:
        sqrt(max(1, rows / columns)) for None or "original", 0.2 sqrt(max(rows, columns)) for "match_rms_adamw".

    ``params``: matrices, rows = neurons of the layer, or groups of them; every option may differ by group. A weight of
    ``torch.nn.Linear`` has this shape. Vectors and filters of more axes are refused, unless ``flatten=True``: then a
    parameter (n, ...) is the matrix with its n slices as rows, a vector (n, 1).

    ``gauge``: a name or a ``swref.Gauge``; one of columns (blocks, linear) must fit their number. ``blocks``: the gauge
    of all matrices of a group together is the "sum" of theirs, so each has its own scale, or their "max", and all share
    one clock: D_b = (sum_a N*_a) J_b / N*_b with "dual-norm". Muon with one ``lr`` for all layers follows the max.

    ``orthogonalize``: "exact" by a singular value decomposition in at least single precision, batched over equal
    shapes; singular values up to max(shape) eps sigma_1 count as zero. "newton-schulz", for the operator gauge only: -D
    is what five quintic steps in bfloat16 make of U / |U|_F, times <U, that> with "dual-norm" (``adaptive=True`` of
    optax), and with ``scale="torch"`` every step is that of ``torch.optim.Muon``. ``lr`` is positive, without default.

    Schatten gauges are computed where the parameters are. Other gauges of eigenvalues send singular values to the CPU,
    all other gauges the matrices, in double precision. ``state_dict`` holds the options as they were given; a gauge
    that is an instance needs ``torch.load(..., weights_only=False)``.

    Raises ValueError for malformed options and parameters, naming them; RuntimeError for sparse gradients.
    """

    def __init__(
        self, params: Iterable[Any], gauge: str | Gauge = "operator", *, lr: float, momentum: float = 0.0,
        nesterov: bool = False, weight_decay: float = 0.0,
        orthogonalize: Literal["exact", "newton-schulz"] = "exact",
        scale: Literal["dual-norm", "unit", "torch"] = "dual-norm", blocks: Literal["sum", "max"] = "sum",
        adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None, flatten: bool = False,
    ):  # fmt: skip
        options = {
            "gauge": gauge, "lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay,
            "orthogonalize": orthogonalize, "scale": scale, "blocks": blocks, "adjust_lr_fn": adjust_lr_fn,
            "flatten": flatten,
        }  # fmt: skip
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add ``param_group``, {"params": ..., option: ...}; options left out are those of the optimizer."""
        super().add_param_group(param_group)
        try:
            _check_group(self.param_groups[-1])
        except Exception:
            self.param_groups.pop()
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; returns what ``closure`` does, called with gradients on."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, params = float(group["lr"]), [p for p in group["params"] if p.grad is not None]
            updates = [_matrix(self._averaged(p, group["momentum"], group["nesterov"])) for p in params]
            for p, (direction, factor) in zip(params, _directions(updates, group), strict=True):
                p.mul_(1 - lr * group["weight_decay"])
                p.add_(direction.reshape(p.shape), alpha=-lr * factor)
        return loss

    def _averaged(self, p, momentum, nesterov):
        """U, a tensor that nobody may write on."""
        if p.grad.is_sparse:
            raise RuntimeError("SpectralDescent does not support sparse gradients")
        if momentum == 0:
            return p.grad
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p.grad)
        buffer = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(buffer, momentum) if nesterov else buffer


def _check_group(group):
    for name, allowed in CHOICES.items():
        if group[name] not in allowed:
            raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {group[name]!r}")
    if not 0 < float(group["lr"]) < math.inf:
        raise ValueError(f"lr: expected a positive finite number, got {group['lr']!r}")
    if not 0 <= float(group["weight_decay"]) < math.inf:
        raise ValueError(f"weight_decay: expected a finite number >= 0, got {group['weight_decay']!r}")
    if as_fraction("momentum", group["momentum"]) == 1:
        raise ValueError("momentum: expected a number below 1, which would forget every gradient, got 1")
    for p in group["params"]:
        if not p.is_floating_point():
            raise ValueError(f"params: expected real floating-point tensors, got {p.dtype}")
        if p.ndim != 2 and not group["flatten"]:
            raise ValueError(
                f"params: expected matrices, got shape {tuple(p.shape)}; give vectors to another optimizer, or pass "
                "flatten=True, which makes a matrix (n, -1) of a parameter (n, ...)"
            )
        gauge = gauge_for(group["gauge"], _matrix(p).shape[1])
        if isinstance(gauge, SpectralGauge):
            gauge.phi(np.ones(_matrix(p).shape[1]))  # Ky Fan refuses too few columns
    if group["orthogonalize"] == "newton-schulz" and not _is_operator(group["gauge"]):
        raise ValueError(f"orthogonalize: 'newton-schulz' belongs to the operator gauge, got {group['gauge']!r}")


def _is_operator(gauge):
    gauge = get_gauge(gauge)
    return isinstance(gauge, Schatten) and math.isinf(gauge.p)


def _matrix(p):
    return p if p.ndim == 2 else p.reshape(p.shape[0] if p.ndim else 1, -1)


def _directions(updates, group):
    """For each matrix U (-D, factor), whose product, a tensor by a number, is what lr multiplies."""
    scale = group["scale"]
    if group["orthogonalize"] == "exact":
        found = _exact(updates, group["gauge"])
    else:
        found = [(O, (U * O).sum()) for U, O in ((U, _quintic(U)) for U in updates)]
    if scale == "torch":
        return [(O, _ratio(group["adjust_lr_fn"], *O.shape)) for O, _ in found]
    if scale == "unit":
        return [(O, 1.0) for O, _ in found]
    if group["blocks"] == "max":
        norms = [norm for _, norm in found]
        return [(O * sum(norms), 1.0) for O, _ in found]
    return [(O * norm, 1.0) for O, norm in found]


def _ratio(adjust_lr_fn, rows, columns):
    """The factor of ``torch.optim.Muon``."""
    return (
        0.2 * math.sqrt(max(rows, columns)) if adjust_lr_fn == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
    )


def _quintic(U):
    """Newton-Schulz as ``torch.optim.Muon`` does it, in bfloat16, operation by operation."""
    ((a, b, c),) = COEFFICIENTS["quintic"]
    X = U.to(torch.bfloat16, copy=True)
    X = X.T if U.shape[0] > U.shape[1] else X
    X.div_(X.norm().clamp(min=NS_EPS))
    for _ in range(NS_STEPS):
        A = X @ X.T
        X = torch.addmm(X, torch.addmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X.T if U.shape[0] > U.shape[1] else X


def _exact(updates, gauge):
    """For each U, the unit direction -J/N* and N*, a tensor."""
    found: list[Any] = [None] * len(updates)
    for same in _alike(updates):
        G = torch.stack([updates[i] for i in same])
        G = G.to(torch.promote_types(G.dtype, torch.float32))
        size = G.abs().amax((1, 2), keepdim=True)
        size = torch.where(size > 0, size, 1)  # also where it is NaN, which then stays in G
        O, norm = _unit(G / size, gauge_for(gauge, G.shape[2]))
        for k, i in enumerate(same):
            found[i] = O[k], norm[k] * size[k, 0, 0]
    return found


def _alike(tensors):
    """Lists of the indices of tensors that can be stacked."""
    kinds = {}
    for i, t in enumerate(tensors):
        kinds.setdefault((t.shape, t.dtype, t.device), []).append(i)
    return kinds.values()


def _unit(G, gauge):
    """(-J/N* (b, n, d), N* (b,)) for matrices G (b, n, d) of order one."""
    if isinstance(gauge, Schatten) and gauge.p == 1:
        norm = torch.linalg.matrix_norm(G)
        return G / _or_one(norm)[:, None, None], norm
    if not isinstance(gauge, SpectralGauge):
        J = np.stack([lmo(matrix, gauge) for matrix in G.double().cpu().numpy()])
        J = torch.from_numpy(J).to(G.device)
        norm = (-(G * J).sum((1, 2))).clamp(min=0).sqrt()
        return (-J / _or_one(norm)[:, None, None]).to(G.dtype), norm.to(G.dtype)
    U, s, Wt = torch.linalg.svd(G, full_matrices=False)
    top = s[:, :1]
    kept = s > max(G.shape[1:]) * torch.finfo(s.dtype).eps * top
    s = torch.where(kept, s, 0)
    raised = _multipliers(s / _or_one(top), gauge, G.shape[2]) * s  # singular values of -J
    norm = (raised * s).sum(1).sqrt()
    return (U * (raised / _or_one(norm)[:, None])[:, None]) @ Wt, norm


def _multipliers(s, gauge, d):
    """p (b, r) with -J = U diag(p s) W^T, for singular values s (b, r), the largest one 1 (or all 0), of d columns."""
    if isinstance(gauge, Schatten):
        q = 1.0 if math.isinf(gauge.p) else 2 * gauge.p / (2 * gauge.p - 1)
        size = (s**q).sum(1, keepdim=True) ** (1 / q)
        return torch.where(s > 0, (size / _or_one(s)) ** (2 - q), 0)
    rows = np.zeros((len(s), d))
    rows[:, : s.shape[1]] = s.double().cpu().numpy()
    p = [gauge.multiplier_values(row)[: s.shape[1]] if row.any() else 0 * row[: s.shape[1]] for row in rows]
    return torch.where(s > 0, torch.from_numpy(np.array(p)).to(s), 0)


def _or_one(x):
    return torch.where(x > 0, x, 1)


# -- the distance -----------------------------------------------------------------------------------------------------


def spectral_distance(
    x: torch.Tensor, y: torch.Tensor, gauge: str | Gauge, a: torch.Tensor | None = None, b: torch.Tensor | None = None,
    **options: Any,
) -> torch.Tensor:  # fmt: skip
    """W_gamma(mu, nu)^2 as a scalar tensor, with gradients in x (n, d), y (m, d) and in the weights a (n,), b (m,).

    ``gauge``, ``a``, ``b`` and the ``options`` (``tol``, ``max_iter``, ...) are those of ``swref.transport``, whose
    upper bound is returned in the type and on the device of x; tensors on a GPU are brought to the CPU, gradients back.

    Gradients: 2 (diag(a) x - P y) Q* in x, and in a the potential minus its mean, f - <a, f>, the derivative of the
    distance for a / sum(a) (envelope theorem). They are exact up to ``tol`` where plan P and metric Q* are unique
    (potentials up to a constant), and subgradients elsewhere; weights of zero get one-sided ones. Once differentiable.

    Weights must sum to one: let a softmax make them. Raises as ``swref.transport`` does; ValueError for arguments that
    are no tensors.
    """
    for name, value in {"x": x, "y": y, "a": a, "b": b}.items():
        if not isinstance(value, torch.Tensor) and not (name in "ab" and value is None):
            raise ValueError(f"{name}: expected a tensor, got {type(value).__name__}")
    return _SquaredDistance.apply(x, y, a, b, gauge, options)


class _SquaredDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, a, b, gauge, options):
        given = [x, y, a, b]
        masses = [None if t is None else _as_numpy(t) for t in (a, b)]
        result = transport(_as_numpy(x), _as_numpy(y), gauge, *masses, **options)
        slopes = [*result.gradient(), *(f - _mean(w, f) for f, w in zip(result.potentials, masses, strict=True))]
        ctx.slopes = [
            None if t is None or not needed else torch.from_numpy(np.asarray(slope)).to(t)
            for t, slope, needed in zip(given, slopes, ctx.needs_input_grad[:4], strict=True)
        ]
        return x.new_tensor(result.squared_distance)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return *(None if slope is None else grad.to(slope) * slope for slope in ctx.slopes), None, None


def _as_numpy(t):
    t = t.detach().cpu()
    return (t if t.dtype in (torch.float32, torch.float64) else t.float()).numpy()


def _mean(weights, values):
    return values.mean() if weights is None else values @ (weights / weights.sum())
