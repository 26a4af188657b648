"""``energies.Attention`` against a transcription of its formula, derivatives of that transcription, and symmetries."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPS, seeds

from swref.energies import Attention


def problem(N=3, m=5, d_T=4, head_dim=2, n=6, seed=0, size=1.0):
    """(energy, heads, weights): Gaussian tokens and heads of entries about ``size``."""
    rng = np.random.default_rng(seed)
    tokens, targets = rng.standard_normal((2, N, m, d_T))
    x, w = size * rng.standard_normal((n, 4 * head_dim * d_T)), rng.uniform(0.2, 1, n)
    return Attention(tokens, targets, head_dim), x, w / w.sum()


def transcription(energy, x, weights):
    """(value, N_eff) head by head and token by token; x may be complex (no shift of the logits, no absolute values)."""
    (N, m, d_T), d_H = energy.tokens.shape, energy.head_dim
    value, effective = 0, 0
    for z, y in zip(energy.tokens, energy.targets, strict=True):
        for j in range(m):
            predicted = np.zeros(d_T, dtype=x.dtype)
            for head, weight in zip(x, weights, strict=True):
                Q, K, V, O = head.reshape(4, d_H, d_T)
                scores = np.array([np.exp((Q @ z[j]) @ (K @ z[i]) / np.sqrt(d_H)) for i in range(m)])
                attention = scores / scores.sum()
                predicted += weight * O.T @ sum(attention[i] * (V @ z[i]) for i in range(m))
                effective += weight / (attention**2).sum() / (N * m)
            value += ((predicted - y[j]) ** 2).sum() / (2 * N)
    return value, effective


@pytest.mark.parametrize("N, m, d_T, head_dim, n", [(3, 5, 4, 2, 6), (1, 1, 1, 1, 1), (2, 7, 2, 3, 4)])
def test_value_and_effective_tokens_are_those_of_the_formula(N, m, d_T, head_dim, n):
    energy, x, w = problem(N, m, d_T, head_dim, n)
    value, effective = transcription(energy, x, w)
    assert energy.value(x, w) == pytest.approx(value, rel=1e-13)
    assert energy.effective_tokens(x, w) == pytest.approx(effective, rel=1e-13)


@pytest.mark.parametrize("N, m, d_T, head_dim, n", [(2, 4, 3, 2, 3), (1, 3, 2, 3, 2)])
def test_force_is_the_complex_step_derivative_of_the_formula(N, m, d_T, head_dim, n):
    # f(x + ih) = f(x) + ih f'(x) + O(h^2) has no cancellation: exact to rounding.
    energy, x, w = problem(N, m, d_T, head_dim, n)
    step = 1e-30j * np.eye(x.size).reshape(-1, *x.shape)
    gradient = np.array([transcription(energy, x + h, w)[0].imag / 1e-30 for h in step]).reshape(x.shape)
    force = energy.force(x, w)
    np.testing.assert_allclose(force, gradient / w[:, None], atol=1e3 * EPS * np.abs(force).max())


@given(seed=seeds, size=st.sampled_from([0.1, 1.0, 2.0]))
def test_force_agrees_with_central_differences(seed, size):
    energy, x, w = problem(N=2, m=6, d_T=4, head_dim=3, n=4, seed=seed, size=size)
    force, h = energy.force(x, w), 1e-5
    for direction in np.random.default_rng(seed).standard_normal((3, *x.shape)):
        along = ((w[:, None] * force) * direction).sum()
        difference = (energy.value(x + h * direction, w) - energy.value(x - h * direction, w)) / (2 * h)
        largest = np.linalg.norm(w[:, None] * force) * np.linalg.norm(direction)
        assert abs(along - difference) <= 1e-6 * largest


def test_force_is_the_gradient_of_the_first_variation():
    # Adding a little mass at z: F((1 - e) mu + e delta_z) = F(mu) + e (V(z) - int V dmu) + O(e^2); force = grad V.
    energy, x, w = problem()
    z, h, e = x[:1] * 0.5 + 0.3, 1e-4, 1e-5

    def first_variation(point):
        both = np.vstack([x, point])
        up, down = (energy.value(both, np.append((1 - s) * w, s)) for s in (2 * e, e))
        base = energy.value(x, w)
        return (4 * (down - base) - (up - base)) / (2 * e)

    force = energy.force(np.vstack([x, z]), np.append(w, 0.0))[-1]
    direction = force / np.linalg.norm(force)
    slope = (first_variation(z + h * direction) - first_variation(z - h * direction)) / (2 * h)
    assert slope == pytest.approx(np.linalg.norm(force), rel=1e-5)


def test_value_and_force_returns_both():
    energy, x, w = problem()
    value, force = energy.value_and_force(x, w)
    assert value == pytest.approx(energy.value(x, w), rel=1e-14)
    np.testing.assert_array_equal(force, energy.force(x, w))
    np.testing.assert_array_equal(energy.force(x), energy.force(x, None))
    np.testing.assert_allclose(energy.force(x), energy.force(x, np.full(len(x), 1 / len(x))), rtol=1e-9)


def test_predictions_are_targets_of_zero_energy():
    energy, x, w = problem()
    exact = Attention(energy.tokens, energy.predict(x, w), energy.head_dim)
    value, force = exact.value_and_force(x, w)
    assert value <= 1e-28
    assert np.abs(force).max() <= 1e-12


def test_zero_queries_average_all_tokens():
    energy, x, w = problem(m=7)
    x[:, : x.shape[1] // 4] = 0
    _, _, V, O = energy.split(x)
    mean = energy.tokens.mean(1)
    expected = np.einsum("h,hct,hcu,su->st", w, O, V, mean)[:, None].repeat(7, axis=1)
    np.testing.assert_allclose(energy.predict(x, w), expected, atol=1e-14)
    assert energy.effective_tokens(x, w) == pytest.approx(7, rel=1e-14)


@pytest.mark.parametrize("factor", [1e4, 1e8, 1e150])
def test_huge_logits_select_one_token_without_overflow(factor):
    energy, x, w = problem()
    Q, K, V, O = energy.split(x)
    scores = np.einsum("hct,sjt,hcu,siu->hsji", Q, energy.tokens, K, energy.tokens)
    chosen = scores.argmax(-1)  # (n, N, m)
    picked = np.take_along_axis(energy.tokens[None, :, None], chosen[..., None, None], axis=3)[..., 0, :]
    sharp = np.stack([factor * Q, K, V, O], axis=1).reshape(len(x), -1)
    np.testing.assert_allclose(
        energy.predict(sharp, w), np.einsum("h,hct,hcu,hsju->sjt", w, O, V, picked), rtol=0, atol=1e-13
    )
    assert energy.effective_tokens(sharp, w) == pytest.approx(1, rel=1e-13)
    assert np.isfinite(energy.force(sharp, w)).all()


def test_a_common_shift_of_all_keys_changes_nothing():
    # With a constant coordinate, the last column of K adds one vector to every key: a shift of each row of logits.
    energy, x, w = problem()
    tokens = energy.tokens.copy()
    tokens[..., -1] = 1
    energy = Attention(tokens, energy.targets, energy.head_dim)
    Q, K, V, O = (part.copy() for part in energy.split(x))
    value, force = energy.value_and_force(x, w)
    K[..., -1] += np.random.default_rng(1).standard_normal(K.shape[:2])
    shifted = np.stack([Q, K, V, O], axis=1).reshape(len(x), -1)
    assert energy.value(shifted, w) == pytest.approx(value, rel=1e-13)
    assert np.abs(energy.split(force)[1][..., -1]).max() <= 1e3 * EPS * np.abs(force).max()


@given(seed=seeds)
def test_symmetries_of_heads_tokens_and_sequences(seed):
    energy, x, w = problem(seed=seed)
    value, force = energy.value_and_force(x, w)
    rng = np.random.default_rng(seed)
    heads, tokens, sequences = (rng.permutation(k) for k in (len(x), 5, 3))

    moved, moved_force = energy.value_and_force(x[heads], w[heads])
    assert moved == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(moved_force, force[heads], atol=1e3 * EPS * np.abs(force).max())

    shuffled = [a[sequences][:, tokens] for a in (energy.tokens, energy.targets)]
    assert Attention(*shuffled, energy.head_dim).value(x, w) == pytest.approx(value, rel=1e-13)

    twice = np.vstack([x, x[:1]]), np.append(w, w[0] / 2)
    twice[1][0] /= 2
    assert energy.value(*twice) == pytest.approx(value, rel=1e-13)


def test_a_change_of_basis_in_the_head_conserves_the_energy_and_balances_the_forces():
    # F(RQ, K R^-T, ...) = F; its derivative at R = I makes Q dQ^T the transpose of K dK^T. Likewise for V and O.
    energy, x, w = problem()
    R = np.array([[1.5, 0.4], [-0.3, 0.8]])
    Q, K, V, O = energy.split(x)
    turned = np.stack([R @ Q, np.linalg.inv(R).T @ K, R @ V, np.linalg.inv(R).T @ O], axis=1).reshape(len(x), -1)
    assert energy.value(turned, w) == pytest.approx(energy.value(x, w), rel=1e-13)
    dQ, dK, dV, dO = energy.split(energy.force(x, w))
    for a, da, b, db in ((Q, dQ, K, dK), (V, dV, O, dO)):
        np.testing.assert_allclose(da @ a.swapaxes(1, 2), b @ db.swapaxes(1, 2), atol=1e-13)


def test_single_precision_is_computed_in_double_and_inputs_are_left_alone():
    energy, x, w = problem()
    x32 = x.astype(np.float32)
    before = x32.copy()
    assert energy.value(x32, w) == energy.value(x32.astype(float), w)
    assert energy.force(x32, w).dtype == float
    np.testing.assert_array_equal(x32, before)
    energy.split(x)[0][:] = 0
    assert x.all()


def test_memory_does_not_grow_with_the_number_of_sequences():
    def peak(N):
        energy, x, _ = problem(N=N, m=16, n=100)
        energy.value_and_force(x)
        tracemalloc.start()
        energy.value_and_force(x)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    # What is allowed to grow are two arrays (N, m, d_T) of predictions; attention is 100 times larger.
    assert peak(64) <= peak(4) + 4 * 8 * 64 * 16 * 4


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((np.ones((2, 3)), np.ones((2, 3)), 1), "tokens: expected 3 axes"),
        ((np.ones((2, 3, 4)), np.ones((2, 4, 3)), 1), "targets: expected shape (2, 3, 4), got (2, 4, 3)"),
        ((np.full((2, 3, 4), np.nan), np.ones((2, 3, 4)), 1), "tokens: must be finite"),
        ((np.ones((2, 3, 4)), np.ones((2, 3, 4)), 0), "head_dim: expected a positive integer, got 0"),
        ((np.ones((2, 3, 4)), np.ones((2, 3, 4)), 1.5), "head_dim: expected a positive integer, got 1.5"),
    ],
)
def test_a_malformed_energy_is_refused(arguments, words):
    with pytest.raises(ValueError) as error:
        Attention(*arguments)
    assert words in str(error.value)


def test_malformed_heads_are_refused():
    energy, x, w = problem()
    for call in (energy.value, energy.force, energy.value_and_force, energy.predict, energy.effective_tokens):
        with pytest.raises(ValueError, match="x: expected d = 32 columns"):
            call(x[:, 1:])
        with pytest.raises(ValueError, match="x: must be finite"):
            call(np.where(x == x[0, 0], np.inf, x))
        with pytest.raises(ValueError, match="weights: must sum to one"):
            call(x, 2 * w)


def test_overflow_is_infinite_and_tiny_heads_are_zero():
    energy, x, w = problem()
    value, force = energy.value_and_force(np.sign(x) * 1e200, w)
    assert value == np.inf
    assert (force == np.inf).all()
    assert energy.value(np.sign(x) * 1e200, w) == np.inf
    nothing = (energy.targets**2).sum() / (2 * len(energy.targets))
    assert energy.value(1e-200 * x, w) == pytest.approx(nothing, rel=1e-14)
    assert energy.effective_tokens(1e-200 * x, w) == pytest.approx(energy.tokens.shape[1], rel=1e-14)
