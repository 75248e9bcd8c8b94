"""Execute the book's chapters once, two at a time, into the cache that the build reads.

usage: execute.py [NAME ...] [--root DIR] [--jobs N]

NAME is a chapter, a file of chapters/ without its ending; all chapters of _toc.yml if none is given.
A chapter runs again only where its code, the helper module, the requirements or a data file beside
the chapters has changed.  What the execution yields goes to _build/results.json: seconds, peak
memory, and the key numbers, which are compared with the ledger.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import io
import json
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import sys
import time

import nbformat
import psutil
from chapters import BookError, chapter_names, read_chapter
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.db import NbCacheRecord
from PIL import Image

CELL_TIMEOUT = 600  # seconds, where a chapter's front matter does not say
JOBS = 2
SAMPLE = 0.1  # seconds between two looks at the memory
REPORT = 15  # seconds between two lines on how far the running chapters are
GLUED = "application/papermill.record/text/plain"  # where key_number leaves its value


def environment_key(root: pathlib.Path) -> str:
    """A name for everything but its own code that a chapter's result depends on."""
    beside = (p for p in (root / "chapters").rglob("*") if p.is_file() and p.suffix != ".md")
    beside = (p for p in beside if not {"__pycache__", ".ipynb_checkpoints"} & set(p.parts))
    digest = hashlib.sha256()
    for path in [root / "requirements.txt", *sorted(beside)]:
        if path.exists():
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder(root: pathlib.Path) -> pathlib.Path:
    """The cache that belongs to the present helper module, requirements and data."""
    return root / "_build" / ".jupyter_cache" / environment_key(root)


@contextlib.contextmanager
def only_one(root: pathlib.Path):
    """Let one process at a time write to ``_build``."""
    (root / "_build").mkdir(exist_ok=True)
    with open(root / "_build" / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another execution of this book to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ------------------------------------------------------------------------- one chapter


def worker(folder: pathlib.Path) -> None:
    """Run the notebook in ``folder`` with nbmake's runner; leave it there, executed or failed."""
    import nbmake.nb_run as nb_run

    status = folder / "status"
    current = 0

    class Client(nb_run.NotebookClient):
        """nbclient's, and it says which cell is running."""

        async def async_execute_cell(self, cell, cell_index, *args, **kwargs):
            nonlocal current
            current = cell_index
            status.write_text(f"cell {cell_index + 1} of {len(self.nb.cells)}")
            return await super().async_execute_cell(cell, cell_index, *args, **kwargs)

    nb_run.NotebookClient = Client
    failure = None
    start = time.monotonic()
    try:
        result = nb_run.NotebookRun(folder / "chapter.ipynb", CELL_TIMEOUT).execute()
    except Exception as error:
        failure = {"cell": current, "summary": f"{type(error).__name__}: {error}", "trace": ""}
    else:
        if result.error:
            e = result.error
            cell = e.failing_cell_index if e.failing_cell_index >= 0 else current
            failure = {"cell": cell, "summary": e.summary, "trace": e.trace}
        else:
            for cell in result.nb.cells:
                cell.metadata.pop("execution", None)  # jupyter-cache hashes what is left in
            shrink_pictures(result.nb)
            nbformat.write(result.nb, folder / "executed.ipynb")
    seconds = time.monotonic() - start
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)  # the kernel, the compilers, ffmpeg
    outcome = {
        "failure": failure,
        "seconds": seconds,
        "cpu_seconds": spent.ru_utime + spent.ru_stime,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
    }
    (folder / "outcome.json").write_text(json.dumps(outcome))


def machine() -> str:
    """The processor and the system that this runs on, for the record."""
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line for line in lines if line.startswith("model name"))
        return f"{model.partition(':')[2].strip()}, {platform.system()} {platform.machine()}"
    return (
        f"{platform.processor() or 'unknown processor'}, {platform.system()} {platform.machine()}"
    )


def shrink_pictures(notebook: nbformat.NotebookNode) -> None:
    """Store the pictures with 256 colours each: a third of the bytes, and no eye sees it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_palette(output.data["image/png"])


def with_palette(png: str) -> str:
    """A picture (PNG in base64) with a palette, or as it came where that is no gain."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P" or picture.convert("RGBA").getextrema()[3][0] < 255:
        return png  # has one already, or is transparent somewhere
    buffer = io.BytesIO()
    # this method's greatest error is a tenth of the others'
    palette = picture.convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    palette.save(buffer, "PNG", optimize=True)
    smaller = base64.b64encode(buffer.getvalue()).decode()
    return min(smaller, png, key=len)


