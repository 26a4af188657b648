"""swref.widgets: what is stored is what was drawn, and the kernel answers between the stored values."""

import base64
import json
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

import swref
from swref.gauges import registry
from swref.widgets import Explore, TryYourOwn, curve, ellipse, note, points, segments, text

EPS32 = np.finfo(np.float32).eps


def square(p, t=0):
    """Frame whose one point is (p, t), with p = infinity drawn at 9."""
    return [points([[min(p, 9.0), t]], "C1"), note(f"p = {p}")]


def numbers(buffer, place):
    return np.frombuffer(buffer, dtype="<f4")[place[0] : place[0] + place[1]]


def sent_by(widget, message):
    """Deliver a message as a browser would, through the handler; return what the kernel sends back."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers or []))
    widget._handle_custom_msg(message, [])
    del widget.send
    return sent


def page_of(widget):
    """(spec, floats) decoded from the static HTML, as the script in the page does it."""
    html = widget._repr_mimebundle_()[0]["text/html"]
    spec, floats = re.search(r'\nmountStatic\("[0-9a-f]+", (\{.*\}), "([^"]*)"\);\n</script>', html).groups()
    return json.loads(spec), base64.b64decode(floats)


def test_static_page_stores_every_frame_in_row_major_order():
    grids = {"p": [1, 2, np.inf], "t": [0.0, 0.5, 1.0, 1.5]}
    spec, floats = page_of(Explore(square, **grids))
    assert [len(s["labels"]) for s in spec["sliders"]] == [3, 4]
    for i, p in enumerate(grids["p"]):
        for j, t in enumerate(grids["t"]):
            layer, line = spec["frames"][4 * i + j]
            assert numbers(floats, layer["xy"]).tolist() == [min(p, 9.0), t]
            assert line == {"kind": "note", "text": f"p = {float(p)}"}


def test_coordinates_survive_to_float32_and_repeats_are_stored_once():
    rng = np.random.default_rng(0)
    xy, weight = rng.normal(size=(50, 2)), rng.uniform(size=50)
    other = xy + rng.normal(size=(50, 2))

    def frame(k):
        return [points(xy, weight=weight), segments(xy, k * other)]

    spec, floats = page_of(Explore(frame, k=[1, 2, 3]))
    assert len(floats) == 4 * (100 + 50 + 3 * 200)
    for k, (dots, lines) in zip([1, 2, 3], spec["frames"], strict=True):
        assert np.allclose(numbers(floats, dots["xy"]).reshape(-1, 2), xy, rtol=EPS32, atol=0)
        assert np.allclose(numbers(floats, dots["weight"]), weight, rtol=EPS32, atol=0)
        drawn = numbers(floats, lines["xy"]).reshape(-1, 4)
        assert np.allclose(drawn, np.hstack([xy, k * other]), rtol=EPS32, atol=0)


def test_labels_and_start():
    spec, _ = page_of(Explore(square, p=[1, 1.5, np.inf], start={"p": np.inf}))
    assert spec["sliders"] == [{"name": "p", "labels": ["1", "1.5", "∞"], "start": 2, "step": 0.05, "choice": False}]
    spec, _ = page_of(Explore(lambda g: [text([0, 0], g)], g=["trace", "operator"], limits=(0, 1, 0, 1)))
    assert spec["sliders"] == [{"name": "g", "labels": ["trace", "operator"], "start": 0, "step": 1, "choice": True}]


def test_limits_hold_all_frames_and_keep_circles_round():
    spec, _ = page_of(Explore(square, p=[1, 2, np.inf], t=[0.0, 4.0], size=(500, 300)))
    x0, x1, y0, y1 = spec["limits"]
    assert x0 < 1
    assert x1 > 9
    assert y0 < 0
    assert y1 > 4
    assert (x1 - x0) / 500 == pytest.approx((y1 - y0) / 300, rel=1e-12)


def test_given_limits_and_axes_are_kept():
    widget = Explore(square, p=[1, 2], t=[0, 1], limits=(0, 10, -1, 2), axes=("power", "time"))
    spec, _ = page_of(widget)
    assert spec["limits"] == [0, 10, -1, 2]
    assert (spec["axes"]["xlabel"], spec["axes"]["ylabel"]) == ("power", "time")
    ticks = [value for value, _ in spec["axes"]["xticks"]]
    assert ticks == [0, 2, 4, 6, 8, 10]


def test_ellipse_rim_satisfies_its_equation():
    shape = np.array([[2.0, 0.7], [0.7, 0.5]])
    center = np.array([1.0, -2.0])
    z = ellipse(center, shape).xy - center
    assert np.allclose(np.einsum("ni,ij,nj->n", z, np.linalg.inv(shape), z), 1, rtol=1e-12)


def test_mimebundle_has_a_form_for_every_reader():
    widget = Explore(square, p=[1, np.inf], description="A dot </script> moves.")
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert data["text/plain"] == "Explore(p=[1, ∞]): A dot </script> moves."
    assert data["text/html"].count("</script>") == 1
    assert "http" not in data["text/html"].replace("http://www.w3.org/2000/svg", "")
    assert page_of(widget)[0]["description"] == "A dot </script> moves."


def test_the_same_cell_makes_the_same_page():
    def html():
        return Explore(square, p=[1, 2])._repr_mimebundle_()[0]["text/html"]

    assert html() == html()


def test_kernel_answers_hello_with_all_frames():
    widget = Explore(square, p=[1, 2, np.inf])
    [(content, [floats])] = sent_by(widget, {"type": "hello", "view": "v1"})
    assert (content["type"], content["view"]) == ("frames", "v1")
    spec, stored = page_of(widget)
    assert json.loads(json.dumps(content["spec"])) == spec
    assert floats == stored


@pytest.mark.parametrize(
    "grid, at, value, label",
    [
        ([1, 2.0, np.inf], 0.25, 1.25, "1.25"),
        ([1, 2.0, np.inf], 1.5, 4.0, "4"),  # 2 / (1 - 1/2)
        ([1, 2.0, np.inf], 2, np.inf, "∞"),
        ([1, 2.0, np.inf], 7, np.inf, "∞"),  # a position off the slider is clipped
        ([1, 5, 20], 1.4, 11, "11"),
        (["trace", "operator"], 1, "operator", "operator"),
    ],
)
def test_kernel_calls_fn_between_the_stored_values(grid, at, value, label):
    called = []

    def frame(p):
        called.append(p)
        return [curve([[0, 0], [1, len(called)]])]

    widget = Explore(frame, p=grid)
    called.clear()
    [(content, [floats])] = sent_by(widget, {"type": "frame", "view": "v", "at": [at]})
    assert called == [value]
    assert type(called[0]) is type(value)
    assert (content["type"], content["view"], content["labels"]) == ("frame", "v", [label])
    assert numbers(floats, content["layers"][0]["xy"]).tolist() == [0, 0, 1, 1]


def test_an_error_in_fn_is_shown_with_a_kernel_and_raised_without():
    def frame(p):
        if p != round(p):
            raise RuntimeError("no such p")
        return square(p)

    widget = Explore(frame, p=[1.0, 2.0])
    [(content, buffers)] = sent_by(widget, {"type": "frame", "view": "v", "at": [0.5]})
    assert content == {"type": "frame", "view": "v", "error": "RuntimeError: no such p"}
    assert buffers == []
    with pytest.raises(RuntimeError) as caught:
        Explore(frame, p=[1.0, 1.5])
    assert caught.value.__notes__ == ["Explore called fn with {'p': 1.5}"]


@pytest.mark.parametrize(
    "grids, message",
    [
        ({}, "at least one slider"),
        ({"p": []}, "p: must be a sequence of at least two"),
        ({"p": 3}, "p: must be a sequence of at least two"),
        ({"p": "abc"}, "p: must be a sequence of at least two"),
        ({"p": [1, "two"]}, "p: must hold numbers only or strings only"),
        ({"p": [False, True]}, "p: must hold numbers only or strings only"),
        ({"p": ["a", "a"]}, "p: must have distinct values"),
        ({"p": [2, 1]}, "p: must be strictly increasing"),
        ({"p": [1, np.nan]}, "p: must be strictly increasing"),
        ({"p": [-np.inf, 1]}, "p: must be strictly increasing"),
        ({"p": [-1, np.inf]}, "p: needs a positive value before infinity"),
        ({"p": list(range(1, 40)), "t": list(range(40))}, "1560 frames; at most 1000"),
        ({"p": [1, 2], "start": {"p": 3}}, r"start: expected values of the grids .* got \{'p': 3\}"),
        ({"p": [1, 2], "start": {"q": 1}}, r"start: expected values of the grids .* got \{'q': 1\}"),
        ({"p": [1, 2], "limits": (0, 1, 1, 0)}, "limits: must be increasing"),
        ({"p": [1, 2], "limits": (0, 1)}, "limits: expected shape"),
        ({"p": [1, 2], "size": (0, 1)}, "size: expected a positive finite number"),
        ({"p": [1, 2], "axes": "xy"}, "axes: must be"),
    ],
)
def test_bad_arguments_are_named(grids, message):
    with pytest.raises(ValueError, match=message):
        Explore(square, **grids)


@pytest.mark.parametrize(
    "frame, message",
    [
        (None, "fn: must be a function"),
        (lambda p: None, "fn: must return a list of layers .* got NoneType at {'p': 1}"),
        (lambda p: [1, 2], "fn: must return a list of layers"),
        (lambda p: [note("only text")], "no layer of any frame has a point"),
        (lambda p: [points([[1e39, 0]])], "not finite float32"),
        (lambda p: [points([[0, 1, 2]])], "xy: expected shape"),
        (lambda p: [points([[0, np.nan]])], "xy: must be finite"),
        (lambda p: [points([[0, 0]], weight=[-1])], "weight: must be nonnegative"),
        (lambda p: [points([[0, 0]], weight=[1, 1])], "weight: expected shape"),
        (lambda p: [points([[0, 0]], "no color")], "color: must be"),
        (lambda p: [points([[0, 0]], size=0)], "size: expected a positive finite number"),
        (lambda p: [segments([[0, 0]], [[0, 0], [1, 1]])], "end: has 2 rows"),
        (lambda p: [ellipse([0, 0], -np.eye(2))], "shape: must be positive semidefinite"),
    ],
)
def test_bad_frames_are_named(frame, message):
    with pytest.raises(ValueError, match=message):
        Explore(frame, p=[1, 2])


def test_too_many_bytes_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at most 4000000 are stored"):
        Explore(lambda k: [points(rng.normal(size=(10_000, 2)))], k=list(range(60)))


def test_layers_copy_what_they_are_given():
    xy = np.zeros((2, 2))
    layer = points(xy)
    xy += 1
    assert layer.xy.tolist() == [[0, 0], [0, 0]]


def test_importing_swref_does_not_import_widgets():
    code = "import sys, swref; print([m for m in ('anywidget', 'ipywidgets', 'matplotlib') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# -- Try your own -----------------------------------------------------------------------------------------------------

HEAPS = {"near": ([[0.0, 0]], [[1.0, 0]]), "far": ([[0.0, 0]], [[1.0, 3]])}


def price(gauge, ends):
    return f"{gauge!r}: {swref.transport(*ends, gauge).squared_distance:.6f}"


def shown(menus):
    return menus._shown.value


def field(menus, name):
    return next(one for one in menus._fields.children if one.description == name)


def test_menus_offer_every_gauge_and_draw_what_was_chosen():
    menus = TryYourOwn(price, HEAPS, gauge="schatten", p=1)
    assert list(menus._gauge.options) == swref.list_gauges()
    assert "Schatten(p=1.0): 1.000000" in shown(menus)
    menus._which.value = "far"
    assert "Schatten(p=1.0): 10.000000" in shown(menus)  # one displacement (1, 3): every Schatten gauge is its square
    field(menus, "p").value = "∞"
    assert "Schatten(p=inf): 10.000000" in shown(menus)
    menus._gauge.value = "linear"
    field(menus, "Q0").value = "[[1, 0], [0, 2]]"
    assert ": 19.000000" in shown(menus)  # 1 + 2 * 9
    menus._gauge.value = "block-sum"
    assert [one.value for one in menus._fields.children] == ["[1, 1]", "", "operator"]
    assert ": 10.000000" in shown(menus)
    field(menus, "scales").value = "[1, 2]"
    assert ": 3.250000" in shown(menus)  # the second coordinate counts a fourth
    menus._gauge.value = "trace"
    assert menus._fields.children == ()


def test_a_gauge_of_the_notebook_is_in_the_menu_with_its_parameters(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    @swref.register_gauge("mine")
    class Mine(swref.SpectralGauge):
        def __init__(self, factor=2.0):
            self.factor = factor

        def phi(self, lam):
            return self.factor * lam.sum()

        def dphi(self, lam):
            return np.full(len(lam), self.factor)

    menus = TryYourOwn(price, HEAPS)
    menus._gauge.value = "mine"
    assert field(menus, "factor").value == "2.0"
    assert ": 2.000000" in shown(menus)
    field(menus, "factor").value = " 3 "
    assert ": 3.000000" in shown(menus)


def test_what_is_wrong_is_said_where_the_picture_was():
    def fragile(gauge, data):
        plt.figure()
        if gauge == swref.get_gauge("trace"):
            raise RuntimeError("no <trace>")
        return gauge.value(np.eye(2))

    menus = TryYourOwn(fragile, {"one": 1}, gauge="schatten")
    for wrong, words in (("0.5", "p: expected p &gt;= 1, got 0.5"), ("two", "p: expected a number")):
        field(menus, "p").value = wrong
        assert shown(menus).startswith('<p role="alert">p: expected')
        assert words in shown(menus)
    menus._gauge.value = "trace"
    assert shown(menus) == '<p role="alert">RuntimeError: no &lt;trace&gt;</p>'
    menus._gauge.value = "operator"
    assert shown(menus) == "<pre>1.0</pre>"
    assert plt.get_fignums() == []


def test_figures_and_results_are_shown_in_order_and_no_figure_stays_open():
    before = plt.figure()

    def both(gauge, ends):
        fig, _ = plt.subplots(figsize=(2, 1))
        return fig, swref.transport(*ends, gauge), "a <text>"

    data, _ = TryYourOwn(both, HEAPS)._repr_mimebundle_(), plt.close(before)
    page = data["text/html"]
    assert page.index("data:image/png;base64,") < page.index("certified interval") < page.index("<pre>a &lt;text&gt;")
    assert "Runs in JupyterLab" in page
    assert "script" not in page
    assert plt.get_fignums() == []
    assert data["text/plain"] == "TryYourOwn(gauge='operator', data='near')"
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((None, HEAPS), {}, "picture: must be a function"),
        ((price, {}), {}, "data: must be a nonempty mapping"),
        ((price, [1]), {}, "data: must be a nonempty mapping"),
        ((price, {1: 2}), {}, "data: must be a nonempty mapping"),
        ((price, HEAPS), {"gauge": swref.get_gauge("trace")}, "gauge: must be the name"),
        ((price, HEAPS), {"gauge": "trase"}, "gauge: unknown name 'trase'"),
        ((price, HEAPS), {"gauge": "schatten", "p": 0}, "p: expected p >= 1"),
    ],
)
def test_bad_arguments_of_the_menus_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        TryYourOwn(*arguments, **options)
