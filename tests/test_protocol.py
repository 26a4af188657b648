"""The protocol: steps against formulas and loops in NumPy, flows against a closed form, one seed of the stored run."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import swref
from swref.experiments import protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from figures import load

SQUARE = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
BOWL = swref.energies.Potential(lambda x: (4 * x[:, 0] ** 2 + x[:, 1] ** 2) / 2, lambda x: x * [4, 1])
LEVELS = (0.5, 0.05)  # of F = a^2 + b^2 / 4 for particles at +-a e_1, +-b e_2, from 5 / 4


@pytest.fixture(scope="module")
def bowl():
    unseen = swref.energies.Potential(lambda x: x[:, 0] ** 2, lambda x: x * [2, 0])  # a^2 / 2
    return protocol.Task(BOWL, SQUARE, unseen, LEVELS, LEVELS[1], {})


@pytest.fixture(scope="module")
def stored():
    return load("geometry")


def first(energies, level):
    return int((energies <= level).argmax()) if energies.min() <= level else 10**9


def test_the_natural_length_spends_the_energy_at_the_first_rate(bowl):
    # S_g = diag(16, 1) / 2: N*^2 is its trace, or the square of the trace of its root.
    assert protocol.natural(bowl, "trace") == pytest.approx(1.25 / 8.5)
    assert protocol.natural(bowl, "operator") == pytest.approx(1.25 / 12.5)
    assert protocol.natural(bowl, "operator", unit=True) == pytest.approx(1.25 / np.sqrt(12.5))


def test_gradient_descent_in_a_bowl_needs_the_steps_of_its_formula(bowl):
    levels, k = (0.5, 1e-4), np.arange(200)
    found = protocol.best_steps(bowl, "trace", levels=levels)

    def steps(tau, level):  # a and b are multiplied by 1 - 4 tau and 1 - tau
        return first((1 - 4 * tau) ** (2 * k) + (1 - tau) ** (2 * k) / 4, level)

    fine = found.octave[:, None] + np.arange(-7, 8) / 8
    for i, level in enumerate(levels):
        assert found.steps[i] == steps(found.length[i], level)
        assert found.steps[i] <= min(steps(1.25 / 8.5 * 2.0**o, level) for o in [*protocol.OCTAVES, *fine[i]])
        a = (1 - 4 * found.length[i]) ** found.steps[i]
        assert found.unseen[i] == pytest.approx(a**2 / 2, rel=1e-9)
        assert found.length[i] == pytest.approx(1.25 / 8.5 * 2.0 ** found.octave[i])
    assert found.steps[1] <= min(steps(tau, levels[1]) for tau in np.linspace(0.3, 0.5, 400)) + 1
    coarse = 1.25 / 8.5 * 2.0 ** np.array(protocol.OCTAVES)
    assert found.steps[1] < min(steps(tau, levels[1]) for tau in coarse)  # 2 / (4 + 1) is between two octaves


@pytest.mark.parametrize("name, p", [("trace", 1), ("operator", np.inf)])
@pytest.mark.parametrize("unit", [False, True])
def test_a_descent_is_its_loop_written_out(name, p, unit):
    task = protocol.task("dense", 1, heads=12, sequences=4, tokens=5)
    energies, last = protocol.descend(task, name, 0.02, unit, most=5)
    x, n = task.start.copy(), len(task.start)
    for k in range(6):
        assert energies[k] == pytest.approx(task.energy.value(x), rel=1e-9)
        g = task.energy.force(x)
        U, s, Wt = np.linalg.svd(g, full_matrices=False)
        J, slope = (g, np.linalg.norm(g)) if p == 1 else (s.sum() * U @ Wt, s.sum())
        moved = 0.02 * (J / slope * np.sqrt(n) if unit else J)
        assert not unit or swref.tangent_norm(moved, name) == pytest.approx(0.02)
        before, x = x, x - moved
    np.testing.assert_allclose(last, before, rtol=1e-8, atol=1e-12)


def test_a_descent_ends_at_its_level_or_when_it_explodes(bowl):
    energies, last = protocol.descend(bowl, "trace", 0.1, level=0.5)
    assert energies[-1] <= 0.5 < energies[-2]
    assert BOWL.value(last) == pytest.approx(energies[-1])
    energies, _ = protocol.descend(bowl, "trace", 10.0)
    assert energies[-1] > 10 * energies[0] >= energies[-2]
    with pytest.raises(ValueError, match="levels: .* are not reached in 3 steps"):
        protocol.best_steps(bowl, "trace", levels=[1e-9], most=3)


def test_what_a_flow_spends_is_that_of_the_closed_form(bowl):
    T = brentq(lambda t: np.exp(-8 * t) + np.exp(-2 * t) / 4 - LEVELS[1], 0, 5)
    found = protocol.track(bowl, "trace")
    assert found["time"] == found["equal"] == pytest.approx(T, rel=0.02)
    assert found["N"] == pytest.approx(found["L2"], rel=0.01)  # one ruler at p = 1
    assert found["unseen"] == pytest.approx(np.exp(-8 * T) / 2, rel=0.1)
    T = np.log(1.25 / LEVELS[1]) / 10  # at p = inf the square stays one, of size e^{-5t}
    found = protocol.track(bowl, "operator")
    expected = {"time": T, "equal": T * 25 / 17, "N": (1 - np.exp(-5 * T)) / np.sqrt(2), "L2": 1 - np.exp(-5 * T)}
    for measure, value in expected.items():
        assert found[measure] == pytest.approx(value, rel=0.01)
    assert found["unseen"] == pytest.approx(np.exp(-10 * T) / 2, rel=0.02)
    assert found["forces"] > 4


def test_tasks_have_new_data_of_the_same_kind():
    for name in protocol.TASKS:
        size = {"particles": 40} if name == "MMD" else {"n": 40, "size": 50} if name == "network" else {"heads": 10}
        task = protocol.task(name, 3, **size)
        assert task.level in task.levels
        start, fresh = (energy.value(task.start) for energy in (task.energy, task.unseen))
        assert fresh == pytest.approx(start, rel=0.5)
        assert fresh != start
        assert list(task.methods)[:2] == ["p = 1", "p = ∞"]
        assert [word in "".join(task.methods) for word in ("unit", "block")] == [True, name != "MMD"]
    with pytest.raises(ValueError, match="name: expected 'MMD'"):
        protocol.task("other")


def test_one_seed_of_the_stored_run_comes_out_again(stored):
    seed = stored.settings["seeds"].index(3)
    for method, (best, spent) in protocol.compare("MMD", 3).items():
        kept = stored.numbers["MMD"][method]
        np.testing.assert_array_equal(kept["steps"][seed], best.steps)
        np.testing.assert_allclose(kept["length"][seed], best.length, rtol=1e-6)
        for measure, value in spent.items():
            assert kept["flow"][measure][seed] == pytest.approx(value, rel=1e-5)
    task = protocol.task("dense", 3, **protocol.TASKS["dense"])
    found = protocol.best_steps(task, *task.methods["block-max"])
    np.testing.assert_array_equal(stored.numbers["dense"]["block-max"]["steps"][seed], found.steps)


def test_a_stored_step_count_of_the_network_is_met_and_no_shorter_run_is(stored):
    task, p1 = protocol.task("network", 0), stored.numbers["network"]["p = 1"]
    steps, length = int(p1["steps"][0][1]), p1["length"][0][1]
    energies, x = protocol.descend(task, "trace", length, level=1e-4)
    assert len(energies) - 1 == steps
    assert task.unseen.value(x) == pytest.approx(p1["unseen"][0][1], rel=1e-4)
    for factor in (0.97, 1.03):
        assert protocol.descend(task, "trace", factor * length, most=steps - 1, level=1e-4)[0].min() > 1e-4


def test_best_lengths_are_inside_the_grid_and_every_draw_is_stored(stored):
    assert len(protocol.OCTAVES) == 13
    for name, methods in stored.numbers.items():
        for method, kept in methods.items():
            assert len(kept["steps"]) == len(stored.settings["seeds"]) == 5
            at = 1 if name == "network" else -1  # the level of the table
            octaves = np.array(kept["octave"])[:, at]
            assert (octaves > min(protocol.OCTAVES)).all(), (name, method)
            assert (octaves < max(protocol.OCTAVES) + protocol.FINE[-1]).all(), (name, method)
            assert (np.diff(kept["steps"], axis=1) >= 0).all()


def test_a_level_is_met_where_a_power_law_says():
    energy = np.array([1.0, 0.3, 0.35, 0.02])  # what = 5 E^1.5 on a descent; the third entry is above the second
    what = 5 * energy**1.5
    for level in (1.0, 0.9, 0.3):
        assert protocol.at_level(level, energy, what) == pytest.approx(5 * level**1.5, rel=1e-12)
    assert protocol.at_level(0.02, energy, what) == pytest.approx(what[-1])
    assert np.isnan([protocol.at_level(level, energy, what) for level in (0.0199, np.nan)]).all()
    assert 1 < protocol.at_level(0.1, energy, [0, 1, 1, 2]) < 2  # what may begin at zero
    assert protocol.at_level(2, energy, what) == protocol.at_level(2, energy[:1], what[:1]) == 5
    given = energy.copy()
    protocol.at_level(0.1, energy, what)
    np.testing.assert_array_equal(energy, given)


def test_medians_are_those_of_the_stored_draws(stored):
    network = stored.numbers["network"]
    table = protocol.medians(network, level=1)
    assert list(table) == [*protocol.MEASURES, "steps", "normalised"]
    assert table["time"] == [sorted(network[m]["flow"]["time"])[2] for m in protocol.METHODS]
    assert table["steps"] == [sorted(row[1] for row in network[m]["steps"])[2] for m in protocol.METHODS]
    assert table["normalised"] == [
        sorted(row[1] for row in network[f"{m}, unit"]["steps"])[2] for m in protocol.METHODS
    ]
    assert all(unit > plain for plain, unit in zip(table["steps"], table["normalised"], strict=True))
    assert protocol.medians(network, ["p = ∞"], 0)["normalised"] < table["normalised"][1:2]
    assert protocol.medians(stored.numbers["MMD"], ["p = 1"])["steps"] == [
        sorted(row[-1] for row in stored.numbers["MMD"]["p = 1"]["steps"])[2]
    ]
