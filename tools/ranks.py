"""Run chapters as scripts on several ranks, without their figures, and compare with the ledger.

usage: ranks.py [NAME ...] [-n RANKS ...] [--root DIR]

NAME is a chapter; every chapter that imports Firedrake if none is given.  RANKS are numbers of
processes, 1 and 2 if none is given.  Rank 0 alone prints.  A rank that fails takes the run down and
says in which line of the page.  The key numbers stay in _build/ranks/NAME-RANKS.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import linecache
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import traceback

import ledger
from chapters import (
    ROOT,
    BookError,
    chapter_names,
    code_cells,
    command_line,
    page,
    read_chapter,
    run_tool,
    script,
    whole,
)  # fmt: skip
from inputs import chapter, surroundings

RANKS = [1, 2]
LIMIT = 10  # times the chapter's budget: a rank that waits for another for ever is stopped
OPEN_MPI = {  # as many ranks as asked for, on whichever cores are free, in a container too
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # its fifth version's names
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


def distributed_chapters(root: pathlib.Path) -> list[str]:
    """The chapters that import Firedrake, in the order of the book."""
    return [
        name
        for name in chapter_names(root)
        if any(
            line.startswith(("import firedrake", "from firedrake"))
            for cell in code_cells(page(root, name))
            for line in cell.source.splitlines()
        )
    ]


def worker(path: pathlib.Path, ranks: int) -> None:
    """One rank: run the chapter; if it raises, say where and end all ranks."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.size != ranks:
        sys.exit(
            f"expected {ranks} ranks, got {world.size}: {shutil.which('mpiexec')} belongs to another MPI"
            f" than mpi4py, which has {MPI.Get_library_version().splitlines()[0]}"
        )
    sys.argv = [str(path)]  # PETSc would take ours for its own
    sys.path.insert(0, os.getcwd())
    if world.rank > 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        code = compile(script(path), str(path), "exec")
        exec(code, {"__name__": "__main__", "__file__": str(path)})
    except BaseException as error:
        linecache.checkcache()
        frames = traceback.extract_tb(error.__traceback__)
        line = [frame.lineno for frame in frames if frame.filename == str(path)]
        place = f"chapters/{path.name}" + (f":{line[-1]}" if line else "")
        summary = f"{place}: rank {world.rank} of {world.size}: {type(error).__name__}: {error}"
        print(f"{''.join(traceback.format_exception(error))}\n{summary}", file=sys.stderr)
        sys.stdout.flush(), sys.stderr.flush()
        world.Abort(1)


def run(root: pathlib.Path, name: str, ranks: int, environment: dict | None = None) -> dict:
    """Run a chapter on so many ranks; return its key numbers, and write them to ``_build/ranks``.

    What the chapter prints goes to standard output.  ``environment`` adds variables to ours.

    Raises
    ------
    BookError
        If a rank fails, or they do not end in ten times the chapter's budget.
    """
    root = root.resolve()
    path = page(root, name)
    seconds = LIMIT * read_chapter(root, name).metadata.get("budget", {}).get("seconds", 60)
    folder = root / "_build" / "ranks" / f"{name}-{ranks}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cwd").mkdir(parents=True)
    chapter(root, name).lay_out(folder / "cwd")
    if shutil.which("mpiexec") is None:
        raise BookError("mpiexec was not found; apt.txt lists what the book needs")
    command = ["mpiexec", "-n", str(ranks), sys.executable, __file__, "--worker", str(path)]
    (folder / "numbers").touch()
    own = {"KEY_NUMBERS": str(folder / "numbers"), "MPLBACKEND": "agg"}
    process = subprocess.Popen(
        [*command, "-n", str(ranks)], cwd=folder / "cwd",
        env=surroundings() | OPEN_MPI | own | (environment or {}),
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BookError(f"chapters/{name}.md on {ranks} ranks: no end after {seconds} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    if process.returncode:
        raise BookError(
            f"chapters/{name}.md on {ranks} ranks ended with status {process.returncode}\n"
            + complaint
        )
    rows = map(json.loads, (folder / "numbers").read_text("utf-8").splitlines())
    numbers = {row["name"]: row["value"] for row in rows}
    folder.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")
    shutil.rmtree(folder)
    return numbers


def compare(root: pathlib.Path, name: str, numbers: dict) -> list[str]:
    """Everything in which key numbers and the chapter's rows of the ledger disagree."""
    complaints = ledger.check(ledger.load(root, only=name).get(name, {}), numbers)
    return [f"{name}: {complaint}" for complaint in complaints]


def difference(one: dict, other: dict, name: str) -> float:
    """How far a key number differs between two runs, relative to the greater of the two."""
    return abs(one[name] - other[name]) / (max(abs(one[name]), abs(other[name])) or 1.0)


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("-n", nargs="+", type=whole, default=RANKS, metavar="RANKS", dest="ranks")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, *options.ranks)
        return 0
    for name in options.names:
        page(options.root, name)  # or it says which chapters there are
    complaints = []
    for name in options.names or distributed_chapters(options.root):
        found = []
        for ranks in options.ranks:
            print(f"--- {name} on {ranks} ranks")
            start = time.monotonic()
            try:
                found.append(run(options.root, name, ranks))
            except BookError as error:
                complaints.append(str(error))
                print(f"--- {error}")
                continue
            wrong = compare(options.root, name, found[-1])
            complaints += [f"{complaint} (on {ranks} ranks)" for complaint in wrong]
            seconds = time.monotonic() - start
            print(f"--- {seconds:.1f} s, {len(wrong)} not as in the ledger", *wrong, sep="\n")
        if len(found) == 2 and found[0].keys() == found[1].keys():
            by_size = sorted(found[0], key=lambda key: -difference(*found, key))
            print(f"--- {name}: the greatest relative differences of the two runs")
            for key in by_size[:10]:
                one, other = (numbers[key] for numbers in found)
                print(f"{difference(*found, key):9.1e}  {key}: {one!r}, {other!r}")
    print(*complaints, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    run_tool(main)
