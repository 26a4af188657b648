"""Distances and sweeps on a real cluster of processes, one of which is killed."""

import doctest
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'swref[dask]'")

import swref  # noqa: E402
from swref.clouds.pairs import FIELDS  # noqa: E402
from swref.experiments.sweep import sweep  # noqa: E402

# Dask itself warns of ports in use, of sockets that it closes late, and of slow events on a busy machine.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.slow]
CLOUDS = [np.random.default_rng(k).standard_normal((30, 3)) for k in range(12)]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def square(seed):
    return seed**2, os.getpid()


def test_the_cluster_gives_the_same_bits_although_a_worker_dies(client, tmp_path):
    alone = swref.pairwise(CLOUDS, "operator")
    pids = client.run(os.getpid)
    executor, killed = client.get_executor(), []

    class Killing:
        """Kills a worker when half of the chunks are on their way."""

        def submit(self, *args):
            killed.append(1)
            if len(killed) == 32:
                time.sleep(0.5)  # until it is at work
                os.kill(next(iter(pids.values())), signal.SIGKILL)
            return executor.submit(*args)

    pooled = swref.pairwise(CLOUDS, "operator", executor=Killing(), save=tmp_path / "pairs")
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(pooled, name), getattr(alone, name))
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != set(pids.values())  # one of them is new


class Few:
    """Draws ten points where the README draws 300: its lines are tried, not its patience."""

    rng = np.random.default_rng(0)

    def normal(self, size):
        return self.rng.standard_normal((10, size[1]))


def test_the_lines_of_the_readme_run(tmp_path, monkeypatch):
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```pycon\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"swref": swref, "rng": Few()}
    runner, told = doctest.DocTestRunner(), []
    test = doctest.DocTestParser().get_doctest(lines, names, "README", None, 0)
    try:
        assert not runner.run(test, out=told.append, clear_globs=False).failed, "".join(told)
        assert (tmp_path / "distances.npz").exists()
    finally:
        test.globs["client"].close()
        test.globs["client"].cluster.close()


def test_a_sweep_runs_on_the_cluster(client):
    found = sweep(square, seed=range(6), executor=client.get_executor())
    assert [value for value, _ in found.values()] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {pid for _, pid in found.values()}


def test_a_client_is_told_apart_from_its_executor(client):
    with pytest.raises(ValueError, match=r"pass client.get_executor\(\)"):
        swref.pairwise(CLOUDS, "trace", executor=client)
