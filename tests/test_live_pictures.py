"""The smaller pictures that compute in the browser: their numbers against ``swref`` and theorems, and their use."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from test_live import browser, open_page, run  # noqa: F401

import swref
from swref.clouds import CloudOracle

FALLING = "<div data-swref-live='falling'></div>"
EXPONENTS = [1, 1.3, 2, 5, np.inf]


def exponent(p):
    """As JSON takes it: no infinity."""
    return None if np.isinf(p) else p


def points(page, selector):
    circles = page.locator(f"{selector} circle")
    return np.array(circles.evaluate_all("(all) => all.map((c) => [+c.getAttribute('cx'), +c.getAttribute('cy')])"))


def by_keyboard(page):
    """Every slider, moved by an arrow key, changes the drawing and the number beside it."""
    drawings, outputs = page.locator("svg"), page.locator("output")
    shown = lambda k: (drawings.evaluate_all("(all) => all.map((svg) => svg.innerHTML)"), outputs.nth(k).inner_text())  # noqa: E731
    for k, slider in enumerate(page.locator("input[type=range]").all()):
        before = shown(k)
        back = slider.input_value() == slider.get_attribute("max")
        slider.focus()
        for _ in range(15):
            page.keyboard.press("ArrowLeft" if back else "ArrowRight")
        page.wait_for_timeout(50)
        assert all(now != then for now, then in zip(shown(k), before, strict=True)), k
    assert outputs.count() == k + 1


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


# -- cutting planes ---------------------------------------------------------------------------------------------------

MAXMIN = Path(__file__).resolve().parents[1] / "book" / "maxmin.ipynb"
PLANES = "<div data-swref-live='planes' data-preset='{}'></div>"
CLIMB = """(all) => all.map(({x, y, angle}) => {
  const {bill, steps} = window.swref.climb(Float64Array.from(x.flat()), Float64Array.from(y.flat()), angle);
  return {bills: [-1, -0.3, 0.6, 1].map(bill), steps};
})"""


@pytest.fixture(scope="module")
def climbs(run):  # noqa: F811
    rng = np.random.default_rng(2)
    problems = []
    for k in range(40):
        n, m = rng.integers(1, 12, 2)
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) * [1, 0.2]
        problems.append({"x": x.tolist(), "y": y.tolist(), "angle": [0, np.pi / 4, *rng.uniform(0, 2, 2)][k % 4]})
    return list(zip(problems, run(CLIMB, problems), strict=True))


def metric(s, angle):
    e, f = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    return (1 + s) / 2 * np.outer(e, e) + (1 - s) / 2 * np.outer(f, f)


def test_every_bill_is_an_exact_transport_value(climbs):
    for problem, answer in climbs:
        x, y = np.array(problem["x"]), np.array(problem["y"])
        oracle = CloudOracle(x, y, np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y)))
        expected = [oracle.evaluate(metric(s, problem["angle"]))[0] for s in (-1, -0.3, 0.6, 1)]
        assert np.allclose(answer["bills"], expected, rtol=1e-9, atol=1e-12)


def test_planes_close_in_on_the_block_max_distance_in_turned_axes(climbs):
    for problem, answer in climbs:
        turn = np.transpose(np.linalg.eigh(metric(0.5, problem["angle"]))[1])
        x, y = (np.array(problem[name]) @ turn.T for name in "xy")
        exact = swref.transport(x, y, swref.get_gauge("block-max", blocks=[1, 1]), tol=1e-9, strict=False)
        lower, roof = np.transpose([(step["lower"], step["roof"]) for step in answer["steps"]])
        assert (np.diff(lower) >= 0).all()
        assert (np.diff(roof) <= 1e-12).all()
        assert (lower <= exact.upper_bound * (1 + 1e-12)).all()
        assert (roof >= exact.lower_bound * (1 - 1e-12)).all()
        assert np.isclose(lower[-1], roof[-1], rtol=1e-9)
        for step in answer["steps"]:  # each line touches at its toll and lies above the bills
            lines = [a + b * np.array([-1, -0.3, 0.6, 1]) for a, b in [step["line"]]]
            assert (lines[0] >= np.array(answer["bills"]) - 1e-12).all()
            assert np.isclose(step["line"][0] + step["line"][1] * step["s"], step["value"])


def test_the_best_of_all_axes_is_the_operator_distance(run):  # noqa: F811
    """The answer to the question of *The max-min theorem*: every metric of trace one has some axes."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 8, 2))
    best = swref.transport(x, y, "operator", tol=1e-9, strict=False)
    Q = best.metric
    angles = [np.arctan2(2 * Q[0, 1], Q[0, 0] - Q[1, 1]) / 2, *np.linspace(0, np.pi / 2, 90)]
    answers = run(CLIMB, [{"x": x.tolist(), "y": y.tolist(), "angle": angle} for angle in angles])
    ends = [answer["steps"][-1]["lower"] for answer in answers]
    assert np.isclose(ends[0], best.squared_distance, rtol=1e-8)
    assert max(ends) <= best.upper_bound * (1 + 1e-9)