@dataclasses.dataclass
class Run:
    """A chapter being executed in a process of its own."""

    root: pathlib.Path
    name: str
    notebook: nbformat.NotebookNode
    peak_bytes: int = 0

    def start(self) -> None:
        self.folder = self.root / "_build" / "execution" / self.name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        nbformat.write(self.notebook, self.folder / "chapter.ipynb")
        paths = [str(self.root / "chapters"), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "BOOK_PROGRESS": str(self.folder / "progress"),
        }
        with open(self.folder / "log", "w") as log:
            self.process = psutil.Popen(
                [sys.executable, __file__, "--worker", str(self.folder)],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def sample(self) -> bool:
        """Look at the memory of the whole family; True while it runs."""
        running = self.process.poll() is None
        commands, total = {}, 0
        with contextlib.suppress(psutil.Error):
            for process in [self.process, *self.process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    commands[process.pid] = process.cmdline()
                    # a child that is about to become a compiler still is, and shows, its parent
                    if commands.get(process.ppid()) != commands[process.pid]:
                        total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)
        return running

    def stop(self) -> None:
        with contextlib.suppress(psutil.Error):
            for process in [*self.process.children(recursive=True), self.process]:
                with contextlib.suppress(psutil.Error):
                    process.kill()

    def status(self) -> str:
        parts = []
        for file in ("status", "progress"):
            with contextlib.suppress(OSError):
                parts.append((self.folder / file).read_text())
        return f"{self.name}: {', '.join(p for p in parts if p) or 'starting'}"

    def outcome(self) -> tuple[nbformat.NotebookNode, dict]:
        """The executed notebook and its costs; raises BookError with the place of a failure."""
        try:
            outcome = json.loads((self.folder / "outcome.json").read_text())
        except FileNotFoundError:
            code, log = self.process.returncode, (self.folder / "log").read_text()[-2000:]
            raise BookError(
                f"chapters/{self.name}.md: the execution ended with status {code} in"
                f" {self.status()}\n{log}"
            ) from None
        if failure := outcome["failure"]:
            raise BookError(self.describe(failure))
        costs = {key: outcome[key] for key in outcome if key != "failure"}
        costs["peak_mib"] = self.peak_bytes / 2**20
        return nbformat.read(self.folder / "executed.ipynb", as_version=4), costs

    def describe(self, failure: dict) -> str:
        index = failure["cell"]
        line = self.notebook.metadata.source_map[index] + 1
        place = f"chapters/{self.name}.md:{line}: cell {index + 1} of {len(self.notebook.cells)}"
        hint = ""
        if "DeadKernelError" in failure["summary"]:
            hint = " (the kernel was killed: out of memory, or a crash in compiled code)"
        return f"{place}: {failure['summary']}{hint}\n{failure['trace']}".rstrip()


# ------------------------------------------------------------------------ all chapters


def execute(root: pathlib.Path, names: list[str] | None = None, jobs: int = JOBS) -> dict:
    """Execute what the cache lacks; return and write the results of all chapters asked for.

    Returns
    -------
    ``{"chapters": {name: {"seconds", "cpu_seconds", "peak_mib", "date", "machine", "key_numbers",
    "formats", "cells", "page_kib"}}}`` in the order of the book; ``cells`` are the positions of the
    cells that recorded the numbers, and ``page_kib`` appears once the site has been built.

    Raises
    ------
    BookError
        If a chapter fails, with file, line and cell of every failure; the others are cached.
    """
    root = root.resolve()
    with only_one(root):
        return _execute(root, names or chapter_names(root), jobs)


def _execute(root: pathlib.Path, names: list[str], jobs: int) -> dict:
    cache = get_cache(cache_folder(root))
    cache.change_cache_limit(10_000)
    notebooks = {name: read_chapter(root, name) for name in names}
    notebooks = {
        n: nb for n, nb in notebooks.items() if any(c.cell_type == "code" for c in nb.cells)
    }
    known = load_results(root)["chapters"]

    waiting = []
    for name, notebook in notebooks.items():
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            cost = known.get(name, {}).get(
                "seconds", notebook.metadata.get("budget", {}).get("seconds", 0)
            )
            waiting.append((cost, name))
    waiting = [name for _, name in sorted(waiting)]  # the longest is popped first
    if waiting:
        print(
            f"executing {len(waiting)} of {len(notebooks)} chapters, {jobs} at a time", flush=True
        )
    failures = _run_all(root, cache, notebooks, waiting, jobs)

    results = load_results(root)
    results["chapters"] |= {
        name: results["chapters"].get(name, {}) | from_cache(cache, notebook)
        for name, notebook in notebooks.items()
        if name not in failures
    }
    for name in failures:
        results["chapters"].pop(name, None)
    order = {name: k for k, name in enumerate(chapter_names(root))}
    results["chapters"] = dict(
        sorted(results["chapters"].items(), key=lambda item: order.get(item[0], 99))
    )
    save_results(root, results)
    if failures:
        raise BookError("\n\n".join(failures.values()))
    for folder in cache_folder(root).parent.iterdir():  # caches of earlier helpers and requirements
        if folder != cache_folder(root):
            shutil.rmtree(folder)
    return results


def _run_all(root, cache, notebooks, waiting, jobs) -> dict[str, str]:
    failures, running, done = {}, [], 0
    total, start, reported = len(waiting), time.monotonic(), time.monotonic()

    def say(text):
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)

    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Run(root, name := waiting.pop(), notebooks[name]))
                running[-1].start()
                say(f"{name}: started")
            time.sleep(SAMPLE)
            if time.monotonic() - reported > REPORT:
                reported = time.monotonic()
                say(" | ".join(run.status() for run in running))
            for run in [run for run in running if not run.sample()]:
                running.remove(run)
                done += 1
                try:
                    notebook, costs = run.outcome()
                except BookError as error:
                    failures[run.name] = str(error)
                    say(f"{run.name}: FAILED ({done} of {total})")
                    continue
                uri = str(root / "chapters" / f"{run.name}.md")
                bundle = CacheBundleIn(
                    notebook, uri, data=costs | {"execution_seconds": costs["seconds"]}
                )
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                shutil.rmtree(run.folder)
                say(
                    f"{run.name}: {costs['seconds']:.1f} s, {costs['peak_mib']:.0f} MiB ({done} of {total})"
                )
    finally:
        for run in running:
            run.stop()
    return failures


