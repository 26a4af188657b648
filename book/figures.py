"""Run the full experiments and store the figures and numbers that pages show: `make figures`.

    .venv/bin/python book/figures.py              # all of them
    .venv/bin/python book/figures.py attention    # one

A figure takes minutes; a page must run in one. So a page runs a small version live, and shows these beside it. Each is
stored in ``book/_static/figures``: ``name.json`` holds the command, seed, versions, wall-clock seconds, settings and
numbers, and its pictures lie beside it. A page reads its numbers from there and nowhere else::

    from figures import load

    full = load("attention")
    quoted["full"] = full.numbers["final_energy"][0]

To add one, write a function without arguments that returns a ``Run``, and decorate it with ``@figure``.
"""

import json
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import swref

FOLDER = Path(__file__).resolve().parent / "_static" / "figures"
MOST_BYTES = 200_000  # of one file
DIGITS = 7  # of every stored float: more than a page prints, and half the bytes
FIGURES = {}


@dataclass(frozen=True)
class Run:
    """What one full run leaves: settings and numbers (JSON values or arrays) and pictures {file name: figure}.

    A picture is stored as its name says, .svg or .png; one of thousands of dots is smaller as .png. ``run`` fills in
    ``command``, ``versions`` and ``seconds``.
    """

    seed: int
    settings: dict
    numbers: dict
    pictures: dict = field(default_factory=dict)
    command: str = ""
    versions: dict = field(default_factory=dict)
    seconds: float = 0.0


def figure(function):
    """Register ``function() -> Run`` under its name."""
    FIGURES[function.__name__] = function
    return function


def run(name, folder=FOLDER):
    """Run the figure ``name`` and store it in ``folder``."""
    import matplotlib as mpl

    from swref import plotting

    mpl.use("agg")
    plotting.style()
    mpl.rcParams["svg.hashsalt"] = name  # no random ids, no date: the same run gives the same picture
    start = time.perf_counter()
    result = FIGURES[name]()
    seconds = time.perf_counter() - start
    folder.mkdir(parents=True, exist_ok=True)
    for file, picture in result.pictures.items():
        options = {"metadata": {"Date": None}} if file.endswith(".svg") else {"dpi": 144}
        picture.savefig(folder / file, **options)
    record = {
        "command": f"python book/figures.py {name}",
        "seed": result.seed,
        "versions": {"swref": swref.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "seconds": round(seconds, 1),
        "settings": _plain(result.settings),
        "pictures": list(result.pictures),
        "numbers": _plain(result.numbers),
    }
    text = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items())
    (folder / f"{name}.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
    for file in [f"{name}.json", *result.pictures]:
        size = (folder / file).stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"{file}: has {size} bytes, at most {MOST_BYTES} are stored")


def load(name, folder=FOLDER):
    """The stored ``Run`` of a figure, lists as arrays; its pictures are file names."""
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    record["numbers"] = _arrays(record["numbers"])
    return Run(**record)


