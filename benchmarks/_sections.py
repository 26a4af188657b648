"""The command line, the clock and the plugin that benchmarks share."""

import sys
import time

import numpy as np

import swref


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

    Exits with an error for an unknown name, or when ``failed``, names collected meanwhile, is not empty.
    """
    sections = {name.removeprefix("section_"): f for name, f in namespace.items() if name.startswith("section_")}
    wanted = sys.argv[1:] or list(sections)
    if unknown := set(wanted) - set(sections):
        sys.exit(f"unknown section {', '.join(sorted(unknown))}; known: {', '.join(sections)}")
    for name in wanted:
        print(name)
        sections[name]()
    if failed:
        sys.exit(f"claims that do not hold: {', '.join(failed)}")


def median_seconds(call, repeats):
    """(median CPU seconds, last result) of ``call()``."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return np.median(seconds), result
