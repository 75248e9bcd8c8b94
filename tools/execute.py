"""Execute the book's chapters once, two at a time; the build reads what they yield.

usage: execute.py [NAME ...] [--root DIR] [--jobs N]

NAME is a chapter, its path below chapters/ without its ending; all chapters of _toc.yml if none is given.
A chapter runs again only where its code, a file that it uses or what is installed for it has changed.
The key numbers of each NAME are compared with the ledger.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import datetime
import fcntl
import functools
import io
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import results
from chapters import ROOT, BookError, chapter_names, command_line, documents, run_tool, whole
from inputs import Chapter, chapter, surroundings
from PIL import Image

CELL_TIMEOUT = 600  # seconds, where a chapter's front matter does not say
JOBS = 2
SAMPLE = 0.1  # seconds between two looks at the memory
REPORT = 15  # seconds between two lines on how far the running chapters are
CELL_CHARACTERS = 20_000  # that a cell may show: more is a log and no page


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


# ------------------------------------------------------------------- inside the worker


def worker(folder: pathlib.Path) -> None:
    """Run the notebook in ``folder`` with nbmake's runner; leave it there, executed or failed."""
    import nbmake.nb_run as nb_run

    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    current = 0

    def started(cell, cell_index):
        nonlocal current
        current = cell_index
        (folder / "status").write_text(f"cell {cell_index + 1} of {count}")

    # nbmake hands no hook of nbclient's on
    nb_run.NotebookClient = functools.partial(nb_run.NotebookClient, on_cell_start=started)
    page = folder / "cwd" / "chapter.ipynb"
    count = len(nbformat.read(page, as_version=4).cells)
    failure = None
    start = time.monotonic()
    try:
        result = nb_run.NotebookRun(page, CELL_TIMEOUT).execute()
    except Exception as error:
        failure = {"cell": current, "summary": f"{type(error).__name__}: {error}", "trace": ""}
    else:
        if e := result.error:
            cell = e.failing_cell_index if e.failing_cell_index >= 0 else current
            failure = {"cell": cell, "summary": e.summary, "trace": e.trace}
        else:
            failure = unfit(result.nb)
            shrink_pictures(result.nb)
            nbformat.write(result.nb, folder / "executed.ipynb")
    seconds = time.monotonic() - start
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)  # the kernel, the compilers, ffmpeg
    costs = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(spent.ru_utime + spent.ru_stime, 2),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
    }
    (folder / "outcome.json").write_text(json.dumps({"failure": failure, "costs": costs}))


def end_with_parent(parent: int) -> None:
    """End, with the kernel and all that it started, when whoever started us has ended, however it did."""
    while os.getppid() == parent:
        time.sleep(0.5)
    end_family(psutil.Process())


def end_family(process: psutil.Process) -> None:
    """Kill a process and all its descendants."""
    with contextlib.suppress(psutil.Error):
        for member in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                member.kill()


def unfit(notebook: nbformat.NotebookNode) -> dict | None:
    """The first cell whose output is unfit for a page: a figure that is none, or a log."""
    for index, cell in enumerate(notebook.cells):
        outputs = cell.get("outputs", [])
        shown = {mime for output in outputs for mime in output.get("data", {})}
        summary = None
        if cell.metadata.get("mystnb", {}).get("figure") and not any(
            mime.startswith("image/") or mime == "text/html" for mime in shown
        ):
            summary = (
                f"expected a picture of a cell with a figure, got {', '.join(shown) or 'no output'}"
            )
        texts = [output.get("text", "") for output in outputs]
        texts += [str(v) for output in outputs for m, v in output.get("data", {}).items() if m.startswith("text/")]  # fmt: skip
        length = len(re.sub(r'"data:[^"]*"', "", "".join(texts)))
        if length > CELL_CHARACTERS:
            summary = f"expected at most {CELL_CHARACTERS} characters of output, got {length}; a table or a plot says more"
        if summary:
            return {"cell": index, "summary": summary, "trace": ""}
    return None


def machine() -> str:
    """The processor and the system that this runs on, for the record."""
    model = platform.processor() or "unknown processor"
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("model name"))
        model = line.partition(":")[2].strip()
    return f"{model}, {platform.system()} {platform.machine()}"


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


# ------------------------------------------------------------------------- one chapter


