"""What a session has set: threads of BLAS, a place for compiled kernels. Answers do not depend on it."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import swref
from swref import get_gauge
from swref._session import ONE_THREAD, SMALL, one_thread_for, steady

BLAS = ThreadpoolController().select(user_api="blas")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 40)), RNG.normal(size=(50, 40))
S = X.T @ X / len(X)


HALF = np.exp(-np.linspace(0, 3, 24))
CTRL_C = {  # calls that spend nearly all of their time in compiled loops, and end in NotConverged
    "flow": lambda: swref.flow(swref.energies.MMD(RNG.normal(size=(2000, 2))), X[:, :2], "muon", t_end=10.0, tol=1e-8),
    "grid": lambda: swref.dynamic_transport(
        np.outer(HALF, HALF), np.outer(HALF[::-1], HALF), "muon", n_time=32, tol=1e-9, max_iter=10**6
    ),
    "clouds": lambda: swref.transport(*RNG.normal(size=(2, 400, 4)), "muon", tol=1e-13),
}


@pytest.fixture(scope="module")
def compiled():
    """The kernels that Python calls, each used once."""
    for n in (50, 1500):
        swref.transport(*RNG.normal(size=(2, n, 2)), "trace")
    swref.exact_transport(X[:, :3], X[:, :3] + 1e-9)
    swref.dynamic_transport(HALF, HALF[::-1], "trace", n_time=2, tol=0.5)
    swref.spherical_transport([1, 1], [2, 1], "trace", directions0=np.eye(2), directions1=np.eye(2))
    swref.energies.MMD(X).force(Y)
    swref.energies.Attention(X[None, :4], X[None, :4], 2).force(np.ones((2, 320)))


@pytest.mark.parametrize("name", CTRL_C)
def test_ctrl_c_in_a_compiled_loop_keeps_the_result(name, compiled):
    """A signal that comes while a kernel runs is seen when it returns: in Python code, and there it is Ctrl-C."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for seconds in (0.2, 0.25, 0.3, 0.35):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            with pytest.raises(swref.NotConverged) as caught:
                CTRL_C[name]()
            assert caught.value.result.status == "interrupted"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_no_kernel_returns_an_array(compiled):
    """Numba wraps one in Python code, where a Ctrl-C that came while the kernel ran would become a SystemError."""
    returned = {
        f"{module}.{name}": signature.return_type
        for module in list(sys.modules)
        if module.startswith("swref.") and module.endswith("kernels")
        for name, kernel in vars(sys.modules[module]).items()
        if isinstance(kernel, numba.core.dispatcher.Dispatcher)
        for signature in kernel.nopython_signatures
    }
    assert len(returned) > 20
    assert [name for name, kind in returned.items() if "array" in str(kind)] == []


def threads():
    return [library.num_threads for library in BLAS.lib_controllers]


@pytest.fixture
def two():
    """BLAS with two threads, as if the machine had them and nobody had said anything."""
    with BLAS.limit(limits=2):
        if set(threads()) != {2}:
            pytest.skip("this BLAS has one thread only")
        yield


class Watching(swref.Gauge):
    """The largest eigenvalue, and how many threads BLAS had when it was asked."""

    def __init__(self):
        self.seen = set()

    def value(self, S):
        self.seen |= set(threads())
        return np.linalg.eigvalsh(S)[-1]

    def support(self, S):
        self.seen |= set(threads())
        u = np.linalg.eigh(S)[1][:, -1]
        return np.outer(u, u)


