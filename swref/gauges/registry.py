"""The gauge registry: a class decorator here, an entry point in a package."""

import difflib
import importlib
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from .base import Gauge

ENTRY_POINT_GROUP = "swref.gauges"
_registered: dict[str, type[Gauge]] = {}
SomeGauge = TypeVar("SomeGauge", bound=Gauge)


def register_gauge(name: str) -> Callable[[type[SomeGauge]], type[SomeGauge]]:
    """Class decorator: make the gauge available as ``get_gauge(name, **parameters)``.

    A class may carry several names. Registering a name again from the same module and class name (a re-run notebook
    cell) replaces it; taking another gauge's name raises ValueError. A package registers without importing swref
    first: ``[project.entry-points."swref.gauges"]  name = "package.module:Class"``.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name: expected a nonempty string, got {name!r}")

    def decorate(cls: type[SomeGauge]) -> type[SomeGauge]:
        if not (isinstance(cls, type) and issubclass(cls, Gauge)):
            raise ValueError(f"register_gauge({name!r}): expected a subclass of swref.Gauge, got {cls!r}")
        known = _registered.get(name)
        if known is None and not cls.__module__.startswith(f"{__package__}."):  # `import swref` asks no other package
            known = _entry_points().get(name)
        if known is not None and _address(known) != _address(cls):
            raise ValueError(f"name: {name!r} is already registered, by {_origin(known)}")
        _registered[name] = cls
        return cls

    return decorate


def list_gauges() -> list[str]:
    """The names that ``get_gauge`` accepts, sorted: built in, registered, and from installed packages.

    Packages installed since the last call are found. Importing none of them, it cannot tell whether they work.
    """
    return sorted({*_registered, *_entry_points_anew()})


def get_gauge(gauge: str | Gauge, /, **params: Any) -> Gauge:
    """The gauge with this name and these parameters, ``params``; a Gauge instance passes through.

    A name registered in ``__main__``, a script or a notebook, is unknown to the worker processes of a pool; an instance
    reaches those that are sent classes by value, as by joblib and Dask. Raises ValueError for an unknown
    name (with the nearest known ones), bad parameters, or anything else.
    """
    if isinstance(gauge, Gauge):
        if params:
            raise ValueError(f"gauge: parameters {sorted(params)} go with a name, not with the instance {gauge!r}")
        return gauge
    if not isinstance(gauge, str):
        hint = " (an instance, not the class)" if isinstance(gauge, type) else ""
        raise ValueError(f"gauge: expected a name or a swref.Gauge{hint}, got {gauge!r}")
    try:
        return gauge_class(gauge)(**params)
    except TypeError as error:
        raise ValueError(f"gauge: cannot make {gauge!r} from {params}: {error}") from error


def gauge_for(gauge: str | Gauge, d: int) -> Gauge:
    """``get_gauge(gauge)`` for moments of order d: the door for the argument ``gauge`` of every public function."""
    gauge = get_gauge(gauge)
    if gauge.dimension not in (None, d):
        raise ValueError(f"gauge: {gauge!r} accepts d = {gauge.dimension} only, got d = {d}")
    return gauge


def gauge_class(name: str) -> type[Gauge]:
    """The class registered under ``name``, importing the package that provides it if need be."""
    if name not in _registered:
        provider = _entry_points().get(name) or _entry_points_anew().get(name)
        if provider is None:
            names = sorted({*_registered, *_entry_points()})
            near = difflib.get_close_matches(name, names, n=3) or names
            raise ValueError(
                f"gauge: unknown name {name!r}; did you mean {', '.join(map(repr, near))}? (A name registered in "
                "__main__ does not reach worker processes; an instance does, if joblib or Dask sends the class.)"
            )
        _registered.setdefault(name, _load(provider))  # importing the module may already have run the decorator
    return _registered[name]


@cache
def _entry_points():
    """Entry points by name. A name that is taken already stays with its owner, with a warning that names both."""
    found = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=_origin):
        known = _registered.get(point.name) or found.get(point.name)
        if known is None:
            found[point.name] = point
        elif _address(known) != _address(point):
            hidden, owner = _origin(point), _origin(known)
            warnings.warn(f"gauge {point.name!r} of {hidden} is hidden by that of {owner}", stacklevel=3)
    return found


def _entry_points_anew():
    """``_entry_points`` with the packages that were installed since: a notebook may have run pip."""
    importlib.invalidate_caches()
    _entry_points.cache_clear()
    return _entry_points()


def _load(point):
    """The class behind an entry point; ValueError if there is none, whatever importing it raised."""
    provided = f"gauge: {point.name!r} is provided by {_origin(point)}, which"
    try:
        cls = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # third-party code: anything may happen at import, SystemExit included
        raise ValueError(f"{provided} failed to load: {type(error).__name__}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Gauge)):
        raise ValueError(f"{provided} is not a subclass of swref.Gauge")
    return cls


def _origin(known):
    if isinstance(known, type):
        return f"{known.__module__}.{known.__qualname__}"
    package = known.dist.name if known.dist is not None else "an unnamed package"
    return f"package {package!r} ({known.value})"


def _address(known):
    """module:class, of a class or an entry point."""
    return f"{known.__module__}:{known.__qualname__}" if isinstance(known, type) else known.value
