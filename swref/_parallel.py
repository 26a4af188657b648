"""Many independent calls, in this thread or through an executor."""

from concurrent.futures import as_completed
from contextlib import contextmanager


def completed(function, tasks, executor):
    """(index, function(*task)) for each of ``tasks``, as they complete; without ``executor`` in order, in this thread.

    ``executor.submit`` returns a ``concurrent.futures.Future``. When a call raises, those that are finished come first,
    then the error. What has not begun by then, or when the caller stops asking, is cancelled.
    """
    if executor is None:
        yield from ((index, function(*task)) for index, task in enumerate(tasks))
        return
    futures = {executor.submit(function, *task): index for index, task in enumerate(tasks)}
    try:
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except (Exception, KeyboardInterrupt):  # in a call, or Ctrl-C while waiting; not when the caller stops asking
        for future, index in futures.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield index, future.result()
        raise
    finally:
        for future in futures:
            future.cancel()


def check_executor(executor):
    """The executor, or None; ValueError for an object without ``submit``."""
    if executor is not None and (not callable(getattr(executor, "submit", None)) or hasattr(executor, "get_executor")):
        hint = "; pass client.get_executor()" if hasattr(executor, "get_executor") else ""
        raise ValueError(f"executor: expected None or an executor with a method submit, got {executor!r}{hint}")
    return executor


@contextmanager
def counter(progress, name, unit, total=None, done: float = 0, **options):
    """A context giving ``count(more, said="")``, which moves a bar, or does nothing without ``progress``."""
    if not progress:
        yield lambda more, said="": None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=name, unit=unit, total=total, initial=done, **options) as bar:

        def count(more, said=""):
            bar.set_postfix_str(said, refresh=False)
            bar.update(more)

        yield count
