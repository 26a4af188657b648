"""Block gauges: a gauge per group of columns, summed (a scale each) or maximised (one clock).  [later revision]"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_psd, symmetrize
from .base import Gauge, root
from .compose import Max, Sum, _Combination, _Through
from .registry import get_gauge, register_gauge


class _Blocks(_Combination):
    def __init__(
        self, blocks: Sequence[int] | Sequence[ArrayLike], scales: ArrayLike | None = None,
        gauge: str | Gauge | list | tuple = "operator", **params: Any,
    ):  # fmt: skip
        self.blocks = _parse_blocks(blocks)
        self.dimension: int = sum(map(len, self.blocks))
        inner = gauge if isinstance(gauge, (list, tuple)) else [gauge] * len(self.blocks)
        if len(inner) != len(self.blocks):
            raise ValueError(f"gauge: expected one or {len(self.blocks)} inner gauges, got {len(inner)}")
        self.inner = [get_gauge(g, **params) for g in inner]
        n = len(self.blocks)
        self.scales = np.ones(n) if scales is None else as_array("scales", scales, 1, (n,))
        if (self.scales <= 0).any():
            raise ValueError(f"scales: must be positive, got {self.scales.min():.3g}")
        self.convex = all(g.convex for g in self.inner)
        unit, parts = np.eye(self.dimension), zip(self.inner, self.blocks, self.scales, strict=True)
        self.parts = tuple(_Through(g, unit[:, b] / scale) for g, b, scale in parts)  # gamma(S_bb) / eta^2

    def __repr__(self):
        in_order = np.array_equal(np.concatenate(self.blocks), np.arange(self.dimension))
        blocks = [len(b) if in_order else b.tolist() for b in self.blocks]
        scales = "" if (self.scales == 1).all() else f", scales={self.scales.tolist()}"
        inner = self.inner[0] if len({*map(repr, self.inner)}) == 1 else self.inner
        return f"{type(self).__name__}(blocks={blocks}{scales}, gauge={inner})"

    @classmethod
    def example(cls, d: int) -> Self:
        return cls([d] if d == 1 else [d // 2, d - d // 2], scales=[1.0] if d == 1 else [1.0, 0.5])

    def value(self, S: np.ndarray) -> float:
        return super().value(as_psd("S", S, self.dimension))

    def support(self, S: np.ndarray) -> np.ndarray:
        return super().support(as_psd("S", S, self.dimension))

    def measure_multiplier(self, C: np.ndarray) -> np.ndarray:
        C = as_psd("C", C, self.dimension)
        C, R = C / (np.abs(C).max() or 1.0), np.zeros_like(C)
        for b in self.blocks:  # one by one: a block may be far smaller than another
            R[np.ix_(b, b)] = root(C[np.ix_(b, b)])
        return symmetrize(self._multiply(np.eye(len(C)), R))

    def _multiply(self, g, R):
        fields, norms = [], []
        for inner, b in zip(self.inner, self.blocks, strict=True):
            scale = float(np.abs(R[:, b]).max()) or 1.0  # one block may be far smaller than another
            factor = R[:, b] / scale
            field, own = np.split(inner._multiply(np.concatenate([g[:, b], factor]), factor), [len(g)])
            fields.append(field)
            norms.append(scale * np.sqrt(max((factor * own).sum(), 0)))
        v = np.empty_like(g)
        for b, field, rate in zip(self.blocks, fields, self._rates(self.scales * norms), strict=True):
            v[:, b] = rate * field
        return v

    @abstractmethod
    def _rates(self, norms) -> np.ndarray:
        """The factors (b,) of the blocks' own descent directions, whose norms these are."""


@register_gauge("block-sum")
class BlockSum(_Blocks, Sum):
    """sum_b gamma_b(S_bb) / eta_b^2: every block of columns moves on its own scale.  [later revision]

    ``blocks``: sizes in column order, or lists of column indices that partition range(d); ``scales``: the
    learning-rate factors eta_b (default 1); ``gauge``: inner gauge or one per block (default operator, which gives
    J_b = -eta_b^2 |G_b|_* times the polar factor of G_b), and its parameters ``params`` if it is a name.
    """

    def _rates(self, norms):
        return self.scales**2


@register_gauge("block-max")
class BlockMax(_Blocks, Max):
    """max_b gamma_b(S_bb) / eta_b^2: one clock for all blocks, what "Muon on every layer" does.  [later revision]

    ``blocks``, ``scales``, ``gauge``, ``params`` as for ``BlockSum``. With operator inner gauges
    J_b = -eta_b (sum_a eta_a |G_a|_*) times the polar factor of G_b.
    """

    def _rates(self, norms):
        """eta_b^2 (sum_a norm_a) / norm_b, one common clock; zero for a block without force."""
        return self.scales**2 * norms.sum() / np.where(norms > 0, norms, np.inf)


def _parse_blocks(blocks):
    """Index arrays (one per block) that partition range(d), from sizes or index lists."""
    try:
        whole = [as_array("blocks", b, (0, 1)).astype(int) for b in blocks]
        sizes = all(w.ndim == 0 for w in whole)
        if not all(np.array_equal(w, b) for w, b in zip(whole, blocks, strict=True)) or (sizes and min(whole) < 1):
            raise ValueError
        if sizes:
            return [np.arange(a, b) for a, b in pairwise(np.append(0, np.cumsum(whole)))]
        whole = [np.atleast_1d(w) for w in whole]
        flat = np.concatenate(whole)
    except (TypeError, ValueError):
        raise ValueError(f"blocks: expected positive sizes or lists of column indices, got {blocks!r}") from None
    if sorted(flat) != list(range(len(flat))) or any(len(w) == 0 for w in whole):
        raise ValueError(f"blocks: index lists must partition range({len(flat)}), got {[w.tolist() for w in whole]}")
    return whole