# ----------------------------------------------------------------------------- results


def results_path(root: pathlib.Path) -> pathlib.Path:
    return root / "_build" / "results.json"


def load_results(root: pathlib.Path) -> dict:
    """``_build/results.json``, or an empty one where there is none yet."""
    try:
        return json.loads(results_path(root).read_text())
    except FileNotFoundError:
        return {"chapters": {}}


def save_results(root: pathlib.Path, results: dict) -> None:
    """Write ``_build/results.json`` in one stroke: never half of it."""
    path = results_path(root)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.replace(path)


def from_cache(cache, notebook) -> dict:
    """Costs and key numbers of a chapter whose execution is in the cache."""
    record: NbCacheRecord = cache.match_cache_notebook(notebook)
    values, formats, cells = glued_numbers(cache.merge_match_into_notebook(notebook)[1])
    return {
        "seconds": round(record.data["seconds"], 2),
        "cpu_seconds": round(record.data["cpu_seconds"], 2),
        "peak_mib": round(record.data["peak_mib"], 1),
        "date": record.data["date"],
        "machine": record.data["machine"],
        "key_numbers": values,
        "formats": formats,
        "cells": cells,
    }


def executed(root: pathlib.Path, name: str) -> nbformat.NotebookNode:
    """The chapter's executed notebook, its text included (the cache holds the code cells only).

    Raises
    ------
    KeyError
        If the cache has no execution of the chapter as it stands.
    """
    cache = get_cache(cache_folder(root))
    return cache.merge_match_into_notebook(read_chapter(root, name))[1]


def glued_numbers(executed: nbformat.NotebookNode) -> tuple[dict, dict, dict]:
    """The key numbers an executed notebook recorded, the format of each, and its cell's position."""
    values, formats, cells = {}, {}, {}
    for index, cell in enumerate(executed.cells):
        for output in cell.get("outputs", []):
            mark = output.get("metadata", {}).get("scrapbook", {})
            if "format" in mark:
                values[mark["name"]] = ast.literal_eval(output["data"][GLUED])
                formats[mark["name"]] = mark["format"]
                cells[mark["name"]] = index
    return values, formats, cells


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1]
    )
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return 0
    try:
        results = execute(options.root, options.names, options.jobs)
    except BookError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if options.names:
        import ledger

        for name in options.names:
            complaints = ledger.check_chapter(options.root, name, results)
            print(
                *(complaints or [f"{name}: every number is in the ledger and as expected"]),
                sep="\n",
            )
            if complaints:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
