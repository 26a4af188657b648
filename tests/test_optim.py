"""Any gauge as an optimizer: against ``swref.lmo`` and ``torch.optim.Muon``, step by step; the distance as a loss."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make torch)")

from strategies import example  # noqa: E402

import swref  # noqa: E402
from swref import get_gauge  # noqa: E402
from swref.gauges.registry import gauge_class  # noqa: E402
from swref.muon import newton_schulz  # noqa: E402
from swref.optim import SpectralDescent, spectral_distance  # noqa: E402

INF = np.inf
EPS32, EPS = torch.finfo(torch.float32).eps, np.finfo(float).eps
GAUGES = [name for name in swref.list_gauges() if name not in ("muon",)]


pytestmark = pytest.mark.usefixtures("one_thread")


def matrices(*shapes, seed=0, dtype=torch.float64):
    """Parameters, each with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for shape in shapes:
        p = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        p.grad = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        made.append(p)
    return made


def moved(p, **options):
    """What one step of length one adds to each parameter."""
    before = [q.detach().clone() for q in p]
    SpectralDescent(p, lr=1.0, **options).step()
    return [(q.detach() - old).double().numpy() for q, old in zip(p, before, strict=True)]


def gradient(p):
    return p.grad.double().numpy()


# -- the exact path ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tol", [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("name", GAUGES)
def test_every_registered_gauge_is_an_optimizer(name, dtype, tol):
    """Against the NumPy oracle, which shares no code with the path in torch for Schatten gauges."""
    gauge, p = example(name, 4), matrices((6, 4), (3, 4), (6, 4), dtype=dtype)
    for q in p:
        q.detach().zero_()
    for q, step in zip(p, moved(p, gauge=gauge), strict=True):
        J = swref.lmo(gradient(q), gauge)
        assert np.abs(step - J).max() <= tol * np.abs(J).max()


@pytest.mark.parametrize("p", [1, 1.3, 2, 4, INF])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_schatten_gauges_at_any_scale(p, size):
    (q,) = matrices((5, 3))
    q.detach().zero_()
    q.grad *= size
    (step,) = moved([q], gauge=get_gauge("schatten", p=p))
    J = swref.lmo(gradient(q), get_gauge("schatten", p=p))
    assert np.abs(step - J).max() <= 1e-12 * np.abs(J).max()


@pytest.mark.parametrize("gauge", ["operator", get_gauge("schatten", p=3), get_gauge("kyfan", k=2)])
def test_null_directions_stay_at_rest(gauge):
    p = matrices((5, 3), (5, 3))
    with torch.no_grad():
        for q in p:
            q.zero_()
        p[0].grad[:, 2] = p[0].grad[:, 1]
        p[1].grad.zero_()
    one, none = moved(p, gauge=gauge)
    assert np.abs(one @ [0, 1, -1]).max() <= 1e-14 * np.abs(one).max()
    assert np.abs(one - swref.lmo(gradient(p[0]), gauge)).max() <= 1e-12 * np.abs(one).max()
    assert not none.any()


@pytest.mark.parametrize("name", ["trace", "operator", "kyfan", "linear", "block-max"])
def test_unit_steps_have_length_one(name):
    gauge, p = example(name, 4), matrices((6, 4), (2, 4))
    for q, step in zip(p, moved(p, gauge=gauge, scale="unit"), strict=True):
        assert abs(gauge.value(step.T @ step) - 1) <= 1e-10
        assert (
            abs(np.vdot(gradient(q), step) + np.sqrt(6 if len(q) == 6 else 2) * swref.dual_norm(gradient(q), gauge))
            <= 1e-9
        )


@pytest.mark.parametrize("gauge", ["trace", "operator", get_gauge("schatten", p=2), get_gauge("kyfan", k=2)])
@pytest.mark.parametrize("blocks", ["sum", "max"])
def test_blocks_add_their_scales_or_share_one_clock(gauge, blocks):
    """Against swref's block gauges of the matrices written side by side."""
    p = matrices((5, 3), (5, 2))
    J = swref.lmo(np.hstack([gradient(q) for q in p]), get_gauge(f"block-{blocks}", blocks=[3, 2], gauge=gauge))
    assert np.abs(np.hstack(moved(p, gauge=gauge, blocks=blocks)) - J).max() <= 1e-11 * np.abs(J).max()