@figure
def mlp():
    """Figure 3 at the paper's size: five draws on both clocks, the identity at halved tolerances, three pictures."""
    import matplotlib.pyplot as plt

    from swref import plotting
    from swref.experiments import mlp

    exponents, seeds, tols = (1, 2, np.inf), (mlp.SEED, 0, 1, 2, 3), (1e-2, 5e-3, 2.5e-3)
    draws = _runs(mlp.figure_3, seed=seeds, exponents=[exponents], tol=[5e-3])
    times, progress, lengths = np.arange(0, 79.0, 2.0), np.linspace(0, 1, 41), np.linspace(0, 0.9, 31)

    def energies(where, runs, axis):
        """The energies (5, points) of all draws at these times, fractions or lengths."""
        return np.array([run.energy_at(where, axis) for run in runs])

    ratios = [mlp.dissipation_ratio(draw.problem.energy, draw.problem.start) for draw in draws]
    numbers = {"ratio": ratios, "times": times, "progress": progress, "lengths": lengths, "tols": tols}
    for p in exponents:
        flows, loops = [draw.flows[p] for draw in draws], [draw.clipped[p] for draw in draws]
        aligned = [[mlp.alignment(x) for x in flow.positions] for flow in flows]
        numbers[f"{p}"] = {
            "energy": energies(times, flows, "times"),
            "loop": energies(progress, loops, "progress"),
            "along": energies(lengths, loops, "length"),
            "aligned": aligned,
            "clipped": [loop.clipped.mean() for loop in loops],
            "largest": max(np.abs(loop.positions).max() for loop in loops),
            "account": _account(draws[0].problem, swref.get_gauge("schatten", p=p), tols, t_end=mlp.HORIZONS[1]),
        }
    numbers["snapshot_times"] = draws[0].flows[1].snapshot_times

    paths, axes = plt.subplots(1, 2, figsize=(7, 3.5), sharex=True, sharey=True)
    for ax, p in zip(axes, (1, np.inf), strict=True):
        flow = draws[0].flows[p]
        shown = flow.positions[flow.snapshot_times <= 20]
        plotting.plot_paths(ax, mlp.reduced(shown), plotting.gauge_color(p), every=5)
        ax.plot(*np.stack([np.zeros((3, 2)), 2.6 * draws[0].problem.teacher[:, 1:]]).transpose(2, 0, 1), "k--", lw=1)
        ax.set(xlabel="|u| times first coordinate of v", ylabel="|u| times second" if p == 1 else "")

    clocks, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
    for p in exponents:
        for ax, where, name in zip(axes, (times, progress), ("energy", "loop"), strict=True):
            low, high = numbers[f"{p}"][name].min(0), numbers[f"{p}"][name].max(0)
            ax.fill_between(where, low, high, color=plotting.gauge_color(p), alpha=0.25, lw=0)
            middle = np.median(numbers[f"{p}"][name], axis=0)
            ax.semilogy(where, middle, color=plotting.gauge_color(p), label=plotting.gauge_label(p))
    axes[0].set(xlabel="intrinsic time", ylabel="energy")
    axes[1].set_xlabel("fraction of the paper's steps")
    axes[0].legend()
    return Run(
        mlp.SEED,
        {"neurons": mlp.NEURONS, "inputs": mlp.INPUTS, "seeds": seeds, "tol": 5e-3, "t_end": mlp.HORIZONS[1]},
        numbers,
        {"mlp-paths.png": paths, "mlp-clocks.svg": clocks},
    )


@figure
def attention():
    """Figure 4 at the paper's size: five starts and teachers, dense and sparse, on every clock."""
    from swref.experiments import attention

    seeds, levels, tols = (0, 1, 2, 3, 4), (0.5, 0.1, 0.02), (1e-2, 5e-3, 2.5e-3)
    numbers = {"levels": levels, "tols": tols}
    for regime in attention.REGIMES:
        pairs = _runs(attention.pair, regime=[regime], seed=seeds)
        settings = [pair.problem for pair in pairs]
        teachers = [setting.energy.effective_tokens(setting.teacher) for setting in settings]
        numbers[regime] = {"start": [pair.flows[1].energy[0] for pair in pairs], "teacher": teachers}
        for p in attention.GAUGES:
            runs = [(pair.flows[p], pair.loops[p]) for pair in pairs]
            numbers[regime][f"{p}"] = _attention_runs(settings, *zip(*runs, strict=True), levels)
            options = {"t_end": pairs[0].flows[p].when(0.1), "cutoff": attention.CUTOFF}
            numbers[regime][f"{p}"]["account"] = _account(settings[0], attention.GAUGES[p], tols, **options)
    settings = {"heads": 200, "sequences": 32, "seeds": seeds, "tol": attention.TOL, "cutoff": attention.CUTOFF}
    return Run(0, settings, numbers, _attention_pictures(numbers))


def _attention_runs(settings, flows, loops, levels):
    """The numbers of one regime and one p; energies (seeds, points) as fractions of the start."""
    from swref.experiments import attention

    found = {"last": [flow.energy[-1] / flow.energy[0] for flow in flows]}
    for what in ("times", "forces", "length"):
        low, end = getattr(flows[0], what)[1] / 10, max(getattr(flow, what)[-1] for flow in flows)
        where = np.geomspace(low, end, 40)
        curves = [flow.energy_at(where, what) / flow.energy[0] for flow in flows]
        found[what] = {"where": where, "energy": curves}
        found[what]["when"] = [[flow.when(level, what) for level in levels] for flow in flows]
    found["snapshots"] = {
        "times": flows[0].snapshot_times,
        "energy": [flow.energy_at(flow.snapshot_times) / flow.energy[0] for flow in flows],
    }
    inside = [attention.inside(setting, flow.positions) for setting, flow in zip(settings, flows, strict=True)]
    found["snapshots"] |= {name: [each[name] for each in inside] for name in inside[0]}
    found["loop"] = {
        "last": [run.energy[-1] / run.energy[0] for run in loops],
        "clipped": [run.clipped.mean() for run in loops],
        "time": [run.times[-1] for run in loops],
        "largest": [np.abs(run.positions).max() for run in loops],
    }
    return found


