"""The registry: names, typos, duplicates, and packages that bring gauges by entry point, broken ones included."""

import os
import subprocess
import sys
import textwrap

import pytest

import swref
from swref import get_gauge, list_gauges, register_gauge
from swref.gauges import registry

BUILT_IN = {"block-max", "block-sum", "kyfan", "linear", "muon", "operator", "root-schatten", "schatten", "trace"}


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def a_gauge(module=__name__, qualname="Local"):
    """A new class each time; a re-run notebook cell makes one with the same module and name."""

    def __init__(self, weight=1.0):
        self.weight = weight

    body = {
        "__init__": __init__,
        "__module__": module,
        "__qualname__": qualname,
        "value": lambda self, S: self.weight * S.trace(),
        "support": lambda self, S: self.weight * (S + (S == S)) * 0,
    }
    return type("Local", (swref.Gauge,), body)


# -- names --------------------------------------------------------------------------------------------------------


def test_the_built_in_gauges_are_listed_in_order():
    names = list_gauges()
    assert set(names) >= BUILT_IN
    assert names == sorted(set(names))


def test_register_list_get():
    cls = a_gauge()
    assert register_gauge("local")(cls) is cls
    assert "local" in list_gauges()
    gauge = get_gauge("local", weight=3.0)
    assert type(gauge) is cls
    assert gauge.weight == 3.0
    assert get_gauge("local") is not get_gauge("local")


def test_a_class_may_have_two_names():
    assert type(get_gauge("muon")) is type(get_gauge("operator"))
    cls = register_gauge("second")(register_gauge("first")(a_gauge()))
    assert type(get_gauge("first")) is type(get_gauge("second")) is cls


def test_parameters_reach_the_class():
    assert get_gauge("schatten", p=3).p == 3
    assert get_gauge("kyfan", k=2).k == 2


def test_an_instance_passes_through():
    gauge = get_gauge("kyfan", k=2)
    assert get_gauge(gauge) is gauge


