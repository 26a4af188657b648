"""What do two processes bring to ``swref.pairwise``? Wall-clock seconds, and whether every bit is the same.

    python benchmarks/pairs.py             # about two minutes
    python benchmarks/pairs.py processes   # one of: processes, threads; --save stores for the book's Results page

processes  40 clouds of 300 points in the plane, 780 pairs at p = inf: this process, a pool of one, a pool of two
threads    the same by two threads: what of the time is spent without Python's lock
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
from _sections import main

import swref
from swref.clouds.pairs import FIELDS

CLOUDS = [np.random.default_rng(k).standard_normal((300, 2)) @ np.diag([1, 1 + k % 3]) for k in range(40)]


def timed(executor=None):
    start = time.perf_counter()
    result = swref.pairwise(CLOUDS, "operator", executor=executor)
    return time.perf_counter() - start, result


def report(name, seconds, result, reference):
    same = all(np.array_equal(getattr(result, field), getattr(reference[1], field)) for field in FIELDS)
    print(f"  {name:20} {seconds:6.1f} s   {reference[0] / seconds:4.2f} x   {'same bits' if same else 'OTHER BITS'}")
    return {"name": name, "seconds": seconds, "times": reference[0] / seconds, "same bits": same}


def pool(kind, workers):
    with kind(workers) as executor:
        list(executor.map(swref.transport, CLOUDS[:workers], CLOUDS[:workers], ["operator"] * workers))  # compile
        return timed(executor)


def section_processes():
    swref.transport(CLOUDS[0], CLOUDS[1], "operator")
    alone = timed()
    rows = [report("this process", *alone, alone)]
    one = pool(ProcessPoolExecutor, 1)
    rows.append(report("pool of one", *one, one))
    return [*rows, report("pool of two", *pool(ProcessPoolExecutor, 2), one)]


def section_threads():
    swref.transport(CLOUDS[0], CLOUDS[1], "operator")
    alone = timed()
    report("this thread", *alone, alone)
    report("two threads", *pool(ThreadPoolExecutor, 2), alone)


if __name__ == "__main__":
    main(globals())