def test_momentum_nesterov_and_weight_decay_by_hand():
    options = {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}
    (p,) = matrices((4, 3))
    theta, B = p.detach().clone().numpy(), np.zeros((4, 3))
    optimizer = SpectralDescent([p], "operator", lr=0.05, **options)
    for seed in range(4):
        g = np.random.default_rng(seed).standard_normal((4, 3))
        p.grad = torch.from_numpy(g)
        optimizer.step()
        B = B + 0.2 * (g - B)
        theta = theta * (1 - 0.05 * 0.1) + 0.05 * swref.lmo(g + 0.8 * (B - g), "operator")
    assert np.abs(p.detach().numpy() - theta).max() <= 1e-13


def test_the_trace_gauge_is_gradient_descent():
    one, two = matrices((4, 3), (4, 3)), matrices((4, 3), (4, 3))
    ours, theirs = SpectralDescent(one, "trace", lr=0.1), torch.optim.SGD(two, lr=0.1)
    for optimizer in (ours, theirs):
        optimizer.step()
    assert all(torch.allclose(p, q, rtol=0, atol=1e-15) for p, q in zip(one, two, strict=True))


# -- torch.optim.Muon -------------------------------------------------------------------------------------------------


def model(dtype, seed=0):
    """A small real model with wide, tall and square matrices."""
    torch.manual_seed(seed)
    sizes = [(8, 16), (16, 16), (16, 4)]
    layers = [layer for pair in sizes for layer in (torch.nn.Linear(*pair, bias=False), torch.nn.Tanh())]
    return torch.nn.Sequential(*layers[:-1]).to(dtype)


def train(make, dtype, steps=50):
    """The parameters after every step."""
    net = model(dtype)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn((64, 8), generator=generator).to(dtype)
    targets = torch.sin(3 * inputs[:, :4])
    optimizer, path = make(net.parameters()), []
    for _ in range(steps):
        optimizer.zero_grad()
        ((net(inputs) - targets) ** 2).mean().backward()
        optimizer.step()
        path.append([p.detach().clone() for p in net.parameters()])
    return path


CASES = [
    (dtype, adjust, nesterov)
    for dtype in (torch.float32, torch.float64, torch.bfloat16)
    for adjust in (None, "original", "match_rms_adamw")
    for nesterov in (True, False)
    # Without Nesterov, PyTorch 2.13 normalizes a bfloat16 momentum buffer in place: `bfloat16()` makes no copy of it.
    if nesterov or dtype != torch.bfloat16
]


@pytest.mark.parametrize("dtype, adjust, nesterov", CASES)
def test_fifty_steps_are_those_of_muon(dtype, adjust, nesterov):
    """Bit for bit, in every dtype: the same operations in the same order."""
    options = {"lr": 0.02, "momentum": 0.95, "nesterov": nesterov, "weight_decay": 0.1, "adjust_lr_fn": adjust}
    theirs = train(lambda p: torch.optim.Muon(p, **options), dtype)
    ours = train(lambda p: SpectralDescent(p, orthogonalize="newton-schulz", scale="torch", **options), dtype)
    largest = max(
        float((a - b).abs().max()) for A, B in zip(ours, theirs, strict=True) for a, b in zip(A, B, strict=True)
    )
    assert largest == 0
    assert all(not torch.equal(a, b) for a, b in zip(ours[-1], ours[0], strict=True))


def test_newton_schulz_in_bfloat16_is_that_of_numpy_to_its_precision():
    (p,) = matrices((7, 5))
    p.detach().zero_()
    (step,) = moved([p], orthogonalize="newton-schulz", scale="unit")
    exact = newton_schulz(gradient(p), 5, "quintic")
    assert np.abs(step + exact).max() <= 30 * torch.finfo(torch.bfloat16).eps * np.abs(exact).max()


def test_the_dual_norm_of_newton_schulz_is_adaptive_muon():
    """<U, O> O, as optax does with adaptive=True: the LMO up to the error of five quintic steps."""
    (p,) = matrices((7, 5))
    p.detach().zero_()
    (step,) = moved([p], orthogonalize="newton-schulz")
    O = newton_schulz(gradient(p), 5, "quintic")
    wanted = -np.vdot(gradient(p), O) * O
    assert np.abs(step - wanted).max() <= 0.05 * np.abs(wanted).max()
    s = np.linalg.svd(step, compute_uv=False) / np.linalg.norm(gradient(p), "nuc")
    assert 0.68**2 <= s.min() < s.max() <= 1.13**2 * 1.05