@pytest.mark.parametrize(
    "typo, meant",
    [
        ("opertor", "operator"),
        ("shatten", "schatten"),
        ("ky-fan", "kyfan"),
        ("Trace", "trace"),
        ("block_max", "block-max"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(typo, meant):
    with pytest.raises(ValueError, match="unknown name") as error:
        get_gauge(typo)
    known, *suggestions = str(error.value).split("'")[1::2]
    assert known == typo
    assert suggestions[0] == meant
    assert len(suggestions) <= 3


def test_a_name_near_to_none_is_answered_with_all_of_them():
    with pytest.raises(ValueError, match="unknown name 'zzzzzz'") as error:
        get_gauge("zzzzzz")
    assert str(error.value).split("'")[3::2] == list_gauges()


def test_a_registered_name_is_suggested_too():
    register_gauge("local")(a_gauge())
    with pytest.raises(ValueError, match="did you mean 'local'"):
        get_gauge("locol")


# -- duplicates ---------------------------------------------------------------------------------------------------


def test_another_gauge_cannot_take_a_name():
    register_gauge("local")(a_gauge(qualname="One"))
    for name, owner in [("local", "One"), ("operator", "Operator")]:
        before = registry.gauge_class(name)
        with pytest.raises(ValueError, match=f"'{name}' is already registered, by .*{owner}"):
            register_gauge(name)(a_gauge(qualname="Two"))
        with pytest.raises(ValueError, match="already registered"):
            register_gauge(name)(a_gauge(module="elsewhere", qualname=owner))
        assert registry.gauge_class(name) is before


def test_the_same_class_run_again_replaces_itself():
    register_gauge("local")(a_gauge())
    again = register_gauge("local")(a_gauge())
    assert type(get_gauge("local")) is again


# -- bad arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 1, 2.5, ["trace"], {"name": "trace"}, b"trace"])
def test_neither_name_nor_gauge(wrong):
    with pytest.raises(ValueError, match=r"gauge: expected a name or a swref\.Gauge, got"):
        get_gauge(wrong)


def test_a_class_in_place_of_an_instance():
    with pytest.raises(ValueError, match="an instance, not the class"):
        get_gauge(swref.gauges.Trace)


def test_parameters_do_not_go_with_an_instance():
    with pytest.raises(ValueError, match=r"parameters \['p'\] go with a name"):
        get_gauge(get_gauge("trace"), p=2)


@pytest.mark.parametrize(
    "name, params, named",
    [
        ("schatten", {"q": 2}, "'q'"),
        ("schatten", {"p": 0.5}, "p: expected p >= 1"),
        ("schatten", {"p": float("nan")}, "p: expected p >= 1"),
        ("schatten", {"p": "two"}, "p: expected a number"),
        ("root-schatten", {"p": 1}, "p: expected 1/2 <= p < 1"),
        ("trace", {"p": 2}, "'p'"),
        ("kyfan", {"k": 0}, "k: expected a positive integer"),
        ("kyfan", {"k": 1.5}, "k: expected a positive integer"),
        ("linear", {}, "'Q0'"),
        ("linear", {"Q0": [[1, 2], [2, 1]]}, "Q0: must be positive"),
        ("block-max", {"blocks": [0, 2]}, "blocks: expected positive sizes"),
        ("block-sum", {"blocks": [[0, 1], [1, 2]]}, "blocks: index lists must partition"),
        ("block-sum", {"blocks": [2, 1], "scales": [1, 0]}, "scales: must be positive"),
    ],
)
def test_bad_parameters_are_named(name, params, named):
    with pytest.raises(ValueError) as error:
        get_gauge(name, **params)
    assert named in str(error.value)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_gauge_needs_a_name(name):
    with pytest.raises(ValueError, match="name: expected a nonempty string"):
        register_gauge(name)


@pytest.mark.parametrize("thing", [int, 3, get_gauge("trace"), lambda: None])
def test_only_gauge_classes_are_registered(thing):
    with pytest.raises(ValueError, match=r"expected a subclass of swref\.Gauge"):
        register_gauge("local")(thing)
    assert "local" not in list_gauges()


# -- packages -----------------------------------------------------------------------------------------------------

GOOD = """
import swref

class Doubled(swref.Gauge):
    def __init__(self, factor=2.0):
        self.gauge = factor * swref.get_gauge("trace")
    def value(self, S):
        return self.gauge.value(S)
    def support(self, S):
        return self.gauge.support(S)
"""


def install(site, package, entry_points, module=None):
    """What pip leaves of a package: its module and its metadata."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[swref.gauges]\n" + "".join(f"{line}\n" for line in entry_points))
    if module is not None:
        (site / f"{package}.py").write_text(module)


def run(site, program):
    """Run a program that has these packages installed, every warning an error unless the program says otherwise."""
    command = [sys.executable, "-W", "error", "-c", "import sys, warnings\n" + textwrap.dedent(program)]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_package_brings_a_gauge_and_is_imported_only_when_asked(tmp_path):
    install(tmp_path, "good", ["doubled = good:Doubled"], GOOD)
    run(
        tmp_path,
        """
        import swref
        assert "good" not in sys.modules
        assert "doubled" in swref.list_gauges()
        swref.get_gauge("trace")
        assert "good" not in sys.modules
        gauge = swref.get_gauge("doubled", factor=3)
        assert type(gauge) is sys.modules["good"].Doubled
        assert gauge.value([[1, 0], [0, 1]]) == 6
        swref.check_gauge("doubled")
        try:
            swref.get_gauge("doubel")
        except ValueError as error:
            assert "did you mean 'doubled'" in str(error), error
        """,
    )


def test_a_package_may_use_the_decorator_as_well(tmp_path):
    module = GOOD.replace("class", '@swref.register_gauge("doubled")\nclass')
    install(tmp_path, "good", ["doubled = good:Doubled"], module)
    run(tmp_path, 'import swref; assert swref.get_gauge("doubled").value([[2]]) == 4')
    run(tmp_path, 'import swref, good; assert type(swref.get_gauge("doubled")) is good.Doubled')


def test_a_script_cannot_take_the_name_of_an_installed_gauge(tmp_path):
    install(tmp_path, "good", ["doubled = good:Doubled"], GOOD)
    run(
        tmp_path,
        """
        import swref
        try:
            swref.register_gauge("doubled")(type("Mine", (swref.Gauge,), {}))
        except ValueError as error:
            assert "package 'good' (good:Doubled)" in str(error), error
        else:
            raise AssertionError("the name was taken")
        """,
    )


@pytest.mark.parametrize(
    "target, module, why",
    [
        ("bad:Gauge", "raise RuntimeError('needs a GPU')", "RuntimeError: needs a GPU"),
        ("bad:Gauge", "import a_module_that_is_not_there", "a_module_that_is_not_there"),
        ("bad:Gauge", "Gauge: = 3", "SyntaxError"),
        ("bad:Gauge", "other = 3", "AttributeError"),
        ("bad:Gauge", None, "ModuleNotFoundError"),
        ("bad:Gauge", "Gauge = 3", "is not a subclass of swref.Gauge"),
        ("bad:Gauge", "class Gauge: pass", "is not a subclass of swref.Gauge"),
    ],
    ids=["raises", "missing import", "syntax", "missing name", "missing module", "not a class", "not a gauge"],
)
def test_a_broken_package_warns_by_name_and_breaks_nothing_else(tmp_path, target, module, why):
    install(tmp_path, "bad", [f"broken = {target}"], module)
    install(tmp_path, "good", ["doubled = good:Doubled"], GOOD)
    run(
        tmp_path,
        f"""
        import swref
        assert "broken" in swref.list_gauges()
        assert swref.get_gauge("doubled").value([[1]]) == 2
        assert swref.transport([[0.0]], [[2.0]], "trace").distance == 2
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                swref.get_gauge("broken")
            except ValueError as error:
                assert "package 'bad'" in str(error), error
            else:
                raise AssertionError("the broken gauge was returned")
        (warning,) = caught
        for word in ("'broken'", "package 'bad'", {why!r}):
            assert word in str(warning.message), warning.message
        assert swref.get_gauge("doubled").value([[1]]) == 2
        """,
    )


def test_two_packages_with_one_name_are_both_named(tmp_path):
    install(tmp_path, "good", ["doubled = good:Doubled"], GOOD)
    install(tmp_path, "rival", ["doubled = rival:Doubled"], GOOD)
    run(
        tmp_path,
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import swref
            gauge = swref.get_gauge("doubled")
        assert gauge.value([[1]]) == 2
        (warning,) = caught
        assert "'good'" in str(warning.message) and "'rival'" in str(warning.message), warning.message
        """,
    )
