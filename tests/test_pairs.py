"""Distances of many pairs: whatever the executor, whatever stops them."""

import functools
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from strategies import TwoFunctions

import swref
from swref import NotConverged, get_gauge, pairwise, transport
from swref.clouds import pairs
from swref.clouds.pairs import FIELDS

OPERATOR = get_gauge("operator")
CLOUDS = [np.random.default_rng(k).standard_normal((4 + k, 3)) + k for k in range(6)]
OTHERS = [np.random.default_rng(9 + k).standard_normal((5, 3)) for k in range(3)]
WEIGHTS = [None, *(np.random.default_rng(k).random(4 + k) for k in range(1, 6))]
WEIGHTS[1:] = [w / w.sum() for w in WEIGHTS[1:]]


def same(one, two):
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in FIELDS)


def test_each_entry_is_transport_alone():
    result = pairwise(CLOUDS, OPERATOR, others=OTHERS, weights=WEIGHTS)
    assert result.distance.shape == (6, 3)
    for i, j in np.ndindex(6, 3):
        alone = transport(CLOUDS[i], OTHERS[j], OPERATOR, WEIGHTS[i])
        for name in FIELDS:
            assert getattr(result, name)[i, j] == getattr(alone, name)
        assert result.relative_gap[i, j] == pytest.approx(alone.relative_gap)
    assert (result.squared_distance == result.upper_bound).all()
    assert "18 pairs: the bounds meet the tolerance" in repr(result)


def test_pairs_of_one_list_are_symmetric_and_solved_once(monkeypatch):
    calls = []
    monkeypatch.setattr(pairs, "transport", lambda *args, **kw: calls.append(args) or transport(*args, **kw))
    result = pairwise(CLOUDS, "trace")
    assert len(calls) == 15
    assert (result.distance == result.distance.T).all()
    assert (np.diag(result.distance) == 0).all()
    assert (np.diag(result.relative_gap) == 0).all()
    # the triangle inequality of a distance, to the accuracy of the bounds
    D = result.distance
    assert (D[:, None] <= (D[:, :, None] + D[None]).min(1)[:, None] * (1 + 1e-6)).all()
    assert pairwise(CLOUDS[:1], "trace").distance.tolist() == [[0.0]]


PROCESSES = functools.partial(ProcessPoolExecutor, mp_context=get_context("spawn"))  # forks warn where threads run


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, PROCESSES])
def test_every_executor_gives_the_same_bits(pool, monkeypatch):
    monkeypatch.setattr(pairs, "CHUNKS", 4)
    gauge = TwoFunctions(get_gauge("schatten", p=2))
    alone = pairwise(CLOUDS, gauge, weights=WEIGHTS)
    with pool(2) as executor:
        assert same(alone, pairwise(CLOUDS, gauge, weights=WEIGHTS, executor=executor))


class Breaking:
    """An executor that runs a call at once, and breaks after some."""

    def __init__(self, calls, error):
        self.calls, self.error, self.done = calls, error, 0

    def submit(self, function, *args):
        future = Future()
        self.done += 1
        if self.done > self.calls:
            future.set_exception(self.error)
        else:
            future.set_result(function(*args))
        return future


def test_nothing_finished_is_lost_and_the_rest_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "CHUNKS", 5)
    with pytest.raises(OSError, match="a worker died"):
        pairwise(CLOUDS, OPERATOR, save=tmp_path / "all", executor=Breaking(2, OSError("a worker died")))
    with np.load(tmp_path / "all.npz") as file:
        finished = (file["status"] == "converged").sum()
    assert finished == 6 + 2 * 6  # the diagonal, and two chunks of three pairs in both triangles
    calls = []
    monkeypatch.setattr(pairs, "transport", lambda *args, **kw: calls.append(args) or transport(*args, **kw))
    result = pairwise(CLOUDS, OPERATOR, save=tmp_path / "all.npz")
    assert len(calls) == 9
    assert same(result, pairwise(CLOUDS, OPERATOR))
    assert [path.name for path in tmp_path.iterdir()] == ["all.npz"]


def test_ctrl_c_keeps_what_is_done(tmp_path):
    with pytest.raises(NotConverged, match="entries missed tol") as caught:
        pairwise(CLOUDS, OPERATOR, save=tmp_path / "some", executor=Breaking(4, KeyboardInterrupt()))
    result = caught.value.result
    assert (result.status == "interrupted").sum() == 2 * 11
    missing = result.status == "interrupted"
    assert np.isinf(result.distance[missing]).all()
    assert (result.lower_bound[missing] == 0).all()
    assert (result.relative_gap[missing] == 1).all()
    assert same(result, pairwise(CLOUDS, OPERATOR, strict=False, executor=Breaking(4, KeyboardInterrupt())))
    assert same(pairwise(CLOUDS, OPERATOR, save=tmp_path / "some"), pairwise(CLOUDS, OPERATOR))


def test_ctrl_c_inside_a_pair_ends_the_call(monkeypatch):
    calls = []

    def interrupted(*args, **kwargs):
        result = transport(*args, **kwargs)
        calls.append(result)
        if len(calls) == 4:
            vars(result)["status"] = "interrupted"  # what transport returns after Ctrl-C
        return result

    monkeypatch.setattr(pairs, "transport", interrupted)
    result = pairwise(CLOUDS, OPERATOR, strict=False)
    assert len(calls) == 4
    assert (result.status == "converged").sum() == 6 + 2 * 3