def test_the_exact_step_with_the_scale_of_torch():
    (p,) = matrices((7, 5))
    p.detach().zero_()
    U, _, Wt = np.linalg.svd(gradient(p), full_matrices=False)
    for adjust, ratio in ((None, np.sqrt(7 / 5)), ("match_rms_adamw", 0.2 * np.sqrt(7))):
        with torch.no_grad():
            p.zero_()
        (step,) = moved([p], scale="torch", adjust_lr_fn=adjust)
        assert np.abs(step + ratio * U @ Wt).max() <= 1e-12


# -- a torch.optim.Optimizer ------------------------------------------------------------------------------------------


def test_groups_have_options_of_their_own():
    one, two = matrices((4, 3), (4, 3))
    before = [q.detach().clone() for q in (one, two)]
    groups = [{"params": [one], "gauge": "trace"}, {"params": [two], "lr": 0.5}]
    SpectralDescent(groups, "operator", lr=0.1).step()
    steps = [(q.detach() - old).numpy() for q, old in zip((one, two), before, strict=True)]
    assert np.allclose(steps[0], 0.1 * swref.lmo(gradient(one), "trace"))
    assert np.allclose(steps[1], 0.5 * swref.lmo(gradient(two), "operator"))


@pytest.mark.parametrize("gauge", ["operator", get_gauge("kyfan", k=2)])
def test_a_state_dict_continues_the_run(gauge, tmp_path):
    def make(p):
        return SpectralDescent(p, gauge, lr=0.05, momentum=0.9)

    def run(optimizer, p, steps):
        for seed in steps:
            p.grad = torch.from_numpy(np.random.default_rng(seed).standard_normal(p.shape))
            optimizer.step()

    (p,) = matrices((4, 3))
    optimizer = make([p])
    run(optimizer, p, range(3))
    torch.save([p.detach(), optimizer.state_dict()], tmp_path / "state.pt")
    run(optimizer, p, range(3, 6))

    other, state = torch.load(tmp_path / "state.pt", weights_only=isinstance(gauge, str))
    other.requires_grad_()
    again = SpectralDescent([other], "trace", lr=1.0)
    again.load_state_dict(state)
    run(again, other, range(3, 6))
    assert torch.equal(p, other)


