"""The command line, the clock and the plugin that benchmarks share, and the store of what the Results page shows."""

import cProfile
import json
import os
import platform
import pstats
import sys
import time
from pathlib import Path

import numpy as np

import swref

STORE = Path(__file__).resolve().parents[1] / "book" / "results"


class TwoFunctions(swref.Gauge):
    """A gauge stripped to the plugin contract."""

    def __init__(self, gauge):
        self.gauge = gauge

    def value(self, S):
        return self.gauge.value(S)

    def support(self, S):
        return self.gauge.support(S)


def main(namespace, failed=()):
    """Run the functions ``section_<name>`` of a script whose names are on the command line, or all of them.

    With ``--save``, the rows of a section, dictionaries that it yields or returns, are stored for the Results page as
    they come: a run that is cut keeps those that it has. Exits with an error for an unknown name, or when ``failed``,
    names collected meanwhile, is not empty.
    """
    sections = {name.removeprefix("section_"): f for name, f in namespace.items() if name.startswith("section_")}
    wanted = [word for word in sys.argv[1:] if word != "--save"] or list(sections)
    if unknown := set(wanted) - set(sections):
        sys.exit(f"unknown section {', '.join(sorted(unknown))}; known: {', '.join(sections)}")
    for name in wanted:
        print(name, flush=True)
        rows = []
        for row in sections[name]() or ():
            rows.append(row)
            if "--save" in sys.argv:
                store(Path(sys.argv[0]).stem, name, rows)
    if failed:
        sys.exit(f"claims that do not hold: {', '.join(failed)}")


def store(script, section, rows, folder=STORE):
    """Write ``rows`` as folder/script-section.json, in one step, floats to four digits: with command and machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    record = {
        "command": f"python benchmarks/{script}.py {section} --save",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {memory:.0f} GB, load {os.getloadavg()[1]:.1f}",
        "versions": {"swref": swref.__version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    rows = [{k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    head = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    body = ",\n".join(f"    {json.dumps(row, allow_nan=False)}" for row in rows)
    folder.mkdir(exist_ok=True)
    path = folder / f"{script}-{section}.json"
    part = path.with_suffix(".part")
    part.write_text(f'{{\n{head},\n  "rows": [\n{body}\n  ]\n}}\n', encoding="utf-8")
    part.replace(path)


def median_seconds(call, repeats):
    """(median CPU seconds, last result) of ``call()``."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return np.median(seconds), result


def profiled(call, most=8):
    """Rows of the functions in which ``call()`` spends most CPU seconds; compiled code counts for its caller."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(call)
    spent = {place: one[2] for place, one in vars(pstats.Stats(profile))["stats"].items()}
    total = sum(spent.values())
    for (path, _, name), seconds in sorted(spent.items(), key=lambda item: -item[1])[:most]:
        where = f"{Path(path).stem}.{name}" if os.sep in path else name
        print(f"  {where:60} {seconds:6.2f} s of {total:.2f}", flush=True)
        yield {"function": where, "seconds": seconds, "share": seconds / total}