def _attention_pictures(numbers):
    import matplotlib.pyplot as plt

    from swref import plotting

    def band(ax, where, runs, p, ls="-", **line):
        color = plotting.gauge_color(float(p))
        if ls == "-":
            ax.fill_between(where, np.min(runs, axis=0), np.max(runs, axis=0), color=color, alpha=0.25, lw=0)
        ax.plot(where, np.median(runs, axis=0), color=color, ls=ls, **line)

    clocks, rows = plt.subplots(2, 3, figsize=(7, 4.6), sharey="row")
    inside, columns = plt.subplots(2, 2, figsize=(7, 4.6), sharex=True)
    whats = {"times": "intrinsic time", "equal": "time, equal first rates", "length": "distance moved in L2(μ)"}
    left = np.geomspace(1, 0.02, 40)  # of the energy
    for regime, row, (above, below) in zip(("dense", "sparse"), rows, columns.T, strict=True):
        for p in ("1", "inf"):
            found = numbers[regime][p]
            heads, where = found["snapshots"], np.asarray(found["times"]["where"])
            units = [1.0 if p == "1" else rates[0] for rates in heads["anisotropy"]]  # D_inf / D_1 at the start
            runs = zip(found["times"]["energy"], units, strict=True)
            slower = where * np.median(units)
            logs = [np.interp(np.log(slower / unit), np.log(where), np.log(E)) for E, unit in runs]
            curves = {**found, "equal": {"where": slower, "energy": np.exp(logs)}}
            for ax, (what, name) in zip(row, whats.items(), strict=True):
                band(ax, curves[what]["where"], curves[what]["energy"], p, label=plotting.gauge_label(float(p)))
                ax.set(yscale="log", ylim=(0.003, 1.2), xscale="linear" if what == "length" else "log")
                ax.set_xlabel(name if regime == "sparse" else "")
            for ax, what, look in ((above, "tokens", "-"), (above, "heard", ":"), (below, "unseen", "-")):
                pairs = zip(heads["energy"], heads[what], strict=True)
                band(ax, left, [np.interp(-np.log(left), -np.log(E), runs) for E, runs in pairs], p, ls=look)
        row[0].set_ylabel(f"{regime}: share of the energy")
        below.plot(left, left, color="black", lw=1, ls="--")
        below.set(xlabel=f"{regime}: share of the energy left", xscale="log", yscale="log", xlim=(1, 0.02))
    rows[0, 0].legend()
    columns[0, 0].set_ylabel("tokens a row attends to")
    columns[1, 0].set_ylabel("share of the energy\non new sequences")
    return {"attention-clocks.svg": clocks, "attention-inside.svg": inside}