def interval(page):
    low, high = re.findall(r"\d\.\d+", page.locator(".swl-result").inner_text())[:2]
    return float(low), float(high)


def test_planes_by_buttons_and_keyboard(open_page):  # noqa: F811
    page = open_page(body=PLANES.format("sand"))
    first = interval(page)
    assert page.locator(".swl-guide path").count() == 1
    page.get_by_role("button", name="next").click()
    second = interval(page)
    assert first[0] <= second[0] <= second[1] < first[1]
    assert page.locator(".swl-guide path").count() == 2
    page.get_by_role("button", name="back").click()
    assert interval(page) == first
    by_keyboard(page)
    page.get_by_role("slider", name="problem").fill("20")
    low, high = interval(page)
    assert high - low < 1e-8
    assert "gap\xa00.00\xa0%" in page.locator(".swl-result").inner_text()
    angle, value = re.search(r"Near (\d+)°, at ([\d.]+\d)", MAXMIN.read_text(encoding="utf-8")).groups()
    proved = {}
    for degrees in map(str, range(0, 91, 2)):
        page.get_by_role("slider", name="turn axes").fill(degrees)
        page.get_by_role("slider", name="problem").fill("20")
        proved[degrees] = interval(page)[0]
    assert max(proved, key=proved.get) == angle
    assert f"{proved[angle]:.3f}" == value
    page.get_by_label("clouds").select_option("ring")
    assert interval(page) != (low, high)
    assert page.locator(".swl-source").count() == 24


def test_every_slider_of_the_transport_picture_moves_it(open_page):  # noqa: F811
    by_keyboard(open_page("sand"))


# -- needles and masses on a circle -----------------------------------------------------------------------------------

LEAST = (
    """(all) => all.map(([M, m, angle, p, low, high]) => window.swref.least(M, m, angle, p ?? Infinity, low, high))"""
)


@pytest.mark.parametrize("p", EXPONENTS)
def test_the_best_correlation_of_two_needles(run, p):  # noqa: F811
    """c = (1 - kappa) / (1 + kappa), kappa = tan(angle/2)^(2p'), by hand; and against swref."""
    angles = np.array([0.05, 0.4, 1.0, np.pi / 3, 2.0, 3.0])
    u, gauge = np.array([1, 0]), swref.get_gauge("schatten", p=p)
    dual = 1 / (1 - 1 / p) if p > 1 else np.inf
    answers = run(LEAST, [[1, 1, a, exponent(p), -1, 1] for a in angles])
    for angle, answer in zip(angles, answers, strict=True):
        small = np.minimum(np.cos(angle / 2), np.sin(angle / 2)) ** 2
        kappa = (small / (1 - small)) ** dual
        assert np.isclose(answer["s"], np.sign(np.cos(angle)) * (1 - kappa) / (1 + kappa), atol=1e-6)
        price = 4 * small / (1 + kappa) ** (1 / dual)
        assert price * (1 - 1e-9) <= answer["lower"] <= price <= answer["upper"] <= price * (1 + 1e-8)
        v = np.array([np.cos(angle), np.sin(angle)])
        ends = np.zeros(2), np.outer(u, u), np.zeros(2), np.outer(v, v)  # each rounded, which moves W^2 by 1e-8
        assert np.isclose(swref.gaussian_transport(*ends, gauge, tol=1e-8).squared_distance, price, atol=1e-7)


