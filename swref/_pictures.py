"""Small SVG pictures for result cards, in the page's own text colour."""

import numpy as np

SIZE = 220  # pixels, and units of the coordinates below
MOST = 300  # points and segments of a picture, the heaviest ones


def svg(label, content, height=SIZE):
    """A picture of this height; ``label`` is what a screen reader says."""
    return (
        f"<svg viewBox='0 0 {SIZE} {height}' width='{SIZE}' height='{height}' role='img' aria-label='{label}' "
        f"fill='currentColor' stroke='currentColor' stroke-width='1'>{content}</svg>"
    )


def plan_svg(label, X, Y, plan, discs, squares, under=""):
    """A plan (n, m) from discs at X (n, 2) to squares at Y (m, 2), with these radii (n,) and (m,)."""
    plan = plan.tocoo()
    heavy = np.argsort(-plan.data, kind="stable")[:MOST]
    shade = plan.data[heavy] / plan.data.max(initial=np.finfo(float).tiny)
    lines = "".join(
        f"<line x1='{a[0]:.1f}' y1='{a[1]:.1f}' x2='{b[0]:.1f}' y2='{b[1]:.1f}' stroke-opacity='{0.6 * w:.2f}'/>"
        for a, b, w in zip(X[plan.row[heavy]], Y[plan.col[heavy]], shade, strict=True)
    )
    first, second = (np.argsort(-radii, kind="stable")[:MOST] for radii in (discs, squares))
    for (x, y), r in zip(X[first], discs[first], strict=True):
        lines += f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r:.1f}' stroke='none'/>"
    for (x, y), r in zip(Y[second], squares[second], strict=True):
        lines += f"<rect x='{x - r:.1f}' y='{y - r:.1f}' width='{2 * r:.1f}' height='{2 * r:.1f}' fill='none'/>"
    return svg(label, under + lines)
