"""What does a step of ``SpectralDescent`` cost, against ``torch.optim.Muon`` and plain gradient descent?

    python benchmarks/optim.py          # both sections, half a minute; needs PyTorch 2.9 or newer
    python benchmarks/optim.py equal    # one of: equal, steps

equal   50 steps of a small model: the largest difference from ``torch.optim.Muon``, which must be zero
steps   milliseconds of one step for twelve 64 x 64, two 256 x 64 and one 512 x 256 matrices, by gauge and method:
        with Newton-Schulz at most 1.5 times ``torch.optim.Muon``, the trace gauge at most 5 times ``torch.optim.SGD``

One thread, single precision, medians over steps that alternate between the methods.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np
from _sections import main

import swref

try:
    import torch

    from swref.optim import SpectralDescent
except ImportError:
    print("benchmarks/optim.py: skipped, needs PyTorch: make torch")
    sys.exit()

torch.set_num_threads(1)
SHAPES = [(64, 64)] * 12 + [(256, 64)] * 2 + [(512, 256)]
NEWTON_SCHULZ = {"orthogonalize": "newton-schulz", "scale": "torch"}
FAILED = []


def parameters(shapes=SHAPES, seed=0):
    torch.manual_seed(seed)
    made = [torch.randn(shape, requires_grad=True) for shape in shapes]
    for p in made:
        p.grad = torch.randn_like(p)
    return made


def section_equal():
    for adjust in (None, "match_rms_adamw"):
        options = {"lr": 0.02, "momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "adjust_lr_fn": adjust}
        ours, theirs = parameters(), parameters()
        pairs = SpectralDescent(ours, **NEWTON_SCHULZ, **options), torch.optim.Muon(theirs, **options)
        for step in range(50):
            torch.manual_seed(step)
            for p, q in zip(ours, theirs, strict=True):
                p.grad = torch.randn_like(p) + p.detach()
                q.grad = p.grad.clone()
            for optimizer in pairs:
                optimizer.step()
        largest = max((p - q).abs().max().item() for p, q in zip(ours, theirs, strict=True))
        print(f"  adjust_lr_fn = {adjust}: largest difference after 50 steps {largest:g}")
        if largest:
            FAILED.append("equal")


def section_steps(rounds=15):
    kyfan, frobenius = swref.get_gauge("kyfan", k=8), swref.get_gauge("schatten", p=2)
    methods = {
        "torch.optim.SGD": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        "trace": lambda p: SpectralDescent(p, "trace", lr=1e-3, momentum=0.9),
        "torch.optim.Muon": lambda p: torch.optim.Muon(p, lr=1e-3),
        "Newton-Schulz": lambda p: SpectralDescent(p, lr=1e-3, momentum=0.95, nesterov=True, **NEWTON_SCHULZ),
        "operator, exact": lambda p: SpectralDescent(p, lr=1e-3, momentum=0.9),
        "p = 2": lambda p: SpectralDescent(p, frobenius, lr=1e-3, momentum=0.9),
        "Ky Fan, k = 8": lambda p: SpectralDescent(p, kyfan, lr=1e-3, momentum=0.9),
    }
    optimizers = {name: make(parameters()) for name, make in methods.items()}
    seconds = {name: [] for name in methods}
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            start = time.process_time()
            optimizer.step()
            seconds[name].append(time.process_time() - start)
    middle = {name: 1e3 * np.median(times[1:]) for name, times in seconds.items()}
    for name, ms in middle.items():
        print(f"  {name:18}{ms:8.2f} ms{ms / middle['torch.optim.Muon']:8.2f} of torch.optim.Muon")
    if middle["Newton-Schulz"] > 1.5 * middle["torch.optim.Muon"]:
        FAILED.append("steps: Newton-Schulz")
    if middle["trace"] > 5 * middle["torch.optim.SGD"]:
        FAILED.append("steps: trace")


if __name__ == "__main__":
    main(globals(), FAILED)