@pytest.mark.parametrize("p", EXPONENTS)
def test_two_masses_on_a_circle(run, p):  # noqa: F811
    rng = np.random.default_rng(4)
    cases = [(m, t) for m, t in zip(rng.uniform(0.05, 2, 30), rng.uniform(0.02, 3.1, 30), strict=True)]
    answers = run(LEAST, [[1, m, t, exponent(p), 0, np.sqrt(m)] for m, t in cases])
    gauge = swref.get_gauge("schatten", p=p)
    for (m, angle), answer in zip(cases, answers, strict=True):
        rays = {"directions0": [[1, 0]], "directions1": [[np.cos(angle), np.sin(angle)]]}
        exact = swref.spherical_transport([1], [m], gauge, **rays, tol=1e-9, strict=False)
        assert answer["lower"] <= exact.upper_bound * (1 + 1e-12)
        assert answer["upper"] >= exact.lower_bound * (1 - 1e-12)
        assert answer["upper"] - answer["lower"] <= 1e-8
        if angle >= np.pi / 2:
            assert answer["s"] == 0  # nothing moves beyond a right angle
        if np.isinf(p) and angle < np.pi / 2 and np.cos(angle) ** 2 <= m <= 1:
            assert np.isclose(answer["upper"], np.sin(angle) ** 2, rtol=1e-8)
        if p >= 2 and angle < np.pi / 2:  # for a smaller p all but a speck of s may be used
            full = np.cos(angle) >= np.sqrt(min(m, 1 / m))
            assert (answer["s"] > (1 - 1e-6) * np.sqrt(m)) == full


def ellipse_axes(page):
    return [float(page.locator("ellipse").get_attribute(r)) for r in ("rx", "ry")]


def test_the_ellipse_of_the_needles_is_round_at_the_cosine(open_page):  # noqa: F811
    page = open_page(body="<div data-swref-live='needles'></div>")
    assert ellipse_axes(page)[1] < 1  # the rigid plan displaces along a line
    page.get_by_role("slider", name="angle").fill("60")
    page.get_by_role("slider", name="correlation").fill("0.5")
    long, short = ellipse_axes(page)
    assert np.isclose(long, short, atol=0.02)
    rows = [re.findall(r"\d\.\d+", row) for row in page.locator(".swl-table > div").all_inner_texts()]
    expected = [(1.5, 1), (0.75 * 2**0.5, 2**0.5 * 0.75 / 1.25**0.5), (0.75, 0.75)]
    assert np.allclose(np.array(rows, float), expected, atol=6e-5)
    before = page.get_by_role("slider", name="correlation").input_value()
    page.get_by_text("take its c").first.click()
    assert page.get_by_role("slider", name="correlation").input_value() == "1" != before
    by_keyboard(page)


def test_masses_on_the_circle_by_keyboard(open_page):  # noqa: F811
    page = open_page(body="<div data-swref-live='circle'></div>")
    low, high = interval(page)
    assert low <= np.sin(np.radians(50)) ** 2 <= high <= low + 1e-6
    for m in ("0.25", "0.9"):  # the way to the nearest point of the segment is as long as the distance
        page.get_by_label("mass m").fill(m)
        way = re.findall(r"-?[\d.]+", page.locator("path.swl-guide").get_attribute("d"))
        a, b = np.reshape(np.array(way, float), (2, 2)) / 80  # pixels of a mass 1
        assert np.isclose((a - b) @ (a - b), np.mean(interval(page)), atol=2e-3)
    assert np.allclose(interval(page), (low, high), atol=1e-6)  # the same price at p = infinity
    assert "moves" in page.locator("p.swl-soft").inner_text()
    page.get_by_role("slider", name="angle").fill("100")
    assert page.locator("p.swl-soft").inner_text().startswith("0 %")
    assert page.locator("path.swl-guide").get_attribute("d") == ""
    page.get_by_role("slider", name="angle").fill("50")
    by_keyboard(page)


@pytest.mark.parametrize("mark", ["planes", "needles", "circle"])
def test_pictures_fit_a_phone_and_say_what_changed(open_page, mark):  # noqa: F811
    page = open_page(body=f"<div data-swref-live='{mark}'></div>", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.wait_for_timeout(500)
    before = page.locator("[aria-live]").inner_text()
    by_keyboard(page)
    page.wait_for_timeout(500)
    after = page.locator("[aria-live]").inner_text()
    assert after
    assert after != before


OUTSIDE = """() => [...document.querySelectorAll("svg.swl-scene")].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("circle, ellipse")].map((node) => node.getBoundingClientRect()).filter(
    (box) => box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom,
  );
}).length"""
MOVE = "(input, z) => { input.value = z; input.dispatchEvent(new Event('input')); }"


@pytest.mark.parametrize("mark", ["falling", "planes", "circle"])
def test_nothing_leaves_its_frame(open_page, mark):  # noqa: F811
    page = open_page(body=f"<div data-swref-live='{mark}'></div>", **PHONE)
    dials = page.get_by_role("slider").all()
    for places in itertools.product((0, 0.25, 0.5, 1), repeat=len(dials)):
        for dial, place in zip(dials, places, strict=True):
            low, high = (float(dial.get_attribute(end) or 0) for end in ("min", "max"))
            dial.evaluate(MOVE, low + place * (high - low))
        assert page.evaluate(OUTSIDE) == 0, places
