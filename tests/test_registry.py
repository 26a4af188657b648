"""The registry: names, parameters, third-party packages, and what happens when those are broken."""

import subprocess
import sys

import numpy as np
import pytest

import swref
from swref import Gauge, get_gauge, list_gauges, register_gauge
from swref.gauges import Operator, Schatten, Trace, registry

PACKAGE = """
import numpy as np
import swref

class Diagonal(swref.Gauge):
    '''The trace again: small enough to write in a test.'''
    def __init__(self, weight=1.0):
        self.weight = weight
    def value(self, S):
        return self.weight * float(np.trace(S))
    def support(self, S):
        return self.weight * np.eye(len(S))

not_a_gauge = 3
"""


@pytest.fixture
def fresh(monkeypatch):
    """A registry that forgets, after the test, what the test has added."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()
    for name in [n for n in sys.modules if n.startswith("thirdparty")]:
        del sys.modules[name]


@pytest.fixture
def install(fresh, tmp_path, monkeypatch):
    """install(package, source, {name: value}) puts a package with entry points on the path, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(package, source, entry_points, forget=True):
        (tmp_path / f"{package}.py").write_text(source)
        metadata = tmp_path / f"{package}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[swref.gauges]", *lines, ""]))
        if forget:
            registry._entry_points.cache_clear()

    put.path = tmp_path
    return put


# -- names and parameters -----------------------------------------------------------------------------------------


def test_built_in_names():
    assert {
        "block-max", "block-sum", "kyfan", "linear", "muon", "operator", "root-schatten", "schatten", "trace",
    } <= set(list_gauges())  # fmt: skip
    assert list_gauges() == sorted(list_gauges())
    assert isinstance(get_gauge("muon"), Operator)
    assert get_gauge("schatten", p=3) == Schatten(3)
    assert get_gauge("schatten").p == np.inf


def test_a_name_near_to_none_is_answered_with_all_of_them():
    with pytest.raises(ValueError, match="unknown name 'zzz'") as error:
        get_gauge("zzz")
    assert str(error.value).split("'")[3::2] == list_gauges()


def test_an_instance_passes_through():
    gauge = Trace()
    assert get_gauge(gauge) is gauge


