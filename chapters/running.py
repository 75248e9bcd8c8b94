"""Where a chapter runs, in a notebook or as a script on ranks, and how far it is."""

from __future__ import annotations

import contextlib
import numbers
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator

__all__ = ["in_notebook", "is_root", "progress"]


def _world():
    """MPI's world where mpi4py has been imported by the chapter (Firedrake does), else None."""
    module = sys.modules.get("mpi4py.MPI")
    return None if module is None else module.COMM_WORLD


def is_root() -> bool:
    """Whether this is the first rank, or the only one."""
    world = _world()
    return world is None or world.rank == 0


def in_notebook() -> bool:
    """Whether somebody sees what the last expression of a cell gives."""
    ipython = sys.modules.get("IPython")  # any library may have imported it: ask for the kernel
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def progress(steps: Iterable, title: str, total: int | None = None) -> Iterator:
    """Go through ``steps`` and show how far we are.

    A bar where somebody watches (a notebook, a terminal; the first rank only).  While the book is
    built there is no bar: the state goes to the file that ``BOOK_PROGRESS`` names, for the build to
    show.

    Parameters
    ----------
    steps
        Anything that can be looped over.
    title
        What is being done, such as ``"Stokes steps"``.
    total
        The number of steps, where ``len(steps)`` is not defined.

    Raises
    ------
    ValueError
        If ``steps`` cannot be looped over, or ``total`` is not a number of steps.
    """
    if not isinstance(steps, Iterable):
        raise ValueError(f"progress: expected steps to go through, as range(5), got {steps!r}")
    if total is None:
        with contextlib.suppress(TypeError):
            total = len(steps)
    elif not isinstance(total, numbers.Integral) or total < 0:
        raise ValueError(f"progress: expected a number of steps as total, got {total!r}")
    if status := os.environ.get("BOOK_PROGRESS"):
        return _progress_to_file(steps, title, total, pathlib.Path(status))
    from tqdm.auto import tqdm

    watched = in_notebook() or sys.stderr.isatty()
    return iter(tqdm(steps, desc=title, total=total, disable=not (watched and is_root())))


def _progress_to_file(steps, title, total, status):
    last = 0.0
    try:
        for k, step in enumerate(steps):
            if is_root() and (now := time.monotonic()) - last > 1.0:
                last = now
                status.write_text(f"{title} {k}" + (f" of {total}" if total else ""))
            yield step
    finally:
        if is_root():
            status.unlink(missing_ok=True)
