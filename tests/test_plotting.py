"""Plotting: one colour per gauge, readable on both backgrounds, and pictures of what was passed in."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.sparse import csr_array

from swref import get_gauge, plotting
from swref.gauges import Gauge

SCHATTEN = [0.5, 0.75, 1, 1.5, 2, 3, 4, 10, np.inf]


@pytest.fixture
def ax():
    return Figure().subplots()


def _luminance(color):
    channels = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def _contrast(a, b):
    low, high = sorted([_luminance(a), _luminance(b)])
    return (high + 0.05) / (low + 0.05)


class Plugin(Gauge):
    def value(self, S):
        return np.trace(S)

    def support(self, S):
        return np.eye(len(S))


OTHERS = [
    "kyfan",
    get_gauge("linear", Q0=np.eye(2)),
    get_gauge("block-sum", blocks=[1, 1]),
    get_gauge("block-max", blocks=[1, 1]),
    Plugin(),
]


def test_a_gauge_has_one_colour_however_it_is_named():
    for p, name in [(1, "trace"), (np.inf, "operator"), (np.inf, "muon")]:
        colors = {plotting.gauge_color(g) for g in (p, name, get_gauge(name), get_gauge("schatten", p=p))}
        assert len(colors) == 1
    assert len({plotting.gauge_color(g) for g in [*OTHERS, 1, 2, np.inf, 0.5]}) == 9


@pytest.mark.parametrize("gauge", [*SCHATTEN, *OTHERS])
def test_colours_are_readable_on_light_and_dark_pages(gauge):
    color = plotting.gauge_color(gauge)
    assert min(_contrast(color, "white"), _contrast(color, "#121212")) >= 3  # WCAG 2.1, graphical objects


def test_schatten_colours_vary_continuously_in_1_over_p():
    rgb = np.array([matplotlib.colors.to_rgb(plotting.gauge_color(1 / s)) for s in np.linspace(1e-9, 2, 400)])
    assert np.abs(np.diff(rgb, axis=0)).max() < 0.02
    assert np.abs(rgb[-1] - rgb[0]).max() > 0.2


def test_labels_and_errors():
    assert [plotting.gauge_label(p) for p in (1, 2.5, "operator")] == ["p = 1", "p = 2.5", "p = ∞"]
    assert "KyFan" in plotting.gauge_label("kyfan")


def test_the_look_of_a_line_is_its_colour_and_label(ax):
    (line,) = ax.plot([0, 1], **plotting.gauge_look(2))
    assert (line.get_color(), line.get_label()) == (plotting.gauge_color(2), "p = 2")
    with pytest.raises(ValueError, match="p: expected"):
        plotting.gauge_color(0.3)
    with pytest.raises(ValueError, match="unknown name 'operatr'"):
        plotting.gauge_color("operatr")


def test_style_is_applied_to_new_figures():
    with matplotlib.rc_context():
        plotting.style()
        assert matplotlib.figure.Figure().get_figwidth() == 7
        assert not matplotlib.rcParams["axes.spines.top"]


def test_a_plan_is_drawn_with_opacity_proportional_to_mass(ax):
    x, y = np.array([[0.0, 0], [1, 0]]), np.array([[0.0, 1], [1, 1]])
    plan = csr_array([[0.3, 0.2], [0.0, 0.5]])
    plotting.plot_plan(ax, x, y, plan, "red")
    (lines,) = ax.collections
    expected = [[x[0], y[0]], [x[0], y[1]], [x[1], y[1]]]
    np.testing.assert_array_equal(lines.get_segments(), expected)
    np.testing.assert_allclose(lines.get_edgecolors()[:, 3], 0.8 * np.array([0.3, 0.2, 0.5]) / 0.5)
    assert ax.get_xlabel() == "first coordinate"


def test_a_thinned_plan_keeps_every_second_source(ax):
    x = np.random.default_rng(0).normal(size=(6, 2))
    plotting.plot_plan(ax, x, x + 1, np.eye(6) / 6, "red", every=2)
    np.testing.assert_array_equal([s[0] for s in ax.collections[0].get_segments()], x[::2])


def test_a_plan_of_another_shape_is_refused(ax):
    with pytest.raises(ValueError, match=r"plan: expected shape \(2, 3\), got \(3, 2\)"):
        plotting.plot_plan(ax, np.ones((2, 2)), np.ones((3, 2)), np.ones((3, 2)) / 6, "red")


def test_paths_are_lines_that_end_in_dots(ax):
    paths = np.random.default_rng(0).normal(size=(5, 8, 2))
    plotting.plot_paths(ax, paths, "red", every=2)
    lines, dots = ax.collections
    np.testing.assert_array_equal(lines.get_segments(), np.swapaxes(paths, 0, 1)[::2])
    np.testing.assert_array_equal(dots.get_offsets(), paths[-1, ::2])
    with pytest.raises(ValueError, match="paths: expected 3 axes"):
        plotting.plot_paths(ax, paths[0], "red")


def test_clouds_show_points_and_weights(ax):
    x, y = np.random.default_rng(1).normal(size=(2, 3, 2))
    plotting.plot_clouds(ax, x, y, a=[0.5, 0.25, 0.25], size=8)
    source, target = ax.collections
    np.testing.assert_array_equal(source.get_offsets(), x)
    np.testing.assert_array_equal(target.get_offsets(), y)
    np.testing.assert_allclose(source.get_sizes(), [12, 6, 6])
    np.testing.assert_allclose(target.get_sizes(), 8)


def test_the_moment_ellipse_is_the_level_set_of_the_inverse(ax):
    S, center = np.array([[2.0, 0.6], [0.6, 0.5]]), np.array([3.0, -1.0])
    plotting.plot_moment(ax, S, "red", center)
    z = ax.lines[0].get_xydata() - center
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", z, np.linalg.inv(S), z), 1)
    plotting.plot_moment(ax, np.diag([4.0, 0.0]), "red")
    assert np.abs(ax.lines[1].get_xydata()).max(0) == pytest.approx([2, 0])


@pytest.mark.parametrize("gauge, norm", [(1, 1), (2, 2), (4, 4), ("operator", np.inf)])
def test_the_unit_ball_is_that_of_the_norm_of_the_eigenvalues(ax, gauge, norm):
    plotting.plot_unit_ball(ax, gauge)
    np.testing.assert_allclose(np.linalg.norm(ax.lines[0].get_xydata(), norm, axis=1), 1)
    assert ax.lines[0].get_color() == plotting.gauge_color(gauge)


def test_exponents_are_spaced_by_their_inverse_and_coloured(ax):
    plotting.plot_exponents(ax, [1, 4, np.inf], [3.0, 2, 1], "values")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 3], [0.25, 2], [0, 1]])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "4", "∞"]
    assert ax.xaxis.get_inverted()  # p grows to the right
    colors = [matplotlib.colors.to_hex(color) for color in ax.collections[0].get_facecolors()]
    assert colors == [plotting.gauge_color(p) for p in (1, 4, np.inf)]


def test_a_film_has_a_row_per_density_and_shades_up_to_the_maximum_of_the_row():
    x, y = np.linspace(-1, 1, 7), np.linspace(-1, 1, 5)
    bump = np.exp(-(x[:, None] ** 2) - y**2)
    rows = [((x, y), [bump, 2 * bump, 3 * bump], "red", "first"), ((x, y), [bump] * 3, "blue", "second")]
    grid = np.reshape(plotting.plot_film(rows, [0, 0.5, 1]).axes, (2, 3))
    assert [row[0].get_ylabel() for row in grid] == ["first", "second"]
    assert [ax.get_xlabel() for ax in grid[-1]] == ["t = 0", "t = 0.5", "t = 1"]
    for line, most in zip(grid, (3, 1), strict=True):
        for ax in line:
            (shades,) = ax.collections
            assert shades.levels[[0, -1]] == pytest.approx([0.03 * most, most])
            assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 2), (-2, 2))
    assert plotting.ramp("red")([0.0, 1.0]) == pytest.approx(np.array([[1, 1, 1, 1], [1, 0, 0, 1]]))