@pytest.mark.parametrize(
    "name, hint",
    [
        ("shatten", "'schatten'"),
        ("trce", "'trace'"),
        ("muon ", "'muon'"),
        ("operatr", "'operator'"),
        ("ky-fan", "'kyfan'"),
        ("Trace", "'trace'"),
        ("block_max", "'block-max'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"gauge: unknown name '{name}'; did you mean .*{hint}"):
        get_gauge(name)


@pytest.mark.parametrize(
    "args, params, message",
    [
        ((Trace(),), {"p": 2}, r"gauge: parameters \['p'\] go with a name, not with the instance Trace\(\)"),
        ((Trace,), {}, r"gauge: expected a name or a swref.Gauge \(an instance, not the class\)"),
        ((3,), {}, "gauge: expected a name or a swref.Gauge, got 3"),
        ((None,), {}, "gauge: expected a name or a swref.Gauge, got None"),
        (("schatten",), {"q": 2}, r"gauge: cannot make 'schatten' from \{'q': 2\}"),
        (("linear",), {}, "gauge: cannot make 'linear' from {}: .*Q0"),
        (("block-max",), {"blocks": [2], "p": 3}, r"gauge: cannot make 'operator' from \{'p': 3\}"),
    ],
)
def test_bad_requests_are_explained(args, params, message):
    with pytest.raises(ValueError, match=message):
        get_gauge(*args, **params)


def test_the_inner_gauge_of_blocks_is_a_keyword():
    gauge = get_gauge("block-sum", blocks=[1, 2], gauge="schatten", p=2)
    assert gauge.inner == [Schatten(2), Schatten(2)]
    assert get_gauge("block-max", blocks=[1, 2], gauge=[Trace(), "operator"]).inner == [Trace(), Operator()]


# -- registering --------------------------------------------------------------------------------------------------


def define(name, base=Trace):
    """What a notebook cell does each time it runs."""

    @register_gauge(name)
    class Cell(base):
        pass

    return Cell


def test_a_cell_can_be_run_again(fresh):
    define("cell")
    again = define("cell")
    assert type(get_gauge("cell")) is again
    assert "cell" in list_gauges()


def test_a_class_may_have_two_names(fresh):
    assert type(get_gauge("muon")) is type(get_gauge("operator"))
    cls = register_gauge("second")(define("first"))
    assert type(get_gauge("first")) is type(get_gauge("second")) is cls


def test_a_registered_name_is_suggested_too(fresh):
    define("favourite")
    with pytest.raises(ValueError, match="did you mean 'favourite'"):
        get_gauge("favorite")


def test_a_name_cannot_be_taken_over(fresh):
    with pytest.raises(ValueError, match="name: 'trace' is already registered, by swref.gauges.schatten.Trace"):
        define("trace")
    assert isinstance(get_gauge("trace"), Trace)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_string(name):
    with pytest.raises(ValueError, match="name: expected a nonempty string"):
        register_gauge(name)


@pytest.mark.parametrize("thing", [3, int, Trace()])
def test_only_gauges_can_be_registered(thing):
    with pytest.raises(ValueError, match=r"register_gauge\('mine'\): expected a subclass of swref.Gauge"):
        register_gauge("mine")(thing)
    assert "mine" not in list_gauges()


def test_value_and_support_are_required():
    class Half(Gauge):
        def value(self, S):
            return 0.0

    with pytest.raises(TypeError, match="support"):
        Half()


# -- installed packages -------------------------------------------------------------------------------------------


def test_an_installed_gauge_is_found_and_loaded_when_asked_for(install):
    install("thirdparty", PACKAGE, {"third": "thirdparty:Diagonal"})
    assert "third" in list_gauges()
    assert "thirdparty" not in sys.modules  # listing imports nothing
    gauge = get_gauge("third", weight=2.0)
    assert gauge.value(np.eye(3)) == 6
    assert swref.lmo(np.eye(3), "third").tolist() == (-np.eye(3)).tolist()


@pytest.mark.parametrize("ask", [lambda: get_gauge("third"), list_gauges])
def test_a_package_installed_while_running_is_found(install, ask):
    """A notebook looks, runs pip, and looks again."""
    assert "third" not in list_gauges()
    with pytest.raises(ValueError, match="unknown name 'third'"):
        get_gauge("third")
    install("thirdparty", PACKAGE, {"third": "thirdparty:Diagonal"}, forget=False)
    ask()
    assert get_gauge("third").value(np.eye(2)) == 2
    assert "third" in list_gauges()


def test_a_keyboard_interrupt_while_a_package_loads_is_the_users(install):
    install("thirdparty", "raise KeyboardInterrupt", {"slow": "thirdparty:Diagonal"})
    with pytest.raises(KeyboardInterrupt):
        get_gauge("slow")


def test_an_unknown_name_says_what_worker_processes_know(fresh):
    with pytest.raises(ValueError, match="registered in __main__ does not reach worker processes; an instance"):
        get_gauge("mine")


def test_a_package_may_use_decorator_and_entry_point(install):
    source = PACKAGE.replace("class Diagonal", "@swref.register_gauge('third')\nclass Diagonal")
    install("thirdparty", source, {"third": "thirdparty:Diagonal"})
    assert get_gauge("third").value(np.eye(2)) == 2


@pytest.mark.parametrize(
    "source, value, trouble",
    [
        ("raise RuntimeError('no luck')", "thirdparty:Diagonal", "failed to load: RuntimeError: no luck"),
        ("import sys; sys.exit('needs a GPU')", "thirdparty:Diagonal", "failed to load: SystemExit: needs a GPU"),
        ("raise GeneratorExit", "thirdparty:Diagonal", "failed to load: GeneratorExit"),
        ("class Mine(BaseException): pass\nraise Mine", "thirdparty:Diagonal", "failed to load: Mine"),
        ("import module_that_is_nowhere", "thirdparty:Diagonal", "failed to load: ModuleNotFoundError"),
        ("1 +", "thirdparty:Diagonal", "failed to load: SyntaxError"),
        (PACKAGE, "thirdparty:Missing", "failed to load: AttributeError"),
        (PACKAGE, "thirdparty:not_a_gauge", "is not a subclass of swref.Gauge"),
        (PACKAGE, "no such module", "failed to load"),
    ],
)
def test_a_broken_package_is_named_and_breaks_nothing_else(install, source, value, trouble):
    install("thirdparty", source, {"broken": value})
    install("thirdparty_works", PACKAGE, {"works": "thirdparty_works:Diagonal"})
    assert {"broken", "works", "trace"} <= set(list_gauges())
    with pytest.raises(ValueError, match=f"gauge: 'broken' is provided by package 'thirdparty' .*, which {trouble}"):
        get_gauge("broken")
    assert get_gauge("works").value(np.eye(2)) == 2
    assert get_gauge("trace").value(np.eye(2)) == 2


def test_a_package_cannot_hide_a_built_in_gauge(install):
    install("thirdparty", PACKAGE, {"trace": "thirdparty:Diagonal"})
    with pytest.warns(UserWarning, match="gauge 'trace' of package 'thirdparty' .* is hidden by that of swref.gauges"):
        list_gauges()
    assert isinstance(get_gauge("trace"), Trace)


def test_two_packages_with_one_name(install):
    install("thirdparty", PACKAGE, {"third": "thirdparty:Diagonal"})
    install("thirdparty_too", PACKAGE, {"third": "thirdparty_too:Diagonal"})
    with pytest.warns(
        UserWarning, match="'third' of package 'thirdparty_too' .* is hidden by that of package 'thirdparty' "
    ):
        assert list_gauges().count("third") == 1
    assert get_gauge("third").value(np.eye(2)) == 2


def test_a_script_cannot_take_the_name_of_an_installed_gauge(install):
    install("thirdparty", PACKAGE, {"third": "thirdparty:Diagonal"})
    with pytest.raises(
        ValueError, match=r"name: 'third' is already registered, by package 'thirdparty' \(thirdparty:Diag"
    ):
        define("third")


def test_importing_swref_ignores_what_is_installed(install):
    """A broken package, one that takes a built-in name, a malformed one: `import swref` neither fails nor warns."""
    install("thirdparty", "raise RuntimeError", {"broken": "thirdparty:X", "schatten": "thirdparty:X", "bad": "::"})
    code = "import sys; sys.path.insert(0, sys.argv[1]); import swref; assert 'thirdparty' not in sys.modules"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(install.path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
