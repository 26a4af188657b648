"""How long is one step of a flow? One force and one measure LMO, against a plain PyTorch loop in the same run.

    python benchmarks/flows.py             # all sections, about a minute; needs PyTorch
    python benchmarks/flows.py mmd         # one of: mmd, relu, attention, growth

mmd        energy distance, n = m = 200 in the plane: at least 15 times faster
relu       two-layer ReLU network, n = 1920 neurons, N = 2000 inputs in the plane: at least 8 times faster
attention  n = 200 heads of dimension 3 on N = 32 sequences of 16 tokens in R^4: at least 2 times faster
growth     the same step as n grows, with the exponent of the growth

The peer is what one would write otherwise: the energy as a formula on tensors, ``backward``, an SVD of the gradient.
Both use float64 and one thread, on the same particles, at p = inf. The two velocities are compared, then the times:
medians over blocks of steps that alternate. Exits with an error if a claim does not hold.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time

import numpy as np
from _sections import main

import swref

try:
    import torch
except ImportError:
    print("benchmarks/flows.py: skipped, needs PyTorch: make torch")
    sys.exit()

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
OPERATOR = swref.get_gauge("operator")
FAILED = []


def torch_velocity(loss, x):
    """v (n, d) at p = inf for a loss of particles (n, d): gradient by autograd, then -|g|_* U W^T of g / sqrt(n)."""
    x = x.clone().requires_grad_()
    loss(x).backward()
    n = len(x)
    U, s, Wt = torch.linalg.svd(x.grad * n / n**0.5, full_matrices=False)
    return -(n**0.5) * s.sum() * U @ Wt


def velocity(energy, x):
    return swref.measure_lmo(energy.force(x), OPERATOR)


def mmd(n, seed=0):
    """(energy, the same as a formula on tensors, particles)."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)) + 1, rng.standard_normal((n, 2))
    target = torch.from_numpy(y)

    def kernel(a, b):
        return -(((a[:, None] - b[None]) ** 2).sum(-1) + 1e-4).sqrt().mean()

    def loss(x):
        return kernel(x, x) + kernel(target, target) - 2 * kernel(x, target)

    return swref.energies.MMD(y), loss, x


def relu(n, size=2000, seed=0):
    rng = np.random.default_rng(seed)
    z, x = rng.standard_normal((size, 2)), rng.standard_normal((n, 3))
    y = np.abs(z[:, 0])
    inputs, targets = torch.from_numpy(z), torch.from_numpy(y)

    def loss(x):
        return ((torch.relu(inputs @ x[:, 1:].T) @ x[:, 0] / len(x) - targets) ** 2).mean() / 2

    return swref.energies.TwoLayerNet(z, y), loss, x


def attention(n, size=32, m=16, d_T=4, d_H=3, seed=0):
    rng = np.random.default_rng(seed)
    z, y = rng.standard_normal((2, size, m, d_T))
    x = rng.standard_normal((n, 4 * d_H * d_T)) / 2
    tokens, targets = torch.from_numpy(z), torch.from_numpy(y)

    def loss(x):
        Q, K, V, O = x.reshape(n, 4, d_H, d_T).transpose(0, 1)
        q, k, v = (torch.einsum("hct,sjt->shjc", part, tokens) for part in (Q, K, V))
        averages = torch.softmax(q @ k.transpose(-1, -2) / d_H**0.5, -1) @ v
        return ((torch.einsum("shjc,hct->sjt", averages, O) / n - targets) ** 2).sum() / (2 * size)

    return swref.energies.Attention(z, y, d_H), loss, x


def seconds(step, repeats):
    """The last ``repeats`` of consecutive steps, as in a flow: the first ones still warm the caches."""
    times = []
    for _ in range(3 + repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times[3:]


def compare(problem, rounds=5):
    """(seconds of swref, seconds of PyTorch, relative difference of the velocities)."""
    energy, loss, x = problem
    tensor = torch.from_numpy(x)
    ours, theirs = velocity(energy, x), torch_velocity(loss, tensor).numpy()  # also compiles
    times = [[], []]
    for _ in range(rounds):
        times[0] += seconds(lambda: velocity(energy, x), 20)
        times[1] += seconds(lambda: torch_velocity(loss, tensor), 5)
    return *map(np.median, times), np.abs(ours - theirs).max() / np.abs(theirs).max()


def claim(name, problem, least):
    """Print one comparison; remember it if swref is not ``least`` times faster or disagrees."""
    ours, theirs, apart = compare(problem)
    ratio = theirs / ours
    print(
        f"  {name}: swref {ours * 1e3:.2f} ms, PyTorch {theirs * 1e3:.1f} ms, {ratio:.0f} x (at least {least}); "
        f"velocities apart {apart:.0e}"
    )
    if ratio < least or not apart < 1e-8:
        FAILED.append(name)


def section_mmd():
    print("energy distance, one step at p = inf")
    claim("MMD n = m = 200", mmd(200), 15)


def section_relu():
    print("two-layer ReLU network in the plane, one step at p = inf")
    claim("ReLU 1920 x 2000", relu(1920), 8)


def section_attention():
    print("attention, one step at p = inf")
    claim("attention, 200 heads", attention(200), 2)


def section_growth():
    print("the step as n grows (ReLU: 2000 inputs; attention: 32 sequences of 16 tokens)")
    families = {
        "MMD, m = n": (mmd, (200, 400, 800, 1600), 12800),
        "ReLU": (relu, (480, 960, 1920, 3840), 122880),
        "attention": (attention, (100, 200, 400, 800), 12800),
    }
    for name, (make, sizes, most) in families.items():
        times = np.array([compare(make(n), rounds=2)[:2] for n in sizes])
        for n, (ours, theirs) in zip(sizes, times, strict=True):
            pair = f"swref {ours * 1e3:7.2f} ms, PyTorch {theirs * 1e3:7.1f} ms, {theirs / ours:.0f} x"
            print(f"  {name}, n = {n:5}: {pair}")
        slopes = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        energy, _, x = make(most)
        start = time.perf_counter()
        velocity(energy, x)
        print(
            f"  {name}: time grows like n^{slopes[0]:.2f} (PyTorch n^{slopes[1]:.2f}); "
            f"n = {most} takes {time.perf_counter() - start:.2f} s"
        )


if __name__ == "__main__":
    main(globals(), FAILED)