@dataclasses.dataclass
class Run:
    """A chapter being executed in a process of its own."""

    chapter: Chapter
    peak_bytes: int = 0
    peak_resident: int = 0  # pages that are shared counted for each

    def __post_init__(self):
        self.folder = self.chapter.root / "_build" / "execution" / self.chapter.name

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        cwd = self.folder / "cwd"
        cwd.mkdir(parents=True)
        self.chapter.lay_out(cwd)
        nbformat.write(self.chapter.notebook, cwd / "chapter.ipynb")
        own = {"PYTHONPATH": str(cwd), "BOOK_PROGRESS": str(self.folder / "progress")}
        environment = surroundings() | own
        environment.pop("CHECKPOINT", None)  # a page shows a whole run
        with open(self.folder / "log", "w") as log:
            self.process = psutil.Popen(
                [sys.executable, __file__, "--worker", str(self.folder)],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to us, and we end it
            )  # fmt: skip

    def sample(self) -> bool:
        """Look at the memory of the whole family; True while it runs."""
        running = self.process.poll() is None
        commands, family, resident = {}, [], 0
        with contextlib.suppress(psutil.Error):
            for process in [self.process, *self.process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    commands[process.pid] = process.cmdline()
                    # a child that is about to become a compiler still is, and shows, its parent
                    if commands.get(process.ppid()) != commands[process.pid]:
                        family.append(process)
                        resident += process.memory_info().rss
        if resident < self.peak_resident + 2**20:
            return running
        self.peak_resident, total = resident, 0
        for process in family:
            with contextlib.suppress(psutil.Error):  # what they share counts once; to know it, the
                total += (
                    process.memory_full_info().pss
                )  # kernel walks all pages: it takes milliseconds
        self.peak_bytes = max(self.peak_bytes, total)
        return running

    def stop(self) -> None:
        end_family(self.process)

    def status(self) -> str:
        parts = []
        for file in ("status", "progress"):
            with contextlib.suppress(OSError):
                parts.append((self.folder / file).read_text("utf-8"))
        return f"{self.chapter.name}: {', '.join(p for p in parts if p) or 'starting'}"

    def finish(self) -> dict:
        """Keep the executed chapter; return its costs, or raise BookError with the place of a failure."""
        try:
            outcome = json.loads((self.folder / "outcome.json").read_text())
        except FileNotFoundError:
            log = (self.folder / "log").read_text("utf-8", errors="replace")[-2000:]
            raise BookError(
                f"chapters/{self.chapter.name}.md: the execution ended with status"
                f" {self.process.returncode} in {self.status()}\n{log}"
            ) from None
        if failure := outcome["failure"]:
            raise BookError(self.describe(failure))
        for text, content in self.chapter.contents.items():
            if not (path := self.folder / "cwd" / text).exists() or path.read_bytes() != content:
                raise BookError(
                    f"chapters/{self.chapter.name}.md: the run changed {text}, which it depends on; do that in"
                    f" JupyterLab, or remove the file if it is the chapter's own output ({path} is the new one)"
                )
        costs = outcome["costs"] | {"peak_mib": round(self.peak_bytes / 2**20, 1)}
        results.save(
            self.chapter, nbformat.read(self.folder / "executed.ipynb", as_version=4), costs
        )
        shutil.rmtree(self.folder)
        return costs

    def describe(self, failure: dict) -> str:
        notebook, index = self.chapter.notebook, failure["cell"]
        line = notebook.metadata.source_map[index] + 1
        hint = ""
        if "DeadKernelError" in failure["summary"]:
            hint = " (the kernel was killed: out of memory, or a crash in compiled code)"
        return (
            f"chapters/{self.chapter.name}.md:{line}: cell {index + 1} of {len(notebook.cells)}:"
            f" {failure['summary']}{hint}\n{failure['trace']}"
        ).rstrip()


# ------------------------------------------------------------------------ all chapters


def execute(
    root: pathlib.Path, names: list[str] | None = None, jobs: int = JOBS
) -> dict[str, results.Result]:
    """Execute what has not run as it stands; return the results of the chapters asked for, or of all.

    Raises
    ------
    BookError
        If a chapter fails, with file, line and cell of every failure; the others are kept.
    """
    root = root.resolve()
    with only_one(root), ending_on_sigterm():
        check_pages(root)
        chapters = [chapter(root, name) for name in names or chapter_names(root)]
        chapters = [c for c in chapters if any(cell.cell_type == "code" for cell in c.notebook.cells)]  # fmt: skip
        waiting = [c for c in chapters if results.find(c) is None]
        if waiting:
            print(
                f"executing {len(waiting)} of {len(chapters)} chapters, {jobs} at a time",
                flush=True,
            )
            if failures := _run_all(sorted(waiting, key=expected_seconds), jobs):
                raise BookError("\n\n".join(failures))
        found = {c.name: results.find(c) for c in chapters}
        for c in chapters:
            results.offer_to_sphinx(c, found[c.name])
        return found


@contextlib.contextmanager
def ending_on_sigterm():
    """Let SIGTERM end this process as Ctrl-C does: after what it started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def expected_seconds(chapter: Chapter) -> float:
    """What a chapter took when it ran last, or may take."""
    budget = chapter.notebook.metadata.get("budget", {}).get("seconds", 0)
    return results.last_seconds(chapter.root, chapter.name) or budget


def check_pages(root: pathlib.Path) -> None:
    """Raise BookError for code on a page that is no chapter: Sphinx would run it unseen."""
    for name in documents(root):
        path = root / f"{name}.md"
        if not name.startswith("chapters/") and path.is_file():
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                if re.match(r"`{3,}\s*\{code-cell\}", line):
                    raise BookError(f"{name}.md:{number}: a code cell outside chapters/ is not run")


def _run_all(waiting: list[Chapter], jobs: int) -> list[str]:
    """Run chapters, the last first; return what failed."""
    failures, running, done = [], [], 0
    total, start, reported = len(waiting), time.monotonic(), time.monotonic()

    def say(text):
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)

    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Run(waiting.pop()))
                running[-1].start()
                say(f"{running[-1].chapter.name}: started")
            time.sleep(SAMPLE)
            if time.monotonic() - reported > REPORT:
                reported = time.monotonic()
                say(" | ".join(run.status() for run in running))
            for run in [run for run in running if not run.sample()]:
                running.remove(run)
                done += 1
                name, place = run.chapter.name, f"({done} of {total})"
                try:
                    costs = run.finish()
                except BookError as error:
                    failures.append(str(error))
                    say(f"{name}: FAILED {place}")
                else:
                    say(f"{name}: {costs['seconds']:.1f} s, {costs['peak_mib']:.0f} MiB {place}")
    finally:
        for run in running:
            run.stop()
    return failures


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--jobs", type=whole, default=JOBS)
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return 0
    from ranks import compare

    status = 0
    for name, result in execute(options.root, options.names, options.jobs).items():
        if options.names:
            complaints = compare(options.root, name, result.key_numbers)
            complaints += result.standard_error()
            good = f"{name}: every number is in the ledger and as expected"
            print(*(complaints or [good]), sep="\n")
            status |= bool(complaints)
    return status


if __name__ == "__main__":
    run_tool(main)