@figure
def mmd():
    """Figure 5 at the paper's size: five draws to a long horizon, the identity at halved tolerances, three gauges in
    space, two pictures."""
    import matplotlib.pyplot as plt

    from swref import plotting
    from swref.experiments import mmd

    seeds, tol, horizon, tols = (0, 1, 2, 3, 4), 2e-3, 400.0, (4e-3, 2e-3, 1e-3, 5e-4)
    races = _runs(mmd.figure_5, seed=seeds, horizon=[horizon], tol=[tol])
    decade = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6.5, 8]
    times, lengths = np.append(np.outer([0.1, 1, 10], decade), [100, 150, 200, 300, 400]), np.linspace(0, 6.4, 33)

    def energies(flows, where, axis):
        """1e-9 stands for the zero that a flow may reach."""
        return np.maximum([flow.energy_at(where, axis) for flow in flows], 1e-9)

    # Two samples of the target's law are this far apart: below it a flow fits the sample.
    samples = [(mmd.clouds(seed=seed)[1], mmd.clouds(seed=seed + 100)[1]) for seed in range(20)]
    numbers = {
        "times": times,
        "lengths": lengths,
        "tols": tols,
        "snapshot_times": races[0].flows["p = 1"].snapshot_times,
    }
    numbers["sampling"] = [swref.energies.MMD(one).value(other) for one, other in samples]
    for name, gauge in mmd.GAUGES.items():
        flows = [race.flows[name] for race in races]
        numbers[name] = {
            "energy": energies(flows, times, "times"),
            "along": energies(flows, lengths, "length"),
            "length": [flow.length[-1] for flow in flows],
            "final": [flow.energy[-1] for flow in flows],
            "residual": [flow.relative_residual for flow in flows],
            "spectra": races[0].spectra(name),  # singular values of force and velocity
            "account": mmd.account(gauge, tols),  # to mmd.HORIZON: |residual| / decrease, steps, forces, last energy
        }
    gauges = {"p = 1": "trace", "k = 2": swref.get_gauge("kyfan", k=2), "p = ∞": "operator"}
    space = mmd.figure_5(gauges, dimension=3)
    numbers["space"] = {
        name: {"times": flow.snapshot_times, "spectra": space.spectra(name), "final": flow.energy[-1]}
        for name, flow in space.flows.items()
    }

    clouds, rows = plt.subplots(3, 5, figsize=(7, 3.5), sharex=True, sharey=True)
    for row, (name, gauge) in zip(rows, mmd.GAUGES.items(), strict=True):
        flow, color = races[0].flows[name], plotting.gauge_color(gauge)
        for ax, t in zip(row, (0, 1, 4, 16, 100), strict=True):
            k = abs(flow.snapshot_times - t).argmin()
            ax.scatter(*races[0].target.T, s=4, c="#cccccc", linewidths=0)
            ax.scatter(*flow.positions[k].T, s=3, c=color, linewidths=0)
            ax.set(xticks=[], yticks=[], aspect="equal", xlabel=f"t = {t}" if ax in rows[-1] else "")
        row[0].set_ylabel(name)

    curves, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
    for name, gauge in mmd.GAUGES.items():
        look = {"color": plotting.gauge_color(gauge), "label": name}
        for ax, where, axis in zip(axes, (times, lengths), ("energy", "along"), strict=True):
            values = numbers[name][axis]
            ax.fill_between(where, values.min(0), values.max(0), alpha=0.25, lw=0, color=look["color"])
            ax.semilogy(where, np.median(values, axis=0), **look)
            ax.axhline(np.median(numbers["sampling"]), color="black", lw=0.8, ls=":")
    axes[0].set(xlabel="intrinsic time", ylabel="energy", xscale="log", ylim=(1e-4, 10))
    axes[1].set_xlabel("distance moved in L2(μ)")
    axes[0].legend()
    settings = {"particles": mmd.PARTICLES, "seeds": seeds, "tol": tol, "t_end": horizon}
    settings["space"] = {"seed": 0, "tol": mmd.TOL, "t_end": mmd.HORIZON}
    return Run(0, settings, numbers, {"mmd-clouds.png": clouds, "mmd-energies.svg": curves})


@figure
def geometry():
    """The closing table: four tasks, five draws; each method's best constant steps, and what each flow spends."""
    from swref.experiments import protocol

    seeds, names, numbers = (0, 1, 2, 3, 4), list(protocol.TASKS), {}
    settings = {"seeds": seeds, "sizes": protocol.TASKS, "tol": protocol.TOL, "cutoff": protocol.CUTOFF}
    for name, size in protocol.TASKS.items():
        draws = _runs(protocol.compare, name=[name], seed=seeds, **{key: [value] for key, value in size.items()})
        numbers[name] = {}
        for method in draws[0]:
            best, spent = zip(*(draw[method] for draw in draws), strict=True)
            found = {
                key: [getattr(one, key) for one in best] for key in ("steps", "length", "unseen", "octave", "seconds")
            }
            numbers[name][method] = found | {"flow": {key: [one[key] for one in spent] for key in spent[0]}}
        settings[f"{name} levels"] = protocol.SHARES if name in ("dense", "sparse") else protocol.task(name).levels
    return Run(0, settings, numbers, {"geometry.svg": _geometry_picture(numbers, names)})


