"""Draw what stands for the falling clouds where no script runs: `.venv/bin/python book/falling.py`.

A wide cloud of 48 grains falls on two heaps of 24, down the energy distance, by gradient descent (p = 1) and in the
geometry of Muon (p = ∞): the grains at time MIDDLE, and their whole paths.
"""

import sys
from pathlib import Path

import numpy as np

import swref
from swref import plotting

FILE = Path(__file__).with_name("_static") / "falling.svg"
MIDDLE, END = 0.4, 1.8  # on the clock of Thm 5.1
UNIT, PANEL, HEIGHT = 56, 330, 158  # of the picture: the outermost grain goes 2.8 units to the side


def heap(n, x, y, half_width, half_height):
    """n points (n, 2) that fill an ellipse about (x, y), as the seeds of a sunflower."""
    k = np.arange(n)
    turn, size = np.pi * (3 - np.sqrt(5)) * k, np.sqrt((k + 0.5) / n)
    return np.column_stack([x + half_width * size * np.cos(turn), y + half_height * size * np.sin(turn)])


CLOUD = heap(48, 0.03, 0.68, 0.9, 0.28)
HEAPS = np.concatenate([heap(24, side, -0.7, 0.33, 0.28) for side in (-0.75, 0.75)])


def fall(p):
    """The flow of the energy distance to HEAPS from CLOUD under Schatten p, with its positions at 19 times."""
    times = np.linspace(0, END, 19)  # MIDDLE among them
    energy = swref.energies.MMD(HEAPS, epsilon=0.05)
    return swref.flow(energy, CLOUD, swref.get_gauge("schatten", p=p), t_end=END, snapshot_times=times)


def pixels(x):
    """Points (..., 2) of the plane in a panel, y down, as text."""
    return [f"{u:.1f} {v:.1f}" for u, v in (x * [UNIT, -UNIT] + [PANEL / 2, HEIGHT / 2 + 12]).reshape(-1, 2)]


def dots(x, size, style):
    """A circle of this diameter around each point: a path of length zero with a round pen."""
    return f'<path d="{"".join(f"M{point}h0" for point in pixels(x))}" stroke-width="{size}" {style}/>'


def panel(k, p):
    """The panel of Schatten p, the k-th from the left."""
    run, color = fall(p), plotting.gauge_color(p)
    now = np.searchsorted(run.snapshot_times, MIDDLE - 1e-9)
    ways = "".join(f"M{'L'.join(pixels(way))}" for way in run.positions.swapaxes(0, 1))
    left = run.energy_at(MIDDLE) / run.energy[0]
    return "\n  ".join([
        f'<svg x="{k * PANEL}" width="{PANEL}" height="{HEIGHT}">',
        dots(HEAPS, 6, 'stroke="#808080" stroke-opacity="0.45"'),
        dots(CLOUD, 3, 'stroke="#808080"'),
        f'<path d="{ways}" stroke="{color}" stroke-opacity="0.45"/>',
        dots(run.positions[now], 5, f'stroke="{color}"'),
        f'<text x="{PANEL / 2:.0f}" y="16" fill="{color}">{plotting.gauge_label(p)}: energy left {left:.0%}</text>',
        "</svg>",
    ])  # fmt: skip


def draw():
    """The SVG, two panels."""
    panels = "\n  ".join(panel(k, p) for k, p in enumerate((1, np.inf)))
    style = 'fill="none" stroke-linecap="round" text-anchor="middle" font-family="sans-serif" font-size="14"'
    box = f"0 0 {2 * PANEL} {HEIGHT}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" {style}>\n  {panels}\n</svg>\n'


if __name__ == "__main__":
    Path(sys.argv[1] if sys.argv[1:] else FILE).write_text(draw(), encoding="utf-8")
