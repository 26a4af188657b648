"""Gauges: the plugin contract, the registry, the checker, and the built-in gauges."""

from .base import Gauge, GaugeError, SpectralGauge
from .blocks import BlockMax, BlockSum
from .checks import check_gauge
from .compose import Congruence, Max, Multiple, Sum, maximum
from .kyfan import KyFan, Linear
from .registry import gauge_for, get_gauge, list_gauges, register_gauge
from .schatten import Operator, RootSchatten, Schatten, Trace

__all__ = [
    "BlockMax", "BlockSum", "Congruence", "Gauge", "GaugeError", "KyFan", "Linear", "Max", "Multiple", "Operator",
    "RootSchatten", "Schatten", "SpectralGauge", "Sum", "Trace", "check_gauge", "gauge_for", "get_gauge",
    "list_gauges", "maximum", "register_gauge",
]  # fmt: skip
