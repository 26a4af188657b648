"""The Results page: tables of numbers that go beyond the paper, each read from the file that its run left.

``{results} distances`` shows the rows of the functions below that carry this section's name. A function takes one
stored run, a figure of ``book/_static/figures`` or a benchmark of ``book/results``, and yields rows; where the run is
not stored, its rows are left out. No number stands in this file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

BOOK = Path(__file__).resolve().parents[1]
SECTIONS = {}
GAUGES = {"1": "$p=1$", "2": "$p=2$", "inf": r"$p=\infty$"}


@dataclass(frozen=True)
class Row:
    """One line: what is measured, what the paper has, what was found here (Markdown), and the page that explains it."""

    what: str
    paper: str
    found: str
    page: str


def shown(section, run):
    """Register ``function(stored run) -> rows`` under a section of the page."""

    def register(function):
        SECTIONS.setdefault(section, []).append((run, function))
        return function

    return register


def load(name, book=BOOK):
    """The stored run of this name, or None; lists of its ``numbers`` are arrays."""
    for folder in (book / "_static" / "figures", book / "results"):
        path = folder / f"{name}.json"
        if path.exists():
            run = json.loads(path.read_text(encoding="utf-8"))
            return SimpleNamespace(**run | {"numbers": _arrays(run.get("numbers", {}))})
    return None


def rows(section, book=BOOK):
    """[(row, command)] of the runs that are stored."""
    stored = [(load(name, book), function) for name, function in SECTIONS[section]]
    return [(row, run.command) for run, function in stored if run is not None for row in function(run)]


def _arrays(value):
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    return np.array(value) if isinstance(value, list) else value


def interval(low, high, digits=6):
    """[low, high], each rounded outwards to this many significant digits; stored numbers have seven."""
    size = np.floor(np.log10(abs(high)))
    unit, stored = 10.0 ** (size + 1 - digits), 10.0 ** (size - 6) / 2
    places, low, high = max(0, -round(np.log10(unit))), low - stored, high + stored
    return f"[{np.floor(low / unit) * unit:.{places}f}, {np.ceil(high / unit) * unit:.{places}f}]"


def span(values, form="{:.3g}"):
    """The least and the largest: "2.4 to 2.6"."""
    low, high = (form.format(value) for value in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


def power(value):
    """A small number for a sentence, rounded up, for most stand behind "at most": $2.1\\cdot10^{-6}$."""
    if value == 0:
        return "0"
    digits, exponent = f"{value:.3e}".split("e")  # as stored
    return rf"${np.ceil(10 * float(digits)) / 10:g}\cdot10^{{{int(exponent)}}}$"


# -- distances ---------------------------------------------------------------------------------------------------------


@shown("distances", "matchings")
def heuristic(run):
    moved, centred = run.numbers["shifted"], run.numbers["centred"]
    worst, classical = (
        max(one["ratio"][1] for one in moved.values()),
        [one["classical ratio"][1] for one in moved.values()],
    )
    yield Row(
        r"The matchings of Figures 1 and 7 at $p=\infty$: cost divided by the optimum",
        "the heuristic's matchings, without a bound",
        f"at most {worst:.6f} on all four pairs: the heuristic's matchings are optimal. The plan of $\\W_2$ costs "
        f"{span(classical, '{:.4f}')} times the optimum",
        "static_distance",
    )
    ratios = ", ".join(f"{name.split()[0]} {one['ratio'][0]:.2f}" for name, one in centred.items())
    yield Row(
        "The same shapes without the shift of the target",
        "not treated",
        f"the heuristic costs this many times the optimum: {ratios}. It knows no bound, so it cannot tell",
        "static_distance",
    )


@shown("distances", "interpolation_2")
def figure_2(run):
    yield from _certified(run, "Figure 2")


@shown("distances", "interpolation_8")
def figure_8(run):
    yield from _certified(run, "Figure 8")


def _certified(run, figure):
    pairs = {name: one for name, one in run.numbers.items() if isinstance(one, dict)}
    texts = [
        f"{name}: $p=1$ {interval(*one['trace'][:2])}, $p=\\infty$ {interval(*one['operator'][:2])}"
        for name, one in pairs.items()
    ]
    what = rf"Squared distances of {figure}, $n={run.settings['n']}$"
    yield Row(what, r"exact at $p=1$, a heuristic at $p=\infty$", "; ".join(texts), "geodesics")


@shown("distances", "matchings")
def centred_rank(run):
    texts = [f"{name.split()[0]} {span(one['metric'], '{:.3f}')}" for name, one in run.numbers["centred"].items()]
    yield Row(
        r"Eigenvalues of the optimal metric at $p=\infty$, centred shapes",
        'a one-dimensional top eigenspace is called "generic" (Rem. 5.2)',
        "; ".join(texts),
        "maxmin",
    )


@shown("distances", "metrics")
def random_rank(run):
    clouds = run.numbers["clouds"]
    share = (run.numbers["most sliced"] / clouds[:, 1]).max()
    yield Row(
        rf"The same for {len(clouds)} pairs of centred normal clouds",
        "the same remark",
        f"the smaller eigenvalue is {span(clouds[:, 0], '{:.2f}')}; the best single direction reaches at most "
        f"{np.ceil(100 * share):.0f}% of the squared distance, so no optimal metric has rank one",
        "maxmin",
    )
    shifts, moved = run.numbers["shifts"], run.numbers["bunny to clover"]
    texts = [f"{moved[k, 0]:.3f} at {shifts[k]:.1f}" for k in range(0, len(shifts), 2)]
    yield Row(
        r"The smaller eigenvalue against the shift of the target, $n=100$",
        "far apart the metric becomes rank one (Prop. A.8)",
        ", ".join(texts),
        "maxmin",
    )


@shown("distances", "heaps")
def brackets(run):
    for p, name in GAUGES.items():
        static_low, static_high, low, high = run.numbers[p][-1]
        size = run.numbers["sizes"][-1]
        yield Row(
            f"Dynamic squared distance of two turning heaps, {name}, ${size}^2$ cells",
            "static and dynamic are equal (Thm 4.2); no grid",
            f"{interval(low, high, 5)}; static on the same cells {interval(static_low, static_high, 5)}: "
            f"the grid adds {low / static_high - 1:.1%}",
            "dynamic_formulation",
        )


@shown("distances", "circle")
def sphere(run):
    texts = []
    for pair, found in run.numbers.items():
        for p, name in GAUGES.items():
            low, high, _, action = found[p]
            texts.append(f"{pair}, {name}: {interval(low, high)}, fluid {action:.5f}")
    yield Row(
        f"$\\mathsf{{UW}}_\\gamma^2$ of bumps on the circle, {run.settings['atoms']} atoms: static formula and fluid",
        "dynamic only; a static form beyond the trace is left open (Rem. I.4)",
        "; ".join(texts),
        "spherical_transport",
    )


# -- flows -------------------------------------------------------------------------------------------------------------


@shown("flows", "mlp")
def clocks(run):
    clipped = "; ".join(f"{GAUGES[p]} {span(run.numbers[p]['clipped'], '{:.0%}')}" for p in GAUGES)
    yield Row(
        r"Speed of the clock, two-layer networks: $N_\infty^*(g)^2/N_1^*(g)^2$ at the start",
        "every curve is stretched to its own horizon",
        f"{span(run.numbers['ratio'], '{:.2f}')} over five draws; steps that the paper's loop shortens: {clipped}",
        "two_layer_networks",
    )
    texts = [f"{GAUGES[p]} {', '.join(power(row[0]) for row in run.numbers[p]['account'])}" for p in GAUGES]
    tols = ", ".join(f"{tol:g}" for tol in run.numbers["tols"])
    yield Row(
        f"Residual of the energy identity divided by the energy lost, tolerances {tols}",
        "the identity (Thm 5.1), not measured",
        "; ".join(texts),
        "two_layer_networks",
    )


@shown("flows", "attention")
def attention(run):
    texts = []
    for regime in ("dense", "sparse"):
        shares = [np.mean(run.numbers[regime][p]["loop"]["clipped"]) for p in ("1", "inf")]
        texts.append(rf"{regime} {shares[0]:.0%} ($p=1$) and {shares[1]:.0%} ($p=\infty$)")
    yield Row(
        "Steps of the attention loops that the clip shortens, mean of five draws",
        "the clip is in the code of the figure",
        "; ".join(texts),
        "attention",
    )
    yield Row(
        "Sparse teacher: energy on new sequences, as a share, when a tenth of the training energy is left",
        "not treated",
        "; ".join(f"{GAUGES[p]} {span(_unseen(run.numbers['sparse'][p]), '{:.3f}')}" for p in ("1", "inf")),
        "attention",
    )


def _unseen(found, level=0.1):
    heads = found["snapshots"]
    return [
        np.interp(-np.log(level), -np.log(E), share) for E, share in zip(heads["energy"], heads["unseen"], strict=True)
    ]


@shown("flows", "mmd")
def mmd(run):
    names = {"p = 1": "$p=1$", "p = 2": "$p=2$", "p = ∞": r"$p=\infty$"}
    texts = [f"{name} {span(run.numbers[key]['residual'], '{:.1e}')}" for key, name in names.items()]
    yield Row(
        "Residual of the energy identity divided by the energy lost, MMD flows, five draws",
        "the identity (Thm 5.1), not measured",
        "; ".join(texts),
        "gradient_flows",
    )


@shown("flows", "modes")
def rank_loss(run):
    found, tols = run.numbers, run.settings["tols"]
    yield Row(
        f"Linear networks of Figure 6: flows that lose rank, of {run.settings['flows']}",
        "a later revision treats loss of rank",
        f"{found['lost']}, at times {span(found['times'])}, exactly the {found['beyond']} whose target lies beyond the "
        f"threshold $s_02^{{p/(p-1)}}$; from tolerance {tols[-2]:g} to {tols[-1]:g} the times move by "
        f"{power(found['moved'][-1])}",
        "gaussian_flows",
    )
    yield Row(
        "The invariants of Prop. F.4 before rank loss: largest relative drift",
        "constant, a theorem",
        f"{power(found['drift'].max())}; residual of the energy identity {power(found['residual'][-1])}",
        "gaussian_flows",
    )


@shown("flows", "muon")
def muon(run):
    largest = max(max(rules.values()) for rules in run.numbers.values())
    yield Row(
        f"`SpectralDescent` against `torch.optim.Muon`, {run.settings['steps']} steps, three precisions, both rules",
        "no optimizer",
        f"largest difference {largest:g}",
        "muon_in_practice",
    )


@shown("flows", "digits")
def digits(run):
    for network in ("mlp", "attention"):
        found = run.numbers[network]
        texts = [
            f"{name}: {np.median(one['train']['loss'][:, 0]):.1e}, {(100 * one['train']['error']).mean():.1f}%"
            for name, one in found.items()
            if name != "unit"
        ]
        yield Row(
            f"Digits, {network}, each method with its best length of a step: last training loss (median of "
            f"{len(run.settings['seeds'])}), wrong among unseen digits (mean)",
            "no such experiment",
            "; ".join(texts),
            "muon_in_practice",
        )


# -- solvers -----------------------------------------------------------------------------------------------------------


@shown("solvers", "static-conic")
def conic(run):
    texts = [f"{row['gauge']} {row['times']:.0f} times (worst {row['least']:.0f})" for row in run.rows]
    yield Row(
        f"`transport` against the conic program in CVXPY, $n={run.rows[0]['n']}$, to $10^{{-6}}$: how much faster",
        "no solver with bounds",
        "; ".join(texts),
        "how_the_solvers_work",
    )


@shown("solvers", "static-emd")
def emd(run):
    texts = [f"$n={row['n']}$, $d={row['d']}$, {row['gauge']}: {row['emd2']:.1f}" for row in run.rows]
    what = "A certified distance in units of one `ot.emd2` with its cost matrix ready"
    yield Row(what, "no solver with bounds", "; ".join(texts), "how_the_solvers_work")


@shown("solvers", "large-metric")
def one_metric(run):
    for row in run.rows:
        yield Row(
            f"One metric, $n=8000$, $d={row['d']}$, {row['weights']} weights",
            "no solver",
            f"{row['seconds']:.2f} s, {row['MB']:.0f} MB, gap {power(row['gap'])}; `ot.emd2` "
            f"{row['emd2 seconds']:.1f} s, {row['emd2 MB']:.0f} MB: {row['emd2 seconds'] / row['seconds']:.0f} times",
            "how_the_solvers_work",
        )


@shown("solvers", "large-far")
def far(run):
    for d in sorted({row["d"] for row in run.rows}):
        those = [row for row in run.rows if row["d"] == d]
        sizes, curves = sorted({row["n"] for row in those}), {}
        for row in those:
            curves.setdefault((row["kind"], row["weights"]), []).append((row["n"], row["seconds"]))
        texts = [f"$n={n}$: {span([row['seconds'] for row in those if row['n'] == n], '{:.1f}')} s" for n in sizes]
        powers = [np.polyfit(*np.log(curve).T, 1)[0] for curve in curves.values() if len(curve) > 1]
        growth = f"; the time grows like $n^a$, $a$ {span(powers, '{:.1f}')}" if powers else ""
        yield Row(
            f"One metric, $d={d}$, {len(curves)} kinds of clouds and weights",
            "no solver",
            f"{', '.join(texts)}{growth}; at most {np.ceil(max(row['MB'] for row in those)):.0f} MB, "
            f"gap at most {power(max(row['gap'] for row in those))}",
            "how_the_solvers_work",
        )


HARD = {
    "collapse": "a target a thousandth of the source in size",
    "coincident": "clouds apart by $10^{-6}$",
    "grid": "grids, with ties everywhere",
    "heavy tails": "Cauchy tails",
    "rank one": "a metric of rank one",
    "nearly rank one": "a metric of rank one plus $10^{-8}\\Id$",
}


@shown("solvers", "large-hard")
def hard(run):
    for kind in dict.fromkeys(row["kind"] for row in run.rows):
        those = [row for row in run.rows if row["kind"] == kind]
        sizes = sorted({row["n"] for row in those})
        texts = [f"$n={n}$: {span([row['seconds'] for row in those if row['n'] == n], '{:.1f}')} s" for n in sizes]
        yield Row(
            f"One metric, $d=2$, equal and random weights: {HARD[kind]}",
            "no solver",
            f"{', '.join(texts)}; gap at most {power(max(row['gap'] for row in those))}",
            "how_the_solvers_work",
        )


DOES = {
    "kernels.simplex_on_arcs": "pivots on the listed pairs",
    "kernels.least_reduced": "search of all pairs",
    "newton._without_f": "Newton matrix of the metric",
    "newton.by_metric": "elimination of the potentials",
    "_decomp_cholesky._cholesky": "Cholesky factors",
    "masses._repair": "exact masses",
    "masses.coupling": "exact masses",
    "dense_kernels.simplex_on_rows": "pivots in the matrix of costs",
}


@shown("solvers", "large-profile")
@shown("solvers", "joint-profile")
def profile(run):
    shares = {}
    for row in run.rows:
        name = DOES.get(row["function"], "all else")
        shares[name] = shares.get(name, 0.0) + row["share"]
    shares["all else"] = 1 - sum(share for name, share in shares.items() if name != "all else")
    yield Row(
        "Where the time goes: " + ("one metric, $n=100000$" if "large" in run.command else "$d=50$, $n=1000$"),
        "no solver",
        "; ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        "how_the_solvers_work",
    )


@shown("solvers", "large-distance")
def distance(run):
    for row in run.rows:
        yield Row(
            f"The distance to $10^{{-6}}$, $n={row['n']}$, $d=2$, {GAUGES[row['p'].removesuffix('.0')]}",
            "no solver",
            f"{row['seconds']:.1f} s, {row['MB']:.0f} MB, {row['calls']} transport problems; one `ot.emd2` at $n=8000$ "
            f"takes {row['emd2 seconds at 8000']:.1f} s",
            "how_the_solvers_work",
        )


@shown("solvers", "joint-clouds20")
@shown("solvers", "joint-clouds50")
@shown("solvers", "joint-clouds50large")
def joint(run):
    for row in run.rows:
        yield Row(
            f"$d={row['d']}$, $n={row['n']}$, {row['gauge']}, to $10^{{-6}}$",
            "no solver",
            f"{row['seconds']:.1f} s, {row['steps']} steps, gap {power(row['gap'])}; cutting planes alone "
            f"{row['engine seconds']:.1f} s, {row['engine calls']} problems, gap {power(row['engine gap'])}",
            "how_the_solvers_work",
        )


@shown("solvers", "joint-memory")
def memory(run):
    (row,) = run.rows
    yield Row(
        rf"Memory at $d={row['d']}$, $n={row['n']}$, $p=\infty$",
        "no solver",
        f"{row['MB']:.0f} MB, that of {row['matrices']:.1f} matrices of all pairs",
        "how_the_solvers_work",
    )


@shown("solvers", "joint-gaussians")
def gaussians(run):
    for d in sorted({row["d"] for row in run.rows}):
        those = [row for row in run.rows if row["d"] == d and row["gauge"] == "Operator()" and not row["shift"]]
        for row in those:
            yield Row(
                rf"Gaussians, $d={d}$, full rank, $p=\infty$, to $10^{{-8}}$",
                "no solver",
                f"{row['seconds']:.1f} s, {row['steps']} steps, gap {power(row['gap'])}",
                "how_the_solvers_work",
            )


@shown("solvers", "joint-cube")
def cube(run):
    for row in run.rows:
        yield Row(
            f"Fragmented hypercube, $d={row['d']}$, $n={row['n']}$, {row['gauge']}, to $10^{{-3}}$",
            "the distance of Paty and Cuturi, cited (Rem. A.7)",
            f"{row['seconds']:.2f} s; their Frank–Wolfe {row['peer seconds']:.2f} s, gap {power(row['peer gap'])}",
            "how_the_solvers_work",
        )


@shown("solvers", "pairs-processes")
def pairs(run):
    two = run.rows[-1]
    same = "every bit the same" if all(row["same bits"] for row in run.rows) else "bits differ"
    yield Row(
        "`pairwise` of 40 clouds of 300 points: two processes against one",
        "no solver",
        f"{two['times']:.2f} times faster, {same}",
        "how_the_solvers_work",
    )


class Results(SphinxDirective):
    """The table of one section, or nothing where no run of it is stored."""

    required_arguments = 1

    def run(self):
        section = self.arguments[0]
        for name, _ in SECTIONS[section]:
            self.env.note_dependency(str(BOOK / "_static" / "figures" / f"{name}.json"))
            self.env.note_dependency(str(BOOK / "results" / f"{name}.json"))
        lines = ["````{list-table}", ":header-rows: 1", ":class: api results", ":widths: 27 18 35 20", ""]
        head = ("number", "in the paper", "here", "made by")
        cells = [
            (f"{row.what} ({{doc}}`{row.page}`)", row.paper, row.found, f"`{command}`")
            for row, command in rows(section)
        ]
        for one in (head, *cells):
            lines += [f"{'  -' if k else '* -'} {cell}" for k, cell in enumerate(one)]
        node = nodes.container()
        self.state.nested_parse(StringList([*lines, "````"], "results"), self.content_offset, node)
        return node.children


class Machines(SphinxDirective):
    """A list of the machines that timed the stored benchmarks."""

    def run(self):
        stored = [load(path.stem) for path in sorted((BOOK / "results").glob("*.json"))]
        lines = [
            f"- `{run.command}`: {run.machine}; Python {run.versions['python']}, NumPy {run.versions['numpy']}"
            for run in stored
        ]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, "machines"), self.content_offset, node)
        return node.children


def stored(name, rawtext, text, lineno, inliner, options=None, content=None):
    """One number in the prose: {stored}`run|key|...|format`; ``min`` and ``max`` of an array are keys too."""
    run, *keys, form = text.split("|")
    value = vars(load(run))
    for key in [*([] if keys[0] in value else ["numbers"]), *keys]:
        if key in ("min", "max"):
            value = getattr(np, key)(value)
        else:
            value = value[int(key) if isinstance(value, (list, np.ndarray)) else key]
    return [nodes.inline(rawtext, f"{value:{form}}")], []


def setup(app):
    app.add_role("stored", stored)
    app.add_directive("results", Results)
    app.add_directive("machines", Machines)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