def _geometry_picture(numbers, names):
    """How many times as much p = 1 spends as p = inf, by measure: right of 1 the operator gauge is ahead."""
    import matplotlib.pyplot as plt

    from swref import plotting

    measures = {
        "time": "intrinsic time", "equal": "time, equal first rates", "L2": "distance in L2(μ)",
        "forces": "forces, tracking", "steps": "best steps", "unit": "the same, normalised", "unseen": "unseen energy",
    }  # fmt: skip
    figure, panels = plt.subplots(1, len(names), figsize=(7, 2.8), sharey=True, sharex=True)
    for ax, name in zip(panels, names, strict=True):
        at = 1 if name == "network" else -1
        for row, measure in enumerate(measures):
            pair = []
            for p in ("p = 1", "p = ∞"):
                found = numbers[name][p if measure != "unit" else f"{p}, unit"]
                steps = np.array(found["steps"])[:, at] if measure in ("steps", "unit") else None
                pair.append(np.array(found["flow"][measure]) if steps is None else steps)
            ratios = pair[0] / pair[1]
            ahead = np.median(ratios) > 1
            look = {"color": plotting.gauge_color(np.inf if ahead else 1), "lw": 2}
            ax.plot([ratios.min(), ratios.max()], [-row, -row], **look)
            ax.plot(np.median(ratios), -row, "o", ms=5, color=look["color"])
        ax.axvline(1, color="#888888", lw=1)
        ax.set(xscale="log", xlabel=name)
    panels[0].set_yticks(-np.arange(len(measures)), measures.values())
    return figure


@figure
def heaps():
    """The turning heaps on finer grids: static and dynamic brackets for three gauges."""
    from swref.experiments import heaps

    sizes, exponents = (16, 24, 32, 48), (1, 2, np.inf)
    numbers = {"sizes": sizes}
    for p in exponents:
        rows = []
        for n in sizes:
            ends, gauge = heaps.turning(n), swref.get_gauge("schatten", p=p)
            plan, flow = heaps.planned(ends, gauge)[1], heaps.flowing(ends, gauge)
            rows.append([plan.lower_bound, plan.upper_bound, flow.lower_bound, flow.upper_bound])
        numbers[f"{p}"] = rows
    columns = ["static lower", "static upper", "dynamic lower", "dynamic upper"]
    return Run(0, {"intervals": 16, "tol": 2e-3, "static tol": 1e-4, "columns": columns}, numbers)


def _runs(function, **axes):
    """The results of ``sweep``, one process for each processor."""
    from swref.experiments.sweep import sweep

    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as executor:
        return list(sweep(function, executor=executor, progress=True, **axes).values())


@figure
def digits():
    """Digits: two models by seven methods, each with the best of 13 step lengths, five seeds, train and test."""
    import torch

    from swref.experiments import digits as task

    seeds, levels = (0, 1, 2, 3, 4), (0.3, 0.1, 0.03)
    pairs = [(model, method) for model in task.MODELS for method in task.METHODS]
    with ProcessPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        races = dict(zip(pairs, pool.map(task.train, *zip(*pairs, strict=True)), strict=True))
    numbers = {model: {} for model in task.MODELS}
    for (model, method), runs in races.items():
        found = {"grid": runs.lengths, "sweep": runs.loss[:, :, -1, 0], "steps": runs.steps}
        found["curve"] = runs.loss[runs.best(), :, :, 0]
        found["wrong"] = runs.error[runs.best(), :, :, 2]
        found["when"] = [runs.when(level) for level in levels]
        for by in ("train", "validation"):
            k = runs.best(by)
            loss, error = runs.loss[k, :, -1], runs.error[k, :, -1]
            found[by] = {"length": runs.lengths[k], "index": k, "loss": loss[:, [0, 2]], "error": error[:, 2]}
        numbers[model][method] = found
    settings = {"budget": task.BUDGET, "batch": task.BATCH, "momentum": task.MOMENTUM, "seeds": seeds, "levels": levels}
    settings |= {"torch": torch.__version__, "train, validation": (task.TRAIN, task.VALIDATION)}
    return Run(0, settings, numbers, {"digits-curves.svg": _digits_picture(numbers, task)})


@figure
def muon():
    """The largest difference from ``torch.optim.Muon`` in 50 steps on digits, by dtype and learning-rate rule."""
    import torch

    from swref.experiments import digits as task

    torch.set_num_threads(1)
    rules = {"original": None, "match_rms_adamw": "match_rms_adamw"}
    numbers = {
        dtype: {name: task.muon_difference(dtype, rule) for name, rule in rules.items()}
        for dtype in ("float32", "float64", "bfloat16")
    }
    return Run(0, {"steps": 50, "torch": torch.__version__}, numbers)


