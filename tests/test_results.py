"""Results in other people's programs: compared, hashed, pickled, sent between processes, written to disk."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import swref
from swref import FlowResult, NotConverged
from swref.maxmin import solve

RNG = np.random.default_rng(0)
X, Y, S = RNG.normal(size=(9, 3)), RNG.normal(size=(8, 3)), np.diag([3.0, 2.0, 1.0])
RHO = np.exp(-((np.arange(6) - 2.0) ** 2))
MMD = swref.energies.MMD(Y)

RESULTS = {
    "transport": lambda **k: swref.transport(X, Y, "muon", **k),
    "gaussian": lambda **k: swref.gaussian_transport(X[0], S, X[1], S @ S, "muon", **k),
    "dynamic": lambda **k: swref.dynamic_transport(RHO, RHO[::-1], "muon", n_time=2, **k),
    "flow": lambda **k: swref.flow(
        MMD, X, "muon", t_end=0.1, **{name: v for name, v in k.items() if name != "max_iter"}
    ),
    "solution": lambda **k: solve(swref.gaussians.GaussianOracle(S, S @ S, X[0]), "muon", tol=1e-3, max_iter=9),
}
MISSED = {  # the tolerance is out of reach
    "transport": lambda: swref.transport(X, Y, "muon", tol=1e-14, max_iter=2),
    "gaussian": lambda: RESULTS["gaussian"](tol=1e-14, max_iter=1),
    "dynamic": lambda: RESULTS["dynamic"](tol=1e-9, max_iter=1),
    "flow": lambda: RESULTS["flow"](max_steps=1, tol=1e-6),
}


def missed(name):
    with pytest.raises(NotConverged) as caught:
        MISSED[name]()
    return caught.value


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_equal_to_themselves_only(name):
    result = RESULTS[name]()
    again = copy.deepcopy(result)
    assert result == result
    assert result != again
    assert result in [again, result]
    assert again not in [result]
    assert len({result, again, result}) == 2
    assert hash(result) == hash(result)


@pytest.mark.parametrize("name", MISSED)
def test_not_converged_survives_pickling_with_its_result(name):
    error = missed(name)
    error.add_note("seen by Ada")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is NotConverged
        assert str(again) == str(error)
        assert again.__notes__ == ["seen by Ada"]
        for field, value in vars(error.result).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(again.result, field), value)
        assert repr(again.result) == repr(error.result)


def test_a_subclass_of_not_converged_survives_pickling():
    error = Late("late", missed("gaussian").result)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is Late
    assert again.result.upper_bound == error.result.upper_bound


class Late(NotConverged):
    """Somebody's own."""


@pytest.mark.parametrize("call", ["multiprocessing", "joblib"])
def test_a_pool_hands_not_converged_over_and_goes_on(tmp_path, call):
    """In a fresh interpreter with a time limit: an exception that cannot be unpickled makes Pool.map wait for ever."""
    code = """
import sys, numpy as np, swref
def job(i):
    rng = np.random.default_rng(i)
    return swref.transport(rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), "muon", tol=1e-14, max_iter=3).distance
def pools():
    if sys.argv[1] == "joblib":
        from joblib import Parallel, delayed
        return Parallel(2)(delayed(job)(i) for i in range(3))
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(job, range(3))
if __name__ == "__main__":
    try:
        pools()
    except swref.NotConverged as error:
        print("caught", 0 < error.result.lower_bound <= error.result.upper_bound)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    run = subprocess.run([sys.executable, script, call], capture_output=True, text=True, timeout=100, check=False)
    assert run.stdout == "caught True\n", run.stderr


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run", "run.npz", "run.v1", "run.1e-3", ".hidden"])
def test_save_and_load_agree_on_the_name(tmp_path, name):
    result = RESULTS["flow"]()
    for path in (tmp_path / name, str(tmp_path / name)):
        result.save(path)
        again = FlowResult.load(path)
        np.testing.assert_array_equal(again.positions, result.positions)
        assert (again.gauge, again.status) == (result.gauge, result.status)
        assert repr(again) == repr(result)
    (file,) = tmp_path.iterdir()
    assert file.name == name.removesuffix(".npz") + ".npz"
    with np.load(file) as content:  # a file like any other
        assert set(content.files) == set(FlowResult.__dataclass_fields__)


def test_a_save_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    result, path = RESULTS["flow"](), tmp_path / "run.npz"
    result.save(path)
    before = path.read_bytes()

    def half(file, **arrays):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", half)
    with pytest.raises(KeyboardInterrupt):
        result.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_replaces_the_file_in_one_step(tmp_path):
    """Whoever has the old file open, as a hard link has, goes on reading the old one."""
    result, path, old = RESULTS["flow"](), tmp_path / "run.npz", tmp_path / "old.npz"
    result.save(path)
    os.link(path, old)
    RESULTS["flow"](weights=np.arange(1, 10) / 45).save(path)
    np.testing.assert_array_equal(FlowResult.load(old).weights, result.weights)
    assert (FlowResult.load(path).weights != result.weights).any()


def test_a_file_that_is_not_there_is_named_as_it_would_be_saved(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.npz"):
        FlowResult.load(tmp_path / "run")


def test_a_saved_run_names_its_gauge_with_all_that_tells_it_from_others():
    gauges = [swref.get_gauge("block-max", blocks=[1, 2], scales=scales) for scales in ([1, 1], [1, 0.5])]
    gauges += [swref.get_gauge("linear", Q0=M) for M in (S, S[::-1, ::-1])]
    gauges += [swref.get_gauge("trace").congruence(M) for M in (S, S[::-1, ::-1])]
    names = {swref.flow(MMD, X, gauge, t_end=0.01, tol=0.1).gauge for gauge in gauges}
    assert len(names) == len(gauges)
