"""What do two processes bring to ``swref.pairwise``? Seconds by the wall and of all cores; is every bit the same?

The wall says something on two idle cores only; CPU seconds, children included, say what the work itself takes.

    python benchmarks/pairs.py             # about two minutes
    python benchmarks/pairs.py processes   # one of: processes, threads; --save stores for the book's Results page

processes  40 clouds of 300 points in the plane, 780 pairs at p = inf: this process, a pool of one, a pool of two
threads    the same by two threads: what of the time is spent without Python's lock
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
from _sections import main

import swref
from swref.clouds.pairs import FIELDS

CLOUDS = [np.random.default_rng(k).standard_normal((300, 2)) @ np.diag([1, 1 + k % 3]) for k in range(40)]


def spent():
    """(seconds by the wall, CPU seconds of this process and of its children that have ended)"""
    now = os.times()
    return np.array([now.elapsed, now.user + now.system + now.children_user + now.children_system])


def report(name, seconds, result, reference):
    wall, cores = seconds
    times = reference[0][0] / wall
    same = all(np.array_equal(getattr(result, field), getattr(reference[1], field)) for field in FIELDS)
    bits = "same bits" if same else "OTHER BITS"
    print(f"  {name:20} {wall:6.1f} s, {cores:6.1f} of all cores   {times:4.2f} x   {bits}", flush=True)
    return {"name": name, "seconds": wall, "CPU seconds": cores, "times": times, "same bits": same}


def alone():
    swref.transport(CLOUDS[0], CLOUDS[1], "operator")
    start = spent()
    result = swref.pairwise(CLOUDS, "operator")
    return spent() - start, result


def pool(kind, workers):
    """The wall is read while the workers stand ready; their CPU seconds hold their start, too."""
    before = spent()
    with kind(workers) as executor:
        list(executor.map(swref.transport, CLOUDS[:workers], CLOUDS[:workers], ["operator"] * workers))  # compile
        start = spent()
        result = swref.pairwise(CLOUDS, "operator", executor=executor)
        end = spent()
    return np.array([(end - start)[0], (spent() - before)[1]]), result


def section_processes():
    here = alone()
    yield report("this process", *here, here)
    one = pool(ProcessPoolExecutor, 1)
    yield report("pool of one", *one, here)
    yield report("pool of two", *pool(ProcessPoolExecutor, 2), one)


def section_threads():
    here = alone()
    yield report("this thread", *here, here)
    yield report("two threads", *pool(ThreadPoolExecutor, 2), here)


if __name__ == "__main__":
    main(globals())
