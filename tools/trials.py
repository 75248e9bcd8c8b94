"""Changed chapters as scripts, each in a process of its own: what variations, mutants and growth share.

A list, such as ``tests/variations.yml``, has a section for each chapter.  A list
that no longer fits its chapter is an error, never a trial that silently tries something else.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Sequence

import inputs
import ledger
import psutil
from chapters import Cell, chapter_names, read_chapter

JOBS = 2
LIMIT = 3  # times a chapter's budget, where a list does not say
LOOK = 0.05  # seconds between two looks at what is running
RUNNER = pathlib.Path(__file__).with_name("runcells.py")


def budget(root: pathlib.Path, chapter: str) -> float:
    """The seconds that the chapter asks for, 60 where it does not say."""
    return read_chapter(root, chapter).metadata.get("budget", {}).get("seconds", 60)


# ----------------------------------------------------------------------------- changes


def with_parameters(cells: Sequence[Cell], changes: dict) -> list[Cell]:
    """The cells with other values, ``{name: Python text or number}``, in the parameter cell.

    No line moves.

    Raises
    ------
    ValueError
        If there is no such cell, or a name is not assigned exactly once in it, by ``name = value``.
    """
    found = [k for k, cell in enumerate(cells) if "parameters" in cell.tags]
    if len(found) != 1:
        raise ValueError(f"expected one cell tagged 'parameters', the chapter has {len(found)}")
    cell = cells[found[0]]
    source = cell.source
    for name, value in changes.items():
        source = _assign(source, name, _expression(name, value))
    changed = list(cells)
    changed[found[0]] = dataclasses.replace(cell, source=source)
    return changed


def _expression(name: str, value) -> str:
    """A value of a list as Python text in one line."""
    text = value if isinstance(value, str) else repr(value)
    try:
        return ast.unparse(ast.parse(text.strip(), mode="eval"))
    except SyntaxError:
        raise ValueError(f"{name}: expected a value as Python text, got {value!r}") from None


def _assign(source: str, name: str, text: str) -> str:
    """``source`` with another value for ``name``."""
    wanted = unicodedata.normalize("NFKC", name)  # as Python reads names
    tree = ast.parse(source)
    stored = sum(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == wanted
        for node in ast.walk(tree)
    )
    simple = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == wanted
    ]
    if stored != 1 or len(simple) != 1:
        raise ValueError(
            f"expected the parameter cell to assign {name} once, as '{name} = value';"
            f" it does {stored} times" + (", not in this form" if stored == 1 else "")
        )
    lines = source.encode().splitlines(keepends=True)  # Python counts columns in bytes

    def offset(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + column

    value, content = simple[0], source.encode()
    start = offset(value.lineno, value.col_offset)
    end = offset(value.end_lineno, value.end_col_offset)
    before, old = content[:start].decode(), content[start:end].decode()
    return _replace(source, len(before), len(before) + len(old), text)


def with_replacement(cells: Sequence[Cell], old: str, new: str) -> list[Cell]:
    """The cells with one piece of text replaced.  No line of another cell moves.

    Raises
    ------
    ValueError
        If the text does not occur exactly once, or what results is not Python.
    """
    count = sum(cell.source.count(old) for cell in cells)
    if count != 1:
        raise ValueError(
            f"expected the text to be replaced once in the code, it is there {count} times: {old!r}"
        )
    k = next(k for k, cell in enumerate(cells) if old in cell.source)
    start = cells[k].source.index(old)
    source = _replace(cells[k].source, start, start + len(old), new)
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"not Python any more ({error.msg}): {new!r}") from None
    changed = list(cells)
    changed[k] = dataclasses.replace(cells[k], source=source)
    return changed


def _replace(source: str, start: int, end: int, text: str) -> str:
    """``source`` with another text from ``start`` to ``end``, and with no fewer lines."""
    head, old, tail = source[:start], source[start:end], source[end:]
    rest, newline, below = tail.partition("\n")
    missing = "\n" * (old.count("\n") - text.count("\n"))
    return head + text + rest + missing + newline + below


# ------------------------------------------------------------------------------- lists


def load_list(root: pathlib.Path, file: str, malformed: Callable) -> dict[str, dict | list]:
    """The sections of a list that hold something, in the order of the book.

    ``malformed(chapter, section)`` says what is wrong with a section, or None.

    Raises
    ------
    ValueError
        If the list has a section for no chapter, or one that is malformed; with file and line.
    """
    sections, names = ledger.read(root, f"tests/{file}"), chapter_names(root)
    for chapter, section in sections.items():
        place = f"tests/{file}:{sections.lines[chapter]}: {chapter}"
        if chapter not in names:
            raise ValueError(f"{place}: no such chapter in _toc.yml")
        if section is not None and (complaint := malformed(section)):
            raise ValueError(f"{place}: {complaint}")
    return {name: sections[name] for name in names if sections.get(name)}


def asked(lists: dict, file: str, names: list[str]) -> list[str]:
    """The chapters that are asked for, all of a list if none is; raises ValueError for one it lacks."""
    if unknown := [name for name in names if name not in lists]:
        raise ValueError(f"tests/{file} has nothing of {', '.join(unknown)}")
    return names or list(lists)


def wrong_fields(item, required: dict, optional: dict) -> str | None:
    """What is wrong with the fields of one entry of a list, ``{name: type}``, or None."""
    if not isinstance(item, dict):
        return f"expected fields, got {item!r}"
    fields = required | optional
    name = item.get("what", "an entry")
    if unknown := set(item) - set(fields):
        return f"{name}: unknown field {', '.join(sorted(unknown))}; there are {', '.join(fields)}"
    if missing := set(required) - set(item):
        return f"{name}: no {', '.join(sorted(missing))}"
    for field, value in item.items():
        if not isinstance(value, fields[field]) or isinstance(value, bool):
            return f"{name}: {field} is {value!r}"
    return None


# ----------------------------------------------------------------------------- results


def revision(root: pathlib.Path, result: str) -> str:
    """The revision of the book, with a ``+`` where something else than the result is not committed."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "-uno", "--", ".", f":!tests/{result}")
    return git("rev-parse", "--short=10", "HEAD") + "+" * bool(changed) or "unknown"


