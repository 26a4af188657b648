"""The experiment on digits: its data, a run against a plain loop, and what the stored run says."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make torch)")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (make torch)")

from swref.experiments import digits  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from figures import load  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_sets_are_disjoint_and_complete():
    sets = digits.data(seed=3)
    assert [len(x) for x, _ in sets] == [1000, 397, 400]
    everything = np.sort(np.concatenate([x.numpy() for x, _ in sets]).sum(1))
    again = np.sort(np.concatenate([x.numpy() for x, _ in digits.data(seed=4)]).sum(1))
    assert np.allclose(everything, again)
    assert not torch.equal(sets[0][0], digits.data(seed=4)[0][0])
    assert all(0 <= x.min() and x.max() == 1 for x, _ in sets)


def test_gradient_descent_on_digits_by_a_plain_loop():
    lr, seed, steps = 0.5, 1, 40
    run = digits.train("mlp", "p = 1", [lr], seeds=[seed], budget=steps)
    (x, y), _, (unseen, answers) = digits.data(seed)
    torch.manual_seed(seed)
    net, rng = digits.MLP(), np.random.default_rng([seed, 1])
    averages = [torch.zeros_like(w) for w in net.parameters()]
    for _ in range(steps):
        i = torch.from_numpy(rng.choice(1000, 100, replace=False))
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x[i]), y[i]).backward()
        with torch.no_grad():
            for w, B in zip(net.parameters(), averages, strict=True):
                B += 0.1 * (w.grad - B)
                w -= lr * B
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(net(x), y).item()
        wrong = (net(unseen).argmax(1) != answers).float().mean().item()
    assert run.steps.tolist() == [0, 20, 40]
    assert abs(run.loss[0, 0, -1, 0] - loss) <= 1e-5 * loss
    assert abs(run.error[0, 0, -1, 2] - wrong) <= 1e-6
    assert (np.diff(run.loss[0, 0, :, 0]) < 0).all()


@pytest.mark.parametrize("model", digits.MODELS)
@pytest.mark.parametrize("method", digits.METHODS)
def test_every_method_learns_and_a_run_can_be_repeated(model, method):
    middle = digits.lengths(model, method)[8:9]
    one, two = (digits.train(model, method, middle, seeds=[0], budget=60) for _ in range(2))
    assert np.array_equal(one.loss, two.loss)
    assert one.loss[0, 0, -1, 0] < 0.7 * one.loss[0, 0, 0, 0]
    assert one.best() == 0


def test_steps_that_are_too_long_are_recorded_as_such():
    run = digits.train("mlp", "block-max", [0.01, 1e4], seeds=[0], budget=60)
    assert run.loss[1, 0, -1].max() > 2
    assert np.isfinite(run.loss).all()
    assert run.best() == 0
    assert (run.when(1e-9) == -1).all()
    first = run.when(run.loss[0, 0, 2, 0])
    assert first[0, 0] == run.steps[2]
    assert first[0, 1] == run.loss[0, 0, 2, 2]


@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_network_is_trained_as_by_muon(dtype, adjust):
    assert digits.muon_difference(dtype, adjust, steps=20) == 0


def test_the_stored_run_is_one_of_these():
    """Its last losses at the best length, for one seed, come out again."""
    stored = load("digits").numbers
    for model in digits.MODELS:
        found = stored[model]["p = ∞"]
        run = digits.train(model, "p = ∞", [found["train"]["length"]], seeds=[0])
        assert np.allclose(run.loss[0, 0, :10, 0], found["curve"][0][:10], rtol=0.05)
