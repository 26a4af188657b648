"""The engine with oracles whose answers are known: it must not know what an oracle is made of."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linprog
from strategies import TwoFunctions

import swref
from swref.maxmin import call_limit, solve

OPERATOR, FROBENIUS = swref.get_gauge("operator"), swref.get_gauge("schatten", p=2)


class FiniteOracle:
    """The least <Q, S_k> over finitely many moments: a matrix game."""

    def __init__(self, moments):
        self.moments, self.dimension, self.calls = moments, moments.shape[1], 0

    def evaluate(self, Q):
        self.calls += 1
        costs = np.tensordot(self.moments, Q, 2)
        k = int(np.argmin(costs))
        return costs[k], self.moments[k], k


def moments(k, d, seed=0):
    A = np.random.default_rng(seed).standard_normal((k, d, d))
    return A @ A.transpose(0, 2, 1)


class DiagonalMax(swref.Gauge):
    """max_i S_ii: polyhedral on diagonal matrices, so the game is a linear program."""

    def value(self, S):
        return float(np.diag(S).max())

    def support(self, S):
        return np.diag((np.arange(len(S)) == np.argmax(np.diag(S))).astype(float))


def test_a_polyhedral_game_agrees_with_linear_programming():
    """min over mixtures of the largest diagonal entry, by HiGHS."""
    S = moments(12, 4)
    M = np.diagonal(S, axis1=1, axis2=2)
    program = linprog(
        np.append(np.zeros(12), 1), A_ub=np.c_[M.T, -np.ones(4)], b_ub=np.zeros(4), A_eq=[np.append(np.ones(12), 0)],
        b_eq=[1], bounds=[(0, None)] * 12 + [(None, None)],
    )  # fmt: skip
    solution = solve(FiniteOracle(S), DiagonalMax(), tol=1e-8, max_iter=200)
    assert solution.status == "converged"
    assert solution.upper == pytest.approx(program.fun, rel=1e-7)
    assert solution.lower <= program.fun * (1 + 1e-12) <= solution.upper * (1 + 1e-12)


@pytest.mark.parametrize(
    "gauge", [OPERATOR, FROBENIUS, swref.get_gauge("kyfan", k=2), TwoFunctions(OPERATOR)], ids=repr
)
def test_the_bounds_are_those_of_the_returned_metric_and_mixture(gauge):
    S = moments(30, 4, seed=1)
    solution = solve(FiniteOracle(S), gauge, tol=1e-7, max_iter=300)
    assert solution.lower == pytest.approx(np.tensordot(S, solution.metric, 2).min(), rel=1e-12)
    mixture = np.tensordot(solution.weights, S[solution.handles], 1)
    assert solution.upper == pytest.approx(gauge.value(mixture), rel=1e-12)
    assert solution.weights.sum() == pytest.approx(1)
    assert (solution.weights >= 0).all()
    assert gauge.polar(solution.metric) <= 1 + 1e-8
    assert solution.upper - solution.lower <= 1e-7 * solution.upper
    assert (np.diff(solution.history, axis=0) * [1, -1] >= 0).all()


def test_the_operator_game_agrees_with_semidefinite_programming():
    cp = pytest.importorskip("cvxpy")
    S = moments(20, 5, seed=2)
    weights = cp.Variable(20, nonneg=True)
    mixture = sum(weights[k] * S[k] for k in range(20))
    value = cp.Problem(cp.Minimize(cp.lambda_max(mixture)), [cp.sum(weights) == 1]).solve(solver=cp.CLARABEL)
    assert solve(FiniteOracle(S), OPERATOR, tol=1e-8, max_iter=200).upper == pytest.approx(value, rel=1e-6)


def test_one_moment_needs_one_call():
    S = moments(1, 3)
    oracle = FiniteOracle(S)
    solution = solve(oracle, swref.get_gauge("trace"), tol=1e-12, max_iter=10)
    assert oracle.calls == 1
    assert solution.upper == pytest.approx(np.trace(S[0]), rel=1e-14)


def test_zero_moments_are_at_distance_zero():
    solution = solve(FiniteOracle(np.zeros((2, 3, 3))), OPERATOR, tol=1e-6, max_iter=10)
    assert (solution.lower, solution.upper, solution.status) == (0.0, 0.0, "converged")


def test_where_the_atoms_predict_well_a_call_gains_a_digit():
    """With one moment nothing is left to learn: only the looseness of the master separates the bounds."""
    solution = solve(FiniteOracle(moments(1, 10)), OPERATOR, tol=1e-8, max_iter=50)
    assert solution.status == "converged"
    assert len(solution.history) <= 9


def test_the_limit_of_calls_grows_with_the_dimension_of_the_set_of_metrics():
    assert [call_limit(None, d) for d in (1, 31, 32, 50)] == [1000, 1000, 32 * 33, 50 * 51]
    assert call_limit(7, 50) == 7


def test_an_oracle_that_never_improves_is_reported_as_stalled():
    class Stubborn(FiniteOracle):
        def evaluate(self, Q):
            return 0.5, np.eye(2), 0  # a valid lower bound, but never a tight one

    solution = solve(Stubborn(moments(1, 2)), OPERATOR, tol=1e-6, max_iter=1000)
    assert solution.status == "stalled"
    assert solution.lower == 0.5
    assert solution.upper == pytest.approx(1)
    assert len(solution.history) < 100


def test_import_is_light():
    """``import swref`` pulls in no plotting, widget or modelling library, and neither Numba nor POT."""
    code = "import sys, swref; print([m for m in ('matplotlib', 'ipywidgets', 'anywidget', 'cvxpy', 'ot', 'numba') "
    code += "if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
