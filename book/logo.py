"""Draw the logo and the favicon: `.venv/bin/python book/logo.py`.

The displacement ellipses of the README's picture on top of each other: a needle at p = 1, a circle at p = ∞, and what
lies between them.
"""

import sys
from pathlib import Path

import numpy as np
from plan import heaps

import swref
from swref import plotting

STATIC = Path(__file__).with_name("_static")
SIZE, RADIUS = 64, 29  # of the square, and of the needle in it


def ellipse(p, width):
    """One SVG element: the root-mean-square displacement in each direction, for the best plan under Schatten p."""
    moment = swref.transport(*map(heaps, (0, 60)), swref.get_gauge("schatten", p=p), tol=1e-9).moment
    variances, axes = np.linalg.eigh(moment)
    ry, rx = RADIUS * np.sqrt(variances.clip(0))
    shape = f'ellipse rx="{rx:.1f}" ry="{ry:.1f}"' if ry > 0.01 * rx else f'path d="M{-rx:.1f} 0H{rx:.1f}"'
    angle = -np.degrees(np.arctan2(*axes[::-1, 1])) % 180  # of the long axis; y points down in SVG
    turn = f' transform="rotate({angle:.0f})"' if rx > 1.01 * ry else ""  # a circle has no long axis
    return f'<{shape} stroke="{plotting.gauge_color(p)}" stroke-width="{width}"{turn}/>'


def draw(exponents, width):
    """The SVG, from the back to the front, with lines of this width."""
    shapes = "".join(f"\n  {ellipse(p, width)}" for p in exponents)
    box = f'width="{SIZE}" height="{SIZE}" viewBox="{-SIZE // 2} {-SIZE // 2} {SIZE} {SIZE}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} fill="none" stroke-linecap="round">{shapes}\n</svg>\n'


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else STATIC
    for name, *look in (("logo.svg", (np.inf, 1.2, 1), 3), ("favicon.svg", (np.inf, 1), 6)):
        (folder / name).write_text(draw(*look), encoding="utf-8")