def load_result(root: pathlib.Path, file: str) -> dict[str, dict]:
    """What is kept in a file of ``tests/``, ``{chapter: result}``."""
    path = root / "tests" / file
    return json.loads(path.read_text()) if path.exists() else {}


def keep(root: pathlib.Path, file: str, chapter: str, result: dict) -> None:
    """Keep a chapter's result, in one stroke, beside those of the others."""
    path = root / "tests" / file
    partial = path.with_suffix(".partial")
    kept = dict(sorted((load_result(root, file) | {chapter: result}).items()))
    partial.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    partial.replace(path)


# ------------------------------------------------------------------------------ trials


@dataclasses.dataclass
class Trial:
    """A chapter to run, with its cells as they were changed."""

    root: pathlib.Path
    chapter: str
    cells: Sequence[Cell]
    limit: float  # seconds
    figures: bool


@dataclasses.dataclass
class Outcome:
    """What came of a trial.

    ``failure`` is None where the chapter ended well, else what ``runcells.failure`` gives, with
    ``"type": None`` if it did not end in time or its process died.
    """

    numbers: dict[str, float]
    failure: dict | None
    complaint: str  # what went to standard error
    seconds: float
    timed_out: bool = False

    @property
    def summary(self) -> str:
        """The failure in a line."""
        if self.failure["type"] is None:
            return self.failure["text"]
        place = f"line {self.failure['line']}: " if self.failure["line"] else ""
        return f"{place}{self.failure['type']}: {self.failure['text']}"

    @property
    def explanation(self) -> str:
        """The failure with its traceback."""
        return f"{self.summary}\n{self.failure.get('trace', '')}".rstrip()


class _Running:
    """A trial in its process and its folder."""

    def __init__(self, trial: Trial):
        self.trial, self.start = trial, time.monotonic()
        self.place = tempfile.TemporaryDirectory(prefix="trial-")
        folder = self.folder = pathlib.Path(self.place.name)
        cells = [
            {"line": cell.line, "source": cell.source}
            for cell in trial.cells
            if trial.figures or "figure" not in cell.tags
        ]
        page = f"chapters/{trial.chapter}.md"
        job = {"page": page, "cells": cells, "figures": trial.figures}
        (folder / "cells.json").write_text(json.dumps(job))
        (folder / "work").mkdir()
        for text, path in inputs.files(trial.root, trial.chapter).items():
            (folder / "work" / text).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "work" / text)
        environment = inputs.surroundings() | {
            "MPLBACKEND": "agg",
            "KEY_NUMBERS": str(folder / "numbers"),
            "TMPDIR": str(folder / "work"),
        }
        environment.pop("CHECKPOINT", None)
        with open(folder / "output", "w") as output, open(folder / "complaint", "w") as complaint:
            self.process = psutil.Popen(
                [sys.executable, str(RUNNER), str(folder)], cwd=folder / "work", env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=complaint, start_new_session=True,
            )  # fmt: skip

    def outcome(self) -> Outcome | None:
        """What came of it; None while it runs."""
        seconds, status = time.monotonic() - self.start, self.process.poll()
        late = status is None and seconds > self.trial.limit
        if status is None and not late:
            return None
        self.stop()
        numbers, failure = {}, None
        with contextlib.suppress(FileNotFoundError):
            rows = map(json.loads, (self.folder / "numbers").read_text().splitlines())
            numbers = {row["name"]: row["value"] for row in rows}
        complaint = (self.folder / "complaint").read_text(errors="replace")
        if late:
            failure = {"type": None, "text": f"no end after {self.trial.limit:.0f} s"}
        else:
            try:
                failure = json.loads((self.folder / "outcome.json").read_text())
            except FileNotFoundError:
                failure = {"type": None, "text": f"its process ended with status {status}"}
        self.place.cleanup()
        return Outcome(numbers, failure, complaint, seconds, late)

    def stop(self) -> None:
        """End the process and all that it started."""
        family = [self.process]
        with contextlib.suppress(psutil.Error):
            family += self.process.children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what outlived its parent
        self.process.wait()


def run(
    trials: Sequence[Trial], report: Callable[[int, Outcome], None], jobs: int = JOBS
) -> list[Outcome]:
    """Run trials, so many at once; ``report(number of the trial, outcome)`` is called as each ends.

    Whatever ends this function ends all that it started.
    """
    waiting, running, outcomes = list(reversed(range(len(trials)))), {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                k = waiting.pop()
                running[k] = _Running(trials[k])
            time.sleep(LOOK)
            for k, process in list(running.items()):
                if outcome := process.outcome():
                    del running[k]
                    outcomes[k] = outcome
                    report(k, outcome)
    finally:
        for process in running.values():
            process.stop()
            process.place.cleanup()
    return [outcomes[k] for k in range(len(trials))]
