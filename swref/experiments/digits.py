"""Handwritten digits: which gauge trains a small network best, each with the best of many steps?  Needs torch, sklearn.

The data is scikit-learn's (1797 images of 8 x 8 pixels). Every method sees the same batches from the same start, with
momentum, for equally many steps of one length; the length is chosen from ``lengths``, 13 for each
method.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from ..gauges import get_gauge
from ..optim import SpectralDescent

TRAIN, VALIDATION = 1000, 397  # images; the other 400 are for the test
BUDGET, BATCH, EVERY = 200, 100, 20  # steps, images of a batch, steps between evaluations
MOMENTUM = 0.9
SETS = ("train", "validation", "test")
DIVERGED, LEAST = 1e6, 1e-9  # losses beyond, or no numbers, are recorded as the first; logarithms stop at the second

METHODS = {
    "p = 1": {"gauge": "trace"},
    "p = 2": {"gauge": get_gauge("schatten", p=2)},
    "p = 4": {"gauge": get_gauge("schatten", p=4)},
    "p = ∞": {"gauge": "operator"},
    "k = 4": {"gauge": get_gauge("kyfan", k=4)},
    "block-max": {"gauge": "operator", "blocks": "max"},
    "unit": {"gauge": "operator", "scale": "unit"},
}
#: log2 of the middle of each method's grid, found by one coarse search on seed 0.
MIDDLES = {
    "mlp": {"p = 1": 1, "p = 2": 0, "p = 4": -1, "p = ∞": -2, "k = 4": 0, "block-max": -4, "unit": -6},
    "attention": {"p = 1": 0, "p = 2": -1, "p = 4": -2, "p = ∞": -3, "k = 4": -1, "block-max": -5, "unit": -6},
}


class MLP(nn.Module):
    """64 pixels -> 64 -> 32 -> 10, ReLU, no biases: three matrices."""

    def __init__(self):
        super().__init__()
        sizes = ((64, 64), (64, 32), (32, 10))
        layers = [nn.Linear(*pair, bias=False) for pair in sizes]
        for layer in layers:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features))
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = functional.relu(layer(x))
        return last(x)


class Attention(nn.Module):
    """Eight tokens, the rows of the image; one layer of four heads with a residual, then the mean: seven matrices."""

    WIDTH, HEADS = 16, 4

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, self.WIDTH, bias=False)
        self.places = nn.Parameter(torch.empty(8, self.WIDTH))
        self.query, self.key, self.value, self.out = (nn.Linear(self.WIDTH, self.WIDTH, bias=False) for _ in range(4))
        self.head = nn.Linear(self.WIDTH, 10, bias=False)
        for weight in self.parameters():
            nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1]))

    def forward(self, x):
        tokens = self.embed(x.reshape(-1, 8, 8)) + self.places
        q, k, v = (
            layer(tokens).reshape(len(x), 8, self.HEADS, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        heard = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(x), 8, -1)
        return self.head(functional.relu(tokens + self.out(heard)).mean(1))


MODELS = {"mlp": MLP, "attention": Attention}


def lengths(model, method):
    """The 13 step lengths of a ``method`` for a ``model``: factors of sqrt(2), from 1/16 to 4 times the middle."""
    return 2.0 ** (MIDDLES[model][method] + np.arange(-8, 5) / 2)


@dataclass(frozen=True, eq=False)
class Runs:
    """Training curves: ``loss`` and ``error`` (lengths, seeds, k, 3), the last axis the ``SETS``, at ``steps`` (k,)."""

    method: str
    lengths: np.ndarray
    steps: np.ndarray
    loss: np.ndarray  # mean cross-entropy; DIVERGED at most
    error: np.ndarray  # share of wrong answers

    def best(self, by="train"):
        """The index of the length whose final loss on this set has the least mean of logarithms over the seeds."""
        return int(np.log(np.maximum(self.loss[:, :, -1, SETS.index(by)], LEAST)).mean(1).argmin())

    def when(self, level, by="train"):
        """(seeds, 3): steps, test loss and test error when the best run first has a training loss of ``level``; or -1.

        ``by``: the set that decides which length is best.
        """
        found = []
        for loss, error in zip(self.loss[self.best(by)], self.error[self.best(by)], strict=True):
            below = np.flatnonzero(loss[:, 0] <= level)
            found.append([self.steps[below[0]], loss[below[0], 2], error[below[0], 2]] if len(below) else [-1.0] * 3)
        return np.array(found)


def data(seed=0):
    """Three pairs (images (n, 64) with entries in [0, 1], digits (n,)), one for each of ``SETS``; ``seed`` shuffles."""
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    parts = np.split(order, [TRAIN, TRAIN + VALIDATION])
    return [(torch.from_numpy(images[i] / 16).float(), torch.from_numpy(digits[i])) for i in parts]


def train(model, method, grid=None, seeds=(0, 1, 2, 3, 4), budget=BUDGET):
    """``Runs`` of ``model``, a name in ``MODELS``, by ``method``, a name in ``METHODS``.

    ``grid``: step lengths (None: ``lengths(model, method)``); ``seeds``: split, start and batches; ``budget``: steps.
    """
    grid = lengths(model, method) if grid is None else np.asarray(grid)
    curves = np.array([[_one(model, METHODS[method], float(lr), seed, budget) for seed in seeds] for lr in grid])
    return Runs(method, grid, np.arange(0, budget + 1, EVERY), curves[..., 0], curves[..., 1])


def muon_difference(dtype="float32", adjust_lr_fn=None, steps=50):
    """The largest difference of any weight, after any of ``steps`` steps of the MLP, from ``torch.optim.Muon``.

    ``dtype``: of the weights, by name. ``adjust_lr_fn``: that of both optimizers.
    """
    options = {"lr": 0.02, "momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "adjust_lr_fn": adjust_lr_fn}
    (images, answers), *_ = data()
    nets, optimizers = [], []
    for make in (torch.optim.Muon, partial(SpectralDescent, orthogonalize="newton-schulz", scale="torch")):
        torch.manual_seed(0)
        nets.append(MLP().to(getattr(torch, dtype)))
        optimizers.append(make(nets[-1].parameters(), **options))
    largest = 0.0
    for step in range(steps):
        i = np.random.default_rng(step).choice(TRAIN, BATCH, replace=False)
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.zero_grad()
            functional.cross_entropy(net(images[i].to(getattr(torch, dtype))), answers[i]).backward()
            optimizer.step()
        pairs = zip(*(net.parameters() for net in nets), strict=True)
        largest = max([largest, *((p - q).abs().max().item() for p, q in pairs)])
    return largest


def _one(model, options, lr, seed, budget):
    """(k, 3, 2): loss and error on each set, every ``EVERY`` steps."""
    sets = data(seed)
    torch.manual_seed(seed)
    net, batches = MODELS[model](), np.random.default_rng([seed, 1])
    optimizer = SpectralDescent(net.parameters(), lr=lr, momentum=MOMENTUM, **options)
    curve = [_evaluate(net, sets)]
    for step in range(1, budget + 1):
        i = torch.from_numpy(batches.choice(TRAIN, BATCH, replace=False))
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(sets[0][0][i]), sets[0][1][i])
        if not loss.item() < DIVERGED:
            break
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            curve.append(_evaluate(net, sets))
    lost = [[[DIVERGED, 0.9]] * len(SETS)] * (budget // EVERY + 1 - len(curve))
    return np.array([*curve, *lost])


@torch.no_grad()
def _evaluate(net, sets):
    found = []
    for images, digits in sets:
        answers = net(images)
        loss = functional.cross_entropy(answers, digits).item()
        wrong = (answers.argmax(1) != digits).float().mean().item()
        found.append((loss, wrong) if loss < DIVERGED else (DIVERGED, 0.9))
    return found