def test_closures_schedulers_and_parameters_without_gradient():
    p, idle = matrices((4, 3), (4, 3))
    idle.grad = None
    before = idle.detach().clone()
    optimizer = SpectralDescent([p, idle], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(5):
        losses.append(float(optimizer.step(closure).detach()))
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.1 * 0.5**5
    assert (np.diff(losses) < 0).all()
    assert torch.equal(idle.detach(), before)


def test_vectors_and_filters_are_flattened_when_asked():
    bias, filters = matrices((5,), (4, 3, 2, 2))
    for p in (bias, filters):
        with pytest.raises(ValueError, match=r"^params: expected matrices, got shape .*flatten=True"):
            SpectralDescent([p], lr=0.1)
    steps = moved([bias, filters], flatten=True)
    assert np.allclose(steps[0], -gradient(bias))
    assert np.allclose(steps[1].reshape(4, -1), swref.lmo(gradient(filters).reshape(4, -1), "operator"))


def test_bfloat16_parameters_step_in_single_precision():
    (p,) = matrices((6, 4), dtype=torch.bfloat16)
    p.detach().zero_()
    (step,) = moved([p], gauge=get_gauge("schatten", p=2))
    J = swref.lmo(gradient(p), get_gauge("schatten", p=2))
    assert np.abs(step - J).max() <= 2 * torch.finfo(torch.bfloat16).eps * np.abs(J).max()


WRONG = {
    "lr": {"lr": 0.0},
    "momentum": {"lr": 0.1, "momentum": 1.0},
    "weight_decay": {"lr": 0.1, "weight_decay": -1.0},
    "scale": {"lr": 0.1, "scale": "long"},
    "orthogonalize": {"lr": 0.1, "orthogonalize": "newton-schulz", "gauge": "trace"},
    "blocks": {"lr": 0.1, "blocks": "mean"},
    "adjust_lr_fn": {"lr": 0.1, "adjust_lr_fn": "none"},
    "gauge": {"lr": 0.1, "gauge": "nothing"},
    "k": {"lr": 0.1, "gauge": get_gauge("kyfan", k=9)},
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_options_are_named(name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        SpectralDescent(matrices((4, 3)), **WRONG[name])


def test_a_gauge_of_other_columns_and_a_bad_second_group_are_refused():
    p, q = matrices((4, 3), (4, 2))
    gauge = get_gauge("block-max", blocks=[1, 2])
    with pytest.raises(ValueError, match="accepts d = 3 only, got d = 2"):
        SpectralDescent([p, q], gauge, lr=0.1)
    optimizer = SpectralDescent([p], gauge, lr=0.1)
    with pytest.raises(ValueError, match="accepts d = 3"):
        optimizer.add_param_group({"params": [q]})
    assert len(optimizer.param_groups) == 1


def test_sparse_gradients_and_complex_parameters_are_refused():
    (p,) = matrices((4, 3))
    p.grad = p.grad.to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        SpectralDescent([p], lr=0.1).step()
    with pytest.raises(ValueError, match="^params: expected real"):
        SpectralDescent([torch.zeros((2, 2), dtype=torch.complex64, requires_grad=True)], lr=0.1)


# -- the distance as a loss -------------------------------------------------------------------------------------------


def clouds(seed=0, n=6, m=5, d=2):
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn((k, d), generator=generator, dtype=torch.float64) for k in (n, m))
    weights = [torch.randn(k, generator=generator, dtype=torch.float64) for k in (n, m)]
    return x.requires_grad_(), (2 * y + 1).requires_grad_(), *(w.requires_grad_() for w in weights)


@pytest.mark.parametrize("gauge", ["trace", get_gauge("schatten", p=2), get_gauge("linear", Q0=[[2, 1], [1, 3]])])
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_are_those_of_finite_differences(gauge, seed):
    """Where plan and metric are unique: 1 <= p < inf and clouds in general position."""
    x, y, u, v = clouds(seed)

    def loss(x, y, u, v):
        return spectral_distance(x, y, gauge, u.softmax(0), v.softmax(0), tol=1e-12, strict=False)

    assert torch.autograd.gradcheck(loss, (x, y, u, v), eps=1e-5, atol=1e-5, rtol=1e-4)
    assert torch.autograd.gradcheck(lambda x: spectral_distance(x, y, gauge, tol=1e-12, strict=False), (x,), atol=1e-5)


def test_the_value_is_that_of_transport_in_the_type_of_x():
    x, y, u, v = clouds()
    a, b = u.softmax(0).detach(), v.softmax(0).detach()
    loss = spectral_distance(x.float(), y, "operator", a.float(), b)
    exact = swref.transport(x.detach().float(), y.detach(), "operator", a.float(), b).squared_distance
    assert loss.dtype == torch.float32
    assert loss.shape == ()
    assert abs(loss.item() - exact) <= EPS32 * exact
    (2 * loss).backward()
    gradient = swref.transport(x.detach().float(), y.detach(), "operator", a.float(), b).gradient()[0]
    assert np.allclose(x.grad, 2 * gradient, rtol=1e-5, atol=1e-6)


def test_the_gradient_in_the_weights_does_not_ask_for_more_mass():
    """The distance is that of a / sum(a): of degree zero in a."""
    x, y, u, v = clouds()
    a, b = (w.softmax(0).detach().requires_grad_() for w in (u, v))
    spectral_distance(x, y, "operator", a, b).backward()
    for w in (a, b):
        assert abs(w @ w.grad) <= 100 * EPS * w.grad.abs().max() < 1
        assert w.grad.abs().max() > 0.1


def test_descent_on_the_distance_brings_the_clouds_together():
    x, y, _, _ = clouds(n=5, m=5)
    optimizer = torch.optim.SGD([x], lr=0.5)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = spectral_distance(x, y.detach(), "trace")
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0]


def test_what_is_no_tensor_is_refused_and_what_is_missed_raises():
    x, y, _, _ = clouds()
    with pytest.raises(ValueError, match="^y: expected a tensor, got ndarray"):
        spectral_distance(x, y.detach().numpy(), "trace")
    with pytest.raises(swref.NotConverged):
        spectral_distance(x, y, "operator", max_iter=1, tol=1e-12)


# -- the package ------------------------------------------------------------------------------------------------------


def test_importing_swref_imports_no_torch():
    program = "import sys, swref; assert 'torch' not in sys.modules; import swref.optim; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_the_example_of_the_api_page_runs():
    """It needs PyTorch, so it is not among the doctests of the page."""
    page = (Path(__file__).parents[1] / "book" / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(import torch\n.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    names = {}
    exec(compile(code, "api.md", "exec"), names)
    assert {"SpectralDescent", "spectral_distance"} <= set(names)
    assert names["loss"].item() < 0.1  # from about 18


def test_all_gauges_were_tried():
    assert {gauge_class(name) for name in GAUGES} == {gauge_class(name) for name in swref.list_gauges()}