def _digits_picture(numbers, task):
    import matplotlib.pyplot as plt

    from swref import plotting

    shown = {"p = 1": "-", "p = 4": "-", "p = ∞": "-", "block-max": "-", "unit": ":"}
    figure, rows = plt.subplots(2, 3, figsize=(7, 4.6))
    for (model, found), (loss, wrong, sweep) in zip(numbers.items(), rows, strict=True):
        for method, dash in shown.items():
            run, options = found[method], task.METHODS[method]
            gauge = swref.get_gauge("block-max", blocks=[1]) if "blocks" in options else options["gauge"]
            look = {"color": plotting.gauge_color(gauge), "ls": dash, "label": method}
            for ax, curves in ((loss, run["curve"]), (wrong, run["wrong"])):
                ax.fill_between(run["steps"], curves.min(0), curves.max(0), alpha=0.2, lw=0, color=look["color"])
                ax.plot(run["steps"], np.median(curves, axis=0), **look)
            sweep.loglog(run["grid"], np.exp(np.log(np.maximum(run["sweep"], 1e-9)).mean(1)), **look)
        loss.set(yscale="log", ylabel=f"{model}: loss on the training set", ylim=(1e-6, 4))
        wrong.set(yscale="log", ylabel="share wrong on the test set", ylim=(0.01, 1))
        sweep.set(ylim=(1e-6, 4), ylabel="loss on the training set, last")
    for ax, name in zip(rows[1], ("steps", "steps", "length of a step"), strict=True):
        ax.set_xlabel(name)
    rows[0, 0].legend(fontsize=7)
    return figure


def _account(problem, gauge, tols, **options):
    """[|residual| / decrease, steps, rejected, forces, last energy] of a flow at each tolerance."""
    rows = []
    for tol in tols:
        flow = swref.flow(problem.energy, problem.start, gauge, tol=tol, **options)
        rows.append([flow.relative_residual, len(flow.times) - 1, flow.rejected, flow.evaluations, flow.energy[-1]])
    return rows