RHO = np.exp(-((np.arange(5) - 1.5) ** 2))
SOLVERS = {
    "transport": lambda g: swref.transport(X[:, :3], Y[:, :3], g, tol=0.5),
    "speeds": lambda g: swref.geodesics.speeds(X[:2], X[:2], np.eye(2) / 2, g, [0, 1]),
    "solve": lambda g: swref.maxmin.solve(swref.gaussians.GaussianOracle(S, S, X[0]), g, tol=0.5, max_iter=2),
    "gaussian_transport": lambda g: swref.gaussian_transport(X[0], S, Y[0], S, g, tol=0.5, strict=False, max_iter=2),
    "moment_lower_bound": lambda g: swref.moment_lower_bound(X, Y, g, tol=0.9),
    "dynamic_transport": lambda g: swref.dynamic_transport(RHO, RHO[::-1], g, n_time=2, tol=0.5),
    "lmo": lambda g: swref.lmo(np.tile(X[:, :3], (20, 1)), g),
    "measure_lmo": lambda g: swref.measure_lmo(np.tile(X[:, :3], (20, 1)), g),
    "dual_norm": lambda g: swref.dual_norm(np.tile(X[:, :3], (20, 1)), g),
    "tangent_norm": lambda g: swref.tangent_norm(X, g),
    "descent_velocity": lambda g: swref.flows.descent_velocity(np.tile(X[:, :3], (20, 1)), g),
    "flow": lambda g: swref.flow(swref.energies.MMD(Y[:, :3]), np.tile(X[:, :3], (20, 1)), g, t_end=1e-3, tol=0.5),
    "polar": lambda g: g.polar(S[:3, :3]),
    "project": lambda g: g.project(S[:3, :3]),
    "measure_multiplier": lambda g: g.measure_multiplier(S[:3, :3]),
    "check_gauge": lambda g: swref.check_gauge(g, d=2),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_have_one_thread_of_blas_and_give_the_others_back(two, name):
    gauge = Watching()
    SOLVERS[name](gauge)
    assert gauge.seen == {1}
    assert set(threads()) == {2}


def test_energies_keep_the_threads_of_the_session(two):
    seen = set()

    class Energy:
        def value(self, x, weights):
            seen.update(threads())
            return 0.5 * float((x**2).sum(1) @ weights)

        def force(self, x, weights):
            seen.update(threads())
            return x

    swref.flow(Energy(), X, "trace", t_end=0.1)
    assert seen == {2}


def test_errors_give_the_threads_back(two):
    class Broken(Watching):
        def support(self, S):
            raise KeyError("mine")

    with pytest.raises(KeyError):
        swref.gaussian_transport(X[0], S, Y[0], S, Broken())
    assert set(threads()) == {2}


def test_the_last_of_overlapping_calls_gives_the_threads_back(two):
    """threadpoolctl's own context would leave one thread: the second call finds one, and sets it back last."""
    entered, leave = threading.Event(), threading.Event()

    @steady
    def long():
        entered.set()
        leave.wait(10)

    other = threading.Thread(target=long)
    with ONE_THREAD:
        other.start()
        entered.wait(10)
        with ONE_THREAD:
            assert set(threads()) == {1}
    assert set(threads()) == {1}
    leave.set()
    other.join()
    assert set(threads()) == {2}


def test_small_matrices_do_not_even_ask(two):
    with one_thread_for(np.zeros(SMALL)):
        assert set(threads()) == {2}
    with one_thread_for(np.zeros(SMALL + 1)):
        assert set(threads()) == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_enters_does_not_lock_the_child():
    with ONE_THREAD._lock:  # as if that other thread held it
        child = os.fork()
        if child == 0:
            signal.alarm(5)  # which ends it, if the lock does not open
            with ONE_THREAD:
                os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# -- compiled kernels -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="permissions are another matter there")
def test_kernels_run_where_no_cache_can_be_written(tmp_path):
    """A read-only installation, a home that is not writable: containers, clusters."""
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    home, library = tmp_path / "home", tmp_path / "lib"
    home.mkdir()
    package = pathlib.Path(swref.__file__).parent
    shutil.copytree(package, library / "swref", ignore=shutil.ignore_patterns("__pycache__"))
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    code = (
        "import swref, numpy as np; print(swref.__file__, swref.transport(np.eye(2), np.ones((3, 2)), 'trace').status)"
    )
    everything = [*tmp_path.rglob("*"), tmp_path]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        done = subprocess.run(
            [*rights, sys.executable, "-c", code], env=kept | {"HOME": str(home), "PYTHONPATH": str(library)},
            cwd="/", capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
    finally:
        for path in reversed(everything):
            path.chmod(path.stat().st_mode | 0o200)
    assert done.stdout == f"{library / 'swref' / '__init__.py'} converged\n", done.stderr
    assert not list(library.rglob("*.nbi"))


def test_kernels_are_cached_where_a_cache_can_be_written(tmp_path):
    code = "import swref, numpy as np; swref.transport(np.eye(2), np.ones((3, 2)), 'trace')"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=200)
    assert list(tmp_path.rglob("*.nbi"))


def test_a_large_gauge_is_the_same_with_any_number_of_threads(two):
    for gauge in (get_gauge("operator"), get_gauge("schatten", p=3)):
        many = gauge.value(S)
        with ONE_THREAD:
            assert gauge.value(S) == pytest.approx(many, rel=1e-13)
