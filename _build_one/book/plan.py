"""Draw the picture of the README and of the introduction: `.venv/bin/python book/plan.py`.

Two heaps of grains at (-1, 0) and (1, 0) go to two holes, the heaps turned by 60 degrees about the origin. Moving a
heap as a whole to its next hole takes steps of length 1, to the other hole of length sqrt(3).
"""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import swref
from swref import plotting

FILE = Path(__file__).with_name("_static") / "plan.svg"


def heaps(degrees, n=30, radius=0.25):
    """Two discs of n grains (2n, 2) about -c and c, the unit vector c at this angle; a spiral spreads the grains."""
    k = np.arange(n) + 0.5
    turn, size = np.pi * (3 - np.sqrt(5)) * k, radius * np.sqrt(k / n)
    disc = np.column_stack([size * np.cos(turn), size * np.sin(turn)])
    c = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return np.vstack([disc - c, disc + c])


def draw():
    """The figure: per gauge a column, plan above, displacements and the ellipse of their second moment below."""
    plotting.style()
    x, y = heaps(0), heaps(60)
    fig, columns = plt.subplots(2, 3, figsize=(7, 4.8), sharex=True, sharey=True)
    for (above, below), p in zip(columns.T, (1, 2, np.inf), strict=True):
        result, color = swref.transport(x, y, swref.get_gauge("schatten", p=p)), plotting.gauge_color(p)
        plan = result.plan.tocoo()
        plan.data[plan.data < 0.01 * plan.data.max()] = 0  # too pale to be seen, and most of the file
        plan.eliminate_zeros()
        plotting.plot_plan(above, x, y, plan, color)
        plotting.plot_clouds(above, x, y, size=7)
        above.set_title(f"{plotting.gauge_label(p)}:  $W^2$ = {result.squared_distance:.3f}", fontsize=10)
        dots = (y[plan.col] - x[plan.row]).T
        below.scatter(*dots, s=7, color=color, alpha=plan.data / plan.data.max(), linewidths=0, zorder=3)
        plotting.plot_moment(below, result.moment, color)
        total, worst = np.trace(result.moment), np.linalg.eigvalsh(result.moment)[-1]
        below.set_title(f"total {total:.3f}, worst direction {worst:.3f}", fontsize=8.5)
        for ax, what in ((above, "position"), (below, "displacement")):
            ax.set(xlabel=f"{what}, first coordinate", ylabel=f"{what}, second", xlim=(-1.7, 1.7), ylim=(-1.3, 1.3))
            ax.tick_params(labelbottom=True)
            ax.yaxis.label.set_visible(p == 1)
    return fig


if __name__ == "__main__":
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "plan"  # no random ids, no date: the same run gives the same file
    draw().savefig(sys.argv[1] if sys.argv[1:] else FILE, metadata={"Date": None})