def _plain(value):
    """``value`` in JSON's types, floats rounded to DIGITS; NaN and infinity are refused by ``json.dumps``."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _arrays(value):
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    return np.array(value) if isinstance(value, list) else value


@figure
def interpolation_2():
    """The pair of Figure 2 at full size."""
    from swref.experiments import interpolation

    return _interpolation("interpolation_2", interpolation.figure_2, 1500)


@figure
def interpolation_8():
    """The three pairs of Figure 8 at full size."""
    from swref.experiments import interpolation

    return _interpolation("interpolation_8", interpolation.figure_8, 1200)


def _interpolation(name, experiment, n):
    from swref import plotting

    panels = experiment(n)
    numbers = {
        pair: {
            gauge: [result.lower_bound, result.upper_bound, result.iterations, result.plan.nnz]
            for gauge, result in (("trace", panel.trace), ("operator", panel.operator))
        }
        for pair, panel in panels.items()
    }
    for pair, panel in panels.items():  # W^2 of the first coordinates alone, by sorting: a lower bound at p = inf
        horizontal = np.sort(panel.y[:, 0]) - np.sort(panel.x[:, 0])
        numbers[pair]["horizontal"] = float((horizontal**2).mean())
    settings = {"n": n, "width": 0.15, "columns": ["lower", "upper", "oracle calls", "entries of the plan"]}
    rows = [
        (panel.axes, panel.densities[gauge], plotting.gauge_color(gauge), plotting.gauge_label(gauge))
        for panel in panels.values()
        for gauge in ("trace", "operator")
    ]
    return Run(0, settings, numbers, {f"{name}.png": plotting.plot_film(rows, next(iter(panels.values())).times)})


@figure
def matchings():
    """The pairs of Figures 1 and 7 at full size: certified bounds, the heuristic's cost, that of W2's plan."""
    from swref.experiments import shapes

    found = {**shapes.figure_1(), **shapes.figure_7()}
    centred = {name: shapes.match(name, shift=(0, 0)) for name in shapes.PAIRS}
    numbers = {
        kind: {name: _match(one) for name, one in all_.items()}
        for kind, all_ in (("shifted", found), ("centred", centred))
    }
    return Run(0, {"columns": "squared costs", "points": [len(one.x) for one in found.values()]}, numbers)


def _match(one):
    return {
        "trace": [one.trace.lower_bound, one.trace.upper_bound],
        "operator": [one.operator.lower_bound, one.operator.upper_bound],
        "heuristic": one.heuristic.value,
        "ratio": one.heuristic_ratio,
        "classical ratio": one.classical_ratio,
        "sliced": one.sliced_ratio,
        "settled": one.heuristic.settled,
        "metric": np.linalg.eigvalsh(one.operator.metric),
        "moment": np.linalg.eigvalsh(one.operator.moment),
    }


@figure
def metrics():
    """The smaller eigenvalue of the optimal metric at p = inf: centred clouds of one law, and a pair that is moved."""
    from swref.experiments import shapes

    def smaller(x, y):
        result = swref.transport(x, y, "operator")
        return float(np.linalg.eigvalsh(result.metric)[0]), result.lower_bound, result.upper_bound

    clouds = [np.random.default_rng(seed).normal(size=(2, 50, 2)) for seed in range(20)]
    shifts = np.linspace(0, 0.6, 13)
    numbers = {
        "clouds": [smaller(*(pair - pair.mean(axis=1, keepdims=True))) for pair in clouds],
        "most sliced": [_most_sliced(*(pair - pair.mean(axis=1, keepdims=True))) for pair in clouds],
        "shifts": shifts,
        "bunny to clover": [smaller(*shapes.pair("bunny to clover", (R, 0), 100)) for R in shifts],
    }
    return Run(0, {"points": [50, 100], "columns": ["smaller eigenvalue", "lower", "upper"]}, numbers)


def _most_sliced(x, y, directions=2000):
    """An upper bound of max_u W_uu^2: the largest on a grid of angles, plus what the slope of W_uu can add."""
    t = np.arange(directions) * np.pi / directions
    shadows = np.sort([z @ [np.cos(t), np.sin(t)] for z in (x, y)], axis=1)
    found = np.sqrt(((shadows[1] - shadows[0]) ** 2).mean(0).max())
    slope = sum(np.linalg.norm(z, 2) / np.sqrt(len(z)) for z in (x, y))
    return float(found + slope * np.pi / (2 * directions)) ** 2


@figure
def circle():
    """The static formula on the sphere beside the fluid that it should equal: bumps on the circle, three gauges."""
    from swref.experiments import circle

    numbers = {}
    for name in circle.PAIRS:
        numbers[name] = {}
        for p in (1, 2, np.inf):
            ends, gauge = circle.pair(name, 64), swref.get_gauge("schatten", p=p)
            plan, flow = circle.planned(*ends, gauge), circle.flowing(*ends, gauge, n_time=64, max_iter=1000)
            numbers[name][f"{p}"] = [plan.lower_bound, plan.upper_bound, flow.atoms_lower, flow.upper]
    columns = ["static lower", "static upper", "lower by the fluid", "action of the fluid"]
    return Run(0, {"atoms": 64, "intervals": 64, "columns": columns}, numbers)


@figure
def modes():
    """Figure 6: when the 24 flows lose rank, what the invariants and the account of energy are worth."""
    from swref.experiments import linear_networks

    tols = (1e-8, 1e-10, 1e-12)
    account = linear_networks.account(tols)
    lost = np.isfinite(account[:, 0, 2])
    reach = [linear_networks.threshold(s0[0], p) for _, _, s0, p in linear_networks.cases()]
    beyond = [
        abs(beta[0]) > most and r0[0] == 0
        for (beta, r0, _, p), most in zip(linear_networks.cases(), reach, strict=True)
    ]
    numbers = {
        "drift": account[:, :, 0].max(0),
        "residual": account[:, :, 1].max(0),
        "times": account[lost, -1, 2],
        "moved": np.abs(np.diff(account[lost][..., 2], axis=1)).max(0),
        "lost": int(lost.sum()),
        "beyond": int(np.sum(beyond)),
    }
    return Run(0, {"flows": len(account), "tols": tols}, numbers)


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(FIGURES)
    if unknown := set(wanted) - set(FIGURES):
        sys.exit(f"unknown figure {', '.join(sorted(unknown))}; known: {', '.join(FIGURES)}")
    for name in wanted:
        print(f"{name} ...", flush=True)
        run(name)
        print(f"{name}: {load(name).seconds:.0f} s", flush=True)
