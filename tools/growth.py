"""Measure how the cost of each chapter's own work grows with its size: particles, unknowns, modes.

usage: growth.py [NAME ...] [--root DIR]

NAME is a chapter; every chapter with a section in tests/growth.yml if none is given.  An entry there
says which cells of the chapter are needed besides the first and the parameters, and what to do at each of
its ``sizes``, in a process of its own: ``ready`` prepares, ``cost`` is done twice, and the second time
counts, since in the first kernels may be compiled.  Both may use the number ``size``, which is
the value of the chapter's ``parameter`` too, if one is named.  One at a time: the machine should be quiet.
What was measured is kept in tests/growth-result.json, which the ledger page shows.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
import pathlib
import statistics
import sys
import textwrap
from collections.abc import Callable

import trials
from chapters import ROOT, BookError, Cell, code_cells, command_line, page, run_tool
from execute import machine

FILE, RESULT = "growth.yml", "growth-result.json"
LEAST = 3  # sizes that an exponent asks for


@dataclasses.dataclass(frozen=True)
class Growth:
    """An entry of the list."""

    what: str
    unit: str  # of what ``count`` counts, an expression
    sizes: list
    cost: str
    cells: list[str]  # a text of each cell that is needed
    ready: str = ""
    count: str = "size"
    parameter: str | None = None


def malformed(section) -> str | None:
    """What is wrong with a chapter's section, or None."""
    if not isinstance(section, list):
        return f"expected a list, got {section!r:.60}"
    required = {"what": str, "unit": str, "sizes": list, "cost": str, "cells": list}
    optional = {"ready": str, "count": str, "parameter": str}
    for item in section:
        if complaint := trials.wrong_fields(item, required, optional):
            return complaint
        if len(item["sizes"]) < LEAST:
            return f"{item['what']}: expected {LEAST} sizes or more, got {item['sizes']}"
    return None


def load(root: pathlib.Path) -> dict[str, list[Growth]]:
    """``{chapter: entries}``; raises ValueError if the list is malformed."""
    sections = trials.load_list(root, FILE, malformed)
    return {name: [Growth(**item) for item in section] for name, section in sections.items()}


def needed(root: pathlib.Path, chapter: str, entry: Growth) -> list[Cell]:
    """The cells that an entry asks for; raises ValueError if the list no longer fits the chapter."""
    cells = code_cells(page(root, chapter))
    wanted = {0} | {k for k, cell in enumerate(cells) if "parameters" in cell.tags}
    for text in entry.cells:
        found = [k for k, cell in enumerate(cells) if text in cell.source]
        if len(found) != 1:
            raise ValueError(f"expected one cell with {text!r}, there are {len(found)}")
        wanted.add(found[0])
    return [cells[k] for k in sorted(wanted)]


def prepare(root: pathlib.Path, chapter: str, entry: Growth, size) -> trials.Trial:
    """What measures an entry at one of its sizes; raises ValueError as ``needed`` does."""
    try:
        cells = needed(root, chapter, entry)
        if entry.parameter:
            cells = trials.with_parameters(cells, {entry.parameter: size})
    except ValueError as error:
        raise ValueError(f"tests/{FILE}: {chapter}: {entry.what}: {error}") from None
    each = textwrap.indent(f"{entry.ready}\n_began = _time.process_time()\n{entry.cost}", "    ")
    source = (
        f"import time as _time\nfrom book import key_number\nsize = {size}\nfor _ in range(2):\n{each}\n"
        f"    _seconds = _time.process_time() - _began\n"
        f"key_number('count', float({entry.count}))\nkey_number('seconds', _seconds)"
    )
    last = dataclasses.replace(cells[-1], source=source, tags=())
    last = dataclasses.replace(last, line=cells[-1].line + cells[-1].source.count("\n") + 1)
    limit = 10 * trials.budget(root, chapter)
    return trials.Trial(root, chapter, [*cells, last], limit, figures=False)


def digest(root: pathlib.Path, chapter: str, entries: list[Growth]) -> str | None:
    """A name for all that a chapter's result depends on, or None where the list no longer fits it."""
    try:
        code = [[cell.source for cell in needed(root, chapter, entry)] for entry in entries]
    except ValueError:
        return None
    parts = [code, [dataclasses.asdict(entry) for entry in entries]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def exponent(count: list[float], seconds: list[float]) -> float:
    """The slope of the line through the logarithms."""
    return statistics.linear_regression(*([*map(math.log, x)] for x in (count, seconds))).slope


def measure(root: pathlib.Path, names: list[str], say: Callable[[str], None] = print) -> list[str]:
    """Measure some chapters, or all, and keep what came of it; what did not end well.

    Raises
    ------
    ValueError
        If the list no longer fits a chapter; nothing has run then.
    """
    lists = load(root)
    names = trials.asked(lists, FILE, names)
    todo = {
        name: [[prepare(root, name, entry, size) for size in entry.sizes] for entry in lists[name]]
        for name in names
    }
    facts = {
        "date": datetime.date.today().isoformat(),
        "revision": trials.revision(root, RESULT),
        "machine": machine(),
    }
    complaints = []
    for name in names:
        rows = []
        for entry, sizes in zip(lists[name], todo[name], strict=True):
            outcomes = trials.run(sizes, lambda k, outcome: None, jobs=1)
            if failed := [outcome.explanation for outcome in outcomes if outcome.failure]:
                complaints.append(f"{name}: {entry.what}: {failed[0]}")
                break
            count, seconds = ([o.numbers[key] for o in outcomes] for key in ("count", "seconds"))
            row = {"what": entry.what, "unit": entry.unit, "count": count, "seconds": seconds}
            rows.append(row)
            say(f"{name}: {described(row)}")
        else:
            result = facts | {"digest": digest(root, name, lists[name]), "rows": rows}
            trials.keep(root, RESULT, name, result)
    return complaints


def described(row: dict) -> str:
    """What was measured, in a line."""
    count, seconds = row["count"], row["seconds"]
    each = ", ".join(f"{n:.0f}: {s:.3g} s" for n, s in zip(count, seconds, strict=True))
    return f"{row['what']}: {row['unit']} {each}; exponent {exponent(count, seconds):.2f}"


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    options = parser.parse_args()
    try:
        complaints = measure(options.root, options.names)
    except (ValueError, BookError) as error:
        print(error, file=sys.stderr)
        return 1
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    run_tool(main)
