"""The smaller pictures that compute in the browser: their numbers against ``swref`` and theorems, and their use."""

import re

import numpy as np
import pytest
from test_live import browser, open_page, run  # noqa: F401

import swref

FALLING = "<div data-swref-live='falling'></div>"
EXPONENTS = [1, 1.3, 2, 5, np.inf]


def exponent(p):
    """As JSON takes it: no infinity."""
    return None if np.isinf(p) else p


def points(page, selector):
    circles = page.locator(f"{selector} circle")
    return np.array(circles.evaluate_all("(all) => all.map((c) => [+c.getAttribute('cx'), +c.getAttribute('cy')])"))


def by_keyboard(page):
    """Every slider, moved by an arrow key, changes the picture."""
    sliders = page.locator("input[type=range]")
    for k in range(sliders.count()):
        before = page.locator(".swl").inner_html()
        sliders.nth(k).focus()
        page.keyboard.press("ArrowLeft" if k % 2 else "ArrowRight")
        page.keyboard.press("PageUp")
        page.wait_for_timeout(50)
        assert page.locator(".swl").inner_html() != before
        assert page.evaluate("document.querySelectorAll('output')[%d].textContent" % k)
    assert sliders.count()


PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}


# -- falling clouds ---------------------------------------------------------------------------------------------------


def test_the_velocity_is_that_of_flow(run):  # noqa: F811
    rng = np.random.default_rng(0)
    problems = []
    for k in range(100):
        turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
        g = rng.normal(size=(rng.integers(1, 30), 2)) * [1, 10.0 ** -rng.uniform(0, 7)] @ turn
        problems.append({"g": g.ravel().tolist(), "p": exponent(EXPONENTS[k % 5]), "cutoff": [0.04, 0.3][k % 2]})
    answers = run("(all) => all.map(({g, p, cutoff}) => window.swref.velocity(g, p ?? Infinity, cutoff))", problems)
    for each, answer in zip(problems, answers, strict=True):
        g, p = np.reshape(each["g"], (-1, 2)), np.inf if each["p"] is None else each["p"]
        v = swref.flows.descent_velocity(g, swref.get_gauge("schatten", p=p), cutoff=each["cutoff"])[0]
        assert np.allclose(np.reshape(answer, (-1, 2)), v, rtol=0, atol=1e-6 * np.abs(v).max())


@pytest.mark.parametrize("p", EXPONENTS)
def test_the_clouds_fall_as_in_flow(run, p):  # noqa: F811
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 2)) * [0.6, 0.2] + [0, 0.7], rng.uniform(-1, 1, (14, 2)) - [0, 0.5]
    times = [0, 0.05, 0.2, 0.5, 1]
    sent = {"x": x.ravel().tolist(), "y": y.ravel().tolist(), "p": exponent(p), "times": times}
    fall = "window.swref.fall(x, y, p ?? Infinity, times, {tol: 1e-4})"
    states = run(f"({{x, y, p, times}}) => {fall}.map((s) => ({{energy: s.energy, x: [...s.x]}}))", sent)
    energy = swref.energies.MMD(y, epsilon=0.05)
    gauge = swref.get_gauge("schatten", p=p)
    ours = swref.flow(energy, x, gauge, t_end=1, tol=1e-5, cutoff=0.04, snapshot_times=times)
    for theirs, expected in zip(states, ours.positions, strict=True):
        found = np.reshape(theirs["x"], (-1, 2))
        assert np.allclose(found, expected, rtol=0, atol=1e-4)
        assert np.isclose(theirs["energy"], energy.value(found), rtol=1e-12)


def test_two_clouds_fall_and_one_of_them_is_whitened(open_page):  # noqa: F811
    page = open_page(body=FALLING)
    assert page.locator(".swl-play").inner_text() == "❚❚ pause"  # it began when it was seen
    start = points(page, ".swl-mass")
    page.wait_for_timeout(500)
    assert np.abs(points(page, ".swl-mass") - start).max() > 1
    page.locator(".swl-play").click()
    rested = points(page, ".swl-mass")
    page.wait_for_timeout(300)
    assert np.array_equal(points(page, ".swl-mass"), rested)
    page.get_by_text("start again").click()
    assert np.abs(np.diff(points(page, ".swl-mass").reshape(2, -1, 2), axis=0)).max() == 0
    assert page.locator("output").inner_text() == "t = 0.00"
    page.locator("input").fill("0.4")
    thin, round_ = (
        np.divide(*(float(panel.locator("ellipse.swl-line").get_attribute(r)) for r in ("ry", "rx")))
        for panel in page.locator(".swl-panel").all()
    )
    assert thin < 0.5
    assert np.isclose(round_, 1)  # as long as no singular value is below the cutoff
    page.locator("input").fill("1")
    left = [float(re.search(r"(\d+) %", text)[1]) for text in page.locator(".swl-panel p").all_inner_texts()]
    assert 0 < max(left) < 10
    page.locator(".swl-play").click()  # from the end it starts again
    page.wait_for_timeout(300)
    assert float(page.locator("input").input_value()) < 0.5


def test_falling_without_motion_on_a_phone_by_keyboard(open_page):  # noqa: F811
    page = open_page(body=FALLING, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator(".swl-play").is_visible()
    rested = points(page, ".swl-mass")
    page.wait_for_timeout(300)
    assert np.array_equal(points(page, ".swl-mass"), rested)
    by_keyboard(page)
    assert np.abs(points(page, ".swl-mass") - rested).max() > 1
    page.wait_for_timeout(600)
    assert re.fullmatch(r"p = 1 · energy \d+ %; p = ∞ · energy \d+ %", page.locator("[aria-live]").inner_text())