def test_progress_counts_pairs_and_time_passes_between_saves(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pairs, "SAVE_EVERY", 0.0)
    stored = []
    monkeypatch.setattr(pairs, "store", lambda *args: stored.append(time.monotonic()))
    pairwise(CLOUDS, "trace", progress=True, save=tmp_path / "x")
    assert "15/15" in capsys.readouterr().err
    assert len(stored) == 17  # before the first pair, after each, and at the end


def test_pairs_that_miss_the_tolerance_are_named():
    with pytest.raises(NotConverged, match=r"entries missed tol = 1.0e-06, the first at \(0, 1\): the limit") as caught:
        pairwise(CLOUDS, OPERATOR, max_iter=1)
    result = caught.value.result
    assert (result.lower_bound <= result.upper_bound).all()
    assert (result.iterations[np.triu_indices(6, 1)] == 1).all()


def test_other_arguments_do_not_take_up_a_file(tmp_path):
    pairwise(CLOUDS, OPERATOR, save=tmp_path / "a")
    moved = [CLOUDS[0] + 1e-9, *CLOUDS[1:]]
    again = functools.partial(pairwise, save=tmp_path / "a")
    for call in (
        lambda: again(moved, OPERATOR), lambda: again(CLOUDS, "trace"), lambda: again(CLOUDS, OPERATOR, tol=1e-3),
        lambda: again(CLOUDS, OPERATOR, weights=WEIGHTS), lambda: again(CLOUDS, OPERATOR, others=CLOUDS),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="save: .* holds distances of other clouds"):
            call()
    np.savez(tmp_path / "b.npz", x=1)
    with pytest.raises(ValueError, match=r"save: .* another kind of file: .*key"):
        pairwise(CLOUDS, OPERATOR, save=tmp_path / "b")


def test_a_place_where_nothing_can_be_written_is_an_error_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "transport", None)
    with pytest.raises(FileNotFoundError):
        pairwise(CLOUDS, OPERATOR, save=tmp_path / "missing" / "a")


@pytest.mark.parametrize("bad", [3, True, b"a", ["a"], np.array("a")])
def test_names_of_files_are_text_or_paths(bad):
    with pytest.raises(ValueError, match="^save: expected the name of a file"):
        pairwise(CLOUDS, OPERATOR, save=bad)
    with pytest.raises(ValueError, match="^path: expected the name of a file"):
        swref.FlowResult.load(bad)


def spoilt(data):
    """Files that are not what was written: empty, cut, of text, with a byte turned."""
    return [b"", data[: len(data) // 2], b"distances", data[:200] + bytes([data[200] ^ 255]) + data[201:]]


def test_damaged_files_are_refused_by_name_and_left_alone(tmp_path):
    run = swref.flow(swref.energies.MMD(OTHERS[0]), CLOUDS[0], "trace", t_end=0.01, tol=0.1)
    for name, write, read in (
        ("save", lambda path: pairwise(CLOUDS, "trace", save=path), lambda path: pairwise(CLOUDS, "trace", save=path)),
        ("path", run.save, swref.FlowResult.load),
    ):
        write(path := tmp_path / f"{name}.npz")
        for data in spoilt(path.read_bytes()):
            path.write_bytes(data)
            with pytest.raises(ValueError, match=f"^{name}: .*{name}.npz is damaged, or another kind of file"):
                read(path)
            assert path.read_bytes() == data
        np.save(tmp_path / "array.npy", np.ones(3))
        (tmp_path / "array.npy").replace(path)
        with pytest.raises(ValueError, match=f"^{name}: .* another kind of file"):
            read(path)


BAD = {
    "clouds: expected a list": {"clouds": 3},
    "clouds: expected at least one": {"clouds": []},
    r"clouds\[1\]: expected": {"clouds": [np.eye(2), np.eye(3)]},
    r"others\[0\]: expected": {"others": [np.eye(2)]},
    r"clouds\[0\]: must be finite": {"clouds": [[[np.nan, 0, 0]]]},
    "weights: expected one for each of 6": {"weights": [None]},
    r"weights\[0\]: must sum": {"weights": [np.ones(4), *WEIGHTS[1:]]},
    "other_weights: go with others": {"other_weights": WEIGHTS},
    "other_weights: expected one for each of 3": {"others": OTHERS, "other_weights": WEIGHTS},
    "executor: expected None": {"executor": 3},
    "tol: ": {"tol": 2},
    "max_iter: ": {"max_iter": True},
    "gauge: unknown": {"gauge": "no such"},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_are_named(message):
    with pytest.raises(ValueError, match=message):
        pairwise(**{"clouds": CLOUDS, "gauge": OPERATOR} | BAD[message])


def test_a_client_of_dask_is_told_what_to_pass():
    class Client:
        def submit(self, function): ...

        def get_executor(self): ...

    with pytest.raises(ValueError, match=r"pass client.get_executor\(\)"):
        pairwise(CLOUDS, OPERATOR, executor=Client())


def test_a_faulty_gauge_is_named():
    class Faulty(swref.Gauge):
        def value(self, S):
            return -1.0

        def support(self, S):
            return np.eye(len(S))

    with pytest.raises(swref.GaugeError):
        pairwise(CLOUDS, Faulty())
