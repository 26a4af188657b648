"""All combinations of an experiment's settings, wherever they run and whatever stops them."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import swref
from swref.experiments import mmd
from swref.experiments.sweep import sweep

CALLS = []


def power(base, exponent):
    CALLS.append((base, exponent))
    if base == 3 and exponent == FAIL:
        raise OSError("a worker died")
    return base**exponent


FAIL = None


def test_every_combination_is_called_once_and_in_order():
    CALLS.clear()
    found = sweep(power, base=[2, 3], exponent=range(3))
    assert list(found.items()) == [((2, 0), 1), ((2, 1), 2), ((2, 2), 4), ((3, 0), 1), ((3, 1), 3), ((3, 2), 9)]
    assert list(found) == CALLS


def test_what_is_finished_is_kept_and_the_rest_is_taken_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(globals(), "FAIL", 1)
    CALLS.clear()
    with pytest.raises(OSError, match="a worker died"):
        sweep(power, base=[2, 3], exponent=range(3), save=tmp_path / "powers")
    assert len(CALLS) == 5
    monkeypatch.setitem(globals(), "FAIL", None)
    CALLS.clear()
    found = sweep(power, base=[2, 3], exponent=range(4), save=tmp_path / "powers", progress=True)
    assert CALLS == [(2, 3), (3, 1), (3, 2), (3, 3)]
    assert list(found) == [(b, e) for b in (2, 3) for e in range(4)]
    assert all(found[b, e] == b**e for b, e in found)
    assert "8/8" in capsys.readouterr().err
    assert not list((tmp_path / "powers").glob(".*"))


def test_gauges_and_seeds_of_a_figure_through_a_pool():
    gauges = [swref.get_gauge("trace"), swref.get_gauge("operator")]
    account = sweep(_account, gauge=gauges, seed=[0, 1])
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:  # forks warn where threads run
        pooled = sweep(_account, gauge=gauges, seed=[0, 1], executor=executor)
    assert list(pooled) == list(account)
    for key, rows in account.items():
        np.testing.assert_allclose(pooled[key], rows, rtol=1e-9)  # sums of the energy may be reordered
    assert not np.array_equal(account[gauges[0], 0], account[gauges[0], 1])


def _account(gauge, seed):
    return mmd.account(gauge, [1e-2], seed=seed, particles=8, horizon=1.0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda path: sweep(power), "axes: expected at least one"),
        (lambda path: sweep(power, executor=1, base=[1]), "executor: expected None"),
        (lambda path: sweep(power, save=path, base=["a/b"], exponent=[1]), "axes: save needs settings with short"),
    ],
)
def test_bad_arguments_are_named(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
